//! A histogram's buckets: which series is which, and their counts put together.

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
        Self { bounds, kinds }
    }

    /// The histogram of these series (place, revision, count), and of each
    /// revision. Where the revisions have different buckets, the whole has those
    /// that both have.
    pub fn split(&self, counted: &[(usize, Side, f64)]) -> Result<Split<Histogram>, Unusable> {
        if counted.is_empty() {
            return Err(Unusable::Empty);
        }
        let of = |side: Side| {
            let own = || counted.iter().filter(move |(_, one, _)| *one == side);
            own()
                .next()
                .map(|_| self.histogram(own().map(|(place, _, n)| (*place, *n))))
                .transpose()
        };
        let (new, old, neither) = (of(Side::New)?, of(Side::Old)?, of(Side::Neither)?);
        let mut all = Histogram::default();
        [&new, &old, &neither].into_iter().flatten().for_each(|one| all.add(one));
        let sided = new.is_some() || old.is_some();
        let arms =
            sided.then(|| Arms { new: new.unwrap_or_default(), old: old.unwrap_or_default() });
        Ok(Split { all, arms })
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
