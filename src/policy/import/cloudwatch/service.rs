//! Which services the alarms are about, and whether one is about the service alone.

use std::collections::BTreeSet;

use super::super::tree::at;
use super::super::{Argument, Frame, Measured, UNSAID};
use super::alarm::Alarm;
use super::{Asked, MetricStat, template};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::{Glob, SourceFile};

/// Dimensions that name a service.
const SERVICE: [&str; 4] = ["ServiceName", "Service", "service", "service_name"];
const CLUSTER: &str = "ClusterName";
/// What a load balancer itself answers or refuses.
const OF_THE_BALANCER: [&str; 4] =
    ["HTTPCode_ELB_", "RejectedConnectionCount", "ActiveConnectionCount", "NewConnectionCount"];

/// The services that are wanted.
#[derive(Default)]
pub(super) struct Services {
    wanted: Option<(Glob, Glob)>,
    single: Option<(String, String)>,
}

/// Whom a metric speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The service that is judged.
    Own,
    /// Others as well.
    Others,
}

impl Services {
    /// Those that the frame names, or the one that the alarms name.
    ///
    /// # Errors
    /// Several, and no word about which.
    pub fn of(file: &SourceFile, alarms: &[Alarm], frame: &Frame) -> Result<Self, Diagnostic> {
        if frame.service != UNSAID {
            let wanted = Glob::parse(&frame.cluster).ok().zip(Glob::parse(&frame.service).ok());
            return Ok(Self { wanted, single: None });
        }
        let stats: Vec<MetricStat> = alarms.iter().flat_map(stats_of).collect();
        let named: BTreeSet<(String, String)> = stats.iter().filter_map(named).collect();
        if named.len() > 1 {
            let first =
                named.iter().next().map(|(cluster, service)| format!("{cluster}/{service}"));
            let names: Vec<String> = named
                .iter()
                .take(8)
                .map(|(cluster, service)| format!("{cluster}/{service}"))
                .collect();
            let more = if named.len() > names.len() { ", ..." } else { "" };
            let message = format!(
                "the alarms are about {} services: {}{more}",
                named.len(),
                names.join(", ")
            );
            let mend = format!("say which, as in `--match {}`", first.unwrap_or_default());
            return Err(Diagnostic { mend: Some(mend), ..at(file, None, message) });
        }
        let single = named.into_iter().next();
        let globs = single.as_ref().and_then(|(cluster, service)| {
            Glob::parse(cluster).ok().zip(Glob::parse(service).ok())
        });
        Ok(Self { wanted: globs, single })
    }

    pub fn policy_name(&self) -> Option<String> {
        self.single.as_ref().map(|(_, service)| format!("{service}-alarms"))
    }

    pub fn single(&self) -> Option<(String, String)> {
        self.single.clone()
    }

    /// Puts variables in the place of the service's names, and says what else it speaks of.
    ///
    /// # Errors
    /// It is about another service, or its names are filled in elsewhere.
    pub fn reach(
        &self,
        measured: &mut Measured,
        arguments: &mut Vec<Argument>,
    ) -> Result<Reach, String> {
        let mut reach = Reach::Own;
        for stat in stats(measured) {
            if template::is_open(&stat.namespace) || template::is_open(&stat.metric) {
                return Err("its metric is named by a value of the template".to_owned());
            }
            self.named(stat)?;
            opened(stat, arguments);
            if let Some(argument) = shared(stat) {
                if !arguments.contains(&argument) {
                    arguments.push(argument);
                }
                reach = Reach::Others;
            }
        }
        Ok(reach)
    }

    fn named(&self, stat: &mut MetricStat) -> Result<(), String> {
        for (name, value) in &mut stat.dimensions {
            let open = template::is_open(value);
            let wanted = |which: fn(&(Glob, Glob)) -> &Glob, value: &str| {
                self.wanted.as_ref().is_none_or(|wanted| which(wanted).matches(value))
            };
            if SERVICE.contains(&name.as_str()) {
                if !open && !wanted(|wanted| &wanted.1, value) {
                    return Err(format!("it is about another service, `{value}`"));
                }
                if open || self.wanted.is_some() {
                    "${service}".clone_into(value);
                }
            } else if name == CLUSTER {
                if !open && !wanted(|wanted| &wanted.0, value) {
                    return Err(format!("it is about another cluster, `{value}`"));
                }
                if open || self.wanted.is_some() {
                    "${cluster}".clone_into(value);
                }
            }
        }
        Ok(())
    }
}

/// The metrics of a check.
fn stats(measured: &mut Measured) -> Vec<&mut MetricStat> {
    fn of(asked: &mut Asked) -> Vec<&mut MetricStat> {
        match asked {
            Asked::Stat(stat) => vec![stat],
            Asked::Math { metrics, .. } => metrics.values_mut().collect(),
        }
    }
    match measured {
        Measured::Metric { of: metric, .. } => of(&mut metric.of),
        Measured::MetricRatio { of: part, total, .. } => {
            let mut all = of(&mut part.of);
            all.extend(of(&mut total.of));
            all
        }
        Measured::Ratio { .. } | Measured::Latency { .. } | Measured::Query(_) => Vec::new(),
    }
}

fn stats_of(alarm: &Alarm) -> Vec<MetricStat> {
    match alarm.asked() {
        Ok((Asked::Stat(stat), _)) => vec![stat],
        Ok((Asked::Math { metrics, .. }, _)) => metrics.into_values().collect(),
        Err(_) => Vec::new(),
    }
}

/// The cluster and service that a metric of ECS names.
fn named(stat: &MetricStat) -> Option<(String, String)> {
    let value = |name: &str| stat.dimensions.get(name).filter(|value| !template::is_open(value));
    let service = value("ServiceName")?.clone();
    Some((value(CLUSTER).map_or_else(|| "*".to_owned(), Clone::clone), service))
}

/// Dimensions that only the template's stack knows.
fn opened(stat: &mut MetricStat, arguments: &mut Vec<Argument>) {
    for (name, value) in &mut stat.dimensions {
        let ours = ["${service}", "${cluster}"].contains(&value.as_str());
        if template::is_open(value) && !ours {
            let says = format!("the template fills in `{name}` with `{value}`");
            let argument = Argument::new(says).drafted(format!("drafted as {UNSAID}: fill it in"));
            if !arguments.contains(&argument) {
                arguments.push(argument);
            }
            UNSAID.clone_into(value);
        }
    }
}

/// What a metric says about neighbours too.
fn shared(stat: &MetricStat) -> Option<Argument> {
    let MetricStat { namespace, metric, dimensions, .. } = stat;
    let has = |name: &str| dimensions.contains_key(name);
    let told = "drafted as SEV3: told, never rolled back";
    match namespace.as_str() {
        "AWS/ApplicationELB" if OF_THE_BALANCER.iter().any(|start| metric.starts_with(start)) => {
            let says = format!(
                "`{metric}` counts what the load balancer itself does, for every service behind it"
            );
            let beside =
                "; what this service answers is `HTTPCode_Target_...` with its target group";
            Some(Argument::new(says).drafted(format!("{told}{beside}")))
        }
        "AWS/ApplicationELB" | "AWS/NetworkELB" if !has("TargetGroup") => {
            let says = "it is about the whole load balancer, so every service behind it, and a \
                        deployment of any of them rings it";
            Some(Argument::new(says).drafted(format!("{told}, until the target group is added")))
        }
        "AWS/ECS" | "ECS/ContainerInsights" if !has("ServiceName") => {
            let says = "it is about the whole cluster, so every service in it";
            Some(Argument::new(says).drafted(told))
        }
        _ => None,
    }
}
