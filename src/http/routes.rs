//! All routes of a node, what the document says of them, and what stands before them.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa_axum::router::OpenApiRouter;

use crate::config;
use crate::http::contract::header_names;
use crate::http::contract::problem::{Code, Problem};
use crate::http::serve::bare;
use crate::http::serve::edge::Edge;
use crate::http::serve::request_metrics::RequestMetrics;
use crate::http::state::{App, Services, public_url};
use crate::http::{campaigns, claims, feed, openapi, ops, page, waiting};

/// All routes of a node that serves users.
#[must_use]
pub fn router(services: Services) -> Edge {
    let (routes, mut document) = described_routes();
    if !services.config.public_url.is_empty() {
        document.servers = Some(vec![Server::new(public_url(&services.config).to_string())]);
    }
    let metrics = RequestMetrics::new(document.paths.paths.keys().cloned());
    finish(routes.merge(openapi::files::routes(&document)), metrics, services, true)
}

/// The routes, and what the document says of them.
pub(crate) fn described_routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    let routes = OpenApiRouter::with_openapi(openapi::routes::Document::openapi())
        .merge(campaigns::routes::routes())
        .merge(claims::routes::routes())
        .merge(claims::coupons::routes())
        .merge(waiting::routes::routes())
        .merge(waiting::events::routes())
        .merge(waiting::operators::routes())
        .merge(feed::posts::routes())
        .merge(feed::subscriptions::routes())
        .merge(feed::routes::routes())
        .merge(feed::front_page::routes())
        .merge(feed::search::routes())
        .merge(ops::routes::routes())
        .merge(ops::cache::routes())
        .merge(ops::dead_letters::routes())
        .merge(page::routes())
        .merge(openapi::routes::routes())
        .merge(ops::health::routes());
    let (routes, mut document) = routes.split_for_parts();
    openapi::operations::complete(&mut document);
    (routes, document)
}

/// The routes of a node that only works: alive, ready, metrics.
#[must_use]
pub fn worker_router(services: Services) -> Edge {
    let (routes, document) = ops::health::routes().split_for_parts();
    finish(routes, RequestMetrics::new(document.paths.paths.keys().cloned()), services, false)
}

fn finish(routes: Router<App>, metrics: RequestMetrics, services: Services, serves: bool) -> Edge {
    let app = App::new(services);
    let mut routes = routes
        .fallback(async || Problem::new(Code::NotFound, "there is no such route"))
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed, "this route has other methods"));
    // A layer costs every request something; where no origin is allowed it would have nothing to say.
    if !app.config.cors_origins.is_empty() {
        routes = routes.layer(cors(&app.config.cors_origins));
    }
    // The fast path is past the router: a layer over the routes would not see its requests.
    let hot = (serves && app.config.cors_origins.is_empty()).then(|| app.clone());
    let bare = app.bench.bare.then(|| bare::routes().with_state(app.clone()));
    Edge::new(routes.with_state(app.clone()), hot, bare, metrics, &app.config)
}

fn cors(origins: &[String]) -> CorsLayer {
    let origin = |text: &String| config::origin(text).expect("a node checks its addresses before it serves");
    let allowed = if origins.iter().any(|text| text == "*") {
        AllowOrigin::any()
    } else {
        let header = |origin: String| HeaderValue::try_from(origin).expect("an origin is visible ASCII");
        AllowOrigin::list(origins.iter().map(|text| header(origin(text))))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_NONE_MATCH,
            header_names::IDEMPOTENCY_KEY,
            header_names::ONRUSH_PASS,
            header_names::ONRUSH_TICKET,
            header_names::LAST_EVENT_ID,
            header_names::X_REQUEST_ID,
        ])
        .expose_headers([
            header::LOCATION,
            header::ETAG,
            header::RETRY_AFTER,
            header::LINK,
            header_names::IDEMPOTENCY_REPLAYED,
            header_names::ONRUSH_STALE,
            header_names::X_REQUEST_ID,
        ])
        .max_age(Duration::from_mins(10))
}
