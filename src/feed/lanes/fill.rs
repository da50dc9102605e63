//! Loads what will be asked for soon: the post and who wrote it.

use super::{LaneContext, LaneError, user};
use crate::feed::{Happened, Original};

impl LaneContext {
    pub(super) async fn fill(&self, message: &Original) -> Result<(), LaneError> {
        match message.happened {
            Happened::Created | Happened::Edited => {
                self.posts.refresh(message.post_id).await?;
                // What is known of an author, their category too, is kept by whoever asks for it.
                self.users.find(&user(&message.author_id)?).await?;
            }
            Happened::Deleted => self.posts.invalidate(message.post_id).await?,
        }
        Ok(())
    }
}
