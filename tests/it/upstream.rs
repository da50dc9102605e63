//! Another team's API: how long it is waited for, how often it is asked, and what is known while it is not.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use onrush::cache::Cache;
use onrush::config::Config;
use onrush::redis::Redis;
use onrush::upstream::{UpstreamError, UserInfo, Users};
use reqwest::StatusCode;
use serde_json::{Value, json};
use upstream_dev::{Change, Manners, Upstream};

use crate::support::names;
use crate::support::stores::eventually;

/// Nobody waits this long: a call that is still there then is one that no limit ended.
const FOR_EVER_MS: u64 = 3_600_000;

async fn upstream(manners: Manners) -> Upstream {
    Upstream::start("127.0.0.1:0".parse().unwrap(), manners, "").await.unwrap()
}

/// A client of it with settings of its own. The time limit is long enough for a busy machine.
async fn users(upstream: &Upstream, change: impl FnOnce(&mut Config)) -> Users {
    let mut config = names::config();
    config.upstream.user_info_url = upstream.url();
    config.upstream.timeout_ms = 2_000;
    config.upstream.retries_max = 0;
    change(&mut config);
    let redis = Arc::new(Redis::connect(&config.redis).await.unwrap());
    Users::new(&config.upstream, Cache::new(redis, &config.cache)).unwrap()
}

async fn find(users: &Users, id: &str) -> Result<Option<UserInfo>, UpstreamError> {
    users.find(&id.parse().unwrap()).await
}

/// Asks about that many users whom nobody asked about before, so many at a time: how many answers came.
async fn answers(users: &Users, count: usize, at_a_time: usize) -> usize {
    let name = names::unique("u");
    let mut asked = futures::stream::iter(0..count)
        .map(|n| {
            let id = format!("{name}-{n}");
            async move { find(users, &id).await.is_ok() }
        })
        .buffer_unordered(at_a_time);
    let mut answers = 0;
    while let Some(is_answer) = asked.next().await {
        answers += usize::from(is_answer);
    }
    answers
}

fn why(result: Result<Option<UserInfo>, UpstreamError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_what_the_api_says_and_an_unknown_one_is_none() {
    let upstream = upstream(Manners::default()).await;
    let users = users(&upstream, |_| {}).await;
    let alice = find(&users, "alice").await.unwrap().unwrap();
    assert_eq!((alice.user_id.as_str(), alice.name.as_str()), ("alice", "Alice"));
    assert!(alice.category.is_some());
    assert_eq!(find(&users, "plain-bob").await.unwrap().unwrap().category, None);
    let calls = upstream.counts().calls;
    assert_eq!(find(&users, "unknown-carol").await.unwrap(), None);
    assert_eq!(upstream.counts().calls, calls + 1, "that nobody is there is an answer, and not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_any_letters_stays_one_part_of_the_path() {
    let upstream = upstream(Manners::default()).await;
    let users = users(&upstream, |_| {}).await;
    for id in ["쿠폰 왕", "a/b", "a?b=c", "a#b", "%2e%2e", "a+b", "../control", "100%"] {
        assert_eq!(find(&users, id).await.unwrap().map(|info| info.user_id).as_deref(), Some(id), "{id}");
    }
    let calls = upstream.counts().calls;
    for id in [".", ".."] {
        assert_eq!(find(&users, id).await.unwrap(), None, "{id}");
    }
    assert_eq!(upstream.counts().calls, calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_api_nobody_is_known_and_nothing_fails() {
    let upstream = upstream(Manners::default()).await;
    let users = users(&upstream, |config| config.upstream.user_info_url.clear()).await;
    assert_eq!(find(&users, "alice").await.unwrap(), None);
    assert_eq!(upstream.counts().calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_a_failure_and_is_not_asked_for_twice() {
    let upstream = upstream(Manners::default()).await;
    let users = users(&upstream, |config| {
        config.upstream.retries_max = 5;
        config.upstream.retry_budget_percent = 100;
    })
    .await;
    let spoilt = [
        ("garbage", "the answer is none"),
        ("huge", "too large"),
        ("mistaken", "about another user"),
        ("elsewhere", "status 302"),
        ("forbidden", "status 403"),
    ];
    for (id, expected) in spoilt {
        let calls = upstream.counts().calls;
        let why = why(find(&users, id).await);
        assert!(why.contains(expected), "{id}: {why}");
        assert_eq!(upstream.counts().calls, calls + 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_begins_and_never_ends_is_given_up() {
    let upstream = upstream(Manners::default()).await;
    let users = users(&upstream, |config| config.upstream.timeout_ms = 200).await;
    assert!(why(find(&users, "endless").await).contains("too long"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_listens_is_a_failure_too() {
    let gone = upstream(Manners::default()).await;
    let users = users(&gone, |_| {}).await;
    let (url, address) = (gone.url(), gone.url().replace("http://", ""));
    drop(gone);
    eventually("the port is free", async || tokio::net::TcpStream::connect(&address).await.is_err()).await;
    let why = why(find(&users, "alice").await);
    assert!(why.contains("no answer") && !why.contains(&url), "{why}");
}

/// The source: a fifth of its calls takes a second and then fails. Here it takes an hour, and nobody stays for that.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_fifth_of_the_calls_misbehaving_none_is_waited_for_beyond_its_time() {
    let misbehaving = Manners { fail_percent: 20, fail_after_ms: FOR_EVER_MS, seed: 7, ..Manners::default() };
    let upstream = upstream(misbehaving).await;
    let users = users(&upstream, |config| config.upstream.timeout_ms = 300).await;
    let answered = answers(&users, 400, 32).await;
    let counts = upstream.counts();
    assert_eq!(counts.calls, 400, "no retries, and the breaker stays closed");
    assert!((60..=100).contains(&counts.failures), "{counts:?}");
    assert!(answered <= 400 - usize::try_from(counts.failures).unwrap(), "{answered} of {counts:?}");
    eventually("every one of them was left", async || upstream.counts().left >= counts.failures).await;
    assert!(upstream.counts().longest_stay_ms < FOR_EVER_MS, "{:?}", upstream.counts());
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_help_against_a_slow_fifth_and_stay_within_their_budget() {
    let misbehaving = Manners { fail_percent: 20, fail_after_ms: FOR_EVER_MS, seed: 7, ..Manners::default() };
    let upstream = upstream(misbehaving).await;
    let users = users(&upstream, |config| {
        config.upstream.retries_max = 1;
        config.upstream.retry_budget_percent = 30;
    })
    .await;
    let answered = answers(&users, 200, 16).await;
    let counts = upstream.counts();
    assert!((201..=260).contains(&counts.calls), "{counts:?}");
    assert!(answered > 200 - usize::try_from(counts.failures).unwrap(), "{answered} answers in spite of {counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_total_outage_the_budget_bounds_the_retries() {
    let upstream = upstream(Manners { down: true, ..Manners::default() }).await;
    let users = users(&upstream, |config| {
        config.upstream.retries_max = 5;
        config.upstream.retry_budget_percent = 20;
        // It would hide what is asked here.
        config.upstream.breaker_window = 10_000;
    })
    .await;
    assert_eq!(answers(&users, 500, 1).await, 0);
    assert_eq!(upstream.counts().calls, 600, "500 calls, and a fifth of that as retries");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_opens_in_an_outage_and_closes_when_it_is_over() {
    let upstream = upstream(Manners::default()).await;
    let open_ms = 400;
    let users = users(&upstream, |config| {
        config.upstream.breaker_window = 20;
        config.upstream.breaker_open_ms = open_ms;
        config.upstream.breaker_probes = 3;
    })
    .await;
    assert_eq!(answers(&users, 20, 1).await, 20);
    assert!(upstream.change(Change { down: Some(true), ..Change::default() }));
    // Ten of the last twenty, and then nobody is called any more.
    assert_eq!(answers(&users, 10, 1).await, 0);
    let (calls, opened) = (upstream.counts().calls, tokio::time::Instant::now());
    assert_eq!(answers(&users, 50, 10).await, 0);
    if opened.elapsed() < Duration::from_millis(open_ms) {
        assert_eq!(upstream.counts().calls, calls, "it is open");
    }
    assert!(why(find(&users, &names::unique("u")).await).contains("the breaker is open"));

    // While it is down, only probes come through, and it opens again.
    tokio::time::sleep(Duration::from_millis(open_ms)).await;
    let calls = upstream.counts().calls;
    eventually("somebody probed", async || {
        answers(&users, 10, 10).await;
        upstream.counts().calls >= calls + 3
    })
    .await;
    assert!(upstream.change(Change { down: Some(false), ..Change::default() }));
    eventually("it is closed", async || answers(&users, 10, 1).await == 10).await;
    assert_eq!(answers(&users, 50, 10).await, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_when_as_many_as_may_are_calling_is_refused_at_once() {
    let upstream = upstream(Manners { fail_percent: 100, fail_after_ms: FOR_EVER_MS, ..Manners::default() }).await;
    let users = users(&upstream, |config| {
        config.upstream.calls_max = 2;
        config.upstream.timeout_ms = 60_000;
    })
    .await;
    let mut stuck: FuturesUnordered<_> = ["a", "b"].map(|id| find(&users, id)).into_iter().collect();
    let refused = async {
        eventually("two are calling", async || upstream.counts().calls == 2).await;
        why(find(&users, "c").await)
    };
    tokio::select! {
        ended = stuck.next() => panic!("{ended:?}"),
        why = refused => assert!(why.contains("as many calls as may"), "{why}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_known_last_is_answered_while_the_api_fails_and_while_the_breaker_is_open() {
    let upstream = upstream(Manners::default()).await;
    let users = users(&upstream, |config| {
        config.upstream.user_ttl_ms = 100;
        config.upstream.breaker_window = 10;
        config.upstream.breaker_open_ms = 600_000;
        config.cache.local_ttl_ms = 50;
        config.cache.jitter_percent = 0;
    })
    .await;
    let id = names::unique("alice");
    let alice = find(&users, &id).await.unwrap();
    assert!(alice.is_some());
    assert!(upstream.change(Change { down: Some(true), ..Change::default() }));
    let known = async || assert_eq!(find(&users, &id).await.unwrap(), alice);
    eventually("it was asked again, and failed", async || {
        known().await;
        upstream.counts().failures > 0
    })
    .await;
    // Ten failures of users whom nobody knows open it.
    eventually("the breaker is open", async || {
        let why = why(find(&users, &names::unique("stranger")).await);
        why.contains("the breaker is open")
    })
    .await;
    let calls = upstream.counts().calls;
    for _ in 0..20 {
        known().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(upstream.counts().calls, calls, "nobody was called");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_misbehaving_server_is_told_how_over_http_and_says_what_happened() {
    let upstream = upstream(Manners::default()).await;
    let control = format!("{}/control", upstream.url());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let user = async |id: &str| http.get(format!("{}/users/{id}", upstream.url())).send().await.unwrap().status();
    assert_eq!(user("alice").await, StatusCode::OK);
    let told = http.put(&control).json(&json!({"fail_percent": 100, "fail_after_ms": 1})).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::OK);
    assert_eq!(user("alice").await, StatusCode::INTERNAL_SERVER_ERROR);
    http.put(&control).json(&json!({"fail_percent": 0, "down": true})).send().await.unwrap();
    assert_eq!(user("alice").await, StatusCode::INTERNAL_SERVER_ERROR);
    let refused = http.put(&control).json(&json!({"fail_percent": 101})).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let said: Value = http.get(&control).send().await.unwrap().json().await.unwrap();
    assert_eq!((&said["counts"]["calls"], &said["counts"]["failures"]), (&json!(3), &json!(2)), "{said}");
    assert_eq!((&said["manners"]["fail_percent"], &said["manners"]["down"]), (&json!(0), &json!(true)), "{said}");
}
