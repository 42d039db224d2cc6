use super::*;

fn at(text: &str) -> Timestamp {
    format!("2026-11-21T{text}Z").parse().unwrap()
}

fn ask() -> BeatAsk {
    BeatAsk {
        job: "auto-push".into(),
        schedule: "0 * * * *".into(),
        time_zone: "UTC".into(),
        late: SignedDuration::from_mins(10),
        misses: 1,
        since: Some(at("12:30:00")),
    }
}

fn beats(times: &[&str]) -> Vec<Beat> {
    times.iter().map(|time| Beat { at: at(time), well: true }).collect()
}

const HOURLY: [&str; 3] = ["10:01:00", "11:02:00", "12:01:00"];

/// What was heard where it was listened all the time.
fn heard(beats: &[Beat]) -> Heard {
    let listened = Listened { from: Timestamp::UNIX_EPOCH, until: Timestamp::MAX };
    Heard { beats: beats.to_vec(), listened: vec![listened] }
}

fn say(beats: &[Beat], now: &str) -> Result<bool, String> {
    standing(&ask(), &heard(beats), at(now)).map(|(up, _)| up)
}

#[test]
fn a_job_that_beat_regularly_and_is_silent_when_it_was_due_is_down() {
    let before = beats(&HOURLY);
    assert_eq!(say(&before, "12:59:00"), Ok(true));
    assert_eq!(say(&before, "13:10:00"), Ok(true), "it may come still");
    let (up, words) = standing(&ask(), &heard(&before), at("13:10:01")).unwrap();
    assert!(!up);
    assert_eq!(words, "auto-push did not beat, due at 2026-11-21 13:00 UTC");
    assert_eq!(say(&before, "13:59:00"), Ok(false), "it lasts until the next run");
    let again = [before, beats(&["14:00:30"])].concat();
    assert_eq!(say(&again, "14:01:00"), Ok(true), "it is back");
}

#[test]
fn a_run_that_says_that_it_failed_counts_at_once_unless_it_is_run_again() {
    let mut all = beats(&HOURLY);
    all.push(Beat { at: at("13:00:20"), well: false });
    assert_eq!(say(&all, "13:00:30"), Ok(false));
    all.push(Beat { at: at("13:05:00"), well: true });
    assert_eq!(say(&all, "13:05:30"), Ok(true));
}

#[test]
fn what_did_not_beat_before_the_deployment_is_no_data_and_no_guilt() {
    let none = say(&[], "13:30:00").unwrap_err();
    assert!(none.contains("it was so before the deployment"), "{none}");
    let stopped = say(&beats(&["09:00:00", "10:00:00", "11:00:00"]), "13:30:00").unwrap_err();
    assert!(stopped.contains("it was so before"), "{stopped}");
    // It missed one of two.
    let now_and_then = say(&beats(&["09:00:00", "10:00:00", "12:00:00"]), "13:30:00").unwrap_err();
    assert!(now_and_then.contains("did not beat regularly before"), "{now_and_then}");
    let unknown =
        standing(&BeatAsk { since: None, ..ask() }, &heard(&beats(&HOURLY)), at("13:30:00"));
    assert!(unknown.is_err(), "of no deployment");
}

#[test]
fn what_the_guard_did_not_listen_for_is_not_missed() {
    let before = beats(&HOURLY);
    let of = |stretches: &[(&str, &str)], beats: &[Beat], now: &str| {
        let stretch = |(from, until): &(&str, &str)| Listened { from: at(from), until: at(until) };
        let listened = stretches.iter().map(stretch).collect();
        let heard = Heard { beats: beats.to_vec(), listened };
        standing(&ask(), &heard, at(now)).map(|(up, _)| up)
    };
    // It was down when the job told.
    let down = [("00:00:00", "12:58:00"), ("13:03:00", "13:10:40")];
    let why = of(&down, &before, "13:10:41").unwrap_err();
    assert!(why.contains("auto-push, due at 2026-11-21 13:00 UTC, was not heard"), "{why}");
    let why = of(&down, &before, "13:59:59").unwrap_err();
    assert!(why.contains("was not heard"), "{why}");
    // What it says of the next run is not hidden by that.
    let down = [("00:00:00", "12:58:00"), ("13:03:00", "14:10:40")];
    assert_eq!(of(&down, &before, "14:10:41"), Ok(false));
    let heard = [before.clone(), beats(&["13:00:10"])].concat();
    assert_eq!(of(&[], &heard, "13:30:00"), Ok(true), "what was heard is known");
    // One that takes over at once leaves no time between.
    let taken_over = [("00:00:00", "13:05:00"), ("13:04:59", "13:10:40")];
    assert_eq!(of(&taken_over, &before, "13:10:41"), Ok(false));
    // A restart in the last seconds leaves them unheard.
    let restarted = [("00:00:00", "13:09:45"), ("13:10:05", "13:10:05")];
    assert!(of(&restarted, &before, "13:10:06").is_err(), "it was down at 13:10");
    let silent = [("00:00:00", "13:09:00")];
    assert!(of(&silent, &before, "13:10:41").is_err(), "nothing was noted since");
}

#[test]
fn as_many_runs_in_a_row_as_the_policy_says_make_a_failure() {
    let two = BeatAsk { misses: 2, ..ask() };
    let before = beats(&HOURLY);
    let (up, words) = standing(&two, &heard(&before), at("13:30:00")).unwrap();
    assert!(up && words.ends_with("1 of 2 runs"), "{words}");
    assert!(!standing(&two, &heard(&before), at("14:30:00")).unwrap().0);
}

#[test]
fn a_daily_job_follows_the_clock_of_its_zone_through_the_change_to_winter_time() {
    let daily = BeatAsk {
        schedule: "59 23 * * *".into(),
        time_zone: "Europe/Berlin".into(),
        since: Some("2026-10-25T12:00:00Z".parse().unwrap()),
        ..ask()
    };
    // Summer time until the 25th.
    let ran = ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z"];
    let ran = ran.map(|at| Beat { at: at.parse().unwrap(), well: true });
    let say = |now: &str| standing(&daily, &heard(&ran), now.parse().unwrap()).map(|(up, _)| up);
    assert_eq!(say("2026-10-25T22:30:00Z"), Ok(true), "23:30 there");
    assert_eq!(say("2026-10-25T23:05:00Z"), Ok(true), "due at 23:59, late until 0:09");
    assert_eq!(say("2026-10-25T23:10:00Z"), Ok(false));
}

#[test]
fn every_minute_and_once_a_month_are_found_alike() {
    for (schedule, least) in [("* * * * *", 12), ("0 0 1 * *", 2), ("0 0 29 2 *", 0)] {
        let found = times(&crontab(schedule, "UTC").unwrap(), at("12:00:00"), 12).unwrap();
        assert!(found.len() >= least && found.len() <= 12, "{schedule}: {}", found.len());
        assert!(found.iter().all(|time| *time <= at("12:00:00")));
    }
}
