//! Why could something not be done with a campaign?

use thiserror::Error;

use super::script_call::ScriptError;
use crate::redis::RedisError;

/// Why something could not be done with a campaign.
#[derive(Debug, Error)]
pub enum CampaignError {
    /// Redis is away. What was asked for may have happened; it is safe to repeat.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The database is away or refused. What was asked for may have happened; it is safe to repeat.
    #[error("the database did not answer: {0}")]
    Database(#[from] sqlx::Error),
    /// The campaign was in Redis and is not any more, or only an older state of it. An operator has to rebuild it.
    #[error("the campaign was lost in Redis and has to be rebuilt")]
    Lost,
    /// It is being made just now: Redis does not have it yet.
    #[error("the campaign is being made")]
    BeingMade,
    /// Its facts wait for Kafka, and there is no room for more.
    #[error("too many facts of the campaign wait for Kafka")]
    OutboxFull,
    /// Too many others changed it at the same moment.
    #[error("the campaign was changed by others at the same moment")]
    Contended,
    /// The installation has as many campaigns as it may.
    #[error("there are {0} campaigns already, the most that campaign.campaigns_max allows")]
    TooMany(usize),
}

impl From<ScriptError> for CampaignError {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::Redis(error) => error.into(),
            ScriptError::Lost => Self::Lost,
            ScriptError::Missing => Self::BeingMade,
        }
    }
}
