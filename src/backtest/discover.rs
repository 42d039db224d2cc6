//! Deployments found where a version label changes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::deployments::Past;
use crate::model::{Ask, RollbackSafe, Ticks, Unusable};
use crate::sources::Prometheus;

/// What is searched, and how the deployments that are found are called.
#[derive(Debug, Clone)]
pub struct Search {
    /// `count by (version) (...)`: a series for each version that runs.
    pub query: String,
    pub from: Timestamp,
    pub to: Timestamp,
    pub step: SignedDuration,
    pub service: String,
    pub environment: String,
}

/// Ticks that are asked for at once.
const CHUNK: usize = 1_000;
/// Ticks of a search.
const MOST_TICKS: i128 = 1_000_000;
/// A version that was gone for less than this is not deployed again.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// The deployments in the stretch, oldest first: each time a version appears that was
/// not running. They began between the tick that shows the version first and the one
/// before, which is the one that is given.
///
/// # Errors
/// Why the source can't tell, in words.
pub async fn discover(source: &Prometheus, search: &Search) -> Result<Vec<Past>, Unusable> {
    let refused = |why: &str| Unusable::Refused(format!("--discover: {why}"));
    let span = search.to.duration_since(search.from).as_millis();
    let step = search.step.as_millis();
    if span <= 0 || step <= 0 {
        return Err(refused("--from must be before --to, and --step more than nothing"));
    }
    let count = span / step + 1;
    if count > MOST_TICKS {
        return Err(refused("so many steps are too many: take a longer --step"));
    }
    let ticks =
        Ticks { first: search.from, step: search.step, count: usize::try_from(count).unwrap_or(1) };
    let mut running = Running::new(search.step);
    let mut found = Vec::new();
    for chunk in ticks.chunks(CHUNK) {
        let fetched = source.fetch(&Ask::Query(search.query.clone()), chunk).await;
        if let Some((_, why)) = fetched.failed.into_iter().next() {
            return Err(why);
        }
        let mut shown: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        for track in fetched.tracks {
            let mut labels = track.labels.iter().filter(|(name, _)| *name != "__name__");
            let (Some((_, version)), None) = (labels.next(), labels.next()) else {
                let name = track.short_name();
                return Err(refused(&format!("a series must have one label, the version: {name}")));
            };
            for (at, _) in track.samples.iter().filter(|(_, value)| *value > 0.0) {
                shown.entry(*at).or_default().insert(version.clone());
            }
        }
        for (at, versions) in shown {
            let new = running.at(&versions);
            found.extend(new.into_iter().filter_map(|version| past(search, at, version)));
        }
    }
    Ok(found)
}

fn past(search: &Search, at_ms: i64, version: String) -> Option<Past> {
    let seen = Timestamp::from_millisecond(at_ms).ok()?;
    let at = seen.checked_sub(search.step).ok()?;
    Some(Past {
        id: format!("{}-{version}-{}", search.service, at.strftime("%Y%m%dT%H%M%SZ")),
        service: search.service.clone(),
        environment: search.environment.clone(),
        at,
        labels: BTreeMap::from([("version".to_owned(), version)]),
        rollback_safe: RollbackSafe::Yes,
        bad_from: None,
    })
}

/// Which versions run. Time stands still while nothing is shown at all: an outage of
/// the source is no deployment.
struct Running {
    /// Ticks that showed something.
    ticks: i128,
    last_seen: BTreeMap<String, i128>,
    patience: i128,
}

impl Running {
    fn new(step: SignedDuration) -> Self {
        let patience = (PATIENCE.as_millis() / step.as_millis().max(1)).max(2);
        Self { ticks: 0, last_seen: BTreeMap::new(), patience }
    }

    /// The versions that appear now; those of the first tick were there before.
    fn at(&mut self, versions: &BTreeSet<String>) -> Vec<String> {
        let first = self.ticks == 0;
        self.ticks += 1;
        let mut new = Vec::new();
        for version in versions {
            let before = self.last_seen.insert(version.clone(), self.ticks);
            let gone = before.is_none_or(|last| self.ticks - last > self.patience);
            if gone && !first {
                new.push(version.clone());
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn appear(shown: &[&[&str]]) -> Vec<Vec<String>> {
        let mut running = Running::new(SignedDuration::from_mins(1));
        let set = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        shown.iter().map(|names| running.at(&set(names))).collect()
    }

    #[test]
    fn a_version_is_deployed_when_it_appears_and_a_scrape_that_fails_deploys_nothing() {
        let found = appear(&[&["1"], &["1", "2"], &["2"], &["1", "2"], &["2"]]);
        assert_eq!(found.concat(), ["2"]);
    }

    #[test]
    fn a_version_that_comes_back_after_a_while_is_deployed_again() {
        let mut shown: Vec<&[&str]> = vec![&["1"], &["1", "2"]];
        shown.extend([["2"].as_slice(); 8]);
        shown.push(&["1", "2"]);
        assert_eq!(appear(&shown).concat(), ["2", "1"]);
    }
}
