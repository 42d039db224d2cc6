//! The units that CloudWatch keeps metrics in.

use crate::model::MetricUnit;
use crate::policy::Unit;

/// A unit as a policy names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct MetricWord(&'static str, Unit, MetricUnit);

pub(in crate::policy) const WORDS: [MetricWord; 10] = [
    MetricWord("percent", Unit::Ratio, MetricUnit::Percent),
    MetricWord("ratio", Unit::Ratio, MetricUnit::Base),
    MetricWord("seconds", Unit::Seconds, MetricUnit::Base),
    MetricWord("milliseconds", Unit::Seconds, MetricUnit::Milliseconds),
    MetricWord("microseconds", Unit::Seconds, MetricUnit::Microseconds),
    MetricWord("bytes", Unit::Bytes, MetricUnit::Base),
    MetricWord("kilobytes", Unit::Bytes, MetricUnit::Kilobytes),
    MetricWord("megabytes", Unit::Bytes, MetricUnit::Megabytes),
    MetricWord("gigabytes", Unit::Bytes, MetricUnit::Gigabytes),
    MetricWord("count", Unit::Number, MetricUnit::Base),
];

/// What AWS's own services say of their metrics: by namespace, how the metric's name ends,
/// and the unit. The first that fits counts.
const KNOWN: [(&str, &[&str], &str); 41] = [
    ("AWS/ApplicationELB", &["AuthLatency"], "milliseconds"),
    ("AWS/ApplicationELB", &["Time"], "seconds"),
    ("AWS/ApplicationELB", &["Bytes"], "bytes"),
    ("AWS/ApplicationELB", &["Count", "CountPerTarget", "Error", "RuleEvaluations"], "count"),
    ("AWS/NetworkELB", &["Bytes"], "bytes"),
    ("AWS/NetworkELB", &["Count"], "count"),
    ("AWS/ELB", &["Latency"], "seconds"),
    ("AWS/ELB", &["Count", "2XX", "3XX", "4XX", "5XX", "Errors", "QueueLength"], "count"),
    ("AWS/ECS", &["Utilization", "Reservation"], "percent"),
    ("ECS/ContainerInsights", &["MemoryUtilized", "MemoryReserved"], "megabytes"),
    ("ECS/ContainerInsights", &["StorageUtilized", "StorageReserved"], "gigabytes"),
    ("ECS/ContainerInsights", &["Utilization"], "percent"),
    ("ECS/ContainerInsights", &["Count"], "count"),
    // What Aurora measures of its statements; its volumes are as RDS's.
    (
        "AWS/RDS",
        &["CommitLatency", "DDLLatency", "DMLLatency", "SelectLatency", "InsertLatency"],
        "milliseconds",
    ),
    ("AWS/RDS", &["UpdateLatency", "DeleteLatency", "AuroraReplicaLag"], "milliseconds"),
    ("AWS/RDS", &["Latency", "ReplicaLag"], "seconds"),
    ("AWS/RDS", &["StorageSpace", "FreeableMemory", "SwapUsage", "FreeLocalStorage"], "bytes"),
    ("AWS/RDS", &["Utilization", "BurstBalance"], "percent"),
    ("AWS/RDS", &["DatabaseConnections", "IOPS", "DiskQueueDepth"], "count"),
    ("AWS/ApiGateway", &["Latency"], "milliseconds"),
    ("AWS/ApiGateway", &["Count", "4XXError", "5XXError", "4xx", "5xx"], "count"),
    ("AWS/Lambda", &["Duration", "Age"], "milliseconds"),
    ("AWS/Lambda", &["ConcurrencyUtilization"], "ratio"),
    ("AWS/Lambda", &["Errors", "Invocations", "Throttles", "ConcurrentExecutions"], "count"),
    ("AWS/DynamoDB", &["Latency"], "milliseconds"),
    ("AWS/DynamoDB", &["Utilization"], "percent"),
    ("AWS/DynamoDB", &["Requests", "Errors", "CapacityUnits", "Events"], "count"),
    ("AWS/SQS", &["ApproximateAgeOfOldestMessage"], "seconds"),
    ("AWS/SQS", &["MessageSize"], "bytes"),
    (
        "AWS/SQS",
        &["Visible", "Delayed", "MessagesSent", "MessagesReceived", "MessagesDeleted"],
        "count",
    ),
    ("AWS/SQS", &["EmptyReceives"], "count"),
    ("AWS/SNS", &["NumberOfMessagesPublished", "Delivered", "Failed"], "count"),
    ("AWS/ElastiCache", &["FreeableMemory", "SwapUsage", "BytesUsedForCache"], "bytes"),
    ("AWS/ElastiCache", &["Utilization", "UsagePercentage", "CacheHitRate"], "percent"),
    ("AWS/ElastiCache", &["ReplicationLag"], "seconds"),
    ("AWS/ElastiCache", &["CurrConnections", "NewConnections", "Evictions", "Items"], "count"),
    ("AWS/EC2", &["Utilization"], "percent"),
    ("AWS/EC2", &["StatusCheckFailed"], "count"),
    ("AWS/Kinesis", &["Milliseconds", "Latency"], "milliseconds"),
    ("AWS/Kinesis", &["Records"], "count"),
    ("CWAgent", &["_percent"], "percent"),
];

/// How the names of shares end, whichever service of AWS's own they are of.
const SHARES: [&str; 2] = ["Utilization", "UtilizationPercentage"];

/// The unit of a metric of AWS's own, where it is known.
pub(in crate::policy) fn known(namespace: &str, metric: &str, stat: &str) -> Option<MetricWord> {
    let of = |names: &[&str]| names.iter().any(|end| metric.ends_with(end));
    let fits = |(space, names, _): &&(&str, &[&str], &str)| *space == namespace && of(names);
    let word = KNOWN.iter().find(fits).map(|(.., word)| *word);
    let share = || (namespace.starts_with("AWS/") && of(&SHARES)).then_some("percent");
    let word = word.or_else(share)?;
    let word = match (stat, word) {
        // How many samples there were is a number, whatever they measured.
        ("SampleCount", _) => "count",
        // One sample is a request, 1 where it failed.
        ("Average", "count") if namespace == "AWS/ApiGateway" && metric.ends_with("XXError") => {
            "ratio"
        }
        (_, word) => word,
    };
    MetricWord::named(word)
}

impl MetricWord {
    pub fn named(word: &str) -> Option<Self> {
        WORDS.into_iter().find(|known| known.0 == word)
    }

    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The unit of the limits that it can be held against.
    pub fn measures(self) -> Unit {
        self.1
    }

    pub fn unit(self) -> MetricUnit {
        self.2
    }

    /// Of a time, how many of it are a second; of a size, how many bytes it is.
    pub fn factor(self) -> f64 {
        match self.2 {
            MetricUnit::Percent | MetricUnit::Base => 1.0,
            MetricUnit::Milliseconds | MetricUnit::Kilobytes => 1e3,
            MetricUnit::Microseconds | MetricUnit::Megabytes => 1e6,
            MetricUnit::Gigabytes => 1e9,
        }
    }

    /// The words that limits of this unit can be held against.
    pub fn of(unit: Unit) -> Vec<&'static str> {
        WORDS.iter().filter(|word| word.1 == unit).map(|word| word.0).collect()
    }

    /// As a metric's unit stands in a sentence: `in percent`, `a number`.
    pub fn in_words(self) -> String {
        match self.1 {
            Unit::Number | Unit::Failures => "a number".to_owned(),
            Unit::Ratio | Unit::Seconds | Unit::Bytes => format!("in {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_a_metric_is_known_by_its_name_and_its_statistic() {
        let word = |namespace: &str, metric: &str, stat: &str| {
            known(namespace, metric, stat).map(MetricWord::as_str)
        };
        let alb = "AWS/ApplicationELB";
        assert_eq!(word(alb, "TargetResponseTime", "p95"), Some("seconds"));
        assert_eq!(word(alb, "TargetResponseTime", "SampleCount"), Some("count"));
        assert_eq!(word(alb, "HTTPCode_Target_5XX_Count", "Sum"), Some("count"));
        assert_eq!(word("AWS/RDS", "ReadLatency", "Average"), Some("seconds"));
        assert_eq!(word("AWS/RDS", "CommitLatency", "Average"), Some("milliseconds"));
        assert_eq!(word("AWS/ApiGateway", "5XXError", "Average"), Some("ratio"));
        assert_eq!(word("AWS/ApiGateway", "5XXError", "Sum"), Some("count"));
        assert_eq!(
            word("AWS/Lambda", "ProvisionedConcurrencyUtilization", "Maximum"),
            Some("ratio")
        );
        assert_eq!(word("AWS/Other", "CPUUtilization", "Average"), Some("percent"));
        assert_eq!(word("Own", "CPUUtilization", "Average"), None);
        assert_eq!(word("AWS/Other", "Anything", "Sum"), None);
    }

    #[test]
    fn every_unit_of_the_table_is_a_word() {
        for (namespace, names, word) in KNOWN {
            assert!(MetricWord::named(word).is_some() && !names.is_empty(), "{namespace} {word}");
        }
    }
}
