//! When probes are run, and what their runs come to, without a network.

use std::time::Duration;

use super::*;
use crate::commands::{Command, Template};
use crate::model::Ticks;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn shell(script: &str) -> Prober {
    let command = Command {
        program: "/bin/sh".into(),
        called: "sh".into(),
        arguments: ["-c", script, "sh", "${service}"]
            .iter()
            .map(|text| Template::parse(text).unwrap())
            .collect(),
        folder: None,
        time_out: Duration::from_secs(20),
        env: BTreeMap::new(),
    };
    Prober::of(Commands::new([("smoke".to_owned(), command)].into()), None)
}

fn ask(since: i64, clear: Option<i64>) -> ProbeAsk {
    ProbeAsk {
        check: "smoke tests".into(),
        of: Probing::Command("smoke".into()),
        every: MINUTE * 5,
        values: [("service".to_owned(), "api".to_owned())].into(),
        since: Some(at(since)),
        live: None,
        clear: clear.map(at),
        again: None,
    }
}

/// `up`, `down: words`, `none: words` or `-` for nothing new.
fn shown(fetched: &Fetched) -> String {
    match fetched.failed.first() {
        Some((_, Unusable::NothingNew)) => return "-".into(),
        Some((_, why)) => return format!("none: {why}"),
        None => {}
    }
    let words = fetched.tracks.iter().find_map(|one| one.labels.get(BESIDE));
    let words = words.map(|words| format!(": {words}")).unwrap_or_default();
    let up = fetched.tracks.iter().any(|one| one.samples.iter().any(|(_, value)| *value > 0.0));
    if up { format!("up{words}") } else { format!("down{words}") }
}

fn look(prober: &Prober, ask: &ProbeAsk, second: i64) -> String {
    let ticks = Ticks::once(at(second), MINUTE);
    shown(&prober.look(&Due { ask: Ask::Probe(Box::new(ask.clone())), ticks }))
}

fn is_running(prober: &Prober) -> bool {
    let mut slots = prober.slots.lock().unwrap();
    slots.values_mut().any(|slot| {
        slot.running.as_mut().is_some_and(|run| run.came.is_empty() && !run.came.is_terminated())
    })
}

/// Looks once no run is under way any more.
async fn look_after(prober: &Prober, ask: &ProbeAsk, second: i64) -> String {
    while is_running(prober) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    look(prober, ask, second)
}

#[tokio::test]
async fn what_a_command_came_to_is_told_by_its_exit_code_with_its_last_lines() {
    for (script, told) in [
        ("exit 0", "up"),
        (
            "echo one; echo 'cart is empty' >&2; echo password=hunter22; exit 1",
            "down: `smoke` ended with exit code 1: one / cart is empty / password=***",
        ),
        (
            "no-such-program-here 2> /dev/null",
            "none: `smoke` ended with exit code 127: a program in it could not be run",
        ),
        ("kill -9 $$", "none: `smoke` was ended by SIGKILL"),
    ] {
        let (prober, ask) = (shell(script), ask(0, None));
        assert_eq!(look(&prober, &ask, 1), "-");
        assert_eq!(look_after(&prober, &ask, 2).await, told, "{script}");
        assert_eq!(look(&prober, &ask, 3), "-");
    }
    let mut other = ask(0, None);
    other.of = Probing::Command("smoky".into());
    let prober = shell("exit 0");
    look(&prober, &other, 1);
    let told = look_after(&prober, &other, 2).await;
    assert!(told.starts_with("none: `smoky` could not be run: the settings have no"), "{told}");
}

#[tokio::test]
async fn a_slow_probe_is_waited_for_by_nobody_and_runs_once_at_a_time() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    let prober = shell(&format!("echo x >> {path}; sleep 0.3"));
    let ask = ask(0, None);
    for second in 0..600 {
        assert_eq!(look(&prober, &ask, second), "-");
    }
    assert_eq!(look_after(&prober, &ask, 601).await, "up");
    while is_running(&prober) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The one from the beginning, and the one that was due when it had ended.
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "x\nx\n");
}

/// The seconds at which a run begins when each is over at the next look.
async fn begun(
    prober: &Prober,
    clear: Option<i64>,
    seconds: impl Iterator<Item = i64>,
) -> Vec<i64> {
    let mut begun = Vec::new();
    for second in seconds {
        let ask = ask(0, clear.filter(|clear| *clear <= second));
        look_after(prober, &ask, second).await;
        let slots = prober.slots.lock().unwrap();
        let last = slots.values().next().and_then(|slot| slot.begun).unwrap();
        if last == at(second) {
            begun.push(second);
        }
    }
    begun
}

#[tokio::test]
async fn a_probe_is_run_at_the_start_at_the_end_of_the_grace_and_every_so_often() {
    let seconds = (0..).step_by(15).take_while(|second| *second <= 900);
    let times = begun(&shell("exit 0"), Some(60), seconds).await;
    assert_eq!(times, [0, 60, 360, 660]);
}

#[tokio::test]
async fn a_failure_is_looked_at_again_soon_ten_times_and_then_as_often_as_the_policy_says() {
    let seconds = (0..).step_by(30).take_while(|second| *second <= 1_500);
    let times = begun(&shell("exit 1"), None, seconds).await;
    assert_eq!(times[..11], [0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 840]);
    assert_eq!(times[11..], [1_140, 1_440]);
}

#[tokio::test]
async fn what_says_nothing_of_the_service_is_asked_again_as_often_as_the_policy_says() {
    let seconds = (0..).step_by(30).take_while(|second| *second <= 900);
    assert_eq!(begun(&shell("exit 126"), None, seconds).await, [0, 300, 600, 900]);
}

#[tokio::test]
async fn the_target_of_a_rollback_is_probed_at_once_and_failures_of_it_soon_until_it_is_up() {
    let flag = tempfile::NamedTempFile::new().unwrap();
    let prober = shell(&format!("test -s {}", flag.path().display()));
    begun(&prober, None, (0..).step_by(30).take_while(|second| *second <= 840)).await;
    let ask = |again| ProbeAsk { again: Some(at(again)), ..ask(0, None) };
    // It may have met what was rolled back: good or bad, it says nothing of what is in place.
    std::fs::write(flag.path(), "up").unwrap();
    assert_eq!(look_after(&prober, &ask(850), 860).await, "-");
    assert_eq!(look_after(&prober, &ask(850), 870).await, "up", "the run from after that");
    assert_eq!(look_after(&prober, &ask(850), 900).await, "-");
    std::fs::write(flag.path(), "").unwrap();
    assert_eq!(look_after(&prober, &ask(910), 920).await, "-", "due at once");
    for second in (1..=20).map(|times| 920 + 60 * times) {
        assert!(look_after(&prober, &ask(910), second).await.starts_with("down"), "{second}");
        assert_eq!(look_after(&prober, &ask(910), second + 30).await, "-", "and anew");
    }
}

#[test]
fn who_is_shut_out_is_the_services_doing_only_where_the_same_was_let_in_hours_before() {
    let shut = || Came::Shut { bad: "out".into(), unknown: Unusable::Refused("out".into()) };
    let unknown = Came::Unknown(Unusable::Refused("out".into()));
    let mut slot = Slot::default();
    let flow = ask(0, None);
    assert_eq!(slot.judged(shut(), &flow, at(0)), unknown, "it may never have been right");
    assert_eq!(slot.judged(Came::Good, &flow, at(10)), Came::Good);
    let hours = |count: i64| at(10 + count * 3_600);
    assert_eq!(slot.judged(shut(), &flow, hours(6)), Came::Bad("out".into()));
    let other = ProbeAsk { of: Probing::Command("other".into()), ..flow.clone() };
    assert_eq!(slot.judged(shut(), &other, hours(6)), unknown, "of other steps nothing is known");
    assert_eq!(slot.judged(shut(), &flow, hours(7)), unknown, "too long ago");
}

#[tokio::test]
async fn a_failure_that_began_within_the_grace_says_nothing_after_it() {
    let prober = shell("exit 1");
    assert_eq!(look(&prober, &ask(0, None), 50), "-");
    assert_eq!(look_after(&prober, &ask(0, Some(60)), 65).await, "-");
    assert!(look_after(&prober, &ask(0, Some(60)), 80).await.starts_with("down"));
}

#[tokio::test]
async fn a_new_deployment_is_probed_at_once_and_hears_nothing_of_the_one_before() {
    let prober = shell("exit 1");
    assert_eq!(look(&prober, &ask(0, None), 1), "-");
    assert_eq!(look_after(&prober, &ask(10, None), 11).await, "-");
    assert!(look_after(&prober, &ask(10, None), 12).await.starts_with("down"));
}

#[tokio::test]
async fn a_deployment_that_is_faster_than_its_first_run_was_up_before_if_the_last_one_was() {
    let flag = tempfile::NamedTempFile::new().unwrap();
    let prober = shell(&format!("! test -s {}", flag.path().display()));
    assert_eq!(look(&prober, &ask(0, None), 1), "-");
    assert_eq!(look_after(&prober, &ask(0, None), 100).await, "up");
    std::fs::write(flag.path(), "down").unwrap();
    assert_eq!(look_after(&prober, &ask(500, None), 510).await, "up", "before it began");
    assert_eq!(look(&prober, &ask(500, None), 510), "-", "once");
    assert!(look_after(&prober, &ask(500, None), 520).await.starts_with("down"));
    // It began long before it came into service, and what stood before was up all that time.
    let slow = ProbeAsk { live: Some(at(900)), ..ask(540, None) };
    let prober = shell("exit 0");
    assert_eq!(look(&prober, &ask(0, None), 1), "-");
    assert_eq!(look_after(&prober, &ask(0, None), 890).await, "up");
    assert_eq!(look(&prober, &slow, 901), "up");
    // What was down, ended after the beginning, or is long ago says nothing of it.
    assert_eq!(look_after(&prober, &ask(530, None), 535).await, "-", "it was down");
    for (ended, since, now) in [(900, 899, 901), (900, 1_501, 1_501)] {
        let prober = shell("exit 0");
        assert_eq!(look(&prober, &ask(0, None), 1), "-");
        assert_eq!(look_after(&prober, &ask(0, None), ended).await, "up");
        assert_eq!(look(&prober, &ask(since, None), now), "-", "{since}");
    }
}
