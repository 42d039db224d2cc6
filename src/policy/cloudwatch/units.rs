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

/// What AWS's own services say of their metrics: by namespace, the metric's name or how it
/// ends, and the unit. A whole name counts before an ending, and the first ending that fits.
const KNOWN: [(&str, &[&str], &str); 44] = [
    ("AWS/ApplicationELB", &["AuthLatency"], "milliseconds"),
    ("AWS/ApplicationELB", &["TargetResponseTime", "Time"], "seconds"),
    ("AWS/ApplicationELB", &["Bytes"], "bytes"),
    ("AWS/ApplicationELB", &["RequestCount", "RequestCountPerTarget", "HealthyHostCount"], "count"),
    ("AWS/ApplicationELB", &["Count", "CountPerTarget", "Error", "RuleEvaluations"], "count"),
    ("AWS/NetworkELB", &["Bytes"], "bytes"),
    ("AWS/NetworkELB", &["Count"], "count"),
    ("AWS/ELB", &["Latency"], "seconds"),
    ("AWS/ELB", &["Count", "2XX", "3XX", "4XX", "5XX", "Errors", "QueueLength"], "count"),
    ("AWS/ECS", &["MemoryUtilization", "Utilization", "Reservation"], "percent"),
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
    (
        "AWS/RDS",
        &[
            "AuroraReplicaLagMaximum",
            "AuroraReplicaLagMinimum",
            "AuroraGlobalDBReplicationLag",
            "AuroraGlobalDBRPOLag",
            "ForwardingMasterDMLLatency",
            "ForwardingWriterDMLLatency",
            "ForwardingReplicaDMLLatency",
            "ForwardingReplicaSelectLatency",
            "ForwardingReplicaReadWaitLatency",
        ],
        "milliseconds",
    ),
    // The proxy's.
    (
        "AWS/RDS",
        &[
            "QueryResponseLatency",
            "QueryDatabaseResponseLatency",
            "DatabaseConnectionsBorrowLatency",
        ],
        "microseconds",
    ),
    (
        "AWS/RDS",
        &[
            "ReadLatency",
            "WriteLatency",
            "ReadLatencyLocalStorage",
            "WriteLatencyLocalStorage",
            "ReplicaLag",
            "AuroraBinlogReplicaLag",
            "RDSToAuroraPostgreSQLReplicaLag",
        ],
        "seconds",
    ),
    ("AWS/RDS", &["FreeStorageSpace", "FreeableMemory", "SwapUsage", "FreeLocalStorage"], "bytes"),
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

/// The unit that AWS keeps a metric of its own in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) struct Known {
    pub word: MetricWord,
    /// Whether this very metric is known; others are taken for what is named alike.
    pub is_sure: bool,
}

/// The unit of a metric of AWS's own, where it is known.
pub(in crate::policy) fn known(namespace: &str, metric: &str, stat: &str) -> Option<Known> {
    let ends = |names: &[&str]| names.iter().any(|end| metric.ends_with(end));
    let own = || KNOWN.iter().filter(|(space, ..)| *space == namespace);
    let whole = own().find(|(_, names, _)| names.contains(&metric));
    let word = whole.or_else(|| own().find(|(_, names, _)| ends(names))).map(|(.., word)| *word);
    let share = || (namespace.starts_with("AWS/") && ends(&SHARES)).then_some("percent");
    let is_sure = whole.is_some() || metric == "CPUUtilization";
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
    Some(Known { word: MetricWord::named(word)?, is_sure: is_sure || stat == "SampleCount" })
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
            known(namespace, metric, stat).map(|known| known.word.as_str())
        };
        let alb = "AWS/ApplicationELB";
        assert_eq!(word(alb, "TargetResponseTime", "p95"), Some("seconds"));
        assert_eq!(word(alb, "TargetResponseTime", "SampleCount"), Some("count"));
        assert_eq!(word(alb, "HTTPCode_Target_5XX_Count", "Sum"), Some("count"));
        assert_eq!(word("AWS/RDS", "ReadLatency", "Average"), Some("seconds"));
        assert_eq!(word("AWS/RDS", "CommitLatency", "Average"), Some("milliseconds"));
        assert_eq!(word("AWS/RDS", "AuroraReplicaLag", "Average"), Some("milliseconds"));
        assert_eq!(word("AWS/RDS", "AuroraBinlogReplicaLag", "Average"), Some("seconds"));
        for proxys in ["QueryResponseLatency", "DatabaseConnectionsBorrowLatency"] {
            assert_eq!(word("AWS/RDS", proxys, "Average"), Some("microseconds"));
        }
        let waits = "ForwardingReplicaReadWaitLatency";
        assert_eq!(word("AWS/RDS", waits, "Average"), Some("milliseconds"));
        assert_eq!(word("AWS/RDS", "NewKindOfLatency", "Average"), None);
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
    fn what_is_known_by_the_end_of_its_name_alone_is_not_sure() {
        let sure = |namespace: &str, metric: &str, stat: &str| {
            known(namespace, metric, stat).is_some_and(|known| known.is_sure)
        };
        assert!(sure("AWS/ApplicationELB", "TargetResponseTime", "p95"));
        assert!(sure("AWS/ECS", "CPUUtilization", "Average"));
        assert!(sure("AWS/RDS", "QueryResponseLatency", "Average"));
        assert!(!sure("AWS/ApplicationELB", "SomeNewTime", "Average"));
        assert!(!sure("AWS/Other", "DiskUtilization", "Average"));
        assert!(sure("AWS/ApplicationELB", "SomeNewTime", "SampleCount"));
    }

    #[test]
    fn every_unit_of_the_table_is_a_word() {
        for (namespace, names, word) in KNOWN {
            assert!(MetricWord::named(word).is_some() && !names.is_empty(), "{namespace} {word}");
        }
    }
}
