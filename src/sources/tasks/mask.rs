//! Takes secrets out of lines of a log. Pure.
//!
//! What looks like a secret becomes `***`: better one word too many than one too few, because
//! a line that people read in Slack stays there. A secret without any mark around it can't be
//! known for one; that is why log excerpts are off by default.

use std::sync::LazyLock;

use regex::Regex;

/// Lines that are kept, the last ones.
pub(super) const MOST_LINES: usize = 20;
/// Bytes that are kept of them together, of the last ones.
const MOST_BYTES: usize = 4 * 1024;
/// Characters of one line.
const MOST_OF_A_LINE: usize = 500;

/// What a secret's name ends with or has in it.
const NAMES: &str = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|auth|authorization|signature|session|cookie|dsn|x-amz-[a-z-]+)";

/// A pattern, and what stands in its place.
type Rule = (Regex, &'static str);

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let name = NAMES;
    let texts: [(String, &'static str); 9] = [
        // Keys of AWS, and of others that begin with a mark of their own.
        (r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b".into(), "***"),
        (r"\b(?:ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abeoprs]|sk|rk|pk)[-_][A-Za-z0-9_-]{10,}".into(), "***"),
        // A JWT, whole or cut.
        (r"\beyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,2}".into(), "***"),
        // `Bearer x`, `Basic x`, also behind a header's name.
        (r"(?i)\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{4,}".into(), "$1 ***"),
        // The password of a URL: up to the last `@` before the path, because it may hold one.
        (r#"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/"'<>]*@"#.into(), "$1***@"),
        // `name=value`, `name: value` and their kin in JSON, value in quotes.
        (format!(r#"(?i)((?:[a-z0-9]+[_.-])*[a-z0-9_-]*{name}[a-z0-9_-]*\\?["']?\s*(?:=>|[:=])\s*)\\?"(?:[^"\\]|\\.)*\\?""#), "$1\"***\""),
        (format!(r"(?i)((?:[a-z0-9]+[_.-])*[a-z0-9_-]*{name}[a-z0-9_-]*\\?[\x22']?\s*(?:=>|[:=])\s*)'[^']*'"), "$1'***'"),
        // The same without quotes: up to what ends a value.
        (format!(r#"(?i)((?:[a-z0-9]+[_.-])*[a-z0-9_-]*{name}[a-z0-9_-]*\\?["']?\s*(?:=>|[:=])\s*)[^\s"',;&)\]}}]+"#), "$1***"),
        // 40 characters of base64 beside nothing: a secret key of AWS.
        (r"(^|[^A-Za-z0-9/+=])[A-Za-z0-9/+]*[/+][A-Za-z0-9/+]*[A-Za-z0-9/+]{20,}={0,2}($|[^A-Za-z0-9/+=])".into(), "$1***$2"),
    ];
    let rules = texts.into_iter().filter_map(|(text, put)| Some((Regex::new(&text).ok()?, put)));
    rules.collect()
});

/// The last lines, without secrets and within bounds. Oldest first, as they came.
pub(super) fn excerpt<'a>(messages: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut masked = Vec::new();
    let mut in_key = false;
    for line in messages.into_iter().flat_map(str::lines) {
        // What is between these two lines is nothing but key.
        let (begins, ends) = (line.contains("-----BEGIN "), line.contains("-----END "));
        if begins && !in_key {
            masked.push("*** (a key)".to_owned());
        } else if !in_key && !ends {
            masked.push(mask(line));
        } else if ends && !in_key {
            // It began before the excerpt: what was taken for lines of a log is its body.
            masked.clear();
            masked.push("*** (a key)".to_owned());
        }
        in_key = (in_key || begins) && !ends;
    }
    let mut room = MOST_BYTES;
    let mut kept: Vec<String> = masked
        .into_iter()
        .rev()
        .take(MOST_LINES)
        .map_while(|line| {
            room = room.checked_sub(line.len())?;
            Some(line)
        })
        .collect();
    kept.reverse();
    kept
}

/// One line without secrets. Masked first and cut then: a cut must not hide a secret's mark.
pub(in crate::sources) fn mask(line: &str) -> String {
    let plain: String = line.chars().filter(|c| !c.is_control() || *c == '\t').collect();
    let masked = RULES
        .iter()
        .fold(plain, |line, (pattern, put)| pattern.replace_all(&line, *put).into_owned());
    masked.chars().take(MOST_OF_A_LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_a_pattern() {
        assert_eq!(RULES.len(), 9, "one that does not compile would mask nothing");
    }

    #[test]
    fn what_looks_like_a_secret_is_masked_wherever_it_stands() {
        let secrets = [
            ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
            ("aws_secret_access_key = wJalrXUtnFEMIxK7MDENG", "wJalrXUtnFEMIxK7MDENG"),
            ("Authorization: Bearer abc.def-123", "abc.def-123"),
            ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
            ("postgres://app:p@ss:w0rd@db:5432/shop", "p@ss"),
            ("postgres://app:p@ss:w0rd@db:5432/shop", "w0rd"),
            ("redis://:hunter2@cache", "hunter2"),
            (r#"{"password":"a b \" c","user":"x"}"#, "b \\\" c"),
            (r#"{"db_password": 12345}"#, "12345"),
            (r#"msg="{\"apiKey\":\"s3cr3t\"}""#, "s3cr3t"),
            ("DB_PASSWORD='it is here' ok", "it is here"),
            ("PASSWORD=hunter2;next", "hunter2"),
            ("GET /cb?access_token=zzz999&x=1", "zzz999"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_9", "eyJzdWIiOiIxIn0"),
            ("cut jwt eyJhbGciOiJIUzI1NiJ9", "eyJhbGci"),
            ("slack xoxb-1234567890-abcdef", "1234567890"),
            ("ghp_abcdefghijklmnop", "abcdefghijklmnop"),
            ("X-Amz-Signature=fe5f80f77d5fa3beca", "fe5f80f77d5fa3beca"),
            ("Set-Cookie: sid=abc123", "abc123"),
        ];
        for (line, secret) in secrets {
            let masked = mask(line);
            assert!(!masked.contains(secret), "{line} -> {masked}");
            assert!(masked.contains("***"), "{line} -> {masked}");
        }
    }

    #[test]
    fn a_plain_line_stays_as_it_is() {
        for line in [
            "panicked at src/main.rs:12: index out of bounds: the len is 3 but the index is 3",
            "GET /checkout 500 in 12 ms",
            "could not connect to db.internal:5432: connection refused",
            "https://example.com/a/b?page=2",
            "java.lang.OutOfMemoryError: Java heap space",
        ] {
            assert_eq!(mask(line), line);
        }
    }

    #[test]
    fn a_private_key_is_masked_as_a_whole_also_where_it_began_before_the_excerpt() {
        let key = [
            "start",
            "-----BEGIN RSA PRIVATE KEY-----",
            "MIIE",
            "-----END RSA PRIVATE KEY-----",
            "end",
        ];
        assert_eq!(excerpt(key), ["start", "*** (a key)", "end"]);
        assert_eq!(
            excerpt(["MIIE", "abc", "-----END PRIVATE KEY-----", "end"]),
            ["*** (a key)", "end"]
        );
        assert_eq!(
            excerpt(["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nend"]),
            ["*** (a key)", "end"]
        );
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more_than_fit() {
        let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        let kept = excerpt(lines.iter().map(String::as_str));
        assert_eq!((kept.len(), kept[19].as_str()), (20, "line 99"));
        let long = "x ".repeat(5_000);
        let kept = excerpt(std::iter::repeat_n(long.as_str(), 20));
        assert_eq!(kept.len(), 8);
        assert!(kept.iter().map(String::len).sum::<usize>() <= MOST_BYTES);
        assert_eq!(mask("a\u{1b}[31mb"), "a[31mb");
    }
}
