//! Routes of dead letters.

use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::{ArrayBuilder, OneOfBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::Millis;
use crate::dead_letters::{DeadLetter, Which};
use crate::http::auth::caller::Operator;
use crate::http::contract::input::{self, Input};
use crate::http::contract::paging::{Cursor, Paging};
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::reason::{reason, reason_schema};
use crate::http::contract::response::private;
use crate::http::contract::schemas::{self, Body, body};
use crate::http::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(replay)).routes(routes!(discard))
}

/// Ids that one request may name.
const IDS_MAX: usize = 1_000;

/// Where a record was before it was set aside.
#[derive(Serialize, ToSchema)]
struct Origin {
    /// Of what could not be read of an outbox: its key in Redis, and the entry's id.
    #[schema(example = "onrush.facts")]
    topic: String,
    partition: i32,
    offset: i64,
}

/// How `record` is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RecordForm {
    /// As it is.
    Json,
    /// It is no JSON.
    Base64,
}

/// A record that cannot be dealt with.
#[derive(Serialize, ToSchema)]
struct DeadLetterView {
    #[schema(example = "0-17")]
    id: String,
    /// Why.
    reason: String,
    /// How often that was tried.
    attempts: i32,
    origin: Origin,
    /// Who could not: a lane of the feed (fill, inspect, deliver, index); null: the ledger.
    #[schema(example = "deliver")]
    lane: Option<String>,
    record_form: RecordForm,
    /// What it says.
    #[schema(value_type = Object)]
    record: Value,
    /// `waiting`, `replayed` or `discarded`.
    state: String,
    #[schema(value_type = String, format = DateTime)]
    noticed_at: Millis,
    /// Null unless it was.
    #[schema(value_type = Option<String>, format = DateTime)]
    discarded_at: Option<Millis>,
    /// Why; null unless it was.
    discard_reason: Option<String>,
}

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
struct DeadLetterPage {
    items: Vec<DeadLetterView>,
    /// Send it as `after` for the next page; null at the end.
    next: Option<String>,
}

body! {
    /// Which letters: these, or all that wait.
    Replay = {
        let these = Body::new().needs("ids", ids_schema()).takes("all", schemas::null());
        let mut yes = schemas::flag();
        yes.enum_values = Some(vec![true.into()]);
        let all = Body::new().needs("all", yes).takes("ids", schemas::null());
        OneOfBuilder::new().item(these.build()).item(all.build()).build()
    }
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct Replayed {
    /// Letters that were sent back by this request.
    replayed: u64,
}

body! {
    /// Which letters, and why.
    Discard = Body::new().needs("ids", ids_schema()).needs("reason", reason_schema()).build()
}

/// What `ids` takes.
fn ids_schema() -> Schema {
    let ids = ArrayBuilder::new().items(schemas::form(schemas::ANY_TEXT));
    ids.min_items(Some(1)).max_items(Some(IDS_MAX)).examples([serde_json::json!(["0-17"])]).into()
}

/// What was done.
#[derive(Serialize, ToSchema)]
struct Discarded {
    /// Letters that were discarded by this request.
    discarded: u64,
}

fn view(letter: DeadLetter) -> DeadLetterView {
    let (noticed_at, discarded_at) = (letter.noticed_at(), letter.discarded_at());
    let (record_form, record) = match serde_json::from_slice(&letter.record) {
        Ok(json) => (RecordForm::Json, json),
        Err(_) => (RecordForm::Base64, base64::engine::general_purpose::STANDARD.encode(&letter.record).into()),
    };
    DeadLetterView {
        id: letter.id,
        reason: letter.reason,
        attempts: letter.attempts,
        origin: Origin { topic: letter.topic, partition: letter.partition, offset: letter.record_offset },
        lane: letter.lane,
        record_form,
        record,
        state: letter.state,
        noticed_at,
        discarded_at,
        discard_reason: letter.discard_reason,
    }
}

/// Records that cannot be dealt with, in the order in which they were noticed.
#[utoipa::path(get, path = "/v1/ops/dead-letters", tag = "operations", security(("operator" = [])), params(Paging),
    responses((status = 200, body = DeadLetterPage)))]
async fn list(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&["limit", "after"])?;
    let (limit, after) = (input.limit()?, input.query::<Cursor>("after")?);
    let after = after.map_or(Ok(0), |cursor| cursor.0.parse::<i64>());
    let after = after.map_err(|_| Problem::field("query/after", "is no cursor of this list"))?;
    // One more than asked for tells whether there is a next page.
    let mut letters = app.dead_letters.page(after, limit + 1).await?;
    let next = (letters.len() > limit).then(|| Cursor(letters[limit - 1].position.to_string()).to_string());
    letters.truncate(limit);
    Ok(private(DeadLetterPage { items: letters.into_iter().map(view).collect(), next }))
}

/// Send them back to where they came from.
///
/// What has been sent back before is left alone. What cannot be dealt with again is a new dead letter.
#[utoipa::path(post, path = "/v1/ops/dead-letters/replay", tag = "operations", security(("operator" = [])),
    request_body = Replay,
    responses((status = 200, body = Replayed)))]
async fn replay(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let which = which(&input).await?;
    // In a task of its own: who hangs up in the middle leaves no letter both sent back and waiting.
    let letters = app.dead_letters.clone();
    let replaying = tokio::spawn(async move { letters.replay(&which).await });
    let replayed = replaying.await.map_err(|_| Problem::new(Code::Unavailable, "this node is stopping"))?;
    let replayed = replayed?.ok_or_else(|| Problem::not_found("dead letter"))?;
    Ok(private(Replayed { replayed }))
}

/// Leave them at that.
///
/// They stay in the list with the reason, and alarm no more. A fact that is discarded never becomes a row: the audit goes on
/// to miss it. What does not wait any more is left alone.
#[utoipa::path(post, path = "/v1/ops/dead-letters/discard", tag = "operations", security(("operator" = [])),
    request_body = Discard,
    responses((status = 200, body = Discarded)))]
async fn discard(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let mut members = input.members().await?;
    let (ids, reason) = (members.require("ids", ids), members.require("reason", reason));
    members.finish()?;
    let (ids, reason) = ids.zip(reason).ok_or_else(|| Problem::field("", "must have members ids and reason"))?;
    let discarded = app.dead_letters.discard(&ids, &reason).await?.ok_or_else(|| Problem::not_found("dead letter"))?;
    Ok(private(Discarded { discarded }))
}

async fn which(input: &Input) -> Result<Which, Problem> {
    let mut members = input.members().await?;
    for name in ["ids", "all"] {
        members.forget_null(name);
    }
    let (has_ids, has_all) = (members.has("ids"), members.has("all"));
    let ids = members.take("ids", ids);
    members.take("all", only_true);
    if has_ids && has_all {
        members.note("all", "must not be given together with ids".into());
    }
    members.finish()?;
    match ids {
        Some(ids) => Ok(Which::Ids(ids)),
        None if has_all => Ok(Which::All),
        None => Err(Problem::field("", "must have a member ids or a member all")),
    }
}

fn ids(value: &Value) -> Result<Vec<String>, String> {
    let wrong = || format!("must be a list of 1 to {IDS_MAX} ids");
    let items = value.as_array().filter(|items| (1..=IDS_MAX).contains(&items.len())).ok_or_else(wrong)?;
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn only_true(value: &Value) -> Result<(), String> {
    if input::flag(value)? { Ok(()) } else { Err("can only be true".into()) }
}
