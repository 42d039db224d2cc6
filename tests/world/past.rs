//! Two hours of a service's past, for what is judged against how it was before.

use std::fmt::Write;
use std::net::SocketAddr;

use super::now;

/// How far back it goes, in seconds.
const BACK: i64 = 2 * 3600 + 300;
/// It ends before what the running tasks show begins.
const GAP: i64 = 60;

/// What a healthy task of the service showed of its machine, as `OpenMetrics`: the CPU and
/// memory that the shop's tasks use too.
pub fn of(service: &str) -> String {
    let labels = format!("service=\"{service}\",environment=\"production\",instance=\"past:80\"");
    let mut text = String::new();
    // The rate of five seconds needs two samples in each.
    family(&mut text, "ecs_container_cpu_usage_seconds", &labels, 2, |at| 0.2 * at);
    family(&mut text, "ecs_task_cpu_limit_vcpus", &labels, 60, |_| 1.0);
    family(&mut text, "ecs_container_memory_usage_bytes", &labels, 60, |_| MEMORY);
    family(&mut text, "ecs_container_memory_page_cache_size_bytes", &labels, 60, |_| 0.0);
    family(&mut text, "ecs_task_memory_limit_bytes", &labels, 60, |_| 512.0 * 1024.0 * 1024.0);
    text + "# EOF\n"
}

/// The same of a pod of document 002, and of its database, which is still scraped at
/// `database`: of two the sum would be shown.
pub fn of_pods(database: SocketAddr) -> String {
    let pod = "job=\"taskflow-api\",version=\"blue\",instance=\"past:80\"";
    let database = format!("job=\"postgres\",instance=\"{database}\"");
    let mut text = String::new();
    family(&mut text, "process_cpu_seconds", pod, 2, |at| 0.2 * at);
    family(&mut text, "process_resident_memory_bytes", pod, 2, |_| MEMORY);
    family(&mut text, "pg_stat_activity_count", &database, 2, |_| 30.0);
    text + "# EOF\n"
}

const MEMORY: f64 = 200.0 * 1024.0 * 1024.0;

/// A counter where its name speaks of seconds, and a gauge otherwise, a sample `every` so many
/// seconds; `value`: by the seconds since the beginning.
fn family(text: &mut String, name: &str, labels: &str, every: usize, value: impl Fn(f64) -> f64) {
    let end = now().as_second() - GAP;
    let counts = name.ends_with("_seconds");
    let (kind, suffix) = if counts { ("counter", "_total") } else { ("gauge", "") };
    let _ = writeln!(text, "# TYPE {name} {kind}");
    for at in (end - BACK..=end).step_by(every) {
        #[expect(clippy::cast_precision_loss, reason = "seconds of two hours")]
        let value = value((at - (end - BACK)) as f64);
        let _ = writeln!(text, "{name}{suffix}{{{labels}}} {value} {at}");
    }
}
