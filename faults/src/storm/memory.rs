//! Redis has no memory left. What frees it must go on: the relay, and what users give back.

use std::time::Duration;

use testkit::client::token;

use super::Storm;
use crate::installation::Store;
use crate::request::{Asked, Request};
use crate::rush::Rush;

/// How long the outbox may take to be drained by a relay that may have to take over first, and a give-back.
const DRAINED_MAX: Duration = Duration::from_secs(8);
const ANSWERED_MAX: Duration = Duration::from_secs(6);
/// How long the outbox may take to have something in it.
const FILLED_MAX: Duration = Duration::from_millis(800);
const AGAIN: Duration = Duration::from_millis(20);

impl Storm {
    pub(super) async fn fill_memory(&self, time: Duration) -> anyhow::Result<()> {
        let _turn = self.redis_turn.lock().await;
        let (redis, now) = (self.installation.redis(), || self.rush.history.now());
        let outbox = format!("onrush:{{{}}}:outbox", self.rush.campaign);
        let name = format!("saver-{}", now().as_millis());
        let saved = self.rush.claim(&name, "saved").await?.filter(|answer| answer.status == 201);
        // Something has to be in the outbox.
        self.workers().for_each(|worker| worker.proxy(Store::Kafka).stall());
        let began = now();
        while redis.entries(&outbox).await? == 0 && now() < began + FILLED_MAX {
            tokio::time::sleep(AGAIN).await;
        }
        redis.fill_memory(true).await?;
        self.workers().for_each(|worker| worker.proxy(Store::Kafka).clear());
        let began = now();
        let give_back = async {
            let Some(saved) = &saved else { return anyhow::Ok(()) };
            let asked = Asked::GiveBack { claim: saved.text("claim_id").to_owned() };
            let request = Request { token: token(&name)?, user: name.clone(), asked };
            let rush = Rush { patience: ANSWERED_MAX, ..self.rush.clone() };
            let answer = rush.until_known(0, &request).await;
            if answer.as_ref().is_none_or(|answer| answer.status != 200) {
                self.complain(format!(
                    "invariant 6: Redis has no memory left, and a give-back is answered {answer:?} for {ANSWERED_MAX:?}"
                ));
            }
            Ok(())
        };
        let drain = async {
            loop {
                let entries = redis.entries(&outbox).await?;
                if entries == 0 && now() > began + time {
                    return anyhow::Ok(());
                }
                if now() > began + DRAINED_MAX + time {
                    self.complain(format!(
                        "invariant 6: Redis has no memory left for {:?}, and the outbox that fills it is not drained: \
                         {entries} entries wait",
                        now().saturating_sub(began)
                    ));
                    return Ok(());
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let (answered, drained) = tokio::join!(give_back, drain);
        redis.fill_memory(false).await?;
        answered?;
        drained
    }
}
