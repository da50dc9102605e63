//! What passed can be found, and what was withdrawn cannot.

use super::{LaneContext, LaneError};
use crate::feed::{Inspected, Outcome, search};

impl LaneContext {
    pub(in crate::feed) async fn index(&self, message: &Inspected) -> Result<(), LaneError> {
        let permit = self.pace.permit(1).await?;
        match message.outcome {
            Outcome::Passed => {
                if self.is_readable(message, Some(message.revision)).await? {
                    search::put(&self.database, message).await?;
                }
                // It may have been edited in between, and the message of that is dealt with by another at this moment.
                if !self.is_readable(message, None).await? {
                    search::remove(&self.database, message.post_id, message.revision).await?;
                }
            }
            // Where it has passed since, the message of that comes after this one.
            Outcome::Withdrawn if self.is_readable(message, None).await? => {}
            Outcome::Withdrawn => search::remove(&self.database, message.post_id, message.revision).await?,
        }
        permit.done(1);
        Ok(())
    }

    /// Whether the post may be read now, in this revision or in any.
    async fn is_readable(&self, message: &Inspected, revision: Option<i32>) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM posts WHERE post_id = $1 AND inspection = 'passed' AND deleted_at IS NULL
                                                AND revision = coalesce($2, revision))",
        )
        .bind(message.post_id.0)
        .bind(revision)
        .fetch_one(&self.database)
        .await
    }
}
