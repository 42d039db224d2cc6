//! `deployguard match`: which policy guards a service, and who set each value.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

use crate::model::ServiceKey;
use crate::policy::{Matches, Written, read};
use crate::policy_repo::collect;

/// Looks `service` up among the policies in `folder`: `CLUSTER/SERVICE`, or
/// `TARGET/CLUSTER/SERVICE` where policies name targets. Exit 1 when no policy
/// guards it, when several do, or when the policies have mistakes.
pub fn run(folder: &Path, service: &str, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let Some((target, cluster, name)) = ServiceKey::parts(service) else {
        bail!("`{service}` is not CLUSTER/SERVICE or TARGET/CLUSTER/SERVICE");
    };
    let set = match collect(&[folder.to_owned()]).and_then(|files| read(&files)) {
        Ok(set) => set,
        Err(mistakes) => {
            super::check::told(&mistakes, out)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let key = |target: &str| ServiceKey {
        target: target.to_owned(),
        cluster: cluster.to_owned(),
        service: name.to_owned(),
    };
    match set.matching(&key(target.unwrap_or_default())) {
        Matches::One(written) => {
            described(written, out)?;
            Ok(ExitCode::SUCCESS)
        }
        Matches::Several(all) => {
            writeln!(
                out,
                "{} policies guard {service}: only notifications would be sent",
                all.len()
            )?;
            for written in all {
                writeln!(out, "  {} ({})", written.policy.name, written.file)?;
            }
            Ok(ExitCode::FAILURE)
        }
        Matches::None => {
            writeln!(out, "no policy guards {service}")?;
            for near in set.nearest(&key("")) {
                writeln!(out, "  did you mean {near}?")?;
            }
            for written in set.iter().filter(|_| target.is_none()) {
                if let Some(target) = &written.policy.matches.target
                    && guards_at(&set, &key(target), written)
                {
                    writeln!(out, "  at the target {target}, `{}` does", written.policy.name)?;
                }
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

fn guards_at(set: &crate::policy::PolicySet, key: &ServiceKey, written: &Written) -> bool {
    match set.matching(key) {
        Matches::None => false,
        Matches::One(found) => found.policy.name == written.policy.name,
        Matches::Several(all) => all.iter().any(|found| found.policy.name == written.policy.name),
    }
}

/// Each value with the place that set it, in two columns.
fn described(written: &Written, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{} ({})", written.policy.name, written.file)?;
    let place = |origin: &crate::policy::Origin| format!("{}:{}", origin.file, origin.line);
    let width = written.origins.iter().map(|origin| place(origin).chars().count()).max();
    let width = width.unwrap_or_default();
    for origin in &written.origins {
        writeln!(out, "  {:width$}  {}: {}", place(origin), origin.path, origin.value)?;
    }
    Ok(())
}
