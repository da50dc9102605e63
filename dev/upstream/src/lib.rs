//! What do other teams' APIs do to us? A small server that plays them, and misbehaves as told.
//!
//! ```text
//! GET  /users/{id}             what the user-info API answers, by a rule: see `users`
//! POST /v1/chat/completions    an OpenAI-compatible language model that inspects posts, by a rule: see `chat`
//! GET  /control                what it does and what happened so far
//! PUT  /control                changes what it does: {"fail_percent": 20, "fail_after_ms": 1000, "down": false, "chat": "well"}
//! ```
//!
//! A share of all calls takes `fail_after_ms` and then fails with 500; which ones depends on the seed and the number of the
//! call alone. While it is `down` every call fails at once.

mod chat;
mod control;
mod manners;
mod server;
mod users;

pub use chat::ChatManner;
pub use control::Change;
pub use manners::Manners;
pub use server::{Counts, Upstream};
