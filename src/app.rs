//! How do the rooms come together? The only wiring: builds them, and gives their loops to the supervisor.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::alarm::{self, Alarm, Snapshot};
use crate::cache::Cache;
use crate::campaign::{Campaigns, Follower, Publisher};
use crate::claim::{Claims, Coupons};
use crate::clock;
use crate::config::{self, Config, FeedLane};
use crate::database::{self, Database};
use crate::dead_letters::{DeadLetters, Ingester};
use crate::feed::inspect::Inspector;
use crate::feed::{Feed, FeedConsumer, FeedReconciler, Inboxes, LaneContext, LaneWorker, Pace, PostRelay, Posts};
use crate::fence::Fence;
use crate::health::Prober;
use crate::http;
use crate::kafka;
use crate::ledger::{Auditor, Outboxes, Quarantine, Reconciler, Relay, RoundsDone, Writer};
use crate::nodes::Reporter;
use crate::redis::Redis;
use crate::supervise::{Board, Need, Stage, Supervisor};
use crate::telemetry;
use crate::upstream::Users;
use crate::waiting::{PassKeys, Passes, RoomSupervisor, Tickets, WaitingRooms};

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers users and operators.
    Serve,
    /// Moves facts to Kafka and from there to the database.
    Work,
    /// Both.
    All,
}

impl Role {
    fn serves(self) -> bool {
        matches!(self, Self::Serve | Self::All)
    }

    fn works(self) -> bool {
        matches!(self, Self::Work | Self::All)
    }
}

/// A running node.
pub struct Node {
    address: SocketAddr,
    redis: Arc<Redis>,
    loops: Supervisor,
    /// Once cancelled, the node is not ready any more, and goes on.
    leaving: CancellationToken,
    lame_duck: Duration,
}

impl Node {
    /// Connects to the stores and starts to do what the role says. Redis must be there; Kafka and the database may be
    /// away, and are waited for.
    pub async fn start(config: Config, role: Role) -> anyhow::Result<Self> {
        config.check_secrets()?;
        clock::set_ahead_ms(config.bench.clock_ahead_ms);
        let metrics = telemetry::metrics();
        let mut redis = Redis::connect(&config.redis).await.context("connecting to Redis")?;
        if config.bench.without_messages {
            redis = redis.without_messages();
        }
        let redis = Arc::new(redis.fenced());
        redis.check_fitness().await?;
        redis.learn_time().await;
        let database = database::open(&config.postgres).context("reading postgres.url")?;
        let campaigns = Arc::new(Campaigns::new(Arc::clone(&redis), database.clone(), config.campaign.clone()));
        let mut loops = Supervisor::new(config.supervisor.clone(), &config.bench.broken_loop);
        let leaving = CancellationToken::new();

        let fence = Fence::new(Arc::clone(&redis), database.clone(), Arc::clone(&campaigns), &config);
        // Where this does not succeed the node starts all the same, and refuses claims until it does.
        fence.look().await;
        follow_campaigns(&mut loops, fence, &campaigns).await;

        keep_time_and_figures(&mut loops, &redis, metrics.clone(), Duration::from_millis(config.claim.clock_every_ms));

        let cache = Cache::new(Arc::clone(&redis), &config.cache);
        let cached = cache.clone();
        loops.start((Stage::Follow, "cache", Need::Beside), move |stop| Box::pin(cached.heartbeat().run(stop)));

        let jwks = Arc::new(http::Jwks::start(&config.auth).await?);
        let keys = Arc::clone(&jwks);
        loops.start((Stage::Follow, "token_keys", Need::Beside), move |stop| Arc::clone(&keys).run(stop));

        let producer = Arc::new(kafka::Producer::new(&config.kafka).context("preparing the Kafka producer")?);
        let prober = Arc::new(Prober::new(Arc::clone(&redis), database.clone(), Arc::clone(&producer), &config));
        prober.tick().await;
        let probing = Arc::clone(&prober);
        loops.start((Stage::Follow, "health", Need::ToServe), move |stop| {
            let prober = Arc::clone(&probing);
            async move { prober.run(stop).await }
        });

        let auditor = Arc::new(Auditor::new(Arc::clone(&redis), database.clone(), &config)?);
        let dead_letters = DeadLetters::new(database.clone(), Arc::clone(&producer), &config);
        let users = Users::new(&config.upstream, cache.clone())?;
        let feed = Arc::new(Feed::new(&database, &cache, users.clone(), &config));
        let stores = Stores { redis: &redis, database: &database, producer: &producer, cache: &cache, users: &users };
        let worker = role.works().then(|| work(stores, &auditor, &config, &mut loops)).transpose()?;

        let waiting = Arc::new(WaitingRooms::new(Arc::clone(&redis), Arc::clone(&campaigns), config.waiting.clone()));
        let claims = Claims::new(Arc::clone(&redis), &config.claim, coupons(&config)?, Arc::clone(&waiting) as _);
        let claims = Arc::new(claims);
        let reporter = Reporter::new(
            Arc::clone(&redis),
            (role.serves(), worker),
            (claims.tally(), loops.board()),
            config.health.clone(),
        );
        let rules = Arc::new(alarm::Settings::new(config.alarm.clone()));
        let snapshot = Snapshot::new(Arc::clone(&redis), database.clone(), Arc::clone(&campaigns), &config)?;
        let alarm = Alarm::new(Arc::clone(&redis), snapshot, database.clone(), Arc::clone(&rules))?;
        watch(&mut loops, reporter, alarm);

        let pass_keys = PassKeys::new(&config.waiting, &config.coupon)?;
        if role.serves() {
            let rooms = Arc::clone(&waiting);
            loops.start((Stage::Follow, "waiting_rooms", Need::ToServe), move |stop| {
                RoomSupervisor::new(Arc::clone(&rooms)).run(stop)
            });
        }

        let listener = http::bind(&config.http).with_context(|| format!("listening on {}", config.http.listen))?;
        let address = listener.local_addr()?;
        let lame_duck = Duration::from_millis(config.http.lame_duck_ms);
        let rooms = http::Services {
            config: config.http.clone(),
            bench: config.bench.clone(),
            page: config.page.clone(),
            auth: config.auth.clone(),
            jwks,
            claims,
            cache,
            campaigns,
            waiting,
            streams_max: config.waiting.streams_max,
            heartbeat: Duration::from_millis(config.waiting.heartbeat_ms),
            passes: Passes::new(&pass_keys, config.waiting.passes_cached_max),
            tickets: Tickets::new(&pass_keys),
            pass_keys,
            feed,
            view_part_max: Duration::from_millis(config.feed.view_part_ms_max),
            auditor,
            dead_letters,
            alarm: rules,
            rows_per_second_max: config.ledger.rows_per_second_max,
            database,
            redis: Arc::clone(&redis),
            metrics,
            health: prober,
            loops: loops.board(),
            leaving: leaving.clone(),
            stop: loops.stop_of(Stage::Serve),
        };
        let edge = if role.serves() { http::router(rooms) } else { http::worker_router(rooms) };
        serve(&mut loops, listener, edge, config.http)?;
        tracing::info!(%address, ?role, "ready");
        Ok(Self { address, redis, loops, leaving, lame_duck })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How its loops are.
    #[must_use]
    pub fn loops(&self) -> Arc<Board> {
        self.loops.board()
    }

    /// Says that it is leaving and goes on for a while, so that whoever sends it requests has time to stop. Safe to drop: then it
    /// has been long enough.
    pub async fn leave(&self) {
        self.leaving.cancel();
        tokio::time::sleep(self.lame_duck).await;
    }

    /// Finishes what was accepted, stage by stage: see [`Stage`]. What is not relayed or written by then waits in its store
    /// for another node.
    pub async fn stop(self) {
        self.leaving.cancel();
        self.loops.stop().await;
        self.redis.close().await;
        tracing::info!("stopped");
    }
}

/// What keeps the node's memory of campaigns up to date, and brings what is behind to Redis.
async fn follow_campaigns(loops: &mut Supervisor, fence: Fence, campaigns: &Arc<Campaigns>) {
    // The first one has read everything before the node listens; one that takes its place reads it anew.
    let first = Mutex::new(Some(Follower::start(Arc::clone(campaigns)).await));
    let all = Arc::clone(campaigns);
    loops.start((Stage::Follow, "campaigns", Need::ToServe), move |stop| {
        let (first, campaigns) = (first.lock().unwrap_or_else(PoisonError::into_inner).take(), Arc::clone(&all));
        async move {
            let follower = match first {
                Some(follower) => follower,
                None => Follower::start(campaigns).await,
            };
            follower.run(stop).await;
        }
    });
    let published = Arc::clone(campaigns);
    loops.start((Stage::Follow, "publisher", Need::Beside), move |stop| {
        Publisher::new(Arc::clone(&published)).run(stop)
    });
    let fence = Arc::new(fence);
    loops.start((Stage::Follow, "fence", Need::ToServe), move |stop| {
        let fence = Arc::clone(&fence);
        async move { fence.run(stop).await }
    });
}

/// Keeps the estimate of Redis' clock and the histograms up to date.
fn keep_time_and_figures(
    loops: &mut Supervisor,
    redis: &Arc<Redis>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    every: Duration,
) {
    loops.start((Stage::Follow, "histograms", Need::Beside), move |stop| telemetry::keep_up(metrics.clone(), stop));
    let clocked = Arc::clone(redis);
    loops.start((Stage::Follow, "clock", Need::ToServe), move |stop| {
        let redis = Arc::clone(&clocked);
        async move { redis.follow_time(every, stop).await }
    });
}

/// Says how this node is, and watches over all of them.
fn watch(loops: &mut Supervisor, reporter: Reporter, alarm: Alarm) {
    let reporter = Arc::new(reporter);
    loops.start((Stage::Watch, "report", Need::Beside), move |stop| {
        let reporter = Arc::clone(&reporter);
        async move { reporter.run(stop).await }
    });
    let alarm = Arc::new(alarm);
    loops.start((Stage::Watch, "alarm", Need::Beside), move |stop| {
        let alarm = Arc::clone(&alarm);
        async move { alarm.run(stop).await }
    });
}

/// Takes connections. One that takes the place of another binds the same address again.
fn serve(
    loops: &mut Supervisor,
    listener: tokio::net::TcpListener,
    edge: http::Edge,
    mut settings: config::Http,
) -> anyhow::Result<()> {
    settings.listen = listener.local_addr()?;
    let (first, edge) = (Mutex::new(Some(listener)), Arc::new(edge));
    loops.start((Stage::Serve, "server", Need::ToServe), move |stop| {
        let first = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (edge, settings) = (Arc::clone(&edge), settings.clone());
        async move {
            let listener = first.map_or_else(|| http::bind(&settings), Ok)?;
            http::serve(listener, edge, settings, stop).await;
            Ok::<_, std::io::Error>(())
        }
    });
    Ok(())
}

/// What the loops of a worker share.
#[derive(Clone, Copy)]
struct Stores<'a> {
    redis: &'a Arc<Redis>,
    database: &'a Database,
    producer: &'a Arc<kafka::Producer>,
    cache: &'a Cache,
    users: &'a Users,
}

/// Starts what a worker does. Answers what it has to say of itself.
fn work(
    stores: Stores<'_>,
    auditor: &Arc<Auditor>,
    config: &Config,
    loops: &mut Supervisor,
) -> anyhow::Result<(Outboxes, RoundsDone)> {
    let shared = || (Arc::clone(stores.redis), stores.database.clone(), Arc::clone(stores.producer), config.clone());
    let (redis, database, producer, _) = shared();
    // It keeps its name and its leases, whoever runs it.
    let relay = Arc::new(Relay::new(Arc::clone(&redis), Arc::clone(&producer), config));
    let outboxes = relay.outboxes();
    loops.start((Stage::Relay, "relay", Need::Beside), move |stop| Arc::clone(&relay).run(stop));

    let contradicted = Arc::default();
    let (_, database_too, producer_too, config_too) = shared();
    let notified = Arc::clone(&contradicted);
    loops.start((Stage::Write, "writer", Need::Beside), move |stop| {
        let writer = Writer::new(database_too.clone(), Arc::clone(&producer_too), &config_too);
        writer.notifying(Arc::clone(&notified)).run(stop)
    });
    let (redis_too, database_too, ..) = shared();
    loops.start((Stage::Mend, "quarantine", Need::Beside), move |stop| {
        Quarantine::new(Arc::clone(&redis_too), database_too.clone(), Arc::clone(&contradicted)).run(stop)
    });
    let (_, database_too, producer_too, config_too) = shared();
    loops.start((Stage::Mend, "dead_letters", Need::Beside), move |stop| {
        Ingester::new(database_too.clone(), Arc::clone(&producer_too), &config_too).run(stop)
    });

    let reconciler = Reconciler::new(Arc::clone(auditor), redis, database, producer, config);
    let rounds = reconciler.rounds();
    let reconciler = Arc::new(tokio::sync::Mutex::new(reconciler));
    loops.start((Stage::Watch, "reconciler", Need::Beside), move |stop| {
        let reconciler = Arc::clone(&reconciler);
        async move { reconciler.lock().await.run(stop).await }
    });

    if config.feed.lanes.contains(&FeedLane::Relay) {
        let (_, database, producer, config) = shared();
        loops.start((Stage::RelayPosts, "post_relay", Need::Beside), move |stop| {
            PostRelay::new(database.clone(), Arc::clone(&producer), &config).run(stop)
        });
    }
    pass_posts(stores, config, loops)?;
    Ok((outboxes, rounds))
}

/// Starts the lanes that posts pass. Each is a stage of its own: they are drained one after the other.
fn pass_posts(stores: Stores<'_>, config: &Config, loops: &mut Supervisor) -> anyhow::Result<()> {
    let own = config::Postgres { connections_max: config.feed.connections_max, ..config.postgres.clone() };
    let database = database::open(&own).context("reading postgres.url")?;
    let context = Arc::new(LaneContext {
        database: database.clone(),
        producer: Arc::clone(stores.producer),
        users: stores.users.clone(),
        inspector: Inspector::new(&config.inspector)?,
        posts: Posts::new(database.clone(), stores.cache.clone()),
        inboxes: Inboxes::new(database.clone(), stores.cache.clone(), config.feed.newest_max),
        pace: Pace::new(database, config.feed.bulk_per_second_max),
        settings: config.feed.clone(),
    });
    let mut place = 0;
    // It works at the pace that these two share, and is drained before them.
    if [FeedLane::Deliver, FeedLane::Index].iter().all(|lane| config.feed.lanes.contains(lane)) {
        let (context, redis, config) = (Arc::clone(&context), Arc::clone(stores.redis), config.clone());
        loops.start((Stage::Lane(place), "feed_reconciler", Need::Beside), move |stop| {
            let reconciler = FeedReconciler::new(Arc::clone(&context), Arc::clone(&redis), &config);
            async move {
                reconciler?.run(stop).await;
                Ok::<_, kafka::KafkaError>(())
            }
        });
    }
    for consumer in FeedConsumer::ALL.into_iter().filter(|consumer| consumer.is_chosen(&config.feed)) {
        place += 1;
        let (context, config) = (Arc::clone(&context), config.clone());
        loops.start((Stage::Lane(place), consumer.name(), Need::Beside), move |stop| {
            LaneWorker::new(consumer, Arc::clone(&context), &config).run(stop)
        });
    }
    Ok(())
}

/// Coupon codes: written with the current key, read with any.
fn coupons(config: &Config) -> anyhow::Result<Coupons> {
    let key = |hex: &str| crate::hex::from_hex(hex).context("a coupon key");
    let coupon = &config.coupon;
    let current = Coupons::new(coupon.key_id, &key(&coupon.key_hex)?);
    coupon.old_keys.iter().try_fold(current, |keys, old| Ok(keys.and_reads(old.key_id, &key(&old.key_hex)?)))
}
