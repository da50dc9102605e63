//! Everything that is on its way arrives before a rebuild reads: outboxes, what relays have in hand, Kafka, dead letters.
//!
//! All campaigns of a run wait together, so that a thousand of them wait no longer than one.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::StreamExt;

use super::error::RebuildError;
use super::rebuilder::Rebuilder;
use crate::ids::CampaignId;
use crate::kafka::Offsets;
use crate::redis::{Channel, read_outbox};

/// Pause between looks at what is still on its way.
const AGAIN: Duration = Duration::from_millis(100);
/// Pause between two lines that say what is waited for.
const SAY_AGAIN: Duration = Duration::from_secs(5);
/// Outboxes that are looked at at the same time.
const OUTBOXES_AT_ONCE: usize = 64;

impl Rebuilder {
    /// The relays empty the outboxes, what they have in hand reaches Kafka or expires, the writers write it down, and what
    /// cannot be written is copied into its table. Answers the campaigns that have to be left out, each with the reason.
    pub(super) async fn until_all_has_arrived(
        &self,
        ids: &[CampaignId],
        wait_max: Duration,
    ) -> Result<HashMap<CampaignId, RebuildError>, RebuildError> {
        let until = Instant::now() + wait_max + self.delivery_timeout;
        let left_out = self.until_outboxes_are_empty(ids, (wait_max, until)).await;
        // A relay may have read facts from an outbox that is gone since. After this long they are in Kafka, or never.
        self.say(format!("what relays may have in hand has {:?} to reach Kafka", self.delivery_timeout));
        tokio::time::sleep(self.delivery_timeout).await;
        // A dead letter is tried again from its topic so often: each time both topics were passed it is one try further, and at
        // last it is a row, or in the table of letters.
        for _ in 0..=self.letter_tries_max {
            for (offsets, what) in [(&self.offsets, "facts in Kafka"), (&self.letter_offsets, "dead letters in Kafka")]
            {
                self.until_passed(offsets, what, (wait_max, until)).await?;
            }
        }
        Ok(left_out)
    }

    async fn until_outboxes_are_empty(
        &self,
        ids: &[CampaignId],
        (wait_max, until): (Duration, Instant),
    ) -> HashMap<CampaignId, RebuildError> {
        let mut left_out = HashMap::new();
        let mut left: Vec<CampaignId> = ids.to_vec();
        let mut say_at = Instant::now();
        loop {
            let looked: Vec<(CampaignId, Result<bool, RebuildError>)> = futures::stream::iter(left)
                .map(async |id| {
                    let is_empty = self.is_outbox_empty(&id).await;
                    (id, is_empty)
                })
                .buffer_unordered(OUTBOXES_AT_ONCE)
                .collect()
                .await;
            left = Vec::new();
            for (id, is_empty) in looked {
                match is_empty {
                    Ok(true) => {}
                    Ok(false) => left.push(id),
                    Err(error) => drop(left_out.insert(id, error)),
                }
            }
            if left.is_empty() {
                return left_out;
            }
            if Instant::now() > until {
                let late = |id| (id, RebuildError::StillOnTheWay("facts in the outbox", wait_max));
                left_out.extend(left.into_iter().map(late));
                return left_out;
            }
            if Instant::now() >= say_at {
                self.say(format!("{} outboxes are not empty yet", left.len()));
                say_at = Instant::now() + SAY_AGAIN;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whether all of its facts have left it; otherwise relays are told of it.
    async fn is_outbox_empty(&self, id: &CampaignId) -> Result<bool, RebuildError> {
        let is_empty = read_outbox(&self.redis, id, None, 1).await?.is_empty();
        if !is_empty {
            self.redis.publish(Channel::Outbox, id.as_str()).await?;
        }
        Ok(is_empty)
    }

    async fn until_passed(
        &self,
        offsets: &Offsets,
        what: &'static str,
        (wait_max, until): (Duration, Instant),
    ) -> Result<(), RebuildError> {
        let ends = offsets.ends().await?;
        let mut say_at = Instant::now();
        loop {
            let lag = offsets.lag(&ends).await?;
            if lag == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(RebuildError::StillOnTheWay(what, wait_max));
            }
            if Instant::now() >= say_at {
                self.say(format!("{lag} {what} are not in the database yet"));
                say_at = Instant::now() + SAY_AGAIN;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
