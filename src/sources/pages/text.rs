//! From a page to samples: Prometheus' text format, and `OpenMetrics`, which is that with an
//! end, exemplars and times in seconds.
//!
//! A series is written as PromQL writes a selector, so [`promql_parser`] reads it: quotes,
//! escapes, names in UTF-8. The crates that are made for such pages lose labels with a comma
//! in their value, or refuse good pages (series of one metric with different labels, a metric
//! without a `# TYPE` behind one that has it) and take a second for ten thousand lines.
//!
//! As in Prometheus one line that can't be read spoils the page: a missing series of errors
//! would look like none. Lines of metrics that nobody asks for are not looked into.

use std::collections::BTreeMap;

use promql_parser::parser::{Expr, parse};

/// One line of a page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// The metric's name among them, as `__name__`.
    pub labels: BTreeMap<String, String>,
    pub value: f64,
    /// In milliseconds, where the page says it itself.
    pub at: Option<i64>,
}

/// A line, cut but not read.
struct Line<'a> {
    /// `None`: it stands between the braces.
    name: Option<&'a str>,
    /// With the braces; empty where there are none.
    labels: &'a str,
    value: f64,
    at: Option<&'a str>,
}

/// What a page is that can be no page of metrics, by its whole.
fn other_than_metrics(text: &str) -> Option<&'static str> {
    let text = text.trim();
    // No line of metrics begins so; one that begins with a brace is no JSON as a whole.
    if text.starts_with('<') {
        return Some("HTML or XML");
    }
    let is_json =
        text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    is_json.then_some("JSON")
}

/// The samples of the metrics that `wanted` takes.
///
/// # Errors
/// Why the page can't be read, in words.
pub(super) fn samples(body: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Sample>, String> {
    let text = str::from_utf8(body).map_err(|_| "the page is not UTF-8".to_owned())?;
    if let Some(what) = other_than_metrics(text) {
        return Err(format!("the page is {what} and has no metrics: is its path right?"));
    }
    let is_open_metrics = text.trim_end().ends_with("# EOF");
    if !is_open_metrics && !text.is_empty() && !text.ends_with('\n') {
        return Err("the page is cut off: its last line has no end".to_owned());
    }
    let (mut found, mut good) = (Vec::new(), false);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line == "# EOF" && is_open_metrics {
            break;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let odd = || {
            let start: String = line.chars().filter(|char| !char.is_control()).take(60).collect();
            format!("line {} is no metric: {start}", number + 1)
        };
        let Some(cut) = cut(line) else {
            let name = name(line);
            if good && !name.is_empty() && !wanted(name) {
                continue;
            }
            return Err(odd());
        };
        good = true;
        if cut.name.is_some_and(|name| !wanted(name)) {
            continue;
        }
        let sample = cut.read(is_open_metrics).ok_or_else(odd)?;
        if sample.labels.get("__name__").is_some_and(|name| wanted(name)) {
            found.push(sample);
        }
    }
    if good { Ok(found) } else { Err("there is no metric on the page".to_owned()) }
}

/// The name that a line begins with; empty if with none.
fn name(line: &str) -> &str {
    let part = |char: char| char.is_ascii_alphanumeric() || "_:".contains(char);
    let end = line.find(|char| !part(char)).unwrap_or(line.len());
    let is_name = !line.starts_with(|char: char| char.is_ascii_digit());
    if is_name { &line[..end] } else { "" }
}

fn cut(line: &str) -> Option<Line<'_>> {
    let name = name(line);
    let rest = line[name.len()..].trim_start();
    let (labels, rest) = rest.split_at(braces(rest)?);
    if name.is_empty() && labels.is_empty() {
        return None;
    }
    // Behind the value there may be an exemplar.
    let mut words = rest.split('#').next()?.split_whitespace();
    let value = words.next()?.parse().ok()?;
    let line =
        Line { name: Some(name).filter(|name| !name.is_empty()), labels, value, at: words.next() };
    words.next().is_none().then_some(line)
}

/// The length of what stands in braces at the beginning; 0: nothing does. `None`: they
/// don't end.
fn braces(text: &str) -> Option<usize> {
    if !text.starts_with('{') {
        return Some(0);
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

impl Line<'_> {
    fn read(&self, is_open_metrics: bool) -> Option<Sample> {
        let mut labels = BTreeMap::new();
        if let Some(name) = self.name {
            labels.insert("__name__".to_owned(), name.to_owned());
        }
        if !self.labels.is_empty() {
            // Any name will do: one that is a word of PromQL might not.
            let stand_in = if self.name.is_some() { "x" } else { "" };
            let Ok(Expr::VectorSelector(read)) =
                parse(&format!("{stand_in}{}", known(self.labels)))
            else {
                return None;
            };
            for label in read.matchers.matchers {
                // A label without a value is none.
                if !label.value.is_empty() {
                    labels.insert(label.name, label.value);
                }
            }
        }
        let at = match self.at {
            None => None,
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
            Some(at) if is_open_metrics => Some((at.parse::<f64>().ok()? * 1000.0) as i64),
            Some(at) => Some(at.parse().ok()?),
        };
        Some(Sample { labels, value: self.value, at })
    }
}

/// With a backslash that escapes nothing as the text itself, as pages have it.
fn known(labels: &str) -> String {
    let mut out = String::with_capacity(labels.len());
    let mut chars = labels.chars().peekable();
    while let Some(char) = chars.next() {
        out.push(char);
        if char == '\\' {
            match chars.peek() {
                Some('\\' | '"' | 'n') => out.extend(chars.next()),
                Some(_) | None => out.push('\\'),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(page: &str) -> Result<Vec<(String, f64, Option<i64>)>, String> {
        let all = samples(page.as_bytes(), |name| name != "unwanted")?;
        let shown = |sample: Sample| {
            let labels = sample.labels.iter().filter(|(name, _)| *name != "__name__");
            let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
            let name = sample.labels["__name__"].clone();
            (format!("{name}|{}", labels.join("|")), sample.value, sample.at)
        };
        Ok(all.into_iter().map(shown).collect())
    }

    #[test]
    fn lines_are_read_as_prometheus_reads_them() {
        let cases: [(&str, &str, f64, Option<i64>); 13] = [
            ("a 1", "a|", 1.0, None),
            ("a{x=\"1\"} 2", "a|x=1", 2.0, None),
            ("  a { x = \"1\" , y=\"2\", }\t2e3 ", "a|x=1|y=2", 2000.0, None),
            ("a{x=\"1,y=\\\"}\\\\\\n#\"} 2", "a|x=1,y=\"}\\\n#", 2.0, None),
            ("a{path=\"C:\\dir\"} 2", "a|path=C:\\dir", 2.0, None),
            ("a{by=\"b\",sum=\"c\",bool=\"d\"} 2", "a|bool=d|by=b|sum=c", 2.0, None),
            ("sum 2", "sum|", 2.0, None),
            ("bool{x=\"\"} 2", "bool|", 2.0, None),
            ("a:b:c{le=\"+Inf\"} +Inf", "a:b:c|le=+Inf", f64::INFINITY, None),
            ("a{x=\"1\"} 2 1700000000123", "a|x=1", 2.0, Some(1_700_000_000_123)),
            ("{\"my.metric\",\"a.b\"=\"é\"} 2", "my.metric|a.b=é", 2.0, None),
            ("a{x=\"1\"}2", "a|x=1", 2.0, None),
            ("a -0.5 -1", "a|", -0.5, Some(-1)),
        ];
        for (line, series, value, at) in cases {
            let page = format!("# HELP a b\n# TYPE a counter\n\n{line}\r\n");
            assert_eq!(read(&page), Ok(vec![(series.to_owned(), value, at)]), "{line}");
        }
        assert!(read("a NaN\n").unwrap()[0].1.is_nan());
    }

    #[test]
    fn open_metrics_has_exemplars_times_in_seconds_and_an_end() {
        let page = "# TYPE a counter\n# UNIT a seconds\n\
                    a_total{x=\"1\"} 2 1700000000.5 # {trace=\"#7\"} 1 1.5\n\
                    a_created{x=\"1\"} 3\n# EOF";
        let read = read(page).unwrap();
        assert_eq!(read[0], ("a_total|x=1".into(), 2.0, Some(1_700_000_000_500)));
        assert_eq!(read[1], ("a_created|x=1".into(), 3.0, None));
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn what_is_no_page_of_metrics_is_refused_with_the_line() {
        let cases = [
            ("", "there is no metric on the page"),
            ("# nothing\n", "there is no metric on the page"),
            ("a 1\nb 2", "the page is cut off: its last line has no end"),
            ("<!DOCTYPE html>", "the page is HTML or XML and has no metrics: is its path right?"),
            ("<html>\n", "the page is HTML or XML and has no metrics: is its path right?"),
            ("{\"status\":\"ok\"}", "the page is JSON and has no metrics: is its path right?"),
            ("[]\n", "the page is JSON and has no metrics: is its path right?"),
            ("{\"status\":\n", "line 1 is no metric: {\"status\":"),
            ("OK\n", "line 1 is no metric: OK"),
            ("a 1\nb{x=\"1} 2\n", "line 2 is no metric: b{x=\"1} 2"),
            ("a 1\nb{x=1} 2\n", "line 2 is no metric: b{x=1} 2"),
            ("a 1\nb many\n", "line 2 is no metric: b many"),
            ("a 1\nb 1 2 3\n", "line 2 is no metric: b 1 2 3"),
            ("a 1 soon\n", "line 1 is no metric: a 1 soon"),
        ];
        for (page, why) in cases {
            assert_eq!(read(page), Err(why.to_owned()), "{page}");
        }
        assert_eq!(samples(b"a \xff\n", |_| true), Err("the page is not UTF-8".to_owned()));
    }

    #[test]
    fn what_nobody_asks_for_is_not_looked_into() {
        let page = "a 1\nunwanted{x=1} 2\nunwanted odd\n";
        assert_eq!(read(page), Ok(vec![("a|".to_owned(), 1.0, None)]));
    }
}
