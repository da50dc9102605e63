//! Promises under faults. One binary, so that its tests share one Kafka, which takes seconds to start.

#![expect(clippy::unwrap_used, reason = "what a test did not expect fails it")]

mod alone;
mod lost;
mod proxy;
mod short;
mod soak;
mod support;
