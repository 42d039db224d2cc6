//! What a deployment would be rolled back to.

use jiff::Timestamp;

use super::{PreflightState, Said, Watch};
use crate::model::{Inspection, LedgerEntry, Mode, Revision, Standing};
use crate::policy::{Fallback, RollbackRule};

/// A revision that may be put back, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub revision: Revision,
    /// Where it comes from, in words.
    pub because: String,
}

/// The revisions that may be put back in place of `judged`, best first: known-good
/// ones that are young enough, newest first, then what was there before if the
/// policy falls back to it. Never `judged` itself, never one that was found bad.
pub fn candidates(
    rule: &RollbackRule,
    ledger: &[LedgerEntry],
    judged: &Revision,
    source: Option<&Revision>,
    now: Timestamp,
) -> Vec<Candidate> {
    let is_bad = |revision: &Revision| is_bad(ledger, revision);
    let mut known: Vec<&LedgerEntry> = ledger
        .iter()
        .filter(|entry| entry.standing != Standing::Bad)
        .filter(|entry| !entry.revision.same_as(judged) && !is_bad(&entry.revision))
        .filter(|entry| now.duration_since(entry.at) <= rule.max_age)
        .collect();
    // What was in place just before comes first among equals in standing.
    let was_source =
        |entry: &LedgerEntry| source.is_some_and(|source| entry.revision.same_as(source));
    known.sort_by_key(|entry| {
        let watched = entry.standing >= Standing::Provisional;
        std::cmp::Reverse((watched, was_source(entry), entry.at))
    });
    let mut found: Vec<Candidate> = known
        .into_iter()
        .map(|entry| Candidate {
            revision: entry.revision.clone(),
            because: match entry.standing {
                Standing::Good => format!("known-good: watched to passed at {}", minute(entry.at)),
                Standing::Provisional => {
                    format!("known-good: came through its first phases at {}", minute(entry.at))
                }
                Standing::Presumed | Standing::Bad => {
                    format!("presumed good: it was running at {}", minute(entry.at))
                }
            },
        })
        .collect();
    if let (Fallback::Previous, Some(source)) = (rule.fallback, source)
        && !source.same_as(judged)
        && !is_bad(source)
        && !found.iter().any(|candidate| candidate.revision.same_as(source))
    {
        found.push(Candidate {
            revision: source.clone(),
            because: "what was in place before; never watched".to_owned(),
        });
    }
    found
}

/// Whether a watch found `revision` bad. Where nobody knows the images of what was bad, it
/// is every image of its task definition, but for those that a later watch saw to be well:
/// a tag that was pushed again with a fix. Two revisions without digests are the same.
fn is_bad(ledger: &[LedgerEntry], revision: &Revision) -> bool {
    let bad = ledger.iter().filter(|entry| entry.standing == Standing::Bad);
    let mut alike = bad.filter(|bad| bad.revision.same_as(revision));
    alike.any(|bad| {
        let told_apart = bad.revision.digests.is_empty() && !revision.digests.is_empty();
        let watched_since = ledger.iter().any(|entry| {
            entry.standing >= Standing::Provisional
                && entry.at > bad.at
                && entry.revision.name == revision.name
                && entry.revision.digests == revision.digests
        });
        !(told_apart && watched_since)
    })
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

impl Watch {
    pub(super) fn inspected(
        &mut self,
        target: &Result<(Revision, String), String>,
        inspection: &Inspection,
        now: Timestamp,
        said: &mut Said,
    ) {
        self.preflight = match target {
            Ok((revision, because)) => PreflightState::Ready {
                target: revision.clone(),
                because: because.clone(),
                not_restored: self
                    .undoes_more(revision)
                    .into_iter()
                    .chain(inspection.not_restored.clone())
                    .collect(),
                differences: inspection.differences.clone(),
            },
            Err(because) => PreflightState::Impossible { because: because.clone() },
        };
        match &self.preflight {
            PreflightState::Ready { target, because, not_restored, .. } => {
                let pins = if inspection.pins { ", pinned to its image digests" } else { "" };
                let line = format!("rollback target {} ({because}){pins}", target.short());
                let lost = not_restored.join("; ");
                self.note(now, line);
                if !lost.is_empty() && self.policy().mode > Mode::Observe {
                    let because = format!("a rollback would not restore: {lost}");
                    let topic = format!("disarmed: {because}");
                    self.reply_once(&topic, now, |watch| watch.say_disarmed(&because), said);
                }
            }
            PreflightState::Impossible { .. } => {
                let reply = self.say_no_target();
                self.reply(now, reply, said);
            }
            PreflightState::Unknown => {}
        }
        for unasked in &inspection.unasked {
            self.note(now, unasked.clone());
        }
        self.tell_unsafe(now, said);
        self.tell_unlabelled(now, said);
        self.reconsider(now, said);
        self.ask_of_target(now, said);
    }

    /// What a rollback would put in place.
    pub(super) fn target(&self) -> Option<&Revision> {
        match &self.preflight {
            PreflightState::Ready { target, .. } => Some(target),
            PreflightState::Impossible { .. } | PreflightState::Unknown => None,
        }
    }

    /// Says at the start that an irreversible change came with the deployment, and who
    /// said so.
    pub(super) fn tell_unsafe(&mut self, now: Timestamp, said: &mut Said) {
        let Some(because) = self.announced_unsafe() else { return };
        if self.policy().mode > Mode::Observe {
            self.reply_once("disarmed: unsafe", now, |watch| watch.say_disarmed(&because), said);
        }
    }

    /// Set when putting `target` back would undo more than this deployment, and
    /// nobody has said whether that is safe. What an unfinished predecessor
    /// forbids is inherited already.
    fn undoes_more(&self, target: &Revision) -> Option<String> {
        let deployment = &self.deployment;
        let source = deployment.source.as_ref()?;
        let inherited = deployment.baseline_end < deployment.started_at;
        (!inherited && !source.same_as(target))
            .then(|| format!("{}, which was in place before, would be undone too", source.short()))
    }
}
