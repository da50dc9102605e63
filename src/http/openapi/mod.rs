//! What this server says of itself: the OpenAPI document, the page that shows it, a page for each error code.

pub(crate) mod files;
pub(crate) mod operations;
pub(crate) mod routes;
