//! What a command wrote: its first and last kilobytes, without secrets. Pure.

use std::fmt::Write;

/// What is kept of the beginning and of the end, in bytes.
const HEAD: usize = 4 * 1024;
const TAIL: usize = 8 * 1024;
/// What stands for a secret.
const MASK: &str = "***";

/// Standard output and standard error, as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Lines without control characters and secrets; what is left out is said in between.
    pub text: String,
    /// How much it was, in bytes.
    pub bytes: u64,
}

impl Output {
    /// The last `most` lines that say something.
    pub fn last_lines(&self, most: usize) -> Vec<&str> {
        let lines: Vec<&str> =
            self.text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(most)..].to_vec()
    }
}

/// Takes in what comes, and keeps what is shown of it and no more.
#[derive(Debug)]
pub(super) struct Kept {
    secrets: Vec<Vec<u8>>,
    /// How far a secret may reach over an edge.
    margin: usize,
    bytes: Vec<u8>,
    total: u64,
    /// Whether something was dropped between the first `HEAD + margin` bytes and the rest.
    dropped: bool,
}

impl Kept {
    pub fn without(secrets: &[String]) -> Self {
        // Each line of a secret by itself: a program may show it line by line.
        let parts = secrets.iter().flat_map(|secret| secret.lines().chain([secret.as_str()]));
        let secrets: Vec<Vec<u8>> = parts
            .map(str::trim)
            .filter(|part| part.len() >= 4)
            .map(|part| part.as_bytes().to_vec())
            .collect();
        let margin = secrets.iter().map(Vec::len).max().unwrap_or_default();
        Self { secrets, margin, bytes: Vec::new(), total: 0, dropped: false }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        let (head, tail) = (HEAD + self.margin, TAIL + self.margin);
        if self.bytes.len() > 2 * (head + tail) {
            self.bytes.drain(head..self.bytes.len() - tail);
            self.dropped = true;
        }
    }

    pub fn output(&self) -> Output {
        let (head, tail) = (HEAD + self.margin, TAIL + self.margin);
        let text = if self.dropped || self.bytes.len() > HEAD + TAIL {
            let (first, last) = if self.dropped {
                (&self.bytes[..head], &self.bytes[self.bytes.len() - tail..])
            } else {
                (&self.bytes[..], &self.bytes[..])
            };
            let last_shown = last.len() - TAIL;
            let left_out = self.total - (HEAD + TAIL) as u64;
            let mut text = shown(&self.masked(first, 0, HEAD));
            let _ = writeln!(text, "\n[... {left_out} bytes left out ...]");
            text.push_str(&shown(&self.masked(last, last_shown, last.len())));
            text
        } else {
            shown(&self.masked(&self.bytes, 0, self.bytes.len()))
        };
        Output { text, bytes: self.total }
    }

    /// `bytes[from..to]`, whole characters of it, with a mask for what is secret. Secrets are
    /// looked for in all of `bytes`, so that none shows in part at an edge.
    fn masked(&self, bytes: &[u8], from: usize, to: usize) -> Vec<u8> {
        let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        let from = (from..to.min(from + 3)).find(|at| !is_inside(*at)).unwrap_or(from);
        let to = if to == bytes.len() { to } else { back_to_whole(bytes, from, to) };
        let mut out = Vec::with_capacity(to - from);
        let mut at = 0;
        while at < to {
            let longest = self.secrets.iter().filter(|secret| bytes[at..].starts_with(secret));
            let length = longest.map(Vec::len).max();
            if let Some(length) = length {
                if at + length > from {
                    out.extend_from_slice(MASK.as_bytes());
                }
                at += length;
            } else {
                if at >= from {
                    out.push(bytes[at]);
                }
                at += 1;
            }
        }
        out
    }
}

/// The end of the last whole character before `to`.
fn back_to_whole(bytes: &[u8], from: usize, to: usize) -> usize {
    let begins = |at: &usize| bytes[*at] & 0xc0 != 0x80;
    (from.max(to.saturating_sub(3))..=to).rev().find(begins).unwrap_or(to)
}

/// As text that can't speak to a terminal.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            // A colour or a movement: its letters would remain.
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                while chars.next_if(|char| !('@'..='~').contains(char)).is_some() {}
                chars.next();
            }
            '\n' | '\t' => shown.push(char),
            char if char.is_control() => {}
            char => shown.push(char),
        }
    }
    shown
}
