//! The pages over a store of our own: who gets in, what they see, what is refused.

mod doors;
mod house;
mod lists;
mod looks;
