//! Making metrics: each is registered as it is made, under the daemon's prefix.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Where metrics are made.
#[derive(Default)]
pub(super) struct Maker {
    pub registry: Registry,
    /// Kind, name, labels and help of each, for the table in docs/metrics.md.
    #[cfg(test)]
    pub made: Vec<[String; 4]>,
}

type Made<T> = Result<T, prometheus::Error>;

impl Maker {
    /// A counter; its name ends in `_total`.
    pub fn counters(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        let made = IntCounterVec::new(Opts::new(full(name), help), labels)?;
        self.keep("counter", (name, help, labels), made)
    }

    pub fn gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        let made = IntGaugeVec::new(Opts::new(full(name), help), labels)?;
        self.keep("gauge", (name, help, labels), made)
    }

    pub fn gauge(&mut self, name: &str, help: &str) -> Made<IntGauge> {
        let made = IntGauge::with_opts(Opts::new(full(name), help))?;
        self.keep("gauge", (name, help, &[]), made)
    }

    /// A gauge of fractions; without labels it has no series until it is set.
    pub fn exact_gauges(&mut self, name: &str, help: &str, labels: &[&str]) -> Made<GaugeVec> {
        let made = GaugeVec::new(Opts::new(full(name), help), labels)?;
        self.keep("gauge", (name, help, labels), made)
    }

    /// A histogram of seconds with these upper bounds.
    pub fn histograms(
        &mut self,
        name: &str,
        help: &str,
        labels: &[&str],
        bounds: &[f64],
    ) -> Made<HistogramVec> {
        let options = HistogramOpts::new(full(name), help).buckets(bounds.to_vec());
        self.keep("histogram", (name, help, labels), HistogramVec::new(options, labels)?)
    }

    fn keep<T: Collector + Clone + 'static>(
        &mut self,
        kind: &str,
        (name, help, labels): (&str, &str, &[&str]),
        made: T,
    ) -> Made<T> {
        self.registry.register(Box::new(made.clone()))?;
        #[cfg(test)]
        self.made.push([kind.to_owned(), full(name), labels.join(", "), help.to_owned()]);
        #[cfg(not(test))]
        let _ = (kind, name, help, labels);
        Ok(made)
    }
}

fn full(name: &str) -> String {
    format!("deployguard_{name}")
}
