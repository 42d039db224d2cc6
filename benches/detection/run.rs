//! What a rule may see of a deployment, and what a rule is.

/// Upper bounds of the latency buckets, in seconds: Prometheus's default ones.
pub const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The bounds and `+Inf`.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// Decides about deployments.
pub trait Rule: Sync {
    fn name(&self) -> &'static str;

    /// Seconds after the deployment at which it would roll back; `None`: never.
    /// May look, for a decision at a time, only at samples taken by then.
    fn acts_at(&self, run: &Run) -> Option<f64>;
}

/// One deployment with the hours around it. The deployment begins at second 0,
/// which lies on the grid of samples; every series has one entry per interval.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Seconds between samples.
    pub interval: f64,
    /// Intervals before the deployment: the first ones of every series.
    pub before: usize,
    /// The whole service, whichever revision answered.
    pub all: Series,
    /// The revision that is deployed. Without requests before the deployment.
    pub new: Series,
    /// The revision that it replaces. Without requests once the rollout is through.
    pub old: Series,
    /// A peer service that shares the hosts, the users and a dependency.
    pub control: Series,
    /// When the peer was deployed itself, in seconds; `None`: it was not.
    #[allow(dead_code, reason = "for rules that weigh deployments against each other")]
    pub control_deployed: Option<f64>,
    /// A service that both of them call.
    pub dependency: Series,
    /// The whole service on the day that ends with the deployment, minute by minute. Not
    /// the same minutes as those of `all` before it, but like them.
    pub day: Series,
    /// Of every request before the deployment, in seconds, exactly.
    pub baseline_p95: f64,
    /// Exact p95, in seconds, minute by minute from the beginning, as the platform's
    /// own 1-minute series tells it: the service's before the deployment, the new
    /// revision's after it.
    pub p95_by_minute: Vec<Option<f64>>,
    /// The service's instances with their counters as scraped.
    pub instances: Vec<Instance>,
}

/// What happened in each interval. `None`: the scrape at its beginning or at
/// its end is missing.
pub type Series = Vec<Option<Interval>>;

/// What happened between two samples.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Interval {
    pub requests: u64,
    pub errors: u64,
    /// Requests at most as slow as each bound, and at last all.
    pub buckets: [u64; BUCKETS],
    /// Exact, in seconds (nearest rank); `None` without requests.
    pub p95: Option<f64>,
    /// Share (0-1) of the memory limit that the fullest instance uses at the end
    /// of the interval; `None` while none lives, and for other services.
    pub memory: Option<f64>,
}

/// An instance of the service: a label set of its own in the source.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    pub of_new: bool,
    /// At the end of each interval; `None` while it does not live, and where a
    /// scrape is missing.
    pub scrapes: Vec<Option<Scrape>>,
}

/// Counters since the instance's process began, and its gauges.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scrape {
    pub requests: u64,
    pub errors: u64,
    pub buckets: [u64; BUCKETS],
    pub memory: f64,
}

impl Run {
    /// Seconds from the deployment to the end of an interval.
    pub fn end_of(&self, interval: usize) -> f64 {
        (interval as f64 + 1.0 - self.before as f64) * self.interval
    }

    /// Intervals in all.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Intervals of a minute.
    pub fn a_minute(&self) -> usize {
        (60.0 / self.interval).round() as usize
    }
}

impl Interval {
    /// Share of bad requests; `None` without requests.
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// Adds the counts of another interval or arm. The gauge becomes the worse
    /// one, the p95 unknown.
    pub fn add(&mut self, other: &Interval) {
        self.requests += other.requests;
        self.errors += other.errors;
        for (mine, its) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += its;
        }
        self.p95 = None;
        self.memory = match (self.memory, other.memory) {
            (Some(mine), Some(its)) => Some(mine.max(its)),
            (mine, its) => mine.or(its),
        };
    }
}

/// Decides about deployments from one gauge alone.
pub trait SeriesRule: Sync {
    fn name(&self) -> &'static str;

    /// The sample of the watch after which it would roll back; `None`: never.
    fn acts_at(&self, run: &SeriesRun) -> Option<usize>;
}

/// One deployment as a single gauge shows it.
#[derive(Debug, Clone)]
pub struct SeriesRun {
    /// Seconds between samples.
    #[allow(dead_code, reason = "for rules whose memory is a time")]
    pub interval: f64,
    pub baseline: Vec<Option<f64>>,
    pub watch: Vec<Option<f64>>,
    pub higher_is_worse: bool,
}
