//! `deployguard check --config FILE`: whether the settings know whom and what the policies
//! name, without a secret of theirs.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::model::Recipient;
use crate::policy::{Diagnostic, Glob, PolicySet, Written, check, nearest};
use crate::policy_repo::collect;
use crate::settings::Names;

/// Checks the policies by themselves, and then against the settings. Exit 1 if there is any
/// mistake.
pub fn run(
    paths: &[PathBuf],
    config: &Path,
    expand: bool,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let names = Names::read(config)?;
    if let Ok(set) = collect(paths).and_then(|files| check(&files)) {
        let mistakes = unknown(&set, &names, &config.display().to_string());
        if !mistakes.is_empty() {
            super::check::remarked(&set, "", out)?;
            super::check::told(&mistakes, out)?;
            return Ok(ExitCode::FAILURE);
        }
    }
    super::check::run(paths, expand, out)
}

/// What the policies name and the settings don't, each at its place.
fn unknown(set: &PolicySet, names: &Names, settings: &str) -> Vec<Diagnostic> {
    let mut mistakes = Vec::new();
    for written in set.iter() {
        let rule = &written.policy.notify;
        let elsewhere = rule.called().into_iter().filter(|who| !matches!(who, Recipient::Slack(_)));
        for who in elsewhere.filter(|who| !names.recipients.contains(who)) {
            let known: Vec<String> = names.recipients.iter().map(Recipient::to_string).collect();
            let message = format!("{settings} knows no `{who}`");
            let place = place(written, "notify.", &who.to_string());
            mistakes.push(diagnostic(place, message, Some(meant(&who.to_string(), &known))));
        }
        if let (Some(channel), false) = (&rule.slack_channel, names.slack) {
            let message = format!("{settings} has no `slack`: nothing is posted to {channel}");
            let mend = "give `slack: { token: { env: SLACK_BOT_TOKEN } }` there".to_owned();
            let place = place(written, "notify.slack.channel", channel);
            mistakes.push(diagnostic(place, message, Some(mend)));
        }
        let pattern = written.policy.matches.target.as_deref();
        let glob = pattern.and_then(|pattern| Glob::parse(pattern).ok());
        if let (Some(pattern), Some(glob)) = (pattern, glob)
            && !names.targets.iter().any(|name| glob.matches(name))
        {
            let known: Vec<String> = names.targets.iter().cloned().collect();
            let message = format!("no target of {settings} is called `{pattern}`");
            let place = place(written, "match.target", pattern);
            mistakes.push(diagnostic(place, message, Some(meant(pattern, &known))));
        }
    }
    // Several policies inherit one value.
    let mut told = BTreeSet::new();
    mistakes.retain(|mistake| told.insert(mistake.clone()));
    mistakes.into_iter().collect()
}

/// "did you mean `pagerduty:oncall`?", or all that there are.
fn meant(word: &str, known: &[String]) -> String {
    let near = nearest(word, known.iter().map(String::as_str)).first().copied();
    // The right name under another kind.
    let tail = |text: &str| text.rsplit(':').next().unwrap_or_default().to_owned();
    let near = near.or_else(|| {
        let same = known.iter().find(|one| tail(one) == tail(word));
        same.map(String::as_str)
    });
    match (near, known.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) => "it knows nobody: name it there".to_owned(),
        (None, false) => format!("it knows {}; name it there", known.join(", ")),
    }
}

/// File and line of the value below `path` that has `word` in it.
fn place(written: &Written, path: &str, word: &str) -> (String, usize) {
    let mut there = written.origins.iter().filter(|origin| origin.path.starts_with(path));
    let found = there.find(|origin| {
        let words = origin.value.split([' ', ',', '[', ']', '\'', '"']);
        origin.value == word || words.into_iter().any(|one| one == word)
    });
    found.map_or_else(|| (written.file.clone(), 1), |one| (one.file.clone(), one.line))
}

fn diagnostic((file, line): (String, usize), message: String, mend: Option<String>) -> Diagnostic {
    Diagnostic { file, line, column: 1, message, mend }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::SourceFile;

    const POLICY: &str = "version: 1\npolicy: shop\nenvironment: production\n\
        match: { target: prod-eu, cluster: shop, service: api }\n\
        phases: { all: { until: 1h, interval: 1m } }\n\
        checks: { depth: { query: queue_depth, breach: { SEV2: '> 10' } } }\n\
        notify:\n  slack: { channel: C0DEPLOYS, page: [S0ONCALL] }\n  \
        escalate:\n    SEV2: [0m S0ONCALL pagerduty:oncal]\n  tell: ['webhook:boss']\n";

    fn told(settings: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deployguard.yaml");
        std::fs::write(&file, settings).unwrap();
        let names = Names::read(&file).unwrap();
        let file = SourceFile { path: "shop.yaml".into(), bytes: POLICY.into() };
        let set = check(&[file]).unwrap();
        unknown(&set, &names, "dg.yaml").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn whom_the_settings_don_t_know_is_told_with_its_line_and_what_was_meant() {
        let settings = "pagerduty: { oncall: { routing_key: { env: NOT_THERE } } }\n\
            email: { smtp: { url: 'smtps://m' }, from: a@b.c, to: { boss: [a@b.c] } }\n\
            targets: { prod-us: { region: us-east-1 } }\n";
        assert_eq!(
            told(settings),
            [
                "shop.yaml:10:1: dg.yaml knows no `pagerduty:oncal`; did you mean \
                 `pagerduty:oncall`?",
                "shop.yaml:11:1: dg.yaml knows no `webhook:boss`; did you mean `email:boss`?",
                "shop.yaml:8:1: dg.yaml has no `slack`: nothing is posted to C0DEPLOYS; give \
                 `slack: { token: { env: SLACK_BOT_TOKEN } }` there",
                "shop.yaml:4:1: no target of dg.yaml is called `prod-eu`; did you mean `prod-us`?",
            ]
        );
    }

    #[test]
    fn settings_that_know_all_of_it_are_told_nothing_of_and_need_no_secret() {
        let settings = "slack: { token: { env: NOT_THERE } }\naws: { target: prod-eu }\n\
            pagerduty: { oncal: { routing_key: { env: NOT_THERE } } }\n\
            webhooks: { boss: { url: 'https://a', secret: { env: NOT_THERE } } }\n";
        assert!(told(settings).is_empty(), "{:?}", told(settings));
    }
}
