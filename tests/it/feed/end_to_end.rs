//! From a thousand presses of "publish" to five hundred feeds, with an upstream that misbehaves and workers that are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use onrush::app::Role;
use onrush::database;
use reqwest::Method;
use serde_json::json;
use sqlx::query_as;
use upstream_dev::{Change, Manners, Upstream};

use crate::support::installation::{Client, Installation};
use crate::support::process::Process;
use crate::support::stores::eventually;

const AUTHORS: usize = 20;
const SUBSCRIBERS: usize = 500;
const POSTS: usize = 1_000;
/// Authors of each subscriber.
const FOLLOWED: usize = 3;
/// What the rules reject.
const FORBIDDEN: &str = "금지어";
const AT_A_TIME: usize = 16;
/// A fifth of the calls takes this long and fails then: nobody may wait for it.
const FAIL_AFTER_MS: u64 = 1_000;
const TIMEOUT_MS: u64 = 300;

fn author(n: usize) -> String {
    format!("author-{}", n % AUTHORS)
}

fn follows(subscriber: usize) -> impl Iterator<Item = usize> {
    // Different ones for neighbours, each author about as often.
    (0..FOLLOWED).map(move |turn| (subscriber + turn * 7) % AUTHORS)
}

/// What is published, by its number: rejected, changed from good to bad or from bad to good, or taken away again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    Bad,
    TurnedBad,
    TurnedGood,
    Deleted,
}

impl Fate {
    fn of(post: usize) -> Self {
        match post % 20 {
            3 | 11 => Self::Bad,
            5 => Self::TurnedBad,
            7 => Self::TurnedGood,
            13 => Self::Deleted,
            _ => Self::Good,
        }
    }

    fn is_bad_at_first(self) -> bool {
        matches!(self, Self::Bad | Self::TurnedGood)
    }

    fn is_read_at_last(self) -> bool {
        matches!(self, Self::Good | Self::TurnedGood)
    }
}

fn body(is_bad: bool) -> String {
    if is_bad {
        format!("쿠폰 {FORBIDDEN} 이벤트")
    } else {
        "선착순 할인쿠폰을 드립니다 #쿠폰".into()
    }
}

async fn publish(client: &Client, post: usize) -> String {
    let content = json!({"title": format!("소식 {post}"), "body": body(Fate::of(post).is_bad_at_first())});
    let answer = client.user_sends(&author(post), Method::POST, "/v1/posts", &content).await;
    assert_eq!(answer.outcome(), "201", "{answer:?}");
    answer.text("post_id").to_owned()
}

async fn meet_fate(client: &Client, post: usize, id: &str) {
    let (path, author) = (format!("/v1/posts/{id}"), author(post));
    let answer = match Fate::of(post) {
        Fate::Good | Fate::Bad => return,
        Fate::TurnedBad => client.user_sends(&author, Method::PATCH, &path, &json!({"body": body(true)})).await,
        Fate::TurnedGood => client.user_sends(&author, Method::PATCH, &path, &json!({"body": body(false)})).await,
        Fate::Deleted => client.as_user(&author, Method::DELETE, &path).await,
    };
    assert!(matches!(answer.status, 200 | 204), "{answer:?}");
}

/// What a process counts, summed over its labels.
async fn counted(client: &Client, metric: &str) -> u64 {
    let metrics = client.get("/metrics").await;
    let lines = metrics.body.as_str().unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    lines
        .iter()
        .filter(|line| line.starts_with(metric))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

async fn worker(installation: &Installation, upstream_url: &str) -> Process {
    let timeout = TIMEOUT_MS.to_string();
    let forbidden = format!("[\"{FORBIDDEN}\"]");
    let settings = [
        ("FEED__LANES", r#"["relay","fill","inspect","deliver","index"]"#),
        ("UPSTREAM__USER_INFO_URL", upstream_url),
        ("UPSTREAM__TIMEOUT_MS", &timeout),
        // What is known is soon old: the upstream is asked again and again.
        ("UPSTREAM__USER_TTL_MS", "200"),
        ("UPSTREAM__BREAKER_WINDOW", "10"),
        ("UPSTREAM__BREAKER_OPEN_MS", "500"),
        ("INSPECTOR__FORBIDDEN", &forbidden),
        ("FEED__RETRY_MS", "200"),
        ("FEED__RETRIES_MAX", "100"),
        ("FEED__BULK_PER_SECOND_MAX", "100000"),
        ("FEED__RELAY_PER_SECOND_MAX", "100000"),
        ("KAFKA__SESSION_TIMEOUT_MS", "6000"),
    ];
    Process::start_with(installation, "work", |command| {
        command.envs(settings.map(|(name, value)| (format!("ONRUSH__{name}"), value.to_owned())));
    })
    .await
}

/// Who shall have what.
fn due(ids: &BTreeMap<usize, String>) -> BTreeSet<(String, String)> {
    let readable = ids.iter().filter(|(post, _)| Fate::of(**post).is_read_at_last());
    readable
        .flat_map(|(post, id)| {
            let author = *post % AUTHORS;
            let readers = (0..SUBSCRIBERS).filter(move |user| follows(*user).any(|followed| followed == author));
            readers.map(|user| (format!("reader-{user}"), id.clone()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_inspected_post_is_in_every_due_inbox_once_and_no_other() {
    let manners = Manners { fail_percent: 20, fail_after_ms: FAIL_AFTER_MS, seed: 3, ..Manners::default() };
    let upstream = Upstream::start("127.0.0.1:0".parse().unwrap(), manners, "").await.unwrap();
    let installation = Installation::with(|_| {}).await;
    let node = installation.node(Role::Serve).await;
    let url = upstream.url();
    let worker = || worker(&installation, &url);
    let mut workers = vec![worker().await, worker().await];

    let wishes = (0..SUBSCRIBERS).flat_map(|user| follows(user).map(move |author| (user, author)));
    let client = &node.client;
    futures::stream::iter(wishes)
        .for_each_concurrent(AT_A_TIME, |(user, of)| async move {
            let answer = client.subscribe(&format!("reader-{user}"), &author(of)).await;
            assert_eq!(answer.outcome(), "204", "{answer:?}");
        })
        .await;

    // A worker dies after each third of the posts, in the midst of what it has begun, and another takes its place.
    let mut ids = BTreeMap::new();
    for third in 0..3 {
        let posts = (third * POSTS / 3)..((third + 1) * POSTS / 3);
        let published: Vec<(usize, String)> = futures::stream::iter(posts)
            .map(|post| async move {
                let id = publish(client, post).await;
                meet_fate(client, post, &id).await;
                (post, id)
            })
            .buffer_unordered(AT_A_TIME)
            .collect()
            .await;
        ids.extend(published);
        workers[third % 2].kill().await;
        workers[third % 2] = worker().await;
    }
    // A while without any upstream: the breaker opens. Back again, it closes.
    let of_worker = installation.client(&workers[1].url);
    assert!(upstream.change(Change { down: Some(true), ..Change::default() }));
    let more = POSTS..POSTS + 40;
    for post in more.clone() {
        ids.insert(post, publish(client, post).await);
    }
    let of_other = installation.client(&workers[0].url);
    let changes = async |to: &str| {
        let metric = format!("onrush_upstream_breaker_changes_total{{to=\"{to}\"}}");
        counted(&of_worker, &metric).await + counted(&of_other, &metric).await
    };
    eventually("the breaker is open", async || changes("open").await > 0).await;
    assert!(upstream.change(Change { down: Some(false), ..Change::default() }));
    for post in more {
        meet_fate(client, post, &ids[&post]).await;
    }
    let mut last = POSTS + 40;
    eventually("the breaker is closed again", async || {
        // Somebody has to ask for it to be seen.
        ids.insert(last, publish(client, last).await);
        meet_fate(client, last, &ids[&last]).await;
        last += 1;
        changes("closed").await > 0
    })
    .await;

    let database = database::open(&installation.config.postgres).unwrap();
    let due = due(&ids);
    let found = async || -> Vec<(String, String)> {
        let rows: Vec<(String, i64)> =
            query_as("SELECT user_id, post_id FROM inbox").fetch_all(&database).await.unwrap();
        rows.into_iter().map(|(user, post)| (user, format!("{post:019}"))).collect()
    };
    eventually("all that is due has arrived, and nothing else stays", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        found().await.into_iter().collect::<BTreeSet<_>>() == due
    })
    .await;
    assert_eq!(found().await.len(), due.len(), "a post is in an inbox twice");
    eventually("the index has what can be read", async || {
        let readable = ids.iter().filter(|(post, _)| Fate::of(**post).is_read_at_last());
        let indexed: Vec<(i64,)> = query_as("SELECT post_id FROM post_search").fetch_all(&database).await.unwrap();
        readable.map(|(_, id)| id.clone()).collect::<BTreeSet<_>>()
            == indexed.into_iter().map(|(id,)| format!("{id:019}")).collect()
    })
    .await;

    // What the database says is what the readers see, page by page.
    for user in (0..SUBSCRIBERS).step_by(50).map(|user| format!("reader-{user}")) {
        let mine: Vec<String> =
            due.iter().filter(|(reader, _)| *reader == user).map(|(_, id)| id.clone()).rev().collect();
        assert_eq!(client.whole_feed(&user, 37, async || {}).await, mine, "{user}");
    }
    // Nobody has waited for what takes a second to fail.
    let counts = upstream.counts();
    assert!(counts.failures > 0, "{counts:?}");
    assert!(counts.longest_stay_ms < FAIL_AFTER_MS, "{counts:?}");
    for mut worker in workers {
        assert!(worker.terminate().await.success());
    }
    node.stop().await;
}
