//! Requests as they are counted: also those whose answer nobody waits for any more.

use std::sync::Arc;

use axum::http::Method;
use utoipa_axum::router::OpenApiRouter;

use super::Face;
use super::slack::INTERACTIVITY;
use crate::telemetry::Metrics;

/// As many servers have it: the client hung up before the answer. No answer bears it.
const HUNG_UP: u16 = 499;

/// The routes that are posted to by programs: where one fails at once, nobody may see it.
pub(super) fn hooks(described: &OpenApiRouter<Face>) -> impl Iterator<Item = &str> {
    let paths = described.get_openapi().paths.paths.keys().map(String::as_str);
    paths.filter(|path| path.starts_with("/hooks/") || *path == INTERACTIVITY)
}

/// A request under way. It is counted when this is dropped, with the code that it was told.
pub(super) struct Counted {
    metrics: Arc<Metrics>,
    method: Method,
    route: String,
    begun: tokio::time::Instant,
    code: u16,
}

impl Counted {
    pub fn begun(metrics: Arc<Metrics>, method: Method, route: String) -> Self {
        Self { metrics, method, route, begun: tokio::time::Instant::now(), code: HUNG_UP }
    }

    pub fn answered(mut self, code: u16) {
        self.code = code;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        self.metrics.request(self.method.as_str(), &self.route, self.code, took);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::web::described;

    #[test]
    fn every_hook_is_known() {
        let described = described();
        let found: BTreeSet<&str> = hooks(&described).collect();
        let all = [
            "/hooks/alertmanager",
            "/hooks/deployments",
            "/hooks/github",
            "/hooks/heartbeats/{job}",
            "/hooks/render",
            "/hooks/sns",
            "/slack/interactivity",
        ];
        assert_eq!(found, BTreeSet::from(all));
    }

    #[test]
    fn a_request_whose_client_hangs_up_is_counted_too_and_each_once() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let begun = || Counted::begun(metrics.clone(), Method::POST, "/hooks/sns".to_owned());
        drop(begun());
        begun().answered(200);
        let text = metrics.text().unwrap();
        for code in ["499", "200"] {
            let labels = format!(r#"code="{code}",method="POST",route="/hooks/sns""#);
            let line = format!("\ndeployguard_http_requests_total{{{labels}}} 1\n");
            assert!(text.contains(&line), "no {line} in\n{text}");
        }
    }
}
