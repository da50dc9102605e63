//! Waiting rooms as their users and operators see them: over HTTP, on the real stores.

mod beginnings;
mod chaos;
mod contract;
mod draw;
mod events;
mod operators;
mod passes;
mod queue;
mod robust;
mod room;
mod terms;
mod tickets;
