//! Amounts in a policy file: stretches of time, shares, factors, numbers.

use jiff::SignedDuration;
use schemars::{Schema, json_schema};

use super::scalar::Scalar;
use crate::policy::diagnostic::Mistake;

/// A stretch of time: `15m`, `1h30m`, `1 day`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch(pub SignedDuration);

impl Scalar for Stretch {
    const EXPECTED: &'static str = "a duration such as `15m` or `1h30m`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        stretch(text).map(Self)
    }
}

/// Days are 24 hours, weeks seven of them; nothing longer, nothing negative.
pub(super) fn stretch(text: &str) -> Result<SignedDuration, Mistake> {
    if text.parse::<f64>().is_ok() {
        let mend = format!("did you mean `{text}s` or `{text}m`?");
        return Err(Mistake::new(format!("`{text}` has no unit")).mend(mend));
    }
    let no = || Mistake::new(format!("`{text}` is not a duration"));
    let span: jiff::Span =
        text.parse().map_err(|_| no().mend("write `30s`, `15m`, `1h30m` or `7d`"))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(no().mend("a watch is counted in days at most"));
    }
    let relative = jiff::SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(relative).map_err(|_| no())?;
    if duration.is_negative() {
        return Err(Mistake::new("a duration can't be negative"));
    }
    Ok(duration)
}

/// A share, 0-1, written in percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share(pub f64);

impl Scalar for Share {
    const EXPECTED: &'static str = "a share such as `50%`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let number = text.strip_suffix('%').map(|number| number.trim().parse::<f64>());
        match number {
            Some(Ok(percent)) if (0.0..=100.0).contains(&percent) => Ok(Self(percent / 100.0)),
            Some(_) => Err(Mistake::new(format!("`{text}` is not between `0%` and `100%`"))),
            None => Err(Mistake::new(format!("`{text}` is not a share")).mend("write it as `50%`")),
        }
    }
}

/// `2x`: this many times as bad; above 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times(pub f64);

impl Scalar for Times {
    const EXPECTED: &'static str = "a factor such as `2x`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        match text.strip_suffix('x').map(|number| number.trim().parse::<f64>()) {
            Some(Ok(times)) if times > 1.0 && times <= 1000.0 => Ok(Self(times)),
            Some(Ok(_)) => Err(Mistake::new(format!("`{text}` must be above `1x`"))),
            Some(Err(_)) | None => {
                Err(Mistake::new(format!("`{text}` is not a factor")).mend("write it as `2x`"))
            }
        }
    }
}

/// A quantile, between 0 and 1 and neither.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantile(pub f64);

impl Scalar for Quantile {
    const EXPECTED: &'static str = "a quantile such as `0.95`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        match text.parse::<f64>() {
            Ok(quantile) if quantile > 0.0 && quantile < 1.0 => Ok(Self(quantile)),
            _ => {
                let no = Mistake::new(format!("`{text}` is not a quantile between 0 and 1"));
                let percent = text.trim_start_matches(['p', 'P']).trim_end_matches('%');
                Err(match percent.parse::<u32>() {
                    Ok(percent @ 1..=99) => no.mend(format!("did you mean `0.{percent:02}`?")),
                    Ok(_) | Err(_) => no,
                })
            }
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 })
    }
}

/// A number of events, not negative.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count(pub f64);

impl Scalar for Count {
    const EXPECTED: &'static str = "a number of events";

    fn parse(text: &str) -> Result<Self, Mistake> {
        match text.parse::<f64>() {
            Ok(count) if (0.0..=1e12).contains(&count) => Ok(Self(count)),
            _ => Err(Mistake::new(format!("`{text}` is not a number of events"))),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

/// `1 in 1000`: a chance, 0-1.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneIn(pub f64);

impl OneIn {
    /// What the chance is one in: more often says nothing, more seldom can't
    /// be held.
    const RANGE: std::ops::RangeInclusive<u32> = 10..=1_000_000;

    /// What people write who mean the same: `0.1%`, `0.001`, `1/1000`, `1 in 1,000`.
    fn meant(text: &str) -> Option<u32> {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        let chance = if let Some(percent) = text.strip_suffix('%') {
            number(percent)? / 100.0
        } else if let Some((one, of)) = text.split_once('/').or_else(|| text.split_once(" in ")) {
            let of: String = of.chars().filter(|char| !",_' ".contains(*char)).collect();
            number(one)? / number(&of)?
        } else {
            number(text)?
        };
        let of = (1.0 / chance).round();
        let fits = f64::from(*Self::RANGE.start()) <= of && of <= f64::from(*Self::RANGE.end());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it fits")]
        fits.then_some(of as u32)
    }
}

impl Scalar for OneIn {
    const EXPECTED: &'static str = "a chance such as `1 in 1000`";

    fn parse(text: &str) -> Result<Self, Mistake> {
        let of = text.strip_prefix("1 in ").map(str::trim).filter(|of| !of.starts_with('+'));
        match of.and_then(|of| of.parse::<u32>().ok()) {
            Some(of) if Self::RANGE.contains(&of) => Ok(Self(1.0 / f64::from(of))),
            Some(of) => {
                let (most, least) = (Self::RANGE.start(), Self::RANGE.end());
                Err(Mistake::new(format!(
                    "`1 in {of}` is not between `1 in {most}` and `1 in {least}`"
                )))
            }
            None => {
                let no = Mistake::new(format!("`{text}` does not say one in how many"));
                Err(match Self::meant(text) {
                    Some(of) => no.mend(format!("did you mean `1 in {of}`?")),
                    None => no.mend("write it as `1 in 1000`"),
                })
            }
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^1 in +[0-9]{2,7}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let hour = SignedDuration::from_hours(1);
        for (text, duration) in [
            ("15m", SignedDuration::from_mins(15)),
            ("24h", hour * 24),
            ("1h30m", SignedDuration::from_mins(90)),
            ("1 day", hour * 24),
            ("7d", hour * 168),
            ("2 weeks", hour * 336),
            ("90s", SignedDuration::from_secs(90)),
        ] {
            assert_eq!(stretch(text), Ok(duration), "{text}");
        }
        for text in ["15", "-15m", "15 minuts", "", "1 month", "m", "1e9", "99999999999999999h"] {
            assert!(stretch(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_quantile_in_percent_is_mended() {
        assert_eq!(Quantile::parse("p95").unwrap_err().mend.unwrap(), "did you mean `0.95`?");
        assert!(Quantile::parse("0.95").is_ok());
        assert!(Quantile::parse("NaN").is_err());
    }

    #[test]
    fn a_chance_is_one_in_a_number_and_what_means_the_same_is_mended() {
        for (text, chance) in [("1 in 1000", 1e-3), ("1 in 10", 0.1), ("1 in 1000000", 1e-6)] {
            assert!((OneIn::parse(text).unwrap().0 - chance).abs() < 1e-12, "{text}");
        }
        for text in ["0.1%", "0.001", "1/1000", "1 in 1,000", "1 in 1_000", "2 in 2000"] {
            let mend = OneIn::parse(text).unwrap_err().mend;
            assert_eq!(mend.unwrap(), "did you mean `1 in 1000`?", "{text}");
        }
        for text in ["", "0", "0%", "1 in 0", "1 in 9", "1 in 1000001", "1 in +100", "-1%", "5"] {
            assert!(OneIn::parse(text).is_err(), "{text}");
        }
        for text in ["nan", "inf%", "1/0", "0/0", "seldom", "1 in 1e3x", "50%"] {
            let mend = OneIn::parse(text).unwrap_err().mend;
            assert_eq!(mend.unwrap(), "write it as `1 in 1000`", "{text}");
        }
    }

    #[test]
    fn a_share_is_written_in_percent() {
        assert!((Share::parse("50%").unwrap().0 - 0.5).abs() < 1e-12);
        assert!(Share::parse("0.5").is_err());
        assert!(Share::parse("nan%").is_err());
        assert!(Share::parse("101%").is_err());
    }
}
