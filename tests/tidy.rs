//! The house rules, held over `src/`. ARCHITECTURE.md says why they are rules;
//! each failure here names the place and the mend.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Rooms that know only the words: what everything else is made of.
const WORDS: &[&str] = &["model", "policy"];
/// Rooms that speak to the outside. They never decide, and never know each other.
const ADAPTERS: &[&str] = &["notify", "platform", "policy_repo", "sources", "store"];
/// The one way through the house: each room may use those before it.
const WAY: &[&str] = &["model", "policy", "judge", "watch", "engine", "web", "app", "cli"];
/// What a room may use beside that.
const BESIDE: &[(&str, &[&str])] = &[
    ("engine", &["crash", "notify", "platform", "policy_repo", "sources", "store", "telemetry"]),
    ("web", &["policy_repo", "settings", "store", "telemetry"]),
    ("app", &["notify", "platform", "policy_repo", "settings", "sources", "store", "telemetry"]),
    ("cli::check", &["policy_repo"]),
    ("cli::matching", &["policy_repo"]),
    ("cli::serve", &["settings", "telemetry"]),
    ("settings", &["telemetry"]),
    ("telemetry", &["engine", "model", "store", "watch"]),
    ("notify", &["crash"]),
    ("platform", &["crash"]),
    ("policy_repo", &["crash"]),
    ("sources", &["crash"]),
    ("store", &["crash"]),
];
const MOST_LINES_OF_A_FUNCTION: usize = 70;
const MOST_LINES_OF_A_FILE: usize = 400;

#[test]
fn rooms_use_only_the_rooms_that_they_may_use() {
    let mut broken = Vec::new();
    for file in &source() {
        let Some(room) = file.module.first() else { continue };
        let allowed = allowed(&file.module);
        for (line, used) in file.uses() {
            if used != *room && is_room(&used) && !allowed.contains(used.as_str()) {
                broken.push(file.at(line, &format!(
                    "`{room}` may not use `{used}`: move what both need down to `model`, or pass it in as an argument"
                )));
            }
        }
    }
    none(&broken);
}

#[test]
fn every_room_has_a_place_in_the_table_and_the_table_names_no_other() {
    let here: BTreeSet<String> =
        source().iter().filter_map(|file| file.module.first().cloned()).collect();
    let known: BTreeSet<String> = WAY
        .iter()
        .chain(ADAPTERS)
        .chain(&["crash", "settings", "telemetry"])
        .map(|room| (*room).to_owned())
        .collect();
    assert_eq!(here, known, "a new room under src/ needs a line in the table of tests/tidy.rs");
}

#[test]
fn rooms_use_each_other_in_one_direction_only() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &source() {
        let Some(room) = file.module.first() else { continue };
        let used = file.uses().into_iter().map(|(_, used)| used);
        uses.entry(room.clone())
            .or_default()
            .extend(used.filter(|used| used != room && is_room(used)));
    }
    // The engine counts through the telemetry, which counts in the engine's words.
    if let Some(used) = uses.get_mut("telemetry") {
        used.remove("engine");
    }
    while let Some(free) = uses.iter().find(|(_, used)| used.is_empty()).map(|(room, _)| room) {
        let free = free.clone();
        uses.remove(&free);
        uses.values_mut().for_each(|used| {
            used.remove(&free);
        });
    }
    assert!(uses.is_empty(), "these rooms use each other in a circle: {uses:#?}");
}

#[test]
fn functions_fit_on_a_page() {
    let mut broken = Vec::new();
    for file in &source() {
        let mut found = Functions::default();
        found.visit_file(&file.syntax);
        for (name, first, last) in found.functions {
            let lines = last - first + 1;
            if lines > MOST_LINES_OF_A_FUNCTION {
                broken.push(file.at(first, &format!(
                    "`{name}` has {lines} lines, more than {MOST_LINES_OF_A_FUNCTION}: give its steps names"
                )));
            }
        }
    }
    none(&broken);
}

#[test]
fn files_are_short() {
    let mut broken = Vec::new();
    for file in &source() {
        let lines: BTreeSet<usize> =
            file.tokens.iter().flat_map(|token| token.line..=token.last_line).collect();
        if lines.len() > MOST_LINES_OF_A_FILE {
            broken.push(file.at(1, &format!(
                "{} lines of code, more than {MOST_LINES_OF_A_FILE}: split it by what it is about",
                lines.len()
            )));
        }
    }
    none(&broken);
}

#[test]
fn every_file_says_at_its_top_what_it_is() {
    let wanting = source()
        .iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.at(1, "begins with no `//!` comment: say in a line what it is for"))
        .collect::<Vec<_>>();
    none(&wanting);
}

#[test]
fn no_module_is_called_after_nothing() {
    let empty = ["utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"];
    let named = source()
        .iter()
        .filter(|file| file.module.iter().any(|name| empty.contains(&name.as_str())))
        .map(|file| file.at(1, "a name that says nothing: call it after what it is about"))
        .collect::<Vec<_>>();
    none(&named);
}

#[test]
fn time_is_an_argument_and_only_the_engines_clock_reads_it() {
    banned(
        &[
            &["Timestamp", "::", "now"],
            &["Zoned", "::", "now"],
            &["SystemTime", "::", "now"],
            &["std", "::", "time", "::", "Instant"],
            &["Instant", "::", "now"],
        ],
        |file, tokens| {
            file.path == "src/engine/clock.rs"
                || tokens.starts_with(&["tokio", "::", "time", "::", "Instant"])
        },
        "take the time as an argument; the shell asks `engine::clock`",
    );
}

#[test]
fn nothing_panics_outside_the_tests() {
    banned(
        &[
            &[".", "unwrap", "("],
            &[".", "expect", "("],
            &[".", "unwrap_err", "("],
            &["panic", "!"],
            &["todo", "!"],
            &["unimplemented", "!"],
            &["unreachable", "!"],
        ],
        |_, _| false,
        "answer with an error, or make the case impossible by its type",
    );
}

#[test]
fn only_the_store_issues_permits() {
    banned(
        &[&["Permit", "::", "issued_by_store"]],
        |file, _| file.path.starts_with("src/store/"),
        "a permit is a row in the store: ask `Store::permit` for it",
    );
}

#[test]
fn only_app_constructs_adapters() {
    banned(
        &[
            &["Ecs", "::", "connect"],
            &["Prometheus", "::", "connect"],
            &["Slack", "::", "connect"],
            &["Store", "::", "open"],
            &["PolicyRepo", "::", "open"],
        ],
        |file, _| file.path == "src/app.rs",
        "construct it in src/app.rs and pass it in",
    );
}

#[test]
fn metric_names_are_written_in_telemetry_only() {
    let mut broken = Vec::new();
    for file in source().iter().filter(|file| file.path != "src/telemetry.rs") {
        let named = file.tokens.iter().filter(|token| token.text.starts_with("\"deployguard_"));
        broken.extend(named.map(|token| {
            file.at(token.line, &format!("{}: metrics are named in src/telemetry.rs", token.text))
        }));
    }
    none(&broken);
}

#[test]
fn a_match_over_our_own_words_names_every_one() {
    let files = source();
    let mut ours = Enums::default();
    files.iter().for_each(|file| ours.visit_file(&file.syntax));
    let mut broken = Vec::new();
    for file in &files {
        let judging = ["model", "policy", "judge", "watch"];
        if !file.module.first().is_some_and(|room| judging.contains(&room.as_str())) {
            continue;
        }
        let mut found = Wildcards { ours: &ours.names, lines: Vec::new() };
        found.visit_file(&file.syntax);
        broken.extend(found.lines.into_iter().map(|(line, name)| {
            file.at(
                line,
                &format!(
                    "`_` over `{name}`: name the cases, so that a new one has to be thought about"
                ),
            )
        }));
    }
    none(&broken);
}

/// What a module may use: what is before it on the way, what adapters may, and
/// what stands beside its name or its room's.
fn allowed(module: &[String]) -> BTreeSet<&'static str> {
    let room = module[0].as_str();
    let mut allowed = BTreeSet::new();
    if let Some(place) = WAY.iter().position(|name| *name == room) {
        allowed.extend(&WAY[..place]);
    }
    if ADAPTERS.contains(&room) {
        allowed.extend(WORDS);
    }
    let whole = module.join("::");
    for (name, beside) in BESIDE {
        if whole == *name || whole.starts_with(&format!("{name}::")) {
            allowed.extend(*beside);
        }
    }
    allowed
}

fn is_room(name: &str) -> bool {
    Path::new("src").join(name).is_dir()
        || Path::new("src").join(name).with_extension("rs").exists()
}

fn banned(calls: &[&[&str]], excused: impl Fn(&File, &[&str]) -> bool, mend: &str) {
    let mut broken = Vec::new();
    for file in &source() {
        let texts: Vec<&str> = file.tokens.iter().map(|token| token.text.as_str()).collect();
        for call in calls {
            for (index, found) in texts.windows(call.len()).enumerate() {
                let before = &texts[index.saturating_sub(4)..index + call.len()];
                if found == *call && !excused(file, before) {
                    let line = file.tokens[index].line;
                    broken.push(file.at(line, &format!("`{}`: {mend}", call.concat())));
                }
            }
        }
    }
    none(&broken);
}

fn none(broken: &[String]) {
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

/// One file under `src/`, without what only tests see.
struct File {
    /// From the root of the repository.
    path: String,
    /// `src/watch/undo.rs` is `watch::undo`.
    module: Vec<String>,
    text: String,
    /// All of them in order, groups opened up, doc comments and tests left out.
    tokens: Vec<Token>,
    syntax: syn::File,
}

struct Token {
    text: String,
    line: usize,
    last_line: usize,
}

impl File {
    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The rooms that it names, with the lines.
    fn uses(&self) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let text = |index: usize| self.tokens.get(index).map_or("", |token| token.text.as_str());
        for index in 0..self.tokens.len() {
            let mut after = match text(index) {
                "crate" if text(index + 1) == "::" => index + 2,
                "super" if text(index.wrapping_sub(1)) != "::" => {
                    let mut next = index;
                    let mut up = 0;
                    while text(next) == "super" && text(next + 1) == "::" {
                        next += 2;
                        up += 1;
                    }
                    if up < self.module.len() { continue } else { next }
                }
                _ => continue,
            };
            if text(after) != "{" {
                found.push((self.tokens[after].line, text(after).to_owned()));
                continue;
            }
            let mut depth = 0;
            let mut first = true;
            loop {
                match text(after) {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    "," => {}
                    name if first => found.push((self.tokens[after].line, name.to_owned())),
                    _ => {}
                }
                first = depth == 1 && matches!(text(after), "," | "{");
                after += 1;
                if depth == 0 {
                    break;
                }
            }
        }
        found
    }
}

/// Every file under `src/` that is not a test's alone.
fn source() -> Vec<File> {
    let mut paths = Vec::new();
    below(Path::new("src"), &mut paths);
    paths.sort();
    let tests = paths.iter().flat_map(|path| tests_of(path)).collect::<BTreeSet<_>>();
    paths
        .iter()
        .filter(|path| !tests.iter().any(|test| path.starts_with(test)))
        .map(|path| read(path))
        .collect()
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The files and folders that a file takes in for tests only.
fn tests_of(path: &Path) -> Vec<PathBuf> {
    let syntax = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
    let folder = path.parent().unwrap();
    let inside = if path.ends_with("mod.rs") || path == Path::new("src/lib.rs") {
        folder.to_owned()
    } else {
        path.with_extension("")
    };
    let modules = syntax.items.into_iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_test(&module.attrs) => {
            Some(module)
        }
        _ => None,
    });
    modules
        .flat_map(|module| {
            let named = module.attrs.iter().find_map(|attribute| {
                let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
                let syn::Expr::Lit(literal) = &pair.value else { return None };
                let syn::Lit::Str(text) = &literal.lit else { return None };
                attribute.path().is_ident("path").then(|| folder.join(text.value()))
            });
            let name = inside.join(module.ident.to_string());
            named.map_or_else(|| vec![name.with_extension("rs"), name], |path| vec![path])
        })
        .collect()
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
    })
}

fn read(path: &Path) -> File {
    let text = fs::read_to_string(path).unwrap();
    let mut tokens = Vec::new();
    flatten(text.parse().unwrap(), &mut tokens);
    let inside = path.strip_prefix("src").unwrap().with_extension("");
    let module = inside.iter().map(|part| part.to_str().unwrap().to_owned());
    let module = module.filter(|part| !["mod", "lib", "main"].contains(&part.as_str())).collect();
    let syntax = syn::parse_file(&text).unwrap();
    File { path: path.to_str().unwrap().to_owned(), module, text, tokens, syntax }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        if let (TokenTree::Punct(hash), Some(next)) = (&tree, trees.peek())
            && hash.as_char() == '#'
        {
            let attribute = next.to_string();
            if attribute.replace(' ', "") == "[cfg(test)]" {
                // The item, to its end.
                for tree in trees.by_ref() {
                    match tree {
                        TokenTree::Punct(end) if end.as_char() == ';' => break,
                        TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => break,
                        _ => {}
                    }
                }
                continue;
            }
            let inner = attribute == "!";
            let doc = attribute.trim_start_matches('[').trim_start().starts_with("doc");
            if doc {
                trees.next();
                continue;
            }
            if inner {
                trees.next();
                if trees.peek().is_some_and(|next| next.to_string().starts_with("[doc")) {
                    trees.next();
                    continue;
                }
            }
        }
        push(tree, tokens);
    }
}

fn push(tree: TokenTree, tokens: &mut Vec<Token>) {
    let token = |text: String, span: proc_macro2::Span| Token {
        text,
        line: span.start().line,
        last_line: span.end().line,
    };
    match tree {
        TokenTree::Group(group) => {
            let (open, close) = match group.delimiter() {
                Delimiter::Parenthesis => ("(", ")"),
                Delimiter::Brace => ("{", "}"),
                Delimiter::Bracket => ("[", "]"),
                Delimiter::None => ("", ""),
            };
            tokens.push(token(open.to_owned(), group.span_open()));
            flatten(group.stream(), tokens);
            tokens.push(token(close.to_owned(), group.span_close()));
        }
        TokenTree::Punct(punct) => match (punct.as_char(), tokens.last_mut()) {
            (':', Some(last)) if last.text == ":" => last.text.push(':'),
            (character, _) => tokens.push(token(character.to_string(), punct.span())),
        },
        TokenTree::Ident(ident) => tokens.push(token(ident.to_string(), ident.span())),
        TokenTree::Literal(literal) => tokens.push(token(literal.to_string(), literal.span())),
    }
}

/// Every function with its first and last line.
#[derive(Default)]
struct Functions {
    functions: Vec<(String, usize, usize)>,
}

impl Functions {
    fn found(&mut self, name: &syn::Ident, body: &syn::Block) {
        self.functions.push((name.to_string(), name.span().start().line, body.span().end().line));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.found(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.found(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

/// The names of our own enums.
#[derive(Default)]
struct Enums {
    names: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Enums {
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.names.insert(item.ident.to_string());
    }
}

/// Matches over our own enums with an arm that takes whatever comes.
struct Wildcards<'a> {
    ours: &'a BTreeSet<String>,
    lines: Vec<(usize, String)>,
}

impl<'ast> Visit<'ast> for Wildcards<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_match(&mut self, found: &'ast syn::ExprMatch) {
        let named = found.arms.iter().find_map(|arm| one_of(self.ours, &arm.pat));
        let open = found.arms.iter().find(|arm| takes_all(&arm.pat) && arm.guard.is_none());
        if let (Some(name), Some(arm)) = (named, open) {
            self.lines.push((arm.span().start().line, name));
        }
        visit::visit_expr_match(self, found);
    }
}

fn takes_all(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        syn::Pat::Ident(name) => {
            name.subpat.is_none() && name.ident.to_string().starts_with(char::is_lowercase)
        }
        _ => false,
    }
}

/// The enum of ours that a pattern names a case of, at its top.
fn one_of(ours: &BTreeSet<String>, pattern: &syn::Pat) -> Option<String> {
    let path = match pattern {
        syn::Pat::Path(found) => &found.path,
        syn::Pat::TupleStruct(found) => &found.path,
        syn::Pat::Struct(found) => &found.path,
        syn::Pat::Or(found) => return found.cases.iter().find_map(|case| one_of(ours, case)),
        syn::Pat::Reference(found) => return one_of(ours, &found.pat),
        _ => return None,
    };
    let owner = path.segments.iter().rev().nth(1)?.ident.to_string();
    (owner == "Self" || ours.contains(&owner)).then_some(owner)
}
