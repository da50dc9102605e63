//! Routes that machines ask: alive, ready, metrics.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::FromRequestParts, http::request::Parts};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::auth::Operator;
use super::input::Input;
use super::problem::Problem;
use crate::database;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(figures))
}

/// Whether this node can serve, and what is missing.
#[derive(Serialize, ToSchema)]
struct Readiness {
    ready: bool,
    /// Stores that do not answer. Without the database claims go on; without Redis they do not.
    missing: Vec<&'static str>,
    /// Campaigns that were lost in Redis and wait for a rebuild, at most a hundred; the others are served.
    lost: Vec<String>,
}

const LOST_MAX: usize = 100;

/// Alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = String)))]
async fn alive() -> &'static str {
    "alive\n"
}

/// Ready to serve.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn ready(State(app): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let mut missing = Vec::new();
    let redis = app.redis.ping().await.is_ok();
    if !redis {
        missing.push("redis");
    }
    let verified = app.redis.closed_for().is_none();
    if redis && !verified {
        missing.push("redis: restarted, replaced or emptied, being verified");
    }
    if !database::answers(&app.database).await {
        missing.push("postgres");
    }
    let draining = app.stop.is_cancelled();
    if draining {
        missing.push("this node is stopping");
    }
    let lost = app.campaigns.catalog().lost(LOST_MAX).iter().map(ToString::to_string).collect();
    let ready = redis && verified && !draining;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, [(header::CACHE_CONTROL, "no-store")], Json(Readiness { ready, missing, lost })).into_response())
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
