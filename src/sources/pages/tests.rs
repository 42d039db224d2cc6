use std::collections::BTreeSet;
use std::fmt::Write;

use super::*;
use crate::model::{
    ArmRule, Arms, Ask, Births, Counts, Filled, Measured, Measurement, Newer, Piece, Question,
    Shape, WebAsk,
};
use crate::outbound::{Allowed, Keyring};
use crate::sources::assemble;

const QUARTER: SignedDuration = SignedDuration::from_secs(15);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn page(url: &str) -> Page {
    let (headers, timeout) = (BTreeMap::new(), SignedDuration::from_secs(2));
    let url = Filled(vec![Piece::Text(url.to_owned())]);
    Page { web: WebAsk { url, headers, body: None, timeout }, each_address: false }
}

const SHOP: &str = "https://shop.example/metrics";

fn ask(selector: &str, wants: Wants) -> ScrapedAsk {
    let pages = BTreeSet::from([page(SHOP)]);
    ScrapedAsk { pages, every: QUARTER, selector: selector.to_owned(), wants }
}

fn counter(selector: &str) -> Ask {
    Ask::Scraped(Box::new(ask(selector, Wants::Samples)))
}

fn value(selector: &str) -> Question {
    let ask = Ask::Scraped(Box::new(ask(selector, Wants::Values)));
    Question::plain(Shape::Gauge, vec![ask])
}

fn scraped(ask: &Ask) -> &ScrapedAsk {
    let Ask::Scraped(asked) = ask else { panic!("{ask:?}") };
    asked
}

/// Pages that are fed by hand.
struct Fed(Pages);

impl Fed {
    fn new(asks: &[Ask]) -> Self {
        let way = Outbound::new(Allowed::default(), Keyring::default(), None).unwrap();
        let pages = Pages::of(&way);
        pages.want(asks.iter().map(scraped), at(0));
        Self(pages)
    }

    /// The page's text, by instance.
    fn reads(&self, second: i64, all: &[(&str, &str)]) {
        let all: Vec<_> = all.iter().map(|(instance, text)| (*instance, Ok(*text))).collect();
        self.comes(second, &all);
    }

    /// What came of each instance.
    fn comes(&self, second: i64, all: &[(&str, Result<&str, Unusable>)]) {
        let names = all.iter().map(|(instance, _)| (*instance).to_owned()).collect();
        let asked = self.0.with(&page(SHOP), |state, _| state.begin(&names)).unwrap();
        for (instance, text) in all {
            let samples = text.clone().and_then(|text| {
                text::samples(text.as_bytes(), |name| asked.takes(name)).map_err(Unusable::Refused)
            });
            self.0.keep(&page(SHOP), at(second).as_millisecond(), instance, samples, &asked);
        }
        self.0.with(&page(SHOP), |state, _| state.finish(at(second).as_millisecond(), asked));
    }

    fn fails(&self, second: i64, why: &str) {
        let why = Unusable::Unreachable(why.to_owned());
        self.0.with(&page(SHOP), |state, _| state.fail(at(second).as_millisecond(), why));
    }

    fn measured(&self, question: &Question, ticks: Ticks) -> Measured {
        let asks = question.asks.iter().map(scraped);
        let fetched: Vec<Fetched> = asks.map(|asked| self.0.fetch(asked, ticks)).collect();
        assemble(question, ticks, &fetched.iter().collect::<Vec<_>>())
    }

    fn once(&self, question: &Question, second: i64) -> Result<Measurement, Unusable> {
        self.measured(question, Ticks::once(at(second), QUARTER)).readings.remove(0)
    }
}

fn ratio() -> Question {
    let asks = vec![counter("requests_total{status=~\"5..\"}"), counter("requests_total")];
    Question::plain(Shape::BadOfTotal, asks)
}

fn gauge(values: &[(&str, f64)]) -> Measurement {
    let named = |(name, value): &(&str, f64)| (format!("{{instance=\"{name}\"}}"), *value);
    Measurement::Gauge { values: values.iter().map(named).collect() }
}

#[test]
fn restarts_and_instances_that_come_and_go_are_counted_once() {
    let births = Births { since: at(290), known: ["old".to_owned()].into() };
    let question = Question {
        arms: Some(ArmRule { label: "version".into(), newer: Newer::Is("2".into()) }),
        births: Some(births),
        ..ratio()
    };
    let fed = Fed::new(&question.asks);
    for second in (0..=600).step_by(15) {
        let old = if second < 360 { 10_000 + 2 * second } else { 2 * (second - 360) };
        let old = format!("requests_total{{version=\"1\",status=\"200\"}} {old}\n");
        let since = second - 315;
        let new = format!(
            "requests_total{{version=\"2\",status=\"200\"}} {}\n\
             requests_total{{version=\"2\",status=\"500\"}} {}\n",
            30 + since,
            7 + since / 15
        );
        match since {
            ..0 => fed.reads(second, &[("old", &old)]),
            0..=240 => fed.reads(second, &[("old", &old), ("new", &new)]),
            241.. => fed.reads(second, &[("new", &new)]),
        }
    }
    let ticks = Ticks { first: at(315), step: QUARTER, count: 20 };
    let (mut all, mut both) = (Counts::default(), [Counts::default(); 2]);
    for reading in fed.measured(&question, ticks).readings {
        let Ok(Measurement::Counts(split)) = reading else { panic!("{reading:?}") };
        all += split.all;
        if let Some(Arms { new, old }) = split.arms {
            both[0] += new;
            both[1] += old;
        }
    }
    // Old: 2 a second up to 345, from 360 on again from zero, and gone after 555.
    let counts = |bad: u32, total: u32| Counts { bad: bad.into(), total: total.into() };
    let (old, new) = (2 * 45 + 2 * 195, 30 + 285 + 7 + 19);
    assert_eq!(both, [counts(26, new), counts(0, old)]);
    assert_eq!(all, counts(26, new + old));
}

#[test]
fn what_is_missing_on_a_page_that_was_read_has_no_value_any_more() {
    let question = value("depth");
    let fed = Fed::new(&question.asks);
    fed.reads(0, &[("a", "depth 3\n"), ("b", "depth 4\n")]);
    assert_eq!(fed.once(&question, 10), Ok(gauge(&[("a", 3.0), ("b", 4.0)])));
    fed.reads(15, &[("a", "depth 5\nother 1\n"), ("b", "other 1\n")]);
    assert_eq!(fed.once(&question, 15), Ok(gauge(&[("a", 5.0)])));
    fed.reads(30, &[("b", "depth NaN\n")]);
    let name = "NaN for {instance=\"b\"}".to_owned();
    assert_eq!(fed.once(&question, 30), Err(Unusable::NotFinite(name)));
    fed.reads(45, &[("a", "other 1\n")]);
    assert_eq!(fed.once(&question, 45), Err(Unusable::Empty));
}

#[test]
fn a_page_that_cannot_be_read_is_neither_health_nor_guilt_and_after_five_minutes_says_why() {
    let (counts, level) = (ratio(), value("depth"));
    let fed = Fed::new(&[counts.asks.clone(), level.asks.clone()].concat());
    let waits = Unusable::Unreachable(format!("{SHOP} has not been read yet"));
    assert_eq!(fed.once(&level, 5), Err(waits));
    let read = |second: i64, requests: i64| {
        fed.reads(second, &[("a", &format!("requests_total {requests}\ndepth 1\n"))]);
    };
    read(0, 100);
    read(15, 110);
    assert_eq!(fed.once(&counts, 15), Ok(Measurement::counts(0.0, 10.0)));
    for second in (30..=600).step_by(15) {
        fed.fails(second, "it answers 503");
    }
    assert_eq!(fed.once(&level, 45), Err(Unusable::Empty));
    assert_eq!(fed.once(&counts, 45), Err(Unusable::NothingNew));
    let why = Unusable::Unreachable(format!("{SHOP}: it answers 503"));
    assert_eq!(fed.once(&counts, 314), Err(Unusable::NothingNew));
    assert_eq!(fed.once(&counts, 315), Err(why.clone()));
    assert_eq!(fed.once(&level, 600), Err(why));
    // What was counted meanwhile did not happen in the first stretch that is seen.
    read(615, 5_000);
    assert_eq!(fed.once(&counts, 615), Err(Unusable::NothingNew));
    read(630, 5_020);
    assert_eq!(fed.once(&counts, 630), Ok(Measurement::counts(0.0, 20.0)));
    let past = Unusable::Unreachable(format!("{SHOP}: it could not be read then"));
    assert_eq!(fed.once(&counts, 400), Err(past));
    assert_eq!(fed.once(&counts, -60), Err(Unusable::Empty), "before it was wanted");
}

#[test]
fn a_page_that_several_processes_answer_in_turn_is_not_believed() {
    let question = ratio();
    let fed = Fed::new(&question.asks);
    let says = |second: i64, started: i64, requests: u32| {
        let started = at(started).as_second();
        let text = format!("requests_total {requests}\n{} {started}\n", state::STARTED);
        fed.reads(second, &[("a", &text)]);
    };
    says(0, -1_000, 100);
    says(15, -1_000, 110);
    // A restart, and once back to what ran before: its past is not known.
    says(30, 20, 500);
    assert_eq!(fed.once(&question, 30), Ok(Measurement::counts(0.0, 500.0)));
    says(45, -1_000, 90_000);
    assert_eq!(fed.once(&question, 45), Err(Unusable::NothingNew));
    says(60, -1_000, 90_010);
    assert_eq!(fed.once(&question, 60), Ok(Measurement::counts(0.0, 10.0)));
    // Nor is that of one which began before it was read last.
    says(75, 20, 95_000);
    assert_eq!(fed.once(&question, 75), Err(Unusable::NothingNew));
    says(90, -1_000, 90_020);
    for second in (105..=405).step_by(15) {
        says(second, -1_000, 90_020);
    }
    let Err(Unusable::Refused(why)) = fed.once(&question, 405) else { panic!() };
    assert!(why.starts_with(&format!("{SHOP}: several processes answer in turn")), "{why}");
    // It goes by when they no longer do.
    for second in (420..=735).step_by(15) {
        says(second, -1_000, 90_020 + u32::try_from(second).unwrap());
    }
    assert_eq!(fed.once(&question, 735), Ok(Measurement::counts(0.0, 15.0)));
}

#[test]
fn one_line_that_cannot_be_read_spoils_the_page_as_a_missing_series_of_errors_would_look_like_none()
{
    let question = ratio();
    let fed = Fed::new(&question.asks);
    fed.reads(0, &[("a", "requests_total{status=\"200\"} 5\n")]);
    for second in (15..=330).step_by(15) {
        let good = format!("requests_total{{status=\"200\"}} {}\n", 5 + second);
        fed.reads(second, &[("a", &format!("{good}requests_total{{status=500}} 7\n"))]);
    }
    assert_eq!(fed.once(&question, 15), Err(Unusable::NothingNew));
    let Err(Unusable::Refused(why)) = fed.once(&question, 330) else { panic!() };
    assert!(why.contains("line 2 is no metric: requests_total{status=500} 7"), "{why}");
}

#[test]
fn only_what_is_asked_for_is_kept_and_a_page_with_more_than_there_is_room_for_is_not_used() {
    let question = value("depth");
    let fed = Fed::new(&question.asks);
    let many = |name: &str, count: usize| -> String {
        (0..count).fold(String::new(), |mut text, queue| {
            let _ = writeln!(text, "{name}{{queue=\"{queue}\"}} 1");
            text
        })
    };
    let text = many("depth", MOST_SERIES) + &many("other", 10 * MOST_SERIES);
    fed.reads(0, &[("a", &text)]);
    let Ok(Measurement::Gauge { values }) = fed.once(&question, 0) else { panic!() };
    assert_eq!(values.len(), MOST_SERIES);
    for second in (15..=330).step_by(15) {
        fed.reads(second, &[("a", &many("depth", MOST_SERIES + 1))]);
    }
    let Err(Unusable::Refused(why)) = fed.once(&question, 330) else { panic!() };
    assert!(why.contains("there is room for 2000"), "{why}");
    assert_eq!(fed.0.all()[&page(SHOP)].series(), MOST_SERIES);
    // Instances whose address is gone take no room, and the oldest of them are forgotten.
    for (second, instance) in [(345, "b"), (360, "c"), (375, "d")] {
        fed.reads(second, &[(instance, &many("depth", MOST_SERIES))]);
        assert_eq!(fed.0.conditions()[0].trouble, None, "{instance}");
    }
    assert_eq!(fed.0.all()[&page(SHOP)].series(), 2 * MOST_SERIES);
    let half = many("depth", MOST_SERIES / 2 + 1);
    fed.reads(390, &[("d", &half), ("e", &half)]);
    assert!(fed.0.conditions()[0].trouble.is_some(), "both are there");
}

#[test]
fn an_instance_that_is_refused_makes_the_page_bad_beside_others_that_are_good() {
    let question = ratio();
    let fed = Fed::new(&question.asks);
    let good = |second: i64| format!("requests_total{{status=\"200\"}} {}\n", 100 + second);
    let comes = |second: i64, other: Result<&str, Unusable>| {
        fed.comes(second, &[("a", Ok(&good(second))), ("b", other)]);
    };
    comes(0, Ok(&good(0)));
    comes(15, Ok(&good(15)));
    assert_eq!(fed.once(&question, 15), Ok(Measurement::counts(0.0, 30.0)));
    comes(30, Ok("requests_total{status=500} 7\n"));
    let why = "b: line 1 is no metric: requests_total{status=500} 7";
    assert_eq!(fed.once(&question, 30), Err(Unusable::Refused(format!("{SHOP}: {why}"))));
    assert_eq!(fed.0.conditions()[0].trouble.as_deref(), Some(why));
    assert_eq!(fed.once(&question, 15), Ok(Measurement::counts(0.0, 30.0)), "what was is known");
    comes(45, Ok(&good(45)));
    assert_eq!(fed.once(&question, 45), Ok(Measurement::counts(0.0, 45.0)));
}

#[test]
fn an_instance_that_does_not_answer_while_its_address_is_there_counts_after_five_minutes() {
    let question = value("depth");
    let fed = Fed::new(&question.asks);
    let silent = || Err(Unusable::Unreachable("no answer within 2 s".to_owned()));
    for second in (0..=300).step_by(15) {
        assert_eq!(fed.0.conditions()[0].trouble, None, "at {second}");
        fed.comes(second, &[("a", Ok("depth 3\n")), ("b", silent())]);
    }
    let why = format!("{SHOP}: b: no answer within 2 s");
    assert_eq!(fed.once(&question, 300), Err(Unusable::Unreachable(why)));
    fed.comes(315, &[("a", Ok("depth 3\n"))]);
    assert_eq!(fed.once(&question, 315), Ok(gauge(&[("a", 3.0)])), "its address is gone");
}

#[test]
fn what_nobody_asked_for_until_now_was_there_and_is_not_born() {
    let fed = Fed::new(&[counter("requests_total")]);
    let text = |all: u32, errors: u32| format!("requests_total {all}\nerrors_total {errors}\n");
    fed.reads(0, &[("a", &text(70_000, 49_990))]);
    let late = Question::plain(
        Shape::BadOfTotal,
        vec![counter("errors_total"), counter("requests_total")],
    );
    assert_eq!(fed.once(&late, 0), Err(Unusable::NothingNew));
    fed.reads(15, &[("a", &text(70_100, 50_000)), ("b", "requests_total 1\n")]);
    assert_eq!(fed.once(&late, 15), Ok(Measurement::counts(0.0, 100.0)));
    // What is new on an instance where it was asked for is born.
    fed.reads(30, &[("a", &text(70_200, 50_007)), ("b", &text(11, 2))]);
    assert_eq!(fed.once(&late, 30), Ok(Measurement::counts(9.0, 110.0)));
}

#[test]
fn one_page_more_than_are_read_is_no_data_in_words() {
    let fed = Fed::new(&[counter("requests_total")]);
    let of = |number: usize| {
        let pages = BTreeSet::from([page(&format!("{SHOP}/{number}"))]);
        ScrapedAsk { pages, ..ask("depth", Wants::Values) }
    };
    let all: Vec<_> = (1..=MOST_PAGES).map(of).collect();
    fed.0.want(&all, at(0));
    assert!(fed.0.is_full.load(Ordering::Relaxed));
    fed.reads(0, &[("a", "requests_total 1\ndepth 3\n")]);
    let mut left_out = of(MOST_PAGES);
    left_out.pages.insert(page(SHOP));
    let question = Question::plain(Shape::Gauge, vec![Ask::Scraped(Box::new(left_out))]);
    let Err(Unusable::Refused(why)) = fed.once(&question, 0) else { panic!() };
    assert!(why.starts_with(&format!("{SHOP}/200: more than 200 pages")), "{why}");
}

#[test]
fn a_page_is_read_on_its_grid_once_at_a_time_and_as_long_as_somebody_wants_it() {
    let question = ratio();
    let fed = Fed::new(&question.asks);
    let due = |second: i64| fed.0.due(at(second)).len();
    assert_eq!([due(0), due(0), due(15)], [1, 0, 0], "it is under way");
    fed.fails(16, "slow");
    assert_eq!([due(16), due(17)], [1, 0]);
    fed.fails(17, "slow");
    assert_eq!(fed.0.rest(at(20)), Duration::from_secs(10), "at 30");
    assert_eq!(due(100), 1);
    fed.fails(100, "slow");
    assert_eq!([due(104), due(105)], [0, 1], "what was missed is not made up for");
    let often = ScrapedAsk { every: SignedDuration::from_secs(5), ..ask("up", Wants::Values) };
    fed.0.want([&often], at(106));
    fed.fails(106, "slow");
    assert_eq!([due(120), due(124)], [1, 0]);
    fed.fails(124, "slow");
    assert_eq!(due(125), 1, "as often as who wants it most often");
    fed.0.want([], at(106 + NAMED_MS / 1000));
    assert_eq!(fed.0.conditions().len(), 1);
    // A watch whose policy was removed asks on.
    drop(fed.once(&question, 200));
    fed.0.want([], at(200 + ASKED_MS / 1000));
    assert_eq!(fed.0.conditions().len(), 1);
    fed.0.want([], at(201 + ASKED_MS / 1000));
    assert_eq!(fed.0.conditions(), []);
}

#[test]
fn times_that_a_page_says_itself_are_taken_and_end_by_their_age() {
    let question = value("depth");
    let fed = Fed::new(&question.asks);
    let own = (at(0).as_millisecond() - 60_000).to_string();
    fed.reads(0, &[("a", &format!("depth 3 {own}\n"))]);
    fed.reads(15, &[("a", &format!("depth 9 {}\n", at(500).as_millisecond()))]);
    assert_eq!(fed.once(&question, 15), Ok(gauge(&[("a", 3.0)])), "the future is not believed");
    assert_eq!(fed.once(&question, 239), Ok(gauge(&[("a", 3.0)])));
    fed.reads(240, &[("a", &format!("depth 3 {own}\n"))]);
    assert_eq!(fed.once(&question, 240), Err(Unusable::Empty));
}
