//! Series of metrics pages, as they are asked of the samples that the guard keeps.

use std::collections::BTreeSet;
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::WebAsk;

/// A page of metrics, and how it is read. Equal ones are read once, whoever wants them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Page {
    pub web: WebAsk,
    /// Whether each address of its name is an instance; else whichever answers is.
    pub each_address: bool,
}

/// Series of pages that are read from time to time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScrapedAsk {
    pub pages: BTreeSet<Page>,
    /// From one reading of a page to the next.
    pub every: SignedDuration,
    /// A plain selector of PromQL.
    pub selector: String,
    pub wants: Wants,
}

/// What is wanted of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wants {
    /// The raw samples of counters, from their lookback before the first stretch on.
    Samples,
    /// The value at each tick.
    Values,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.web.url)
    }
}

impl fmt::Display for ScrapedAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages: Vec<String> = self.pages.iter().map(ToString::to_string).collect();
        write!(f, "{} on {}", self.selector, pages.join(", "))
    }
}
