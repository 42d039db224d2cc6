//! After a rollback: a pull request that reverts the one that brought the commit, or an issue.
//!
//! GitHub can revert a merged pull request, and nothing else: no commit, no range of them.
//! So the pull request of the commit is looked for; where there is none, or GitHub can't
//! revert it, it is an issue that says so. Nothing is ever merged.

use hmac::{Hmac, KeyInit, Mac};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::Sha256;

use super::Written;
use super::api::Session;
use crate::model::{Revert, RevertWish};
use crate::notify::DeliverError;
use crate::notify::slack::text::line;

/// The longest title and the longest text that are sent, in characters; GitHub takes 256 and
/// 65,536.
const TITLE: usize = 200;
const TEXT: usize = 60_000;
/// Issues of a page, and pages, that are looked through for ours, the newest first.
const PAGE: &str = "50";
const PAGES: [&str; 3] = ["1", "2", "3"];
/// By how much GitHub's clock may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

const MUTATION: &str = "mutation($input: RevertPullRequestInput!) { \
     revertPullRequest(input: $input) { revertPullRequest { number url } } }";

/// Opens one, once a watch.
pub(super) async fn open(
    session: &Session<'_>,
    wish: &RevertWish,
    written: &Written,
) -> Result<(), DeliverError> {
    let mark = mark(session.key(), written)?;
    if is_there(session, &mark, written).await? {
        return Ok(());
    }
    match wish.what {
        Revert::Off => Ok(()),
        Revert::Issue => issue(session, wish, written, &mark, None).await,
        Revert::PullRequest => {
            let why = match pull_request(session, wish).await? {
                Ok(pull) => match revert(session, &pull, wish, written, &mark).await? {
                    Ok(()) => return Ok(()),
                    Err(why) => format!("#{} could not be reverted by GitHub: {why}", pull.number),
                },
                Err(why) => why,
            };
            issue(session, wish, written, &mark, Some(&why)).await
        }
    }
}

/// What ours is known by. Nobody without our secret can make one, so nobody can keep it from
/// being opened.
fn mark(key: &str, written: &Written) -> Result<String, DeliverError> {
    let watch = written.watch.as_str();
    let hmac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    let mut hmac = hmac.map_err(|why| DeliverError::Permanent(why.to_string()))?;
    hmac.update(b"deployguard revert ");
    hmac.update(watch.as_bytes());
    let digest = hmac.finalize().into_bytes();
    let hex = digest.iter().take(12).fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    });
    Ok(format!("<!-- deployguard {hex} -->"))
}

/// GitHub lists pull requests among the issues.
async fn is_there(
    session: &Session<'_>,
    mark: &str,
    written: &Written,
) -> Result<bool, DeliverError> {
    let since = written.at.checked_sub(SKEW).unwrap_or(written.at);
    let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    for page in PAGES {
        let query = [
            ("state", "all"),
            ("sort", "created"),
            ("direction", "desc"),
            ("since", since.as_str()),
            ("per_page", PAGE),
            ("page", page),
        ];
        let issues = session.get(&["issues"], &query).await?;
        let issues = issues.as_array().map_or(&[][..], Vec::as_slice);
        let ours = |one: &Value| one["body"].as_str().is_some_and(|body| body.contains(mark));
        if issues.iter().any(ours) {
            return Ok(true);
        }
        if issues.len() < PAGE.parse().unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(false)
}

/// A merged pull request.
struct Pull {
    number: u64,
    node: String,
}

/// The one that brought the commit, or why there is none to revert.
async fn pull_request(
    session: &Session<'_>,
    wish: &RevertWish,
) -> Result<Result<Pull, String>, DeliverError> {
    let sha = session.sha(&wish.place).await?;
    let all = session.get(&["commits", &sha, "pulls"], &[("per_page", "100")]).await?;
    let merged: Vec<&Value> =
        all.as_array().into_iter().flatten().filter(|one| one["merged_at"].is_string()).collect();
    // A commit is in several where branches were merged into branches.
    let own = merged.iter().find(|one| one["merge_commit_sha"] == json!(sha));
    let one = match (own, merged.as_slice()) {
        (Some(one), _) | (None, [one]) => *one,
        (None, []) => {
            let why = format!("no merged pull request brought the commit {sha}");
            return Ok(Err(why));
        }
        (None, several) => {
            let count = several.len();
            return Ok(Err(format!("{count} pull requests brought the commit {sha}")));
        }
    };
    let found = one["number"].as_u64().zip(one["node_id"].as_str());
    Ok(found
        .map(|(number, node)| Pull { number, node: node.to_owned() })
        .ok_or_else(|| "GitHub tells no id of the pull request".to_owned()))
}

/// Has GitHub open the pull request. `Err`: it refuses, and why.
async fn revert(
    session: &Session<'_>,
    pull: &Pull,
    wish: &RevertWish,
    written: &Written,
    mark: &str,
) -> Result<Result<(), String>, DeliverError> {
    let intro = format!(
        "deployguard rolled the deployment back; this reverts #{}, which brought its commit. The \
         deployment may have brought more than that one. A person reviews and merges it: \
         deployguard never does.",
        pull.number
    );
    let title = format!("Revert #{}: {}", pull.number, wish.title);
    let body = json!({
        "query": MUTATION,
        "variables": { "input": {
            "pullRequestId": pull.node,
            "title": tame(&line(&title, TITLE)),
            "body": text(&intro, written, mark),
        } },
    });
    let answer = session.graphql(&body).await?;
    if answer["data"]["revertPullRequest"]["revertPullRequest"]["number"].is_u64() {
        return Ok(Ok(()));
    }
    let why = answer["errors"][0]["message"].as_str().unwrap_or("it does not say why");
    Ok(Err(tame(&line(why, 300))))
}

async fn issue(
    session: &Session<'_>,
    wish: &RevertWish,
    written: &Written,
    mark: &str,
    instead: Option<&str>,
) -> Result<(), DeliverError> {
    let mut intro = "deployguard rolled the deployment back. The code is as it was deployed: \
         whoever deploys it again brings this back."
        .to_owned();
    if let Some(why) = instead {
        intro = format!("{intro} There is no pull request that reverts it: {why}.");
    }
    let body = json!({
        "title": tame(&line(&wish.title, TITLE)),
        "body": text(&intro, written, mark),
    });
    session.post(&["issues"], &body).await.map(drop)
}

/// What stands in it: ours, then the report, then the mark.
fn text(intro: &str, written: &Written, mark: &str) -> String {
    let report = written.report.as_deref().unwrap_or_default();
    let mut report = tame(report);
    if report.chars().count() > TEXT {
        let cut: String = report.chars().take(TEXT).collect();
        let whole = cut.rfind('\n').map_or(cut.as_str(), |end| &cut[..end]);
        report = format!("{whole}\n\n(The report goes on in the thread and at deployguard.)\n");
    }
    format!("{intro}\n\n{report}\n{mark}\n")
}

/// Words from outside call nobody and close nothing: after `@` and `#` comes what nobody
/// sees, and no name or number.
fn tame(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        tamed.push(char);
        let calls = match char {
            '@' => rest.peek().is_some_and(|next| next.is_alphanumeric()),
            '#' => rest.peek().is_some_and(char::is_ascii_digit),
            _ => false,
        };
        if calls {
            tamed.push('\u{200b}');
        }
    }
    tamed
}

#[cfg(test)]
mod unit {
    use super::tame;

    #[test]
    fn words_from_outside_call_nobody_and_close_nothing() {
        assert_eq!(tame("v1 @acme/all fixes #12"), "v1 @\u{200b}acme/all fixes #\u{200b}12");
        assert_eq!(tame("# Report\n## a @ b # c"), "# Report\n## a @ b # c");
    }
}
