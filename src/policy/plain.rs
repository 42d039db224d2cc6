//! Plain text with `${variables}`: the names and dimensions of CloudWatch, where nothing
//! needs to be escaped. What is asked of the web is cut the same way.

use super::diagnostic::Mistake;
use super::template::unknown_variable;

/// Cuts `text` at its variables: each piece of text with the variable behind it.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let now = rest?;
        let cut = now.find("${").and_then(|at| {
            let (before, name) = (&now[..at], &now[at + 2..]);
            name.find('}').map(|end| (before, &name[..end], &name[end + 1..]))
        });
        let Some((before, name, after)) = cut else {
            rest = None;
            return Some((now, None));
        };
        rest = Some(after);
        Some((before, Some(name)))
    })
}

/// The variables, in their order.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter_map(|(_, name)| name)
}

/// With every variable's value in its place.
pub(super) fn expand<'v>(text: &str, value: impl Fn(&str) -> &'v str) -> String {
    pieces(text).flat_map(|(before, name)| [before, name.map_or("", &value)]).collect()
}

/// Whether every variable is known. `${window}` is PromQL's.
pub(super) fn check(text: &str) -> Result<(), Mistake> {
    if names(text).count() < text.matches("${").count() {
        return Err(Mistake::new("a `${` without its `}`"));
    }
    names(text).try_for_each(|name| match name {
        "window" => Err(Mistake::new("`${window}` stands only in PromQL")),
        name => unknown_variable(name).map_or(Ok(()), Err),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_their_places() {
        let value = |name: &str| if name == "service" { "api" } else { "" };
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("${service}", "api"),
            ("a-${service}-b-${version}.", "a-api-b-."),
            ("$ {x} ${open", "$ {x} ${open"),
        ];
        for (text, expanded) in cases {
            assert_eq!(expand(text, value), expanded, "{text}");
        }
    }

    #[test]
    fn an_unknown_or_broken_variable_is_refused() {
        for good in ["${service}", "${labels.alb}/${cluster}", "no variable: $5"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["${serivce}", "${labels.}", "${", "a ${service", "${window}"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
