//! How do the rooms come together? The only wiring: builds them, starts the loops, drains them in a written order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alarm::Alarm;
use crate::cache::Cache;
use crate::campaign::{Campaigns, Follower, Publisher};
use crate::claim::{Claims, Coupons};
use crate::clock;
use crate::config::{self, Config, FeedLane};
use crate::database::{self, Database};
use crate::feed::inspect::Inspector;
use crate::feed::{Feed, Inboxes, LaneWorker, Means, Pace, PostRelay, Posts, Reads};
use crate::http;
use crate::kafka;
use crate::ledger::{Auditor, Halter, Reconciler, Relay, VitalsReader, Writer};
use crate::letters::{Copier, LetterBox};
use crate::redis::Redis;
use crate::telemetry;
use crate::upstream::Users;
use crate::waiting::{PassKeys, Passes, Tickets, WaitingRooms, Warden};

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
    stops: Stops,
    server: JoinHandle<()>,
    followers: Vec<JoinHandle<()>>,
    workers: Option<Workers>,
}

/// The loops of a node that works.
struct Workers {
    watchers: Vec<JoinHandle<()>>,
    relay: JoinHandle<()>,
    writer: JoinHandle<()>,
    menders: Vec<JoinHandle<()>>,
    post_relay: Option<JoinHandle<()>>,
    lanes: Vec<(CancellationToken, JoinHandle<()>)>,
}

/// One signal for each step of the drain.
#[derive(Default)]
struct Stops {
    server: CancellationToken,
    followers: CancellationToken,
    watchers: CancellationToken,
    relay: CancellationToken,
    writer: CancellationToken,
    menders: CancellationToken,
    post_relay: CancellationToken,
}

impl Node {
    /// Connects to the stores and starts to do what the role says. Redis must be there; Kafka and the database may be
    /// away, and are waited for.
    pub async fn start(config: Config, role: Role) -> anyhow::Result<Self> {
        config.check_secrets()?;
        clock::set_ahead_ms(config.bench.clock_ahead_ms);
        let metrics = telemetry::metrics();
        let mut redis = Redis::connect(&config.redis).await.context("connecting to Redis")?;
        if config.bench.deaf {
            redis = redis.deafened();
        }
        let redis = Arc::new(redis);
        redis.check_fitness().await?;
        redis.learn_time().await;
        let database = database::open(&config.postgres).context("reading postgres.url")?;
        let campaigns = Arc::new(Campaigns::new(Arc::clone(&redis), database.clone(), config.campaign.clone()));
        let stops = Stops::default();

        let follower = Follower::start(Arc::clone(&campaigns)).await;
        let publisher = Publisher::new(Arc::clone(&campaigns));
        let (stop, stop_too) = (stops.followers.clone(), stops.followers.clone());
        let mut followers = vec![
            tokio::spawn(async move {
                if let Err(error) = follower.run(stop).await {
                    tracing::error!(%error, "this node hears of changes no more");
                }
            }),
            tokio::spawn(publisher.run(stop_too)),
        ];

        followers.push(tokio::spawn(telemetry::keep_up(metrics.clone(), stops.followers.clone())));

        let (redis_too, every) = (Arc::clone(&redis), Duration::from_millis(config.claim.clock_every_ms));
        let stop = stops.followers.clone();
        followers.push(tokio::spawn(async move { redis_too.follow_time(every, stop).await }));

        let cache = Cache::new(Arc::clone(&redis), &config.cache);
        let (pulse, stop) = (cache.pulse(), stops.followers.clone());
        followers.push(tokio::spawn(async move {
            if let Err(error) = Box::pin(pulse.run(stop)).await {
                tracing::error!(%error, "this node does not believe what it has cached any more");
            }
        }));

        let jwks = Arc::new(http::Jwks::start(&config.auth).await?);
        followers.push(tokio::spawn(Arc::clone(&jwks).run(stops.followers.clone())));

        let producer = Arc::new(kafka::Producer::new(&config.kafka).context("preparing the Kafka producer")?);
        let auditor = Arc::new(Auditor::new(Arc::clone(&redis), database.clone(), &config)?);
        let letters = LetterBox::new(database.clone(), Arc::clone(&producer), &config);
        let users = Users::new(&config.upstream, cache.clone())?;
        let feed = Arc::new(Feed::new(&database, &cache, users.clone(), &config));
        let stores = Stores { redis: &redis, database: &database, producer: &producer, cache: &cache, users: &users };
        let workers = role.works().then(|| work(stores, &auditor, &config, &stops)).transpose()?;

        let pass_keys = PassKeys::new(&config.waiting, &config.coupon)?;
        let waiting = Arc::new(WaitingRooms::new(Arc::clone(&redis), Arc::clone(&campaigns), config.waiting.clone()));
        if role.serves() {
            let (warden, stop) = (Warden::new(Arc::clone(&waiting)), stops.followers.clone());
            followers.push(tokio::spawn(async move {
                if let Err(error) = warden.run(stop).await {
                    tracing::error!(%error, "this node admits nobody");
                }
            }));
        }

        let listener = http::bind(&config.http).with_context(|| format!("listening on {}", config.http.listen))?;
        let address = listener.local_addr()?;
        let rooms = http::Rooms {
            config: config.http.clone(),
            bench: config.bench.clone(),
            page: config.page.clone(),
            auth: config.auth.clone(),
            jwks,
            claims: Arc::new(Claims::new(Arc::clone(&redis), &config.claim)),
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
            coupons: coupons(&config)?,
            auditor,
            letters,
            alarm: config.alarm,
            rows_per_second_max: config.ledger.rows_per_second_max,
            database,
            redis: Arc::clone(&redis),
            metrics,
            stop: stops.server.clone(),
        };
        let edge = if role.serves() { http::router(rooms) } else { http::worker_router(rooms) };
        let server = tokio::spawn(http::serve(listener, edge, config.http, stops.server.clone()));
        tracing::info!(%address, ?role, "ready");
        Ok(Self { address, redis, stops, server, followers, workers })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes what was accepted, each step after the one that feeds it: requests, then the loops that follow
    /// campaigns and those that watch, then the relay (its last publish and delete), then the writer (its last
    /// transaction and offsets), then those that take care of what it left over (dead letters, contradictions); beside
    /// it the posts' relay, and the lanes that posts pass, each after those that feed it. What is not relayed or written
    /// by then waits in its store for another node.
    pub async fn stop(self) {
        self.stops.server.cancel();
        ended("server", self.server).await;
        self.stops.followers.cancel();
        for follower in self.followers {
            ended("follower", follower).await;
        }
        if let Some(workers) = self.workers {
            self.stops.watchers.cancel();
            for watcher in workers.watchers {
                ended("watcher", watcher).await;
            }
            self.stops.relay.cancel();
            ended("relay", workers.relay).await;
            self.stops.writer.cancel();
            ended("writer", workers.writer).await;
            self.stops.post_relay.cancel();
            if let Some(post_relay) = workers.post_relay {
                ended("post relay", post_relay).await;
            }
            for (stop, lane) in workers.lanes {
                stop.cancel();
                ended("lane", lane).await;
            }
            self.stops.menders.cancel();
            for mender in workers.menders {
                ended("mender", mender).await;
            }
        }
        self.redis.close().await;
        tracing::info!("stopped");
    }
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

/// Starts what a worker does.
fn work(stores: Stores<'_>, auditor: &Arc<Auditor>, config: &Config, stops: &Stops) -> anyhow::Result<Workers> {
    let redis = || Arc::clone(stores.redis);
    let database = || stores.database.clone();
    let producer = || Arc::clone(stores.producer);
    let relay = Relay::new(redis(), producer(), config);
    let writer = Writer::new(database(), producer(), config);
    let copier = Copier::new(database(), config);
    let halter = Halter::new(redis(), database(), writer.contradicted());
    let reconciler = Reconciler::new(Arc::clone(auditor), redis(), database(), producer(), config);
    let vitals = VitalsReader::new(database(), &relay, &writer, config);
    let alarm = Alarm::new(redis(), vitals, database(), config)?;
    let relays_posts = config.feed.lanes.contains(&FeedLane::Relay);
    let post_relay = relays_posts.then(|| PostRelay::new(database(), producer(), config));
    Ok(Workers {
        watchers: vec![
            tokio::spawn(reconciler.run(stops.watchers.clone())),
            tokio::spawn(alarm.run(stops.watchers.clone())),
        ],
        relay: tokio::spawn(relay.run(stops.relay.clone())),
        writer: tokio::spawn(writer.run(stops.writer.clone())),
        menders: vec![tokio::spawn(copier.run(stops.menders.clone())), tokio::spawn(halter.run(stops.menders.clone()))],
        post_relay: post_relay.map(|relay| tokio::spawn(relay.run(stops.post_relay.clone()))),
        lanes: lanes(stores, config)?,
    })
}

/// Starts the lanes that posts pass. Each has a signal of its own: they are drained one after the other.
fn lanes(stores: Stores<'_>, config: &Config) -> anyhow::Result<Vec<(CancellationToken, JoinHandle<()>)>> {
    let own = config::Postgres { connections_max: config.feed.connections_max, ..config.postgres.clone() };
    let database = database::open(&own).context("reading postgres.url")?;
    let means = Arc::new(Means {
        database: database.clone(),
        producer: Arc::clone(stores.producer),
        users: stores.users.clone(),
        inspector: Inspector::new(&config.inspector)?,
        posts: Posts::new(database.clone(), stores.cache.clone()),
        inboxes: Inboxes::new(database.clone(), stores.cache.clone(), config.feed.newest_max),
        pace: Pace::new(database, config.feed.bulk_per_second_max),
        settings: config.feed.clone(),
    });
    let start = |reads| {
        let stop = CancellationToken::new();
        let worker = LaneWorker::new(reads, Arc::clone(&means), config);
        (stop.clone(), tokio::spawn(worker.run(stop)))
    };
    Ok(Reads::ALL.into_iter().filter(|reads| reads.is_chosen(&config.feed)).map(start).collect())
}

async fn ended(name: &'static str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(name, %error, "a loop had ended badly");
    }
}

/// Coupon codes: written with the current key, read with any.
fn coupons(config: &Config) -> anyhow::Result<Coupons> {
    let key = |hex: &str| {
        let mut key = [0; 32];
        for (byte, start) in key.iter_mut().zip((0..hex.len()).step_by(2)) {
            *byte = u8::from_str_radix(&hex[start..start + 2], 16).context("a coupon key")?;
        }
        anyhow::Ok(key)
    };
    let coupon = &config.coupon;
    let current = Coupons::new(coupon.key_id, &key(&coupon.key_hex)?);
    coupon.old_keys.iter().try_fold(current, |keys, old| Ok(keys.and_reads(old.key_id, &key(&old.key_hex)?)))
}
