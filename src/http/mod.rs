//! What can be asked from outside? Routes, errors, documents; knows the rooms, and no room knows it.
//!
//! - A handler parses, makes a call to a room, and renders. What is decided is decided below.
//! - Every error is a problem of the closed list in `contract/problem`, also those of the framework.
//! - Checks come in one order: route and method, who calls, what was sent, what exists, the state of things.

mod auth;
mod campaigns;
mod claims;
mod contract;
mod feed;
mod openapi;
mod ops;
mod page;
mod routes;
mod serve;
mod state;
mod waiting;

pub use auth::caller::{Auth, TokenError, user_token};
pub use auth::jwks::{Jwks, JwksError};
pub use routes::{router, worker_router};
pub use serve::edge::Edge;
pub use serve::server::{bind, serve};
pub use state::Services;
