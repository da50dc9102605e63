//! Who may let Redis decide again, and what must be known first? See `docs/protocol.md`.

#![allow(dead_code, reason = "models are there for their tests")]

pub(crate) mod decide;
mod explore;
pub(crate) mod facts;
pub(crate) mod publish;
pub(crate) mod rules;
