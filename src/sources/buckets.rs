//! A histogram's buckets: which series is which, and their counts put together.

use std::collections::{BTreeMap, HashMap};

use super::assemble::Side;
use super::track::Track;
use crate::model::{Arms, Histogram, Split, Unusable};

/// Which bucket each series of an answer is.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// All upper bounds, ascending and finite.
    bounds: Vec<f64>,
    /// Of each series.
    kinds: Vec<Kind>,
    /// Of each series the histogram that it is a part of: all its labels but the bound.
    histograms: Vec<usize>,
}

/// A sum of histograms.
#[derive(Debug, Default)]
struct Sum {
    whole: Histogram,
    parts: usize,
}

impl Sum {
    fn add(&mut self, one: &Histogram) {
        if self.parts == 0 {
            self.whole.clone_from(one);
        } else {
            self.whole.add(one);
        }
        self.parts += 1;
    }

    /// Whether several were added up, of which no two say the same.
    fn has_no_bound(&self) -> bool {
        self.parts > 1 && self.whole.total > 0.0 && self.whole.bounds.is_empty()
    }
}

#[derive(Debug, Clone)]
enum Kind {
    /// By index among the bounds.
    Within(usize),
    /// `le="+Inf"`: all requests.
    All,
    /// A bound that bounds nothing.
    Nothing,
    /// No bound: the text that stands there.
    Odd(String),
}

impl Buckets {
    pub fn of(tracks: &[Track]) -> Self {
        let text = |track: &Track| track.labels.get("le").cloned().unwrap_or_default();
        let given: Vec<_> = tracks
            .iter()
            .map(|track| text(track).parse::<f64>().map_err(|_| text(track)))
            .collect();
        let mut bounds: Vec<f64> =
            given.iter().flatten().copied().filter(|bound| bound.is_finite()).collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup_by(|a, b| a.total_cmp(b).is_eq());
        let kinds = given
            .into_iter()
            .map(|bound| match bound {
                Ok(f64::INFINITY) => Kind::All,
                Ok(bound) => bounds
                    .binary_search_by(|known| known.total_cmp(&bound))
                    .map_or(Kind::Nothing, Kind::Within),
                Err(text) => Kind::Odd(text),
            })
            .collect();
        let mut known = HashMap::new();
        let histograms = tracks
            .iter()
            .map(|track| {
                let rest = track.labels.iter().filter(|(name, _)| *name != "le");
                let next = known.len();
                *known.entry(rest.collect::<Vec<_>>()).or_insert(next)
            })
            .collect();
        Self { bounds, kinds, histograms }
    }

    /// The histogram of these series (place, revision, count), and of each revision.
    /// Where their buckets differ, a sum has those that all have: what one of them
    /// counts below a bound that another hasn't is unknown. Where no bound is left of
    /// what is to be judged, it is unusable.
    pub fn split(&self, counted: &[(usize, Side, f64)]) -> Result<Split<Histogram>, Unusable> {
        if counted.is_empty() {
            return Err(Unusable::Empty);
        }
        let mut of_one: BTreeMap<usize, (Side, Vec<(usize, f64)>)> = BTreeMap::new();
        for (place, side, count) in counted {
            let one = of_one.entry(self.histograms[*place]).or_insert((*side, Vec::new()));
            one.1.push((*place, *count));
        }
        let (mut all, mut new, mut old) = (Sum::default(), Sum::default(), Sum::default());
        for (side, counted) in of_one.into_values() {
            let one = self.histogram(counted.into_iter())?;
            match side {
                Side::New => new.add(&one),
                Side::Old => old.add(&one),
                Side::Neither => {}
            }
            all.add(&one);
        }
        if all.has_no_bound() && (new.parts == 0 || new.has_no_bound()) {
            let what = "buckets that share no bound: instances measure with different ones";
            return Err(Unusable::NotFinite(what.into()));
        }
        let sided = new.parts + old.parts > 0;
        let arms = sided.then_some(Arms { new: new.whole, old: old.whole });
        Ok(Split { all: all.whole, arms })
    }

    fn histogram(
        &self,
        counted: impl Iterator<Item = (usize, f64)>,
    ) -> Result<Histogram, Unusable> {
        let mut sums = vec![None; self.bounds.len()];
        let mut total = None;
        for (place, count) in counted {
            let sum = match &self.kinds[place] {
                Kind::Within(index) => &mut sums[*index],
                Kind::All => &mut total,
                Kind::Nothing => continue,
                Kind::Odd(text) => {
                    let what = format!("a bucket without a bound (le={text:?})");
                    return Err(Unusable::NotFinite(what));
                }
            };
            *sum = Some(sum.unwrap_or(0.0) + count);
        }
        let Some(total) = total else {
            return Err(Unusable::NotFinite("buckets without le=\"+Inf\"".into()));
        };
        if !f64::is_finite(total) {
            return Err(Unusable::NotFinite("a sum beyond counting".into()));
        }
        let mut below = 0.0_f64;
        let (bounds, within) = self
            .bounds
            .iter()
            .zip(sums)
            .filter_map(|(bound, sum)| Some((*bound, sum?)))
            .map(|(bound, within)| {
                below = below.max(within).min(total);
                (bound, below)
            })
            .unzip();
        Ok(Histogram { bounds, within, total })
    }
}
