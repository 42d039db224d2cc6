//! What a health endpoint says of services that are somebody else's: they count for nothing
//! here, and people hear of it once an outage.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::words::list;
use super::{Said, Tick, Watch};
use crate::model::{Measurement, Reply, STATUS, THEIRS, Tone};
use crate::policy::Check;

/// Outages that are told in a thread; of more only the timeline says.
const MOST_TOLD: u32 = 6;

impl Watch {
    /// Tells of what went down, and of what is up again of that.
    pub(super) fn tell_of_theirs(&mut self, tick: &Tick, now: Timestamp, said: &mut Said) {
        let (mut fell, mut rose) = (BTreeSet::new(), BTreeSet::new());
        for check in &self.pinned.policy.checks {
            let Some(Ok(Measurement::Gauge { values })) = tick.readings.get(&check.name) else {
                continue;
            };
            let down = theirs(check, tick);
            let topic = |name: &str| format!("theirs down: {}: {name}", check.name);
            for name in &down {
                if self.told.insert(topic(name)) {
                    fell.insert(name.clone());
                }
            }
            // An endpoint that is down itself may say nothing of others.
            if values.values().all(|value| *value > 0.0) {
                let prefix = topic("");
                let over = |told: &&String| {
                    told.strip_prefix(&prefix).is_some_and(|name| !down.contains(name))
                };
                let over: Vec<String> = self.told.iter().filter(over).cloned().collect();
                for topic in over {
                    rose.extend(topic.strip_prefix(&prefix).map(ToOwned::to_owned));
                    self.told.remove(&topic);
                }
            }
        }
        for (names, is_down) in [(fell, true), (rose, false)] {
            let names: Vec<String> = names.into_iter().collect();
            if names.is_empty() {
                continue;
            }
            let reply = self.say_theirs(&names, is_down);
            self.theirs_told = self.theirs_told.saturating_add(u32::from(is_down));
            if self.theirs_told <= MOST_TOLD {
                self.reply(now, reply, said);
            } else {
                self.note(now, reply.headline);
            }
        }
    }

    /// What is none of the service's own.
    fn say_theirs(&self, names: &[String], is_down: bool) -> Reply {
        let (names, are) = (list(names), if names.len() == 1 { "is" } else { "are" });
        let headline = if is_down {
            format!("{names} {are} down: somebody else's, and it counts for nothing here")
        } else {
            format!("{names} {are} up again")
        };
        Reply { broadcast: false, ..self.plain(Tone::Quiet, headline) }
    }
}

/// What `check` said at `tick` of others that are down. The whole of an endpoint goes by the
/// check's own name.
fn theirs(check: &Check, tick: &Tick) -> BTreeSet<String> {
    let words = tick.beside.get(&check.name).into_iter().flatten();
    let names =
        words.filter_map(|words| words.strip_suffix(THEIRS)).flat_map(|all| all.split(", "));
    names.map(|name| if name == STATUS { check.name.clone() } else { name.to_owned() }).collect()
}
