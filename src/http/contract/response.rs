//! How answers look that many routes give.

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::http::contract::etag::{Keep, tag_of, tagged};
use crate::http::contract::input::Input;

/// An answer that is only for who asked.
pub(crate) fn private(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response()
}

/// A public answer: good for a second, and not sent again to who has it.
pub(crate) fn cacheable(input: &Input, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("a view has no map with keys that are no strings");
    let tag = tag_of(&body);
    tagged(input.headers(), body.into(), &tag, Keep::Public)
}

/// It is done, and there is nothing to say about it.
pub(crate) fn done() -> Response {
    (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response()
}

/// The head of an answer of this kind, for who wants no more: how a visitor stands is not looked up, since that may pick a
/// pass up.
pub(crate) fn head_only(content_type: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
