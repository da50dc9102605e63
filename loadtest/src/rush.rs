//! What happens in a rush? Tokens, connections and the campaign first; then all connections begin at the same instant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use http::Uri;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::http_client::{Answer, Connection, NoAnswer};
use crate::operator::Operator;
use crate::plan::Plan;
use crate::report::Report;
use crate::tally::Tally;
use crate::target::Target;
use crate::{audit, open_files, tokens};

/// What all connections share.
struct Crowd {
    target: Target,
    /// Every request up to its token.
    head: String,
    tokens: Vec<String>,
    timeout: Duration,
    start: Barrier,
}

/// Runs the whole rush.
pub(crate) async fn run(
    plan: &Plan,
    target: &Target,
    operator: &Operator<'_>,
    hs256_secret: String,
) -> anyhow::Result<Report> {
    anyhow::ensure!(
        plan.per_user_tries <= plan.connections,
        "the tries of a user need a connection each: --per-user-tries is above --connections"
    );
    let connections = plan.connections_used();
    open_files::check(connections)?;
    let path: Uri = format!("/v1/campaigns/{}/claims", plan.campaign).parse().context("--campaign is not an id")?;
    let host = target.authority();
    let crowd = Arc::new(Crowd {
        target: target.clone(),
        head: format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nauthorization: Bearer "),
        tokens: tokens::mint(plan.users, &hs256_secret)?,
        timeout: plan.timeout,
        start: Barrier::new(connections as usize),
    });
    let open = open_all(target, connections, plan.timeout).await?;
    operator.create_campaign(&plan.campaign, plan.users, plan.stock).await?;

    let mut asking = JoinSet::new();
    for (number, connection) in (0..).zip(open) {
        asking.spawn(ask(Arc::clone(&crowd), connection, plan.users_of(number)));
    }
    let mut tally = Tally::default();
    while let Some(seen) = asking.join_next().await {
        tally.merge(seen.context("a connection's task failed")?);
    }
    let audit = audit::wait(operator, &plan.campaign, plan.audit_wait).await;
    Ok(Report::new(plan, tally, audit))
}

/// One after another: a flood of connections would overflow the listener's queue, and nobody is waiting yet.
async fn open_all(target: &Target, connections: u32, timeout: Duration) -> anyhow::Result<Vec<Connection>> {
    let mut open = Vec::with_capacity(connections as usize);
    for number in 1..=connections {
        let connection = Connection::open(target, timeout).await.with_context(|| match number {
            1 => format!("cannot connect to {} (is it running? `make run` starts it)", target.url()),
            _ => format!("cannot open connection {number} of {connections}"),
        })?;
        open.push(connection);
    }
    Ok(open)
}

/// Carries the requests of its users, each when the one before it is done.
async fn ask(crowd: Arc<Crowd>, connection: Connection, users: impl Iterator<Item = u32>) -> Tally {
    let mut tally = Tally::default();
    let mut connection = Some(connection);
    crowd.start.wait().await;
    for user in users {
        let sent = Instant::now();
        let outcome = ask_once(&crowd, &mut connection, user).await;
        tally.note(user, sent, outcome);
    }
    tally
}

/// Sends one request and never again, whatever comes of it: an outcome that is unknown is counted as such. The
/// connection is opened again for the users that follow.
async fn ask_once(crowd: &Crowd, connection: &mut Option<Connection>, user: u32) -> Result<Answer, NoAnswer> {
    let mut open = match connection.take().filter(|kept| !kept.is_closed()) {
        Some(kept) => kept,
        None => Connection::open(&crowd.target, crowd.timeout).await.map_err(|_| NoAnswer::CannotConnect)?,
    };
    let answer = open.exchange(&crowd.request(user), crowd.timeout).await?;
    *connection = Some(open);
    Ok(answer)
}

impl Crowd {
    fn request(&self, user: u32) -> Vec<u8> {
        [self.head.as_bytes(), self.tokens[user as usize].as_bytes(), b"\r\n\r\n"].concat()
    }
}
