//! Arguments with `${variables}`: a value fills the argument that it stands in and can't be
//! more than that. Pure.

use std::collections::BTreeMap;

/// What is known of a deployment, by the variable's name: `service`, `labels.tier`.
pub type Values = BTreeMap<String, String>;

/// What every caller can say, besides `labels.NAME`. A deployment may lack some of them.
const OF_A_DEPLOYMENT: [&str; 5] = ["service", "environment", "cluster", "version", "revision"];
/// What only a rollback can say: of what it goes back to.
const OF_A_ROLLBACK: [&str; 2] = ["deployment", "target.revision"];

/// The longest value, in bytes.
const MOST_BYTES: usize = 4096;

/// Whether a variable of this name is said for commands of every purpose.
pub(super) fn is_of_every_purpose(name: &str) -> bool {
    let label = name.strip_prefix("labels.").is_some_and(|label| !label.is_empty());
    label || OF_A_DEPLOYMENT.contains(&name)
}

/// Whether any purpose says a variable of this name.
pub(super) fn is_known(name: &str) -> bool {
    is_of_every_purpose(name) || OF_A_ROLLBACK.contains(&name)
}

/// Text cut at its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Template {
    /// # Errors
    /// Which variable is unknown, or not closed, and which there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("`{text}` has a `${{` without its `}}`"))?;
            if !is_known(name) {
                let known = [&OF_A_DEPLOYMENT[..], &["labels.NAME"], &OF_A_ROLLBACK[..]].concat();
                return Err(format!(
                    "unknown variable `${{{name}}}` in `{text}`: there are {}",
                    known.join(", ")
                ));
            }
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        if text.contains('\0') {
            return Err("there is a zero byte in it, which no program can be given".to_owned());
        }
        Ok(Self(pieces))
    }

    /// The variables, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The argument with every value in its place.
    ///
    /// # Errors
    /// Which value is not known, can't be an argument, or would make a flag of it.
    pub(super) fn fill(&self, values: &Values) -> Result<String, String> {
        let filled = self.fill_freely(values)?;
        match self.0.first() {
            Some(Piece::Variable(name)) if filled.starts_with('-') => Err(format!(
                "the value of `${{{name}}}` begins with `-`, and the program would take it for a flag"
            )),
            Some(Piece::Variable(_) | Piece::Text(_)) | None => Ok(filled),
        }
    }

    /// As [`Template::fill`], for what no program takes for a flag.
    pub(super) fn fill_freely(&self, values: &Values) -> Result<String, String> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Variable(name) => {
                    let value = values.get(name).map_or("", String::as_str);
                    if value.is_empty() {
                        return Err(format!("`${{{name}}}` is not known of this deployment"));
                    }
                    if value.len() > MOST_BYTES || value.chars().any(char::is_control) {
                        return Err(format!(
                            "the value of `${{{name}}}` is no argument: it is longer than \
                             {MOST_BYTES} bytes or has control characters in it"
                        ));
                    }
                    filled.push_str(value);
                }
            }
        }
        Ok(filled)
    }
}
