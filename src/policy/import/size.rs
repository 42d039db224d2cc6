//! Whether a draft would fit into a policy file, before the work of it is done.

use std::collections::BTreeSet;

use super::{Found, write};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::{MAX_BYTES, SourceFile};

/// What to say where it would not fit.
pub(super) fn too_large(file: &SourceFile, found: &Found) -> Option<Diagnostic> {
    let mut size = 0;
    for rule in &found.rules {
        let mut text = String::new();
        match &rule.check {
            Ok(_) => write::entry(&mut text, file, rule, &mut BTreeSet::new()),
            Err(_) => write::about(&mut text, "", file, rule),
        }
        size += text.len();
    }
    if size <= MAX_BYTES {
        return None;
    }
    let (rules, kib, most) = (found.rules.len(), size / 1024, MAX_BYTES / 1024);
    let message = format!(
        "the draft of {rules} rules would have about {kib} KiB, and a policy file has {most} KiB \
         at most"
    );
    let mend = "import them a service at a time, such as what `aws cloudwatch describe-alarms \
                --alarm-name-prefix NAME` prints";
    Some(Diagnostic { mend: Some(mend.to_owned()), ..Diagnostic::of_file(&file.path, message) })
}
