//! What the environment says of traces. The SDK and its exporter read it themselves; here is
//! only whether they are wanted at all, what this build can't do, how long the queue is, and
//! what we are called.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;

use super::ids;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The first that is set holds.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const PROTOCOL: &str = "http/protobuf";
const EXPORTER: &str = "otlp";
const NONE: &str = "none";
/// Spans that may wait where nobody says, as the specification has it.
const QUEUE: usize = 2048;

/// Whether traces are wanted, as `of` has the environment.
///
/// # Errors
/// The protocol is one that this build doesn't have, OTLP is not among the exporters,
/// or the endpoint is no address.
pub(super) fn wants(of: impl Fn(&str) -> Option<String>) -> Result<bool, String> {
    let endpoint = ENDPOINTS.into_iter().any(|name| set(&of, name).is_some());
    let disabled = set(&of, "OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let exporters = exporters(&of);
    if !endpoint || disabled || exporters.iter().all(|one| one == NONE) {
        return Ok(false);
    }
    if !exporters.iter().any(|one| one == EXPORTER) {
        return Err(format!(
            "OTEL_TRACES_EXPORTER is `{}`: deployguard sends traces by `{EXPORTER}` alone",
            exporters.join(",")
        ));
    }
    host(&of)?;
    let named = PROTOCOLS.into_iter().find_map(|name| Some((name, set(&of, name)?)));
    match named {
        Some((name, protocol)) if protocol != PROTOCOL => Err(format!(
            "{name} is `{protocol}`: deployguard sends traces by `{PROTOCOL}` alone; collectors \
             take it at port 4318, where gRPC has 4317"
        )),
        Some(_) | None => Ok(true),
    }
}

/// The exporters that are asked for beside the one that there is, as people list them.
pub(super) fn left_out(of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut others = exporters(&of);
    others.retain(|one| one != EXPORTER && one != NONE);
    (!others.is_empty()).then(|| others.join(", "))
}

/// The host that traces are sent to, with its port. Never more of the endpoint: there may be a
/// password in it.
///
/// # Errors
/// It is no address.
pub(super) fn host(of: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let found = ENDPOINTS.into_iter().find_map(|name| Some((name, set(&of, name)?)));
    let Some((name, endpoint)) = found else { return Err("there is no endpoint".to_owned()) };
    let url = reqwest::Url::parse(&endpoint).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
    let place = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    match place {
        Some((host, Some(port))) => Ok(format!("{host}:{port}")),
        Some((host, None)) => Ok(host.to_owned()),
        None => Err(format!("{name} is no address: give one such as http://collector:4318")),
    }
}

/// Spans that may wait to be sent.
pub(super) fn queue(of: impl Fn(&str) -> Option<String>) -> usize {
    set(&of, "OTEL_BSP_MAX_QUEUE_SIZE").and_then(|size| size.parse().ok()).unwrap_or(QUEUE)
}

fn exporters(of: &impl Fn(&str) -> Option<String>) -> Vec<String> {
    let named = set(of, "OTEL_TRACES_EXPORTER").unwrap_or_else(|| EXPORTER.to_owned());
    let named = named.split(',').map(str::trim).filter(|one| !one.is_empty());
    named.map(str::to_owned).collect()
}

/// An empty one counts as none: so the specification has it.
fn set(of: &impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    of(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// Who tells, with what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say.
pub(super) fn resource() -> Resource {
    named(&Resource::builder().build())
}

/// What the SDK calls a service that nobody gave a name is no name. Each process is another
/// instance: of two daemons one can tell who led.
fn named(found: &Resource) -> Resource {
    let said = |key: &'static str| {
        let value = found.get(&Key::from_static_str(key)).map(|value| value.to_string());
        value.filter(|value| !value.starts_with("unknown_service"))
    };
    let ours = [
        ("service.name", env!("CARGO_PKG_NAME").to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", instance()),
    ];
    let lacking = ours.into_iter().filter(|(key, _)| said(key).is_none());
    let lacking: Vec<KeyValue> = lacking.map(|(key, value)| KeyValue::new(key, value)).collect();
    let known = found.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(known).with_attributes(lacking).build()
}

/// A random UUID, as the conventions want it.
fn instance() -> String {
    let hex = ids::trace().to_string();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    fn told(variables: &[(&str, &str)]) -> Result<bool, String> {
        wants(of(variables))
    }

    #[test]
    fn traces_are_wanted_where_there_is_an_endpoint_and_nobody_turned_them_off() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert_eq!(told(&[]), Ok(false));
        assert_eq!(told(&[("OTEL_SERVICE_NAME", "guard")]), Ok(false));
        assert_eq!(told(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(false));
        assert_eq!(told(&[endpoint]), Ok(true));
        assert_eq!(told(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/v1/traces")]), Ok(true));
        assert_eq!(told(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(false));
        assert_eq!(told(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]), Ok(false));
    }

    #[test]
    fn a_protocol_that_this_build_lacks_is_told_with_the_one_that_it_has() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
        let grpc = told(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert!(grpc.starts_with("OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`"), "{grpc}");
        assert!(grpc.contains("`http/protobuf`") && grpc.contains("4318"), "{grpc}");
        assert!(told(&[endpoint, ("OTEL_TRACES_EXPORTER", "zipkin")]).is_err());
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf");
        let both = [endpoint, of_traces, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        assert_eq!(told(&both), Ok(true), "that of traces goes before that of all");
        assert_eq!(told(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]), Ok(false), "no endpoint");
    }

    #[test]
    fn otlp_counts_among_other_exporters_and_those_are_told() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let both = [endpoint, ("OTEL_TRACES_EXPORTER", "console, otlp,zipkin")];
        assert_eq!(told(&both), Ok(true));
        assert_eq!(left_out(of(&both)).as_deref(), Some("console, zipkin"));
        assert_eq!(left_out(of(&[endpoint])), None);
        assert_eq!(left_out(of(&[("OTEL_TRACES_EXPORTER", "otlp,none")])), None);
        let other = told(&[endpoint, ("OTEL_TRACES_EXPORTER", "console")]).unwrap_err();
        assert!(other.starts_with("OTEL_TRACES_EXPORTER is `console`"), "{other}");
        assert_eq!(told(&[endpoint, ("OTEL_TRACES_EXPORTER", "none,")]), Ok(false));
    }

    #[test]
    fn of_an_endpoint_its_host_is_told_and_no_password() {
        let traces =
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://me:secret@c.example/v1/traces");
        let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        assert_eq!(host(of(&[all])).as_deref(), Ok("collector:4318"));
        assert_eq!(host(of(&[all, traces])).as_deref(), Ok("c.example"));
        for odd in ["collector:4318", "secret", "grpc://secret:4317", "http://"] {
            let odd = told(&[("OTEL_EXPORTER_OTLP_ENDPOINT", odd)]).unwrap_err();
            assert!(odd.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT is no address"), "{odd}");
            assert!(!odd.contains("secret"), "{odd}");
        }
    }

    #[test]
    fn as_many_spans_wait_as_the_environment_says() {
        assert_eq!(queue(of(&[])), 2048);
        assert_eq!(queue(of(&[("OTEL_BSP_MAX_QUEUE_SIZE", "7")])), 7);
        assert_eq!(queue(of(&[("OTEL_BSP_MAX_QUEUE_SIZE", "many")])), 2048);
    }

    #[test]
    fn each_process_is_another_instance_unless_it_was_given_a_name() {
        let instance = |found: Vec<KeyValue>| {
            let named = named(&Resource::builder_empty().with_attributes(found).build());
            named.get(&Key::from_static_str("service.instance.id")).map(|id| id.to_string())
        };
        let (one, other) = (instance(vec![]).unwrap(), instance(vec![]).unwrap());
        assert_ne!(one, other);
        let lengths: Vec<usize> = one.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{one}");
        let given = KeyValue::new("service.instance.id", "guard-a");
        assert_eq!(instance(vec![given]).as_deref(), Some("guard-a"));
    }

    #[test]
    fn whoever_gave_it_no_name_finds_it_under_its_own() {
        let name = |found: Vec<KeyValue>| {
            let found = Resource::builder_empty().with_attributes(found).build();
            let named = named(&found);
            named.get(&Key::from_static_str("service.name")).map(|name| name.to_string())
        };
        let given = |name: &'static str| vec![KeyValue::new("service.name", name)];
        assert_eq!(name(vec![]).as_deref(), Some("deployguard"));
        assert_eq!(name(given("unknown_service")).as_deref(), Some("deployguard"));
        assert_eq!(name(given("guard-eu")).as_deref(), Some("guard-eu"));
    }
}
