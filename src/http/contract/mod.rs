//! What is common to all routes: how a request is read, and how an answer, an error and a page of a list look.

pub(crate) mod etag;
pub(crate) mod header_names;
pub(crate) mod input;
pub(crate) mod json;
pub(crate) mod paging;
pub(crate) mod problem;
pub(crate) mod reason;
pub(crate) mod response;
pub(crate) mod schemas;
