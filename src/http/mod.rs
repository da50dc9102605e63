//! What can be asked from outside? Routes, errors, documents; knows the rooms, and no room knows it.
//!
//! - Every error is a problem of the closed list in `problem`, also those of the framework.
//! - Checks come in one order: route and method, who calls, what was sent, what exists, the state of things.

mod auth;
mod bare;
mod cache_ops;
mod campaigns;
mod claims;
mod coupons;
mod dead_letters;
mod docs;
mod document;
mod doors;
mod edge;
mod etag;
mod feed;
mod figures;
mod files;
mod health;
mod host;
mod input;
mod json;
mod jwks;
mod ops;
mod page;
mod posts;
mod problem;
mod schemas;
mod search;
mod server;
mod shares;
mod stack;
mod stall;
mod subscriptions;
mod token;
mod version;
mod view;
mod waiting;
mod waiting_answer;
mod waiting_events;
mod waiting_ops;
mod waiting_terms;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa_axum::router::OpenApiRouter;

use crate::alarm;
use crate::cache::Cache;
use crate::campaign::{Campaign, Campaigns};
use crate::claim::{Claims, Coupons};
use crate::clock::Millis;
use crate::config::{self, PublicUrl};
use crate::database::Database;
use crate::feed::Feed;
use crate::health::Prober;
use crate::ids::CampaignId;
use crate::ledger::Auditor;
use crate::letters::LetterBox;
use crate::redis::Redis;
use crate::supervise::Board;
use crate::waiting::{PassKeys, Passes, Tickets, WaitingRooms};

pub use auth::{Auth, TokenError, user_token};
pub use edge::Edge;
use figures::Figures;
use input::Input;
pub use jwks::{Jwks, JwksError};
use problem::{Code, Problem};
pub use server::{bind, serve};
use waiting_events::OpenStreams;

/// What handlers work with.
pub struct Rooms {
    /// The server's settings.
    pub config: config::Http,
    /// The yardstick of benchmarks.
    pub bench: config::Bench,
    /// How the visitors' page looks.
    pub page: config::Page,
    /// Who may call.
    pub auth: config::Auth,
    /// The keys of users' tokens.
    pub jwks: Arc<Jwks>,
    /// What was looked up already.
    pub cache: Cache,
    /// What is on offer.
    pub campaigns: Arc<Campaigns>,
    /// Who may have one.
    pub claims: Arc<Claims>,
    /// Who is next.
    pub waiting: Arc<WaitingRooms>,
    /// Event streams that this node has open at a time.
    pub streams_max: usize,
    /// How often an event stream says something.
    pub heartbeat: Duration,
    /// The keys of passes and tickets.
    pub pass_keys: PassKeys,
    /// Writes and reads passes.
    pub passes: Passes,
    /// Writes and reads tickets.
    pub tickets: Tickets,
    /// What there is to read.
    pub feed: Arc<Feed>,
    /// How long a part of the front page may take.
    pub view_part_max: Duration,
    /// Writes and reads coupon codes.
    pub coupons: Coupons,
    /// Compares the stores.
    pub auditor: Arc<Auditor>,
    /// What waits for operators.
    pub letters: LetterBox,
    /// The alarm rules' settings.
    pub alarm: Arc<alarm::Settings>,
    /// The throttle's setting until an operator sets another, in facts a second.
    pub rows_per_second_max: u64,
    /// For readiness and the throttle's setting.
    pub database: Database,
    /// For readiness and the alarms' states.
    pub redis: Arc<Redis>,
    /// What /metrics shows.
    pub metrics: PrometheusHandle,
    /// How the stores are.
    pub health: Arc<Prober>,
    /// How the node's loops are.
    pub loops: Arc<Board>,
    /// Once cancelled, this node is not ready any more.
    pub leaving: CancellationToken,
    /// Once cancelled, what does not end by itself ends.
    pub stop: CancellationToken,
}

/// The state of all handlers: cheap to clone, since each request does.
#[derive(Clone)]
struct App(Arc<State>);

struct State {
    rooms: Rooms,
    auth: Auth,
    look: page::Look,
    public_url: PublicUrl,
    streams: OpenStreams,
}

impl std::ops::Deref for App {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.0.rooms
    }
}

impl AsRef<config::Http> for App {
    fn as_ref(&self) -> &config::Http {
        &self.config
    }
}

impl AsRef<Auth> for App {
    fn as_ref(&self) -> &Auth {
        &self.0.auth
    }
}

/// By Redis' clock, which decides, as well as this node knows it; by its own only where Redis was never reached.
fn now(redis: &Redis) -> Millis {
    redis.time_about().unwrap_or_else(Millis::now)
}

impl App {
    fn now(&self) -> Millis {
        now(&self.redis)
    }

    fn auth(&self) -> &Auth {
        &self.0.auth
    }

    fn look(&self) -> &page::Look {
        &self.0.look
    }

    /// What clients reach this server by.
    fn public_url(&self) -> &PublicUrl {
        &self.0.public_url
    }

    /// An address on this server, for a header.
    fn url(&self, path: std::fmt::Arguments<'_>) -> HeaderValue {
        let url = format!("{}{path}", self.public_url());
        HeaderValue::from_maybe_shared(bytes::Bytes::from(url))
            .expect("ids have no control characters, and the public address is visible ASCII")
    }

    /// The campaign that the path names as `id`.
    async fn campaign(&self, input: &Input) -> Result<Arc<Campaign>, Problem> {
        self.find(&input.path("id")?).await
    }

    async fn find(&self, id: &CampaignId) -> Result<Arc<Campaign>, Problem> {
        self.campaigns.find(id).await?.ok_or_else(|| Problem::not_found("campaign"))
    }
}

/// All routes of a node that serves users.
#[must_use]
pub fn router(rooms: Rooms) -> Edge {
    let (routes, mut document) = described_routes();
    if !rooms.config.public_url.is_empty() {
        document.servers = Some(vec![Server::new(public_url(&rooms.config).to_string())]);
    }
    let figures = Figures::new(document.paths.paths.keys().cloned());
    finish(routes.merge(files::routes(&document)), figures, rooms, true)
}

/// The routes, and what the document says of them.
fn described_routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    let routes = OpenApiRouter::with_openapi(docs::Document::openapi())
        .merge(campaigns::routes())
        .merge(claims::routes())
        .merge(coupons::routes())
        .merge(waiting::routes())
        .merge(waiting_events::routes())
        .merge(waiting_ops::routes())
        .merge(posts::routes())
        .merge(subscriptions::routes())
        .merge(feed::routes())
        .merge(view::routes())
        .merge(search::routes())
        .merge(ops::routes())
        .merge(cache_ops::routes())
        .merge(dead_letters::routes())
        .merge(page::routes())
        .merge(docs::routes())
        .merge(health::routes());
    let (routes, mut document) = routes.split_for_parts();
    document::complete(&mut document);
    (routes, document)
}

/// The routes of a node that only works: alive, ready, metrics.
#[must_use]
pub fn worker_router(rooms: Rooms) -> Edge {
    let (routes, document) = health::routes().split_for_parts();
    finish(routes, Figures::new(document.paths.paths.keys().cloned()), rooms, false)
}

fn finish(routes: Router<App>, figures: Figures, rooms: Rooms, serves: bool) -> Edge {
    let redis = Arc::clone(&rooms.redis);
    let auth = Auth::new(&rooms.auth, Arc::clone(&rooms.jwks), move || now(&redis));
    let look = page::Look::new(&rooms.page);
    let public_url = public_url(&rooms.config);
    let app = App(Arc::new(State { rooms, auth, look, public_url, streams: OpenStreams::default() }));
    let mut routes = routes
        .fallback(async || Problem::new(Code::NotFound, "there is no such route"))
        .method_not_allowed_fallback(async || Problem::new(Code::MethodNotAllowed, "this route has other methods"));
    // A layer costs every request something; where no origin is allowed it would have nothing to say.
    if !app.config.cors_origins.is_empty() {
        routes = routes.layer(cors(&app.config.cors_origins));
    }
    // The doors are past the router: what is laid over the routes would not see what comes to them.
    let doors = (serves && app.config.cors_origins.is_empty()).then(|| app.clone());
    let bare = app.bench.bare.then(|| bare::routes().with_state(app.clone()));
    Edge::new(routes.with_state(app.clone()), doors, bare, figures, &app.config)
}

/// Read once, when a node starts: what is not one was refused before that.
fn public_url(config: &config::Http) -> PublicUrl {
    PublicUrl::parse(&config.public_url).expect("a node checks its addresses before it serves")
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
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("onrush-pass"),
            waiting::ONRUSH_TICKET,
            waiting_events::LAST_EVENT_ID,
            edge::X_REQUEST_ID,
        ])
        .expose_headers([
            header::LOCATION,
            header::ETAG,
            header::RETRY_AFTER,
            header::LINK,
            claims::IDEMPOTENCY_REPLAYED,
            etag::ONRUSH_STALE,
            edge::X_REQUEST_ID,
        ])
        .max_age(Duration::from_mins(10))
}
