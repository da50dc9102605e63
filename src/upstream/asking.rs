//! How is a question put to an API that may be ill? One time limit over everything, few retries, and none while it is down.
//!
//! Retries take from the same time: each try may take its equal part of what is left, and a try that takes longer is given up
//! for another one only if the budget pays for that; otherwise it has the rest of the time. So a source of which a part is slow
//! is asked again early enough for it to help, and one that is slow as a whole is not asked twice as often.

use std::pin::pin;
use std::time::Duration;

use metrics::{Counter, Histogram};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::breaker::Breaker;
use super::budget::Budget;
use super::client::{Client, Failure};
use super::error::UpstreamError;
use super::user_info::UserInfo;
use crate::config;
use crate::ids::UserId;

/// Puts questions to the user-info API.
pub(super) struct Asker {
    client: Client,
    breaker: Breaker,
    budget: Budget,
    calls: Semaphore,
    timeout: Duration,
    retries_max: u32,
    figures: Figures,
}

/// Why there is no answer, in words for whoever asked.
#[derive(Debug, Error)]
pub(super) enum Unanswered {
    /// Who does not get a place at once is refused: a queue before a slow source only grows.
    #[error("as many calls as may are under way")]
    Busy,
    /// Nobody was called.
    #[error("the breaker is open")]
    Open,
    /// The last try.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// How a try went that is over.
enum Tried {
    Answered(Option<UserInfo>),
    Failed(Failure),
    /// It failed, and another try is paid for.
    Again(Failure),
}

struct Figures {
    ask_seconds: Histogram,
    call_seconds: Histogram,
    retries: Counter,
    not_retried: Counter,
    busy: Counter,
    open: Counter,
}

impl Asker {
    /// `None`: there is nobody to ask.
    pub(super) fn new(settings: &config::Upstream) -> Result<Option<Self>, UpstreamError> {
        let refused = |reason: &'static str| metrics::counter!("onrush_upstream_refusals_total", "reason" => reason);
        let figures = Figures {
            ask_seconds: metrics::histogram!("onrush_upstream_ask_seconds"),
            call_seconds: metrics::histogram!("onrush_upstream_call_seconds"),
            retries: metrics::counter!("onrush_upstream_retries_total"),
            not_retried: metrics::counter!("onrush_upstream_budget_refusals_total"),
            busy: refused("busy"),
            open: refused("breaker_open"),
        };
        Ok(Client::new(settings)?.map(|client| Self {
            client,
            breaker: Breaker::new(settings),
            budget: Budget::new(settings.retry_budget_percent),
            calls: Semaphore::new(settings.calls_max),
            timeout: Duration::from_millis(settings.timeout_ms),
            retries_max: settings.retries_max,
            figures,
        }))
    }

    /// The answer, within the time limit.
    #[tracing::instrument(level = "debug", name = "upstream_ask", skip_all)]
    pub(super) async fn ask(&self, user: &UserId) -> Result<Option<UserInfo>, Unanswered> {
        let began = Instant::now();
        let result = self.ask_until(began + self.timeout, user).await;
        self.figures.ask_seconds.record(began.elapsed());
        match &result {
            Err(Unanswered::Busy) => self.figures.busy.increment(1),
            Err(Unanswered::Open) => self.figures.open.increment(1),
            Err(Unanswered::Failed(failure)) => tracing::debug!(%failure, "the user-info API has no answer"),
            Ok(_) => {}
        }
        result
    }

    async fn ask_until(&self, deadline: Instant, user: &UserId) -> Result<Option<UserInfo>, Unanswered> {
        let _place = self.calls.try_acquire().map_err(|_| Unanswered::Busy)?;
        let mut retries_left = self.retries_max;
        let mut failed: Option<Failure> = None;
        loop {
            let Some(permit) = self.breaker.admit() else {
                // It may have opened between two tries.
                return Err(failed.map_or(Unanswered::Open, Unanswered::Failed));
            };
            if failed.is_some() {
                self.figures.retries.increment(1);
            } else {
                self.budget.earn();
            }
            let began = Instant::now();
            let tried = self.try_once(deadline, retries_left, user).await;
            let outcome = match &tried {
                Tried::Answered(Some(_)) => "found",
                Tried::Answered(None) => "unknown",
                Tried::Failed(failure) | Tried::Again(failure) => failure.word(),
            };
            self.figures.call_seconds.record(began.elapsed());
            metrics::counter!("onrush_upstream_calls_total", "outcome" => outcome).increment(1);
            permit.ended(matches!(tried, Tried::Answered(_)));
            match tried {
                Tried::Answered(info) => return Ok(info),
                Tried::Failed(failure) => return Err(failure.into()),
                Tried::Again(failure) => failed = Some(failure),
            }
            retries_left -= 1;
        }
    }

    async fn try_once(&self, deadline: Instant, retries_left: u32, user: &UserId) -> Tried {
        let mut call = pin!(self.client.call(user));
        let now = Instant::now();
        let part = deadline.saturating_duration_since(now) / (retries_left + 1);
        let result = match timeout_at(now + part, &mut call).await {
            Ok(result) => result,
            Err(_) if retries_left > 0 && self.may_retry() => return Tried::Again(Failure::Slow),
            Err(_) => return ended(timeout_at(deadline, call).await.unwrap_or(Err(Failure::Slow))),
        };
        match result {
            Err(failure) if failure.may_pass() && retries_left > 0 && self.may_retry() => Tried::Again(failure),
            result => ended(result),
        }
    }

    fn may_retry(&self) -> bool {
        let may = self.budget.spend();
        if !may {
            self.figures.not_retried.increment(1);
        }
        may
    }
}

fn ended(result: Result<Option<UserInfo>, Failure>) -> Tried {
    result.map_or_else(Tried::Failed, Tried::Answered)
}
