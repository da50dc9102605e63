//! Every load scenario in a short form, by k6 and by goose, against a real node and the real stores.
//!
//! They are here because Cargo builds `goose-load` for the tests of its own package; k6 needs no package. What is asserted is
//! how a run ends and what it counted, never how long anything took: the machine may be busy and the build is slow.

#![expect(clippy::unwrap_used, reason = "what a test did not expect fails it")]

mod goose;
mod k6;
mod node;
mod tool;
