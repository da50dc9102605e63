//! What happened, for good: relay, writer, throttle, auditor.

mod auditor;
mod relay;
pub(crate) mod throttle;
mod writer;
