//! Patches as the API takes them: JSON patch (RFC 6902) and merge patch (RFC 7386). A strategic
//! merge patch is the same as a merge patch for all that is used here: maps, and no lists.

use serde_json::Value;

/// Applies a patch of this content type.
///
/// # Errors
/// Status and words, as the API answers them.
pub fn apply(object: &mut Value, kind: &str, patch: &Value) -> Result<(), (u16, String)> {
    match kind.split(';').next().unwrap_or_default() {
        "application/json-patch+json" => {
            for step in patch.as_array().into_iter().flatten() {
                step_of(object, step)?;
            }
            Ok(())
        }
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            merge(object, patch);
            Ok(())
        }
        other => Err((415, format!("the content type {other} is not supported"))),
    }
}

fn step_of(object: &mut Value, step: &Value) -> Result<(), (u16, String)> {
    let path = step["path"].as_str().unwrap_or_default();
    let missing = || (422, format!("{path}: there is no such path"));
    let (above, last) = path.rsplit_once('/').ok_or_else(missing)?;
    let key = last.replace("~1", "/").replace("~0", "~");
    let above = object.pointer_mut(above).ok_or_else(missing)?;
    let value = step["value"].clone();
    match (step["op"].as_str().unwrap_or_default(), above) {
        ("add", Value::Object(map)) => drop(map.insert(key, value)),
        ("replace", Value::Object(map)) => *map.get_mut(&key).ok_or_else(missing)? = value,
        ("remove", Value::Object(map)) => drop(map.remove(&key).ok_or_else(missing)?),
        (op, _) => return Err((422, format!("{op} {path} is not supported here"))),
    }
    Ok(())
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = serde_json::json!({});
    }
    let Some(map) = into.as_object_mut() else { return };
    for (key, change) in changes {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}
