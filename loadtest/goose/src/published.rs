//! What was published in this run? Kept by author, to be held against every feed at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an author's posts came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Published {
    /// Posts that are to be read, and what they are called.
    pub(crate) kept: BTreeMap<String, String>,
    /// Posts that were deleted.
    pub(crate) deleted: Vec<String>,
    /// Who follows the author.
    pub(crate) subscribers: Vec<String>,
}

/// Everything that was published in this run.
#[derive(Default)]
pub(crate) struct Feed(Mutex<BTreeMap<String, Published>>);

impl Feed {
    /// Something was published, changed, deleted or followed.
    pub(crate) fn change(&self, author: &str, change: impl FnOnce(&mut Published)) {
        change(self.lock().entry(author.to_owned()).or_default());
    }

    /// One of the posts, and whether it was deleted.
    pub(crate) fn any(&self, number: u64) -> Option<(String, bool)> {
        let authors = self.lock();
        let count = authors.len().max(1);
        let index = usize::try_from(number).unwrap_or_default() % count;
        let published = authors.values().nth(index)?;
        let kept = published.kept.keys().map(|id| (id.clone(), false));
        kept.chain(published.deleted.iter().map(|id| (id.clone(), true))).nth(index % 3)
    }

    /// All of it, by author.
    pub(crate) fn all(&self) -> BTreeMap<String, Published> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Published>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
