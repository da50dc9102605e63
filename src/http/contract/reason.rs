//! Why an operator does something, in their own words.

use serde_json::Value;
use utoipa::openapi::Object;

use crate::http::contract::{input, schemas};
use crate::text::Lines;

/// What an operator may say of why.
const REASON_CHARACTERS_MAX: usize = 500;

/// What `reason` takes.
pub(crate) fn reason_schema() -> Object {
    schemas::such_as(schemas::text(REASON_CHARACTERS_MAX, Lines::One), "wrong coupon scanned")
}

/// A text of one line: it fits into a fact, whose parts are told apart by control characters.
pub(crate) fn reason(value: &Value) -> Result<String, String> {
    input::text(REASON_CHARACTERS_MAX, Lines::One)(value)
}
