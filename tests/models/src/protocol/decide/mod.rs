//! May this Redis decide? Claims, losses of Redis, the fence, the ledger behind Kafka, and rebuilds.

pub(crate) mod bounds;
mod fence;
mod model;
mod properties;
mod rebuild;
pub(crate) mod state;
// Millions of states: with optimisation only, by `make models`.
#[cfg(all(test, not(debug_assertions)))]
mod tests;
