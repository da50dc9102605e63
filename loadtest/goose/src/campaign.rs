//! What does an operator do here? Makes the campaign, and asks the auditor in the end.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::json;

use crate::settings::Settings;
use crate::users;

const TIMEOUT: Duration = Duration::from_secs(30);
const AUDIT_EVERY: Duration = Duration::from_millis(200);
/// How often in turn `broken` is believed to be a matter of what is still on its way.
const BROKEN_MAX: u32 = 5;

/// The campaign that is rushed at, as an operator sees it.
pub(crate) struct Campaign {
    /// Its id.
    pub(crate) id: String,
    url: String,
    operator_token: String,
    client: Client,
}

/// The auditor's counts, as the server gives them: its HTTP API says what each is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    pub(crate) verdict: String,
    pub(crate) stock: u64,
    pub(crate) left: i64,
    pub(crate) live: u64,
    pub(crate) given_back: u64,
    pub(crate) rows: u64,
    pub(crate) outbox: u64,
    pub(crate) lag: u64,
    pub(crate) missing: u64,
    pub(crate) doubled: u64,
    pub(crate) oversold: u64,
    pub(crate) gaps: u64,
}

/// The counts of a waiting room.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Room {
    pub(crate) waiting: u64,
    pub(crate) inside: u64,
    pub(crate) admitted: u64,
    pub(crate) no_shows: u64,
    pub(crate) left_queue: u64,
}

impl Campaign {
    /// Makes a new one, or takes the one that is named, if nobody has claimed from it.
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let (scenario, stock) = (settings.scenario.name(), settings.stock());
        let campaign = Self {
            id: settings.campaign.clone().unwrap_or_else(|| format!("goose-{scenario}-{}", users::now().as_micros())),
            url: settings.url.trim_end_matches('/').to_owned(),
            operator_token: settings.operator_token.clone(),
            client: Client::builder().timeout(TIMEOUT).no_proxy().build()?,
        };
        let id = &campaign.id;
        if settings.campaign.is_some() {
            let counts = campaign.audit().await.with_context(|| format!("there is no telling whether {id} is new"))?;
            ensure!(counts.live == 0 && counts.given_back == 0, "{id} is not one that nobody has claimed from");
            return Ok(campaign);
        }
        let name = format!("goose: {scenario}, {} users, {stock} units", settings.users());
        let room = settings.waiting();
        let body = json!({"id": id, "name": name, "stock": stock, "per_user_limit": 1, "waiting": room});
        let answer = campaign.request(Method::POST, "/v1/campaigns").json(&body).send().await?;
        let status = answer.status();
        ensure!(status == StatusCode::CREATED, "{id} was not made: {status} {}", answer.text().await?);
        Ok(campaign)
    }

    /// Asks until the verdict is `ok`; otherwise what was said last.
    pub(crate) async fn settle(&self, at_most: Duration) -> Result<Counts, String> {
        let begun = Instant::now();
        let mut broken = 0;
        loop {
            let audit = self.audit().await;
            if let Ok(counts) = &audit
                && counts.verdict == "ok"
            {
                return Ok(counts.clone());
            }
            let is_broken = audit.as_ref().is_ok_and(|counts| counts.verdict == "broken");
            broken = if is_broken { broken + 1 } else { 0 };
            if broken == BROKEN_MAX || begun.elapsed() > at_most {
                return Err(format!("the audit did not end with ok: {audit:?}"));
            }
            tokio::time::sleep(AUDIT_EVERY).await;
        }
    }

    async fn audit(&self) -> anyhow::Result<Counts> {
        let answer = self.request(Method::GET, &format!("/v1/ops/audit/{}", self.id)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// The waiting room as operators see it.
    pub(crate) async fn room(&self) -> anyhow::Result<Room> {
        let answer = self.request(Method::GET, &format!("/v1/ops/waiting/{}", self.id)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.operator_token)
    }
}
