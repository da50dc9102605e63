//! How is the server asked? One function a route, through goose, which counts and times the answers.

use std::time::Instant;

use anyhow::{Context, anyhow};
use goose::goose::{GooseMethod, GooseRequest, GooseUser};
use reqwest::{RequestBuilder, Response};
use tokio::task::JoinSet;

use crate::answer::{Answer, Claim, Meaning, claim};
use crate::scene::Scene;
use crate::users::User;

/// A member of the crowd, who asks for one user after the other.
pub(crate) struct Caller<'a> {
    pub(crate) scene: &'a Scene,
    goose: &'a mut GooseUser,
}

impl<'a> Caller<'a> {
    /// This member.
    pub(crate) fn new(scene: &'a Scene, goose: &'a mut GooseUser) -> Self {
        Self { scene, goose }
    }

    /// Submits a claim. What was heard; `None`, and the records say so, if it was against the contract.
    pub(crate) async fn claim(
        &mut self,
        user: &User,
        key: Option<&str>,
        allowed: &[&'static str],
    ) -> anyhow::Result<Option<Meaning>> {
        let builder = self.claim_request(user, key)?;
        let answer = self.ask("claim", "claim", builder).await?;
        Ok(self.heard(user, key, &answer, allowed))
    }

    /// Submits it several times at the same moment.
    pub(crate) async fn claim_at_once(
        &mut self,
        user: &User,
        keys: &[Option<String>],
        allowed: impl Fn(Option<&str>) -> Vec<&'static str>,
    ) -> anyhow::Result<Vec<Option<Meaning>>> {
        let mut submissions = JoinSet::new();
        let mut builders = Vec::new();
        for key in keys {
            // Goose counts only the requests that it sends itself against the rate.
            if let Some(throttle) = self.goose.throttle.clone() {
                throttle.send_async(true).await.context("the run was stopped")?;
            }
            builders.push(self.claim_request(user, key.as_deref())?);
        }
        for (submission, builder) in builders.into_iter().enumerate() {
            submissions.spawn(async move {
                let sent = Instant::now();
                (submission, read("claims at once".to_owned(), builder.send().await).await, sent.elapsed())
            });
        }
        let mut heard = vec![None; keys.len()];
        while let Some(submitted) = submissions.join_next().await {
            let (submission, answer, time) = submitted?;
            let (is_answer, status) = answer.as_ref().map_or((false, None), |it| (it.status < 500, Some(it.status)));
            self.goose.record_custom_request_duration("POST", "claim", time, is_answer, status, None).await?;
            let key = keys[submission].as_deref();
            heard[submission] = self.heard(user, key, &answer?, &allowed(key));
        }
        Ok(heard)
    }

    /// What an answer to a claim means, for the records.
    pub(crate) fn heard(
        &self,
        user: &User,
        key: Option<&str>,
        answer: &Answer,
        allowed: &[&'static str],
    ) -> Option<Meaning> {
        let (records, campaign) = (&self.scene.records, &self.scene.campaign.id);
        let meaning = answer.meaning(user, campaign, &self.scene.settings, key);
        match &meaning {
            Some(meaning) => records.told(user, meaning, allowed),
            None => records.wrong(format!("not an answer for {}: {}", user.name, answer.describe())),
        }
        meaning
    }

    /// Gives a unit back: once, and then once more, which changes nothing.
    pub(crate) async fn give_back_twice(&mut self, user: &User, own: &Claim) -> anyhow::Result<()> {
        self.scene.records.gives_back(user);
        for is_first in [true, false] {
            let answer = self.post(user, &format!("/v1/claims/{}/give-back", own.id), "give back").await?;
            if self.must_be(&answer, user, own, "given_back") && is_first {
                self.scene.records.given_back();
            }
        }
        Ok(())
    }

    /// Reads a claim that is live.
    pub(crate) async fn read(&mut self, user: &User, own: &Claim) -> anyhow::Result<()> {
        let answer = self.get(Some(user), &format!("/v1/claims/{}", own.id), "read a claim").await?;
        if self.must_be(&answer, user, own, "live") {
            self.scene.records.note("read");
        }
        Ok(())
    }

    fn must_be(&self, answer: &Answer, user: &User, own: &Claim, state: &str) -> bool {
        let (settings, campaign) = (&self.scene.settings, &self.scene.campaign.id);
        let is_it = answer.status == 200 && claim(&answer.body, user, campaign, settings, state).as_ref() == Some(own);
        self.scene.records.must(is_it, || format!("not {}, {state}: {}", own.id, answer.describe()))
    }

    /// Fails the run unless this is the refusal that was to be expected.
    pub(crate) fn must_refuse(&self, answer: &Answer, status: u16, code: &str) {
        let records = &self.scene.records;
        let text = || format!("not the refusal {status} {code}: {}", answer.describe());
        if records.must(answer.is_refusal(status, code), text) {
            records.note("refused");
        }
    }

    /// The path of the campaign's claims.
    pub(crate) fn claims_path(&self) -> String {
        format!("/v1/campaigns/{}/claims", self.scene.campaign.id)
    }

    /// Asks for something, as somebody or as nobody.
    pub(crate) async fn get(&mut self, user: Option<&User>, path: &str, name: &str) -> anyhow::Result<Answer> {
        let builder = self.builder(GooseMethod::Get, path)?;
        let builder = user.into_iter().fold(builder, |builder, user| builder.bearer_auth(&user.token));
        self.ask(path, name, builder).await
    }

    /// Sends something without a body.
    pub(crate) async fn post(&mut self, user: &User, path: &str, name: &str) -> anyhow::Result<Answer> {
        let builder = self.builder(GooseMethod::Post, path)?.bearer_auth(&user.token);
        self.ask(path, name, builder).await
    }

    /// A request to be made, with nothing but its method and address.
    pub(crate) fn builder(&self, method: GooseMethod, path: &str) -> anyhow::Result<RequestBuilder> {
        self.goose.get_request_builder(&method, path).with_context(|| format!("cannot ask for {path}"))
    }

    /// A claim to be submitted.
    pub(crate) fn claim_request(&self, user: &User, key: Option<&str>) -> anyhow::Result<RequestBuilder> {
        let builder = self.builder(GooseMethod::Post, &self.claims_path())?.bearer_auth(&user.token);
        Ok(key.into_iter().fold(builder, |builder, key| builder.header("Idempotency-Key", key)))
    }

    /// Asks. No answer is an error.
    pub(crate) async fn ask(&mut self, what: &str, name: &str, builder: RequestBuilder) -> anyhow::Result<Answer> {
        let request = GooseRequest::builder().path(what).name(name).set_request_builder(builder).build();
        let mut response = self.goose.request(request).await?;
        let answer = read(what.to_owned(), response.response).await?;
        // For goose every 4xx is a failure; refusals are answers here, and whether they are right is judged elsewhere.
        if answer.status < 500 {
            self.goose.set_success(&mut response.request)?;
        }
        Ok(answer)
    }
}

async fn read(asked: String, response: Result<Response, reqwest::Error>) -> anyhow::Result<Answer> {
    let response = response.map_err(|error| anyhow!("{asked}: no answer: {error}"))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.with_context(|| format!("{asked}: half an answer"))?;
    Ok(Answer { asked, status, headers, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}
