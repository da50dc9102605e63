//! Making, changing, pausing and closing a campaign: the row first, then Redis, then everybody else.
//!
//! What was begun is finished by us, not by its caller: each change runs in a task of its own, since whoever asked for it may
//! hang up. A row counts as published only when all nodes were told; until then every node's publisher finds it.

use std::sync::Arc;

use super::campaigns::Campaigns;
use super::catalog::Campaign;
use super::definition::{Definition, Message, Order, Spec};
use super::error::CampaignError;
use super::put::{Put, announce, put};
use super::table::{self, Stored};
use crate::clock::Millis;
use crate::ids::CampaignId;

/// How often a change is tried again when others change the same row.
const TRIES_MAX: usize = 20;

/// What a POST met.
#[derive(Debug)]
pub enum Created {
    /// It is new.
    New,
    /// It was made before, with the same content.
    Same,
    /// The id is taken, by other content.
    Other,
}

/// Members to change; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// A new name.
    pub name: Option<String>,
    /// A new stock; lower only before the campaign opens.
    pub stock: Option<u64>,
    /// A higher limit.
    pub per_user_limit: Option<u32>,
    /// A new opening, until it has opened; `Some(None)`: open at once.
    pub opens_at: Option<Option<Millis>>,
    /// A new end; `Some(None)`: until closed.
    pub closes_at: Option<Option<Millis>>,
    /// Whether the public list shows it.
    pub listed: Option<bool>,
    /// How the waiting room admits; `Some(None)`: there shall be none, which holds only where there is none.
    pub waiting: Option<Option<WaitingChange>>,
}

/// Members of a waiting room's settings to change; `None` stays as it is. Of a campaign without a room, what is not
/// given has its default.
#[derive(Debug, Clone, Default)]
pub struct WaitingChange {
    /// The pace; `Some(None)`: none.
    pub admit: Option<Option<u64>>,
    /// The length of its window; `Some(None)`: none.
    pub every_ms: Option<Option<u64>>,
    /// The cap; `Some(None)`: none.
    pub active_max: Option<Option<u64>>,
    /// See [`super::Waiting::pass_ttl_s`].
    pub pass_ttl_s: Option<u64>,
    /// See [`super::Waiting::claim_pass_within_s`].
    pub claim_pass_within_s: Option<u64>,
    /// Who is next; only where there was no room before.
    pub order: Option<Order>,
    /// See [`super::Waiting::reserve`].
    pub reserve: Option<u64>,
    /// What is said to visitors; `Some(None)`: nothing.
    pub message: Option<Option<Message>>,
}

/// Why a change is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The stock of a campaign that has opened only grows.
    StockCannotShrink,
    /// Closed for good.
    Closed,
    /// A member that cannot take this value now.
    Member {
        /// Its name.
        name: &'static str,
        /// Why.
        why: &'static str,
    },
}

/// What an operator switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// No claims until resumed.
    Pause,
    /// Claims again.
    Resume,
    /// No claims ever again.
    Close,
}

impl Campaigns {
    /// Makes a campaign. The same content again is the same campaign, whatever was changed since.
    pub async fn create(self: &Arc<Self>, draft: Spec) -> Result<(Created, Option<Arc<Campaign>>), CampaignError> {
        let campaigns = Arc::clone(self);
        to_its_end(async move { campaigns.make(&draft).await }).await
    }

    async fn make(&self, draft: &Spec) -> Result<(Created, Option<Arc<Campaign>>), CampaignError> {
        let existing = table::find(&self.database, &draft.id).await?;
        if existing.is_none() {
            if table::count(&self.database).await? >= self.limits.campaigns_max as u64 {
                return Err(CampaignError::TooMany(self.limits.campaigns_max));
            }
            if let Some(stored) = table::insert(&self.database, draft, draw_seed(draft, None).as_deref()).await? {
                return Ok((Created::New, Some(self.publish(&stored).await?.done()?)));
            }
        }
        let stored = match existing {
            Some(stored) => stored,
            None => table::find(&self.database, &draft.id).await?.ok_or(CampaignError::Contended)?,
        };
        if stored.first_content != *draft {
            return Ok((Created::Other, None));
        }
        // The first POST may have died between the row and Redis.
        Ok((Created::Same, Some(self.publish(&stored).await?.done()?)))
    }

    /// Changes members of a campaign; `None`: there is none.
    pub async fn change(
        self: &Arc<Self>,
        id: CampaignId,
        change: Change,
    ) -> Result<Option<Result<Arc<Campaign>, Refused>>, CampaignError> {
        let campaigns = Arc::clone(self);
        to_its_end(async move {
            let now = campaigns.redis.time().await?;
            campaigns.replace(&id, |definition| apply(definition, &change, now)).await
        })
        .await
    }

    /// Pauses, resumes or closes a campaign; `None`: there is none.
    pub async fn switch(
        self: &Arc<Self>,
        id: CampaignId,
        switch: Switch,
    ) -> Result<Option<Result<Arc<Campaign>, Refused>>, CampaignError> {
        let campaigns = Arc::clone(self);
        to_its_end(async move {
            let now = campaigns.redis.time().await?;
            campaigns.replace(&id, |definition| flip(definition, switch, now)).await
        })
        .await
    }

    async fn replace(
        &self,
        id: &CampaignId,
        edit: impl Fn(&mut Definition) -> Result<(), Refused>,
    ) -> Result<Option<Result<Arc<Campaign>, Refused>>, CampaignError> {
        for _ in 0..TRIES_MAX {
            let Some(mut stored) = table::find(&self.database, id).await? else { return Ok(None) };
            let mut changed = stored.definition.clone();
            if let Err(refused) = edit(&mut changed) {
                return Ok(Some(Err(refused)));
            }
            if changed != stored.definition {
                changed.draw_seed = draw_seed(&changed.spec, changed.draw_seed.take());
                changed.version += 1;
                if !table::replace(&self.database, &changed).await? {
                    continue;
                }
                stored.definition = changed;
            }
            return Ok(Some(match self.publish(&stored).await? {
                Published::Done(campaign) => Ok(campaign),
                Published::StockKept => Err(Refused::StockCannotShrink),
            }));
        }
        Err(CampaignError::Contended)
    }

    /// Brings a row into Redis, and the news of it to every node.
    pub(super) async fn publish(&self, stored: &Stored) -> Result<Published, CampaignError> {
        let definition = &stored.definition;
        let campaign = self.catalog.learn(definition.clone());
        if stored.published_version >= definition.version {
            return Ok(Published::Done(campaign));
        }
        let mut put_before = stored.ever_put;
        loop {
            match put(&self.redis, &self.limits, &campaign, definition, put_before).await? {
                Put::Created | Put::Unchanged | Put::Applied if !put_before => {
                    // It is in Redis, and refuses claims. Once the database knows that, the second put arms it.
                    table::mark_put(&self.database, definition.id()).await?;
                    put_before = true;
                }
                Put::Created | Put::Unchanged | Put::Applied => break,
                Put::Lost => return Err(CampaignError::Lost),
                Put::OutboxFull => return Err(CampaignError::OutboxFull),
                Put::StockCannotShrink { stock } => {
                    self.take_back_stock(definition.id(), stock).await?;
                    return Ok(Published::StockKept);
                }
            }
        }
        // In this order (told_before_marked, see docs/protocol.md): what is marked is never looked for again.
        announce(&self.redis, definition.id()).await?;
        campaign.forget_counters().await;
        table::mark_published(&self.database, definition.id(), definition.version).await?;
        Ok(Published::Done(campaign))
    }

    /// The campaign opened between the check and the put: Redis kept its stock, so the row follows Redis.
    async fn take_back_stock(&self, id: &CampaignId, stock: u64) -> Result<(), CampaignError> {
        for _ in 0..TRIES_MAX {
            let Some(stored) = table::find(&self.database, id).await? else { return Ok(()) };
            let mut changed = stored.definition;
            if changed.spec.stock >= stock {
                return Ok(());
            }
            changed.spec.stock = stock;
            changed.version += 1;
            if table::replace(&self.database, &changed).await? {
                // The row is behind its version now: the publisher puts it.
                return Ok(());
            }
        }
        Err(CampaignError::Contended)
    }
}

/// Runs it in a task of its own, and hears how it ended. Whoever hangs up meanwhile hears nothing, and it goes on.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, CampaignError>> + Send + 'static,
) -> Result<T, CampaignError> {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going down: what is half done is found by the publishers of other nodes.
            Err(_cancelled) => Err(CampaignError::Contended),
        },
    }
}

fn flip(definition: &mut Definition, switch: Switch, now: Millis) -> Result<(), Refused> {
    let over = definition.closed || definition.spec.closes_at.is_some_and(|closes_at| now >= closes_at);
    match switch {
        Switch::Close => definition.closed = true,
        Switch::Pause | Switch::Resume if over => return Err(Refused::Closed),
        Switch::Pause => definition.paused = true,
        Switch::Resume => definition.paused = false,
    }
    Ok(())
}

/// The seed of a draw is made once, with the room, so that its hash is public from then on.
fn draw_seed(spec: &Spec, made_before: Option<String>) -> Option<String> {
    let is_drawn = spec.waiting.as_ref().is_some_and(|waiting| waiting.order == Order::Draw);
    made_before.or_else(|| is_drawn.then(|| format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())))
}

fn apply(definition: &mut Definition, change: &Change, now: Millis) -> Result<(), Refused> {
    let spec = &mut definition.spec;
    let has_opened = spec.opens_at.is_none_or(|opens_at| now >= opens_at);
    if let Some(stock) = change.stock {
        if stock < spec.stock && has_opened {
            return Err(Refused::StockCannotShrink);
        }
        spec.stock = stock;
    }
    if let Some(limit) = change.per_user_limit {
        if limit < spec.per_user_limit {
            return Err(Refused::Member { name: "per_user_limit", why: "can only be raised" });
        }
        spec.per_user_limit = limit;
    }
    if let Some(opens_at) = change.opens_at {
        if has_opened && opens_at != spec.opens_at {
            return Err(Refused::Member { name: "opens_at", why: "cannot change once the campaign has opened" });
        }
        spec.opens_at = opens_at;
    }
    if let Some(closes_at) = change.closes_at {
        spec.closes_at = closes_at;
    }
    if let (Some(opens_at), Some(closes_at)) = (spec.opens_at, spec.closes_at)
        && closes_at <= opens_at
    {
        let name = if change.closes_at.is_some() { "closes_at" } else { "opens_at" };
        return Err(Refused::Member { name, why: "closes_at must be later than opens_at" });
    }
    if let Some(waiting) = &change.waiting {
        change_waiting(spec, waiting.as_ref(), has_opened)?;
    } else if spec.waiting.as_ref().is_some_and(|waiting| waiting.field_error(spec.opens_at).is_some()) {
        // All that another member can take away from a room.
        return Err(Refused::Member { name: "opens_at", why: "the draw of the waiting room needs it" });
    }
    if let Some(name) = &change.name {
        spec.name.clone_from(name);
    }
    if let Some(listed) = change.listed {
        spec.listed = listed;
    }
    Ok(())
}

fn change_waiting(spec: &mut Spec, change: Option<&WaitingChange>, has_opened: bool) -> Result<(), Refused> {
    let refused = |name, why| Err(Refused::Member { name, why });
    let Some(change) = change else {
        return if spec.waiting.is_none() { Ok(()) } else { refused("waiting", "cannot be taken away") };
    };
    if spec.waiting.is_none() && has_opened {
        return refused("waiting", "cannot be added once the campaign has opened");
    }
    let mut waiting = spec.waiting.clone().unwrap_or_default();
    // Who has joined has done so for the order that was announced.
    if spec.waiting.is_some() && change.order.is_some_and(|order| order != waiting.order) {
        return refused("waiting/order", "cannot change once there is a waiting room");
    }
    waiting.admit = change.admit.unwrap_or(waiting.admit);
    waiting.every_ms = change.every_ms.unwrap_or(waiting.every_ms);
    waiting.active_max = change.active_max.unwrap_or(waiting.active_max);
    waiting.pass_ttl_s = change.pass_ttl_s.unwrap_or(waiting.pass_ttl_s);
    waiting.claim_pass_within_s = change.claim_pass_within_s.unwrap_or(waiting.claim_pass_within_s);
    waiting.order = change.order.unwrap_or(waiting.order);
    waiting.reserve = change.reserve.unwrap_or(waiting.reserve);
    if let Some(message) = &change.message {
        waiting.message.clone_from(message);
    }
    if let Some((name, why)) = waiting.field_error(spec.opens_at) {
        return refused(name, why);
    }
    spec.waiting = Some(waiting);
    Ok(())
}

/// What became of a row on its way to Redis.
pub(super) enum Published {
    /// Redis has it, and every node will.
    Done(Arc<Campaign>),
    /// The campaign the campaign opened before its stock was lowered: it keeps its stock.
    StockKept,
}

impl Published {
    /// Of a first put, which lowers nothing.
    fn done(self) -> Result<Arc<Campaign>, CampaignError> {
        match self {
            Self::Done(campaign) => Ok(campaign),
            Self::StockKept => Err(CampaignError::Contended),
        }
    }
}
