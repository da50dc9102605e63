//! What a node says without asking Redis: seldom asked, and never wrong.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use onrush::app::Role;
use onrush::clock::Millis;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::installation::{Answer, Client, Installation};
use crate::support::private_redis::PrivateRedis;

/// How many scripts this Redis has run.
fn scripts_run(redis: &PrivateRedis) -> u64 {
    let stats = redis.cli(&["info", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    line.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

/// A thousand claims by twenty clients, and how many scripts Redis has run for them.
async fn scripts_of_a_thousand(redis: &PrivateRedis, client: &Client, campaign: &str, outcome: &'static str) -> u64 {
    let before = scripts_run(redis);
    let crowd = (0..20).map(|person| {
        let (client, campaign) = (client.clone(), campaign.to_owned());
        tokio::spawn(async move {
            for turn in 0..50 {
                let answer = client.claim(&campaign, &format!("late-{person}-{turn}")).await;
                assert_eq!(answer.outcome(), outcome);
            }
        })
    });
    join_all(crowd).await.into_iter().for_each(Result::unwrap);
    scripts_run(redis) - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_seldom_asked_about_what_is_sold_out_or_not_open_or_over() {
    let redis = PrivateRedis::start(&[]).await;
    let installation = Installation::with(|config| {
        config.redis.url = redis.url();
        // A busy machine takes its time for a thousand claims.
        config.claim.latch_lease_ms = 1_000;
    })
    .await;
    let node = installation.node(Role::Serve).await;
    let sold_out = node.campaign(1, json!({})).await;
    assert_eq!(node.claim(&sold_out, "alice").await.outcome(), "201");
    let in_an_hour = Millis(Millis::now().0 + 3_600_000).to_rfc3339();
    let scheduled = node.campaign(1, json!({"opens_at": in_an_hour})).await;
    let an_hour_ago = Millis(Millis::now().0 - 3_600_000).to_rfc3339();
    let over = node.campaign(1, json!({"closes_at": an_hour_ago})).await;
    for (campaign, outcome) in [(&sold_out, "409 sold_out"), (&scheduled, "409 not_open_yet"), (&over, "410 closed")] {
        let scripts = scripts_of_a_thousand(&redis, &node.client, campaign, outcome).await;
        assert!(scripts < 500, "{scripts} scripts for a thousand times {outcome}");
    }
}

/// Somebody who asks again and again, each time as a new user: answers with when they were asked for.
fn keep_asking(
    client: &Client,
    campaign: &str,
    name: &'static str,
    stop: &CancellationToken,
) -> mpsc::Receiver<(Instant, Answer)> {
    let (heard, answers) = mpsc::channel(10_000);
    let (client, campaign, stop) = (client.clone(), campaign.to_owned(), stop.clone());
    tokio::spawn(async move {
        for turn in 0.. {
            let asked = Instant::now();
            let answer = client.claim(&campaign, &format!("{name}-{turn}")).await;
            if stop.is_cancelled() || heard.send((asked, answer)).await.is_err() {
                return;
            }
        }
    });
    answers
}

/// Invariant 2, where no message arrives: a unit that came back on another node is refused for one lease at most,
/// however often the refusals from memory were renewed before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_offered_within_a_lease_also_where_messages_are_lost() {
    let mut installation = Installation::new().await;
    let lease = Duration::from_millis(installation.config.claim.latch_lease_ms);
    let giver = installation.node(Role::All).await;
    installation.config.bench.without_messages = true;
    let deaf = installation.node(Role::Serve).await;
    let campaign = giver.campaign(1, json!({})).await;
    let mut holder = giver.claim(&campaign, "first").await;
    let stop = CancellationToken::new();
    let mut answers = keep_asking(&deaf.client, &campaign, "asker", &stop);
    let mut refused_from_memory = 0;
    for turn in 0..20 {
        for _ in 0..30 {
            assert_eq!(answers.recv().await.unwrap().1.outcome(), "409 sold_out");
        }
        if turn % 2 == 0 {
            assert_eq!(giver.give_back(&holder).await.outcome(), "200");
        } else {
            let patch = format!("/v1/campaigns/{campaign}");
            let raised = json!({"stock": 2 + turn / 2});
            assert_eq!(giver.operator_sends(reqwest::Method::PATCH, &patch, &raised).await.outcome(), "200");
        }
        let offered = Instant::now();
        loop {
            let (asked, answer) = answers.recv().await.unwrap();
            if answer.status == 201 {
                holder = answer;
                break;
            }
            assert!(asked < offered + lease, "refused {:?} after the unit was there", asked - offered);
            refused_from_memory += usize::from(asked > offered);
        }
    }
    stop.cancel();
    assert!(refused_from_memory > 0, "nothing was ever refused from memory: the test has shown nothing");
    giver.audit_ok(&campaign).await;
}

/// On the node that answered the give-back it is offered at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_back_is_offered_at_once_where_it_was_given_back() {
    let installation = Installation::with(|config| config.bench.without_messages = true).await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(1, json!({})).await;
    let mut holder = node.claim(&campaign, "user-0").await;
    for turn in 1..=50 {
        assert_eq!(node.claim(&campaign, "late").await.outcome(), "409 sold_out");
        assert_eq!(node.give_back(&holder).await.outcome(), "200");
        holder = node.claim(&campaign, &format!("user-{turn}")).await;
        assert_eq!(holder.outcome(), "201");
    }
}

/// A window's ends are Redis' to judge: nobody is refused who asks after the opening, and none is served who asks after
/// the end, by the clock that this machine and Redis share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_opens_and_closes_on_the_millisecond() {
    let installation = Installation::new().await;
    let node = Arc::new(installation.node(Role::Serve).await);
    let (opens_at, closes_at) = (Millis(Millis::now().0 + 1_500), Millis(Millis::now().0 + 3_000));
    let window = json!({"opens_at": opens_at.to_rfc3339(), "closes_at": closes_at.to_rfc3339()});
    let campaign = node.campaign(1_000_000, window).await;
    let crowd = (0..4).map(|person| {
        let (node, campaign) = (Arc::clone(&node), campaign.clone());
        tokio::spawn(async move {
            let mut seen = [0; 3];
            for turn in 0.. {
                let asked = Millis::now();
                let answer = node.claim(&campaign, &format!("user-{person}-{turn}")).await;
                let answered = Millis::now();
                match answer.outcome().as_str() {
                    "409 not_open_yet" => {
                        assert!(asked < opens_at, "refused {} ms after the opening", asked.0 - opens_at.0);
                        seen[0] += 1;
                    }
                    "201" => {
                        assert!(answered >= opens_at && asked < closes_at);
                        seen[1] += 1;
                    }
                    "410 closed" => {
                        assert!(answered >= closes_at);
                        seen[2] += 1;
                        if asked.0 > closes_at.0 + 300 {
                            return seen;
                        }
                    }
                    other => panic!("{other}"),
                }
            }
            unreachable!("it asks without end")
        })
    });
    for seen in join_all(crowd).await {
        assert!(seen.unwrap().into_iter().all(|count| count > 0), "each of the three was heard");
    }
}
