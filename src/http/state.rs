//! What handlers work with: the services of this node, and what was made ready of its settings.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use crate::alarm;
use crate::cache::Cache;
use crate::campaign::{Campaign, Campaigns};
use crate::claim::Claims;
use crate::clock::Millis;
use crate::config::{self, PublicUrl};
use crate::database::Database;
use crate::dead_letters::DeadLetters;
use crate::feed::Feed;
use crate::health::Prober;
use crate::http::auth::caller::Auth;
use crate::http::auth::jwks::Jwks;
use crate::http::contract::input::Input;
use crate::http::contract::problem::Problem;
use crate::http::page::look::Look;
use crate::http::waiting::open_streams::OpenStreams;
use crate::ids::CampaignId;
use crate::ledger::Auditor;
use crate::redis::Redis;
use crate::supervise::Board;
use crate::waiting::{PassKeys, Passes, Tickets, WaitingRooms};

/// What handlers work with.
pub struct Services {
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
    /// Compares the stores.
    pub auditor: Arc<Auditor>,
    /// What waits for operators.
    pub dead_letters: DeadLetters,
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
pub(crate) struct App(pub(crate) Arc<State>);

/// What a node has for its handlers.
pub(crate) struct State {
    services: Services,
    auth: Auth,
    look: Look,
    public_url: PublicUrl,
    pub(crate) streams: OpenStreams,
}

impl std::ops::Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0.services
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
    pub(crate) fn new(services: Services) -> Self {
        let redis = Arc::clone(&services.redis);
        let auth = Auth::new(&services.auth, Arc::clone(&services.jwks), move || now(&redis));
        let look = Look::new(&services.page);
        let public_url = public_url(&services.config);
        Self(Arc::new(State { services, auth, look, public_url, streams: OpenStreams::default() }))
    }

    pub(crate) fn now(&self) -> Millis {
        now(&self.redis)
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(crate) fn look(&self) -> &Look {
        &self.0.look
    }

    /// What clients reach this server by.
    pub(crate) fn public_url(&self) -> &PublicUrl {
        &self.0.public_url
    }

    /// An address on this server, for a header.
    pub(crate) fn url(&self, path: std::fmt::Arguments<'_>) -> HeaderValue {
        let url = format!("{}{path}", self.public_url());
        HeaderValue::from_maybe_shared(bytes::Bytes::from(url))
            .expect("ids have no control characters, and the public address is visible ASCII")
    }

    /// The campaign that the path names as `id`.
    pub(crate) async fn campaign(&self, input: &Input) -> Result<Arc<Campaign>, Problem> {
        self.find(&input.path("id")?).await
    }

    pub(crate) async fn find(&self, id: &CampaignId) -> Result<Arc<Campaign>, Problem> {
        self.campaigns.find(id).await?.ok_or_else(|| Problem::not_found("campaign"))
    }
}

/// Read once, when a node starts: what is not one was refused before that.
pub(crate) fn public_url(config: &config::Http) -> PublicUrl {
    PublicUrl::parse(&config.public_url).expect("a node checks its addresses before it serves")
}
