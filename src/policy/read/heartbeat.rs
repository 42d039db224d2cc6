//! `heartbeat:` of a check: a scheduled job.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::Deserialize;

use super::amount::{Count, Stretch};
use super::desk::Desk;
use super::doubts::{Rhythm, rhythm};
use super::scalar::At;
use crate::model::is_job;
use crate::policy::Heartbeat;
use crate::policy::diagnostic::{Mistake, Weight};
use crate::policy::plain;

/// How late a run may end where nothing is said.
const LATE: SignedDuration = SignedDuration::from_mins(10);
const LATEST: SignedDuration = SignedDuration::from_hours(24);
/// What is the same for all deployments of a service.
const VARIABLES: [&str; 3] = ["service", "environment", "cluster"];
const MOST_MISSES: f64 = 10.0;

/// A job that tells of each of its runs at `/hooks/heartbeats/JOB`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ job: auto-push, schedule: \"0 * * * *\", late: 10m }`"
)]
pub(super) struct HeartbeatText {
    /// Its name, as it beats: `${service}`, `${environment}` and `${cluster}` may stand in it. On Render the name of the cron job. Required.
    pub job: Option<At<String>>,
    /// When it runs: five fields of cron, such as `59 23 * * *`. Required.
    pub schedule: Option<At<String>>,
    /// The time zone of the schedule. Default: UTC.
    pub time_zone: Option<At<String>>,
    /// How long after its time a run may end, 24h at most. Default: 10m.
    pub late: Option<At<Stretch>>,
    /// How many runs in a row have to be missed or failed, 1 to 10. Default: 1.
    pub misses: Option<At<Count>>,
}

/// The schedule comes at all, and a run is over before the next.
fn comes(schedule: &At<String>, zone: &str, late: Option<&At<Stretch>>, desk: &mut Desk) {
    let has_five = schedule.value.split_whitespace().count() == 5;
    let rhythm = rhythm(&format!("{} {zone}", schedule.value)).filter(|_| has_five);
    match rhythm {
        None => {
            let mistake = Mistake::new(format!("`{}` is no schedule", schedule.value));
            let mend = "write minute, hour, day, month and weekday as cron has them: `59 23 * * *`";
            desk.at(schedule.marker, mistake.mend(mend));
        }
        Some(Rhythm::Never) => {
            let mistake = Mistake::new(format!("`{}` never comes", schedule.value));
            desk.at(schedule.marker, mistake.mend("no month has such a day"));
        }
        Some(Rhythm::Comes(Some(apart))) => {
            let (allowed, marker) =
                late.map_or((LATE, schedule.marker), |late| (late.value.0, late.marker));
            if allowed > apart {
                let words = format!(
                    "`late` ({allowed:#}) is longer than the time between two runs ({apart:#})"
                );
                let mend =
                    "the next run's beat hides a run that was missed: write a shorter `late`";
                let mistake = Mistake::new(words).mend(mend);
                desk.report.remark(Weight::Warning, marker, mistake);
            }
        }
        Some(Rhythm::Comes(None)) => {}
    }
}

/// Reads `heartbeat:`; `None`: the report says why not.
pub(super) fn heartbeat(name: &str, text: &HeartbeatText, desk: &mut Desk) -> Option<Heartbeat> {
    let path = ["checks", name, "heartbeat"];
    let before = desk.report.count();
    for (key, lacks, such) in [
        ("job", text.job.is_none(), "job: auto-push"),
        ("schedule", text.schedule.is_none(), "schedule: \"0 * * * *\""),
    ] {
        if lacks {
            let mistake = Mistake::new(format!("the `heartbeat` has no `{key}`"));
            let whole = [path.as_slice(), &[key]].concat();
            desk.missing(&whole, mistake.mend(format!("write `{such}`")));
        }
    }
    let (job, schedule) = (text.job.as_ref()?, text.schedule.as_ref()?);
    if plain::names(&job.value).any(|name| !VARIABLES.contains(&name))
        || !is_job(&plain::expand(&job.value, |_| "x"))
    {
        let mistake = Mistake::new(format!("`{}` is no name of a job", job.value));
        desk.at(job.marker, mistake.mend("letters, digits, `-`, `_` and `.`, at most 100"));
    }
    let zone = text.time_zone.as_ref().map_or("UTC", |zone| zone.value.as_str());
    if let Some(At { value, marker }) = &text.time_zone
        && jiff::tz::TimeZone::get(value).is_err()
    {
        let mistake = Mistake::new(format!("`{value}` is no time zone"));
        desk.at(*marker, mistake.mend("write `UTC` or `Europe/Berlin`"));
    } else {
        comes(schedule, zone, text.late.as_ref(), desk);
    }
    if let Some(At { value: Stretch(late), marker }) = &text.late
        && !(SignedDuration::ZERO..=LATEST).contains(late)
    {
        desk.at(*marker, Mistake::new("`late` is 24h at most").mend("write `10m`"));
    }
    if let Some(At { value: Count(misses), marker }) = &text.misses
        && !((1.0..=MOST_MISSES).contains(misses) && misses.fract() == 0.0)
    {
        desk.at(*marker, Mistake::new("`misses` is a whole number from 1 to 10"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 10")]
    let heartbeat = Heartbeat {
        job: job.value.clone(),
        schedule: schedule.value.clone(),
        time_zone: zone.to_owned(),
        late: text.late.as_ref().map_or(LATE, |late| late.value.0),
        misses: text.misses.as_ref().map_or(1, |misses| misses.value.0 as u32),
    };
    (desk.report.count() == before).then_some(heartbeat)
}
