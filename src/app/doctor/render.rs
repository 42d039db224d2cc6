//! A workspace of Render.

use super::report::{Part, Report};
use crate::app::targets::render;
use crate::platform::render::Tried;
use crate::settings::RenderSettings;

/// Tries all that guarding needs there, and answers what it found.
pub(super) async fn examine(name: &str, settings: &RenderSettings) -> Part {
    let mut report = Report::of(&format!("target {name}"));
    let render = match render(name, settings) {
        Ok(render) => render,
        Err(error) => {
            report.fail(&format!("{error:#}"), "mend the settings");
            return report.into();
        }
    };
    let (tried, services) = render.examine().await;
    let well = tried.iter().all(|one| matches!(one, Tried::Well(_)));
    for one in tried {
        match one {
            Tried::Well(what) => report.ok(&what),
            Tried::Wrong(what, mend) => report.fail(&what, mend),
        }
    }
    if settings.webhook_secret.is_none() {
        report.ok("no webhook_secret: deploys are found by looking alone");
    }
    report
        .ok("not tried, as it can't be without an effect: POST /services/ID/rollback, and PATCH \
         /services/ID for auto-deploy; the key's user needs a role that may deploy");
    Part { report, services, asked: well.then(|| name.to_owned()) }
}
