//! What was begun is finished, also where whoever asked for it goes away.

use tracing::Instrument;

use super::error::FeedError;

/// Whoever asked may go away in the middle: what is committed is told to the cache all the same. The task is never aborted:
/// if it has not ended well it has panicked.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, FeedError>> + Send + 'static,
) -> Result<T, FeedError> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}
