//! Patterns over whole names: `*` for any characters, `?` for one, `{a,b}` for either.
//!
//! Small on purpose: whether two patterns can match one name is answered
//! exactly, which character classes and nested choices would make guesswork.

use std::collections::{BTreeSet, HashSet};

/// Choices that one pattern may stand for.
const MAX_CHOICES: usize = 64;
/// Characters of a pattern; a name on the platform has at most 255.
const MAX_LENGTH: usize = 255;

/// A pattern, as the plain patterns (without choices) that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    choices: Vec<Vec<Token>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// In words: empty, too long, or with signs that a pattern does not know.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a pattern can't be empty".to_owned());
        }
        if text.chars().count() > MAX_LENGTH {
            return Err(format!("a pattern has at most {MAX_LENGTH} characters"));
        }
        let choices = expand(text)?;
        Ok(Self { choices: choices.iter().map(|choice| tokens(choice)).collect() })
    }

    /// Whether it matches the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<Token> = name.chars().map(Token::Char).collect();
        self.choices.iter().any(|choice| meet(choice, &name).is_some())
    }

    /// The names that it stands for, where it has no wildcard.
    pub fn plain(&self) -> Option<Vec<String>> {
        let letters = |choice: &Vec<Token>| {
            choice
                .iter()
                .map(|token| match token {
                    Token::Char(char) => Some(*char),
                    Token::One | Token::Many => None,
                })
                .collect()
        };
        self.choices.iter().map(letters).collect()
    }

    /// Whether `name` is one of the choices, letter by letter, without wildcards.
    pub fn names(&self, name: &str) -> bool {
        let name: Vec<Token> = name.chars().map(Token::Char).collect();
        self.choices.contains(&name)
    }

    /// Whether it matches every name that `other` matches. `None`: the patterns are
    /// too entangled to tell.
    pub fn covers(&self, other: &Self) -> Option<bool> {
        other
            .choices
            .iter()
            .try_fold(true, |all, choice| Some(all && covers(&self.choices, choice)?))
    }

    /// A shortest-effort name that both match; `None` when there is none.
    pub fn shared(&self, other: &Self) -> Option<String> {
        self.choices.iter().find_map(|a| other.choices.iter().find_map(|b| meet(a, b)))
    }
}

/// `a{b,c}` as `ab` and `ac`.
fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut done = vec![String::new()];
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '[', ']', '\\', ',', '!']) {
        if !rest[at..].starts_with('{') {
            return Err("a pattern knows `*`, `?` and `{a,b}`, and names for the rest".to_owned());
        }
        let end = rest[at..].find('}').ok_or("the `{` of the pattern is never closed")? + at;
        let choices: Vec<&str> = rest[at + 1..end].split(',').collect();
        if choices.iter().any(|choice| choice.is_empty() || choice.contains(['{', '[', '\\', '!']))
        {
            return Err("the choices of a pattern are plain: `{api,web-*}`".to_owned());
        }
        let head = &rest[..at];
        done = done
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{head}{choice}")))
            .collect();
        if done.len() > MAX_CHOICES {
            return Err(format!("a pattern stands for at most {MAX_CHOICES} choices"));
        }
        rest = &rest[end + 1..];
    }
    Ok(done.into_iter().map(|start| start + rest).collect())
}

fn tokens(text: &str) -> Vec<Token> {
    text.chars()
        .map(|char| match char {
            '*' => Token::Many,
            '?' => Token::One,
            char => Token::Char(char),
        })
        .collect()
}

/// A name that both patterns match. Walks the pairs of positions once each.
fn meet(a: &[Token], b: &[Token]) -> Option<String> {
    let mut seen = HashSet::new();
    let mut open = vec![(0, 0, String::new())];
    while let Some((i, j, name)) = open.pop() {
        if !seen.insert((i, j)) {
            continue;
        }
        let with = |char: char| format!("{name}{char}");
        match (a.get(i), b.get(j)) {
            (None, None) => return Some(name),
            (Some(Token::Many), Some(Token::Many)) => {
                open.extend([(i + 1, j, name.clone()), (i, j + 1, name)]);
            }
            (Some(Token::Many), Some(other)) => {
                open.extend([(i, j + 1, with(letter(*other))), (i + 1, j, name)]);
            }
            (Some(other), Some(Token::Many)) => {
                open.extend([(i + 1, j, with(letter(*other))), (i, j + 1, name)]);
            }
            (Some(Token::Many), None) => open.push((i + 1, j, name)),
            (None, Some(Token::Many)) => open.push((i, j + 1, name)),
            (Some(Token::One), Some(other)) | (Some(other), Some(Token::One)) => {
                open.push((i + 1, j + 1, with(letter(*other))));
            }
            (Some(Token::Char(x)), Some(Token::Char(y))) if x == y => {
                open.push((i + 1, j + 1, with(*x)));
            }
            (Some(_), Some(_) | None) | (None, Some(_)) => {}
        }
    }
    None
}

/// Positions that a walk over two patterns may visit.
const MAX_STEPS: usize = 10_000;

/// Whether some of `choices` matches each name that `pattern` matches. Walks both
/// letter by letter, on all ways through `choices` at once.
fn covers(choices: &[Vec<Token>], pattern: &[Token]) -> Option<bool> {
    let mut letters: BTreeSet<char> = BTreeSet::new();
    for token in choices.iter().flatten().chain(pattern) {
        if let Token::Char(char) = token {
            letters.insert(*char);
        }
    }
    // One that neither names stands for all others.
    letters.extend(('\u{e000}'..='\u{f8ff}').find(|char| !letters.contains(char)));
    let start = (0..choices.len()).map(|choice| (choice, 0)).collect();
    let mut open = vec![(0, past_stars(choices, start))];
    let mut seen = HashSet::new();
    while let Some((at, places)) = open.pop() {
        if !seen.insert((at, places.clone())) {
            continue;
        }
        if seen.len() > MAX_STEPS {
            return None;
        }
        let next = |char: char| {
            let steps =
                places.iter().filter_map(|(choice, place)| match choices[*choice].get(*place)? {
                    Token::Many => Some((*choice, *place)),
                    Token::One => Some((*choice, place + 1)),
                    Token::Char(own) => (*own == char).then_some((*choice, place + 1)),
                });
            past_stars(choices, steps.collect())
        };
        match pattern.get(at) {
            None if places.iter().all(|(choice, place)| *place < choices[*choice].len()) => {
                return Some(false);
            }
            None => {}
            Some(Token::Char(char)) => open.push((at + 1, next(*char))),
            Some(Token::One) => open.extend(letters.iter().map(|char| (at + 1, next(*char)))),
            Some(Token::Many) => {
                open.extend(letters.iter().map(|char| (at, next(*char))));
                open.push((at + 1, places));
            }
        }
    }
    Some(true)
}

/// The places, and those behind the stars that they stand before.
fn past_stars(
    choices: &[Vec<Token>],
    mut places: BTreeSet<(usize, usize)>,
) -> BTreeSet<(usize, usize)> {
    let mut open: Vec<_> = places.iter().copied().collect();
    while let Some((choice, place)) = open.pop() {
        if let Some(Token::Many) = choices[choice].get(place)
            && places.insert((choice, place + 1))
        {
            open.push((choice, place + 1));
        }
    }
    places
}

fn letter(token: Token) -> char {
    match token {
        Token::Char(char) => char,
        Token::One | Token::Many => 'x',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Glob {
        Glob::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_matches_whole_names_only() {
        assert!(glob("shopflow-*").matches("shopflow-api"));
        assert!(!glob("shopflow-*").matches("old-shopflow-api"));
        assert!(glob("{api,web}-?").matches("web-2"));
        assert!(!glob("{api,web}-?").matches("web-22"));
        assert!(glob("*").matches(""));
    }

    #[test]
    fn two_patterns_share_a_name_exactly_when_there_is_one() {
        let cases = [
            ("shopflow-*", "shopflow-api", true),
            ("shopflow-*", "*-api", true),
            ("shopflow-*", "taskflow-*", false),
            ("a*b", "*c", false),
            ("a*b*", "*c", true),
            ("a?c", "abc", true),
            ("a?c", "abbc", false),
            ("{api,web}", "w*", true),
            ("{api,web}", "x*", false),
        ];
        for (a, b, shares) in cases {
            for (a, b) in [(a, b), (b, a)] {
                let shared = glob(a).shared(&glob(b));
                assert_eq!(shared.is_some(), shares, "{a} and {b}");
                if let Some(name) = shared {
                    assert!(glob(a).matches(&name) && glob(b).matches(&name), "{a}, {b}: {name}");
                }
            }
        }
    }

    #[test]
    fn a_pattern_covers_another_exactly_when_it_matches_all_of_its_names() {
        let cases = [
            ("shop-*", "shop-a*", true),
            ("shop-a*", "shop-*", false),
            ("shop-*", "shop-api", true),
            ("shop-*", "*", false),
            ("*", "shop-*", true),
            ("a?*", "a*", false),
            ("a*", "a?*", true),
            ("*?", "?*", true),
            ("{a*,b}", "{b,ac}", true),
            ("{a,b}", "?", false),
            ("*a*b*", "*ab", true),
            ("*ab", "*a*b*", false),
            ("a", "a", true),
        ];
        for (wide, narrow, covers) in cases {
            assert_eq!(glob(wide).covers(&glob(narrow)), Some(covers), "{wide} and {narrow}");
        }
        let long = glob(&format!("*a{}", "?".repeat(60)));
        assert!(long.covers(&long).is_none(), "too much to walk through");
    }

    #[test]
    fn a_wildcard_names_nothing_letter_by_letter() {
        assert!(glob("{deployguard,other}").names("deployguard"));
        assert!(!glob("deploy*").names("deployguard"));
    }

    #[test]
    fn a_pattern_without_wildcards_is_its_names() {
        assert_eq!(glob("shop-{api,web}").plain().unwrap(), ["shop-api", "shop-web"]);
        assert_eq!(glob("{api,web-*}").plain(), None);
    }

    #[test]
    fn many_stars_cost_little() {
        let long = "*a".repeat(100);
        assert!(glob(&long).shared(&glob(&"b*".repeat(100))).is_some());
        assert!(!glob(&long).matches(&"ab".repeat(120)));
    }

    #[test]
    fn what_a_pattern_does_not_know_is_refused() {
        for text in ["", "a[bc]", "{a", "a}", "{a,{b}}", "{,a}", "!a", &"{a,b}".repeat(7)] {
            assert!(Glob::parse(text).is_err(), "{text}");
        }
    }
}
