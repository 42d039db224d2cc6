//! How a shop behaves, read from its task definition's environment.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One version's behaviour. Failures are spread evenly, so that the same rates give the same
/// picture in every run.
pub struct Behaviour {
    /// `VERSION`: what the metrics call this version.
    pub version: String,
    /// `ERROR_RATE`: the share of requests answered with 500.
    error_rate: f64,
    /// `ORDER_FAILURE_RATE`: the share of orders that fail though their request succeeds.
    order_failure_rate: f64,
    /// `LATENCY_MS`: how long the middle request takes.
    latency_ms: f64,
    /// `MEMORY_BYTES`: resident at the start.
    memory_bytes: f64,
    /// `LEAK_BYTES_PER_S`: how much more each second.
    leak_bytes_per_s: f64,
    /// `CPU`: cores in use.
    pub cpu: f64,
    /// `UNHEALTHY=1`: /health answers 503.
    unhealthy: bool,
    requests: AtomicU64,
    orders: AtomicU64,
}

impl Behaviour {
    /// Reads it; what is not set is as a healthy shop has it.
    pub fn read(environment: &BTreeMap<String, String>) -> Self {
        Self {
            version: environment.get("VERSION").cloned().unwrap_or_else(|| "unknown".into()),
            error_rate: number(environment, "ERROR_RATE", 0.0),
            order_failure_rate: number(environment, "ORDER_FAILURE_RATE", 0.0),
            latency_ms: number(environment, "LATENCY_MS", 20.0),
            memory_bytes: number(environment, "MEMORY_BYTES", 200.0 * 1024.0 * 1024.0),
            leak_bytes_per_s: number(environment, "LEAK_BYTES_PER_S", 0.0),
            cpu: number(environment, "CPU", 0.2),
            unhealthy: environment.get("UNHEALTHY").is_some_and(|value| value == "1"),
            requests: AtomicU64::new(0),
            orders: AtomicU64::new(0),
        }
    }

    /// Whether the next request fails.
    pub fn request_fails(&self) -> bool {
        evenly(&self.requests, self.error_rate)
    }

    /// Whether the next order fails.
    pub fn order_fails(&self) -> bool {
        evenly(&self.orders, self.order_failure_rate)
    }

    /// How long the next request takes: 0.7 to 1.3 times the middle, evenly.
    pub fn latency(&self) -> Duration {
        let turn = self.requests.load(Ordering::Relaxed) * 7 % 13;
        let factor = 0.7 + 0.05 * f64::from(u8::try_from(turn).unwrap_or(0));
        Duration::from_secs_f64(self.latency_ms * factor / 1000.0)
    }

    /// Resident memory after this uptime.
    pub fn resident_bytes(&self, uptime: Duration) -> f64 {
        self.memory_bytes + self.leak_bytes_per_s * uptime.as_secs_f64()
    }

    /// Whether the health check passes.
    pub fn healthy(&self) -> bool {
        !self.unhealthy
    }
}

/// True for `rate` of the calls, at even distances.
fn evenly(count: &AtomicU64, rate: f64) -> bool {
    let before = count.fetch_add(1, Ordering::Relaxed);
    let share = |calls: u64| (f64::from(u32::try_from(calls).unwrap_or(u32::MAX)) * rate).floor();
    share(before + 1) > share(before)
}

/// A wrong number in a task definition is a mistake in the test: better loud than read as zero.
fn number(environment: &BTreeMap<String, String>, name: &str, usual: f64) -> f64 {
    let Some(text) = environment.get(name) else { return usual };
    f64::from_str(text).unwrap_or_else(|_| panic!("{name}={text} is not a number"))
}
