//! From bytes to a tree that keeps the place of every value.

use marked_yaml::types::MarkedMappingNode;
use marked_yaml::{LoadError, LoaderOptions, Marker, Node, parse_yaml_with_options};

use super::report::Report;
use crate::policy::diagnostic::{Diagnostic, Mistake};

/// Bytes of a policy file.
pub const MAX_BYTES: usize = 256 * 1024;
/// Mappings and sequences within one another; a policy needs five.
const MAX_DEPTH: usize = 16;
/// Columns that a line may be indented by.
const MAX_INDENT: usize = 100;

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As it is shown to people; its folders decide which `_defaults.yaml` apply.
    pub path: String,
    pub bytes: Vec<u8>,
}

/// The file's tree, or `None` with what is wrong in the report.
pub(super) fn tree(
    index: usize,
    file: &SourceFile,
    report: &mut Report,
) -> Option<MarkedMappingNode> {
    let text = match text(file) {
        Ok(text) => text,
        Err(diagnostic) => {
            report.push(diagnostic);
            return None;
        }
    };
    let strict = LoaderOptions::default().prevent_coercion(true).error_on_duplicate_keys(true);
    let node = match parse_yaml_with_options(index, text, strict) {
        Ok(node) => node,
        Err(error) => {
            let (marker, mistake) = load_mistake(index, text, &error);
            report.at(marker, mistake);
            let LoadError::DuplicateKey(_) = error else { return None };
            // The rest can be read, with the last of the two.
            let lax = LoaderOptions::default().prevent_coercion(true);
            parse_yaml_with_options(index, text, lax).ok()?
        }
    };
    if let Some((line, column)) = leftover(text, &node) {
        report.at(
            Marker::new(index, 0, line, column),
            Mistake::new("the file goes on after its policy").mend("one file holds one policy"),
        );
        return None;
    }
    let Node::Mapping(mut root) = node else { return None };
    if root.is_empty() {
        report.at(Marker::new(index, 0, 1, 1), Mistake::new("the file is empty"));
        return None;
    }
    fill_check(&mut root, 1, report).then_some(root)
}

/// The text, if it is one that the parser is safe with.
fn text(file: &SourceFile) -> Result<&str, Diagnostic> {
    text_within(file, MAX_BYTES)
}

/// The text of a file that may have `most` bytes.
pub(in crate::policy) fn text_within(file: &SourceFile, most: usize) -> Result<&str, Diagnostic> {
    let whole = |message: String| Diagnostic::of_file(&file.path, message);
    if file.bytes.len() > most {
        return Err(whole(format!("the file is larger than {} KiB", most / 1024)));
    }
    let text = match str::from_utf8(&file.bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let good = String::from_utf8_lossy(&file.bytes[..error.valid_up_to()]).into_owned();
            let (line, column) = end_of(&good);
            let message = "the file is not UTF-8 text".to_owned();
            return Err(Diagnostic { line, column, ..whole(message) });
        }
    };
    for (number, line) in text.lines().enumerate() {
        let spot = |column: usize, message: String| Diagnostic {
            line: number + 1,
            column: column + 1,
            ..whole(message)
        };
        if let Some(at) = line.chars().position(|c| c.is_control() && c != '\t' && c != '\r') {
            let char = line.chars().nth(at).unwrap_or_default();
            return Err(spot(at, format!("a control character (U+{:04X})", u32::from(char))));
        }
        let indent = line.chars().take_while(|c| " \t-?:".contains(*c)).count();
        if indent > MAX_INDENT && indent < line.chars().count() {
            return Err(spot(MAX_INDENT, format!("indented by more than {MAX_INDENT} columns")));
        }
    }
    Ok(text)
}

/// Line and column behind the last character of `text`.
fn end_of(text: &str) -> (usize, usize) {
    let last = text.rsplit('\n').next().unwrap_or_default();
    (text.matches('\n').count() + 1, last.chars().count() + 1)
}

fn load_mistake(index: usize, text: &str, error: &LoadError) -> (Marker, Mistake) {
    match error {
        LoadError::TopLevelMustBeMapping(at) | LoadError::TopLevelMustBeSequence(at) => {
            (*at, Mistake::new("a policy file is a mapping: `version: 1`, `policy: NAME`, ..."))
        }
        LoadError::UnexpectedAnchor(at) => (
            *at,
            Mistake::new("anchors (`&name`) are not read in a policy")
                .mend("put what is shared into `_defaults.yaml`"),
        ),
        LoadError::MappingKeyMustBeScalar(at) => (*at, Mistake::new("a key must be plain text")),
        LoadError::UnexpectedTag(at) => {
            (*at, Mistake::new("tags (`!name`) are not read in a policy"))
        }
        LoadError::ScanError(at, error) => (*at, scan_mistake(text, *at, error.info())),
        LoadError::DuplicateKey(keys) => {
            let start = |key: &marked_yaml::types::MarkedScalarNode| {
                key.span().start().copied().unwrap_or_else(|| Marker::new(index, 0, 1, 1))
            };
            let (first, second) = (start(&keys.prev_key), start(&keys.key));
            let key = keys.key.as_str();
            let what = match parent_of(index, text, second).as_deref() {
                Some("checks") => format!("two checks are named `{key}`"),
                Some("phases") => format!("two phases are named `{key}`"),
                Some(_) | None => format!("`{key}` is there twice"),
            };
            (second, Mistake::new(what).mend(format!("the first is in line {}", first.line())))
        }
    }
}

fn scan_mistake(text: &str, at: Marker, info: &str) -> Mistake {
    let line = text.lines().nth(at.line().saturating_sub(1)).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    if indent.contains('\t') {
        return Mistake::new("a tab can't indent YAML").mend("use spaces");
    }
    let conflict = ["<<<<<<<", "=======", ">>>>>>>"];
    if text.lines().any(|line| conflict.iter().any(|mark| line.starts_with(mark))) {
        return Mistake::new("not YAML: a merge conflict is left in the file");
    }
    // The parser may go on to the next line before it gives up.
    let near = text.lines().take(at.line()).skip(at.line().saturating_sub(2));
    let is_alias = info == "while parsing node, found unknown anchor";
    if let Some(mistake) = near.clone().filter(|_| !is_alias).find_map(unquoted) {
        return mistake;
    }
    let mistake = Mistake::new(format!("not YAML: {info}"));
    match info {
        "while parsing node, found unknown anchor" => {
            Mistake::new("aliases (`*name`) are not read in a policy")
                .mend("put patterns between quotes: `\"*-api\"`")
        }
        _ if near.clone().any(has_odd_space) => {
            mistake.mend("a space in this line or the one above is not a plain one")
        }
        _ if line.contains(": *") => mistake.mend("put patterns between quotes: `\"api-*\"`"),
        _ if line.contains(": >") || line.contains(": %") => {
            mistake.mend("put limits between quotes: `\"> 5%\"`")
        }
        "recursion limit exceeded" => Mistake::new("nested too deeply"),
        _ => mistake,
    }
}

/// A variable or a pattern that YAML takes for something of its own.
fn unquoted(line: &str) -> Option<Mistake> {
    let mut quote = None;
    let mut begin = 0;
    let mut before = ' ';
    let is_end = |c: char| matches!(c, ',' | ']' | '}');
    for (at, char) in line.char_indices() {
        match quote {
            Some(open) if open == char => quote = None,
            None if matches!(char, '"' | '\'') && at == begin => quote = Some(char),
            None if char == '#' && before == ' ' => return None,
            // Between the braces of a mapping, or at the end of a list, it would be one more.
            None if line[at..].starts_with("${") && line[..at].contains(['{', '[']) => {
                let end = line[at..].find('}').map_or(line.len(), |end| at + end + 1);
                let rest = line[end..].find(is_end).map_or(line.len(), |more| end + more);
                let value = line[begin..rest].trim();
                let name = &line[at..end];
                let mistake = Mistake::new(format!(
                    "`{name}` stands without quotes: to YAML its braces are a mapping"
                ));
                return Some(mistake.mend(format!("put quotes around it: `\"{value}\"`")));
            }
            None if char == '*' && at == begin => {
                let rest = line[at..].find(is_end).map_or(line.len(), |more| at + more);
                let value = line[at..rest].trim();
                let mistake = Mistake::new(format!(
                    "`{value}` stands without quotes: to YAML `*` begins an alias"
                ));
                return Some(mistake.mend(format!("put quotes around it: `\"{value}\"`")));
            }
            Some(_) | None => {}
        }
        if quote.is_none() && (matches!(char, '[' | '{' | ',' | ' ')) && !line[..at].ends_with('$')
        {
            begin = at + char.len_utf8();
        }
        before = char;
    }
    None
}

/// A space that looks like one and is none to YAML.
fn has_odd_space(line: &str) -> bool {
    line.contains(['\u{a0}', '\u{202f}', '\u{3000}'])
}

/// The key whose mapping holds the key at `place`.
fn parent_of(index: usize, text: &str, place: Marker) -> Option<String> {
    fn search(node: &MarkedMappingNode, name: &str, place: Marker) -> Option<String> {
        node.iter()
            .find_map(|(key, value)| {
                let Node::Mapping(inner) = value else { return None };
                let here = inner.span().start().zip(inner.span().end());
                let holds = here.is_some_and(|(start, end)| {
                    start.character() <= place.character() && place.character() <= end.character()
                });
                if !holds {
                    return None;
                }
                search(inner, key.as_str(), place).or_else(|| Some(key.as_str().to_owned()))
            })
            .or_else(|| (!name.is_empty()).then(|| name.to_owned()))
    }
    let lax = LoaderOptions::default().prevent_coercion(true);
    let node = parse_yaml_with_options(index, text, lax).ok()?;
    search(node.as_mapping()?, "", place)
}

/// Where text other than comments follows the policy: the parser stops there
/// without a word.
fn leftover(text: &str, node: &Node) -> Option<(usize, usize)> {
    let end = node.span().end()?;
    let offset = text.char_indices().nth(end.character()).map_or(text.len(), |(at, _)| at);
    let (head, rest) = text.split_at(offset);
    let (rest, skipped) = match rest.strip_prefix('}') {
        Some(rest) => (rest, 1),
        None => (rest, 0),
    };
    let (first, column) = end_of(head);
    for (number, line) in rest.lines().enumerate() {
        let content = line.trim();
        let harmless = content.is_empty() || content.starts_with('#') || content == "...";
        if !harmless {
            let column = if number == 0 { column + skipped } else { 1 };
            return Some((first + number, column));
        }
    }
    None
}

/// Whether every key has a value and nothing nests too deeply.
fn fill_check(node: &mut MarkedMappingNode, depth: usize, report: &mut Report) -> bool {
    if depth > MAX_DEPTH {
        report.span(node.span(), Mistake::new(format!("nested more than {MAX_DEPTH} deep")));
        return false;
    }
    let mut empty = Vec::new();
    for (key, value) in node.iter_mut() {
        if is_empty(value) {
            let text = format!("`{}` has no value", key.as_str());
            report.span(key.span(), Mistake::new(text).mend("give it one, or remove the key"));
            empty.push(key.clone());
        } else if !fill_check_value(value, depth, report) {
            return false;
        }
    }
    for key in empty {
        node.remove(&key);
        report.damage(&key);
    }
    true
}

fn fill_check_value(value: &mut Node, depth: usize, report: &mut Report) -> bool {
    match value {
        Node::Scalar(_) => true,
        Node::Mapping(inner) => fill_check(inner, depth + 1, report),
        Node::Sequence(items) => {
            if depth >= MAX_DEPTH {
                report
                    .span(items.span(), Mistake::new(format!("nested more than {MAX_DEPTH} deep")));
                return false;
            }
            items.iter_mut().all(|item| fill_check_value(item, depth + 1, report))
        }
    }
}

fn is_empty(value: &Node) -> bool {
    let Node::Scalar(scalar) = value else { return false };
    scalar.may_coerce() && matches!(scalar.as_str(), "" | "~" | "null" | "Null" | "NULL")
}
