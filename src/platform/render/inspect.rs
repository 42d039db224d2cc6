//! Whether a rollback's target can be put back, and what that would not restore.

use super::Render;
use super::api::PAGE;
use super::choose::{LEAST_KEPT, MOST_KEPT, earlier, unknown};
use super::wave::{Member, contents};
use super::wire::{Service, short};
use crate::model::{Inspection, Revision, ServiceKey};
use crate::platform::LookError;

/// What stays as it is now, whatever goes back.
const STAYS: &str = "a rollback on Render puts builds back: environment groups, disks and \
                     databases stay as they are now";

impl Render {
    pub(super) async fn inspect_target(
        &self,
        key: &ServiceKey,
        judged: &Revision,
        target: &Revision,
    ) -> Result<Inspection, LookError> {
        let stopped_by = |words| Inspection { obstacle: Some(words), ..Inspection::default() };
        if judged.name == target.name {
            let short = target.short();
            let words = format!("both sides are {short}: putting it back would restore nothing");
            return Ok(stopped_by(words));
        }
        let Some(services) = self.members_of(key).await? else {
            return Ok(stopped_by(format!("{key} does not exist")));
        };
        let members = self.history(&services, PAGE).await?;
        Ok(inspected(&services, &members, target))
    }
}

/// Pure.
fn inspected(services: &[Service], members: &[Member], target: &Revision) -> Inspection {
    let mut inspection = Inspection::default();
    let wanted = match contents(target, members) {
        Ok(wanted) => wanted,
        Err(why) => return Inspection { obstacle: Some(why), ..inspection },
    };
    for ((service, member), wanted) in services.iter().zip(members).zip(&wanted) {
        if member.heading().is_some_and(|heading| heading.content() == *wanted) {
            continue;
        }
        let name = &service.name;
        let obstacle = match earlier(member, wanted) {
            _ if service.is_suspended() => Some(format!("{name} is suspended")),
            None => Some(unknown(member, wanted)),
            Some((_, since)) if since > MOST_KEPT => Some(format!(
                "{since} deploys of {name} were live since {}, and Render keeps {MOST_KEPT} \
                 builds at most: deploy that commit by hand",
                short(wanted)
            )),
            Some((_, since)) => {
                if since > LEAST_KEPT {
                    inspection.unasked.push(format!(
                        "{since} deploys of {name} were live since {}: Render keeps \
                         {LEAST_KEPT} to {MOST_KEPT} builds, by the workspace's plan",
                        short(wanted)
                    ));
                }
                None
            }
        };
        if obstacle.is_some() {
            return Inspection { obstacle, ..inspection };
        }
    }
    let migrating = services.iter().flat_map(|service| {
        service.commands().into_iter().filter(|(_, command)| migrates(command)).map(|(which, _)| {
            format!(
                "the {which} of {} runs migrations: a rollback does not run them back, so the \
                 earlier code meets the newer schema",
                service.name
            )
        })
    });
    inspection.differences = migrating.chain([STAYS.to_owned()]).collect();
    inspection
}

/// Whether a command changes a database's schema, by the names of the usual tools.
fn migrates(command: &str) -> bool {
    ["migrate", "db upgrade", "alembic upgrade", "db:schema:load", "migration:run", "goose up"]
        .iter()
        .any(|tool| command.contains(tool))
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
