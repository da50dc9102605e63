//! Routes that machines ask: alive, ready, metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::FromRequestParts, http::request::Parts};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::health::Store;
use crate::http::auth::caller::Operator;
use crate::http::contract::input::Input;
use crate::http::contract::problem::Problem;
use crate::http::state::App;
use crate::supervise::LoopView;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(figures))
}

/// Whether this node can serve, and what is missing.
#[derive(Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    /// What does not work. Without the database or Kafka claims go on; without Redis, or a loop that is named here, they do not.
    missing: Vec<String>,
    /// Campaigns that were lost in Redis and wait for a rebuild, at most a hundred; the others are served.
    lost: Vec<String>,
    /// The node's loops, and how often each has ended before its time.
    loops: Vec<LoopView>,
}

const LOST_MAX: usize = 100;

/// Alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = String)))]
async fn alive() -> &'static str {
    "alive\n"
}

/// Ready to serve. Answered from what a loop has asked the stores, at most some seconds ago.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn ready(State(app): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let (mut fatal, mut beside) = (Vec::new(), Vec::new());
    match app.health.last() {
        None => fatal.push("health: the stores were not asked for too long".to_owned()),
        Some(stores) => {
            match stores.redis {
                Store::Works => {}
                Store::Away => fatal.push("redis".to_owned()),
                Store::RefusesWrites => fatal.push("redis: refuses writes".to_owned()),
            }
            beside.extend((stores.postgres != Store::Works).then(|| "postgres".to_owned()));
            beside.extend((stores.kafka != Store::Works).then(|| "kafka".to_owned()));
        }
    }
    if app.redis.closed_for().is_some() && fatal.is_empty() {
        fatal.push("redis: restarted, replaced or emptied, being verified".to_owned());
    }
    fatal.extend(app.loops.missing().into_iter().map(|name| format!("loop: {name}")));
    if app.leaving.is_cancelled() {
        fatal.push("this node is stopping".to_owned());
    }
    let ready = fatal.is_empty();
    let readiness = Readiness {
        ready,
        missing: fatal.into_iter().chain(beside).collect(),
        lost: app.campaigns.catalog().lost(LOST_MAX).iter().map(ToString::to_string).collect(),
        loops: app.loops.loops(),
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, [(header::CACHE_CONTROL, "no-store")], Json(readiness)).into_response())
}

/// Who may read the metrics: everybody, or operators, by `http.metrics_open`.
struct MetricsReader;

impl FromRequestParts<App> for MetricsReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if !app.config.metrics_open {
            Operator::from_request_parts(parts, app).await?;
        }
        Ok(Self)
    }
}

/// Metrics, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String)))]
async fn figures(State(app): State<App>, _: MetricsReader) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], app.metrics.render()).into_response()
}
