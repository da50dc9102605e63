//! Every key and channel, spelled once.
//!
//! | key | written by | read by |
//! |---|---|---|
//! | `{id}:campaign` | campaign, claim, relay (its outbox count), ledger (halt) | campaign, claim, ledger (auditor) |
//! | `{id}:holders`, `{id}:claims` | claim | claim, ledger (auditor) |
//! | `{id}:redemptions` | claim | claim |
//! | `{id}:outbox` | campaign, claim (append), relay (delete) | relay, ledger (auditor) |
//! | `{id}:relay`, `{id}:fence` | relay | relay |
//! | `{id}:mark` | redis (lanes) | nobody: a write for WAIT and the log to follow |
//! | `{id}:room`, `{id}:places`, `{id}:departures`, `{id}:pace`, `{id}:arrivals`, `{id}:waits`, `{id}:draw_list:{hash}` | waiting | waiting |
//! | `{id}:inside`, `{id}:passes` | waiting, claim (which ends passes) | waiting, claim |
//! | `directory` | campaign | campaign, relay |
//! | `lease:{job}` | ledger (reconciler), alarm | the same |
//! | `alarms` | alarm | alarm |
//! | `{cache-n}:values`, `{cache-n}:locks`, `{cache-n}:expiry`, `{cache-n}:meta` | cache | cache |
//! | `cache:switch` | cache | cache |

use super::messages::Channel;
use crate::ids::CampaignId;

/// Spells keys with an installation's prefix.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
}

/// The keys of one campaign. They share the hash tag `{id}`, so a cluster keeps them in one slot.
#[derive(Debug, Clone)]
pub struct CampaignKeys {
    stem: String,
}

impl Keys {
    /// The prefix may be empty; it has no braces.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Of this campaign.
    #[must_use]
    pub fn of(&self, campaign: &CampaignId) -> CampaignKeys {
        CampaignKeys { stem: format!("{}{{{campaign}}}", self.prefix) }
    }

    /// Sorted set: campaign id by the sequence of its last change.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}directory", self.prefix)
    }

    /// String with expiry: which node does a job that one does at a time.
    #[must_use]
    pub fn lease(&self, job: &str) -> String {
        format!("{}lease:{job}", self.prefix)
    }

    /// Hash: alarm rule to its state.
    #[must_use]
    pub fn alarms(&self) -> String {
        format!("{}alarms", self.prefix)
    }

    /// String without a meaning: written to see whether a server takes writes. Each tag is a slot's.
    #[must_use]
    pub fn probe(&self, tag: u16) -> String {
        format!("{}{{probe-{tag}}}", self.prefix)
    }

    /// Hash: node to what it says of itself.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    /// One shard of the cache: values, locks, expiry and meta, in this order. They share the hash tag `{cache-n}`.
    ///
    /// - Hash: `kind:key` to fresh until, made at, payload.
    /// - Hash: `kind:key` to deadline and owner of who loads it.
    /// - Sorted set: `kind:key` to kept until, in ms.
    /// - Hash: bytes and entries of the shard.
    #[must_use]
    pub fn cache_shard(&self, shard: u32) -> [String; 4] {
        ["values", "locks", "expiry", "meta"].map(|name| format!("{}{{cache-{shard}}}:{name}", self.prefix))
    }

    /// Hash: whether the cache is bypassed.
    #[must_use]
    pub fn cache_switch(&self) -> String {
        format!("{}cache:switch", self.prefix)
    }

    /// The channel's name in Redis.
    #[must_use]
    pub fn channel(&self, channel: Channel) -> String {
        format!("{}{}", self.prefix, channel.name())
    }
}

impl CampaignKeys {
    /// Hash: stock, window, limit, counters, epoch. See `lua/prelude.lua`.
    #[must_use]
    pub fn campaign(&self) -> String {
        format!("{}:campaign", self.stem)
    }

    /// Hash: user to number:attempt:state,...
    #[must_use]
    pub fn holders(&self) -> String {
        format!("{}:holders", self.stem)
    }

    /// Hash: number to user, time, attempt, state, generation.
    #[must_use]
    pub fn claims(&self) -> String {
        format!("{}:claims", self.stem)
    }

    /// Hash: number to when the coupon was used and by which calls. See `lua/prelude.lua`.
    #[must_use]
    pub fn redemptions(&self) -> String {
        format!("{}:redemptions", self.stem)
    }

    /// Stream: facts that Kafka does not have yet.
    #[must_use]
    pub fn outbox(&self) -> String {
        format!("{}:outbox", self.stem)
    }

    /// String with expiry: who relays the campaign.
    #[must_use]
    pub fn relay(&self) -> String {
        format!("{}:relay", self.stem)
    }

    /// Counter: the last fencing token of a relay.
    #[must_use]
    pub fn fence(&self) -> String {
        format!("{}:fence", self.stem)
    }

    /// String without a meaning: written to learn how well the writes before it are kept.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("{}:mark", self.stem)
    }

    /// Hash: a waiting room's counters. See `lua/waiting/prelude.lua`.
    #[must_use]
    pub fn room(&self) -> String {
        format!("{}:room", self.stem)
    }

    /// Sorted set: user to arrival number.
    #[must_use]
    pub fn places(&self) -> String {
        format!("{}:places", self.stem)
    }

    /// String with expiry: the list that an order was drawn from, with its hash in the name: another list is another key.
    #[must_use]
    pub fn draw_list(&self, list_hash: &str) -> String {
        format!("{}:draw_list:{list_hash}", self.stem)
    }

    /// Sorted set: user to the deadline of their pass, in ms.
    #[must_use]
    pub fn inside(&self) -> String {
        format!("{}:inside", self.stem)
    }

    /// Hash: user to the number of the place that their pass was given for, and its state.
    #[must_use]
    pub fn passes(&self) -> String {
        format!("{}:passes", self.stem)
    }

    /// Hash: seconds to the users who waited so long before they were admitted.
    #[must_use]
    pub fn waits(&self) -> String {
        format!("{}:waits", self.stem)
    }

    /// What `lua/claim/issue.lua` is called with.
    #[must_use]
    pub fn issue(&self) -> [String; 6] {
        [self.campaign(), self.holders(), self.claims(), self.outbox(), self.inside(), self.passes()]
    }

    /// What every script of a waiting room is called with. See `lua/waiting/prelude.lua`.
    #[must_use]
    pub fn waiting_room(&self) -> [String; 9] {
        let key = |name: &str| format!("{}:{name}", self.stem);
        [
            self.campaign(),
            self.room(),
            self.places(),
            self.inside(),
            self.passes(),
            key("departures"),
            key("pace"),
            key("arrivals"),
            self.waits(),
        ]
    }
}
