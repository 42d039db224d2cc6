//! What the environment says of traces. The SDK and its exporter read it themselves; here is
//! only whether they are wanted at all, what this build can't do, and what we are called.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The first that is set holds.
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const PROTOCOL: &str = "http/protobuf";

/// Whether traces are wanted, as `of` has the environment.
///
/// # Errors
/// The protocol is one that this build doesn't have, or there is another exporter than OTLP.
pub(super) fn wants(of: impl Fn(&str) -> Option<String>) -> Result<bool, String> {
    // An empty one counts as none: so the specification has it.
    let set =
        |name: &str| of(name).map(|value| value.trim().to_owned()).filter(|it| !it.is_empty());
    let endpoint = ENDPOINTS.into_iter().any(|name| set(name).is_some());
    let disabled = set("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let exporter = set("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
    if !endpoint || disabled || exporter == "none" {
        return Ok(false);
    }
    if exporter != "otlp" {
        return Err(format!(
            "OTEL_TRACES_EXPORTER is `{exporter}`: deployguard sends traces by `otlp` alone"
        ));
    }
    let named = PROTOCOLS.into_iter().find_map(|name| Some((name, set(name)?)));
    match named {
        Some((name, protocol)) if protocol != PROTOCOL => Err(format!(
            "{name} is `{protocol}`: deployguard sends traces by `{PROTOCOL}` alone; collectors \
             take it at port 4318, where gRPC has 4317"
        )),
        Some(_) | None => Ok(true),
    }
}

/// Who tells, with what `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say.
pub(super) fn resource() -> Resource {
    named(&Resource::builder().build())
}

/// What the SDK calls a service that nobody gave a name is no name.
fn named(found: &Resource) -> Resource {
    let said = |key: &'static str| {
        let value = found.get(&Key::from_static_str(key)).map(|value| value.to_string());
        value.filter(|value| !value.starts_with("unknown_service"))
    };
    let ours =
        [("service.name", env!("CARGO_PKG_NAME")), ("service.version", env!("CARGO_PKG_VERSION"))];
    let lacking = ours.into_iter().filter(|(key, _)| said(key).is_none());
    let lacking: Vec<KeyValue> = lacking.map(|(key, value)| KeyValue::new(key, value)).collect();
    let known = found.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty().with_attributes(known).with_attributes(lacking).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> Result<bool, String> {
        wants(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
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
