//! What happened, for good: relay, writer, throttle, auditor.

mod auditor;
mod dead_letters;
mod reconciler;
mod relay;
pub(crate) mod throttle;
mod writer;
