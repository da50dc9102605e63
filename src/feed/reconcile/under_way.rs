//! Has everything arrived that was on its way at a moment? The lanes' offsets, in the order in which a post passes them.

use super::super::lanes::Lane;
use super::super::work::FeedConsumer;
use crate::config::Config;
use crate::kafka::{Ends, KafkaError, Offsets};

/// Each loop after those that feed it; the lane that fills the cache brings posts nowhere.
const STAGES: [FeedConsumer; 5] = [
    FeedConsumer::Lane(Lane::Inspect),
    FeedConsumer::DeadLettersOf(Lane::Inspect),
    FeedConsumer::Lane(Lane::Deliver),
    FeedConsumer::Lane(Lane::Index),
    FeedConsumer::DeadLettersOf(Lane::Deliver),
];

/// Follows what was on its way.
pub(super) struct Way {
    stages: Vec<Offsets>,
    at: usize,
    /// Where the topic of the present stage ended when all before it had been passed.
    ends: Option<Ends>,
}

impl Way {
    /// Connects to nothing yet.
    pub(super) fn new(config: &Config) -> Result<Self, KafkaError> {
        let of = |consumer: &FeedConsumer| {
            Offsets::of(&config.kafka, &consumer.topic(&config.feed), &consumer.group(&config.feed))
        };
        Ok(Self { stages: STAGES.iter().map(of).collect::<Result<_, _>>()?, at: 0, ends: None })
    }

    /// What is on its way from now on does not count.
    pub(super) fn begin(&mut self) {
        (self.at, self.ends) = (0, None);
    }

    /// Whether all that was in Kafka has been dealt with by every lane that it concerns. Once it has, it stays so.
    pub(super) async fn is_passed(&mut self) -> Result<bool, KafkaError> {
        while let Some(stage) = self.stages.get(self.at) {
            let ends = match self.ends.take() {
                Some(ends) => ends,
                None => stage.ends().await?,
            };
            if stage.lag(&ends).await? > 0 {
                self.ends = Some(ends);
                return Ok(false);
            }
            self.at += 1;
        }
        Ok(true)
    }
}
