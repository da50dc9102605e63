//! What happened, for good: relay, writer, throttle, auditor.

mod auditor;
mod relay;
mod throttle;
mod writer;
