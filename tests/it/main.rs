//! Tests against the real stores: Redis, Kafka and PostgreSQL, as the configuration names them.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]
#![expect(unreachable_pub, reason = "one binary: nothing in it is reached from outside")]

mod ledger;
mod support;
