//! promtool's notation of a series' samples.

/// Samples that a series may have: a week of seconds is less.
const MOST: usize = 700_000;

/// One place of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    Value(f64),
    /// No sample (`_`), or the series has ended (`stale`).
    Nothing,
}

impl Point {
    pub fn value(self) -> Option<f64> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing => None,
        }
    }
}

/// Reads `0+10x30`, `1 2 _ 4`, `5x10`, `_x5`, `stale`. As promtool has it, `axn` and
/// `a+bxn` are n + 1 samples and `_xn` are n. Beyond promtool, `..+10x30` goes on from
/// the latest value with 30 samples, each 10 more.
///
/// # Errors
/// Which word is none of these, and what to do about it.
pub fn points(text: &str) -> Result<Vec<Point>, (String, Option<String>)> {
    let mut points = Vec::new();
    let mut last = None;
    for word in text.split_whitespace() {
        let room = MOST - points.len().min(MOST);
        let more = of_word(word, last, room)?;
        last = more.iter().rev().find_map(|point| point.value()).or(last);
        points.extend(more);
    }
    if points.is_empty() {
        return Err(("no samples".to_owned(), Some("write `0+10x30` or `1 2 _ 4`".to_owned())));
    }
    Ok(points)
}

fn of_word(
    word: &str,
    last: Option<f64>,
    room: usize,
) -> Result<Vec<Point>, (String, Option<String>)> {
    let no = |why: &str| {
        let mend = "write `5`, `_`, `stale`, `5x10`, `_x5`, `0+10x30` or `..+10x30`";
        (format!("`{word}` {why}"), Some(mend.to_owned()))
    };
    let (head, times) = match word.rsplit_once('x') {
        Some((head, times)) => {
            let times = times.parse::<usize>().map_err(|_| no("is no samples"))?;
            (head, Some(times))
        }
        None => (word, None),
    };
    if times.unwrap_or(0) >= room {
        return Err(no(&format!("makes more than {MOST} samples")));
    }
    if head == "_" || head == "stale" {
        return Ok(vec![Point::Nothing; times.unwrap_or(1)]);
    }
    if let Some(step) = head.strip_prefix("..") {
        let last = last.ok_or_else(|| no("goes on from nothing"))?;
        let step = number(step).ok_or_else(|| no("is no samples"))?;
        return Ok(stepped(last, step, 1..=times.unwrap_or(1)));
    }
    let (first, step) = sum(head).ok_or_else(|| no("is no samples"))?;
    if step.is_some() && times.is_none() {
        return Err(no("does not say how often"));
    }
    Ok(stepped(first, step.unwrap_or(0.0), 0..=times.unwrap_or(0)))
}

fn stepped(first: f64, step: f64, times: std::ops::RangeInclusive<usize>) -> Vec<Point> {
    #[expect(clippy::cast_precision_loss, reason = "at most a few hundred thousand")]
    let nth = |index: usize| Point::Value(step.mul_add(index as f64, first));
    times.map(nth).collect()
}

/// `0+10`: the first value and the step, which the sign between them belongs to.
fn sum(text: &str) -> Option<(f64, Option<f64>)> {
    if let Some(value) = number(text) {
        return Some((value, None));
    }
    let signs = text.char_indices().filter(|(at, char)| *at > 0 && matches!(char, '+' | '-'));
    signs.into_iter().find_map(|(at, _)| {
        let (first, step) = text.split_at(at);
        Some((number(first)?, Some(number(step)?)))
    })
}

fn number(text: &str) -> Option<f64> {
    let bare = text.trim_start_matches(['+', '-']);
    let digits = bare.starts_with(|char: char| char.is_ascii_digit() || char == '.');
    (digits || matches!(bare, "NaN" | "Inf")).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let show = |point: &Point| match point {
            Point::Value(value) => value.to_string(),
            Point::Nothing => "_".to_owned(),
        };
        points(text).unwrap().iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn series_are_read_as_promtool_reads_them() {
        for (text, samples) in [
            ("-2+4x3", "-2 2 6 10"),
            (" 1-2x4", "1 -1 -3 -5 -7"),
            ("1x4", "1 1 1 1 1"),
            ("4 _x3 5", "4 _ _ _ 5"),
            ("1 _ stale 2.5", "1 _ _ 2.5"),
            ("1e3+1e-1x1", "1000 1000.1"),
            ("NaN -Inf", "NaN -inf"),
        ] {
            assert_eq!(shown(text), samples, "{text}");
        }
    }

    #[test]
    fn a_counter_goes_on_from_where_it_was() {
        assert_eq!(shown("0+10x2 ..+1x2 _ ..+5x1"), "0 10 20 21 22 _ 27");
        assert!(points("..+1x2").is_err());
    }

    #[test]
    fn what_is_no_samples_is_told() {
        for text in ["", "a", "1+2", "1x", "1xx2", "x3", "1x99999999", "inf", "1+ax3"] {
            assert!(points(text).is_err(), "{text}");
        }
    }
}
