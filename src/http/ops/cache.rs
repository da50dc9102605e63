//! Routes of the cache, for operators.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cache::CacheStats;
use crate::http::auth::caller::Operator;
use crate::http::contract::input::{self, Input};
use crate::http::contract::problem::Problem;
use crate::http::contract::response::private;
use crate::http::contract::schemas::{self, Body, body};
use crate::http::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, set))
}

/// How the cache stands, as the node that answers sees it.
#[derive(Serialize, ToSchema)]
struct CacheView {
    /// Whether every read goes to its source.
    bypass: bool,
    #[serde(flatten)]
    stats: CacheStats,
}

body! {
    /// The cache's one switch.
    CacheSwitch = {
        let bypass = schemas::about(schemas::flag(), "Whether every read goes to its source. What is absent stays as it is.");
        Body::new().takes("bypass", bypass).build()
    }
}

fn view(app: &App) -> Response {
    private(CacheView { bypass: app.cache.is_bypassed(), stats: app.cache.stats() })
}

/// How the cache stands: its switch, each tier's stats on this node, and what is asked for most.
#[utoipa::path(get, path = "/v1/ops/cache", tag = "operations", security(("operator" = [])),
    responses((status = 200, body = CacheView)))]
async fn read(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    Ok(view(&app))
}

/// Have every read go to its source, or through the cache again, on every node, within a second.
#[utoipa::path(patch, path = "/v1/ops/cache", tag = "operations", security(("operator" = [])),
    request_body = CacheSwitch,
    responses((status = 200, body = CacheView)))]
async fn set(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let mut members = input.members().await?;
    let bypass = members.take("bypass", input::flag);
    members.finish()?;
    if let Some(bypass) = bypass {
        app.cache.set_bypass(bypass).await?;
    }
    Ok(view(&app))
}
