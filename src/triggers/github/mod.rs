//! GitHub's webhooks: whether GitHub sent one, and which deployment it is about.
//!
//! A repository's word counts for what the settings say that it deploys and for nothing
//! else: its payload can name fewer services, never more. What repeats is known again by the
//! deployment, whichever of its events announced it, so nothing is kept of deliveries.

mod event;
mod payload;
mod signature;
#[cfg(test)]
mod tests;

pub use event::{Deployed, Heard, Told, read};
pub use payload::Extra;
pub use signature::{Forged, Secrets};
