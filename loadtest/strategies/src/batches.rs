//! How many claims can Redis alone decide in a second, one a call and many a call? Its log is on, nothing relays.
//!
//! The rounds alternate, so that what else the machine does falls upon all of them.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use onrush::ids::AttemptId;
use onrush::redis::{Keys, Script};

use crate::findings::BatchRound;
use crate::private_redis::PrivateRedis;
use crate::resp::{Connection, Reply, encode_into};
use crate::ways::ISSUE;

static PUT: Script<2> = Script::new(
    "campaign/put",
    concat!(include_str!("../../../lua/prelude.lua"), include_str!("../../../lua/campaign/put.lua")),
);

/// How long each measurement lasts.
const ROUND: Duration = Duration::from_secs(1);
/// What Redis takes before it is measured: its memory and its log have grown once.
const WARM_UP: Duration = Duration::from_millis(300);
/// More than anyone claims in a round.
const UNITS: &str = "100000000";

/// Requests a call, and calls in flight: alone, as many as would have waited together; else a few, so that Redis always
/// has the next one.
const ONE: Shape = Shape { requests: 1, in_flight: 256 };
const OF_64: Shape = Shape { requests: 64, in_flight: 4 };
const OF_256: Shape = Shape { requests: 256, in_flight: 4 };

#[derive(Debug, Clone, Copy)]
struct Shape {
    requests: usize,
    in_flight: usize,
}

/// So many rounds of all three. Ends with the error of the callback, if it returns one after a round.
pub fn compare(
    rounds: usize,
    mut done: impl FnMut(&BatchRound) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<BatchRound>> {
    let redis = PrivateRedis::start()?;
    let mut connection = redis.connect()?;
    let sha = load(&mut connection)?;
    measure(&mut connection, &sha, OF_64, WARM_UP)?;
    let mut all = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let mut per_second = |shape| measure(&mut connection, &sha, shape, ROUND);
        let round = BatchRound { one: per_second(ONE)?, of_64: per_second(OF_64)?, of_256: per_second(OF_256)? };
        done(&round)?;
        all.push(round);
    }
    Ok(all)
}

fn load(connection: &mut Connection) -> anyhow::Result<String> {
    match connection.call(&["SCRIPT", "LOAD", ISSUE.source()])? {
        Reply::Text(sha) => Ok(sha),
        other => anyhow::bail!("SCRIPT LOAD answers {other:?}"),
    }
}

/// Claims granted in a second, of a new campaign.
fn measure(connection: &mut Connection, sha: &str, shape: Shape, lasts: Duration) -> anyhow::Result<f64> {
    let keys = Keys::new("").of(&"batches".parse()?).issue();
    arm(connection, &keys)?;
    let mut caller = Caller { sha, keys: &keys, shape, users: 0, commands: Vec::new() };
    let began = Instant::now();
    caller.add(shape.in_flight);
    let (mut in_flight, mut granted) = (shape.in_flight, 0);
    connection.send(&caller.take())?;
    while in_flight > 0 {
        granted += claims_in(&connection.receive()?, shape.requests)?;
        in_flight -= 1;
        // Replies come in bunches, and so do the calls that follow them.
        let mut answered = 1;
        while let Some(reply) = connection.receive_arrived()? {
            granted += claims_in(&reply, shape.requests)?;
            in_flight -= 1;
            answered += 1;
        }
        if began.elapsed() < lasts {
            caller.add(answered);
            in_flight += answered;
            connection.send(&caller.take())?;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    connection.call(&["FLUSHALL", "SYNC"])?;
    #[expect(clippy::cast_precision_loss, reason = "claims of a second are far below 2^53")]
    Ok(granted as f64 / seconds)
}

/// Writes calls.
struct Caller<'a> {
    sha: &'a str,
    keys: &'a [String; 6],
    shape: Shape,
    users: u64,
    commands: Vec<u8>,
}

impl Caller<'_> {
    /// So many calls more, each of users who have not asked yet.
    fn add(&mut self, calls: usize) {
        for _ in 0..calls {
            let mut requests = Vec::with_capacity(2 * self.shape.requests);
            for _ in 0..self.shape.requests {
                self.users += 1;
                requests.push(AttemptId::random().as_str().to_owned());
                requests.push(format!("user-{}", self.users));
            }
            let [campaign, holders, claims, outbox, inside, passes] = self.keys;
            let head =
                ["EVALSHA", self.sha, "6", campaign, holders, claims, outbox, inside, passes, "", "1", "1", "", ""];
            let words = head.into_iter().chain(requests.iter().map(String::as_str));
            encode_into(&mut self.commands, head.len() + requests.len(), words);
        }
    }

    fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.commands)
    }
}

/// Puts a campaign that is open, as the database's word would.
fn arm(connection: &mut Connection, keys: &[String; 6]) -> anyhow::Result<()> {
    for (put_before, code) in [("0", "created"), ("1", "unchanged")] {
        let reply = connection.call(&[
            "EVAL",
            PUT.source(),
            "2",
            &keys[0],
            &keys[3],
            "",
            "0",
            "0",
            put_before,
            "1",
            UNITS,
            "1",
            "20",
            "0",
            "0",
            "0",
            "0",
            UNITS,
            "{}",
            "",
        ])?;
        let Reply::List(parts) = reply else { anyhow::bail!("putting the campaign answers {reply:?}") };
        ensure!(parts.first() == Some(&Reply::Text(code.into())), "putting the campaign answers {parts:?}");
    }
    Ok(())
}

/// The claims that a reply grants: all that were asked for, or something is wrong.
fn claims_in(reply: &Reply, requests: usize) -> anyhow::Result<u64> {
    let Reply::List(parts) = reply else { anyhow::bail!("issue answers {reply:?}") };
    let answers = parts.get(7..).context("a reply without its head")?;
    let granted = answers.iter().filter(|answer| matches!(answer, Reply::Integer(number) if *number > 0)).count();
    ensure!(granted == requests, "{granted} of {requests} claims were granted: {parts:?}");
    Ok(granted as u64)
}
