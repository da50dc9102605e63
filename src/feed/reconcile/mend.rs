//! How does a post come where it belongs? As its message would have brought it: through the lanes' own code.

use sqlx::FromRow;

use super::super::lanes::{Due, LaneContext, LaneError};
use super::super::message::{Inspected, Outcome, SCHEMA_VERSION};
use super::super::post::PostId;
use super::super::{posts, search, subscriptions};
use super::find::Fault;

/// A post as the message about its inspection has it.
#[derive(FromRow)]
struct Row {
    author_id: String,
    title: String,
    body: String,
    revision: i32,
    category: Option<String>,
    tags: Vec<String>,
    may_be_read: bool,
}

impl LaneContext {
    /// Does what is missing, as far as it still is.
    pub(super) async fn mend(&self, fault: &Fault) -> Result<(), LaneError> {
        match fault {
            Fault::NotDelivered(post) => match self.as_inspected(*post).await? {
                message if message.outcome == Outcome::Passed => self.put_in(&message, Due::Missing).await,
                _ => Ok(()),
            },
            Fault::InInboxes(post) => match self.as_inspected(*post).await? {
                message if message.outcome == Outcome::Withdrawn => self.take_out(&message).await,
                _ => Ok(()),
            },
            Fault::NotFollowed { user, author } => {
                subscriptions::clear(&self.database, user, author).await?;
                Ok(self.inboxes.invalidate(std::slice::from_ref(user)).await?)
            }
            Fault::NotIndexed(post) => {
                let message = self.as_inspected(*post).await?;
                // A revision that the post never had would stay for ever.
                search::remove_above(&self.database, *post, message.revision).await?;
                self.index(&message).await
            }
            Fault::Indexed(post, revision) => {
                let message = self.as_inspected(*post).await?;
                self.index(&Inspected { revision: message.revision.max(*revision), ..message }).await
            }
            Fault::Pending { post, revision } => Ok(posts::send_again(&self.database, *post, *revision).await?),
        }
    }

    /// What would be said of the post now. One that is not there at all is withdrawn.
    async fn as_inspected(&self, post: PostId) -> Result<Inspected, sqlx::Error> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT author_id, title, body, revision, category, tags,
                    inspection = 'passed' AND deleted_at IS NULL AS may_be_read
             FROM posts WHERE post_id = $1",
        )
        .bind(post.0)
        .fetch_optional(&self.database)
        .await?;
        let (v, post_id) = (SCHEMA_VERSION, post);
        let Some(row) = row else {
            let (author_id, title, body) = (String::new(), String::new(), String::new());
            let (category, tags, outcome) = (String::new(), Vec::new(), Outcome::Withdrawn);
            return Ok(Inspected { v, post_id, revision: 0, outcome, author_id, title, body, category, tags });
        };
        Ok(Inspected {
            v,
            post_id,
            revision: row.revision,
            outcome: if row.may_be_read { Outcome::Passed } else { Outcome::Withdrawn },
            author_id: row.author_id,
            title: row.title,
            body: row.body,
            category: row.category.unwrap_or_default(),
            tags: row.tags,
        })
    }
}
