//! What increments come to, and when a first sample counts.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

/// Ticks each 60 s, of which the first ends (1000, 1060].
fn minutes(count: usize) -> Ticks {
    let first = Timestamp::from_second(1060).unwrap();
    Ticks { first, step: SignedDuration::from_secs(60), count }
}

/// Samples at seconds, of an instance's series.
fn track(instance: &str, series: &str, samples: &[(i64, f64)]) -> Track {
    let labels = [("instance", instance), ("series", series)];
    Track {
        labels: labels.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        samples: samples.iter().map(|(s, v)| (s * 1000, *v)).collect(),
    }
}

/// The sum of each stretch, or why there is none.
fn sums(rows: Vec<Row>) -> Vec<Result<f64, Unusable>> {
    rows.into_iter().map(|row| Ok(row?.iter().map(|(_, more)| more).sum())).collect()
}

fn increments(
    tracks: Vec<Track>,
    births: Option<&Births>,
    ticks: Ticks,
) -> Vec<Result<f64, Unusable>> {
    let fetched = Fetched { tracks, failed: Vec::new() };
    let asks = std::iter::once(fetched.tracks.as_slice());
    sums(Counters::of(asks, "instance", births, ticks).rows(&fetched))
}

fn since(second: i64, known: &[&str]) -> Births {
    let since = Timestamp::from_second(second).unwrap();
    Births { since, known: known.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn an_increment_belongs_to_the_stretch_of_the_later_sample() {
    let samples = [(985, 10.0), (1000, 11.0), (1015, 13.0), (1060, 17.0), (1061, 25.0)];
    let seen = increments(vec![track("a", "x", &samples)], None, minutes(2));
    assert_eq!(seen, [Ok(6.0), Ok(8.0)]);
}

#[test]
fn a_value_that_falls_began_again_at_zero() {
    let samples = [(990, 100.0), (1005, 110.0), (1020, 3.0), (1035, 3.0), (1050, 1.0)];
    assert_eq!(increments(vec![track("a", "x", &samples)], None, minutes(1)), [Ok(14.0)]);
}

#[test]
fn a_first_error_on_an_instance_that_goes_on_counts() {
    let ok = track("a", "200", &[(990, 100.0), (1005, 110.0), (1020, 120.0)]);
    let bad = track("a", "500", &[(1020, 4.0)]);
    assert_eq!(increments(vec![ok.clone(), bad.clone()], None, minutes(1)), [Ok(24.0)]);
    // The total of the same question knows the instance.
    let (errors, total) = (Fetched::of(vec![bad]), Fetched::of(vec![ok]));
    let asks = [errors.tracks.as_slice(), total.tracks.as_slice()].into_iter();
    let counters = Counters::of(asks, "instance", None, minutes(1));
    assert_eq!(sums(counters.rows(&errors)), [Ok(4.0)]);
}

#[test]
fn series_that_are_only_called_otherwise_are_not_born() {
    let before = track("a", "old name", &[(990, 1000.0), (1005, 1010.0)]);
    let after = track("a", "new name", &[(1020, 1020.0), (1035, 1030.0)]);
    assert_eq!(increments(vec![before, after], None, minutes(1)), [Ok(20.0)]);
}

#[test]
fn an_instance_born_after_the_roll_out_began_counts_from_zero() {
    let old = track("a", "x", &[(990, 5.0), (1005, 5.0), (1020, 5.0)]);
    let new = track("b", "x", &[(1010, 7.0), (1025, 9.0)]);
    let both = || vec![old.clone(), new.clone()];
    let births = since(1001, &["a"]);
    assert_eq!(increments(both(), Some(&births), minutes(1)), [Ok(9.0)]);
    assert_eq!(increments(both(), None, minutes(1)), [Ok(2.0)], "nobody knows");
    let later = since(1015, &["a"]);
    assert_eq!(increments(both(), Some(&later), minutes(1)), [Ok(2.0)], "it was there before");
    let known = since(1001, &["a", "b"]);
    assert_eq!(increments(both(), Some(&known), minutes(1)), [Ok(2.0)], "it has been seen");
}

#[test]
fn an_old_instance_that_comes_back_has_not_done_it_all_at_once() {
    let live = track("b", "x", &[(990, 1.0), (1005, 2.0)]);
    let back = track("a", "x", &[(500, 900.0), (1005, 1000.0), (1020, 1003.0)]);
    let births = since(400, &["b"]);
    let seen = increments(vec![live, back], Some(&births), minutes(1));
    assert_eq!(seen, [Ok(4.0)], "its second sample counts, and what it has seen before does not");
}

#[test]
fn after_an_outage_of_the_source_nothing_is_newborn() {
    let a = track("a", "x", &[(100, 5.0), (1005, 900.0), (1020, 901.0)]);
    let b = track("b", "x", &[(1005, 900.0), (1020, 902.0)]);
    let births = since(50, &["a"]);
    assert_eq!(increments(vec![a, b], Some(&births), minutes(1)), [Ok(3.0)]);
}

#[test]
fn an_instance_that_nobody_names_is_never_born() {
    let mut live = track("a", "200", &[(990, 1.0), (1005, 2.0)]);
    let mut first = track("a", "500", &[(1005, 900.0)]);
    live.labels.remove("instance");
    first.labels.remove("instance");
    let births = since(50, &[]);
    assert_eq!(increments(vec![live, first], Some(&births), minutes(1)), [Ok(1.0)]);
}

#[test]
fn what_vanishes_ends_and_the_rest_goes_on() {
    let gone = track("a", "x", &[(990, 1.0), (1005, 3.0)]);
    let stays = track("b", "x", &[(990, 1.0), (1005, 2.0), (1065, 3.0), (1125, 4.0)]);
    let seen = increments(vec![gone, stays], None, minutes(3));
    assert_eq!(seen, [Ok(3.0), Ok(1.0), Ok(1.0)]);
}

#[test]
fn a_gap_is_counted_when_it_ends_or_not_at_all_if_it_was_long() {
    let short = track("a", "x", &[(990, 10.0), (1170, 70.0)]);
    let seen = increments(vec![short], None, minutes(3));
    assert_eq!(seen, [Err(Unusable::NothingNew), Err(Unusable::NothingNew), Ok(60.0)]);
    let long = track("a", "x", &[(990, 10.0), (1291, 70.0), (1292, 71.0)]);
    assert_eq!(increments(vec![long], None, minutes(5))[4], Ok(1.0));
}

#[test]
fn no_new_sample_is_not_no_series() {
    let samples = [(990, 10.0), (1000, 10.0)];
    let seen = increments(vec![track("a", "x", &samples)], None, minutes(7));
    let (nothing_new, empty) = (|| Err(Unusable::NothingNew), || Ok(0.0));
    let expected: Vec<_> =
        (0..7).map(|tick| if tick < 5 { nothing_new() } else { empty() }).collect();
    assert_eq!(seen, expected, "five minutes back, open at their start");
    assert_eq!(increments(Vec::new(), None, minutes(1)), [Ok(0.0)]);
}

#[test]
fn a_first_sample_alone_measures_nothing() {
    let seen = increments(vec![track("a", "x", &[(1005, 10.0)])], None, minutes(1));
    assert_eq!(seen, [Err(Unusable::NothingNew)]);
}

#[test]
fn samples_that_come_twice_or_late_are_skipped() {
    let samples =
        [(990, 10.0), (1005, 12.0), (1005, 12.0), (990, 10.0), (1020, 13.0), (1020, 99.0)];
    assert_eq!(increments(vec![track("a", "x", &samples)], None, minutes(1)), [Ok(3.0)]);
}

#[test]
fn impossible_samples_are_skipped_and_told_if_there_are_no_others() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
        let samples = [(990, 10.0), (1005, odd), (1020, 13.0), (1080, odd)];
        let seen = increments(vec![track("a", "x", &samples)], None, minutes(2));
        assert_eq!(seen[0], Ok(3.0), "{odd}");
        assert!(matches!(seen[1], Err(Unusable::NotFinite(_))), "{odd}: {:?}", seen[1]);
        // What could not be read before is no birth.
        let ok = track("a", "200", &[(990, 1.0), (1005, 1.0), (1020, 1.0)]);
        let bad = track("a", "500", &[(1005, odd), (1020, 900.0)]);
        assert_eq!(increments(vec![ok, bad], None, minutes(1)), [Ok(0.0)], "{odd}");
    }
}

#[test]
fn the_edges_of_time_are_no_trouble() {
    let samples = [(i64::MIN / 1000, 1.0), (0, 2.0), (i64::MAX / 1000, 3.0)];
    let seen = increments(vec![track("a", "x", &samples)], Some(&since(0, &[])), minutes(2));
    assert_eq!(seen, [Ok(0.0), Ok(0.0)]);
    let long = Ticks { step: SignedDuration::MAX, ..minutes(2) };
    let _ = increments(vec![track("a", "x", &samples)], Some(&since(0, &[])), long);
}

impl Fetched {
    fn of(tracks: Vec<Track>) -> Self {
        Self { tracks, failed: Vec::new() }
    }
}

/// Series of three instances, scraped each 5 to 40 s, which rise and fall, begin
/// and end.
fn histories() -> impl Strategy<Value = Vec<Track>> {
    let scrapes = prop::collection::vec((5_i64..40, 0_u32..50), 1..80);
    let one = (0_i64..1500, scrapes, 0_usize..3);
    prop::collection::vec(one, 0..8).prop_map(|all| {
        let histories = all.into_iter().enumerate();
        histories
            .map(|(place, (begin, scrapes, instance))| {
                let mut time = begin;
                let samples: Vec<_> = scrapes
                    .into_iter()
                    .map(|(pause, value)| {
                        time += pause;
                        (time, f64::from(value))
                    })
                    .collect();
                track(["a", "b", "c"][instance], &place.to_string(), &samples)
            })
            .collect()
    })
}

/// As a source answers that is asked about these ticks.
fn as_fetched(tracks: &[Track], ticks: Ticks) -> Vec<Track> {
    let from = ticks.at_ms(0) - ticks.step_ms() - LOOKBACK_MS;
    let until = ticks.at_ms(ticks.count - 1);
    let within = |(time, _): &(i64, f64)| (from..=until).contains(time);
    let tracks = tracks.iter().map(|track| Track {
        labels: track.labels.clone(),
        samples: track.samples.iter().copied().filter(within).collect(),
    });
    tracks.filter(|track| !track.samples.is_empty()).collect()
}

proptest! {
    #[test]
    fn stretches_that_touch_add_up_to_the_whole_however_they_are_cut(
        tracks in histories(),
        steps in prop::collection::vec(1_i64..100, 1..60),
        since_second in 0_i64..2000,
    ) {
        let total = |ticks: Ticks, births: &mut Births| -> f64 {
            let fetched = as_fetched(&tracks, ticks);
            let seen: Vec<_> = fetched.iter().map(|t| t.labels["instance"].clone()).collect();
            let sums = increments(fetched, Some(births), ticks);
            // Who was seen in one stretch is known in the next.
            births.known.extend(seen);
            sums.into_iter().map(|sum| sum.unwrap_or(0.0)).sum()
        };
        let births = || since(since_second, &["a"]);
        let mut known = births();
        let (mut at, mut whole) = (1000, 0.0);
        for step in &steps {
            at += step;
            let end = Timestamp::from_second(at).unwrap();
            let once = Ticks::once(end, SignedDuration::from_secs(*step));
            whole += total(once, &mut known);
        }
        // The same time in stretches of a second, asked for at once and in chunks.
        let first = Timestamp::from_second(1001).unwrap();
        let count = usize::try_from(at - 1000).unwrap();
        let seconds = Ticks { first, step: SignedDuration::from_secs(1), count };
        prop_assert!((total(seconds, &mut births()) - whole).abs() < 1e-6);
        let mut known = births();
        let chunks: f64 = seconds.chunks(7).map(|chunk| total(chunk, &mut known)).sum();
        prop_assert!((chunks - whole).abs() < 1e-6);
    }

    #[test]
    fn chunks_of_ticks_read_as_all_of_them_at_once(tracks in histories(), size in 1_usize..20) {
        let ticks = minutes(30);
        let births = since(1200, &[]);
        let mut known = births.clone();
        let mut pieces = Vec::new();
        for chunk in ticks.chunks(size) {
            let fetched = as_fetched(&tracks, chunk);
            let seen: Vec<_> = fetched.iter().map(|t| t.labels["instance"].clone()).collect();
            pieces.extend(increments(fetched, Some(&known), chunk));
            known.known.extend(seen);
        }
        let once = increments(as_fetched(&tracks, ticks), Some(&births), ticks);
        prop_assert_eq!(pieces, once);
    }
}
