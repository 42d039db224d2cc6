//! What changed from one look at a watch to the next, in lines.

use jiff::Timestamp;

use crate::cli::github::Level;
use crate::cli::watches::sign;
use crate::model::{Mode, Severity, Verdict};
use crate::policy::OnTimeout;
use crate::web::{CheckView, IncidentView, WatchView};

/// One line of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// `None`: nobody is pointed at it.
    pub level: Option<Level>,
    pub text: String,
}

impl News {
    pub fn plain(text: impl Into<String>) -> Self {
        Self { level: None, text: text.into() }
    }

    pub fn of(level: Level, text: impl Into<String>) -> Self {
        Self { level: Some(level), text: text.into() }
    }
}

/// The news of `now` against what was known; `page`: where people find the watch.
pub fn news(before: Option<&WatchView>, now: &WatchView, page: &str) -> Vec<News> {
    let mut news = Vec::new();
    if before.is_none() {
        news.push(News::plain(format!("{}: watch {} ({page})", title(now), now.id)));
    }
    news.extend(mode(before, now));
    let checks = now.checks.iter();
    news.extend(checks.filter_map(|check| {
        let known = before.and_then(|view| view.checks.iter().find(|one| one.name == check.name));
        verdict(known, check)
    }));
    news.extend(incident(before.and_then(|view| view.incident.as_ref()), now.incident.as_ref()));
    if before.is_none_or(|view| view.status != now.status) {
        news.push(News::plain(now.status.clone()));
    }
    news.extend(question(before, now, page));
    news
}

/// "shopflow-api v2 in production".
pub fn title(view: &WatchView) -> String {
    format!("{} {} in {}", view.service, view.version, view.environment)
}

fn mode(before: Option<&WatchView>, now: &WatchView) -> Option<News> {
    if before.is_some_and(|view| view.mode == now.mode) {
        return None;
    }
    let because = now.mode_because.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    let means = match now.mode {
        Mode::Observe => "nothing is rolled back",
        Mode::Ask => "nothing is rolled back unless a person says so",
        Mode::Auto => "rolls back where the policy says so",
    };
    Some(News::plain(format!("mode {}{because}: {means}", now.mode)))
}

/// A check says something else than before.
fn verdict(before: Option<&CheckView>, now: &CheckView) -> Option<News> {
    let verdict = now.verdict?;
    let was = before.and_then(|check| check.verdict);
    if was == Some(verdict) {
        return None;
    }
    let was = was.map(|was| format!(" (was {})", was.as_str())).unwrap_or_default();
    let text =
        format!("{} {}: {}{was}, {}", sign(now.verdict), now.name, verdict.as_str(), now.reason);
    Some(News { level: (verdict == Verdict::Breach).then_some(Level::Warning), text })
}

fn incident(before: Option<&IncidentView>, now: Option<&IncidentView>) -> Option<News> {
    let now = now?;
    let known = before.filter(|one| one.opened_at == now.opened_at);
    let was_open = known.is_some_and(|one| one.resolved_at.is_none());
    let severity = now.severity;
    match (was_open, now.resolved_at) {
        (true, None) if known.is_none_or(|one| one.severity == severity) => None,
        (_, None) => {
            let level = match severity {
                Severity::Sev1 | Severity::Sev2 if now.excused.is_none() => Level::Error,
                Severity::Sev1 | Severity::Sev2 | Severity::Sev3 => Level::Warning,
            };
            let excused = now.excused.as_deref();
            let excused = excused.map(|why| format!("; not held against it: {why}"));
            let what = now.evidence.join("; ");
            let text = format!("{severity} incident: {what}{}", excused.unwrap_or_default());
            Some(News::of(level, text))
        }
        (true, Some(_)) => Some(News::plain(format!("the {severity} incident is over"))),
        // Before anybody looked.
        (false, Some(_)) => None,
    }
}

/// A person is asked, or for longer.
fn question(before: Option<&WatchView>, now: &WatchView, page: &str) -> Option<News> {
    let asked = now.asked.as_ref()?;
    if before.and_then(|view| view.asked.as_ref()) == Some(asked) {
        return None;
    }
    let until = match (asked.until, asked.on_timeout) {
        (None, _) => " (nothing happens by itself)".to_owned(),
        (Some(until), OnTimeout::Escalate) => {
            format!(" until {} (people are called again then)", clock(until))
        }
        (Some(until), OnTimeout::Rollback) => {
            format!(" until {} (it is rolled back then)", clock(until))
        }
    };
    let id = &now.id;
    Some(News::of(
        Level::Warning,
        format!(
            "a person is asked{until}, as {}: answer in Slack, or with `deployguard rollback {id}` \
             or `deployguard hold {id}`; {page}",
            asked.because
        ),
    ))
}

pub fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wait::made::{asked, at, check, incident, view};

    fn lines(before: Option<&WatchView>, now: &WatchView) -> Vec<String> {
        news(before, now, "http://d/w").into_iter().map(|one| one.text).collect()
    }

    #[test]
    fn the_first_look_says_what_is_watched_and_how_it_stands() {
        assert_eq!(
            lines(None, &view()),
            [
                "shopflow-api v2 in production: watch shopflow-api-0123 (http://d/w)",
                "mode auto: rolls back where the policy says so",
                "✓ error rate: healthy, 0.02% (limit > 1%)",
                "watching, immediate phase until 10:45:00 UTC",
            ]
        );
    }

    #[test]
    fn values_alone_are_no_news() {
        let mut later = view();
        later.checks[0].value = Some(0.0003);
        later.checks[0].reason = "0.03%".into();
        assert_eq!(lines(Some(&view()), &later), Vec::<String>::new());
    }

    #[test]
    fn a_breach_is_told_with_its_incident_and_who_is_asked() {
        let mut now = view();
        now.checks[0] = check("error rate", Verdict::Breach, 0.03);
        now.incident = Some(incident());
        now.asked = Some(asked());
        now.status = "SEV2 incident since 10:31:01 UTC; a person decides".into();
        let told = news(Some(&view()), &now, "http://d/w");
        let levels: Vec<_> = told.iter().map(|one| one.level).collect();
        let (warning, error) = (Some(Level::Warning), Some(Level::Error));
        assert_eq!(levels, [warning, error, None, warning], "{told:#?}");
        assert_eq!(told[0].text, "✗ error rate: breach (was healthy), 3% (limit > 1%)");
        assert_eq!(told[1].text, "SEV2 incident: error rate 3% (limit > 1%)");
        assert!(
            told[3].text.starts_with(
                "a person is asked until 2026-11-20 10:46:01 UTC (people are called again then), \
                 as the policy asks at SEV2: "
            ) && told[3].text.ends_with("; http://d/w"),
            "{}",
            told[3].text
        );
        assert_eq!(lines(Some(&now), &now), Vec::<String>::new());

        let mut worse = now.clone();
        worse.incident.as_mut().unwrap().severity = Severity::Sev1;
        assert_eq!(lines(Some(&now), &worse), ["SEV1 incident: error rate 3% (limit > 1%)"]);
        let mut over = now.clone();
        over.incident.as_mut().unwrap().resolved_at = Some(at(300));
        assert_eq!(lines(Some(&now), &over), ["the SEV2 incident is over"]);
    }

    #[test]
    fn what_is_not_the_deployments_doing_is_no_error() {
        let mut now = view();
        let excused = Some("payments breaks as well".to_owned());
        now.incident = Some(IncidentView { excused, ..incident() });
        let told = news(Some(&view()), &now, "");
        assert_eq!(told[0].level, Some(Level::Warning));
        assert!(told[0].text.ends_with("not held against it: payments breaks as well"));
    }

    #[test]
    fn a_lowered_mode_is_told() {
        let mut now = view();
        (now.mode, now.mode_because) = (Mode::Observe, Some("paused by dana".into()));
        assert_eq!(
            lines(Some(&view()), &now),
            ["mode observe (paused by dana): nothing is rolled back"]
        );
    }
}
