//! What happens in a rush? Tokens, connections and the campaign first; then all connections begin at the same instant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Request, Uri};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::http_client::{Answer, Connection, NoAnswer};
use crate::operator::Operator;
use crate::report::Report;
use crate::tally::Tally;
use crate::target::Target;
use crate::{audit, open_files, tokens};

/// Who asks for what.
pub(crate) struct Plan {
    /// The campaign's id.
    pub(crate) campaign: String,
    /// How many users ask.
    pub(crate) users: u32,
    /// How many coupons there are.
    pub(crate) stock: u32,
    /// Connections that may be open.
    pub(crate) connections: u32,
    /// Requests of each user.
    pub(crate) per_user_tries: u32,
    /// How long a request may take.
    pub(crate) timeout: Duration,
    /// How long the auditor may say `settling`.
    pub(crate) audit_wait: Duration,
}

impl Plan {
    /// How many requests are sent.
    pub(crate) fn requests(&self) -> u64 {
        u64::from(self.users) * u64::from(self.per_user_tries)
    }

    /// How many connections are opened: none that would carry nothing.
    pub(crate) fn connections_used(&self) -> u32 {
        u32::try_from(self.requests()).map_or(self.connections, |requests| requests.min(self.connections))
    }

    /// The users whose requests one connection carries, in order. Requests are dealt like cards, a user's tries one
    /// after another, so that they lie on different connections and are sent at about the same time.
    fn users_of(&self, connection: u32) -> impl Iterator<Item = u32> + use<> {
        let (requests, tries) = (self.requests(), u64::from(self.per_user_tries));
        let dealt = (u64::from(connection)..requests).step_by(self.connections_used() as usize);
        dealt.map(move |request| u32::try_from(request / tries).expect("it is below the number of users"))
    }
}

/// What all connections share.
struct Crowd {
    target: Target,
    uri: Uri,
    host: HeaderValue,
    tokens: Vec<HeaderValue>,
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
    let crowd = Arc::new(Crowd {
        target: target.clone(),
        uri: format!("/v1/campaigns/{}/claims", plan.campaign).parse().context("--campaign is not an id")?,
        host: target.host(),
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
    let audit = audit::wait(operator, &plan.campaign, plan.audit_wait).await?;
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
    let answer = open.exchange(crowd.request(user), crowd.timeout).await?;
    *connection = Some(open);
    Ok(answer)
}

impl Crowd {
    /// Made of parts that are shared, not copied.
    fn request(&self, user: u32) -> Request<Full<Bytes>> {
        let mut request = Request::post(self.uri.clone())
            .body(Full::default())
            .expect("a method and a path that were parsed are a request");
        request.headers_mut().insert(HOST, self.host.clone());
        request.headers_mut().insert(AUTHORIZATION, self.tokens[user as usize].clone());
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(users: u32, connections: u32, per_user_tries: u32) -> Plan {
        let (timeout, audit_wait) = (Duration::from_secs(1), Duration::from_secs(1));
        Plan { campaign: "c".into(), users, stock: 1, connections, per_user_tries, timeout, audit_wait }
    }

    #[test]
    fn users_are_dealt_in_order_and_nobody_is_left_out() {
        let plan = plan(10, 4, 1);
        let hands: Vec<Vec<u32>> = (0..4).map(|connection| plan.users_of(connection).collect()).collect();
        assert_eq!(hands, [vec![0, 4, 8], vec![1, 5, 9], vec![2, 6], vec![3, 7]]);
    }

    #[test]
    fn the_tries_of_a_user_lie_on_different_connections() {
        let plan = plan(5, 4, 3);
        for user in 0..5 {
            let carriers = (0..4).filter(|connection| plan.users_of(*connection).filter(|u| *u == user).count() == 1);
            assert_eq!(carriers.count(), 3);
        }
    }

    #[test]
    fn no_connection_is_opened_for_nothing() {
        assert_eq!(plan(3, 512, 1).connections_used(), 3);
        assert_eq!(plan(1_000_000, 512, 100).connections_used(), 512);
    }
}
