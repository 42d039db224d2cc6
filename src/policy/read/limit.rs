//! Limits as they are written: `< 0.1%`, `> 80% for 5m`, `> 1.5 GiB`.

use schemars::{Schema, json_schema};

use super::amount::stretch;
use super::scalar::Scalar;
use crate::policy::diagnostic::{Mistake, nearest};
use crate::policy::{Bound, Limit, Side, Unit};

impl Scalar for Bound {
    const EXPECTED: &'static str = "a bound such as `< 70%` or `> 500ms`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let limit = Limit::parse(text)?;
        match limit.hold {
            None => Ok(limit.bound),
            Some(_) => Err(Mistake::new(format!("`{text}`: the normal range knows no `for`"))),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": r"^\s*(<|<=|>|>=)\s*-?[0-9.]+\s*[A-Za-z%]*\s*$" })
    }
}

impl Scalar for Limit {
    const EXPECTED: &'static str = "a limit such as `> 5%` or `> 80% for 5m`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let text = text.trim();
        if let Some(failures) = failures(text) {
            return failures.map(|bound| Self { bound, hold: None });
        }
        let (bound, hold) = match text.split_once(" for ") {
            Some((bound, hold)) => (bound.trim(), Some(stretch(hold.trim())?)),
            None => (text, None),
        };
        Ok(Self { bound: bound_of(bound)?, hold })
    }

    fn schema() -> Schema {
        let pattern =
            r"^\s*((<|<=|>|>=)\s*-?[0-9.]+\s*[A-Za-z%]*(\s+for\s+.+)?|[0-9]+\s+failures?\s*)$";
        json_schema!({ "type": "string", "pattern": pattern })
    }
}

/// Where a leak ends: an amount without a side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wall {
    /// In base units.
    pub value: f64,
    pub unit: Unit,
}

impl Scalar for Wall {
    const EXPECTED: &'static str = "an amount such as `100%` or `2 GiB`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let text = text.trim();
        let amount = text.trim_start_matches(['<', '>', '=']).trim_start();
        let (value, unit) = quantity(amount)?;
        if amount != text {
            return Err(Mistake::new(format!("a wall has no side, and here is `{text}`"))
                .mend(format!("write `{amount}`")));
        }
        Ok(Self { value, unit })
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": r"^\s*-?[0-9.]+\s*[A-Za-z%]*\s*$" })
    }
}

/// Failures running that one limit may count.
const MOST_FAILURES: u32 = 1_000;

/// `3 failures`; `None` for a limit that speaks of none.
fn failures(text: &str) -> Option<Result<Bound, Mistake>> {
    let at = text.find("failure")?;
    let behind = text[at..].trim_start_matches("failure").trim_start_matches('s');
    let number = text[..at].trim();
    let digits = number.trim_start_matches(['<', '>', '=']).trim_start();
    let count = digits.parse::<u32>().ok().filter(|count| (1..=MOST_FAILURES).contains(count));
    Some(match count {
        Some(count) if digits == number && behind.is_empty() => {
            Ok(Bound { side: Side::AtLeast, value: f64::from(count), unit: Unit::Failures })
        }
        Some(count) => {
            let meant = Unit::Failures.show(f64::from(count));
            Err(Mistake::new(format!("`{text}`: failures running have no side and no `for`"))
                .mend(format!("did you mean `{meant}`?")))
        }
        None => Err(Mistake::new(format!(
            "`{text}` is no whole number of failures, from 1 to {MOST_FAILURES}"
        ))
        .mend("write `3 failures`")),
    })
}

/// The failures that a whole number stands for, alone or with a word such as `fails`.
fn count_of_failures(text: &str) -> Option<String> {
    let at = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, word) = (&text[..at], text[at..].trim().to_lowercase());
    let count = number.parse::<u32>().ok().filter(|count| (1..=MOST_FAILURES).contains(count))?;
    let is_slip = word.is_empty()
        || word.starts_with("fail")
        || !nearest(&word, ["failure", "failures"]).is_empty();
    is_slip.then(|| Unit::Failures.show(f64::from(count)))
}

fn bound_of(text: &str) -> Result<Bound, Mistake> {
    let sides =
        [(">=", Side::AtLeast), ("<=", Side::AtMost), (">", Side::Above), ("<", Side::Below)];
    let found = sides.iter().find_map(|(sign, side)| Some((text.strip_prefix(sign)?, *side)));
    let Some((amount, side)) = found else {
        let no = Mistake::new(format!("`{text}` does not say which side of it is meant"));
        return Err(match (quantity(text).is_ok(), count_of_failures(text)) {
            (true, Some(meant)) => no.mend(format!(
                "did you mean `> {text}` or `< {text}`, or `{meant}` of what is up or down?"
            )),
            (true, None) => no.mend(format!("did you mean `> {text}` or `< {text}`?")),
            (false, Some(meant)) => Mistake::new(format!("`{text}` is no limit"))
                .mend(format!("did you mean `{meant}`?")),
            (false, None) => no.mend("a limit reads `> 5%`"),
        });
    };
    if let Some(rest) = amount.trim_start().strip_prefix(['<', '>', '=']) {
        let rest = rest.trim_start_matches(['<', '>', '=', ' ']);
        let operator = &text[..text.len() - rest.len()];
        let sign = operator.chars().next().unwrap_or('>');
        let mistake = Mistake::new(format!("`{}` says twice which side is meant", operator.trim()));
        return Err(mistake.mend(format!("did you mean `{sign} {rest}`?")));
    }
    let (value, unit) = quantity(amount.trim())?;
    Ok(Bound { side, value, unit })
}

/// A number in base units, and which they are.
fn quantity(text: &str) -> Result<(f64, Unit), Mistake> {
    let split =
        text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (digits, unit) = (&text[..split], text[split..].trim());
    let number: f64 = digits
        .parse()
        .map_err(|_| Mistake::new(format!("`{text}` is not a number with a unit")))?;
    if unit.ends_with(['b', 'B']) && number >= 0.0 {
        return format!("{digits}{unit}")
            .parse::<bytesize::ByteSize>()
            .map(|size| {
                #[expect(clippy::cast_precision_loss, reason = "limits are round numbers")]
                let bytes = size.as_u64() as f64;
                (bytes, Unit::Bytes)
            })
            .map_err(|_| unknown_unit(unit));
    }
    // Divided where the factor is no exact number, so that 5% is 0.05 to the last bit.
    let (value, base) = match unit {
        "" => (number, Unit::Number),
        "%" => (number / 100.0, Unit::Ratio),
        "us" | "µs" => (number / 1e6, Unit::Seconds),
        "ms" => (number / 1e3, Unit::Seconds),
        "s" => (number, Unit::Seconds),
        "m" | "min" => (number * 60.0, Unit::Seconds),
        "h" => (number * 3600.0, Unit::Seconds),
        _ => return Err(unknown_unit(unit)),
    };
    if base == Unit::Seconds && number < 0.0 {
        return Err(Mistake::new(format!("`{text}` is a time before nothing began")));
    }
    Ok((value, base))
}

fn unknown_unit(unit: &str) -> Mistake {
    let units = ["%", "ms", "s", "m", "h", "kB", "MB", "GB", "KiB", "MiB", "GiB"];
    Mistake::new(format!("`{unit}` is not a unit")).mend_from(unit, &units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> (f64, Unit) {
        let limit = <Limit as Scalar>::parse(text).unwrap();
        (limit.bound.value, limit.bound.unit)
    }

    #[test]
    fn limits_are_kept_in_base_units() {
        assert_eq!(reads("> 5%"), (0.05, Unit::Ratio));
        assert_eq!(reads(">=0.1 %"), (0.001, Unit::Ratio));
        assert_eq!(reads("> 500ms"), (0.5, Unit::Seconds));
        assert_eq!(reads("> 2m"), (120.0, Unit::Seconds));
        assert_eq!(reads("> 1.5 GiB"), (1_610_612_736.0, Unit::Bytes));
        assert_eq!(reads("> 200MB"), (200e6, Unit::Bytes));
        assert_eq!(reads("< -3"), (-3.0, Unit::Number));
    }

    #[test]
    fn a_limit_may_have_to_hold() {
        let limit = <Limit as Scalar>::parse("> 80% for 5m").unwrap();
        assert_eq!(limit.hold, Some(jiff::SignedDuration::from_mins(5)));
        assert!(<Bound as Scalar>::parse("> 80% for 5m").is_err());
    }

    #[test]
    fn failures_are_counted_in_whole_numbers() {
        assert_eq!(reads("3 failures"), (3.0, Unit::Failures));
        assert_eq!(reads(" 1 failure "), (1.0, Unit::Failures));
        for text in [
            "0 failures",
            "1.5 failures",
            "-1 failures",
            "failures",
            "1001 failures",
            "> 3 failures",
            "3 failures for 5m",
            "3 failures running",
            "99999999999 failures",
        ] {
            assert!(<Limit as Scalar>::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_limit_is_refused_with_what_was_meant() {
        let mend = |text: &str| <Limit as Scalar>::parse(text).unwrap_err().mend;
        assert_eq!(mend("5%").unwrap(), "did you mean `> 5%` or `< 5%`?");
        assert_eq!(
            mend("3").unwrap(),
            "did you mean `> 3` or `< 3`, or `3 failures` of what is up or down?"
        );
        for text in ["3 fails", "3 failed", "3 Failure s", "3 falures"] {
            assert_eq!(mend(text).unwrap(), "did you mean `3 failures`?", "{text}");
        }
        assert_eq!(mend("1 fail").unwrap(), "did you mean `1 failure`?");
        assert_eq!(mend("3 apples").unwrap(), "a limit reads `> 5%`");
        assert_eq!(
            mend("> 5 sec").unwrap(),
            "known are `%`, `ms`, `s`, `m`, `h`, `kB`, `MB`, `GB`, `KiB`, `MiB` and `GiB`"
        );
        for text in [
            "",
            ">",
            "> x",
            "> nan",
            "> inf",
            "> 5%%",
            "=> 5",
            "> -2s",
            "> 1e3",
            "> 5% for",
            "> 5% for x",
        ] {
            assert!(<Limit as Scalar>::parse(text).is_err(), "{text}");
        }
    }
}
