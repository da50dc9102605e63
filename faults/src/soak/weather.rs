//! What goes wrong in a soak? Mild weather, from the seed, all the time: nothing is lost, and nothing that is shared is
//! killed.

use std::sync::Arc;
use std::time::Duration;

use super::sky::Needs;
use super::stage::Stage;
use crate::draw::Draw;
use crate::installation::{Installation, Node, Store};

/// Replies that are lost at a time at most, and for how long they are waited for.
const LOST_MAX: u64 = 4;
const LOSES_FOR: Duration = Duration::from_secs(1);

/// Strikes, one fault after the other, until the soak is over.
pub(super) async fn blow(
    stage: Arc<Stage>,
    installation: Arc<Installation>,
    nodes: Vec<Arc<Node>>,
) -> anyhow::Result<()> {
    let mut draw = Draw::new(stage.scale.seed);
    let calm = stage.scale.calm_ms();
    // Not while connections are still being opened.
    stage.sleep(stage.scale.ramp()).await;
    let mut restart_at = stage.begin + stage.scale.redis_lives_at_first();
    while stage.goes_on() {
        stage.sleep(draw.ms(calm..4 * calm)).await;
        if tokio::time::Instant::now() > restart_at {
            restart_at += stage.scale.redis_lives();
            let down = draw.ms(50..500);
            stage.verdict.count("weather: Redis restarted with its log");
            stage.sky.over_all(installation.without_redis(down)).await?;
            continue;
        }
        strike(&stage, &installation, &nodes, &mut draw).await?;
    }
    for node in &nodes {
        for store in [Store::Redis, Store::Kafka, Store::Postgres] {
            node.proxy(store).clear();
        }
    }
    Ok(())
}

async fn strike(
    stage: &Stage,
    installation: &Installation,
    nodes: &[Arc<Node>],
    draw: &mut Draw,
) -> anyhow::Result<()> {
    let place = draw.place(nodes.len());
    let store = [Store::Redis, Store::Kafka, Store::Postgres][draw.place(3)];
    let proxy = nodes[place].proxy(store);
    let kind = draw.number(0..100);
    let time = draw.ms(100..900);
    stage.verdict.count(match kind {
        0..20 => "weather: a store's answers are late",
        20..35 => "weather: connections to a store cut",
        35..55 => "weather: connections to a store stalled",
        55..70 => "weather: Redis' replies lost",
        70..82 => "weather: a node paused",
        82..90 => "weather: messages between nodes hidden",
        _ => "weather: scripts forgotten",
    });
    match kind {
        // Late is not away: it excuses nothing.
        0..20 => {
            proxy.delay(draw.ms(1..40));
            tokio::time::sleep(time * 3).await;
            proxy.clear();
        }
        20..35 => hurt(stage, nodes, place, store, async { proxy.cut() }).await,
        35..55 => {
            let stalled = async {
                proxy.stall();
                tokio::time::sleep(time).await;
                proxy.clear();
            };
            hurt(stage, nodes, place, store, stalled).await;
        }
        55..70 => {
            let redis = nodes[place].proxy(Store::Redis);
            let count = usize::try_from(draw.number(1..LOST_MAX)).unwrap_or(1);
            let losing = async {
                redis.lose_replies(count);
                tokio::time::sleep(LOSES_FOR).await;
                redis.clear();
            };
            hurt(stage, nodes, place, Store::Redis, losing).await;
        }
        70..82 => match serving(nodes, place) {
            Some(node) => stage.sky.over(node, Needs::BOTH, nodes[place].pause(time)).await?,
            None => nodes[place].pause(time).await?,
        },
        // Nobody who asks should notice that, nor the next one.
        82..90 => {
            for node in nodes {
                node.proxy(Store::Redis).hide_messages();
            }
            tokio::time::sleep(time).await;
            for node in nodes {
                node.proxy(Store::Redis).clear();
            }
        }
        _ => installation.redis().forget_scripts().await?,
    }
    Ok(())
}

/// A fault between a node and a store. Kafka carries what is decided, and the workers do the rest: who asks needs neither.
async fn hurt(stage: &Stage, nodes: &[Arc<Node>], place: usize, store: Store, fault: impl Future<Output = ()>) {
    let hurts = match store {
        Store::Redis => Needs::REDIS,
        Store::Postgres => Needs::POSTGRES,
        Store::Kafka => return fault.await,
    };
    match serving(nodes, place) {
        Some(node) => stage.sky.over(node, hurts, fault).await,
        None => fault.await,
    }
}

/// The place of a node among those that serve.
fn serving(nodes: &[Arc<Node>], place: usize) -> Option<usize> {
    nodes[place].role.serves().then(|| nodes[..place].iter().filter(|node| node.role.serves()).count())
}
