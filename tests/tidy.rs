//! The house rules, held over `src/`. ARCHITECTURE.md says why they are rules;
//! each failure here names the place and the mend.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may end there")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

#[path = "deploy/mod.rs"]
mod deploy;

/// Rooms that know only the words: what everything else is made of.
const WORDS: &[&str] = &["model", "policy"];
/// Rooms that speak to the outside. They never decide, and never know each other.
const ADAPTERS: &[&str] = &["notify", "platform", "policy_repo", "sources", "store", "triggers"];
/// The one way through the house: each room may use those before it.
const WAY: &[&str] = &["model", "policy", "judge", "watch", "engine", "web", "app", "cli"];
/// Rooms that draw: they know the words, and whoever has a face may use them.
const DRAWING: &[&str] = &["chart"];
/// Rooms that live watches through on given measurements.
const PLAYING: &[&str] = &["rehearsal", "policy_test", "backtest"];
/// What a room may use beside that.
const BESIDE: &[(&str, &[&str])] = &[
    (
        "engine",
        &[
            "chart",
            "crash",
            "notify",
            "platform",
            "policy_repo",
            "sources",
            "store",
            "telemetry",
            "triggers",
        ],
    ),
    ("web", &["chart", "policy_repo", "settings", "store", "telemetry", "triggers"]),
    (
        "app",
        &[
            "aws",
            "commands",
            "notify",
            "outbound",
            "platform",
            "policy_repo",
            "settings",
            "sources",
            "store",
            "telemetry",
            "triggers",
        ],
    ),
    ("cli", &["chart"]),
    ("cli::backtest", &["backtest", "policy_repo"]),
    ("cli::change", &["policy_repo"]),
    ("cli::cost", &["policy_repo"]),
    ("cli::check", &["policy_repo"]),
    ("cli::known", &["policy_repo", "settings"]),
    ("cli::live", &["policy_repo", "settings", "sources"]),
    ("cli::matching", &["policy_repo"]),
    ("cli::doctor", &["settings"]),
    ("cli::init", &["settings"]),
    ("cli::serve", &["settings", "telemetry"]),
    ("cli::test", &["policy_repo", "policy_test"]),
    ("rehearsal", &["model", "policy", "judge", "watch"]),
    ("policy_test", &["model", "policy", "judge", "watch", "sources", "rehearsal"]),
    ("backtest", &["chart", "model", "policy", "judge", "watch", "sources", "rehearsal"]),
    ("settings", &["commands", "outbound", "telemetry"]),
    ("settings::digest", &["policy"]),
    ("settings::github", &["model"]),
    ("settings::names", &["model"]),
    ("telemetry", &["engine", "model", "sources", "store", "watch"]),
    ("notify", &["crash", "outbound"]),
    ("platform", &["aws", "commands", "crash", "outbound"]),
    ("policy_repo", &["crash"]),
    ("sources", &["aws", "commands", "crash", "outbound"]),
    ("store", &["crash"]),
    ("triggers", &["aws"]),
];
const MOST_LINES_OF_A_FUNCTION: usize = 70;
const MOST_LINES_OF_A_FILE: usize = 400;

#[test]
fn rooms_use_only_the_rooms_that_they_may_use() {
    let mut broken = Vec::new();
    for file in source() {
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
        .chain(DRAWING)
        .chain(PLAYING)
        .chain(&["aws", "commands", "crash", "outbound", "settings", "telemetry"])
        .map(|room| (*room).to_owned())
        .collect();
    assert_eq!(here, known, "a new room under src/ needs a line in the table of tests/tidy.rs");
}

#[test]
fn rooms_use_each_other_in_one_direction_only() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in source() {
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
        for used in uses.values_mut() {
            used.remove(&free);
        }
    }
    assert!(uses.is_empty(), "these rooms use each other in a circle: {uses:#?}");
}

#[test]
fn functions_fit_on_a_page() {
    let mut broken = Vec::new();
    for file in source() {
        for Function { name, first_line, last_line } in &file.functions {
            let lines = last_line - first_line + 1;
            if lines > MOST_LINES_OF_A_FUNCTION {
                let what = format!(
                    "`{name}` has {lines} lines, more than {MOST_LINES_OF_A_FUNCTION}: give its steps names"
                );
                broken.push(file.at(*first_line, &what));
            }
        }
    }
    none(&broken);
}

#[test]
fn files_are_short() {
    let mut broken = Vec::new();
    for file in source() {
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
            &["Render", "::", "connect"],
            &["Slack", "::", "connect"],
            &["PagerDuty", "::", "connect"],
            &["Webhook", "::", "connect"],
            &["Email", "::", "connect"],
            &["Store", "::", "open"],
            &["PolicyRepo", "::", "open"],
        ],
        |file, _| {
            ["src/app.rs", "src/app/called.rs", "src/app/doctor.rs", "src/app/targets.rs"]
                .contains(&file.path.as_str())
        },
        "construct it in src/app.rs and pass it in",
    );
}

#[test]
fn metric_names_are_written_in_telemetry_only() {
    let mut broken = Vec::new();
    for file in
        source().iter().filter(|file| file.module.first().is_none_or(|room| room != "telemetry"))
    {
        let named = file.tokens.iter().filter(|token| token.text.starts_with("\"deployguard_"));
        broken.extend(named.map(|token| {
            file.at(
                token.line,
                &format!("{}: metrics are named in src/telemetry/metrics", token.text),
            )
        }));
    }
    none(&broken);
}

#[test]
fn a_match_over_our_own_words_names_every_one() {
    let mut ours: BTreeSet<&str> =
        source().iter().flat_map(|file| &file.enums).map(String::as_str).collect();
    ours.insert("Self");
    let judging = ["model", "policy", "judge", "watch", "rehearsal"];
    let mut broken = Vec::new();
    for file in source() {
        if !file.module.first().is_some_and(|room| judging.contains(&room.as_str())) {
            continue;
        }
        for Match { line, names } in &file.matches {
            if let Some(name) = names.iter().find(|name| ours.contains(name.as_str())) {
                let what = format!(
                    "whatever comes of `{name}`: name the cases, so that a new one has to be thought about"
                );
                broken.push(file.at(*line, &what));
            }
        }
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
    if ADAPTERS.contains(&room) || DRAWING.contains(&room) {
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
    for file in source() {
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
    functions: Vec<Function>,
    matches: Vec<Match>,
    enums: Vec<String>,
}

struct Function {
    name: String,
    first_line: usize,
    last_line: usize,
}

/// A `match` with an arm that takes whatever comes.
struct Match {
    line: usize,
    /// The last but one step of each path that its arms name: `Outcome` of `Outcome::Passed`.
    names: BTreeSet<String>,
}

struct Token {
    text: String,
    line: usize,
    last_line: usize,
}

impl File {
    fn of(path: &Path, text: String, syntax: &syn::File) -> File {
        let mut tokens = Vec::new();
        flatten(text.parse().unwrap(), &mut tokens);
        let inside = path.strip_prefix("src").unwrap().with_extension("");
        let module = inside.iter().map(|part| part.to_str().unwrap().to_owned());
        let module = module.filter(|part| !["mod", "lib", "main"].contains(&part.as_str()));
        let mut file = File {
            path: path.to_str().unwrap().to_owned(),
            module: module.collect(),
            text,
            tokens,
            functions: Vec::new(),
            matches: Vec::new(),
            enums: Vec::new(),
        };
        file.visit_file(syntax);
        file
    }

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
                    if up < self.module.len() {
                        continue;
                    }
                    next
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

/// Every file under `src/` that is not a test's alone; read once.
fn source() -> &'static [File] {
    static SOURCE: LazyLock<Vec<File>> = LazyLock::new(|| {
        let mut paths = Vec::new();
        below(Path::new("src"), &mut paths);
        paths.sort();
        let mut tests = Vec::new();
        let files: Vec<(PathBuf, File)> = paths
            .into_iter()
            .map(|path| {
                let text = fs::read_to_string(&path).unwrap();
                let syntax = syn::parse_file(&text).unwrap();
                tests.extend(tests_of(&path, &syntax));
                let file = File::of(&path, text, &syntax);
                (path, file)
            })
            .collect();
        let seen = files.into_iter();
        let seen = seen.filter(|(path, _)| !tests.iter().any(|test| path.starts_with(test)));
        seen.map(|(_, file)| file).collect()
    });
    &SOURCE
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
fn tests_of(path: &Path, syntax: &syn::File) -> Vec<PathBuf> {
    let folder = path.parent().unwrap();
    let inside = if path.ends_with("mod.rs") || path == Path::new("src/lib.rs") {
        folder.to_owned()
    } else {
        path.with_extension("")
    };
    let modules = syntax.items.iter().filter_map(|item| match item {
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

impl File {
    fn function(&mut self, name: &syn::Ident, body: &syn::Block) {
        self.functions.push(Function {
            name: name.to_string(),
            first_line: name.span().start().line,
            last_line: body.span().end().line,
        });
    }
}

impl<'ast> Visit<'ast> for File {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.enums.push(item.ident.to_string());
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig.ident, &item.block);
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_match(&mut self, found: &'ast syn::ExprMatch) {
        if let Some(open) = found.arms.iter().find(|arm| arm.guard.is_none() && takes_all(&arm.pat))
        {
            let mut names = BTreeSet::new();
            found.arms.iter().for_each(|arm| owners(&arm.pat, &mut names));
            self.matches.push(Match { line: open.pat.span().start().line, names });
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
        syn::Pat::Tuple(parts) => parts.elems.iter().all(takes_all),
        _ => false,
    }
}

/// The types that a pattern names cases of, at its top or in a tuple.
fn owners(pattern: &syn::Pat, found: &mut BTreeSet<String>) {
    let path = match pattern {
        syn::Pat::Path(one) => &one.path,
        syn::Pat::TupleStruct(one) => &one.path,
        syn::Pat::Struct(one) => &one.path,
        syn::Pat::Or(one) => return one.cases.iter().for_each(|case| owners(case, found)),
        syn::Pat::Tuple(one) => return one.elems.iter().for_each(|part| owners(part, found)),
        syn::Pat::Reference(one) => return owners(&one.pat, found),
        _ => return,
    };
    found.extend(path.segments.iter().rev().nth(1).map(|owner| owner.ident.to_string()));
}

#[test]
fn these_eyes_are_open() {
    let text = r"
        use crate::{app, web::Face, engine::{clock, run}};
        use super::super::store::Store;
        /// A comment may say crate::cli and `unwrap()`.
        fn long() { tracing::info!(at = %crate::notify::now()); x.unwrap() }
        #[cfg(test)]
        mod tests { use crate::cli; fn hidden() { y.unwrap() } }
        fn after(outcome: Outcome) { match outcome { Outcome::Passed => 1, other => 2 }; }
    ";
    let file = File::of(Path::new("src/watch/x.rs"), text.into(), &syn::parse_str(text).unwrap());
    let uses: Vec<_> =
        file.uses().into_iter().map(|(line, room)| format!("{line} {room}")).collect();
    assert_eq!(uses, ["2 app", "2 web", "2 engine", "3 store", "5 notify"]);
    assert_eq!(file.functions.len(), 2);
    assert_eq!(file.matches[0].line, 8);
    assert!(file.matches[0].names.contains("Outcome"));
    assert_eq!(file.tokens.iter().filter(|token| token.text == "unwrap").count(), 1);
}
