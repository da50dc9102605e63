//! Which loops does a node run, and do they run? Starts each by its name, starts it again when it ends before its time, shows
//! it to whoever asks, and lets them end in the order of their stages.
//!
//! - A loop that ends by itself, with an error or a panic, begins anew after a pause that doubles with each time in a row.
//! - One that does not come back ends the process: whoever runs it sees that, and starts another.
//! - What a loop needs is given by a function that makes it anew, so that nothing of what broke is kept.

mod board;
mod contract;
mod runner;
mod supervisor;

pub use board::{Board, LoopState, LoopView};
pub use contract::{Ending, Need, Stage};
pub use supervisor::Supervisor;

#[cfg(test)]
mod tests;
