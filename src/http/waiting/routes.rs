//! Routes of the waiting room, for those who wait.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::Campaign;
use crate::clock::Millis;
use crate::hex::{from_hex, to_hex};
use crate::http::auth::caller::User;
use crate::http::contract::header_names::ONRUSH_TICKET;
use crate::http::contract::input::Input;
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::response::{head_only, private};
use crate::http::state::App;
use crate::http::waiting::answer::{StatusView, Visitor};
use crate::ids::{CampaignId, UserId};
use crate::waiting::{Placed, Room, Status, WaitingError, seed_hash};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(join, look, leave)).routes(routes!(draw)).routes(routes!(jwks))
}

impl From<WaitingError> for Problem {
    fn from(error: WaitingError) -> Self {
        match error {
            WaitingError::Redis(cause) => cause.into(),
            WaitingError::NoRoom => no_room(),
            WaitingError::Unknown
            | WaitingError::NothingDone(_)
            | WaitingError::BeganAnew
            | WaitingError::TooManyInFlight
            | WaitingError::WaitedTooLong
            | WaitingError::BeingDrawn
            | WaitingError::Full
            | WaitingError::NoRoomInside
            | WaitingError::Lost
            | WaitingError::NoSeed => Self::new(Code::Unavailable, error.to_string()),
        }
    }
}

fn no_room() -> Problem {
    Problem::new(Code::NotFound, "the campaign has no waiting room")
}

impl App {
    /// The campaign and its waiting room.
    pub(crate) async fn waiting_room(&self, id: &CampaignId) -> Result<(Arc<Campaign>, Arc<Room>), Problem> {
        let campaign = self.find(id).await?;
        let room = self.waiting.room(&campaign).ok_or_else(no_room)?;
        Ok((campaign, room))
    }

    /// What the caller's ticket says of this campaign. One that is none of ours, or another's, says nothing.
    pub(crate) fn shown<'a>(
        &self,
        headers: &'a HeaderMap,
        campaign: &CampaignId,
        user: &UserId,
    ) -> Option<(Placed, &'a str)> {
        let text = headers.get(&ONRUSH_TICKET)?.to_str().ok()?;
        Some((self.tickets.check(text, campaign, user)?, text))
    }
}

/// Join the queue.
///
/// Who waits or is inside already keeps the place; who is not any more gets a new one, at the end.
#[utoipa::path(post, path = "/v1/campaigns/{id}/waiting", tag = "waiting", security(("user" = [])),
    params(("id" = String, Path)),
    responses((status = 202, body = StatusView, headers(("Retry-After" = u64))),
        (status = 200, body = StatusView, description = "admitted, or nothing is left")))]
async fn join(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    input.no_body().await?;
    join_room(&app, &id, &user).await
}

/// What joining does, whichever way it came.
pub(crate) async fn join_room(app: &App, id: &CampaignId, user: &UserId) -> Result<Response, Problem> {
    let (campaign, room) = app.waiting_room(id).await?;
    let status = app.waiting.join(&room, user).await?;
    if status == Status::Closed {
        return Err(Problem::new(Code::Closed, format!("{id} is closed")));
    }
    let told = app.told(Visitor { campaign: &campaign, user, shown: None }, &status)?;
    let status = if told.is_waiting { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(told.into_response(status))
}

/// How the caller stands. With the header `Onrush-Ticket` of an earlier answer it costs next to nothing.
///
/// The first answer `admitted` picks the pass up: it lasts from then.
#[utoipa::path(get, path = "/v1/campaigns/{id}/waiting", tag = "waiting", security(("user" = [])),
    params(("id" = String, Path), ("Onrush-Ticket" = Option<String>, Header)),
    responses((status = 200, body = StatusView, headers(("Retry-After" = u64)))))]
async fn look(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    if input.is_head() {
        app.waiting_room(&id).await?;
        return Ok(head_only("application/json"));
    }
    read_status(&app, &id, &user, input.headers()).await
}

/// What asking does, whichever way it came.
pub(crate) async fn read_status(
    app: &App,
    id: &CampaignId,
    user: &UserId,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (campaign, room) = app.waiting_room(id).await?;
    let shown = app.shown(headers, id, user);
    let placed = shown.map(|(placed, _)| placed);
    let status = match placed.and_then(|placed| app.waiting.glance(&room, placed)) {
        Some(status) => status,
        // Apart, since it is rare and large: who is answered from memory would carry it along each time.
        None => Box::pin(app.waiting.look(&room, user, placed)).await?,
    };
    Ok(app.told(Visitor { campaign: &campaign, user, shown }, &status)?.into_response(StatusCode::OK))
}

/// Leave, whether waiting or inside.
#[utoipa::path(delete, path = "/v1/campaigns/{id}/waiting", tag = "waiting", security(("user" = [])),
    params(("id" = String, Path)),
    responses((status = 204)))]
async fn leave(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    input.no_body().await?;
    let (_, room) = app.waiting_room(&id).await?;
    app.waiting.leave(&room, &user).await?;
    Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response())
}

/// What is public of a draw: enough to compute the order again.
#[derive(Serialize, ToSchema)]
struct DrawView {
    #[schema(value_type = String, example = "WELCOME_001")]
    campaign_id: CampaignId,
    /// `announced` until the opening, then `drawn`.
    #[schema(example = "drawn")]
    state: &'static str,
    /// SHA-256 of the seed, in hexadecimal: public before anybody joined.
    seed_hash: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    draws_at: Option<Millis>,
    #[schema(value_type = Option<String>, format = DateTime)]
    drawn_at: Option<Millis>,
    /// Numbers that were drawn: 1 to this.
    n: Option<u64>,
    /// SHA-256 of the list, in hexadecimal: a line `<number> <user>` for each who waited when it closed.
    list_hash: Option<String>,
    /// In hexadecimal.
    seed: Option<String>,
}

/// The draw of a campaign: what was published before it, and at it.
#[utoipa::path(get, path = "/v1/campaigns/{id}/draw", tag = "waiting", params(("id" = String, Path)),
    responses((status = 200, body = DrawView)))]
async fn draw(State(app): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    let (campaign, room) = app.waiting_room(&id).await?;
    let nothing = || Problem::new(Code::NotFound, "nothing is drawn in this waiting room");
    let (seed, drawn) = app.waiting.drawn(&room).await?.ok_or_else(nothing)?;
    let bytes = from_hex(&seed).ok_or_else(|| Problem::from(WaitingError::NoSeed))?;
    Ok(private(DrawView {
        campaign_id: id,
        state: if drawn.is_some() { "drawn" } else { "announced" },
        seed_hash: to_hex(&seed_hash(&bytes)),
        draws_at: campaign.definition().spec.opens_at,
        drawn_at: drawn.as_ref().map(|drawn| drawn.at),
        n: drawn.as_ref().map(|drawn| drawn.n),
        list_hash: drawn.as_ref().map(|drawn| drawn.list_hash.clone()),
        seed: drawn.map(|_| seed),
    }))
}

/// The public keys that passes are verified with (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "waiting",
    responses((status = 200, content_type = "application/jwk-set+json", body = Object)))]
async fn jwks(State(app): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    Ok((headers, app.pass_keys.jwks().to_owned()).into_response())
}
