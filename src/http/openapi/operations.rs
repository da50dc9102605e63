//! What does the API's document say of every operation alike? Its id, its parameters, and each way in which it may end.
//!
//! - Which problems an operation may answer is said here, in one table; what all of a kind may answer follows from its
//!   kind: who may call it, whether it has a body, whether it names something that may not exist.
//! - What the document allows is taken, and what it forbids is refused: `tests/it/document.rs` tries both.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{AllOfBuilder, Object, ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::campaigns::room::WaitingTerms;
use crate::http::contract::problem::Code::{
    self, AlreadyExists, AlreadyRedeemed, BodyTooLarge, ClaimsExhausted, Closed, Forbidden, InvalidRequest,
    LimitReached, NotFound, NotOpenYet, PassRequired, Paused, SoldOut, StockCannotShrink, Unauthenticated, Unavailable,
    UnsupportedMediaType,
};
use crate::http::contract::problem::{FieldError, ProblemView};
use crate::http::contract::schemas;
use crate::http::page::visitor::TOKEN_COOKIE as VISITOR_COOKIE;
use crate::ids::ClaimId;

/// In which ways an operation may end besides those that its own documentation names.
enum Ends {
    /// With these problems, beside what all operations of its kind may answer.
    Problems(&'static [Code]),
    /// With a page for people, under these statuses.
    Pages(&'static [u16]),
    /// In no other way.
    Never,
}
use Ends::{Never, Pages, Problems};

/// The method, the path, the operation's id, and how it may end.
const OPERATIONS: &[(&str, &str, &str, Ends)] = &[
    ("post", "/v1/campaigns", "createCampaign", Problems(&[AlreadyExists])),
    ("get", "/v1/campaigns", "listCampaigns", Problems(&[])),
    ("get", "/v1/campaigns/{id}", "readCampaign", Problems(&[])),
    ("patch", "/v1/campaigns/{id}", "changeCampaign", Problems(&[StockCannotShrink, Closed])),
    ("post", "/v1/campaigns/{id}/pause", "pauseCampaign", Problems(&[Closed])),
    ("post", "/v1/campaigns/{id}/resume", "resumeCampaign", Problems(&[Closed])),
    ("post", "/v1/campaigns/{id}/close", "closeCampaign", Problems(&[])),
    ("post", "/v1/campaigns/{id}/claims", "claim", Problems(CLAIM)),
    ("get", "/v1/campaigns/{id}/claims", "listClaims", Problems(&[])),
    ("get", "/v1/campaigns/{id}/claims/mine", "listMyClaims", Problems(&[])),
    ("delete", "/v1/campaigns/{id}/claims/by-key", "cancelClaim", Problems(&[AlreadyRedeemed, ClaimsExhausted])),
    ("get", "/v1/claims/{claim_id}", "readClaim", Problems(&[])),
    ("post", "/v1/claims/{claim_id}/give-back", "giveClaimBack", Problems(&[AlreadyRedeemed])),
    ("get", "/v1/coupons/{coupon_code}", "readCoupon", Problems(&[])),
    ("post", "/v1/coupons/{coupon_code}/redeem", "redeemCoupon", Problems(&[AlreadyRedeemed])),
    ("post", "/v1/coupons/{coupon_code}/unredeem", "unredeemCoupon", Problems(&[])),
    ("post", "/v1/campaigns/{id}/waiting", "joinWaitingRoom", Problems(&[NotOpenYet, Closed])),
    ("get", "/v1/campaigns/{id}/waiting", "lookAtWaitingRoom", Problems(&[])),
    ("delete", "/v1/campaigns/{id}/waiting", "leaveWaitingRoom", Problems(&[])),
    ("get", "/v1/campaigns/{id}/waiting/events", "listenToWaitingRoom", Problems(&[])),
    ("get", "/v1/campaigns/{id}/draw", "readDraw", Problems(&[])),
    ("get", "/.well-known/jwks.json", "readPassKeys", Problems(&[])),
    ("get", "/v1/ops/waiting/{campaign}", "readWaitingRoom", Problems(&[])),
    ("post", "/v1/ops/waiting/{campaign}/pause", "pauseAdmission", Problems(&[])),
    ("post", "/v1/ops/waiting/{campaign}/resume", "resumeAdmission", Problems(&[])),
    ("post", "/v1/ops/waiting/{campaign}/admit", "letUserIn", Problems(&[])),
    ("post", "/v1/posts", "createPost", Problems(&[])),
    ("get", "/v1/posts/{id}", "readPost", Problems(&[])),
    ("patch", "/v1/posts/{id}", "changePost", Problems(&[])),
    ("delete", "/v1/posts/{id}", "deletePost", Problems(&[])),
    ("put", "/v1/subscriptions/{author_id}", "subscribe", Problems(&[])),
    ("delete", "/v1/subscriptions/{author_id}", "unsubscribe", Problems(&[])),
    ("get", "/v1/feed", "readFeed", Problems(&[])),
    ("get", "/v1/view", "readFrontPage", Problems(&[])),
    ("get", "/v1/search", "searchPosts", Problems(&[])),
    ("get", "/v1/ops/audit/{campaign}", "audit", Problems(&[])),
    ("get", "/v1/ops/throttle", "readThrottle", Problems(&[])),
    ("patch", "/v1/ops/throttle", "changeThrottle", Problems(&[])),
    ("get", "/v1/ops/alarms", "readAlarms", Problems(&[])),
    ("patch", "/v1/ops/alarms", "changeAlarms", Problems(&[])),
    ("get", "/v1/ops/cache", "readCache", Problems(&[])),
    ("patch", "/v1/ops/cache", "changeCache", Problems(&[])),
    ("get", "/v1/ops/dead-letters", "listDeadLetters", Problems(&[])),
    ("post", "/v1/ops/dead-letters/replay", "replayDeadLetters", Problems(&[NotFound])),
    ("post", "/v1/ops/dead-letters/discard", "discardDeadLetters", Problems(&[NotFound])),
    ("get", "/rooms/{id}", "showRoom", Pages(&[401, 404, 503])),
    ("get", "/rooms/{id}/state", "readRoomState", Problems(&[])),
    ("post", "/rooms/{id}/join", "joinRoom", Pages(ROOM_FORM)),
    ("post", "/rooms/{id}/leave", "leaveRoom", Pages(ROOM_FORM)),
    ("post", "/rooms/{id}/claim", "claimInRoom", Pages(ROOM_FORM)),
    ("get", "/problems/{code}", "readProblem", Problems(&[])),
    ("get", "/healthz", "isAlive", Never),
    ("get", "/readyz", "isReady", Problems(&[])),
    ("get", "/metrics", "readMetrics", Problems(&[])),
];

const CLAIM: &[Code] =
    &[NotOpenYet, Paused, SoldOut, Closed, LimitReached, PassRequired, AlreadyExists, ClaimsExhausted];
const ROOM_FORM: &[u16] = &[401, 403, 404, 409, 410, 503];

/// Makes the collected document whole.
pub(crate) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let cookie =
        ApiKeyValue::with_description(VISITOR_COOKIE, "A user's token, as the page of a waiting room keeps it.");
    components.add_security_scheme("visitor", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    for (name, schema) in [
        (ProblemView::name(), ProblemView::schema()),
        (FieldError::name(), FieldError::schema()),
        (Code::name(), Code::schema()),
        (WaitingTerms::name(), WaitingTerms::schema()),
    ] {
        components.schemas.insert(name.into_owned(), schema);
    }
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations_of(item) {
            let row = OPERATIONS.iter().find(|(of, at, ..)| *of == method && at == path);
            // A test insists that there is one.
            let Some((.., id, ends)) = row else { continue };
            operation.operation_id = Some((*id).to_owned());
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    describe(parameter, path);
                }
            }
            if let (Pages(_), Some(RefOr::T(form))) = (ends, operation.request_body.as_mut()) {
                // A button that is pressed without one is a press, too.
                form.required = None;
            }
            if path == "/metrics" {
                // By `http.metrics_open`: for everybody, or for operators.
                let operator = SecurityRequirement::new("operator", [""; 0]);
                operation.security = Some(vec![SecurityRequirement::default(), operator]);
            }
            match ends {
                Never => {}
                Pages(statuses) => add_pages(operation, statuses),
                Problems(special) => {
                    let codes = usual(method, path, operation).into_iter().chain(special.iter().copied());
                    add_problems(operation, codes);
                }
            }
            add_descriptions(operation);
        }
    }
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", item.get.as_mut()),
        ("put", item.put.as_mut()),
        ("post", item.post.as_mut()),
        ("delete", item.delete.as_mut()),
        ("patch", item.patch.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}

/// How each parameter looks, by its name, wherever it is taken.
fn describe(parameter: &mut Parameter, path: &str) {
    let plain = || schemas::form(schemas::ANY_TEXT);
    let schema = match parameter.name.as_str() {
        "id" if path.starts_with("/v1/posts/") => schemas::post_id(),
        "id" | "campaign" => schemas::campaign_id(),
        "claim_id" => claim_id(),
        "author_id" | "user_id" => schemas::user_id(),
        "limit" => {
            let mut limit = schemas::whole(1..=100);
            limit.default = Some(20.into());
            limit
        }
        "after" => {
            // What it holds no schema can say: it is sent as it was given.
            let mut cursor = ObjectBuilder::new().schema_type(Type::String).build();
            let kind = if path == "/v1/search" { "search-cursor" } else { "cursor" };
            cursor.format = Some(utoipa::openapi::SchemaFormat::Custom(kind.into()));
            cursor
        }
        "q" => {
            let mut question = plain();
            (question.min_length, question.max_length) = (Some(1), Some(200));
            question.example = Some("할인쿠폰".into());
            question
        }
        "Idempotency-Key" => schemas::form(IDEMPOTENCY_KEY),
        _ if parameter.parameter_in == ParameterIn::Query => plain(),
        _ => ObjectBuilder::new().schema_type(Type::String).build(),
    };
    parameter.schema = Some(Schema::Object(schema).into());
}

/// Between quotes or not, and more than the quotes alone.
const IDEMPOTENCY_KEY: &str = "^([!#-~][!-~]{0,254}|\"|\"[!-~]{0,253}[!#-~]|\"[!-~]{1,255}\")$";

fn claim_id() -> Object {
    let (generation, number) = (ClaimId::GENERATION_DIGITS_MAX - 1, ClaimId::NUMBER_DIGITS_MAX - 1);
    let pattern =
        format!("^[A-Za-z0-9][A-Za-z0-9._:@-]{{0,63}}\\.[1-9][0-9]{{0,{generation}}}\\.[1-9][0-9]{{0,{number}}}$");
    schemas::such_as(schemas::form(pattern), "WELCOME_001.1.42")
}

/// What all operations of a kind may answer.
fn usual(method: &str, path: &str, operation: &Operation) -> Vec<Code> {
    let callers = callers_of(operation);
    let may_call = |caller: &str| callers.iter().any(|known| known == caller);
    let mut codes = Vec::new();
    if path != "/metrics" {
        codes.push(InvalidRequest);
    }
    if !callers.is_empty() {
        codes.push(Unauthenticated);
        if may_call("user") != may_call("operator") {
            codes.push(Forbidden);
        }
    }
    if path.contains('{') {
        codes.push(NotFound);
    }
    if method != "get" {
        codes.push(BodyTooLarge);
    }
    if operation.request_body.is_some() {
        codes.push(UnsupportedMediaType);
    }
    codes.push(Unavailable);
    codes
}

/// The security schemes that an operation names.
fn callers_of(operation: &Operation) -> Vec<String> {
    let named = serde_json::to_value(&operation.security).unwrap_or_default();
    let all = named.as_array().into_iter().flatten().filter_map(|needs| needs.as_object());
    all.flat_map(|needs| needs.keys().cloned()).collect()
}

fn add_problems(operation: &mut Operation, codes: impl Iterator<Item = Code>) {
    let mut by_status: BTreeMap<StatusCode, Vec<Code>> = BTreeMap::new();
    for code in codes {
        let known = by_status.entry(code.status()).or_default();
        if !known.contains(&code) {
            known.push(code);
        }
    }
    for (status, codes) in by_status {
        // What the operation says of this status itself is not overwritten: /readyz is 503 in its own form.
        operation.responses.responses.entry(status.as_str().to_owned()).or_insert_with(|| problem(&codes).into());
    }
}

/// An answer that is one of these problems.
fn problem(codes: &[Code]) -> Response {
    let words = codes.iter().map(|code| code.word());
    let narrowed = ObjectBuilder::new().property("code", schemas::word(words)).build();
    let schema = AllOfBuilder::new().item(Ref::from_schema_name(ProblemView::name())).item(narrowed);
    let said = codes.iter().map(|code| format!("`{}`: {}", code.word(), code.title()));
    let mut response = Response::new(said.collect::<Vec<_>>().join("; "));
    response.content.insert("application/problem+json".into(), Content::new(Some(Schema::from(schema))).into());
    let mut header = |name: &str, schema: Object| {
        response.headers.insert(name.to_owned(), Header::new(Schema::Object(schema)).into());
    };
    let has = |wanted: &[Code]| codes.iter().any(|code| wanted.contains(code));
    if has(&[NotOpenYet, Paused, Unavailable]) {
        header("Retry-After", schemas::whole(1..=u64::from(u32::MAX)));
    }
    if has(&[Unauthenticated]) {
        header("WWW-Authenticate", schemas::form("^Bearer"));
    }
    if has(&[PassRequired]) {
        header("Link", schemas::form("rel=\"waiting-room\""));
    }
    response
}

fn add_pages(operation: &mut Operation, statuses: &[u16]) {
    for status in statuses {
        let mut response = Response::new("A page that says so.");
        let html = ObjectBuilder::new().schema_type(Type::String).build();
        response.content.insert("text/html".into(), Content::new(Some(Schema::Object(html))).into());
        operation.responses.responses.entry(status.to_string()).or_insert_with(|| response.into());
    }
}

/// Each answer says what it means, and has the request's id.
fn add_descriptions(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            let words = match status.as_str() {
                "201" => "It is made; `Location` says where it is.",
                "202" => "It is taken, and goes on.",
                "204" => "It is so; there is nothing more to say.",
                "303" => "To be looked for elsewhere.",
                "304" => "It is still what the caller has.",
                "503" => "Temporarily unavailable.",
                _ => "As asked for.",
            };
            words.clone_into(&mut response.description);
        }
        let id =
            schemas::about(schemas::form("^[!-~]{1,128}$"), "The caller's, or one of ours; to be named in questions.");
        response.headers.insert("X-Request-Id".into(), Header::new(Schema::Object(id)).into());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    fn document() -> Value {
        serde_json::to_value(crate::http::routes::described_routes().1).unwrap()
    }

    /// All operations, as `method path`, and what the document says of them.
    fn operations(document: &Value) -> Vec<(String, String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let of_path = |(path, item): (&String, &Value)| {
            let (path, item) = (path.clone(), item.as_object().unwrap().clone());
            item.into_iter().map(move |(method, operation)| (method, path.clone(), operation))
        };
        paths.iter().flat_map(of_path).collect()
    }

    #[test]
    fn every_operation_has_its_row_and_every_row_its_operation() {
        let document = document();
        let known: HashSet<(String, String)> =
            operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
        let rows: HashSet<(String, String)> =
            OPERATIONS.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
        assert_eq!(known, rows);
        let ids: HashSet<&str> = OPERATIONS.iter().map(|(.., id, _)| *id).collect();
        assert_eq!(ids.len(), OPERATIONS.len(), "an id is one operation's");
    }

    #[test]
    fn every_answer_is_named_and_errors_are_problems() {
        for (method, path, operation) in operations(&document()) {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let context = format!("{method} {path} {status}");
                assert!(status.parse::<u16>().is_ok(), "{context}: a status of its own");
                assert!(!response["description"].as_str().unwrap().is_empty(), "{context}");
                let is_error = status.as_str() >= "400" && !path.starts_with("/rooms/") && path != "/readyz";
                let kinds = response["content"].as_object().into_iter().flat_map(|content| content.keys());
                let kinds: Vec<&String> = kinds.collect();
                assert!(!is_error || kinds == ["application/problem+json"], "{context}: {kinds:?}");
            }
        }
    }

    #[test]
    fn what_is_sent_has_no_members_that_are_not_named() {
        fn check(schema: &Value, context: &str) {
            if schema["properties"].is_object() && schema["type"] == "object" {
                assert_eq!(schema["additionalProperties"], false, "{context}: {schema}");
            }
            match schema {
                Value::Object(members) => members.values().for_each(|below| check(below, context)),
                Value::Array(items) => items.iter().for_each(|below| check(below, context)),
                _ => {}
            }
        }
        let document = document();
        let mut bodies = 0;
        for (method, path, operation) in operations(&document) {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if let Some(reference) = schema["$ref"].as_str() {
                let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
                check(schema, &format!("{method} {path}"));
                assert!(schema.to_string().contains("additionalProperties"), "{method} {path}");
                bodies += 1;
            }
        }
        assert!(bodies >= 9, "{bodies} bodies");
    }
}
