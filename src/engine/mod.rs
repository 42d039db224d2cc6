//! The shell around the watches: one loop that takes inputs in, keeps what they
//! change in one transaction, and then does what the watches want.
//!
//! ```text
//! web, poller, policies, results -> Input -> Step (pure watches) -> Store
//!                                     ^                              |
//!                                     '-- results <- Want, outbox <--'
//! ```
//!
//! Nothing is done before it is kept, and nothing that is wanted is lost: wants
//! are read off the watches' states, so a restart wants them again.

pub mod clock;

mod again;
mod brakes;
mod digests;
mod eyes;
mod foresee;
mod gate;
mod guard;
mod handle;
mod hear;
mod helm;
mod hints;
mod joins;
mod land;
mod live;
mod log;
mod measuring;
mod outbox;
mod outside;
mod overhear;
mod pacing;
mod patience;
mod perform;
pub mod picture;
mod place;
mod poller;
mod presses;
mod pulse;
mod run;
mod scraping;
mod show;
mod socket;
mod status;
mod step;
mod take;
mod tenure;

pub use crate::store::{Pause, PauseTurn};
pub use brakes::FleetBrake;
pub use digests::{Digests, post_digests_forever, read_digest};
pub use foresee::{Foreseen, Foresight};
pub use gate::Gatekeeper;
pub use handle::{Announced, EngineHandle, Paused, Refused};
pub use hear::{Ear, hear_forever};
pub use helm::{Helm, Leads};
pub use hints::{Hinted, Hints, Taken, Wanted, hints};
pub use land::wanted_clusters;
pub use outbox::{Postman, Tried, deliver_forever};
pub use overhear::{Overhear, overhear_forever};
pub use place::{Place, PlaceOf};
pub use poller::{PollSettings, poll_forever, tell_strays_forever};
pub use presses::{NOT_KNOWN, Presses};
pub use pulse::{feel_forever, listen_forever};
pub use run::{Engine, Parts};
pub use scraping::{Scraper, scrape_forever};
pub use socket::{SocketMode, take_presses_forever};
pub use status::{Health, Status};
pub use tenure::{Tenure, Turn, between_turns, turn};
