//! Pictures of hostile, empty and endless input.
