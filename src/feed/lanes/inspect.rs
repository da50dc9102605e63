//! Has a post inspected, and tells those who only want what passed.
//!
//! The verdict is for the revision that was inspected: one that has been edited or deleted meanwhile stays as it is, and
//! the message of that comes later. A revision that has its verdict already is not inspected again, only told of again.

use sqlx::FromRow;

use super::{LaneContext, LaneError, user};
use crate::feed::inspect::{Draft, Verdict};
use crate::feed::{Happened, Inspected, Original, Outcome, SCHEMA_VERSION};
use crate::kafka::Outgoing;

/// How the revision that the message speaks of stands.
#[derive(FromRow)]
struct PostRow {
    inspection: String,
    category: Option<String>,
    tags: Vec<String>,
}

impl LaneContext {
    pub(super) async fn inspect(&self, message: &Original) -> Result<(), LaneError> {
        match message.happened {
            Happened::Created => {}
            // It may not be read as it was, and how long the inspection of what it says now takes nobody knows.
            Happened::Edited => self.tell(withdrawn(message)).await?,
            Happened::Deleted => {
                self.tell(withdrawn(message)).await?;
                return Ok(self.posts.invalidate(message.post_id).await?);
            }
        }
        let Some(mut row) = self.row(message).await? else { return Ok(()) };
        if row.inspection == "pending" {
            let author = self.users.find(&user(&message.author_id)?).await?;
            let author_category = author.as_ref().and_then(|author| author.category.as_deref());
            let draft = Draft { title: &message.title, body: &message.body, author_category };
            let verdict = self.inspector.inspect(draft).await?;
            let applied = self.apply(message, &verdict).await?;
            // Otherwise another was faster, or the author.
            let now = if applied.is_some() { applied } else { self.row(message).await? };
            let Some(now) = now else { return Ok(()) };
            row = now;
        }
        if row.inspection == "passed" {
            self.tell(passed(message, row)).await?;
        }
        Ok(self.posts.invalidate(message.post_id).await?)
    }

    /// `None`: the message is stale.
    async fn row(&self, message: &Original) -> Result<Option<PostRow>, sqlx::Error> {
        sqlx::query_as(
            "SELECT inspection, category, tags FROM posts
             WHERE post_id = $1 AND revision = $2 AND deleted_at IS NULL",
        )
        .bind(message.post_id.0)
        .bind(message.revision)
        .fetch_optional(&self.database)
        .await
    }

    /// Writes the verdict down. `None`: it has one, or the post is another by now.
    async fn apply(&self, message: &Original, verdict: &Verdict) -> Result<Option<PostRow>, sqlx::Error> {
        let inspection = if verdict.rejected.is_none() { "passed" } else { "rejected" };
        let applied = sqlx::query_as(
            "UPDATE posts SET category = $3, tags = $4, inspection = $5, reason = $6
             WHERE post_id = $1 AND revision = $2 AND deleted_at IS NULL AND inspection = 'pending'
             RETURNING inspection, category, tags",
        )
        .bind(message.post_id.0)
        .bind(message.revision)
        .bind(&verdict.category)
        .bind(&verdict.tags)
        .bind(inspection)
        .bind(&verdict.rejected)
        .fetch_optional(&self.database)
        .await?;
        metrics::counter!("onrush_feed_verdicts_total", "verdict" => inspection)
            .increment(u64::from(applied.is_some()));
        Ok(applied)
    }

    /// Publishes it, and waits until Kafka has it.
    async fn tell(&self, message: Inspected) -> Result<(), LaneError> {
        let value = serde_json::to_vec(&message).expect("a message has no map with keys that are no strings");
        let record = Outgoing { key: message.post_id.to_string().into_bytes(), value, headers: Vec::new() };
        match self.producer.publish_records(&self.settings.inspected_topic, &[record]).await.failure {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }
}

fn withdrawn(message: &Original) -> Inspected {
    Inspected {
        v: SCHEMA_VERSION,
        post_id: message.post_id,
        revision: message.revision,
        outcome: Outcome::Withdrawn,
        author_id: message.author_id.clone(),
        title: String::new(),
        body: String::new(),
        category: String::new(),
        tags: Vec::new(),
    }
}

fn passed(message: &Original, row: PostRow) -> Inspected {
    Inspected {
        outcome: Outcome::Passed,
        title: message.title.clone(),
        body: message.body.clone(),
        category: row.category.unwrap_or_default(),
        tags: row.tags,
        ..withdrawn(message)
    }
}
