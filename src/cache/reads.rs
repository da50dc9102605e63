//! A read of a shard: with the others that are asked for at this moment, by the one task that empties its batcher.

use std::sync::Arc;

use super::batcher::{Answer, Away};
use super::envelope::Kept;
use super::names::Id;
use super::shard::Shard;

impl Shard {
    /// What is kept of this entry now, with what others ask for at this moment.
    pub(super) async fn look_up(self: &Arc<Self>, id: Id, field: &str) -> Answer {
        if self.is_away() {
            return Err(Away);
        }
        let (answered, starts) = self.batcher.enter(id, field).ok_or(Away)?;
        if starts {
            // A task of its own: the caller may go away, those who wait with it do not.
            let draining = Draining(Arc::clone(self));
            tokio::spawn(draining.run());
        }
        answered.await.unwrap_or(Err(Away))
    }
}

/// The one task that empties a batcher. Should it die, those in the batcher hear that it is away, and the next to come starts
/// another.
struct Draining(Arc<Shard>);

impl Draining {
    async fn run(self) {
        while let Some(batch) = self.0.batcher.next() {
            let read = self.0.read(&batch.fields).await;
            for (place, asker) in batch.askers {
                let answer = match &read {
                    Ok((now_ms, values)) => {
                        let value = values.get(place).cloned().flatten();
                        Ok(value.and_then(|value| Kept::open(*now_ms, value)))
                    }
                    Err(away) => Err(*away),
                };
                let _gone = asker.send(answer);
            }
        }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.batcher.give_up();
        }
    }
}
