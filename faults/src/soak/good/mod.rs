//! What does a well-behaved client do? It keeps its connection, asks for something now and then, and looks at what it is
//! told: every answer has to be one that the contract allows in this weather.

mod claims;
mod place;
mod reads;
mod room;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use testkit::client::{TOKEN_VALID_FOR, token};

use super::ledger::{Attempt, Ledger, name_of};
use super::sky::Needs;
use super::stage::Stage;
use super::wire::{Answer, Connection};
use crate::draw::Draw;
use place::Place;

/// Claims that a client remembers.
const REMEMBERED_MAX: usize = 4;
/// Well before a token ends.
const TOKEN_RENEWED_AFTER: Duration = Duration::from_mins(2);
const _: () = assert!(TOKEN_RENEWED_AFTER.as_secs() < TOKEN_VALID_FOR.as_secs());

/// One of them.
struct Good {
    stage: Arc<Stage>,
    user: usize,
    /// The place of its node among those that serve.
    node: usize,
    name: String,
    token: (String, Instant),
    draw: Draw,
    connection: Option<Connection>,
    /// How many claims it has tried.
    tries: u64,
    /// What it was granted, the newest last.
    claims: VecDeque<(Arc<Ledger>, Attempt, String)>,
    /// A claim with a key of which it does not know what became.
    unknown: Option<(Arc<Ledger>, Attempt)>,
    place: Option<Place>,
    /// A pass of a waiting room.
    pass: Option<(Arc<Ledger>, String)>,
}

/// What is asked: a name for the counts, what the answer needs, and the request.
struct Ask {
    what: &'static str,
    needs: Needs,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
}

impl Ask {
    fn get(what: &'static str, needs: Needs, path: impl Into<String>) -> Self {
        Self { what, needs, method: Method::GET, path: path.into(), headers: Vec::new() }
    }

    fn post(what: &'static str, path: String) -> Self {
        Self { what, needs: Needs::REDIS, method: Method::POST, path, headers: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// Plays one client to the end of the soak.
pub(super) async fn play(stage: Arc<Stage>, user: usize) -> anyhow::Result<()> {
    let name = name_of(user);
    let mut client = Good {
        node: user % stage.nodes.len(),
        user,
        token: (token(&name)?, Instant::now()),
        name,
        draw: Draw::new(stage.scale.seed.wrapping_mul(1_000_003).wrapping_add(user as u64)),
        connection: None,
        tries: 0,
        claims: VecDeque::new(),
        unknown: None,
        place: None,
        pass: None,
        stage,
    };
    let stage = Arc::clone(&client.stage);
    stage.sleep(stage.opens_after(user, stage.scale.good())).await;
    client.connect().await;
    let turn = u64::try_from(stage.scale.turn().as_millis()).unwrap_or(u64::MAX);
    // The first turns are spread, too.
    stage.sleep(client.draw.ms(0..turn)).await;
    while stage.goes_on() {
        client.turn().await?;
        stage.sleep(client.draw.ms(turn..2 * turn)).await;
    }
    Ok(())
}

impl Good {
    async fn turn(&mut self) -> anyhow::Result<()> {
        if self.token.1.elapsed() > TOKEN_RENEWED_AFTER {
            self.token = (token(&self.name)?, Instant::now());
        }
        self.forget_what_is_over();
        if let Some((ledger, attempt)) = self.unknown.take() {
            self.claim(&ledger, attempt, None, true).await;
        } else if let Some((ledger, pass)) = self.pass.take() {
            let attempt = self.next_attempt(true);
            self.claim(&ledger, attempt, Some(&pass), false).await;
        } else if self.place.is_some() && self.draw.percent(70) {
            self.wait().await;
        } else {
            match self.draw.number(0..100) {
                0..42 => self.submit().await,
                42..48 => self.replay().await,
                48..54 => self.look_at_own().await,
                54..62 => self.give_back().await,
                62..70 => self.join().await,
                _ => self.read().await,
            }
        }
        // Who has listened, or was not answered, has none.
        self.connect().await;
        Ok(())
    }

    fn forget_what_is_over(&mut self) {
        self.claims.retain(|(ledger, ..)| !ledger.is_over());
        self.unknown.take_if(|(ledger, _)| ledger.is_over());
        self.pass.take_if(|(ledger, _)| ledger.is_over());
        self.place.take_if(|place| place.ledger.is_over());
    }

    /// The node may have closed a connection that carried nothing; otherwise it stays as long as the client.
    async fn connect(&mut self) -> bool {
        if self.connection.as_ref().is_some_and(Connection::is_closed) {
            self.stage.verdict.count("good connections that a node closed while they were idle");
            self.connection = None;
        }
        if self.connection.is_none() {
            self.connection = Connection::open(&self.stage, self.stage.nodes[self.node]).await.ok();
        }
        self.connection.is_some()
    }

    fn request(&self, ask: &Ask) -> anyhow::Result<Request<Full<Bytes>>> {
        let request = Request::builder().method(ask.method.clone()).uri(&ask.path).header("Host", "soak");
        let request = request.header("Authorization", format!("Bearer {}", self.token.0));
        let request = ask.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        Ok(request.body(Full::default())?)
    }

    /// The answer, where there is one that says something: what is `unavailable`, or missing, is judged here.
    async fn ask(&mut self, ask: Ask) -> Option<Answer> {
        let sent = Instant::now();
        let answer = self.exchange(&ask).await;
        let (stage, node, heard) = (&self.stage, self.node, Instant::now());
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        stage.verdict.count(format!("good answers: {} {status}", ask.what));
        let is_excused = || {
            let lag = stage.sky.excuse(node, ask.needs, sent, heard);
            let s = lag.map(|lag| format!("excused, sent so many s after a fault: {}", lag.as_secs()));
            s.map(|what| stage.verdict.count(what)).is_some()
        };
        let took = heard.duration_since(sent).as_millis();
        let at = stage.at();
        match answer {
            Err(error) => {
                self.connection = None;
                if !is_excused() {
                    stage.verdict.wrong(format!("{}: no answer, and nothing is hurt", ask.what), || {
                        format!("{} at node {node}, {at}: {error:#} after {took} ms", ask.path)
                    });
                }
                None
            }
            Ok(answer) if answer.status == 503 => {
                let is_said = ask.what == "readyz"
                    || answer.text("code") == "unavailable" && answer.header("retry-after").parse::<u64>().is_ok();
                if !is_said {
                    stage.verdict.wrong("503 that is no `unavailable`", || answer.excerpt());
                }
                if !is_excused() {
                    stage.verdict.wrong(format!("{}: 503, and nothing is hurt", ask.what), || {
                        format!("{} at node {node}, {at}, after {took} ms: {}", ask.path, answer.excerpt())
                    });
                }
                None
            }
            Ok(answer) if answer.status >= 500 => {
                stage.verdict.wrong("5xx", || format!("{}: {}", ask.path, answer.excerpt()));
                None
            }
            Ok(answer) => Some(answer),
        }
    }

    async fn exchange(&mut self, ask: &Ask) -> anyhow::Result<Answer> {
        let request = self.request(ask)?;
        anyhow::ensure!(self.connect().await, "cannot connect");
        let Some(connection) = &mut self.connection else { anyhow::bail!("no connection") };
        connection.ask(request).await
    }

    /// This answer is not one that the contract allows here.
    fn complain(&self, kind: &'static str, what: &str, answer: &Answer) {
        let (name, at) = (&self.name, self.stage.at());
        self.stage.verdict.wrong(kind, || format!("{what} of {name}, {at}: {}", answer.excerpt()));
    }
}
