//! A claim's life over HTTP: keys, windows, give-backs, coupons, who may see what.

use std::time::Duration;

use futures::future::join_all;
use onrush::app::Role;
use onrush::clock::Millis;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::Method;
use serde_json::json;

use crate::support::installation::{Answer, Installation, OPERATOR, TestNode};
use crate::support::stores::{dump_campaign, restore_campaign};

fn in_ms(ms: i64) -> String {
    Millis(Millis::now().0 + ms).to_rfc3339()
}

async fn switch(node: &TestNode, campaign: &str, verb: &str) -> Answer {
    node.as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/{verb}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_ten_times_at_once_is_one_claim() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(5, json!({"per_user_limit": 3})).await;
    let tries = (0..10).map(|index| nodes[index % 2].claim_with_key(&campaign, "alice", "order-1"));
    let answers = join_all(tries).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "{answers:?}");
    let first = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
    assert_eq!(first, 1, "all but the first are replays");
    assert_eq!(nodes[0].view(&campaign).await.number("left"), 4);

    // Another user's key of the same name, and another key of the same user, are other attempts.
    assert_eq!(nodes[0].claim_with_key(&campaign, "bob", "order-1").await.number("number"), 2);
    assert_eq!(nodes[0].claim_with_key(&campaign, "alice", "\"order-2\"").await.number("number"), 3);
    assert_eq!(nodes[0].claim_with_key(&campaign, "alice", "order-2").await.number("number"), 3);
    nodes[0].audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_the_same_answer_after_sold_out_and_pause_and_close_and_give_back() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(1, json!({})).await;
    let first = node.claim_with_key(&campaign, "alice", "k").await;
    assert_eq!(first.outcome(), "201");
    let replayed = async |state: &str| {
        let again = node.claim_with_key(&campaign, "alice", "k").await;
        let mut expected = first.body.clone();
        expected["state"] = state.into();
        assert_eq!((again.status, &again.body), (201, &expected));
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    };
    assert_eq!(node.claim(&campaign, "bob").await.outcome(), "409 sold_out");
    replayed("live").await;
    assert_eq!(node.claim_with_key(&campaign, "alice", "other").await.outcome(), "409 limit_reached");
    let plenty = node.campaign(5, json!({})).await;
    assert_eq!(node.claim(&plenty, "alice").await.outcome(), "201");
    assert_eq!(node.claim(&plenty, "alice").await.outcome(), "409 limit_reached", "without a key, too");
    switch(&node, &campaign, "pause").await;
    replayed("live").await;
    assert_eq!(node.give_back(&first).await.outcome(), "200");
    replayed("given_back").await;
    switch(&node, &campaign, "close").await;
    replayed("given_back").await;
    assert_eq!(node.claim_with_key(&campaign, "bob", "k").await.outcome(), "410 closed");
    node.audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn give_back_twice_changes_the_stock_once_and_the_unit_gets_a_new_number() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(1, json!({})).await;
    let claim = node.claim(&campaign, "alice").await;
    let path = format!("/v1/claims/{}/give-back", claim.text("claim_id"));
    assert_eq!(node.as_user("bob", Method::POST, &path).await.outcome(), "404 not_found");
    let answers = join_all((0..5).map(|_| node.give_back(&claim))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.text("state") == "given_back"), "{answers:?}");
    assert_eq!(node.as_operator(Method::POST, &path).await.outcome(), "200");
    let view = node.view(&campaign).await;
    assert_eq!((view.number("left"), view.number("claimed"), view.number("given_back")), (1, 0, 1));
    let next = node.claim(&campaign, "alice").await;
    assert_eq!((next.number("number"), next.text("claim_id")), (2, format!("{campaign}.1.2").as_str()));
    assert_ne!(next.text("coupon_code"), claim.text("coupon_code"));
    let audit = node.audit_ok(&campaign).await;
    assert_eq!((audit.number("rows"), audit.number("given_back"), audit.number("gaps")), (1, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_refused_before_the_window_while_paused_and_after_the_end() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({"opens_at": in_ms(1_500), "closes_at": in_ms(4_000)})).await;
    let early = node.claim(&campaign, "alice").await;
    assert_eq!(early.outcome(), "409 not_open_yet");
    let wait: u64 = early.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert_eq!(node.view(&campaign).await.text("state"), "scheduled");

    // Opens by itself: whoever waited as long as they were told gets one.
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "201");
    assert_eq!(switch(&node, &campaign, "pause").await.text("state"), "paused");
    assert_eq!(switch(&node, &campaign, "pause").await.outcome(), "200");
    let paused = node.claim(&campaign, "bob").await;
    assert_eq!(paused.outcome(), "409 paused");
    assert!(paused.header("retry-after").is_some());
    assert_eq!(switch(&node, &campaign, "resume").await.text("state"), "open");
    assert_eq!(node.claim(&campaign, "bob").await.outcome(), "201");

    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(node.claim(&campaign, "carol").await.outcome(), "410 closed");
    assert_eq!(node.view(&campaign).await.text("state"), "closed");
    assert_eq!(node.view(&campaign).await.number("left"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_campaign_stays_closed_but_its_claims_live_on() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let (back, used) = (node.claim(&campaign, "alice").await, node.claim(&campaign, "bob").await);
    assert_eq!(switch(&node, &campaign, "close").await.text("state"), "closed");
    assert_eq!(switch(&node, &campaign, "close").await.outcome(), "200");
    assert_eq!(switch(&node, &campaign, "pause").await.outcome(), "410 closed");
    assert_eq!(switch(&node, &campaign, "resume").await.outcome(), "410 closed");
    assert_eq!(node.claim(&campaign, "carol").await.outcome(), "410 closed");
    assert_eq!(node.give_back(&back).await.outcome(), "200");
    let redeem = format!("/v1/coupons/{}/redeem", used.text("coupon_code"));
    assert_eq!(node.as_operator(Method::POST, &redeem).await.text("state"), "redeemed");
    assert_eq!(switch(&node, "nothing", "close").await.outcome(), "404 not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_is_redeemed_once_and_then_not_given_back() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    let claim = node.claim(&campaign, "alice").await;
    let code = claim.text("coupon_code");
    let coupon = format!("/v1/coupons/{code}");
    assert_eq!(node.as_operator(Method::GET, &coupon).await.body, claim.body);
    let sloppy = format!("/v1/coupons/{}", code.to_lowercase().replace('-', ""));
    assert_eq!(node.as_operator(Method::GET, &sloppy).await.body, claim.body);
    let redeem = format!("{coupon}/redeem");
    let uses = join_all((0..5).map(|_| node.as_operator(Method::POST, &redeem))).await;
    assert_eq!(uses.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(uses.iter().filter(|answer| answer.outcome() == "409 already_redeemed").count(), 4);
    assert_eq!(node.give_back(&claim).await.outcome(), "409 already_redeemed");
    // A redeemed unit is held: the limit counts it.
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "409 limit_reached");

    let other = node.claim(&campaign, "bob").await;
    node.give_back(&other).await;
    let gone = format!("/v1/coupons/{}/redeem", other.text("coupon_code"));
    assert_eq!(node.as_operator(Method::POST, &gone).await.outcome(), "404 not_found");
    for wrong in ["7Q4M-WX2A-9KCD-RT5H-3NVE", "x", &"0".repeat(20)] {
        assert_eq!(node.as_operator(Method::GET, &format!("/v1/coupons/{wrong}")).await.outcome(), "404 not_found");
    }
    node.audit_ok(&campaign).await;
}

/// As a till has it from a keyboard or a scanner, and as an address carries it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coupon_is_shown_used_and_given_back_by_its_code_as_it_was_typed() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    let claim = node.claim(&campaign, "alice").await;
    let code = claim.text("coupon_code");
    let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).unwrap();
    for typed in [
        code.to_lowercase(),
        code.replace('-', ""),
        code.replace('-', " "),
        format!("  {code}\n"),
        code.replace('-', "\u{2011}"),
        code.replace('-', "\u{2013}"),
        code.replace('-', "\u{a0}"),
        code.chars().map(wide).collect(),
        code.replace('-', "\u{200b}"),
        code.replace('0', "O").replace('1', "I"),
        code.replace('-', "--"),
        code.replace('-', "/"),
    ] {
        let encoded = percent_encode(typed.as_bytes(), NON_ALPHANUMERIC);
        let coupon = format!("/v1/coupons/{encoded}");
        assert_eq!(node.as_operator(Method::GET, &coupon).await.body, claim.body, "{typed:?}");
        let used = node.as_operator(Method::POST, &format!("{coupon}/redeem")).await;
        assert_eq!((used.status, used.text("state")), (200, "redeemed"), "{typed:?}");
        let undone =
            node.operator_sends(Method::POST, &format!("{coupon}/unredeem"), &json!({"reason": "typed"})).await;
        assert_eq!((undone.status, undone.text("state")), (200, "live"), "{typed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_read_at_once_on_any_node_by_its_user_and_by_operators_only() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(5, json!({"per_user_limit": 2})).await;
    let claim = nodes[0].claim(&campaign, "alice").await;
    assert_eq!(claim.header("location"), Some(format!("/v1/claims/{campaign}.1.1").as_str()));
    let path = format!("/v1/claims/{}", claim.text("claim_id"));
    assert_eq!(nodes[1].as_user("alice", Method::GET, &path).await.body, claim.body);
    assert_eq!(nodes[1].as_operator(Method::GET, &path).await.body, claim.body);
    assert_eq!(nodes[1].as_user("bob", Method::GET, &path).await.outcome(), "404 not_found");
    for none in [format!("/v1/claims/{campaign}.1.2"), format!("/v1/claims/{campaign}.2.1"), "/v1/claims/no.1.1".into()]
    {
        assert_eq!(nodes[1].as_operator(Method::GET, &none).await.outcome(), "404 not_found", "{none}");
    }
    for bad in [format!("/v1/claims/{campaign}.1.01"), "/v1/claims/x".into()] {
        assert_eq!(nodes[1].as_operator(Method::GET, &bad).await.outcome(), "400 invalid_request", "{bad}");
    }
    let second = nodes[1].claim(&campaign, "alice").await;
    nodes[1].give_back(&second).await;
    let mine = nodes[0].as_user("alice", Method::GET, &format!("/v1/campaigns/{campaign}/claims/mine")).await;
    assert_eq!(mine.body, json!({"items": [claim.body]}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_page_through_all_claims_by_number() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(60, json!({"per_user_limit": 3})).await;
    for turn in 0..45 {
        node.claim(&campaign, &format!("user-{}", turn / 3)).await;
    }
    let path = format!("/v1/campaigns/{campaign}/claims");
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = node.as_operator(Method::GET, &format!("{path}?limit=20{after}")).await;
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|claim| claim["number"].as_u64().unwrap()));
        match page.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, (1..=45).collect::<Vec<_>>());
    let one = node.as_operator(Method::GET, &format!("{path}?user_id=user-2&limit=2")).await;
    assert_eq!(one.body["items"].as_array().unwrap().len(), 2);
    let rest = format!("{path}?user_id=user-2&limit=2&after={}", one.text("next"));
    let rest = node.as_operator(Method::GET, &rest).await;
    assert_eq!((rest.body["items"][0]["number"].as_u64(), &rest.body["next"]), (Some(9), &json!(null)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_claims_and_gives_back_without_end_is_stopped() {
    let installation = Installation::with(|config| config.campaign.claims_per_user_factor = 3).await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    for _ in 0..3 {
        let claim = node.claim(&campaign, "alice").await;
        assert_eq!(node.give_back(&claim).await.outcome(), "200");
    }
    assert_eq!(node.claim(&campaign, "alice").await.outcome(), "409 claims_exhausted");
    assert_eq!(node.claim(&campaign, "bob").await.outcome(), "201");
    node.audit_ok(&campaign).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redemption_is_repeated_by_its_key_told_from_a_copied_code_and_undone_by_an_operator() {
    let installation = Installation::new().await;
    let node = installation.node(Role::All).await;
    let campaign = node.campaign(5, json!({})).await;
    let claim = node.claim(&campaign, "alice").await;
    assert_eq!(claim.body["redeemed_at"], json!(null));
    let coupon = format!("/v1/coupons/{}", claim.text("coupon_code"));
    let redeem = async |key: &str| {
        let request = node.request(Method::POST, &format!("{coupon}/redeem")).bearer_auth(OPERATOR);
        node.send(request.header("Idempotency-Key", key)).await
    };
    let first = redeem("till-1").await;
    assert_eq!((first.outcome().as_str(), first.text("state")), ("200", "redeemed"));
    assert!(first.header("idempotency-replayed").is_none() && first.body["redeemed_at"].is_string(), "{first:?}");
    let again = redeem("till-1").await;
    assert_eq!((again.outcome().as_str(), again.header("idempotency-replayed")), ("200", Some("true")));
    assert_eq!(again.body, first.body);
    let copied = redeem("till-2").await;
    assert_eq!(copied.outcome(), "409 already_redeemed");
    assert_eq!(copied.body["redeemed_at"], first.body["redeemed_at"]);
    let back = node.give_back(&claim).await;
    assert_eq!(
        (back.outcome().as_str(), &back.body["redeemed_at"]),
        ("409 already_redeemed", &first.body["redeemed_at"])
    );
    let read = node.as_operator(Method::GET, &format!("/v1/claims/{}", claim.text("claim_id"))).await;
    assert_eq!(read.body, first.body);

    let unredeem = format!("{coupon}/unredeem");
    for bad in [json!({}), json!({"reason": ""}), json!({"reason": "a\u{1f}b"}), json!({"reason": "x", "more": 1})] {
        let answer = node.operator_sends(Method::POST, &unredeem, &bad).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{bad}");
    }
    for _ in 0..2 {
        let undone = node.operator_sends(Method::POST, &unredeem, &json!({"reason": "wrong coupon"})).await;
        assert_eq!((undone.outcome().as_str(), &undone.body), ("200", &claim.body));
    }
    // A late repetition of what was undone does not use it again.
    assert_eq!(redeem("till-1").await.text("state"), "live");
    assert_eq!(redeem("till-2").await.text("state"), "redeemed");
    assert_eq!(node.operator_sends(Method::POST, &unredeem, &json!({"reason": "again"})).await.text("state"), "live");
    node.audit_ok(&campaign).await;
    let database = onrush::database::open(&installation.config.postgres).unwrap();
    let history: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT kind, reason FROM stock_history WHERE change = 0 ORDER BY fact_no")
            .fetch_all(&database)
            .await
            .unwrap();
    let told: Vec<_> = history.iter().map(|(kind, reason)| (kind.as_str(), reason.as_deref())).collect();
    let (used, undone) = (("redeemed", None), |why| ("unredeemed", Some(why)));
    assert_eq!(told, [used, undone("wrong coupon"), used, undone("again")]);
    let redeemed: i64 = sqlx::query_scalar("SELECT count(*) FROM claims WHERE redeemed_at IS NOT NULL")
        .fetch_one(&database)
        .await
        .unwrap();
    assert_eq!(redeemed, 0);
    assert_eq!(node.give_back(&claim).await.text("state"), "given_back");
    assert_eq!(
        node.operator_sends(Method::POST, &unredeem, &json!({"reason": "late"})).await.outcome(),
        "404 not_found"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_unknown_outcome_is_cancelled_by_its_key() {
    let installation = Installation::with(|config| config.campaign.claims_per_user_factor = 3).await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let campaign = nodes[0].campaign(5, json!({})).await;
    let path = format!("/v1/campaigns/{campaign}/claims/by-key");
    let cancel = async |user: &str, key: &str| {
        let request = nodes[1].request(Method::DELETE, &path).bearer_auth(nodes[1].token(user));
        nodes[1].send(request.header("Idempotency-Key", key)).await
    };
    assert_eq!(nodes[0].as_user("alice", Method::DELETE, &path).await.outcome(), "400 invalid_request");

    // What it claimed is given back.
    let claim = nodes[0].claim_with_key(&campaign, "alice", "k1").await;
    for _ in 0..2 {
        let cancelled = cancel("alice", "k1").await;
        assert_eq!((cancelled.outcome().as_str(), cancelled.text("state")), ("200", "given_back"));
        assert_eq!(cancelled.text("claim_id"), claim.text("claim_id"));
    }
    assert_eq!(nodes[0].view(&campaign).await.number("left"), 5);
    // What claimed nothing never will, whatever comes late; another user's key of the same name is another.
    for _ in 0..2 {
        assert_eq!(cancel("alice", "k2").await.status, 204);
    }
    let late = nodes[0].claim_with_key(&campaign, "alice", "k2").await;
    assert_eq!(late.outcome(), "409 already_exists");
    assert_eq!(nodes[0].claim_with_key(&campaign, "bob", "k2").await.outcome(), "201");
    // It counts as a claim that was made, and holds no unit.
    let third = nodes[0].claim_with_key(&campaign, "alice", "k3").await;
    assert_eq!(third.outcome(), "201");
    let mine = nodes[0].as_user("alice", Method::GET, &format!("/v1/campaigns/{campaign}/claims/mine")).await;
    assert_eq!(mine.body["items"].as_array().unwrap().len(), 1);
    assert_eq!(cancel("alice", "k4").await.outcome(), "409 claims_exhausted");
    let redeem = format!("/v1/coupons/{}/redeem", third.text("coupon_code"));
    assert_eq!(nodes[0].as_operator(Method::POST, &redeem).await.outcome(), "200");
    assert_eq!(cancel("alice", "k3").await.outcome(), "409 already_redeemed");
    nodes[0].audit_ok(&campaign).await;
    let database = onrush::database::open(&installation.config.postgres).unwrap();
    let rows: Vec<(Option<i64>, String, i64)> =
        sqlx::query_as("SELECT number, user_id, change FROM stock_history WHERE kind = 'cancelled'")
            .fetch_all(&database)
            .await
            .unwrap();
    assert_eq!(rows, [(None, "alice".to_owned(), 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_redis_has_lost_is_unavailable_and_not_unknown() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let before = dump_campaign(&installation.config, &campaign).await;
    let claim = node.claim(&campaign, "alice").await;
    assert_eq!(claim.outcome(), "201");
    // As before the claim: its number is not there, and this node knows that it was.
    restore_campaign(&installation.config, &before).await;
    let claims = format!("/v1/campaigns/{campaign}/claims");
    for path in [
        format!("/v1/claims/{}", claim.text("claim_id")),
        claims.clone(),
        format!("{claims}?user_id=alice"),
        format!("/v1/coupons/{}", claim.text("coupon_code")),
    ] {
        assert_eq!(node.as_operator(Method::GET, &path).await.outcome(), "503 unavailable", "{path}");
    }
}
