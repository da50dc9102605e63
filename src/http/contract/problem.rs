//! Every error of every route: RFC 9457, from one closed list.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics::Counter;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

use crate::campaign::CampaignError;
use crate::claim::ClaimError;
use crate::dead_letters::DeadLettersError;
use crate::http::claims::view::ClaimView;
use crate::http::contract::schemas;
use crate::ledger::LedgerError;
use crate::redis::RedisError;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal, $status:ident, $title:literal;)+) => {
        /// What clients switch on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
        pub(crate) enum Code { $($(#[$doc])* #[serde(rename = $word)] $code),+ }

        impl Code {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$code),+];

            pub(crate) fn word(self) -> &'static str {
                match self { $(Self::$code => $word),+ }
            }

            /// The `type` of its problems: where its page is.
            fn type_uri(self) -> &'static str {
                match self { $(Self::$code => concat!("/problems/", $word)),+ }
            }

            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status),+ }
            }

            pub(crate) fn title(self) -> &'static str {
                match self { $(Self::$code => $title),+ }
            }
        }
    };
}

codes! {
    /// A body, id, header or parameter that does not parse.
    InvalidRequest = "invalid_request", BAD_REQUEST, "Invalid request";
    /// No credentials, or none that hold.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Authentication required";
    /// Credentials of the wrong kind.
    Forbidden = "forbidden", FORBIDDEN, "Not allowed with these credentials";
    /// No such route or thing.
    NotFound = "not_found", NOT_FOUND, "Not found";
    /// The route exists, for other methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The body is beyond its limit.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "Body too large";
    /// The body is not JSON by its own word.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type";
    /// The id is taken.
    AlreadyExists = "already_exists", CONFLICT, "Already exists";
    /// Before `opens_at`.
    NotOpenYet = "not_open_yet", CONFLICT, "Not open yet";
    /// Paused by an operator.
    Paused = "paused", CONFLICT, "Campaign paused";
    /// No unit left.
    SoldOut = "sold_out", CONFLICT, "Sold out";
    /// After `closes_at`, or closed by an operator.
    Closed = "closed", GONE, "Campaign closed";
    /// The user holds as many units as one may.
    LimitReached = "limit_reached", CONFLICT, "Limit per user reached";
    /// The campaign has a waiting room, and no valid pass was sent.
    PassRequired = "pass_required", FORBIDDEN, "Pass required";
    /// The stock of a campaign that has opened only grows.
    StockCannotShrink = "stock_cannot_shrink", CONFLICT, "Stock cannot shrink";
    /// The coupon was used.
    AlreadyRedeemed = "already_redeemed", CONFLICT, "Coupon already redeemed";
    /// Claimed and given back without end.
    ClaimsExhausted = "claims_exhausted", CONFLICT, "Claims exhausted";
    /// A store is away, a campaign has to be rebuilt, or too much is in flight.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "Temporarily unavailable";
}

impl utoipa::PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        Schema::Object(schemas::word(Self::ALL.iter().map(|code| code.word()))).into()
    }
}

impl utoipa::ToSchema for Code {}

/// Looked up by name once, and not for each refusal of a burst.
static COUNTERS: LazyLock<Vec<Counter>> = LazyLock::new(|| {
    let counter = |code: &Code| metrics::counter!("onrush_http_problems_total", "code" => code.word());
    Code::ALL.iter().map(counter).collect()
});

impl Code {
    /// One more was answered.
    pub(crate) fn count(self) {
        COUNTERS[self as usize].increment(1);
    }

    /// The code of this word, for its page.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.word() == word)
    }

    /// The page that the `type` of a problem leads to.
    pub(crate) fn page(self) -> String {
        let (word, title, status) = (self.word(), self.title(), self.status());
        let mut page = String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">");
        let _infallible = write!(
            page,
            "<title>{word}</title><h1>{title}</h1><p>Code <code>{word}</code>, answered with status {status}.</p>\
             <p>{}</p><p>All routes and their errors: <a href=\"../docs\">/docs</a></p></html>",
            self.advice()
        );
        page
    }

    fn advice(self) -> &'static str {
        match self {
            Self::InvalidRequest => "Each entry of <code>errors</code> points at what to mend. Nothing was changed.",
            Self::Unauthenticated => "Send <code>Authorization: Bearer</code> with a token that has not expired.",
            Self::Forbidden => "Operators' routes want an operator's token, users' routes a user's.",
            Self::NotFound => "It does not exist, or it is another user's.",
            Self::MethodNotAllowed => "The header <code>Allow</code> lists the methods of this route.",
            Self::BodyTooLarge => "Bodies are at most 128 KiB unless this server was set otherwise.",
            Self::UnsupportedMediaType => "Send <code>Content-Type: application/json</code>.",
            Self::AlreadyExists => {
                "The same content again would have been answered with 200. An <code>Idempotency-Key</code> that was cancelled \
                 claims nothing any more: use another one."
            }
            Self::NotOpenYet => "<code>Retry-After</code> says how many seconds remain.",
            Self::Paused => "Come back after <code>Retry-After</code>.",
            Self::SoldOut => "That may change when units are given back or added.",
            Self::Closed => "It will not open again by itself.",
            Self::LimitReached => "<code>claims</code> lists the units that you hold.",
            Self::PassRequired => {
                "Join the queue (<code>Link</code>, rel <code>waiting-room</code>), and send the pass that you are given \
                 as <code>Onrush-Pass</code>."
            }
            Self::StockCannotShrink => "Units may be on their way to users. Close the campaign to sell no more.",
            Self::AlreadyRedeemed => {
                "A coupon is used once, and a used one is not given back. <code>redeemed_at</code> says when. The call that has \
                 used it hears 200 again when it is repeated with its <code>Idempotency-Key</code>."
            }
            Self::ClaimsExhausted => "One may give back and claim again, but not without end.",
            Self::Unavailable => {
                "Repeat it after <code>Retry-After</code>. Unless <code>detail</code> says that nothing was done, it may have \
                 happened; a claim with the same <code>Idempotency-Key</code> never takes a second unit."
            }
        }
    }
}

/// One thing to mend in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct FieldError {
    /// A JSON pointer into the body, or `path/name`, `query/name`, `header/name`.
    #[schema(example = "/stock")]
    pub pointer: String,
    /// What is wrong there.
    #[schema(example = "must be a whole number from 1 to 100000000")]
    pub detail: String,
}

/// An error on its way to a client. The edge adds the request's id and renders it.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub code: Code,
    detail: Cow<'static, str>,
    retry_after_s: Option<u64>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What others said beside it: which methods there are, which origins may read it.
    others: Option<Box<HeaderMap>>,
}

/// How an error looks to a client.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProblemView {
    /// A page about the code.
    #[schema(example = "/problems/sold_out")]
    r#type: String,
    #[schema(example = "Sold out")]
    title: String,
    #[schema(example = 409)]
    status: u16,
    detail: String,
    code: Code,
    request_id: String,
    /// With `invalid_request`.
    #[schema(value_type = Vec<FieldError>, required = false)]
    errors: Option<Vec<FieldError>>,
    /// With `already_redeemed`: when, where that is known.
    redeemed_at: Option<String>,
    /// With `limit_reached`.
    #[schema(value_type = Vec<ClaimView>, required = false)]
    claims: Option<Vec<ClaimView>>,
}

/// Seconds after which a client may ask a busy or lamed server again.
const UNAVAILABLE_RETRY_S: u64 = 1;

/// Flaws that one answer names: a body may have as many as it has bytes.
const FIELD_ERRORS_MAX: usize = 100;

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_s = (code == Code::Unavailable).then_some(UNAVAILABLE_RETRY_S);
        Self { code, detail: detail.into(), retry_after_s, members: Map::new(), headers: Vec::new(), others: None }
    }

    pub(crate) fn invalid(errors: &[FieldError]) -> Self {
        let errors = &errors[..errors.len().min(FIELD_ERRORS_MAX)];
        let detail = errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect::<Vec<_>>();
        Self::new(Code::InvalidRequest, detail.join("; ")).with("errors", json!(errors))
    }

    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(&[FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no such {what}"))
    }

    /// What happened here.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn with(mut self, member: &str, value: Value) -> Self {
        self.members.insert(member.to_owned(), value);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With all of these headers besides.
    pub(crate) fn headers(mut self, more: HeaderMap) -> Self {
        self.others = Some(Box::new(more));
        self
    }

    /// The whole answer, with the request's id in it.
    pub(crate) fn render(self, request_id: &str) -> Response {
        let status = self.code.status();
        let body = serde_json::to_vec(&Rendered { problem: &self, request_id }).expect("texts and numbers are JSON");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        headers.extend(self.others.into_iter().flat_map(|others| *others));
        response
    }
}

impl IntoResponse for Problem {
    /// Carries the problem to the edge, which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ClaimError> for Problem {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Unknown
            | ClaimError::NothingDone(_)
            | ClaimError::Unread(_)
            | ClaimError::TooManyInFlight
            | ClaimError::WaitedTooLong
            | ClaimError::Lost
            | ClaimError::BeingMade
            | ClaimError::OutboxFull => Self::new(Code::Unavailable, error.to_string()),
        }
    }
}

impl From<CampaignError> for Problem {
    fn from(error: CampaignError) -> Self {
        match error {
            // What the stores say goes into the log, not to clients.
            CampaignError::Redis(cause) => cause.into(),
            CampaignError::Database(ref cause) => Self::away("the database", cause),
            CampaignError::BeingMade => Self::not_found("campaign"),
            CampaignError::Lost | CampaignError::OutboxFull | CampaignError::Contended | CampaignError::TooMany(_) => {
                Self::new(Code::Unavailable, error.to_string())
            }
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Redis(cause) => cause.into(),
            LedgerError::Kafka(ref cause) => Self::away("Kafka", cause),
            LedgerError::Database(ref cause) => Self::away("the database", cause),
            LedgerError::OutOfLimits(_) => Self::field("/rows_per_second_max", error.to_string()),
        }
    }
}

impl From<DeadLettersError> for Problem {
    fn from(error: DeadLettersError) -> Self {
        match error {
            DeadLettersError::Kafka(ref cause) => Self::away("Kafka", cause),
            DeadLettersError::Database(ref cause) => Self::away("the database", cause),
        }
    }
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        // Other steps of the same request may have done something: only why is said.
        error.note();
        Self::new(Code::Unavailable, error.reason())
    }
}

/// A problem with the id of its request, written without building it as a tree first: most answers of a burst are one.
struct Rendered<'a> {
    problem: &'a Problem,
    request_id: &'a str,
}

impl Serialize for Rendered<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Problem { code, detail, members, .. } = self.problem;
        let mut body = to.serialize_map(None)?;
        body.serialize_entry("type", code.type_uri())?;
        body.serialize_entry("title", code.title())?;
        body.serialize_entry("status", &code.status().as_u16())?;
        body.serialize_entry("detail", detail)?;
        body.serialize_entry("code", code.word())?;
        body.serialize_entry("request_id", self.request_id)?;
        for (name, member) in members {
            body.serialize_entry(name, member)?;
        }
        body.end()
    }
}

impl Problem {
    /// A store that is needed did not answer.
    pub(crate) fn away(store: &'static str, cause: &dyn std::error::Error) -> Self {
        metrics::counter!("onrush_store_failures_total", "store" => store).increment(1);
        tracing::warn!(store, %cause, "a request failed because a store did");
        Self::new(Code::Unavailable, format!("{store} did not answer"))
    }
}
