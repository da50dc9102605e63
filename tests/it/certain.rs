//! What clients are told when a store fails: in our own words, and what is known is not called unknown.

use std::time::Duration;

use onrush::app::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::installation::{Answer, Installation, OPERATOR, TestNode};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::eventually;
use crate::support::switch::Switch;

const NOTHING: &str = "nothing was done";
const PERHAPS: &str = "it may have happened; repeat it, with the same Idempotency-Key if it had one";

/// What stores, drivers and the system say, and we do not.
const STORES_WORDS: &[&str] = &[
    "OOM",
    "READONLY",
    "READ ONLY",
    "read only replica",
    "LOADING",
    "NOSCRIPT",
    "MASTERDOWN",
    "BUSY",
    "maxmemory",
    "script:",
    "user_script",
    "SQLSTATE",
    "sqlx",
    "pool timed out",
    "error returned from database",
    "relation ",
    "rdkafka",
    "librdkafka",
    "BrokerTransport",
    "broker",
    "fred",
    "IO Error",
    "Timeout Error",
    "Unknown Error",
    "Canceled",
    "os error",
    "onnection refused",
    "onnection reset",
    "timed out",
    "127.0.0.1",
    "panicked",
    "evalsha",
];

/// Whether it has so many hexadecimal digits in a row as a script's hash.
fn has_hash(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_hexdigit()).any(|run| run.len() >= 40)
}

/// The problem is told in our own words.
fn is_our_own(what: &str, answer: &Answer) {
    for member in ["detail", "title"] {
        let text = answer.text(member);
        let theirs: Vec<_> = STORES_WORDS.iter().filter(|word| text.contains(**word)).collect();
        assert!(theirs.is_empty() && !has_hash(text), "{what}: {theirs:?} in {text:?}");
    }
}

async fn node_of(redis: &PrivateRedis) -> (Installation, TestNode) {
    let installation = Installation::with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 500;
        config.redis.reconnect_ms = 50;
    })
    .await;
    let node = installation.node(Role::All).await;
    (installation, node)
}

fn says(answer: &Answer, words: &str) {
    assert_eq!(answer.outcome(), "503 unavailable", "{answer:?}");
    assert!(answer.text("detail").contains(words), "{:?} instead of {words:?}", answer.text("detail"));
    is_our_own("a claim", answer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_a_full_redis_refuses_has_done_nothing_and_says_so() {
    let redis = PrivateRedis::start(&[]).await;
    let (_installation, node) = node_of(&redis).await;
    let campaign = node.campaign(5, json!({})).await;
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
    redis.cli(&["config", "set", "maxmemory", "1"]);
    says(&node.claim(&campaign, "bob").await, NOTHING);
    says(&node.claim_with_key(&campaign, "bob", "key").await, NOTHING);
    let by_key = node.request(Method::DELETE, &format!("/v1/campaigns/{campaign}/claims/by-key"));
    says(&node.send(by_key.bearer_auth(node.token("bob")).header("Idempotency-Key", "other")).await, NOTHING);
    redis.cli(&["config", "set", "maxmemory", "0"]);
    assert_eq!(node.view(&campaign).await.number("left"), 4, "nothing was done");
    assert_eq!(node.claim_with_key(&campaign, "bob", "key").await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_to_a_replica_has_done_nothing_and_says_so() {
    let redis = PrivateRedis::start(&[]).await;
    let (_installation, node) = node_of(&redis).await;
    let campaign = node.campaign(5, json!({})).await;
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
    redis.cli(&["replicaof", "127.0.0.1", "1"]);
    redis.cli(&["config", "set", "replica-serve-stale-data", "yes"]);
    says(&node.claim(&campaign, "bob").await, NOTHING);
}

/// There was no connection when it came, and none was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_was_never_sent_is_not_called_unknown() {
    let mut redis = PrivateRedis::start(&[]).await;
    let (_installation, node) = node_of(&redis).await;
    let campaign = node.campaign(5, json!({})).await;
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
    redis.kill();
    eventually("the loss is noticed", async || {
        let answer = node.claim(&campaign, "bob").await;
        assert_eq!(answer.outcome(), "503 unavailable");
        answer.text("detail").contains(NOTHING)
    })
    .await;
    let answer = node.as_user("alice", Method::GET, &format!("/v1/campaigns/{campaign}/claims/mine")).await;
    assert_eq!(answer.outcome(), "503 unavailable");
    assert!(!answer.text("detail").contains("may have happened"), "what is only read changes nothing: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_does_not_come_is_called_unknown_and_its_repetition_takes_no_second_unit() {
    let redis = PrivateRedis::start(&[]).await;
    let (_installation, node) = node_of(&redis).await;
    let campaign = node.campaign(5, json!({})).await;
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
    redis.freeze();
    says(&node.claim_with_key(&campaign, "bob", "key").await, PERHAPS);
    redis.thaw();
    let mut again = None;
    eventually("Redis answers again", async || {
        let answer = node.claim_with_key(&campaign, "bob", "key").await;
        let is_there = answer.status == 201;
        again = Some(answer);
        is_there
    })
    .await;
    assert_eq!(node.view(&campaign).await.number("left"), 3, "{again:?}");
}

/// Everything that can be asked, of whoever asks.
fn requests(campaign: &str, claim: &str, coupon: &str) -> Vec<(Method, String, &'static str, serde_json::Value)> {
    let (get, post, patch) = (Method::GET, Method::POST, Method::PATCH);
    let (operator, user, nothing) = ("operator", "alice", serde_json::Value::Null);
    let id = format!("/v1/campaigns/{campaign}");
    let mut all = Vec::new();
    let mut ask = |method: &Method, path: String, who, body| all.push((method.clone(), path, who, body));
    for path in [String::new(), "/claims/mine".into(), "/waiting".into(), "/draw".into()] {
        ask(&get, format!("{id}{path}"), user, nothing.clone());
    }
    for path in ["/claims", "/waiting"] {
        ask(&post, format!("{id}{path}"), user, nothing.clone());
    }
    ask(&Method::DELETE, format!("{id}/waiting"), user, nothing.clone());
    ask(&Method::DELETE, format!("{id}/claims/by-key"), user, nothing.clone());
    ask(&get, format!("/v1/claims/{claim}"), user, nothing.clone());
    ask(&post, format!("/v1/claims/{claim}/give-back"), user, nothing.clone());
    for path in ["/v1/campaigns", "/v1/feed", "/v1/search?q=a", "/v1/view", "/v1/posts/1", "/readyz"] {
        ask(&get, path.into(), user, nothing.clone());
    }
    ask(&Method::PUT, "/v1/subscriptions/author-1".into(), user, nothing.clone());
    ask(&Method::DELETE, "/v1/subscriptions/author-1".into(), user, nothing.clone());
    ask(&post, "/v1/posts".into(), user, json!({"title": "t", "body": "b"}));
    ask(&patch, "/v1/posts/1".into(), user, json!({"title": "t"}));
    ask(&Method::DELETE, "/v1/posts/1".into(), user, nothing.clone());
    ask(&post, "/v1/campaigns".into(), operator, json!({"id": format!("{campaign}-2"), "name": "n", "stock": 1}));
    ask(&patch, id.clone(), operator, json!({"stock": 50}));
    for verb in ["pause", "resume", "claims"] {
        let method = if verb == "claims" { &get } else { &post };
        ask(method, format!("{id}/{verb}"), operator, nothing.clone());
    }
    ask(&get, format!("/v1/coupons/{coupon}"), operator, nothing.clone());
    ask(&post, format!("/v1/coupons/{coupon}/redeem"), operator, nothing.clone());
    ask(&post, format!("/v1/coupons/{coupon}/unredeem"), operator, json!({"reason": "r"}));
    for path in ["audit", "waiting"] {
        ask(&get, format!("/v1/ops/{path}/{campaign}"), operator, nothing.clone());
    }
    for path in ["throttle", "alarms", "cache", "dead-letters"] {
        ask(&get, format!("/v1/ops/{path}"), operator, nothing.clone());
    }
    ask(&patch, "/v1/ops/throttle".into(), operator, json!({"rows_per_second_max": 500}));
    for verb in ["admit", "pause", "resume"] {
        let body = if verb == "admit" { json!({"user_id": "bob"}) } else { nothing.clone() };
        ask(&post, format!("/v1/ops/waiting/{campaign}/{verb}"), operator, body);
    }
    all
}

/// Asks everything at once; how many of the answers were 503.
async fn sweep(node: &TestNode, state: &str, campaign: &str, claim: &Answer) -> usize {
    let asked = requests(campaign, claim.text("claim_id"), claim.text("coupon_code")).into_iter().map(
        async |(method, path, who, body)| {
            let token = if who == "operator" { OPERATOR.to_owned() } else { node.token(who) };
            let mut request = node.request(method.clone(), &path).bearer_auth(token).header("Idempotency-Key", "k");
            if !body.is_null() {
                request = request.json(&body);
            }
            (format!("{state}: {method} {path}"), node.send(request).await)
        },
    );
    let answers = futures::future::join_all(asked).await;
    for (what, answer) in &answers {
        is_our_own(what, answer);
        assert!(answer.status != 500, "{what}: {answer:?}");
    }
    answers.iter().filter(|(_, answer)| answer.outcome() == "503 unavailable").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_tells_a_stores_own_words_whatever_is_wrong_with_it() {
    let mut redis = PrivateRedis::start(&[]).await;
    let mut installation = Installation::with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 500;
        config.redis.reconnect_ms = 50;
        config.postgres.acquire_timeout_ms = 500;
    })
    .await;
    let url = installation.config.postgres.url.clone();
    let (before, database) = url.rsplit_once('/').unwrap();
    let (user, port) =
        before.rsplit_once(':').map(|(before, port)| (before.rsplit_once('@').unwrap().0, port)).unwrap();
    let port: u16 = port.parse().unwrap();
    let postgres = Switch::to(Some(port)).await;
    installation.config.postgres.url = format!("{user}@127.0.0.1:{}/{database}", postgres.port);
    let node = installation.node(Role::All).await;
    let room = json!({"waiting": {"active_max": 1, "pass_ttl_s": 600, "claim_pass_within_s": 90}});
    let (plain, waited) = (node.campaign(20, json!({})).await, node.campaign(20, room).await);
    let claim = node.claim(&plain, "alice").await;
    assert_eq!(claim.outcome(), "201");
    let both =
        async |state: &str| sweep(&node, state, &plain, &claim).await + sweep(&node, state, &waited, &claim).await;

    redis.cli(&["config", "set", "maxmemory", "1"]);
    assert!(both("Redis is full").await >= 4);
    redis.cli(&["config", "set", "maxmemory", "0"]);
    postgres.turn(None);
    assert!(both("the database is away").await >= 6);
    postgres.turn(Some(port));
    redis.cli(&["replicaof", "127.0.0.1", "1"]);
    assert!(both("Redis is a replica").await >= 4);
    redis.cli(&["replicaof", "no", "one"]);
    redis.freeze();
    assert!(both("Redis hangs").await >= 4);
    redis.thaw();
    redis.kill();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(both("Redis is gone").await >= 4);
    assert!(both("Redis is still gone").await >= 4);
    redis.start_again(&[]).await;
    both("Redis is another one").await;
}
