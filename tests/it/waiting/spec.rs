//! How operators say what a waiting room shall be, and how they change it.

use onrush::app::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::room::{in_ms, join, leave, look, open, patch, until};
use crate::support::installation::{Answer, Installation};
use crate::support::names;

fn assert_names(answer: &Answer, pointer: &str, context: &Value) {
    assert_eq!(answer.outcome(), "400 invalid_request", "{context}: {answer:?}");
    let errors = answer.body["errors"].as_array().unwrap();
    assert!(errors.iter().any(|error| error["pointer"] == pointer), "{context} does not name {pointer}: {answer:?}");
}

/// What no waiting room takes, and the member that is to blame.
fn bad_terms() -> Vec<(&'static str, Value)> {
    let mut bad = vec![
        ("/waiting", json!(true)),
        ("/waiting", json!([])),
        ("/waiting/surprise", json!({"active_max": 1, "surprise": 1})),
        ("/waiting/a~1b", json!({"active_max": 1, "a/b": 1})),
        ("/waiting/order", json!({"active_max": 1, "order": "lifo"})),
        ("/waiting/order", json!({"active_max": 1, "order": null})),
        ("/waiting/order", json!({"active_max": 1, "order": 1})),
    ];
    let limits: [(&str, u64, u64); 6] = [
        ("admit", 1, 1_000_000),
        ("every_ms", 100, 3_600_000),
        ("active_max", 1, 10_000_000),
        ("pass_ttl_s", 1, 86_400),
        ("claim_pass_within_s", 1, 86_400),
        ("reserve", 0, 1_000_000),
    ];
    for (name, min, max) in limits {
        let pointer: &'static str = match name {
            "admit" => "/waiting/admit",
            "every_ms" => "/waiting/every_ms",
            "active_max" => "/waiting/active_max",
            "pass_ttl_s" => "/waiting/pass_ttl_s",
            "claim_pass_within_s" => "/waiting/claim_pass_within_s",
            _ => "/waiting/reserve",
        };
        let mut values = vec![json!(max + 1), json!(-1), json!(1.5), json!("1"), json!(true), json!([1])];
        if min > 0 {
            values.push(json!(min - 1));
        }
        if ["pass_ttl_s", "claim_pass_within_s", "reserve"].contains(&name) {
            values.push(json!(null));
        }
        for value in values {
            let mut spec = json!({"admit": 5, "every_ms": 1_000, "active_max": 5});
            spec[name] = value;
            bad.push((pointer, spec));
        }
    }
    bad
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_that_is_wrong_is_named_when_a_room_is_made_and_when_it_is_changed() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = open(&node, 5, json!({"admit": 5, "every_ms": 1_000, "active_max": 5})).await;
    let before = node.view(&campaign).await.body["waiting"].clone();
    let draft = |spec: &Value| json!({"id": names::unique("c"), "name": "n", "stock": 1, "waiting": spec});
    for (pointer, spec) in bad_terms() {
        let answer = node.operator_sends(Method::POST, "/v1/campaigns", &draft(&spec)).await;
        assert_names(&answer, pointer, &spec);
        assert_names(&patch(&node, &campaign, &json!({"waiting": spec})).await, pointer, &spec);
    }
    // What is wrong as a whole.
    for (pointer, spec) in [
        ("/waiting", json!({})),
        ("/waiting", json!({"reserve": 5})),
        ("/waiting", json!({"admit": null, "every_ms": null, "active_max": null})),
        ("/waiting/every_ms", json!({"admit": 5})),
        ("/waiting/every_ms", json!({"admit": 5, "active_max": 5})),
        ("/waiting/admit", json!({"every_ms": 1_000})),
        ("/waiting/order", json!({"active_max": 5, "order": "draw"})),
    ] {
        let answer = node.operator_sends(Method::POST, "/v1/campaigns", &draft(&spec)).await;
        assert_names(&answer, pointer, &spec);
    }
    for (pointer, spec) in [
        ("/waiting", json!(null)),
        ("/waiting/every_ms", json!({"every_ms": null})),
        ("/waiting/admit", json!({"admit": null})),
        ("/waiting", json!({"admit": null, "every_ms": null, "active_max": null})),
        ("/waiting/order", json!({"order": "draw"})),
    ] {
        let answer = patch(&node, &campaign, &json!({"waiting": spec})).await;
        assert_names(&answer, pointer, &spec);
    }
    // All that is wrong is named at once.
    let both = json!({"admit": 0, "every_ms": 1, "order": "x"});
    let answer = node.operator_sends(Method::POST, "/v1/campaigns", &draft(&both)).await;
    for pointer in ["/waiting/admit", "/waiting/every_ms", "/waiting/order"] {
        assert_names(&answer, pointer, &both);
    }
    assert_eq!(node.view(&campaign).await.body["waiting"], before, "nothing was changed");
    let without = node.campaign(5, json!({})).await;
    assert_names(&patch(&node, &without, &json!({"waiting": {"active_max": 1}})).await, "/waiting", &json!("opened"));
    assert_eq!(patch(&node, &without, &json!({"waiting": null})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_said_has_its_default_and_the_same_content_again_is_the_same_campaign() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let id = names::unique("c");
    let body = json!({"id": id, "name": "n", "stock": 5, "waiting": {"admit": 5.0, "every_ms": 1_000}});
    let made = node.operator_sends(Method::POST, "/v1/campaigns", &body).await;
    assert_eq!(made.outcome(), "201");
    let expected = json!({"admit": 5, "every_ms": 1_000, "active_max": null, "pass_ttl_s": 600,
        "claim_pass_within_s": 60, "order": "fifo", "reserve": 0});
    assert_eq!(made.body["waiting"], expected);
    assert_eq!(node.view(&id).await.body["waiting"], expected);

    assert_eq!(patch(&node, &id, &json!({"waiting": {"reserve": 3}})).await.body["waiting"]["reserve"], 3);
    let mut full = body.clone();
    full["waiting"] = expected.clone();
    for same in [&body, &full] {
        let again = node.operator_sends(Method::POST, "/v1/campaigns", same).await;
        assert_eq!((again.status, &again.body["waiting"]["reserve"]), (200, &json!(3)), "{again:?}");
    }
    for other in [json!(null), json!({"admit": 6, "every_ms": 1_000}), json!({"active_max": 5})] {
        let mut body = body.clone();
        body["waiting"] = other;
        let answer = node.operator_sends(Method::POST, "/v1/campaigns", &body).await;
        assert_eq!(answer.outcome(), "409 already_exists", "{body}");
    }
    let without = node.campaign(5, json!({"waiting": null})).await;
    assert_eq!(node.view(&without).await.body["waiting"], json!(null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_cap_and_a_new_pace_hold_from_then_on_at_every_node() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::Serve).await, installation.node(Role::Serve).await];
    let campaign = open(&nodes[0], 50, json!({"active_max": 1})).await;
    for user in ["a", "b", "c", "d", "e"] {
        join(&nodes[0], &campaign, user).await;
    }
    assert_eq!(look(&nodes[1], &campaign, "b").await.text("state"), "waiting");
    let changed = patch(&nodes[0], &campaign, &json!({"waiting": {"active_max": 3}})).await;
    assert_eq!(changed.body["waiting"]["active_max"], 3, "{changed:?}");
    until(&nodes[1], &campaign, "c", "admitted").await;
    assert_eq!(look(&nodes[1], &campaign, "d").await.text("state"), "waiting");
    // A pace of one a minute instead of the cap.
    let change = json!({"waiting": {"active_max": null, "admit": 1, "every_ms": 60_000}});
    assert_eq!(patch(&nodes[1], &campaign, &change).await.body["waiting"]["active_max"], json!(null));
    until(&nodes[0], &campaign, "d", "admitted").await;
    leave(&nodes[0], &campaign, "a").await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    let e = look(&nodes[0], &campaign, "e").await;
    assert_eq!(e.text("state"), "waiting", "one a minute: {e:?}");
    assert!((30..=60).contains(&e.number("eta_s")), "{e:?}");
    // Shorter passes, for those who come now.
    let change = json!({"waiting": {"admit": 10, "pass_ttl_s": 1}});
    assert_eq!(patch(&nodes[1], &campaign, &change).await.status, 200);
    until(&nodes[0], &campaign, "e", "admitted").await;
    until(&nodes[1], &campaign, "e", "expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_opening_a_room_can_be_added_and_stays_what_was_announced() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({"opens_at": in_ms(600_000)})).await;
    let added = patch(&node, &campaign, &json!({"waiting": {"active_max": 2, "order": "draw"}})).await;
    assert_eq!((added.status, &added.body["waiting"]["order"]), (200, &json!("draw")), "{added:?}");
    assert_eq!(join(&node, &campaign, "alice").await.status, 202);
    let refused = patch(&node, &campaign, &json!({"waiting": {"order": "fifo"}})).await;
    assert_names(&refused, "/waiting/order", &json!("another order"));
    let refused = patch(&node, &campaign, &json!({"opens_at": null})).await;
    assert_names(&refused, "/opens_at", &json!("a draw without an opening"));
    assert_eq!(patch(&node, &campaign, &json!({"opens_at": in_ms(700_000)})).await.status, 200);
    assert_names(&patch(&node, &campaign, &json!({"waiting": null})).await, "/waiting", &json!("taken away"));
    assert_eq!(patch(&node, &campaign, &json!({"waiting": {"order": "draw", "reserve": 1}})).await.status, 200);
}
