//! Does everyone know what the operator wants? Making and changing a campaign, and who is told of it.
//!
//! How another incarnation is verified is the other model's matter (`decide`): here it is one step.

mod model;
mod properties;
mod state;
mod task;
// Millions of states: with optimisation only, by `make models`.
#[cfg(all(test, not(debug_assertions)))]
mod tests;
