//! Who is this user? A name made of the id, and a category by its hash.
//!
//! What an id begins with can ask for other answers: `unknown` is 404, `plain` has no category; `garbage` is no JSON, `huge` a
//! megabyte, `mistaken` about somebody else, `elsewhere` a redirect, `forbidden` 403, and `endless` begins and never ends.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::json;

use crate::manners::mixed;

const CATEGORIES: [&str; 6] = ["food", "travel", "music", "games", "books", "sports"];
const HUGE_BYTES: usize = 1 << 20;

/// The answer for a user of this id.
pub(crate) fn answer(id: &str) -> Response {
    let begins = |word: &str| id.starts_with(word);
    if begins("unknown") {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "there is no such user"}))).into_response();
    }
    if begins("garbage") {
        return "<html>502 Bad Gateway</html>".into_response();
    }
    if begins("huge") {
        return Json(json!({"user_id": id, "name": "x".repeat(HUGE_BYTES), "category": null})).into_response();
    }
    if begins("mistaken") {
        return Json(json!({"user_id": "somebody-else", "name": "Somebody Else", "category": "food"})).into_response();
    }
    if begins("elsewhere") {
        return (StatusCode::FOUND, [(header::LOCATION, "/users/alice")]).into_response();
    }
    if begins("forbidden") {
        return StatusCode::FORBIDDEN.into_response();
    }
    if begins("endless") {
        let begin = futures::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{\"user_id\":\""))]);
        return Body::from_stream(begin.chain(futures::stream::pending())).into_response();
    }
    Json(json!({"user_id": id, "name": name(id), "category": category(id)})).into_response()
}

/// `alice-b` is called Alice B.
fn name(id: &str) -> String {
    let words = id.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.map(|word| {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn category(id: &str) -> Option<&'static str> {
    let hash = id.bytes().fold(0, |hash, byte| mixed(hash ^ u64::from(byte)));
    let index = usize::try_from(hash % CATEGORIES.len() as u64).unwrap_or_default();
    (!id.starts_with("plain")).then(|| CATEGORIES[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_and_a_category_that_stay() {
        assert_eq!(name("alice-b_3"), "Alice B 3");
        assert_eq!(category("alice"), category("alice"));
        assert_eq!(category("plain-1"), None);
        let used: std::collections::HashSet<_> = (0..100).map(|n| category(&format!("user-{n}"))).collect();
        assert_eq!(used.len(), CATEGORIES.len());
    }
}
