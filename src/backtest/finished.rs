//! What was found already, so that a run that broke off goes on where it was.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::finding::Finding;

/// A file of JSON lines; a line that is torn or strange counts as not written.
#[derive(Debug)]
pub struct Finished {
    /// Where the line of a key begins: a year of findings need not be in memory.
    known: HashMap<String, u64>,
    file: File,
}

#[derive(Serialize, Deserialize)]
struct Line<F> {
    key: String,
    finding: F,
}

/// Bytes of a line.
const LONGEST: u64 = 1024 * 1024;

impl Finished {
    /// Opens or begins the file.
    ///
    /// # Errors
    /// The file can't be read or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut known = HashMap::new();
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        let (mut begins, mut whole) = (0, true);
        while reader.by_ref().take(LONGEST).read_until(b'\n', &mut line)? > 0 {
            whole = line.last() == Some(&b'\n');
            if let Ok(Line { key, .. }) = serde_json::from_slice::<Line<Finding>>(&line) {
                known.insert(key, begins);
            }
            begins += line.len() as u64;
            line.clear();
        }
        if !whole {
            file.seek(SeekFrom::End(0))?;
            file.write_all(b"\n")?;
        }
        Ok(Self { known, file })
    }

    /// What was found when this run began.
    pub(super) fn get(&self, key: &str) -> io::Result<Option<Finding>> {
        let Some(begins) = self.known.get(key) else { return Ok(None) };
        // Lines are added at the end, wherever was read.
        (&self.file).seek(SeekFrom::Start(*begins))?;
        let mut line = Vec::new();
        BufReader::new(&self.file).take(LONGEST).read_until(b'\n', &mut line)?;
        Ok(serde_json::from_slice::<Line<Finding>>(&line).ok().map(|line| line.finding))
    }

    pub(super) fn add(&mut self, key: String, finding: &Finding) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { key, finding })?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}
