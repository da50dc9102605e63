//! Routes of campaigns.

pub(crate) mod room;
pub(crate) mod routes;
