//! The names of our headers.

use axum::http::HeaderName;

/// The request's id: the caller's, if it is fit for logs, else one of ours.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Which call this is: the same key again is the same call.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The answer was given before.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The pass of who was admitted by a waiting room.
pub(crate) const ONRUSH_PASS: HeaderName = HeaderName::from_static("onrush-pass");
/// The ticket of an earlier answer, which makes the next one cheap.
pub(crate) const ONRUSH_TICKET: HeaderName = HeaderName::from_static("onrush-ticket");
/// Some of the answer may have changed since: a store could not be asked.
pub(crate) const ONRUSH_STALE: HeaderName = HeaderName::from_static("onrush-stale");
/// The last event that a browser has received before it connects again. Only final events have an id.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
