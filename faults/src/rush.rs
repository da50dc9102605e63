//! What do users do? They submit claims, wait, submit again, hang up, give back, and use what they got.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use testkit::client::{Answer, Client, OPERATOR, token};
use tokio::task::JoinSet;

use crate::history::{Event, History};
use crate::plan::{Intent, Plan, Then, User};
use crate::request::{Asked, Edit, Request};

/// How soon one asks again at first, and at last.
const AGAIN: Duration = Duration::from_millis(80);
const AGAIN_MAX: Duration = Duration::from_millis(600);
/// Whoever must know asks for so long, and for less where nothing depends on it.
const PATIENCE: Duration = Duration::from_secs(20);
const PATIENCE_ASIDE: Duration = Duration::from_secs(6);

/// A campaign, and those who ask for it.
#[derive(Clone)]
pub struct Rush {
    /// Its id.
    pub campaign: String,
    /// What they saw.
    pub history: Arc<History>,
    /// The nodes that answer.
    pub clients: Vec<Client>,
    /// For how long whoever must know asks.
    pub patience: Duration,
}

impl Rush {
    /// Makes the campaign.
    pub async fn open(campaign: &str, stock: u64, limit: usize, urls: &[String]) -> anyhow::Result<Self> {
        let clients = urls.iter().map(|url| Client::new(url)).collect::<anyhow::Result<Vec<_>>>()?;
        let rush = Self { campaign: campaign.to_owned(), history: Arc::default(), clients, patience: PATIENCE };
        let answer = rush.operate(0, Asked::Edit(Edit::Create { stock, limit, room: None })).await;
        if !answer.as_ref().is_some_and(|answer| matches!(answer.status, 200 | 201)) {
            bail!("the campaign cannot be made: {answer:?}");
        }
        Ok(rush)
    }

    /// Another campaign, asked for at the same nodes.
    #[must_use]
    pub fn of(&self, campaign: &str) -> Self {
        Self { campaign: campaign.to_owned(), patience: PATIENCE_ASIDE, ..self.clone() }
    }

    /// Everybody of the plan who comes to the rush, until the last one has what they want or has given up.
    pub async fn play(&self, plan: &Plan) -> anyhow::Result<()> {
        let mut tasks = JoinSet::new();
        for (index, user) in plan.users.iter().enumerate() {
            let (rush, token) = (self.clone(), token(&user.name)?);
            let User { name, arrives, intents } = user;
            let (name, arrives, intents) = (name.clone(), *arrives, intents.clone());
            tasks.spawn(async move {
                tokio::time::sleep(arrives).await;
                for (place, intent) in intents.iter().enumerate() {
                    rush.carry_out(&name, &token, intent, place, index + place).await;
                }
            });
        }
        let (rush, raises) = (self.clone(), plan.raises.clone());
        tasks.spawn(async move {
            for (at, stock) in raises {
                tokio::time::sleep(at.saturating_sub(rush.history.now())).await;
                rush.raise(stock).await;
            }
        });
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    }

    /// An operator sets the stock, and repeats it until it is answered.
    pub async fn raise(&self, stock: u64) -> bool {
        self.operate(0, Asked::Raise { stock }).await.is_some_and(|answer| answer.status == 200)
    }

    /// An operator asks, again and again until it is answered.
    pub async fn operate(&self, first_node: usize, asked: Asked) -> Option<Answer> {
        self.until_known(first_node, &operators(asked)).await
    }

    /// A user who is in no plan: claims with this key until the outcome is known.
    pub async fn claim(&self, user: &str, key: &str) -> anyhow::Result<Option<Answer>> {
        let asked = Asked::Claim { key: Some(key.to_owned()) };
        let request = Request { user: user.to_owned(), token: token(user)?, asked };
        Ok(self.until_known(user.len(), &request).await)
    }

    async fn carry_out(&self, user: &str, token: &str, intent: &Intent, place: usize, node: usize) {
        let request = |asked| Request { user: user.to_owned(), token: token.to_owned(), asked };
        let mut answer = None;
        for again in 0..=intent.again_max {
            if again > 0 {
                tokio::time::sleep(AGAIN * again).await;
            }
            let key = intent.with_key.then(|| format!("{user}-{place}-{again}"));
            let claim = request(Asked::Claim { key });
            if let Some(after) = intent.hangs_up.filter(|_| again == 0) {
                self.ask_and_hang_up(node, &claim, after).await;
            }
            answer = self.submit(&claim, intent, node).await;
            if answer.as_ref().is_some_and(|answer| answer.status == 201 || answer.code() == "limit_reached") {
                break;
            }
        }
        tokio::time::sleep(intent.pause).await;
        let Some(answer) = answer.filter(|answer| answer.status == 201) else { return };
        let claim = answer.text("claim_id").to_owned();
        match intent.then {
            Then::Keep => {}
            Then::GiveBack => {
                let request = request(Asked::GiveBack { claim });
                if let Some(after) = intent.hangs_up {
                    self.ask_and_hang_up(node, &request, after).await;
                }
                self.until_known(node, &request).await;
            }
            Then::Redeem => {
                let asked = Asked::Redeem { claim, coupon: answer.text("coupon_code").to_owned() };
                self.until_known(node, &Request { token: OPERATOR.into(), ..request(asked) }).await;
            }
        }
    }

    /// With a key until the outcome is known, without one once; doubled, at two nodes at the same time first.
    async fn submit(&self, request: &Request, intent: &Intent, node: usize) -> Option<Answer> {
        if intent.doubled {
            let (one, other) = tokio::join!(self.ask(node, request), self.ask(node + 1, request));
            let got = |answer: &Option<Answer>| answer.as_ref().is_some_and(|answer| answer.status == 201);
            if got(&one) {
                return one;
            }
            if got(&other) || !intent.with_key {
                return other;
            }
        }
        if intent.with_key { self.until_known(node, request).await } else { self.ask(node, request).await }
    }

    /// Again and again, at the nodes in turn.
    pub async fn until_known(&self, first_node: usize, request: &Request) -> Option<Answer> {
        self.until_known_by((first_node, 1), request).await
    }

    /// The same; each time at a node that is so many places further.
    pub async fn until_known_by(&self, (first_node, step): (usize, usize), request: &Request) -> Option<Answer> {
        let deadline = self.history.now() + self.patience;
        let (mut node, mut pause) = (first_node, AGAIN);
        loop {
            let answer = self.ask(node, request).await;
            if answer.as_ref().is_some_and(|answer| answer.status != 503) || self.history.now() > deadline {
                return answer;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(AGAIN_MAX);
            node += step;
        }
    }

    /// Once, and takes it down.
    pub async fn ask(&self, node: usize, request: &Request) -> Option<Answer> {
        let node = node % self.clients.len();
        let sent = self.history.now();
        let answer = self.clients[node].send(&request.http(&self.campaign)).await;
        self.note(node, request, sent, answer.clone());
        answer
    }

    /// Once, and hangs up before the answer can be there; takes that down as well.
    pub async fn ask_and_hang_up(&self, node: usize, request: &Request, after: Duration) {
        let node = node % self.clients.len();
        let sent = self.history.now();
        if self.clients[node].send_and_hang_up(&request.http(&self.campaign), after).await.is_ok() {
            self.note(node, request, sent, None);
        }
    }

    fn note(&self, node: usize, request: &Request, sent: Duration, answer: Option<Answer>) {
        let (campaign, user, asked) = (self.campaign.clone(), request.user.clone(), request.asked.clone());
        let heard = self.history.now();
        self.history.add(Event { campaign, user, asked, node, sent, heard, answer });
    }
}

/// What an operator asks for.
#[must_use]
pub fn operators(asked: Asked) -> Request {
    Request { user: "the operator".into(), token: OPERATOR.into(), asked }
}
