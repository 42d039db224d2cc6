//! From a test file to tests that can be run.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::expect::{Expect, When};
use super::file::{DeploymentText, ExpectText, FileText, SeriesText, TestText, Text};
use super::places::{Place, Places, not_among, place, plain};
use super::series::{Of, Series, ask_of, labels_of};
use super::values::{Point, points};
use super::wanted::{press, wanted};
use super::when::{Clock, moment, range};
use crate::model::{ActFailure, Facts, Mode, RollbackSafe, Service, ServiceKey};
use crate::policy::{Diagnostic, Policy, PolicySet, SourceFile, Written, read_other};
use crate::rehearsal::{Answer, Platform, Scene};

/// A test file that was read without mistakes.
#[derive(Debug, Clone)]
pub struct TestFile {
    pub path: String,
    pub tests: Vec<Test>,
}

/// One test.
#[derive(Debug, Clone)]
pub struct Test {
    pub name: String,
    pub scene: Scene,
    pub start: Timestamp,
    pub interval: SignedDuration,
    pub series: Vec<Series>,
    /// Where each series is written.
    pub(super) series_at: Vec<Place>,
    pub expects: Vec<Expect>,
}

/// Time 0 of a test's series where it does not say: a Monday morning.
const START: &str = "2026-03-02T10:00:00Z";
const INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// Reads a test file. `load` reads the policy at a path, with all that it inherits.
///
/// # Errors
/// Every mistake of the file, or those of its policy.
pub fn read(
    file: &SourceFile,
    load: impl FnOnce(&Path) -> Result<PolicySet, Vec<Diagnostic>>,
) -> Result<TestFile, Vec<Diagnostic>> {
    let text: FileText = read_other(file)?;
    let mut places = Places { file: file.path.clone(), found: Vec::new() };
    let Some(named) = places.needed(text.policy.as_ref(), "policy", (1, 1)) else {
        return Err(places.found);
    };
    let folder = Path::new(&file.path).parent().map(Path::to_owned).unwrap_or_default();
    let path: PathBuf = folder.join(named.as_str());
    if !path.is_file() {
        let why = format!("there is no policy file `{}`", path.display());
        places.tell(place(named), (why, Some("name it from this file's folder on".to_owned())));
        return Err(places.found);
    }
    let set = load(&path)?;
    let Some(written) = set.iter().next() else {
        places.tell(place(named), ("the file holds no policy".to_owned(), None));
        return Err(places.found);
    };
    if text.tests.is_empty() {
        places.tell((1, 1), ("there are no tests".to_owned(), None));
    }
    let reader = Reader { shared: &text, set: &set, written };
    let tests = text.tests.iter().filter_map(|test| reader.test(test, &mut places)).collect();
    places.found.sort();
    if places.found.is_empty() {
        Ok(TestFile { path: file.path.clone(), tests })
    } else {
        Err(places.found)
    }
}

struct Reader<'a> {
    shared: &'a FileText,
    set: &'a PolicySet,
    written: &'a Written,
}

impl Reader<'_> {
    fn policy(&self) -> &Policy {
        &self.written.policy
    }

    fn test(&self, test: &TestText, places: &mut Places) -> Option<Test> {
        let (of, before) = (self.shared, places.found.len());
        let name = places.needed(test.name.as_ref(), "name", whole(test))?;
        let start = test.start.as_ref().or(of.start.as_ref());
        let start = places.instant(start).or_else(|| START.parse().ok())?;
        let interval = test.interval.as_ref().or(of.interval.as_ref());
        let interval = places.duration(interval).unwrap_or(INTERVAL);
        if interval < SignedDuration::from_secs(1) {
            places.tell(place(name), ("the interval is below 1s".to_owned(), None));
            return None;
        }
        let mut series_at = Vec::new();
        let mut series = Vec::new();
        for given in self.series(test) {
            if let Some((one, at)) = self.one_series(given, places) {
                series.push(one);
                series_at.push(at);
            }
        }
        let longest = series.iter().map(|one| one.points.len()).max().unwrap_or(1);
        let last = i32::try_from(longest.saturating_sub(1)).unwrap_or(i32::MAX);
        let end = start.checked_add(interval.checked_mul(last)?).ok()?;
        let mut scene = self.scene(test, start, end, name, places)?;
        let mut clock = Clock { start, deployed: scene.deployment.started_at, end };
        if let Some(until) = test.until.as_ref().or(of.until.as_ref()) {
            clock.end = moment(until, clock, places)?;
            scene.until = Some(clock.end);
        }
        scene.presses = test.press.iter().filter_map(|one| press(one, clock, places)).collect();
        scene.away = test.away.iter().filter_map(|one| range(one, clock, places)).collect();
        let expects: Vec<Expect> = test
            .expect
            .iter()
            .filter_map(|one| self.expectation(one, clock, place(name), places))
            .collect();
        if test.expect.is_empty() {
            places.tell(place(name), ("the test expects nothing".to_owned(), None));
        }
        (places.found.len() == before).then(|| Test {
            name: name.as_str().to_owned(),
            scene,
            start,
            interval,
            series,
            series_at,
            expects,
        })
    }

    /// A test's own series, and those of the file that it does not give itself.
    fn series<'a>(&'a self, test: &'a TestText) -> impl Iterator<Item = &'a SeriesText> {
        let key = |one: &SeriesText| {
            let word = |text: &Option<Text>| text.as_ref().map(|text| text.as_str().to_owned());
            let labels: Vec<(String, String)> = one
                .labels
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().to_owned()))
                .collect();
            (word(&one.series), word(&one.check), word(&one.of), word(&one.service), labels)
        };
        let own: Vec<_> = test.series.iter().map(key).collect();
        let shared = self.shared.series.iter().filter(move |one| !own.contains(&key(one)));
        test.series.iter().chain(shared)
    }

    fn one_series(&self, given: &SeriesText, places: &mut Places) -> Option<(Series, Place)> {
        let at = [&given.series, &given.check, &given.values];
        let at = at.into_iter().flatten().next().map_or((1, 1), place);
        let values = places.needed(given.values.as_ref(), "values", at);
        let points: Option<Vec<Point>> = places.parse(values, points);
        let (of, mut labels) = match (&given.series, &given.check) {
            (Some(series), None) => {
                let labels = places.parse(Some(series), |text| labels_of(text).map_err(plain))?;
                (Of::Counter, labels)
            }
            (None, Some(check)) => {
                let found = self.check(check, places)?;
                let of = given.of.as_ref().map(|of| of.as_str());
                let Some(ask) = ask_of(found, of) else {
                    let why = format!("`{}` has no such query", found.name);
                    let mend = "give counters as `series:`, and of a ratio's query `of: bad`, \
                                `of: good` or `of: total`";
                    places.tell(at, (why, Some(mend.to_owned())));
                    return None;
                };
                let service = given.service.as_ref().map(|text| text.as_str().to_owned());
                let check = found.name.clone();
                (Of::Query { check, ask, service }, std::collections::BTreeMap::new())
            }
            (Some(_), Some(_)) | (None, None) => {
                let why = "give either `series` or `check`".to_owned();
                places.tell(at, (why, None));
                return None;
            }
        };
        for (name, value) in &given.labels {
            labels.insert(name.clone(), value.as_str().to_owned());
        }
        Some((Series { of, labels, points: points? }, at))
    }

    fn check(&self, name: &Text, places: &mut Places) -> Option<&crate::policy::Check> {
        let found = self.policy().check(name.as_str());
        if found.is_none() {
            let known = self.policy().checks.iter().map(|check| check.name.as_str());
            places.tell(place(name), not_among(name.as_str(), known));
        }
        found
    }

    fn scene(
        &self,
        test: &TestText,
        start: Timestamp,
        end: Timestamp,
        name: &Text,
        places: &mut Places,
    ) -> Option<Scene> {
        let (own, shared) = (&test.deployment, &self.shared.deployment);
        let pick = |of: fn(&DeploymentText) -> Option<&Text>| of(own).or_else(|| of(shared));
        let whole = place(name);
        let service = pick(|one| one.service.as_ref());
        let service = places.needed(service, "deployment.service", whole)?;
        let at = places.needed(pick(|one| one.at.as_ref()), "deployment.at", whole)?;
        let at = places.duration(Some(at))?;
        let deployed = start.checked_add(at).ok()?;
        let words = |of: fn(&DeploymentText) -> Option<&Text>| {
            pick(of).map(|text| text.as_str().to_owned())
        };
        let matches = &self.policy().matches;
        let key = ServiceKey {
            target: words(|one| one.target.as_ref())
                .or_else(|| matches.target.clone())
                .unwrap_or_else(|| "default".to_owned()),
            cluster: words(|one| one.cluster.as_ref()).unwrap_or_else(|| matches.cluster.clone()),
            service: service.as_str().to_owned(),
        };
        if !matches!(self.set.matching(&key), crate::policy::Matches::One(_)) {
            let why = format!("`{}` does not guard {key}", self.policy().name);
            let mend = Some("give the deployment's `cluster` and `target` too".to_owned());
            places.tell(place(service), (why, mend));
            return None;
        }
        let facts = self.facts(test, places);
        let environment = self.policy().environment.clone();
        let service = Service { name: key.name().to_owned(), environment, key };
        let id = facts.version.clone().unwrap_or_else(|| "tested".to_owned());
        let mut scene = Scene::of(self.policy().clone(), &id, service, deployed, facts);
        let modes = [("observe", Mode::Observe), ("ask", Mode::Ask), ("auto", Mode::Auto)];
        let mode = places.word(test.mode.as_ref().or(self.shared.mode.as_ref()), &modes);
        if let Some(mode) = mode {
            scene = scene.in_mode(mode);
        }
        scene.pinned.file.clone_from(&self.written.file);
        let others = if own.others.is_empty() { &shared.others } else { &own.others };
        scene.others = others.iter().map(|text| text.as_str().to_owned()).collect();
        let clock = Clock { start, deployed, end };
        let newer = pick(|one| one.superseded.as_ref());
        scene.superseded = newer
            .and_then(|text| Some((moment(text, clock, places)?, "a newer deployment".to_owned())));
        scene.platform = self.platform(test, places);
        scene.until = Some(end);
        Some(scene)
    }

    /// What is announced of the deployment.
    fn facts(&self, test: &TestText, places: &mut Places) -> Facts {
        let (own, shared) = (&test.deployment, &self.shared.deployment);
        let pick = |of: fn(&DeploymentText) -> Option<&Text>| of(own).or_else(|| of(shared));
        let words = |of: fn(&DeploymentText) -> Option<&Text>| {
            pick(of).map(|text| text.as_str().to_owned())
        };
        let labels = if own.labels.is_empty() { &shared.labels } else { &own.labels };
        let safe = [
            ("true", RollbackSafe::Yes),
            ("false", RollbackSafe::No),
            ("unknown", RollbackSafe::Unknown),
        ];
        Facts {
            version: words(|one| one.version.as_ref()),
            commit: words(|one| one.commit.as_ref()),
            author: words(|one| one.author.as_ref()),
            url: None,
            rollback_safe: places
                .word(pick(|one| one.rollback_safe.as_ref()), &safe)
                .unwrap_or_default(),
            announced_by: None,
            labels: labels.iter().map(|(k, v)| (k.clone(), v.as_str().to_owned())).collect(),
            ..Facts::default()
        }
    }

    fn platform(&self, test: &TestText, places: &mut Places) -> Platform {
        let (own, shared) = (&test.platform, &self.shared.platform);
        let usual = Platform::default();
        let gone = own.tasks_gone_after.as_ref().or(shared.tasks_gone_after.as_ref());
        let tasks_gone_after = places.duration(gone);
        let mut after = |own: &Option<Text>, shared: &Option<Text>, usual| {
            places.duration(own.as_ref().or(shared.as_ref())).unwrap_or(usual)
        };
        let words = |own: &Option<Text>, shared: &Option<Text>| {
            own.as_ref().or(shared.as_ref()).map(|text| text.as_str().to_owned())
        };
        Platform {
            in_service_after: after(
                &own.in_service_after,
                &shared.in_service_after,
                usual.in_service_after,
            ),
            complete_after: after(
                &own.complete_after,
                &shared.complete_after,
                usual.complete_after,
            ),
            back_after: after(&own.back_after, &shared.back_after, usual.back_after),
            fails: words(&own.fails, &shared.fails),
            tasks_gone_after,
            answer: match words(&own.refuses, &shared.refuses) {
                Some(why) => Answer::Fail(ActFailure::Permanent(why)),
                None => Answer::Accept,
            },
            obstacle: words(&own.no_target, &shared.no_target),
        }
    }

    fn expectation(
        &self,
        text: &ExpectText,
        clock: Clock,
        of: Place,
        places: &mut Places,
    ) -> Option<Expect> {
        let before = places.found.len();
        let first = [&text.at, &text.by, &text.during, &text.check, &text.action, &text.message];
        let here = first.into_iter().flatten().next().map_or(of, place);
        let when = match (&text.at, &text.by, &text.during) {
            (Some(at), None, None) => moment(at, clock, places).map(When::At),
            (None, Some(by), None) => moment(by, clock, places).map(When::By),
            (None, None, Some(span)) => {
                range(span, clock, places).map(|(from, to)| When::During(from, to))
            }
            (_, _, _) => {
                let why = "say when: one of `at`, `by` and `during`".to_owned();
                places.tell(here, (why, None));
                None
            }
        };
        let check = text.check.as_ref().and_then(|name| self.check(name, places));
        let wanted = wanted(text, places);
        let of_check = [&text.verdict, &text.severity, &text.blame, &text.reason];
        if of_check.iter().any(|one| one.is_some()) && text.check.is_none() {
            places.tell(here, ("`check` is missing: of which is that?".to_owned(), None));
        }
        if wanted.is_empty() && places.found.len() == before {
            places.tell(here, ("nothing is expected".to_owned(), None));
        }
        let check = check.map(|check| check.name.clone());
        (places.found.len() == before).then_some(Expect { place: here, when: when?, check, wanted })
    }
}

fn whole(test: &TestText) -> Place {
    let texts = [&test.interval, &test.start, &test.mode];
    let first = texts.into_iter().flatten().next();
    let expected = test.expect.first().and_then(|one| one.at.as_ref());
    first.or(expected).map_or((1, 1), place)
}
