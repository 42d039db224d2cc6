//! The `AppSpec` that CodeDeploy is given for a rollback. Pure.

use serde_json::json;

/// The container that the load balancer sends requests to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    pub(super) container: String,
    pub(super) port: i32,
}

/// What puts `target` back: the former `AppSpec` where it names the target, else the
/// judged one with the target in the judged task definition's place (its hooks and
/// network stay), else the least that CodeDeploy takes. Task definitions are ARNs.
/// `None`: nothing to make one of.
pub(super) fn app_spec(
    former: Option<&str>,
    judged: Option<(&str, &str)>,
    door: Option<&Door>,
    target: &str,
) -> Option<String> {
    if let Some(former) = former.filter(|text| replaced(text, target, target).is_some()) {
        return Some(former.to_owned());
    }
    let changed = judged.and_then(|(text, definition)| replaced(text, definition, target));
    changed.or_else(|| door.map(|door| least(door, target)))
}

/// `text` with `to` for every `from`; `None` where it names `from` nowhere. A longer
/// revision number (`api:12` for `api:1`) is another name.
fn replaced(text: &str, from: &str, to: &str) -> Option<String> {
    let mut parts = text.split(from);
    let mut whole = parts.next()?.to_owned();
    let mut found = false;
    for part in parts {
        let another = part.starts_with(|next: char| next.is_ascii_digit());
        whole.push_str(if another { from } else { to });
        whole.push_str(part);
        found |= !another;
    }
    found.then_some(whole)
}

fn least(door: &Door, target: &str) -> String {
    json!({
        "version": 0.0,
        "Resources": [{ "TargetService": {
            "Type": "AWS::ECS::Service",
            "Properties": {
                "TaskDefinition": target,
                "LoadBalancerInfo": {
                    "ContainerName": door.container,
                    "ContainerPort": door.port,
                },
            },
        }}],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "arn:aws:ecs:x:1:task-definition/api:1";
    const SECOND: &str = "arn:aws:ecs:x:1:task-definition/api:2";

    #[test]
    fn the_former_app_spec_is_taken_where_it_names_the_target_and_the_judged_one_is_changed_else() {
        let former = format!("Resources: [{{ TaskDefinition: \"{FIRST}\" }}]");
        let judged = format!("TaskDefinition: {SECOND}\nHooks: [check]");
        let door = Door { container: "app".into(), port: 80 };
        let of = |former, judged, door| app_spec(former, judged, door, FIRST);
        assert_eq!(of(Some(&former), Some((&judged, SECOND)), None), Some(former.clone()));

        let longer = former.replace("api:1", "api:12");
        let changed = format!("TaskDefinition: {FIRST}\nHooks: [check]");
        assert_eq!(of(Some(&longer), Some((&judged, SECOND)), None), Some(changed));

        let least = of(None, Some(("nothing of it", SECOND)), Some(&door)).expect("made");
        assert!(least.contains(&format!("\"TaskDefinition\":\"{FIRST}\"")), "{least}");
        assert!(least.contains("\"ContainerName\":\"app\",\"ContainerPort\":80"), "{least}");
        assert_eq!(of(None, None, None), None);
    }
}
