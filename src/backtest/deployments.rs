//! The list of past deployments, as CSV.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use csv::{ByteRecord, ReaderBuilder, Trim};
use jiff::Timestamp;
use serde::Serialize;

use crate::model::RollbackSafe;
use crate::policy::{Diagnostic, nearest};

/// A deployment that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Past {
    pub id: String,
    pub service: String,
    pub environment: String,
    /// When its roll-out began.
    pub at: Timestamp,
    pub labels: BTreeMap<String, String>,
    /// Whether it may be undone; what the list does not say may be.
    pub rollback_safe: RollbackSafe,
    /// The truth, where it is known: `Some(None)` is healthy.
    pub bad_from: Option<Option<Timestamp>>,
}

/// More are a mistaken file.
const MOST_ROWS: usize = 100_000;
/// More are not read on for.
const MOST_MISTAKES: usize = 100;
/// Bytes of the file.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of an id or a name.
const LONGEST: usize = 256;
const REQUIRED: [&str; 4] = ["id", "service", "environment", "at"];
const COLUMNS: [&str; 7] =
    ["id", "service", "environment", "at", "labels", "rollback_safe", "bad_from"];

/// Reads the deployments of `file`, in its order.
///
/// # Errors
/// Every mistake, with its line and field.
pub fn read_deployments(file: &str, text: impl Read) -> Result<Vec<Past>, Vec<Diagnostic>> {
    let mut desk = Desk { file, mistakes: Vec::new() };
    // One byte more than allowed shows that there is more.
    let mut bytes = Vec::new();
    match text.take(MOST_BYTES + 1).read_to_end(&mut bytes) {
        Err(error) => desk.tell(1, error.to_string()),
        Ok(read) if read as u64 > MOST_BYTES => {
            desk.tell(1, format!("the file is larger than {} MiB", MOST_BYTES >> 20));
        }
        Ok(_) => {}
    }
    if !desk.mistakes.is_empty() {
        return Err(desk.mistakes);
    }
    let mut reader =
        ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(bytes.as_slice());
    let header = match reader.byte_headers() {
        Ok(header) => header.clone(),
        Err(error) => {
            desk.tell(1, error.to_string());
            return Err(desk.mistakes);
        }
    };
    let columns = desk.columns(&header);
    if !desk.mistakes.is_empty() {
        return Err(desk.mistakes);
    }
    let mut found: Vec<Past> = Vec::new();
    let mut lines: HashMap<String, u64> = HashMap::new();
    for record in reader.byte_records() {
        if desk.mistakes.len() >= MOST_MISTAKES {
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                desk.tell(1, error.to_string());
                break;
            }
        };
        let line = record.position().map_or(1, csv::Position::line);
        if found.len() >= MOST_ROWS {
            desk.tell(line, format!("there are more than {MOST_ROWS} deployments"));
            break;
        }
        let Some(past) = desk.past(line, &record, &columns) else { continue };
        if let Some(first) = lines.get(&past.id) {
            desk.tell(line, format!("id: `{}` is the id of line {first} already", past.id));
        } else {
            lines.insert(past.id.clone(), line);
            found.push(past);
        }
    }
    if desk.mistakes.is_empty() { Ok(found) } else { Err(desk.mistakes) }
}

struct Desk<'a> {
    file: &'a str,
    mistakes: Vec<Diagnostic>,
}

impl Desk<'_> {
    fn tell(&mut self, line: u64, message: String) {
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        self.mistakes.push(Diagnostic { line, ..Diagnostic::of_file(self.file, message) });
    }

    /// The column of each field.
    fn columns(&mut self, header: &ByteRecord) -> HashMap<&'static str, usize> {
        let mut columns = HashMap::new();
        for (index, name) in header.iter().enumerate() {
            let name = shown(name);
            match COLUMNS.iter().find(|known| **known == name) {
                Some(known) if columns.insert(*known, index).is_some() => {
                    self.tell(1, format!("the column `{known}` is there twice"));
                }
                Some(_) => {}
                None => {
                    let near = nearest(&name, COLUMNS.iter().copied());
                    let mend = near.first().map_or_else(
                        || format!("known are {}", COLUMNS.join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.tell(1, format!("unknown column `{name}`; {mend}"));
                }
            }
        }
        for name in REQUIRED.iter().filter(|name| !columns.contains_key(**name)) {
            self.tell(1, format!("the column `{name}` is missing"));
        }
        columns
    }

    fn past(
        &mut self,
        line: u64,
        record: &ByteRecord,
        columns: &HashMap<&'static str, usize>,
    ) -> Option<Past> {
        let known = self.mistakes.len();
        let most = columns.values().max().map_or(0, |last| last + 1);
        if record.len() > most {
            self.tell(line, format!("{} fields, the header has {most}", record.len()));
        } else if record.len() < most {
            // What is cut off would read as empty, and an empty `bad_from` as healthy.
            let fields = record.len();
            self.tell(line, format!("{fields} fields, the header has {most}: leave none out"));
            return None;
        }
        let mut field = |name: &str| -> Option<String> {
            let bytes = record.get(*columns.get(name)?).unwrap_or_default();
            match std::str::from_utf8(bytes) {
                Ok(text) if text.chars().any(char::is_control) => {
                    self.tell(line, format!("{name}: has control characters"));
                    None
                }
                Ok(text) => Some(text.to_owned()),
                Err(_) => {
                    self.tell(line, format!("{name}: is not UTF-8"));
                    None
                }
            }
        };
        let [id, service, environment, at, labels, safe, bad_from] = COLUMNS.map(&mut field);
        for (name, text) in [("id", &id), ("service", &service), ("environment", &environment)] {
            match text {
                Some(text) if text.is_empty() => self.tell(line, format!("{name}: is empty")),
                Some(text) if text.len() > LONGEST => {
                    self.tell(line, format!("{name}: is longer than {LONGEST} bytes"));
                }
                Some(_) | None => {}
            }
        }
        let at = at.and_then(|text| self.time(line, "at", &text));
        let labels = self.labels(line, labels.as_deref().unwrap_or_default());
        let rollback_safe = self.safe(line, safe.as_deref().unwrap_or_default());
        let bad_from = bad_from
            .map(|text| if text.is_empty() { None } else { self.time(line, "bad_from", &text) });
        let whole = self.mistakes.len() == known;
        let past = Past {
            id: id?,
            service: service?,
            environment: environment?,
            at: at?,
            labels,
            rollback_safe,
            bad_from,
        };
        whole.then_some(past)
    }

    fn time(&mut self, line: u64, name: &str, text: &str) -> Option<Timestamp> {
        let time = text.parse().ok();
        if time.is_none() {
            let why = if text.is_empty() {
                "is empty".to_owned()
            } else {
                format!("`{text}` is no RFC 3339 time such as 2026-11-20T10:30:00Z")
            };
            self.tell(line, format!("{name}: {why}"));
        }
        time
    }

    fn safe(&mut self, line: u64, text: &str) -> RollbackSafe {
        match text {
            "" | "yes" => RollbackSafe::Yes,
            "no" => RollbackSafe::No,
            "unknown" => RollbackSafe::Unknown,
            other => {
                self.tell(line, format!("rollback_safe: `{other}` is none of yes, no, unknown"));
                RollbackSafe::Unknown
            }
        }
    }

    fn labels(&mut self, line: u64, text: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let named = pair.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
            match named {
                Some((name, value)) if !name.is_empty() => {
                    if labels.insert(name.to_owned(), value.to_owned()).is_some() {
                        self.tell(line, format!("labels: `{name}` is there twice"));
                    }
                }
                Some(_) | None => self.tell(line, format!("labels: `{pair}` is not name=value")),
            }
        }
        labels
    }
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}
