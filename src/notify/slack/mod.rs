//! Slack.

pub mod render;
mod text;
