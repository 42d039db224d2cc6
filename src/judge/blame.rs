//! Whose doing a breach is.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whose doing a breach is. Only the first is a reason to roll back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// This deployment's.
    Deployment,
    /// It had begun before, or had always been so.
    Before { since: Option<Timestamp> },
    /// A service that this one needs broke first.
    Dependency { service: String, since: Timestamp },
    /// What was not deployed breaks as well.
    Shared { with: String, since: Timestamp },
    /// Another deployment of the same time fits better.
    Another { service: String, deployment: String },
}

impl Blame {
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Deployment => true,
            Self::Before { .. }
            | Self::Dependency { .. }
            | Self::Shared { .. }
            | Self::Another { .. } => false,
        }
    }

    /// In words; empty for the deployment's own.
    pub fn in_words(&self) -> String {
        let clock = |at: &Timestamp| at.strftime("%H:%M:%S UTC").to_string();
        match self {
            Self::Deployment => String::new(),
            Self::Before { since: Some(since) } => {
                format!("it began at {}, before the deployment", clock(since))
            }
            Self::Before { since: None } => "it was so before the deployment".to_owned(),
            Self::Dependency { service, since } => {
                format!("{service}, which it needs, broke first, at {}", clock(since))
            }
            Self::Shared { with, since } => {
                format!("{with}, which was not deployed, breaks as well since {}", clock(since))
            }
            Self::Another { service, deployment } => {
                format!("{deployment} of {service} fits better")
            }
        }
    }
}

/// Another deployment of the same time, as far as a ranking must know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    pub service: String,
    pub deployment: String,
    /// When its first new task came into service.
    pub in_service_at: Timestamp,
    /// ln E of its own worst check, and since when that looks changed.
    pub ln_e: f64,
    /// How many times its null that check is now; evidence is capped, this is not.
    pub rise: f64,
    pub since: Option<Timestamp>,
    /// Whether the judged service needs it.
    pub needed: bool,
}

/// What does not begin within this time of one another has different causes.
const TOGETHER: SignedDuration = SignedDuration::from_mins(15);

/// Of several deployments the one that fits best what began at `since`, if another fits
/// better than ours: it came into service before it began and not long before, it
/// shows more evidence of its own and a larger rise, and what is needed by others ranks before what
/// needs it. (After Gandalf, NSDI 2020: time, place and strength.)
pub fn rank(ours: &Rival, others: &[Rival], since: Timestamp) -> Option<Rival> {
    others
        .iter()
        .filter(|other| other.in_service_at <= since)
        .filter(|other| other.since.is_some_and(|its| since.duration_since(its).abs() <= TOGETHER))
        .map(|other| (score(other, since), other))
        .filter(|(score_of_other, _)| *score_of_other > score(ours, since))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other.clone())
}

/// ln E, less what the time from its start to the onset makes unlikely (a factor e an
/// hour), and more where the judged service needs it.
fn score(rival: &Rival, since: Timestamp) -> f64 {
    const NEEDED: f64 = 3.0;
    const MOST: f64 = 200.0;
    let late = since.duration_since(rival.in_service_at).as_secs_f64().max(0.0) / 3600.0;
    // Without evidence of its own a deployment may only be blamed by what needs it.
    let own = rival.ln_e.clamp(0.0, MOST);
    let needed = if rival.needed && own >= NEEDED { NEEDED + MOST } else { 0.0 };
    let stronger = rival.rise.clamp(1.0, 1e6).ln();
    own + stronger - late + needed
}
