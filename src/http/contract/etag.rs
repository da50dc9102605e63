//! Does the client have it already? Tags of answers (`ETag`), and the answer 304 to who has.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::http::contract::header_names::ONRUSH_STALE;

/// What may be kept of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// By everybody, for a second.
    Public,
    /// By nobody.
    Nothing,
}

impl Keep {
    fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Public => "public, max-age=1",
            Self::Nothing => "no-store",
        })
    }
}

/// The tag of a body.
pub(crate) fn tag_of(body: &[u8]) -> Bytes {
    let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&Sha256::digest(body)[..12]);
    format!("\"{digest}\"").into()
}

/// The body as JSON with its tag, or 304 to who has it.
pub(crate) fn tagged(asked: &HeaderMap, body: Bytes, tag: &Bytes, keep: Keep) -> Response {
    let is_known = has(asked, tag);
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(body) });
    let value = HeaderValue::from_maybe_shared(tag.clone()).expect("base64 between quotes");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, keep.header());
    headers.insert(header::ETAG, value);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// Says that the answer may be old, if it may.
pub(crate) fn mark_stale(response: &mut Response, is_stale: bool) {
    if is_stale {
        response.headers_mut().insert(ONRUSH_STALE, HeaderValue::from_static("true"));
    }
}

/// Whether `If-None-Match` lists this tag. Weak ones will do: proxies weaken tags when they compress.
pub(crate) fn has(asked: &HeaderMap, tag: &[u8]) -> bool {
    let lists = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_searched_weak_ones_and_the_star_included() {
        let tag = tag_of(b"{}");
        let text = String::from_utf8(tag.to_vec()).unwrap();
        let asked =
            |value: &str| HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap())]);
        for known in [text.clone(), format!("\"x\", W/{text}"), "*".into()] {
            let response = tagged(&asked(&known), Bytes::from_static(b"{}"), &tag, Keep::Public);
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert!(
                response.headers().contains_key(header::ETAG) && !response.headers().contains_key(header::CONTENT_TYPE)
            );
        }
        for unknown in ["\"x\"", text.trim_matches('"'), ""] {
            let response = tagged(&asked(unknown), Bytes::from_static(b"{}"), &tag, Keep::Public);
            assert_eq!(response.status(), StatusCode::OK, "{unknown}");
        }
    }
}
