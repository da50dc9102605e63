//! Routes of the waiting room, for operators.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::remember_stopped;
use crate::http::auth::caller::Operator;
use crate::http::contract::input::{self, Input};
use crate::http::contract::problem::Problem;
use crate::http::contract::response::private;
use crate::http::contract::schemas::{self, Body, body};
use crate::http::state::App;
use crate::ids::{CampaignId, UserId};
use crate::waiting::Room;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read)).routes(routes!(pause)).routes(routes!(resume)).routes(routes!(admit))
}

/// How a waiting room stands.
#[derive(Serialize, ToSchema)]
struct RoomView {
    /// Users who wait.
    #[schema(example = 1200)]
    waiting: u64,
    /// Users who are inside.
    #[schema(example = 50)]
    inside: u64,
    /// Users who were ever admitted.
    #[schema(example = 750)]
    admitted: u64,
    /// Of these, who did not pick their pass up in time.
    #[schema(example = 3)]
    no_shows: u64,
    /// Users who left while they waited.
    #[schema(example = 10)]
    left_queue: u64,
    wait_s: WaitView,
    /// Whether the next are let in: neither the admission nor the campaign is stopped.
    admitting: bool,
}

/// How long those who were admitted had waited, in s; null while nobody was.
#[derive(Serialize, ToSchema)]
struct WaitView {
    #[schema(example = 12)]
    p50: Option<u64>,
    #[schema(example = 40)]
    p95: Option<u64>,
}

body! {
    /// Whom to let in.
    LetIn = Body::new().needs("user_id", schemas::user_id()).build()
}

async fn view(app: &App, room: &Room) -> Result<Response, Problem> {
    let snapshot = app.waiting.snapshot_now(room).await?;
    let waits = app.waiting.waits(room).await?;
    Ok(private(RoomView {
        waiting: snapshot.waiting,
        inside: snapshot.inside,
        admitted: snapshot.admitted,
        no_shows: snapshot.no_shows,
        left_queue: snapshot.left_queue,
        wait_s: WaitView { p50: waits.percentile(50), p95: waits.percentile(95) },
        admitting: snapshot.is_admitting(),
    }))
}

/// How a waiting room stands.
#[utoipa::path(get, path = "/v1/ops/waiting/{campaign}", tag = "operations", security(("operator" = [])),
    params(("campaign" = String, Path)),
    responses((status = 200, body = RoomView)))]
async fn read(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let (_, room) = app.waiting_room(&input.path("campaign")?).await?;
    view(&app, &room).await
}

/// Let nobody in for a while. Passes go on as they are.
#[utoipa::path(post, path = "/v1/ops/waiting/{campaign}/pause", tag = "operations", security(("operator" = [])),
    params(("campaign" = String, Path)),
    responses((status = 200, body = RoomView)))]
async fn pause(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    set_stopped(&app, &input, true).await
}

/// Let people in again.
#[utoipa::path(post, path = "/v1/ops/waiting/{campaign}/resume", tag = "operations", security(("operator" = [])),
    params(("campaign" = String, Path)),
    responses((status = 200, body = RoomView)))]
async fn resume(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    set_stopped(&app, &input, false).await
}

async fn set_stopped(app: &App, input: &Input, stopped: bool) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id: CampaignId = input.path("campaign")?;
    input.no_body().await?;
    let (_, room) = app.waiting_room(&id).await?;
    // In a task of its own: a caller who hangs up leaves nothing half done. Redis decides, also while the database is away;
    // whoever hears of a failure says it again.
    let (of, at) = (app.clone(), Arc::clone(&room));
    let task = tokio::spawn(async move {
        let done = of.waiting.set_stopped(&at, stopped).await;
        remember_stopped(&of.database, &id, stopped).await?;
        Ok::<_, Problem>(done?)
    });
    task.await.map_err(|error| Problem::away("the node", &error))??;
    view(app, &room).await
}

/// Let one user in, beyond the pace, but neither beyond the cap nor the units.
#[utoipa::path(post, path = "/v1/ops/waiting/{campaign}/admit", tag = "operations", security(("operator" = [])),
    params(("campaign" = String, Path)), request_body = LetIn,
    responses((status = 200, body = RoomView)))]
async fn admit(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id: CampaignId = input.path("campaign")?;
    let mut members = input.members().await?;
    let user = members.require("user_id", input::id::<UserId>);
    members.finish()?;
    let user = user.ok_or_else(|| Problem::field("/user_id", "is required"))?;
    let (_, room) = app.waiting_room(&id).await?;
    app.waiting.let_in(&room, &user).await?;
    view(&app, &room).await
}
