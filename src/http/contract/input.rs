//! What was sent? Path, query, headers and body, parsed once, with errors that name the member.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use futures::StreamExt;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::clock::Millis;
use crate::config;
use crate::http::contract::json::{self, escape};
use crate::http::contract::problem::{Code, FieldError, Problem};
use crate::text::{self, Lines};

/// The request's body. The edge keeps a hold of it: what nobody read is read off before the answer, so that a client
/// that is still sending hears the answer instead of a reset connection.
#[derive(Clone)]
pub(crate) struct SharedBody(pub Arc<Mutex<Body>>);

/// A request, to be taken apart by its handler after the caller is known.
pub(crate) struct Input {
    path: RawPathParams,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<SharedBody>,
    body_bytes_max: usize,
    is_head: bool,
}

impl<S> FromRequestParts<S> for Input
where
    S: AsRef<config::Http> + Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::field("path", "must be UTF-8, percent-encoded"))?;
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            path,
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            // Taken, not copied: a handler asks for its input last.
            headers: std::mem::take(&mut parts.headers),
            body: parts.extensions.get().cloned(),
            body_bytes_max: state.as_ref().body_bytes_max,
            is_head: parts.method == Method::HEAD,
        })
    }
}

impl Input {
    /// A part of the path, parsed.
    pub(crate) fn path<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Problem> {
        path_part(name, self.path_text(name))
    }

    /// A part of the path as it is.
    pub(crate) fn path_text(&self, name: &str) -> &str {
        self.path.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Refuses query parameters that the route does not know, and such that come twice.
    pub(crate) fn allow_query(&self, names: &[&str]) -> Result<(), Problem> {
        let mut errors = Vec::new();
        for (position, (name, value)) in self.query.iter().enumerate() {
            let pointer = || format!("query/{name}");
            if !names.contains(&name.as_str()) {
                errors.push(FieldError { pointer: pointer(), detail: "is not known here".into() });
            } else if self.query[..position].iter().any(|(earlier, _)| earlier == name) {
                errors.push(FieldError { pointer: pointer(), detail: "is given twice".into() });
            } else if value.contains('\0') {
                errors.push(FieldError { pointer: pointer(), detail: "must not contain U+0000".into() });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(&errors)) }
    }

    /// A query parameter, parsed.
    pub(crate) fn query<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let value = self.query.iter().find(|(known, _)| known == name);
        value
            .map(|(_, value)| value.parse())
            .transpose()
            .map_err(|error: T::Err| Problem::field(format!("query/{name}"), error.to_string()))
    }

    /// How many items a page shall have: 1 to 100, 20 if it is not said.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let wrong = || Problem::field("query/limit", "must be a whole number from 1 to 100");
        match self.query.iter().find(|(known, _)| known == "limit") {
            None => Ok(20),
            Some((_, value)) => whole_text(value).filter(|limit| (1..=100).contains(limit)).ok_or_else(wrong),
        }
    }

    /// Whether only the answer's head is wanted. The router answers HEAD by what answers GET: what that changes in passing,
    /// such as a pass that is picked up, must not happen then.
    pub(crate) fn is_head(&self) -> bool {
        self.is_head
    }

    /// All headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// For routes that take no body: an empty one or `{}`, as many clients send.
    pub(crate) async fn no_body(&self) -> Result<(), Problem> {
        let bytes = self.bytes().await?;
        let text = bytes.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        match json::parse(text)? {
            Value::Object(members) if members.is_empty() => Ok(()),
            Value::Object(members) => Members { left: members, errors: Vec::new() }.finish().map(drop),
            _ => Err(Problem::field("", "this route takes no body")),
        }
    }

    /// The body's members, to be asked for one by one.
    pub(crate) async fn members(&self) -> Result<Members, Problem> {
        let is_json = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
            let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
        });
        if !is_json {
            // Its size comes first: a body that is too large is too large in any format.
            self.bytes().await?;
            return Err(Problem::new(Code::UnsupportedMediaType, "send Content-Type: application/json"));
        }
        match json::parse(&self.bytes().await?)? {
            Value::Object(members) => Ok(Members { left: members, errors: Vec::new() }),
            _ => Err(Problem::field("", "must be a JSON object")),
        }
    }

    /// The fields of a page's form.
    pub(crate) async fn form(&self) -> Result<Vec<(String, String)>, Problem> {
        Ok(form_urlencoded::parse(&self.bytes().await?).into_owned().collect())
    }

    async fn bytes(&self) -> Result<Vec<u8>, Problem> {
        let too_large =
            || Problem::new(Code::BodyTooLarge, format!("a body has at most {} bytes", self.body_bytes_max));
        let declared = self.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: u64| length > self.body_bytes_max as u64) {
            return Err(too_large());
        }
        let Some(SharedBody(body)) = &self.body else { return Ok(Vec::new()) };
        let mut body = body.lock().await;
        let mut chunks = std::mem::take(&mut *body).into_data_stream();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Problem::field("", "the body ended too early"))?;
            if bytes.len() + chunk.len() > self.body_bytes_max {
                *body = Body::from_stream(chunks);
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// A whole number; `5.0` is one.
fn whole_text(text: &str) -> Option<usize> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let is_whole = whole.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty() && rest.bytes().all(|b| b == b'0');
    is_whole.then(|| whole.parse().ok()).flatten()
}

/// One of these headers, parsed; one that comes twice is refused.
pub(crate) fn header_of<T>(headers: &HeaderMap, name: &HeaderName) -> Result<Option<T>, Problem>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let refused = |detail: String| Problem::field(format!("header/{name}"), detail);
    let mut sent = headers.get_all(name).iter();
    match (sent.next(), sent.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(refused("is given twice".into())),
        (Some(value), None) => {
            let text = value.to_str().map_err(|_| refused("must be visible ASCII".into()))?;
            text.parse().map(Some).map_err(|error: T::Err| refused(error.to_string()))
        }
    }
}

/// A part of the path, parsed.
pub(crate) fn path_part<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::field(format!("path/{name}"), error.to_string()))
}

/// What a member holds that may be null.
pub(crate) enum Nullable<T> {
    Null,
    Value(T),
}

/// A JSON object's members. Collects all that is wrong, so that a client mends it in one go.
pub(crate) struct Members {
    left: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Members {
    /// Whether this member is there and was not taken yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Of a member that may be left out, null says the same as leaving it out.
    pub(crate) fn forget_null(&mut self, name: &str) {
        if self.left.get(name).is_some_and(Value::is_null) {
            self.left.remove(name);
        }
    }

    /// Takes a member out that may be left out, or be null, which is the same.
    pub(crate) fn take_unless_null<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.forget_null(name);
        self.take(name, parse)
    }

    /// Takes a member out and parses it. Absent: `None`. What does not parse is noted, and `None` as well.
    pub(crate) fn take<T>(&mut self, name: &str, parse: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let value = self.left.remove(name)?;
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(detail) => {
                self.note(name, detail);
                None
            }
        }
    }

    /// The same, of a member that must be there.
    pub(crate) fn require<T>(&mut self, name: &str, parse: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        if !self.left.contains_key(name) {
            self.note(name, "is required".into());
        }
        self.take(name, parse)
    }

    /// Takes a member out that is an object, to be asked for its own members.
    pub(crate) fn take_object(&mut self, name: &str) -> Option<Nullable<Self>> {
        self.take(name, |value| match value {
            Value::Null => Ok(Nullable::Null),
            Value::Object(members) => Ok(Nullable::Value(Self { left: members.clone(), errors: Vec::new() })),
            _ => Err("must be an object, or null".into()),
        })
    }

    /// Notes all that is wrong within a member that was taken out as an object; `true`: nothing is.
    pub(crate) fn note_all_of(&mut self, name: &str, mut inner: Self) -> bool {
        for unknown in std::mem::take(&mut inner.left).keys() {
            inner.note(unknown, "is not known here".into());
        }
        let is_right = inner.errors.is_empty();
        for FieldError { pointer, detail } in inner.errors {
            self.errors.push(FieldError { pointer: format!("/{}{pointer}", escape(name)), detail });
        }
        is_right
    }

    /// Notes that something is wrong with a member.
    pub(crate) fn note(&mut self, name: &str, detail: String) {
        self.errors.push(FieldError { pointer: format!("/{}", escape(name)), detail });
    }

    /// Notes that something is wrong with a member further down: `outer/inner`.
    pub(crate) fn note_at(&mut self, path: &str, detail: &str) {
        self.errors.push(FieldError { pointer: format!("/{path}"), detail: detail.to_owned() });
    }

    /// Refuses what nobody asked for, and all that was noted.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for name in std::mem::take(&mut self.left).keys() {
            self.note(name, "is not known here".into());
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid(&self.errors)) }
    }
}

/// A text that an id parses from.
pub(crate) fn id<T: FromStr<Err: std::fmt::Display>>(value: &Value) -> Result<T, String> {
    value.as_str().ok_or("must be a string")?.parse().map_err(|error: T::Err| error.to_string())
}

/// A text of so many characters, fit to be read by others.
pub(crate) fn text(characters_max: usize, lines: Lines) -> impl Fn(&Value) -> Result<String, String> {
    move |value| {
        let text = value.as_str().ok_or("must be a string")?;
        if !(1..=characters_max).contains(&text.chars().count()) {
            return Err(format!("must have 1 to {characters_max} characters"));
        }
        text::check(text, lines).map_err(|unfit| unfit.to_string())?;
        Ok(text.to_owned())
    }
}

/// A whole number; `5.0` is one.
pub(crate) fn whole(range: std::ops::RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| {
        let wrong = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let number = value.as_u64().or_else(|| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and within 53 bits")]
            value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..9e15).contains(float)).map(|float| float as u64)
        });
        number.filter(|number| range.contains(number)).ok_or_else(wrong)
    }
}

/// The same; null where that means something.
pub(crate) fn whole_or_null(range: std::ops::RangeInclusive<u64>) -> impl Fn(&Value) -> Result<Option<u64>, String> {
    move |value| if value.is_null() { Ok(None) } else { whole(range.clone())(value).map(Some) }
}

/// A time; null where that means something.
pub(crate) fn time_or_null(value: &Value) -> Result<Option<Millis>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => match Millis::parse(text) {
            // By the year that is written. In the last hours of either end the year of another zone is another one: they are
            // that end.
            Some(at) if text.as_str() >= "1970" => Ok(Some(Millis(at.0.clamp(0, YEAR_9999_MS)))),
            _ => Err("must be a time in RFC 3339, from 1970 to 9999".into()),
        },
        _ => Err("must be a time in RFC 3339, or null".into()),
    }
}

/// The last millisecond whose year has four digits.
const YEAR_9999_MS: i64 = 253_402_300_799_999;

/// `true` or `false`.
pub(crate) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "must be true or false".into())
}

/// What is not built yet may only be null.
pub(crate) fn only_null(value: &Value) -> Result<(), String> {
    if value.is_null() { Ok(()) } else { Err("can only be null: it is not built yet".into()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_may_be_written_with_a_point_and_nothing_else_passes() {
        let stock = whole(1..=100_000_000);
        assert_eq!(stock(&json!(5)), Ok(5));
        assert_eq!(stock(&json!(5.0)), Ok(5));
        for bad in
            [json!(0), json!(-1), json!(1.5), json!("5"), json!(null), json!(1e300), json!(100_000_001), json!([5])]
        {
            assert!(stock(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_error_of_a_body_is_named_at_once() {
        let Value::Object(members) = json!({"id": ".", "a/b": 1}) else { unreachable!() };
        let mut members = Members { left: members, errors: Vec::new() };
        assert_eq!(members.require("id", id::<crate::ids::CampaignId>), None);
        assert_eq!(members.require("stock", whole(1..=9)), None);
        let problem = members.finish().unwrap_err();
        let rendered = format!("{problem:?}");
        for pointer in ["/id", "/stock", "/a~1b"] {
            assert!(rendered.contains(pointer), "{rendered}");
        }
    }
}
