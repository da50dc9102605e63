//! What does the whole crowd share? The campaign, the records, and the number of the next visit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::campaign::Campaign;
use crate::published::Feed;
use crate::queue::Queue;
use crate::records::Records;
use crate::settings::Settings;
use crate::users::User;

/// One run.
pub(crate) struct Scene {
    pub(crate) settings: Settings,
    pub(crate) campaign: Campaign,
    pub(crate) records: Records,
    /// Of a waiting room.
    pub(crate) queue: Queue,
    /// What was published.
    pub(crate) feed: Feed,
    next: AtomicU64,
}

impl Scene {
    /// Makes the campaign.
    pub(crate) async fn open(settings: Settings) -> anyhow::Result<Arc<Self>> {
        settings.check()?;
        let campaign = Campaign::open(&settings).await?;
        let records = Records::new(&settings);
        let (queue, feed, next) = (Queue::default(), Feed::default(), AtomicU64::new(0));
        Ok(Arc::new(Self { settings, campaign, records, queue, feed, next }))
    }

    /// Who comes next; nobody, when all visits were made.
    pub(crate) fn next(&self) -> anyhow::Result<Option<User>> {
        let visit = self.next.fetch_add(1, Ordering::Relaxed);
        if visit >= self.settings.visits() {
            return Ok(None);
        }
        let user = self.user(format!("user-{}", visit % self.settings.users()), visit)?;
        self.records.comes(&user);
        Ok(Some(user))
    }

    /// A user of this name.
    pub(crate) fn user(&self, name: String, visit: u64) -> anyhow::Result<User> {
        User::new(name, visit, &self.settings.hs256_secret)
    }
}
