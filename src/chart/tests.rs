//! Pictures of usual, hostile, empty and endless input.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::Tone;
use crate::policy::Side;

const WIDTHS: [Width; 2] = [Width::Phone, Width::Desktop];

fn start() -> Timestamp {
    "2026-11-20T10:15:00Z".parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    start() + SignedDuration::from_secs(second)
}

/// An hour, a value each 15 s.
fn chart(value: impl Fn(i64) -> Option<f64>) -> Chart {
    let points = (0..=240).map(|index| (at(index * 15), value(index * 15))).collect();
    Chart {
        title: "error rate".into(),
        unit: Unit::Ratio,
        from: start(),
        to: at(3600),
        lines: vec![Line { name: "v1.5.0".into(), kind: LineKind::Main, points }],
        limits: vec![Limit { label: "SEV2 > 1%".into(), value: 0.01 }],
        normal: Some(Bound { side: Side::Below, value: 0.001, unit: Unit::Ratio }),
        baseline: Some(Band { label: "before".into(), low: 0.0002, high: 0.0005 }),
        marks: vec![mark(900, "deployed", MarkKind::Deployed)],
    }
}

fn mark(second: i64, label: &str, kind: MarkKind) -> Mark {
    Mark { at: at(second), label: label.into(), kind }
}

/// The drawing on a desktop: whole, well-formed and of finite numbers.
fn drawn(chart: &Chart) -> String {
    let drawn = svg(chart, Theme::Auto, Width::Desktop);
    sound(&drawn).unwrap();
    drawn
}

fn sound(drawn: &str) -> Result<(), String> {
    let tree = roxmltree::Document::parse(drawn).map_err(|error| error.to_string())?;
    let numbers = ["d", "x", "y", "width", "height", "viewBox"];
    for attribute in tree.descendants().flat_map(|node| node.attributes()) {
        let text = attribute.value();
        let strange = text.contains("NaN") || text.contains("inf") || text.contains('e');
        if numbers.contains(&attribute.name()) && strange {
            return Err(format!("{} is {text}", attribute.name()));
        }
    }
    Ok(())
}

/// The `d` of the first line.
fn path(drawn: &str) -> String {
    let tree = roxmltree::Document::parse(drawn).unwrap();
    // The last: the legend has one too.
    let mut lines = tree.descendants();
    let line = lines.rfind(|node| node.attribute("class") == Some("dg-line dg-l0"));
    line.unwrap().attribute("d").unwrap().to_owned()
}

/// All that can be read, without the style sheet.
fn texts(drawn: &str) -> Vec<String> {
    let tree = roxmltree::Document::parse(drawn).unwrap();
    let texts = tree.descendants().filter(|node| node.has_tag_name("text"));
    texts
        .map(|text| {
            text.descendants()
                .filter(roxmltree::Node::is_text)
                .filter_map(|node| node.text())
                .collect()
        })
        .collect()
}

/// y of each point of a path.
fn heights(path: &str) -> Vec<f64> {
    let pairs = path.split(['M', 'L']).filter(|pair| !pair.is_empty());
    let y = pairs.filter_map(|pair| pair.split_once(' ')?.1.split('h').next());
    y.map(|y| y.parse().unwrap()).collect()
}

#[test]
fn a_usual_chart_says_what_it_shows() {
    let drawn = drawn(&chart(|second| Some(if second > 1000 { 0.012 } else { 0.0004 })));
    let texts = texts(&drawn);
    for words in ["error rate", "20 Nov 2026, 10:15 – 11:15 UTC", "SEV2 > 1%", "deployed 10:30"] {
        assert!(texts.iter().any(|text| text == words), "{words}: {texts:?}");
    }
    for words in ["normal < 0.1%", "before 0.02% – 0.05%", "0.5%", "1%", "10:30", "11:00"] {
        assert!(texts.iter().any(|text| text == words), "{words}: {texts:?}");
    }
    let tree = roxmltree::Document::parse(&drawn).unwrap();
    assert_eq!(tree.root_element().attribute("role"), Some("img"));
    let description = tree.descendants().find(|node| node.has_tag_name("desc")).unwrap();
    let said = description.text().unwrap();
    assert!(said.contains("v1.5.0: 241 values, 0.04% to 1.2%."), "{said}");
    assert!(said.contains("Deployed at 10:30:00 UTC: deployed."), "{said}");
}

#[test]
fn the_same_chart_is_the_same_drawing() {
    let chart = chart(|second| Some(f64::from(u32::try_from(second).unwrap()).sin().abs()));
    for width in WIDTHS {
        assert_eq!(svg(&chart, Theme::Dark, width), svg(&chart, Theme::Dark, width));
    }
}

#[test]
fn a_gap_in_the_data_is_a_gap_in_the_line() {
    let whole = path(&drawn(&chart(|_| Some(0.002))));
    assert_eq!(whole.matches('M').count(), 1);
    let unknown = path(&drawn(&chart(|second| (second % 900 != 450).then_some(0.002))));
    assert_eq!(unknown.matches('M').count(), 5);
    let not_finite = |second: i64| Some(if second == 450 { f64::NAN } else { 0.002 });
    assert_eq!(path(&drawn(&chart(not_finite))).matches('M').count(), 2);
}

#[test]
fn a_silence_is_a_gap_and_a_slower_pace_is_none() {
    let mut silent = chart(|_| Some(0.002));
    silent.lines[0].points.retain(|(at, _)| at.as_second() % 3600 / 60 != 40);
    assert_eq!(path(&drawn(&silent)).matches('M').count(), 2);
    let mut slower = chart(|_| Some(0.002));
    slower.lines[0].points.retain(|(at, _)| *at < self::at(900) || at.as_second() % 300 == 0);
    assert_eq!(path(&drawn(&slower)).matches('M').count(), 1);
}

#[test]
fn no_data_is_said_and_not_drawn() {
    for value in [None, Some(f64::NAN), Some(f64::INFINITY)] {
        let drawn = drawn(&chart(|_| value));
        assert!(texts(&drawn).contains(&"no data".to_owned()));
        assert_eq!(path(&drawn), "");
        assert!(drawn.contains("v1.5.0: no data."));
    }
    let mut bare = chart(|_| None);
    (bare.lines, bare.limits, bare.marks) = (vec![], vec![], vec![]);
    (bare.normal, bare.baseline, bare.to) = (None, None, bare.from);
    assert!(texts(&drawn(&bare)).contains(&"no data".to_owned()));
}

#[test]
fn a_value_far_beyond_the_limit_does_not_press_the_limit_flat() {
    let drawn = drawn(&chart(|second| Some(if second == 1800 { 0.9 } else { 0.0004 })));
    assert!(texts(&drawn).contains(&"90%".to_owned()), "the marker says how far");
    let tree = roxmltree::Document::parse(&drawn).unwrap();
    let limit = tree.descendants().find(|node| node.attribute("class") == Some("dg-rule"));
    let limit = heights(limit.unwrap().attribute("d").unwrap().split('H').next().unwrap())[0];
    let heights = heights(&path(&drawn));
    let top = heights.iter().copied().fold(f64::MAX, f64::min);
    let bottom = heights.iter().copied().fold(0.0, f64::max);
    assert!((bottom - limit) / (bottom - top) > 0.3, "{top} {limit} {bottom}");
}

#[test]
fn an_outlier_between_sparse_samples_leaves_the_view_where_it_crosses_the_edge() {
    let mut sparse = chart(|_| None);
    let values = [0.0, 1000.0, 0.0].into_iter().enumerate();
    sparse.lines[0].points = values
        .map(|(index, value)| (at(1800 * i64::try_from(index).unwrap()), Some(value)))
        .collect();
    let heights = heights(&path(&drawn(&sparse)));
    assert_eq!(heights.len(), 5, "up to the edge, along it, and down: {heights:?}");
    assert_eq!(heights[1].total_cmp(&heights[3]), std::cmp::Ordering::Equal);
}

#[test]
fn words_of_limits_and_marks_do_not_overlap() {
    let mut crowded = chart(|_| Some(0.0004));
    crowded.limits = (0..8)
        .map(|index| Limit {
            label: format!("SEV{index}"),
            value: 0.01 + 0.0001 * f64::from(index),
        })
        .collect();
    crowded.marks =
        (0..12).map(|index| mark(900 + index * 20, "a mark", MarkKind::Breach)).collect();
    crowded.marks.extend((0..3).map(|index| mark(3500 + index, "late", MarkKind::Recovered)));
    for width in WIDTHS {
        let drawn = svg(&crowded, Theme::Light, width);
        let tree = roxmltree::Document::parse(&drawn).unwrap();
        let mut rows: Vec<f64> = tree
            .descendants()
            .filter(|node| node.attribute("class").is_some_and(|class| class.contains("dg-word")))
            .map(|node| node.attribute("y").unwrap().parse().unwrap())
            .collect();
        rows.sort_by(f64::total_cmp);
        assert_eq!(rows.len(), 8);
        assert!(rows.windows(2).all(|two| two[1] - two[0] >= 14.9), "{rows:?}");
        let lanes: std::collections::BTreeSet<&str> = tree
            .descendants()
            .filter(|node| {
                node.attribute("class").is_some_and(|class| class.contains("dg-ink dg-halo"))
            })
            .map(|node| node.attribute("y").unwrap())
            .collect();
        assert_eq!(lanes.len(), 12);
    }
}

#[test]
fn a_day_of_samples_is_a_small_drawing() {
    let mut day = chart(|_| None);
    day.to = at(86_400);
    let line = |seed: u32| {
        let noise = move |index: u32| (f64::from(index * 7919 + seed)).sin().abs() * 0.02;
        (0..5760).map(|index| (at(i64::from(index) * 15), Some(noise(index)))).collect()
    };
    for lines in [1, 2, 4, 9] {
        day.lines = (0..lines)
            .map(|seed| Line { name: "x".into(), kind: LineKind::Main, points: line(seed) })
            .collect();
        for width in WIDTHS {
            let size = svg(&day, Theme::Auto, width).len();
            assert!(size < 60_000, "{lines} lines: {size} bytes");
        }
    }
    for (_, value) in day.lines[0].points.iter_mut().step_by(2) {
        *value = None;
    }
    let size = drawn(&day).len();
    assert!(size < 60_000, "every other sample is missing: {size} bytes");
}

#[test]
fn what_is_thinned_keeps_its_extremes() {
    let mut day = chart(|_| None);
    day.to = at(86_400);
    day.lines[0].points = (0..5760)
        .map(|index| (at(index * 15), Some(if index == 2881 { 0.009 } else { 0.005 })))
        .collect();
    let heights = heights(&path(&drawn(&day)));
    assert_eq!(heights.iter().filter(|y| **y < heights[0]).count(), 1);
}

#[test]
fn steps_are_round_and_told_apart() {
    let labels = |low, high, unit| {
        let ticks = super::range::ticks(super::range::Range { low, high }, unit, 5.0);
        ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>()
    };
    assert_eq!(labels(0.0, 0.0125, Unit::Ratio), ["0%", "0.5%", "1%"]);
    assert_eq!(labels(0.998, 1.0, Unit::Ratio), ["99.8%", "99.85%", "99.9%", "99.95%", "100%"]);
    assert_eq!(labels(0.0, 1.3, Unit::Seconds), ["0", "500ms", "1s"]);
    let mib = |mib: f64| mib * 1_048_576.0;
    let bytes = ["0 B", "512 MiB", "1 GiB", "1.5 GiB"];
    assert_eq!(labels(0.0, mib(1600.0), Unit::Bytes), bytes);
    assert_eq!(labels(mib(900.0), mib(1300.0), Unit::Bytes), ["1 GiB", "1.125 GiB", "1.25 GiB"]);
    assert_eq!(labels(0.0, 3e6, Unit::Number), ["0", "1M", "2M", "3M"]);
    assert_eq!(labels(-12.0, 9.0, Unit::Number), ["-10", "-5", "0", "5"]);
    assert_eq!(labels(0.0, 1.07, Unit::Failures), ["down", "up"]);
}

#[test]
fn moments_on_the_axis_are_round_for_seconds_and_for_days() {
    let labels = |span: i64, room| {
        let from = start().as_second();
        let ticks = times::ticks(from, from + span, room);
        ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>()
    };
    assert_eq!(labels(30, 300.0), ["10:15:00", "10:15:10", "10:15:20", "10:15:30"]);
    assert_eq!(labels(900, 300.0), ["10:15", "10:20", "10:25", "10:30"]);
    assert_eq!(labels(86_400, 300.0), ["12:00", "18:00", "21 Nov", "06:00"]);
    assert_eq!(labels(4 * 86_400, 300.0), ["21 Nov", "22 Nov", "23 Nov", "24 Nov"]);
    assert!(times::ticks(Timestamp::MIN.as_second(), Timestamp::MAX.as_second(), 300.0).len() < 8);
}

const HOSTILE: &str = "</title></svg><script>alert('x')</script>&\"\u{0}\u{1b}\u{202e}\u{ffff}]]>";

fn hostile() -> Chart {
    let mut chart = chart(|_| Some(0.002));
    chart.title = HOSTILE.into();
    chart.lines[0].name = HOSTILE.into();
    chart.limits[0].label = HOSTILE.into();
    chart.marks[0].label = HOSTILE.into();
    if let Some(band) = &mut chart.baseline {
        band.label = HOSTILE.into();
    }
    chart
}

#[test]
fn words_from_outside_stay_words() {
    for width in WIDTHS {
        let drawn = svg(&hostile(), Theme::Auto, width);
        sound(&drawn).unwrap();
        assert!(!drawn.contains("<script") && !drawn.contains('\u{202e}'), "{drawn}");
    }
}

#[test]
fn a_page_is_closed_to_the_network_and_to_words_from_outside() {
    let section = Section {
        heading: HOSTILE.into(),
        tone: Tone::Bad,
        lines: vec![HOSTILE.into()],
        rows: vec![(HOSTILE.into(), HOSTILE.into())],
        charts: vec![hostile()],
    };
    let page = page(HOSTILE, &[section]);
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    assert!(!page.contains("<script") && !page.contains("style=") && !page.contains("unsafe"));
    assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("://"));
    assert_eq!(page.matches("<style>").count(), 1, "the one that the hash is of");
    let body = &page[page.find("<body>").unwrap()..page.find("</html>").unwrap()];
    let tree = roxmltree::Document::parse(body).unwrap();
    assert_eq!(tree.descendants().filter(|node| node.has_tag_name("svg")).count(), 2);
}

fn number() -> impl Strategy<Value = f64> {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 5e-324, -0.0, 1e15];
    prop_oneof![any::<f64>(), select(odd.to_vec()), -1.0..1.0, 1e6..1e6 + 1e-6]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    let far = (Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond())
        .prop_map(|ms| Timestamp::from_millisecond(ms).unwrap());
    prop_oneof![
        (-10_000_i64..10_000).prop_map(at),
        far,
        select(vec![Timestamp::MIN, Timestamp::MAX])
    ]
}

prop_compose! {
    fn any_chart()(
        title in any::<String>(),
        unit in select(vec![Unit::Ratio, Unit::Seconds, Unit::Bytes, Unit::Number]),
        (from, to) in (moment(), moment()),
        lines in prop::collection::vec(
            prop::collection::vec((moment(), prop::option::of(number())), 0..20), 0..6),
        limits in prop::collection::vec((any::<String>(), number()), 0..10),
        normal in prop::option::of(number()),
        baseline in prop::option::of((number(), number())),
        marks in prop::collection::vec((moment(), any::<String>()), 0..15),
    ) -> Chart {
        let kinds = [LineKind::Main, LineKind::Control];
        let lines = lines.into_iter().zip(kinds.into_iter().cycle());
        let marks = marks.into_iter();
        Chart {
            lines: lines.map(|(points, kind)| Line { name: title.clone(), kind, points }).collect(),
            limits: limits.into_iter().map(|(label, value)| Limit { label, value }).collect(),
            normal: normal.map(|value| Bound { side: Side::Below, value, unit }),
            baseline: baseline.map(|(low, high)| Band { label: title.clone(), low, high }),
            marks: marks.map(|(at, label)| Mark { at, label, kind: MarkKind::Breach }).collect(),
            title, unit, from, to,
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes_the_drawing_is_whole_and_finite(chart in any_chart()) {
        for width in WIDTHS {
            let drawn = svg(&chart, Theme::Auto, width);
            sound(&drawn).map_err(TestCaseError::fail)?;
        }
    }
}
