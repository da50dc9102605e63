//! Routes of the waiting room.

pub(crate) mod answer;
pub(crate) mod events;
pub(crate) mod open_streams;
pub(crate) mod operators;
pub(crate) mod routes;
