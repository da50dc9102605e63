//! Routes of operators and of machines: audit, throttle, alarms, cache, dead letters, health, metrics.

pub(crate) mod cache;
pub(crate) mod dead_letters;
pub(crate) mod health;
pub(crate) mod routes;
