//! Charts and files of watches that were lived through.

use super::*;
use crate::model::{Body, RollOut, Route};
use crate::watch::tests::world::{Guard, policy, sighting};

/// Broken, rolled back, and well again.
fn rolled_back() -> Guard {
    let mut guard = Guard::settled(policy());
    guard.lives(0.0, 600);
    guard.breaks(40.0);
    while !guard.wants_rollback() {
        guard.reads(40.0);
    }
    guard.accepts(Route::UpdateService);
    guard.reads(43.0);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::InProgress));
    guard.reads(38.0);
    guard.sees(sighting(guard.clock, "ecs-svc/3", 1, RollOut::Completed));
    guard.reads(20.0);
    guard.lives(0.0, 60);
    assert!(!guard.watch.is_open(), "{:?}", guard.said());
    guard
}

fn files(guard: &Guard) -> Vec<(&Notice, Vec<String>, bool)> {
    let files = guard.notices.iter().filter_map(|notice| match &notice.body {
        Body::Files { charts, report } => Some((notice, charts.clone(), *report)),
        Body::Card(_) | Body::Reply(_) | Body::Signal { .. } => None,
    });
    files.collect()
}

fn parcel_of(guard: &Guard, index: usize) -> Parcel {
    let (notice, charts, report) = files(guard).remove(index);
    parcel(&guard.journal, notice, &charts, report).unwrap()
}

fn chart_at_the_end(guard: &Guard) -> Chart {
    let story = tell(&guard.journal, None).unwrap();
    let check = &story.watch.policy().checks[0];
    chart_of(&story, check)
}

#[test]
fn look() {
    let Ok(folder) = std::env::var("LOOK") else { return };
    let chart = chart_at_the_end(&rolled_back());
    for (theme, t) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
        for (width, w) in [(Width::Phone, "phone"), (Width::Desktop, "desktop")] {
            let png = chart::png(&chart, theme, width).unwrap();
            std::fs::write(format!("{folder}/rolled-{t}-{w}.png"), png).unwrap();
        }
    }
}
