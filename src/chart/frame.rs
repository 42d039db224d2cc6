//! Where things are: the plot and its scales, places for labels that want the
//! same one.

use super::range::Range;

/// The plot in px, and what its edges mean.
pub struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// Unix ms at `left` and `right`; `from < to`.
    pub from: f64,
    pub to: f64,
    pub range: Range,
}

impl Frame {
    /// Of unix ms; never outside the plot.
    pub fn x(&self, at: f64) -> f64 {
        let part = (at - self.from) / (self.to - self.from);
        self.left + part.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Of a value in base units; never outside the plot.
    pub fn y(&self, value: f64) -> f64 {
        let part = (value - self.range.low) / (self.range.high - self.range.low);
        self.bottom - part.clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    pub fn width(&self) -> f64 {
        self.right - self.left
    }
}

/// Moves ascending places apart until each is `apart` from the next, all between
/// `low` and `high` if they fit there.
pub fn spread(places: &mut [f64], apart: f64, low: f64, high: f64) {
    let mut least = low;
    for place in places.iter_mut() {
        *place = place.max(least);
        least = *place + apart;
    }
    let mut most = high;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - apart;
    }
}

/// Boxes of text that are taken.
#[derive(Default)]
pub struct Taken(Vec<Place>);

/// A box in px.
#[derive(Clone, Copy)]
pub struct Place {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

impl Taken {
    /// Whether it was free; if so it is taken now.
    pub fn take(&mut self, place: Place) -> bool {
        let free = self.0.iter().all(|other| {
            place.right <= other.left
                || place.left >= other.right
                || place.bottom <= other.top
                || place.top >= other.bottom
        });
        if free {
            self.0.push(place);
        }
        free
    }
}
