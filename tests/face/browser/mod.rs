//! The page in a real browser: what people see of a story, what they press, and whether
//! everybody can.
//!
//! Pictures of what was looked at lie under `page` in cargo's folder for tests.

mod driver;
mod everybody;
mod fleet;
mod lived;
