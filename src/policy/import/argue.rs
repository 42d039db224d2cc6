//! Where a rule does not mean what it says, in words.

use jiff::SignedDuration;
use promql_parser::parser::VectorSelector;

use super::Argument;
use super::draw::Wanted;
use super::shape::{Around, Counting, metric};
use crate::policy::Unit;

/// What machines and neighbours are measured by, not the service.
const BENEATH: [&str; 10] = [
    "node_",
    "pg_",
    "postgres",
    "mysql_",
    "redis_",
    "mongodb_",
    "kafka_",
    "rabbitmq_",
    "elasticsearch_",
    "aws_rds_",
];
/// Below it, few scrapes fall into a window.
const SHORT: SignedDuration = SignedDuration::from_mins(2);

/// `rate(errors) > 0.05`.
pub(super) fn rate_for_a_share(counting: &Counting, value: f64) -> Argument {
    let each = match counting.around {
        Some(_) => "",
        None => ", and for each series (instance, path, status) alone",
    };
    let every = Unit::Seconds.show(1.0 / value);
    let share = Unit::Ratio.show(value);
    Argument::new(format!(
        "`{}(...) > {value}` is errors a second, not a share of requests: it means one error \
         every {every}{each}, in a quiet night as under full load; it is not {share}",
        counting.function
    ))
    .drafted(format!("drafted as a share, bad of total, with {share} as what was probably meant"))
}

/// Any other lone rate.
pub(super) fn lone(counting: &Counting) -> Argument {
    let name = metric(counting.selector);
    let (what, per) = match counting.function {
        "increase" => ("a number of events in the window", "longer window or more traffic"),
        _ => ("events a second", "more traffic"),
    };
    let irate = if counting.function == "irate" {
        "; `irate` looks at the last two samples only, whatever the range says"
    } else {
        ""
    };
    let each = match counting.around {
        Some(_) => "",
        None => ", of each series alone: more instances make each smaller",
    };
    Argument::new(format!(
        "the limit is {what}{each}: {per} crosses it too, without anything being worse{irate}"
    ))
    .drafted(format!("kept; if `{name}` counts what fails, a `ratio` to all events says more"))
}

/// A limit of a share that can't be one.
pub(super) fn share(wanted: Wanted, percent: bool) -> (Wanted, Vec<Argument>) {
    if percent || wanted.value <= 1.0 || wanted.value >= 100.0 {
        return (wanted, Vec::new());
    }
    let value = wanted.value;
    let meant = Wanted { value: value / 100.0, ..wanted };
    let argument = Argument::new(format!(
        "a share goes from 0 to 1 and is never {value}: a `* 100` is missing, and the limit is \
         always on the same side"
    ));
    (meant, vec![argument.drafted(format!("drafted as {value}%"))])
}

/// What goes wrong when one rate is divided by another.
pub(super) fn division(part: &Counting, total: &Counting) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let together = "drafted as a ratio of sums over all series of the service";
    match (&part.around, &total.around) {
        (None, None) if metric(part.selector) == metric(total.selector) => {
            arguments.push(
                Argument::new(
                    "without `sum` each series is divided by the series with the same labels, \
                     which is itself: the result is 1 wherever there was an error, and nothing else",
                )
                .drafted(together),
            );
        }
        (None, None) => arguments.push(
            Argument::new(
                "without `sum` only series with all labels alike on both sides are divided: each \
                 instance and path alone, and those that have no partner not at all",
            )
            .drafted(together),
        ),
        (Some(one), Some(other)) => {
            arguments.extend(operators(one, other));
            if sorted(one) != sorted(other) {
                arguments.push(
                    Argument::new(
                        "the two sides keep different labels, so their series do not match: the \
                         rule has no result and never fires",
                    )
                    .drafted(together),
                );
            } else if !one.labels.is_empty() {
                arguments.push(
                    Argument::new(format!(
                        "the rule looks at each `{}` alone; a check looks at one service, whole",
                        one.labels.join(", ")
                    ))
                    .drafted(together),
                );
            }
        }
        (Some(_), None) | (None, Some(_)) => arguments.push(
            Argument::new(
                "one side is summed and the other is not: their labels do not match, and the rule \
                 never fires",
            )
            .drafted(together),
        ),
    }
    if part.function == "irate" {
        arguments.push(
            Argument::new("`irate` looks at the last two samples only, whatever its range says")
                .drafted("drafted as the increase over the whole window"),
        );
    }
    if part.range != total.range {
        arguments.push(
            Argument::new("the two sides look back over different ranges")
                .drafted("drafted with the range of the upper one for both"),
        );
    }
    arguments
}

fn sorted(around: &Around) -> (Vec<&String>, bool) {
    let mut labels: Vec<&String> = around.labels.iter().collect();
    labels.sort();
    (labels, around.without)
}

fn operators(one: &Around, other: &Around) -> Option<Argument> {
    let odd = [one, other].into_iter().find(|around| around.operator != "sum")?;
    Some(
        Argument::new(format!(
            "`{}` of rates is not their sum: error series and all series are not equally many, \
             so the quotient is no share of requests",
            odd.operator
        ))
        .drafted("drafted with sums"),
    )
}

/// A division of an increase by a rate.
pub(super) fn mixed(part: &Counting, total: &Counting) -> Argument {
    Argument::new(format!(
        "`{}` is divided by `{}`: `increase` counts in the window and `rate` counts a second, so \
         the quotient is off by the window's seconds",
        part.function, total.function
    ))
    .drafted("kept as it stands: what its limit means is known to its author only")
}

pub(super) fn mean(base: &str) -> Argument {
    Argument::new(
        "this is the mean, and a mean hides the slow ones: 5% of requests at 10 s over 95% at \
         20 ms are a mean of 0.5 s",
    )
    .drafted(format!("kept; better: `latency: {{ counter: {base}_bucket, quantile: 0.95 }}`"))
}

pub(super) fn mean_of_quantiles() -> Argument {
    Argument::new(
        "an average of quantiles is no quantile: a busy instance counts as much as an idle one",
    )
    .drafted("kept; better: a `latency` over the histogram's buckets of all instances")
}

/// What is missing around a histogram's quantile.
pub(super) fn quantile(
    name: &str,
    rated: Option<&Counting>,
    around: Option<&Around>,
    has_le: bool,
) -> Vec<Argument> {
    let mut arguments = Vec::new();
    if !name.ends_with("_bucket") {
        arguments.push(
            Argument::new(format!(
                "`{name}` has no label `le`: a histogram keeps its buckets in `{name}_bucket`, so \
                 the rule has no result and never fires"
            ))
            .drafted(format!("drafted on `{name}_bucket`")),
        );
    }
    if rated.is_none() {
        arguments.push(
            Argument::new(
                "`histogram_quantile` without `rate` looks at every request since each process \
                 began: the longer it runs, the less a slow hour shows",
            )
            .drafted("drafted over the window"),
        );
    }
    if rated.is_some_and(|counting| counting.function == "irate") {
        arguments.push(Argument::new(
            "`irate` looks at the last two samples only: too few requests for a quantile",
        ));
    }
    match around {
        None => arguments.push(
            Argument::new(
                "without `sum by (le)` it is a quantile of each series (instance, path, status) \
                 alone: one request on a rare path is its p95",
            )
            .drafted("drafted over all series of the service"),
        ),
        Some(around) if !has_le => arguments.push(
            Argument::new(format!(
                "`{}` drops the label `le`, without which there are no buckets: the rule has no \
                 result and never fires",
                around.operator
            ))
            .drafted("drafted with `le` kept"),
        ),
        Some(around) if around.labels.len() > 1 && !around.without => arguments.push(
            Argument::new(
                "a quantile for each group: a group with few requests crosses any limit by one \
                 slow request, and a `query` has no `min_traffic`",
            )
            .drafted("kept as a query, of which the worst group counts"),
        ),
        Some(_) => {}
    }
    arguments
}

pub(super) fn fallback(upper: bool) -> Argument {
    let meaning = if upper { "health" } else { "a breach" };
    Argument::new(format!(
        "`or vector(...)` makes a low value of missing data, which is {meaning} here"
    ))
    .drafted(
        "left away: without data the verdict is `no_data`; an empty `bad` beside a `total` counts \
         as zero anyway",
    )
}

/// A window with too few scrapes.
pub(super) fn window(window: Option<SignedDuration>) -> Option<Argument> {
    let window = window.filter(|window| *window < SHORT)?;
    Some(
        Argument::new(format!(
            "a range of {window:#} holds one or two scrapes at the usual 30s or 1m between them, \
             and a rate needs two: one that fails leaves no result"
        ))
        .drafted("kept; four scrape intervals are safe"),
    )
}

/// The rule only fires long after the fault.
pub(super) fn slow(
    window: Option<SignedDuration>,
    hold: Option<SignedDuration>,
) -> Option<Argument> {
    let (window, hold) = (window.unwrap_or_default(), hold?);
    let both = window.saturating_add(hold);
    (both >= SignedDuration::from_mins(10)).then(|| {
        let within = if window.is_zero() {
            String::new()
        } else {
            format!(" on top of a window of {window:#}")
        };
        Argument::new(format!(
            "`for: {hold:#}`{within}: a fault just above the limit is told after {both:#}"
        ))
        .drafted("kept; deployguard asks for three samples that agree even without `for`")
    })
}

/// Rolling back can't mend it.
pub(super) fn beneath() -> Argument {
    Argument::new(
        "this is about what the service stands on, or its neighbours: it breaks without any \
         deployment, and rolling back mends nothing",
    )
    .drafted("drafted as SEV3: told, never rolled back")
}

pub(super) fn is_beneath(selectors: &[&VectorSelector]) -> bool {
    let names = ["postgres", "mysql", "redis", "mongo", "kafka", "rabbit", "node", "elastic"];
    selectors.iter().any(|selector| {
        let name = metric(selector);
        let job = selector.matchers.matchers.iter().find(|matcher| matcher.name == "job");
        let stranger = job.is_some_and(|job| names.iter().any(|name| job.value.contains(name)));
        BENEATH.iter().any(|start| name.starts_with(start)) || (name == "up" && stranger)
    })
}
