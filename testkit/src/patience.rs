//! How is something waited for that cannot be awaited? By asking again and again, until there is no more time.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How long something is waited for, and what.
pub struct Patience {
    what: &'static str,
    deadline: Instant,
}

impl Patience {
    /// From now on.
    #[must_use]
    pub fn new(what: &'static str, max: Duration) -> Self {
        Self { what, deadline: Instant::now() + max }
    }

    /// A moment; fails when there was no more time.
    pub async fn wait(&self) -> anyhow::Result<()> {
        if Instant::now() > self.deadline {
            bail!("still not so: {}", self.what);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(())
    }
}
