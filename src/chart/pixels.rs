//! Pixels: whole, the same each time, and of whatever can be drawn.
//!
//! `LOOK=FOLDER` leaves the pictures there for people.

use jiff::{SignedDuration, Timestamp};
use resvg::tiny_skia::Pixmap;

use super::*;
use crate::policy::Side;

const WIDTHS: [(Width, u32, &str); 2] =
    [(Width::Phone, 720, "phone"), (Width::Desktop, 1520, "desktop")];
const THEMES: [(Theme, &str); 2] = [(Theme::Light, "light"), (Theme::Dark, "dark")];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_600_000 + second).unwrap()
}

fn mark(second: i64, label: &str, kind: MarkKind) -> Mark {
    Mark { at: at(second), label: label.into(), kind }
}

fn limit(label: &str, value: f64) -> Limit {
    Limit { label: label.into(), value }
}

/// Half an hour, broken from the tenth minute on, rolled back in the 14th.
fn usual() -> Chart {
    let value = |second: i64| match second {
        600..=840 => 0.08 + 0.00002 * f64::from(i32::try_from(second % 97).unwrap()),
        _ => 0.0004 + 0.000_004 * f64::from(i32::try_from(second % 89).unwrap()),
    };
    let points = (4..=120).map(|index| (at(index * 15), Some(value(index * 15)))).collect();
    let quiet = (4..=120).map(|index| (at(index * 15), Some(0.0005))).collect();
    Chart {
        title: "error rate · shopflow-api".into(),
        unit: Unit::Ratio,
        from: at(0),
        to: at(1860),
        lines: vec![
            Line { name: "v1.5.0".into(), kind: LineKind::Main, points },
            Line { name: "before".into(), kind: LineKind::Control, points: quiet },
        ],
        limits: vec![limit("SEV1 > 10%", 0.1), limit("SEV2 > 1%", 0.01)],
        normal: Some(Bound { side: Side::Below, value: 0.001, unit: Unit::Ratio }),
        baseline: Some(Band { label: "before".into(), low: 0.0002, high: 0.0006 }),
        marks: vec![
            mark(60, "deployed", MarkKind::Deployed),
            mark(120, "in service", MarkKind::InService),
            mark(645, "SEV2 breach", MarkKind::Breach),
            mark(860, "rolled back", MarkKind::RolledBack),
            mark(980, "recovered", MarkKind::Recovered),
        ],
    }
}

/// Charts that are hard to draw, with their names.
fn ugly() -> Vec<(&'static str, Chart)> {
    let with = |points: Vec<(Timestamp, Option<f64>)>| Chart {
        lines: vec![Line { name: "v1".into(), kind: LineKind::Main, points }],
        ..usual()
    };
    let gaps = (0..120).map(|index| {
        let value = if index % 30 < 8 { None } else { Some(0.02) };
        (at(index * 15), value.map(|value| if index == 60 { f64::NAN } else { value }))
    });
    let wave = |index: i32| 0.3 + 0.2 * (f64::from(index) / 300.0).sin();
    let day = (0..5760).map(|index| (at(i64::from(index) * 15), Some(wave(index))));
    let huge = (0..120).map(|index| {
        let value = if index % 17 == 0 { 1e30 } else { 250.0 };
        (at(index * 15), Some(value))
    });
    let name =
        "an error rate <b>of</b> \"everything\" & what|else there is, in all regions of the world";
    vec![
        ("usual", usual()),
        ("gaps", with(gaps.collect())),
        ("one", with(vec![(at(600), Some(0.04))])),
        ("none", with(Vec::new())),
        ("nan", with(vec![(at(600), Some(f64::NAN)), (at(615), Some(f64::INFINITY))])),
        ("day", Chart { to: at(86_400), normal: None, ..with(day.collect()) }),
        (
            "huge",
            Chart {
                unit: Unit::Bytes,
                limits: vec![limit("SEV2 > 1 GiB", 1_073_741_824.0)],
                normal: None,
                baseline: None,
                ..with(huge.collect())
            },
        ),
        (
            "names",
            Chart {
                title: name.into(),
                limits: vec![limit(name, 0.1), limit(name, 0.099), limit(name, 0.098)],
                marks: (0..9).map(|one| mark(600 + one * 4, name, MarkKind::Breach)).collect(),
                ..with(vec![(at(0), Some(0.01)), (at(900), Some(0.2))])
            },
        ),
        ("moments", Chart { from: at(0), to: at(0), ..usual() }),
    ]
}

#[test]
fn pixels_are_twice_the_layout_and_never_empty() {
    for (name, chart) in ugly() {
        for (width, wide, view) in WIDTHS {
            for (theme, colour) in THEMES {
                let png = png(&chart, theme, width).unwrap();
                if let Ok(folder) = std::env::var("LOOK") {
                    std::fs::write(format!("{folder}/{name}-{view}-{colour}.png"), &png).unwrap();
                }
                let pixels = Pixmap::decode_png(&png).unwrap();
                assert_eq!(pixels.width(), wide, "{name}");
                assert!(png.len() < 400_000, "{name}: {} bytes", png.len());
                let face = pixels.pixel(2, 2).unwrap();
                let dark = face.red() < 40;
                assert_eq!(dark, theme == Theme::Dark, "{name}");
                let inked = pixels.pixels().iter().filter(|pixel| **pixel != face).count();
                assert!(inked > 2_000, "{name}: {inked} pixels are not the ground");
            }
        }
    }
}

#[test]
fn the_same_chart_gives_the_same_bytes() {
    let drawn = || png(&usual(), Theme::Light, Width::Phone).unwrap();
    assert_eq!(drawn(), drawn());
    let later = SignedDuration::from_secs(60);
    let other = Chart { to: usual().to + later, ..usual() };
    assert_ne!(drawn(), png(&other, Theme::Light, Width::Phone).unwrap());
}

#[test]
fn letters_are_drawn_without_a_font_of_the_machine() {
    let titled = |title: &str| {
        let chart = Chart { title: title.into(), ..usual() };
        png(&chart, Theme::Light, Width::Phone).unwrap()
    };
    assert_ne!(titled("error rate"), titled("latency"));
}

#[test]
fn a_chart_is_told_in_words_too() {
    let said = words(&usual());
    assert!(said.starts_with("error rate · shopflow-api. "), "{said}");
    for part in ["v1.5.0: 117 values", "SEV2 > 1%", "Breach at", "Rolled back at", "Recovered at"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
