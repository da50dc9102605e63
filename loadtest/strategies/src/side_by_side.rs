//! All ways, one after the other, on the same stores, with the same users: how fast is each, and how wrong?

use std::sync::Arc;

use anyhow::Context;
use onrush::campaign::{Campaign, Campaigns, Spec};
use onrush::claim::{Claims, Coupons};
use onrush::ids::UserId;
use onrush::kafka::Producer;
use onrush::ledger::{Relay, Writer};
use onrush::waiting::WaitingRooms;
use report::data::Strategy;
use tokio_util::sync::CancellationToken;

use crate::driver::{Load, drive};
use crate::judge::{Decision, Faults, History, judge};
use crate::stores::Stores;
use crate::ways::{GetThenDecr, InOnrush, InRows, Lock, Locking, OneCall, RedisLock, Waiting, Way};

/// What became of one way.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// As it is reported.
    pub strategy: Strategy,
    /// As it was judged.
    pub faults: Faults,
}

/// Lets every way sell the same stock to the same users, and calls back after each.
pub async fn compare(stores: &Stores, load: Load, mut done: impl FnMut(&Outcome)) -> anyhow::Result<Vec<Outcome>> {
    let mut all = Vec::new();
    let mut keep = |outcome: Outcome| {
        done(&outcome);
        all.push(outcome);
    };
    for (sale, locking) in
        [("plain", Locking::None), ("pessimistic", Locking::Pessimistic), ("optimistic", Locking::Optimistic)]
    {
        let rows = InRows::new(stores.database.clone(), sale, load.stock, locking).await?;
        keep(measure(rows, load).await?);
    }
    for (sale, waiting) in [("spinning", Waiting::Spinning), ("woken", Waiting::Woken)] {
        let rows = InRows::new(stores.database.clone(), sale, load.stock, Locking::None).await?;
        let subscriber = match waiting {
            Waiting::Spinning => None,
            Waiting::Woken => Some(stores.subscriber().await?),
        };
        let lock = Lock::new(stores.client.clone(), &stores.key(sale), subscriber).await?;
        keep(measure(RedisLock::new(rows, lock), load).await?);
    }
    keep(measure(GetThenDecr::new(stores.client.clone(), &stores.key("counter"), load.stock).await?, load).await?);
    let campaigns = Campaigns::new(Arc::clone(&stores.redis), stores.database.clone(), stores.config.campaign.clone());
    let campaigns = Arc::new(campaigns);
    let campaign = create(&campaigns, "one-call", load.stock).await?;
    keep(measure(OneCall::new(Arc::clone(&stores.redis), stores.client.clone(), campaign.id()), load).await?);
    keep(measure_onrush(stores, &campaigns, load).await?);
    Ok(all)
}

/// Onrush with all that makes rows of its claims. A claim of another campaign first, so that the rush finds relay and
/// writer at work and does not measure how long they take to begin.
async fn measure_onrush(stores: &Stores, campaigns: &Arc<Campaigns>, load: Load) -> anyhow::Result<Outcome> {
    let config = &stores.config;
    let producer = Arc::new(Producer::new(&config.kafka)?);
    let stop = CancellationToken::new();
    let relay = Arc::new(Relay::new(Arc::clone(&stores.redis), Arc::clone(&producer), config));
    let writer = Writer::new(stores.database.clone(), producer, config);
    let workers = [tokio::spawn(relay.run(stop.clone())), tokio::spawn(writer.run(stop.clone()))];
    let sale = |campaign| {
        let waiting = WaitingRooms::new(Arc::clone(&stores.redis), Arc::clone(campaigns), config.waiting.clone());
        let (coupons, waiting) = (Coupons::new(1, &[7; 32]), Arc::new(waiting));
        let claims = Claims::new(Arc::clone(&stores.redis), &config.claim, coupons, waiting);
        InOnrush::new(claims, campaign, stores.database.clone(), config.ledger.rows_per_second_max)
    };
    let measured = async {
        let first = sale(create(campaigns, "onrush-first", 1).await?);
        first.ask("nobody".parse::<UserId>()?).await?;
        first.rows_are_there(1).await.context("before the rush")?;
        measure(sale(create(campaigns, "onrush", load.stock).await?), load).await
    }
    .await;
    stop.cancel();
    for worker in workers {
        worker.await?;
    }
    measured
}

async fn create(campaigns: &Arc<Campaigns>, id: &str, stock: u64) -> anyhow::Result<Arc<Campaign>> {
    let draft = Spec { listed: false, ..Spec::new(id.parse()?, id, stock) };
    let (_, campaign) = campaigns.create(draft).await?;
    campaign.context("the campaign is new")
}

/// One way: the rush, then the judgement.
async fn measure<W: Way>(way: W, load: Load) -> anyhow::Result<Outcome> {
    let way = Arc::new(way);
    let mut driven = drive(&way, load).await.with_context(|| way.name())?;
    let settled = way.settle().await.with_context(|| way.name())?;
    let (p50_ms, p99_ms) = (driven.percentile_ms(50), driven.percentile_ms(99));
    let heard = std::mem::take(&mut driven.heard);
    let count = |told: fn(Decision) -> bool| heard.iter().filter(|heard| told(heard.told)).count() as u64;
    let granted = count(|told| matches!(told, Decision::Number(_)));
    let gave_up = count(|told| told == Decision::GaveUp);
    let sales = way.sales().await.with_context(|| way.name())?;
    let history = History { stock: load.stock, was_cut_off: driven.was_cut_off, heard, sales };
    let faults = judge(&history);
    let answered = history.heard.len() as u64;
    let seconds = driven.took.as_secs_f64();
    let mut notes = vec![way.note(), format!("granted {granted}")];
    notes.extend(settled);
    if gave_up > 0 {
        notes.push(format!("{gave_up} heard that it did not work"));
    }
    if faults.unrecorded > 0 {
        notes.push(format!("{} promises that the store does not have, or has twice", faults.unrecorded));
    }
    notes.extend(driven.error.map(|error| format!("the first error: {error}")));
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^53")]
    let per_second = if seconds > 0.0 { answered as f64 / seconds } else { 0.0 };
    let strategy = Strategy {
        name: way.name().to_owned(),
        is_correct: way.is_correct(),
        answered,
        asked: load.users,
        seconds,
        was_cut_off: driven.was_cut_off,
        per_second,
        p50_ms,
        p99_ms,
        oversold: faults.oversold,
        undersold: faults.undersold,
        out_of_order: faults.out_of_order,
        note: notes.join("; "),
    };
    Ok(Outcome { strategy, faults })
}

impl Outcome {
    /// What is worth a failure: a correct one that does not sell exactly, or a wrong one that nobody saw to be wrong.
    #[must_use]
    pub fn surprise(&self) -> Option<String> {
        let Self { strategy, faults } = self;
        let what = match (strategy.is_correct, faults.is_exact()) {
            (true, false) => "does not sell exactly",
            (false, true) => "was not seen to be wrong",
            (true, true) | (false, false) => return None,
        };
        Some(format!("{} {what}: {faults:?}; {}", strategy.name, strategy.note))
    }
}
