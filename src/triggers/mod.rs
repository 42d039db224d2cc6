//! What AWS tells us by itself: EventBridge's events of ECS, over SQS and over SNS. And what
//! people press in Slack, see [`slack`]; what Render posts, see [`render`]; and GitHub's
//! webhooks, see [`github`].
//!
//! An event is an edge, and edges are lost, late and repeated. So an event decides
//! nothing and begins no watch: it says which service is worth a look now, and the look
//! finds what is so. That is why an event about a rollback is no danger, and why an
//! event of another account with the same names costs a look and nothing else.
//!
//! What becomes of a message in a queue:
//!
//! | message | what happens | because |
//! | --- | --- | --- |
//! | names a guarded service | deleted once what the look showed is kept | a crash before that brings it again by its visibility time-out |
//! | names a service that nothing guards, or is no deployment event of ECS | deleted, counted | it is in order and not for us: left alone it would fill the dead-letter queue and ring the alarm that people set on it |
//! | can't be read | left to the queue's redrive policy; deleted at its [`sqs::MOST_TRIES`]th delivery | people should find it in the dead-letter queue; where there is none, it must not go round until its retention ends |
//! | its look failed | left, and comes again | ECS out of reach is no reason to forget; in the dead-letter queue nothing is lost either, because the poller looks at everything anyway |
//!
//! A message that is left is out of sight until its time-out, so it holds nothing up and
//! nothing spins.

mod event;
pub mod github;
pub mod render;
pub mod slack;
pub mod sns;
pub mod sqs;

pub use event::{Heard, Hint, Unreadable, read};
