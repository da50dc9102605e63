//! What operators see of the cache, and its switch, over HTTP.

use onrush::app::Role;
use reqwest::Method;
use serde_json::json;

use crate::support::installation::Installation;
use crate::support::stores::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_how_the_cache_stands_and_switch_it_on_every_node() {
    let installation = Installation::new().await;
    let nodes = [installation.node(Role::All).await, installation.node(Role::Serve).await];
    let path = "/v1/ops/cache";
    let first = nodes[0].as_operator(Method::GET, path).await;
    assert_eq!((first.outcome().as_str(), &first.body["bypass"]), ("200", &json!(false)));
    for tier in ["local", "redis"] {
        for figure in ["hits", "misses", "stale", "evictions", "bytes", "entries"] {
            assert!(first.body[tier][figure].is_u64(), "{tier} {figure}: {first:?}");
        }
    }
    assert_eq!((first.number("loads"), first.number("shards_away"), &first.body["hottest"]), (0, 0, &json!([])));

    for bypass in [true, false] {
        let set = nodes[0].operator_sends(Method::PATCH, path, &json!({ "bypass": bypass })).await;
        assert_eq!((set.outcome().as_str(), &set.body["bypass"]), ("200", &json!(bypass)));
        for node in &nodes {
            eventually("it is switched", async || {
                node.as_operator(Method::GET, path).await.body["bypass"] == json!(bypass)
            })
            .await;
        }
    }
    for body in [json!({"bypass": 1}), json!({"other": true})] {
        assert_eq!(nodes[0].operator_sends(Method::PATCH, path, &body).await.outcome(), "400 invalid_request");
    }
    let unchanged = nodes[0].operator_sends(Method::PATCH, path, &json!({})).await;
    assert_eq!((unchanged.outcome().as_str(), &unchanged.body["bypass"]), ("200", &json!(false)));

    let metrics = nodes[0].as_operator(Method::GET, "/metrics").await.body;
    for name in
        ["onrush_cache_hits_total{tier=\"redis\"}", "onrush_cache_bytes{tier=\"local\"}", "onrush_cache_shards_away"]
    {
        eventually("the metrics tell", async || metrics.as_str().is_some_and(|text| text.contains(name))).await;
    }
}
