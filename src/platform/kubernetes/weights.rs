//! Traffic that is split by weight between a stable Service and a canary's: two Ingresses of
//! ingress-nginx, or the backends of a route of the Gateway API. Pure.

use k8s_openapi::api::networking::v1::Ingress;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::calls::Namespace;
use super::named::Named;
use super::rollout::{Rolled, annotation};
use super::selector::Selected;
use crate::model::Revision;
use crate::platform::LookError;

/// ingress-nginx's annotations: that an Ingress is a canary, its share, and of how much.
const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const TOTAL: &str = "nginx.ingress.kubernetes.io/canary-weight-total";
/// As a JSON patch writes it.
const WEIGHT_PATH: &str = "/metadata/annotations/nginx.ingress.kubernetes.io~1canary-weight";

/// Where the traffic of one Ingress or route goes.
#[derive(Debug, Clone)]
pub(super) struct Split<'a> {
    /// Of the Ingress or route that the policy names.
    pub(super) uid: String,
    pub(super) stable: Selected<'a>,
    pub(super) canary: Option<Canary<'a>>,
}

/// The other backend.
#[derive(Debug, Clone)]
pub(super) struct Canary<'a> {
    pub(super) selected: Selected<'a>,
    /// Percent.
    pub(super) weight: u8,
    pub(super) lever: Lever<'a>,
}

/// What is changed to move the share.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lever<'a> {
    /// The canary's own Ingress.
    Ingress(&'a Ingress),
    Route(&'a DynamicObject),
}

impl<'a> Split<'a> {
    /// The Ingress `name`, and the canary of the same host and path. `known`: the stable
    /// Service of the last split, for an Ingress that leads to others as well.
    pub(super) fn of_ingress(
        read: &'a Namespace,
        name: &str,
        known: Option<&str>,
    ) -> Result<Option<Self>, LookError> {
        let named = |one: &&Ingress| one.metadata.name.as_deref() == Some(name);
        let Some(main) = read.ingresses.iter().find(named) else { return Ok(None) };
        if is_canary(main) {
            return Err(LookError::Permanent(format!(
                "ingress/{name} is a canary: guard the Ingress that it is the canary of"
            )));
        }
        let canaries: Vec<(&Ingress, Backend, Backend)> = read
            .ingresses
            .iter()
            .filter(|one| is_canary(one))
            .filter_map(|one| {
                let (stable, canary) = shared(main, one)?;
                Some((one, stable, canary))
            })
            .collect();
        let uid = main.metadata.uid.clone().unwrap_or_default();
        match canaries.as_slice() {
            [] => {
                let stable = only_backend("ingress", name, backends(main), known)?;
                Ok(Some(Self { uid, stable: leads_to(read, &stable)?, canary: None }))
            }
            [(ingress, stable, canary)] => {
                let canary = Canary {
                    selected: leads_to(read, canary)?,
                    weight: share(ingress),
                    lever: Lever::Ingress(ingress),
                };
                Ok(Some(Self { uid, stable: leads_to(read, stable)?, canary: Some(canary) }))
            }
            [..] => Err(LookError::Permanent(format!(
                "ingress/{name} has several canaries of one host and path: ingress-nginx takes one"
            ))),
        }
    }

    /// The HTTPRoute `name`: of two backends the first is the stable one. `known`: as of an
    /// Ingress.
    pub(super) fn of_route(
        read: &'a Namespace,
        name: &str,
        known: Option<&str>,
    ) -> Result<Option<Self>, LookError> {
        let named = |one: &&DynamicObject| one.metadata.name.as_deref() == Some(name);
        let Some(route) = read.routes.iter().find(named) else { return Ok(None) };
        let uid = route.metadata.uid.clone().unwrap_or_default();
        let Some((stable, canary, weight)) = pair(route) else {
            let all = refs(route).into_iter().flatten();
            let all = all.map(|one| one.service).collect();
            let stable = only_backend("httproute", name, all, known)?;
            return Ok(Some(Self { uid, stable: leads_to(read, &stable)?, canary: None }));
        };
        let canary =
            Canary { selected: leads_to(read, &canary)?, weight, lever: Lever::Route(route) };
        Ok(Some(Self { uid, stable: leads_to(read, &stable)?, canary: Some(canary) }))
    }

    /// The canary, where it gets requests and is not what the stable Service leads to.
    pub(super) fn judged(&self) -> Option<&Canary<'a>> {
        let canary = self.canary.as_ref()?;
        let other =
            canary.selected.rolled.current.metadata.uid != self.stable.rolled.current.metadata.uid;
        (canary.weight > 0 && other).then_some(canary)
    }
}

/// The share of a canary's Ingress, in percent.
fn share(ingress: &Ingress) -> u8 {
    let number = |name| annotation(&ingress.metadata, name)?.parse::<u32>().ok();
    percent(number(WEIGHT).unwrap_or_default(), total(ingress))
}

fn total(ingress: &Ingress) -> u32 {
    let said = annotation(&ingress.metadata, TOTAL).and_then(|text| text.parse().ok());
    said.filter(|total| *total > 0).unwrap_or(100)
}

/// Never 0 of something.
fn percent(part: u32, of: u32) -> u8 {
    let share = u64::from(part) * 100 / u64::from(of.max(1));
    let least = u64::from(part > 0);
    u8::try_from(share.clamp(least, 100)).unwrap_or(100)
}

impl Lever<'_> {
    /// What gives the canary this share, in percent, as a JSON patch.
    pub(super) fn changes(&self, weight: u8) -> Vec<Value> {
        match self {
            Self::Ingress(ingress) => {
                // Rounded up: what is below the share would be waited for for ever.
                let part = (u64::from(weight) * u64::from(total(ingress))).div_ceil(100);
                vec![json!({ "op": "add", "path": WEIGHT_PATH, "value": part.to_string() })]
            }
            Self::Route(route) => {
                let Some((stable, canary, _)) = pair(route) else { return Vec::new() };
                let rest = 100_u8.saturating_sub(weight);
                let mut changes = Vec::new();
                for (rule, refs) in refs(route).into_iter().enumerate() {
                    let is_pair =
                        [&stable, &canary].into_iter().eq(refs.iter().map(|one| &one.service));
                    for (at, share) in [rest, weight].into_iter().enumerate().filter(|_| is_pair) {
                        let path = format!("/spec/rules/{rule}/backendRefs/{at}/weight");
                        changes.push(json!({ "op": "add", "path": path, "value": share }));
                    }
                }
                changes
            }
        }
    }
}

/// The name of a Service.
type Backend = String;

struct Ref {
    service: Backend,
    weight: u32,
}

/// The backends of each rule of a route, as far as they are Services.
fn refs(route: &DynamicObject) -> Vec<Vec<Ref>> {
    let rules = route.data["spec"]["rules"].as_array();
    let of_rule = |rule: &Value| {
        let refs = rule["backendRefs"].as_array().into_iter().flatten();
        refs.filter(|one| one["kind"].as_str().is_none_or(|kind| kind == "Service"))
            .filter_map(|one| {
                let weight = one["weight"].as_u64().unwrap_or(1);
                let weight = u32::try_from(weight).unwrap_or(u32::MAX);
                Some(Ref { service: one["name"].as_str()?.to_owned(), weight })
            })
            .collect()
    };
    rules.into_iter().flatten().map(of_rule).collect()
}

/// The stable backend and the canary's of the first rule that has two, and its share.
fn pair(route: &DynamicObject) -> Option<(Backend, Backend, u8)> {
    refs(route).into_iter().find_map(|refs| match refs.as_slice() {
        [stable, canary] if stable.service != canary.service => {
            let all = stable.weight.saturating_add(canary.weight);
            let weight = percent(canary.weight, all);
            Some((stable.service.clone(), canary.service.clone(), weight))
        }
        [..] => None,
    })
}

/// Whether an Ingress is another one's canary.
pub(super) fn is_canary(ingress: &Ingress) -> bool {
    annotation(&ingress.metadata, CANARY) == Some("true")
}

/// Host, path and Service of each rule.
fn paths(ingress: &Ingress) -> Vec<(Option<&str>, Option<&str>, &str)> {
    let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.as_ref());
    let of_rules = rules.into_iter().flatten().flat_map(|rule| {
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        paths.filter_map(|path| {
            let service = path.backend.service.as_ref()?;
            Some((rule.host.as_deref(), path.path.as_deref(), service.name.as_str()))
        })
    });
    of_rules.collect()
}

/// The Services that an Ingress leads to.
fn backends(ingress: &Ingress) -> Vec<Backend> {
    let default = ingress.spec.as_ref().and_then(|spec| spec.default_backend.as_ref());
    let default = default.and_then(|backend| Some(backend.service.as_ref()?.name.clone()));
    let of_paths = paths(ingress).into_iter().map(|(_, _, service)| service.to_owned());
    of_paths.chain(default).collect()
}

/// The Services of the first host and path that both have.
fn shared(main: &Ingress, canary: &Ingress) -> Option<(Backend, Backend)> {
    let of_main = paths(main);
    paths(canary).into_iter().find_map(|(host, path, service)| {
        let same = of_main.iter().find(|(a, b, _)| (*a, *b) == (host, path))?;
        Some((same.2.to_owned(), service.to_owned()))
    })
}

/// Where requests go while there is no canary. Of several Services it is the one that had a
/// canary beside it, or that has the name of what leads there.
fn only_backend(
    kind: &str,
    name: &str,
    mut all: Vec<Backend>,
    known: Option<&str>,
) -> Result<Backend, LookError> {
    all.sort();
    all.dedup();
    let what = format!("{kind}/{name}");
    let is_one = |wanted: &&str| all.iter().any(|one| one == wanted);
    if let Some(wanted) = known.filter(is_one).or(Some(name).filter(is_one)) {
        return Ok(wanted.to_owned());
    }
    match all.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(LookError::Permanent(format!("{what} leads to no Service"))),
        several => Err(LookError::Permanent(format!(
            "{what} leads to several Services ({}), and none has its name: guard one that leads \
             to one",
            several.join(", ")
        ))),
    }
}

/// Of the Services that an Ingress or a route leads to, the only one whose Deployment has any
/// of these revisions; `None`: there is none, or they are several.
pub(super) fn leading_to(
    read: &Namespace,
    named: &Named<'_>,
    revisions: [&Revision; 2],
) -> Option<Backend> {
    let mut all: Vec<Backend> = match named {
        Named::Deployment(_) | Named::Service(_) => Vec::new(),
        Named::Ingress(name) => {
            let mut ingresses = read.ingresses.iter();
            ingresses.find(|one| one.metadata.name.as_deref() == Some(name)).map(backends)?
        }
        Named::Route(name) => {
            let mut routes = read.routes.iter();
            let route = routes.find(|one| one.metadata.name.as_deref() == Some(name))?;
            refs(route).into_iter().flatten().map(|one| one.service).collect()
        }
    };
    all.sort();
    all.dedup();
    all.retain(|service| {
        let found = leads_to(read, service);
        let has =
            |rolled: &Rolled<'_>| revisions.iter().any(|one| rolled.set(read, &one.name).is_some());
        found.is_ok_and(|found| has(&found.rolled))
    });
    if all.len() == 1 { all.pop() } else { None }
}

fn leads_to<'a>(read: &'a Namespace, service: &str) -> Result<Selected<'a>, LookError> {
    let found = Selected::of(read, service)?;
    found.ok_or_else(|| LookError::Transient(format!("there is no Service {service}")))
}
