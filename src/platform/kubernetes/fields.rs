//! When a field of an object was last written, by what the API keeps of its writers. Pure.
//!
//! `managedFields` has one entry a writer, with the time of that writer's last change of any
//! field that it owns: the time of a field is at the earliest that of its last change, and
//! moves on where the same writer changes something else. Whoever needs a time that stays
//! keeps the first that it was told.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::rollout::time;

/// The latest time of the writers that own the field at `path` (`f:spec`, `f:selector`) or
/// anything in it; status writers aside. `None`: nobody is known to.
pub(super) fn last_written(meta: &ObjectMeta, path: &[&str]) -> Option<Timestamp> {
    let entries = meta.managed_fields.iter().flatten();
    let owning = entries.filter(|entry| {
        let whole: Option<&Value> = entry.fields_v1.as_ref().map(|fields| &fields.0);
        let found = path.iter().fold(whole, |at, step| at?.get(*step));
        entry.subresource.as_deref().unwrap_or_default().is_empty() && found.is_some()
    });
    owning.filter_map(|entry| time(entry.time.as_ref())).max()
}
