//! What this process was last told about one thing that changes all the time: a cell of the tier in the process, for what
//! its owner knows how to judge.
//!
//! It is kept where the thing itself is, which is in memory anyway, so a hit looks nothing up; Redis has no copy, since
//! Redis is its source. Who finds it too old asks; the others wait for that one answer, and take it if it was asked for
//! after they came or is still good.

use std::time::Instant;

use metrics::Counter;
use tokio::sync::Mutex;

/// The last answer, and when it was asked for.
pub struct Recent<T> {
    last: Mutex<Option<(Instant, T)>>,
    hits: Counter,
    misses: Counter,
}

impl<T: Copy> Recent<T> {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            last: Mutex::new(None),
            hits: metrics::counter!("onrush_cache_hits_total", "tier" => "local"),
            misses: metrics::counter!("onrush_cache_misses_total", "tier" => "local"),
        }
    }

    /// An answer that was asked for after this call began, or the last one if it is good: `is_good` gets when it was asked
    /// for. Calls that wait together share one question.
    pub async fn get<E, Asking>(
        &self,
        is_good: impl FnOnce(Instant, &T) -> bool,
        ask: impl FnOnce() -> Asking,
    ) -> Result<T, E>
    where
        Asking: Future<Output = Result<T, E>>,
    {
        let began = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((asked, answer)) = *last
            && (asked >= began || is_good(asked, &answer))
        {
            self.hits.increment(1);
            return Ok(answer);
        }
        self.misses.increment(1);
        let asked = Instant::now();
        let answer = ask().await?;
        *last = Some((asked, answer));
        Ok(answer)
    }

    /// The next call asks again.
    pub async fn forget(&self) {
        *self.last.lock().await = None;
    }
}

impl<T: Copy> Default for Recent<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn who_waits_takes_the_answer_to_a_question_of_later_and_no_other_that_is_not_good() {
        let (recent, asked, go_on) = (Recent::new(), AtomicU32::new(0), Notify::new());
        let read = || {
            recent.get(
                |_, _| false,
                async || {
                    let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                    go_on.notified().await;
                    Ok::<_, Infallible>(number)
                },
            )
        };
        // All have come before the second question is asked, and after the first was.
        let reads = async {
            let first = read();
            let others = join_all((0..10).map(|_| read()));
            tokio::join!(first, others)
        };
        let ((first, others), ()) = tokio::join!(reads, async {
            go_on.notify_one();
            tokio::task::yield_now().await;
            go_on.notify_one();
        });
        assert_eq!(first, Ok(1));
        assert!(others.into_iter().all(|answer| answer == Ok(2)));
    }

    #[tokio::test]
    async fn what_is_good_is_answered_again_until_it_is_forgotten() {
        let recent = Recent::new();
        let read = |number| recent.get(|_, _| true, async move || Ok::<_, Infallible>(number));
        assert_eq!((read(1).await, read(2).await), (Ok(1), Ok(1)));
        recent.forget().await;
        assert_eq!(read(3).await, Ok(3));
        let failed = recent.get(|_, _| false, async || Err("away")).await;
        assert_eq!(failed, Err("away"));
        assert_eq!(read(4).await, Ok(3), "a failure takes nothing away");
    }
}
