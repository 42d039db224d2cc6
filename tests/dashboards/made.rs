//! The series that the systems and the guard itself are made to show, as `OpenMetrics`.

use std::fmt::Write;

/// Seconds between two samples.
const EVERY: usize = 30;
/// How far back the series go, in seconds: an hour is shown, each sample looks back an hour, and
/// one is compared with an hour before.
const BACK: i64 = 4 * 3600;
/// And the same hours of the day before.
const DAY: i64 = 24 * 3600;

/// How a series goes.
#[derive(Clone, Copy)]
enum Shape {
    /// So much more each second.
    Rises(f64),
    Stands(f64),
    /// A time: so many seconds ago.
    Ago(f64),
}

use Shape::{Ago, Rises, Stands};

/// The job of the API.
pub const JOB: &str = "taskflow-api";

/// The labels of an instance of the API on ECS, where Prometheus has given it a job as well.
const BLUE: &str = r#"job="taskflow-api",service="taskflow-api",environment="production",version="v1.4.0",instance="10.0.0.1:3000""#;
const GREEN: &str = r#"job="taskflow-api",service="taskflow-api",environment="production",version="v1.5.0",instance="10.0.0.2:3000""#;

/// What each instance of the API shows.
const API: &[(&str, &str, Shape)] = &[
    ("up", "", Stands(1.0)),
    ("http_requests_total", r#"method="GET",path="/",status="200""#, Rises(170.0)),
    ("http_requests_total", r#"method="GET",path="/",status="500""#, Rises(0.1)),
    ("http_request_duration_seconds_bucket", r#"path="/",le="0.05""#, Rises(100.0)),
    ("http_request_duration_seconds_bucket", r#"path="/",le="0.3""#, Rises(168.0)),
    ("http_request_duration_seconds_bucket", r#"path="/",le="2""#, Rises(170.0)),
    ("http_request_duration_seconds_bucket", r#"path="/",le="+Inf""#, Rises(170.1)),
    ("http_request_size_bytes_sum", "", Rises(90_000.0)),
    ("http_response_size_bytes_sum", "", Rises(2_000_000.0)),
    ("db_query_duration_seconds_bucket", r#"le="0.01""#, Rises(90.0)),
    ("db_query_duration_seconds_bucket", r#"le="0.05""#, Rises(99.0)),
    ("db_query_duration_seconds_bucket", r#"le="+Inf""#, Rises(100.0)),
    ("process_cpu_seconds_total", "", Rises(0.45)),
    ("process_resident_memory_bytes", "", Stands(3e8)),
    ("process_start_time_seconds", "", Ago(9_000.0)),
    ("taskflow_active_users", "", Stands(120.0)),
    ("taskflow_tasks_created_total", "", Rises(0.02)),
    ("taskflow_comments_created_total", "", Rises(0.05)),
    ("taskflow_time_tracked_seconds_total", "", Rises(40.0)),
];

/// The exporter beside each instance of it, which has a job and a port of its own.
const SIDECARS: &[&str] = &[
    r#"job="ecs",service="taskflow-api",environment="production",instance="10.0.0.1:9779""#,
    r#"job="ecs",service="taskflow-api",environment="production",instance="10.0.0.2:9779""#,
];

/// What each shows.
const TASK: &[(&str, &str, Shape)] = &[
    ("ecs_container_cpu_usage_seconds_total", r#"container_name="app""#, Rises(0.45)),
    ("ecs_task_cpu_limit_vcpus", "", Stands(1.0)),
    ("ecs_container_memory_usage_bytes", r#"container_name="app""#, Stands(4e8)),
    ("ecs_container_memory_page_cache_size_bytes", r#"container_name="app""#, Stands(1e8)),
];

/// What the exporters around it show.
const AROUND: &[(&str, &str, Shape)] = &[
    ("up", r#"job="deployguard",instance="guard:8080""#, Stands(1.0)),
    // What is down is not the API, and what is young or burns is not it either.
    ("up", r#"job="redis",instance="cache:9121""#, Stands(0.0)),
    ("process_cpu_seconds_total", GUARD, Rises(0.9)),
    ("process_cpu_seconds_total", NODE, Rises(0.005)),
    ("process_cpu_seconds_total", DATABASE, Rises(0.005)),
    ("process_resident_memory_bytes", GUARD, Stands(9e9)),
    ("process_resident_memory_bytes", NODE, Stands(2e7)),
    ("process_resident_memory_bytes", DATABASE, Stands(2e7)),
    ("process_start_time_seconds", GUARD, Ago(60.0)),
    ("process_start_time_seconds", NODE, Ago(60.0)),
    ("process_start_time_seconds", DATABASE, Ago(60.0)),
    (
        "probe_success",
        r#"job="blackbox",instance="https://staging.taskflow.app/health""#,
        Stands(0.0),
    ),
    ("probe_success", r#"job="blackbox",instance="https://taskflow.app/health""#, Stands(1.0)),
    ("probe_success", r#"job="blackbox-cdn",instance="https://cdn.taskflow.app/""#, Stands(1.0)),
    ("redis_up", r#"job="redis",instance="cache:9121""#, Stands(1.0)),
    ("pg_up", r#"job="postgres",instance="db:9187""#, Stands(1.0)),
    ("pg_settings_max_connections", r#"job="postgres",instance="db:9187""#, Stands(100.0)),
    (
        "pg_stat_activity_count",
        r#"job="postgres",instance="db:9187",datname="taskflow",state="active""#,
        Stands(12.0),
    ),
    // A small server that is nearly full, beside a large one.
    ("pg_settings_max_connections", r#"job="postgres",instance="db-2:9187""#, Stands(20.0)),
    (
        "pg_stat_activity_count",
        r#"job="postgres",instance="db-2:9187",datname="reports",state="idle""#,
        Stands(18.0),
    ),
    ("pg_stat_database_xact_commit", DATABASE, Rises(200.0)),
    ("pg_stat_database_xact_rollback", DATABASE, Rises(0.5)),
    ("pg_stat_database_blks_hit", DATABASE, Rises(9_900.0)),
    ("pg_stat_database_blks_read", DATABASE, Rises(50.0)),
    ("pg_stat_database_deadlocks", DATABASE, Rises(0.001)),
    ("node_cpu_seconds_total", r#"job="node",instance="n1:9100",cpu="0",mode="idle""#, Rises(0.7)),
    ("node_memory_MemAvailable_bytes", NODE, Stands(6e9)),
    ("node_memory_MemTotal_bytes", NODE, Stands(16e9)),
    ("node_disk_read_bytes_total", r#"job="node",instance="n1:9100",device="sda""#, Rises(1e5)),
    ("node_disk_written_bytes_total", r#"job="node",instance="n1:9100",device="sda""#, Rises(2e5)),
    // The same bytes once more.
    ("node_disk_read_bytes_total", r#"job="node",instance="n1:9100",device="dm-0""#, Rises(1e5)),
    ("node_network_receive_bytes_total", CONTAINER, Rises(3e5)),
    ("node_network_receive_bytes_total", LINK, Rises(3e5)),
    ("node_network_transmit_bytes_total", LINK, Rises(4e5)),
    ("node_filesystem_avail_bytes", DISK, Stands(5e10)),
    ("node_filesystem_size_bytes", DISK, Stands(1e11)),
];

const DATABASE: &str = r#"job="postgres",instance="db:9187",datname="taskflow""#;
const NODE: &str = r#"job="node",instance="n1:9100""#;
const GUARD: &str = r#"job="deployguard",instance="guard:8080""#;
const CONTAINER: &str = r#"job="node",instance="n1:9100",device="veth1f0c""#;
const LINK: &str = r#"job="node",instance="n1:9100",device="eth0""#;
const DISK: &str = r#"job="node",instance="n1:9100",mountpoint="/",fstype="ext4""#;

/// What the leader shows of itself. `names` holds that each is one of the code's, by its labels
/// too; so no query is answered by a metric that is not there.
const OWN: &[(&str, &str, Shape)] = &[
    ("leading", "", Stands(1.0)),
    ("takeovers_total", "", Rises(0.001)),
    ("last_step_timestamp_seconds", "", Ago(2.0)),
    ("build_info", r#"version="0.1.0",commit="4f1c2aa",rustc="1.95.0""#, Stands(1.0)),
    ("watches", r#"stage="starting""#, Stands(1.0)),
    ("watches", r#"stage="watching""#, Stands(2.0)),
    ("watches", r#"stage="rolling_back""#, Stands(1.0)),
    ("watches_in_phase", r#"phase="immediate""#, Stands(2.0)),
    ("watches_ended_total", r#"outcome="passed""#, Rises(0.01)),
    ("checks", r#"verdict="healthy""#, Stands(8.0)),
    ("checks", r#"verdict="no_data""#, Stands(1.0)),
    ("checks", r#"verdict="breach""#, Stands(1.0)),
    ("rollbacks_total", r#"outcome="rolled_back""#, Rises(0.001)),
    ("rollbacks_total", r#"outcome="rollback_failed""#, Rises(0.001)),
    ("rollback_attempts_total", r#"result="refused""#, Rises(0.001)),
    ("announcements_total", r#"result="watched""#, Rises(0.01)),
    ("tick_lag_seconds_bucket", r#"le="1""#, Rises(0.9)),
    ("tick_lag_seconds_bucket", r#"le="+Inf""#, Rises(1.0)),
    ("tick_lag_seconds_sum", "", Rises(0.8)),
    ("tick_lag_seconds_count", "", Rises(1.0)),
    ("measure_duration_seconds_bucket", r#"le="1""#, Rises(0.9)),
    ("measure_duration_seconds_bucket", r#"le="+Inf""#, Rises(1.0)),
    ("readings_total", r#"result="ok""#, Rises(2.0)),
    ("source_requests_total", r#"source="prometheus",result="ok""#, Rises(2.0)),
    ("source_requests_total", r#"source="prometheus",result="unreachable""#, Rises(0.1)),
    ("source_requests_total", r#"source="health",result="refused""#, Rises(0.1)),
    ("source_request_duration_seconds_bucket", r#"source="prometheus",le="1""#, Rises(2.0)),
    ("source_request_duration_seconds_bucket", r#"source="prometheus",le="+Inf""#, Rises(2.1)),
    ("cloudwatch_metrics_total", r#"target="default""#, Rises(0.1)),
    ("platform_looks_total", r#"result="ok""#, Rises(0.2)),
    ("events_total", r#"path="sqs",result="looked""#, Rises(0.1)),
    ("blind", r#"place="default/shop""#, Stands(1.0)),
    ("blind", r#"place="the page http://shop:3000/metrics""#, Stands(1.0)),
    ("paused", r#"scope="all""#, Stands(1.0)),
    ("policy_broken", "", Stands(0.0)),
    ("policy_reloads_total", r#"result="broken""#, Rises(0.001)),
    ("outbox_messages", r#"channel="slack",status="undeliverable""#, Stands(1.0)),
    ("outbox_messages", r#"channel="slack",status="unreadable""#, Stands(1.0)),
    ("outbox_oldest_seconds", r#"channel="slack""#, Stands(3.0)),
    ("notification_deliveries_total", r#"channel="slack",result="delivered""#, Rises(0.1)),
    ("notification_deliveries_total", r#"channel="slack",result="store_error""#, Rises(0.1)),
    ("slack_socket_connected", "", Stands(1.0)),
    ("slack_socket_connects_total", r#"result="failed""#, Rises(0.001)),
    ("http_requests_total", r#"method="POST",route="/hooks/deployments",code="202""#, Rises(0.1)),
    ("http_requests_total", r#"method="POST",route="/hooks/deployments",code="503""#, Rises(0.01)),
    (
        "http_request_duration_seconds_bucket",
        r#"method="POST",route="/hooks/deployments",le="1""#,
        Rises(0.1),
    ),
    (
        "http_request_duration_seconds_bucket",
        r#"method="POST",route="/hooks/deployments",le="+Inf""#,
        Rises(0.1),
    ),
];

/// What one shows that stands by and has led before.
const STANDBY: &[(&str, &str, Shape)] = &[
    ("leading", "", Stands(0.0)),
    ("blind", r#"place="Prometheus""#, Stands(1.0)),
    ("policy_broken", "", Stands(1.0)),
];

/// The guard's own names, whole, each with the labels that it is made with.
pub fn own() -> impl Iterator<Item = (String, &'static str)> {
    OWN.iter().chain(STANDBY).map(|(name, labels, _)| (format!("deployguard_{name}"), *labels))
}

/// All of it, up to `end`, in seconds of Unix time.
pub fn openmetrics(end: i64) -> String {
    let mut text = String::new();
    for instance in [BLUE, GREEN] {
        for (name, more, shape) in API {
            write(&mut text, name, &joined(instance, more), *shape, end);
        }
    }
    for instance in SIDECARS {
        for (name, more, shape) in TASK {
            write(&mut text, name, &joined(instance, more), *shape, end);
        }
    }
    for (name, labels, shape) in AROUND {
        write(&mut text, name, labels, *shape, end);
    }
    let standby = r#"job="deployguard",instance="guard-2:8080""#;
    for (instance, shown) in [(GUARD, OWN), (standby, STANDBY)] {
        for (name, more, shape) in shown {
            let labels = joined(instance, more);
            write(&mut text, &format!("deployguard_{name}"), &labels, *shape, end);
        }
    }
    text + "# EOF\n"
}

fn joined(labels: &str, more: &str) -> String {
    if more.is_empty() { labels.to_owned() } else { format!("{labels},{more}") }
}

fn write(text: &mut String, name: &str, labels: &str, shape: Shape, end: i64) {
    let begin = end - DAY - BACK;
    let before = (begin..=end - DAY).step_by(EVERY);
    for at in before.chain((end - BACK..=end).step_by(EVERY)) {
        #[expect(clippy::cast_precision_loss, reason = "seconds are whole below 2^53")]
        let value = match shape {
            Rises(rate) => rate * (at - begin) as f64,
            Stands(value) => value,
            Ago(seconds) => at as f64 - seconds,
        };
        let _ = writeln!(text, "{name}{{{labels}}} {value} {at}");
    }
}
