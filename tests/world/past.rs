//! Two hours of a service's past, for what is judged against how it was before.

use std::fmt::Write;

use super::now;

/// How far back it goes, in seconds.
const BACK: i64 = 2 * 3600 + 300;
/// It ends before what the running tasks show begins.
const GAP: i64 = 60;

/// What a healthy task of the service showed of its machine, as `OpenMetrics`: the CPU and
/// memory that the shop's tasks use too.
pub fn of(service: &str) -> String {
    let end = now().as_second() - GAP;
    let mut text = String::new();
    let labels = format!("service=\"{service}\",instance=\"past:80\"");
    let mut family = |name: &str, kind: &str, every: usize, value: &dyn Fn(i64) -> f64| {
        let suffix = if kind == "counter" { "_total" } else { "" };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        for at in (end - BACK..=end).step_by(every) {
            let value = value(at - (end - BACK));
            let _ = writeln!(text, "{name}{suffix}{{{labels}}} {value} {at}");
        }
    };
    // The rate of five seconds needs two samples in each.
    #[expect(clippy::cast_precision_loss, reason = "seconds of two hours")]
    family("ecs_container_cpu_usage_seconds", "counter", 2, &|at| 0.2 * at as f64);
    family("ecs_task_cpu_limit_vcpus", "gauge", 60, &|_| 1.0);
    family("ecs_container_memory_usage_bytes", "gauge", 60, &|_| 200.0 * 1024.0 * 1024.0);
    family("ecs_container_memory_page_cache_size_bytes", "gauge", 60, &|_| 0.0);
    family("ecs_task_memory_limit_bytes", "gauge", 60, &|_| 512.0 * 1024.0 * 1024.0);
    text + "# EOF\n"
}
