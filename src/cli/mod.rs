//! What a person can ask for on a terminal, one file per subcommand.

pub mod check;
pub mod matching;
pub mod schema;
