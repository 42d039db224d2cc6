//! A watch lived through at once: the daemon's own state machine and judge over given
//! measurements, with a platform and a clock that are made up.
//!
//! [`rehearse`] takes a [`Scene`] (who deploys what when, and how the platform and
//! people behave) and [`Readings`] (what was measured), and gives a [`Report`]: all
//! that was said, judged and done. No rule of the watch is written here a second time:
//! its wants are answered as the engine answers them, and its events are its own.

mod act;
mod drive;
mod feed;
mod platform;
mod report;
mod scene;
mod trail;

pub use act::{Act, Deed};
pub use drive::rehearse;
pub use feed::{Asked, Readings};
pub use platform::{Answer, Platform};
pub use report::{Breach, Report};
pub use scene::{Beside, Scene};
pub use trail::Trail;
