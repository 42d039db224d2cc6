//! Conditions of Argo: `len(result) == 0 || result[0] < 0.05`.

use super::draw::Wanted;
use crate::policy::Side;

/// What a condition asks of a measurement.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Condition {
    /// The one comparison with a number.
    pub wanted: Option<Wanted>,
    /// It holds when the result is empty, or missing.
    pub holds_on_empty: bool,
    /// It holds when the result is not a number.
    pub holds_on_nan: bool,
    /// The number that `default(...)` puts in for a missing result.
    pub default: Option<f64>,
    /// It looks at the first series only.
    pub first_only: bool,
}

/// Reads a condition.
///
/// # Errors
/// Why it is none that a limit can say.
pub(super) fn read(text: &str) -> Result<Condition, String> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, at: 0, condition: Condition::default(), depth: 0 };
    reader.any(false)?;
    if reader.at < tokens.len() {
        return Err(format!("the condition `{text}` is not understood"));
    }
    if reader.condition.wanted.is_none() {
        return Err(format!("the condition `{text}` compares with no number"));
    }
    Ok(reader.condition)
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let pairs = ["&&", "||", "==", "!=", ">=", "<="];
        let length = if let Some(pair) = pairs.iter().find(|pair| rest.starts_with(**pair)) {
            pair.len()
        } else if first.is_alphanumeric() || first == '_' || first == '.' {
            rest.find(|c: char| !(c.is_alphanumeric() || "_.".contains(c))).unwrap_or(rest.len())
        } else if "()[]<>!#,-".contains(first) {
            1
        } else {
            return Err(format!("the condition `{text}` is not understood"));
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Brackets and signs within one another.
const MAX_DEPTH: usize = 32;

struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    condition: Condition,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    fn needs(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("a condition without its `{token}`")) }
    }

    /// `a || b`; `not`: the opposite is asked.
    fn any(&mut self, not: bool) -> Result<(), String> {
        self.all(not)?;
        while self.take("||") || self.take("or") {
            self.all(not)?;
        }
        Ok(())
    }

    fn all(&mut self, not: bool) -> Result<(), String> {
        self.one(not)?;
        while self.take("&&") || self.take("and") {
            self.one(not)?;
        }
        Ok(())
    }

    fn one(&mut self, not: bool) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the condition nests too deeply".to_owned());
        }
        let read = match self.peek() {
            "!" | "not" => {
                self.at += 1;
                self.one(!not)
            }
            "(" => {
                self.at += 1;
                self.any(not)?;
                self.needs(")")
            }
            "isNaN" | "isInf" | "isNil" => self.odd(not),
            "len" => self.length(not),
            "all" | "any" | "none" => self.every(not),
            _ => self.comparison(not),
        };
        self.depth -= 1;
        read
    }

    /// `isNaN(result[0])`
    fn odd(&mut self, not: bool) -> Result<(), String> {
        let missing = self.peek() == "isNil";
        self.at += 1;
        self.needs("(")?;
        self.subject()?;
        self.needs(")")?;
        let holds = if missing {
            &mut self.condition.holds_on_empty
        } else {
            &mut self.condition.holds_on_nan
        };
        *holds |= !not;
        Ok(())
    }

    /// `len(result) == 0`
    fn length(&mut self, not: bool) -> Result<(), String> {
        self.at += 1;
        self.needs("(")?;
        self.subject()?;
        self.needs(")")?;
        let sign = self.sign()?;
        let number = self.number()?;
        let on_empty = match sign.as_str() {
            "==" | "<=" => number == 0.0,
            "<" => number > 0.0,
            _ => false,
        };
        self.condition.holds_on_empty |= on_empty != not && (on_empty || not);
        Ok(())
    }

    /// `all(result, # < 5)`
    fn every(&mut self, not: bool) -> Result<(), String> {
        let word = self.peek().to_owned();
        self.at += 1;
        self.needs("(")?;
        self.subject()?;
        self.needs(",")?;
        self.comparison(not != (word == "none"))?;
        self.needs(")")?;
        self.condition.first_only = false;
        // All of nothing is true.
        self.condition.holds_on_empty |= (word != "any") != not;
        Ok(())
    }

    fn comparison(&mut self, not: bool) -> Result<(), String> {
        let wanted = if self.is_number() {
            let value = self.number()?;
            let sign = self.sign()?;
            self.subject()?;
            wanted(&sign, value)?.flipped()
        } else {
            self.subject()?;
            let sign = self.sign()?;
            wanted(&sign, self.number()?)?
        };
        if self.condition.wanted.is_some() {
            return Err(
                "it compares with two numbers, and a check's limits look one way".to_owned()
            );
        }
        self.condition.wanted = Some(if not { wanted.negated() } else { wanted });
        Ok(())
    }

    /// `result`, `result[0]`, `asFloat(...)`, `default(result[0], 0)`, `#`
    fn subject(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the condition nests too deeply".to_owned());
        }
        match self.peek() {
            "result" => {
                self.at += 1;
                if self.take("[") {
                    self.condition.first_only = true;
                    self.number()?;
                    self.needs("]")?;
                }
            }
            "#" => self.at += 1,
            "asFloat" | "asInt" | "float" | "int" => {
                self.at += 1;
                self.needs("(")?;
                self.subject()?;
                self.needs(")")?;
            }
            "default" => {
                self.at += 1;
                self.needs("(")?;
                self.subject()?;
                self.needs(",")?;
                self.condition.default = Some(self.number()?);
                self.needs(")")?;
            }
            other => return Err(format!("`{other}` in a condition is not understood")),
        }
        self.depth -= 1;
        Ok(())
    }

    fn is_number(&self) -> bool {
        self.peek() == "-" || self.peek().parse::<f64>().is_ok_and(f64::is_finite)
    }

    fn number(&mut self) -> Result<f64, String> {
        let minus = self.take("-");
        let number = self.peek().parse::<f64>().ok().filter(|number| number.is_finite());
        let number = number.ok_or_else(|| format!("`{}` is not a number", self.peek()))?;
        self.at += 1;
        Ok(if minus { -number } else { number })
    }

    fn sign(&mut self) -> Result<String, String> {
        let sign = self.peek().to_owned();
        if ["<", ">", "<=", ">=", "==", "!="].contains(&sign.as_str()) {
            self.at += 1;
            return Ok(sign);
        }
        Err(format!("`{sign}` is not a comparison"))
    }
}

fn wanted(sign: &str, value: f64) -> Result<Wanted, String> {
    let side = match sign {
        ">" => Side::Above,
        ">=" => Side::AtLeast,
        "<" => Side::Below,
        "<=" => Side::AtMost,
        _ => return Err(format!("a limit knows no `{sign}`")),
    };
    Ok(Wanted { side, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_with_what_they_make_of_nothing() {
        let below = Some(Wanted { side: Side::Below, value: 0.05 });
        let plain = read("result[0] < 0.05").unwrap();
        assert_eq!((plain.wanted, plain.first_only, plain.holds_on_empty), (below, true, false));
        let empty = read("len(result) == 0 || result[0] < 0.05").unwrap();
        assert!(empty.holds_on_empty && empty.wanted == below);
        assert!(!read("len(result) > 0 && result[0] < 0.05").unwrap().holds_on_empty);
        let nan = read("isNaN(result[0]) || result[0] < 0.05").unwrap();
        assert!(nan.holds_on_nan && !nan.holds_on_empty);
        assert!(!read("!isNaN(result[0]) && (result[0] < 0.05)").unwrap().holds_on_nan);
        assert_eq!(read("default(result[0], 0) < 0.05").unwrap().default, Some(0.0));
        assert!(read("all(result, # < 0.05)").unwrap().holds_on_empty);
        assert_eq!(read("0.05 > asFloat(result)").unwrap().wanted, below);
        let not = Some(Wanted { side: Side::AtLeast, value: 0.05 });
        assert_eq!(read("!(result[0] < 0.05)").unwrap().wanted, not);
    }

    #[test]
    fn what_no_limit_can_say_is_refused() {
        let deep = "!".repeat(1000);
        for text in
            ["", "true", "result[0]", "result == 'true'", "result[0] > 1 && result[0] < 5", &deep]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
