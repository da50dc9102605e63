//! Routes of operators: the audit, the throttle, the alarms.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Operator;
use super::campaigns::private;
use super::input::{self, Input};
use super::problem::Problem;
use super::schemas::{self, Body, body};
use crate::alarm::{RuleView, read_board};
use crate::config::ROWS_PER_SECOND;
use crate::ledger::{self, Audit};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(audit)).routes(routes!(read_throttle, set_throttle)).routes(routes!(alarms))
}

/// How fast facts reach the database at most.
#[derive(Serialize, ToSchema)]
struct Throttle {
    /// Facts that the database receives in any second, all workers together.
    #[schema(example = 5000, minimum = 1, maximum = 10_000_000)]
    rows_per_second_max: u64,
}

body! {
    /// What of it is to change.
    ThrottleChange = Body::new().takes("rows_per_second_max", schemas::whole(ROWS_PER_SECOND)).build()
}

/// How the alarm rules stand.
#[derive(Serialize, ToSchema)]
struct Alarms {
    rules: Vec<RuleView>,
}

/// What Redis, Kafka and the database say of a campaign, and whether it agrees.
#[utoipa::path(get, path = "/v1/ops/audit/{campaign}", tag = "operations", security(("operator" = [])),
    params(("campaign" = String, Path)),
    responses((status = 200, body = Audit)))]
async fn audit(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("campaign")?;
    let audit = app.auditor.audit(&id).await?.ok_or_else(|| Problem::not_found("campaign"))?;
    Ok(private(audit))
}

/// How fast facts reach the database at most.
#[utoipa::path(get, path = "/v1/ops/throttle", tag = "operations", security(("operator" = [])),
    responses((status = 200, body = Throttle)))]
async fn read_throttle(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let rows_per_second_max = ledger::read_rows_per_second_max(&app.database).await?.unwrap_or(app.rows_per_second_max);
    Ok(private(Throttle { rows_per_second_max }))
}

/// Change it, on every worker, within a second.
#[utoipa::path(patch, path = "/v1/ops/throttle", tag = "operations", security(("operator" = [])),
    request_body = ThrottleChange,
    responses((status = 200, body = Throttle)))]
async fn set_throttle(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let mut members = input.members().await?;
    let rows = members.take("rows_per_second_max", input::whole(ROWS_PER_SECOND));
    members.finish()?;
    if let Some(rows) = rows {
        ledger::set_rows_per_second_max(&app.database, rows).await?;
    }
    let rows_per_second_max = ledger::read_rows_per_second_max(&app.database).await?.unwrap_or(app.rows_per_second_max);
    Ok(private(Throttle { rows_per_second_max }))
}

/// How the alarm rules stand: HEALTHY, CAUTION or CRITICAL.
#[utoipa::path(get, path = "/v1/ops/alarms", tag = "operations", security(("operator" = [])),
    responses((status = 200, body = Alarms)))]
async fn alarms(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    Ok(private(Alarms { rules: read_board(&app.redis, &app.alarm).await? }))
}
