//! Waiting rooms as their users and operators see them: over HTTP, on the real stores.

mod ahead;
mod beginnings;
mod chaos;
mod clocks;
mod contract;
mod draw;
mod ends;
mod events;
mod operators;
mod passes;
mod queue;
mod robust;
mod room;
mod spec;
mod tickets;
