//! Bad input, bad credentials and the rules of every route: the documented error, nothing changed, never a 5xx.

use onrush::app::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::installation::{Answer, Installation, OPERATOR, TestNode};

/// The members that every problem has, and its content type.
fn assert_problem(answer: &Answer, expected: &str, context: &str) {
    assert_eq!(answer.outcome(), expected, "{context}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{context}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{context}");
    assert_eq!(answer.header("x-request-id"), Some(answer.text("request_id")), "{context}");
    assert_eq!(answer.text("type"), format!("/problems/{}", answer.code()), "{context}");
    assert_eq!(answer.body["status"], answer.status, "{context}");
    assert!(!answer.text("title").is_empty() && !answer.text("detail").is_empty(), "{context}");
}

async fn post_raw(node: &TestNode, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = node.request(Method::POST, path).bearer_auth(OPERATOR).header("content-type", kind).body(body);
    node.send(request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_wrong_names_every_member_that_is() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let good = json!({"id": "c", "name": "n", "stock": 1});
    let long = "x".repeat(65);
    let cases: Vec<(&str, Value)> = vec![
        ("/id", json!({"id": long})),
        ("/id", json!({"id": ""})),
        ("/id", json!({"id": "a/b"})),
        ("/id", json!({"id": 5})),
        ("/id", json!({"id": "쿠폰"})),
        ("/id", json!({"id": null})),
        ("/name", json!({"name": ""})),
        ("/name", json!({"name": "x".repeat(201)})),
        ("/name", json!({"name": "a\u{0}b"})),
        ("/name", json!({"name": ["n"]})),
        ("/stock", json!({"stock": -1})),
        ("/stock", json!({"stock": 0})),
        ("/stock", json!({"stock": 1.5})),
        ("/stock", json!({"stock": "1"})),
        ("/stock", json!({"stock": 100_000_001})),
        ("/stock", json!({"stock": 1e300})),
        ("/stock", json!({"stock": true})),
        ("/per_user_limit", json!({"per_user_limit": 0})),
        ("/per_user_limit", json!({"per_user_limit": 101})),
        ("/opens_at", json!({"opens_at": "tomorrow"})),
        ("/opens_at", json!({"opens_at": 1_700_000_000})),
        ("/opens_at", json!({"opens_at": "2026-12-01T01:00:00"})),
        ("/closes_at", json!({"opens_at": "2026-12-02T00:00:00Z", "closes_at": "2026-12-01T00:00:00Z"})),
        ("/closes_at", json!({"opens_at": "2026-12-01T00:00:00Z", "closes_at": "2026-12-01T09:00:00+09:00"})),
        ("/durability", json!({"durability": "eternal"})),
        ("/listed", json!({"listed": "yes"})),
        ("/waiting", json!({"waiting": {}})),
        ("/seats", json!({"seats": []})),
        ("/surprise", json!({"surprise": 1})),
        ("/a~1b~0c", json!({"a/b~c": null})),
    ];
    for (pointer, change) in cases {
        let mut body = good.clone();
        body.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        let answer = node.operator_sends(Method::POST, "/v1/campaigns", &body).await;
        assert_problem(&answer, "400 invalid_request", pointer);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {answer:?}");
    }
    for raw in ["", "{", "null", "[]", "\"x\"", "{\"id\":\"c\",}", "{'id':1}", "\u{feff}{}", &"[".repeat(100_000)] {
        let answer = post_raw(&node, "/v1/campaigns", "application/json", raw.to_owned()).await;
        assert_problem(&answer, "400 invalid_request", &raw[..raw.len().min(20)]);
    }
    let broken_utf8 = post_raw(&node, "/v1/campaigns", "application/json", b"{\"id\":\"\xff\"}".to_vec()).await;
    assert_problem(&broken_utf8, "400 invalid_request", "broken UTF-8");
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let answer = post_raw(&node, "/v1/campaigns", kind, good.to_string()).await;
        assert_problem(&answer, "415 unsupported_media_type", kind);
    }
    assert_eq!(node.get("/v1/campaigns").await.body["items"], json!([]), "nothing was changed");
    let accepted = post_raw(&node, "/v1/campaigns", "Application/JSON; charset=utf-8", good.to_string()).await;
    assert_eq!(accepted.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_ten_mebibytes_is_refused_on_every_route_and_the_answer_arrives() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let big = || vec![b' '; 10 << 20];
    let answer = post_raw(&node, "/v1/campaigns", "application/json", big()).await;
    assert_problem(&answer, "413 body_too_large", "campaigns");
    let path = format!("/v1/campaigns/{campaign}/claims");
    let request = node.request(Method::POST, &path).bearer_auth(node.token("alice")).body(big());
    assert_problem(&node.send(request).await, "413 body_too_large", "claims");
    // Without a declared length, too.
    let chunks = futures::stream::iter((0..160).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 << 10])));
    let request =
        node.request(Method::POST, &path).bearer_auth(node.token("alice")).body(reqwest::Body::wrap_stream(chunks));
    assert_problem(&node.send(request).await, "413 body_too_large", "chunked");
    // And where nobody would have read it.
    let request = node.request(Method::POST, "/nowhere").body(big());
    assert_problem(&node.send(request).await, "404 not_found", "no route");
    let request = node.request(Method::POST, &path).body(big());
    assert_problem(&node.send(request).await, "401 unauthenticated", "no credentials");
    assert_eq!(node.view(&campaign).await.number("left"), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_genuine_tokens_that_have_not_expired_are_users() {
    use base64::Engine;
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let path = format!("/v1/campaigns/{campaign}/claims");
    let secret = installation.config.auth.hs256_secret.as_bytes();
    let sign = |header: Value, claims: Value, secret: &[u8]| {
        use hmac::{KeyInit, Mac};
        let b64 = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap().chain_update(&signed);
        format!("{signed}.{}", b64(&mac.finalize().into_bytes()))
    };
    let now = onrush::clock::Millis::now().0 / 1000;
    let hs256 = json!({"alg": "HS256", "typ": "JWT"});
    let good = json!({"sub": "alice", "exp": now + 600});
    let unsigned = {
        let token = sign(json!({"alg": "none"}), good.clone(), secret);
        token.rsplit_once('.').unwrap().0.to_owned() + "."
    };
    let tampered = {
        let (mine, others) = (
            sign(hs256.clone(), good.clone(), secret),
            sign(hs256.clone(), json!({"sub": "bob", "exp": now + 600}), secret),
        );
        let (payload, signature) =
            (others.split('.').nth(1).unwrap().to_owned(), mine.rsplit('.').next().unwrap().to_owned());
        format!("{}.{payload}.{signature}", mine.split('.').next().unwrap())
    };
    let bad = [
        ("forged", sign(hs256.clone(), good.clone(), b"another secret of at least 32 bytes!!")),
        ("expired", sign(hs256.clone(), json!({"sub": "alice", "exp": now - 1}), secret)),
        ("expires now", sign(hs256.clone(), json!({"sub": "alice", "exp": now}), secret)),
        ("not yet valid", sign(hs256.clone(), json!({"sub": "alice", "exp": now + 600, "nbf": now + 300}), secret)),
        ("no exp", sign(hs256.clone(), json!({"sub": "alice"}), secret)),
        ("no sub", sign(hs256.clone(), json!({"exp": now + 600}), secret)),
        ("empty sub", sign(hs256.clone(), json!({"sub": "", "exp": now + 600}), secret)),
        ("long sub", sign(hs256.clone(), json!({"sub": "x".repeat(129), "exp": now + 600}), secret)),
        ("control character in sub", sign(hs256.clone(), json!({"sub": "a\u{1f}b", "exp": now + 600}), secret)),
        ("sub is a number", sign(hs256.clone(), json!({"sub": 5, "exp": now + 600}), secret)),
        ("alg none, unsigned", unsigned),
        ("alg none, signed", sign(json!({"alg": "none"}), good.clone(), secret)),
        ("alg HS512 by its word", sign(json!({"alg": "HS512"}), good.clone(), secret)),
        ("alg RS256 by its word", sign(json!({"alg": "RS256"}), good.clone(), secret)),
        ("tampered", tampered),
        ("garbage", "x.y.z".into()),
        ("nearly the operator's", format!("{OPERATOR}x")),
        ("nothing", String::new()),
    ];
    for (name, token) in bad {
        let answer = node.send(node.request(Method::POST, &path).bearer_auth(token)).await;
        assert_problem(&answer, "401 unauthenticated", name);
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{name}");
    }
    for header in ["Basic YTpi", "Bearer", "bearer"] {
        let answer = node.send(node.request(Method::POST, &path).header("authorization", header)).await;
        assert_problem(&answer, "401 unauthenticated", header);
    }
    assert_problem(&node.send(node.request(Method::POST, &path)).await, "401 unauthenticated", "no header");
    let fine =
        node.request(Method::POST, &path).header("authorization", format!("bearer {}", sign(hs256, good, secret)));
    assert_eq!(node.send(fine).await.outcome(), "201");
    assert_eq!(node.view(&campaign).await.number("left"), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_operators_have_routes_of_their_own() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let campaign = node.campaign(5, json!({})).await;
    let operators = [
        (Method::POST, "/v1/campaigns".to_owned()),
        (Method::PATCH, format!("/v1/campaigns/{campaign}")),
        (Method::POST, format!("/v1/campaigns/{campaign}/pause")),
        (Method::POST, format!("/v1/campaigns/{campaign}/resume")),
        (Method::POST, format!("/v1/campaigns/{campaign}/close")),
        (Method::GET, format!("/v1/campaigns/{campaign}/claims")),
        (Method::GET, "/v1/coupons/x".to_owned()),
        (Method::POST, "/v1/coupons/x/redeem".to_owned()),
        (Method::GET, format!("/v1/ops/audit/{campaign}")),
        (Method::GET, "/v1/ops/throttle".to_owned()),
        (Method::PATCH, "/v1/ops/throttle".to_owned()),
        (Method::GET, "/v1/ops/cache".to_owned()),
        (Method::PATCH, "/v1/ops/cache".to_owned()),
        (Method::GET, "/v1/ops/alarms".to_owned()),
        (Method::GET, "/v1/ops/dead-letters".to_owned()),
        (Method::POST, "/v1/ops/dead-letters/replay".to_owned()),
    ];
    for (method, path) in operators {
        let context = format!("{method} {path}");
        assert_problem(&node.as_user("alice", method.clone(), &path).await, "403 forbidden", &context);
        assert_problem(&node.send(node.request(method, &path)).await, "401 unauthenticated", &context);
    }
    for (method, path) in [(Method::POST, "claims"), (Method::GET, "claims/mine")] {
        let path = format!("/v1/campaigns/{campaign}/{path}");
        assert_problem(&node.as_operator(method, &path).await, "403 forbidden", &path);
    }
    assert_eq!(node.view(&campaign).await.text("state"), "open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn route_and_method_come_first_then_the_caller_then_what_was_sent_then_what_exists() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    for path in ["/", "/v1", "/v1/nothing", "/v1/campaigns/", "/v2/campaigns", "/v1/campaigns/a/b"] {
        assert_problem(&node.get(path).await, "404 not_found", path);
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/campaigns", &["GET", "POST"][..]),
        (Method::PUT, "/v1/campaigns/x", &["GET", "PATCH"]),
        (Method::GET, "/v1/campaigns/x/pause", &["POST"]),
        (Method::POST, "/v1/claims/x.1.1", &["GET"]),
        (Method::POST, "/healthz", &["GET"]),
    ] {
        let answer = node.send(node.request(method, path)).await;
        assert_problem(&answer, "405 method_not_allowed", path);
        let allow = answer.header("allow").unwrap();
        assert!(allowed.iter().all(|method| allow.contains(method)), "{path}: {allow}");
    }
    let long = "x".repeat(65);
    for (path, expected) in [
        (format!("/v1/campaigns/{long}/claims"), "400 invalid_request"),
        ("/v1/campaigns/%00/claims".into(), "400 invalid_request"),
        ("/v1/campaigns/%ff/claims".into(), "400 invalid_request"),
        ("/v1/campaigns/a%2Fb/claims".into(), "400 invalid_request"),
        ("/v1/campaigns/nothing/claims".into(), "404 not_found"),
    ] {
        assert_problem(&node.as_user("alice", Method::POST, &path).await, expected, &path);
        assert_problem(&node.send(node.request(Method::POST, &path)).await, "401 unauthenticated", &path);
    }
    let campaign = node.campaign(5, json!({})).await;
    for query in
        ["?x=1", "?limit=0", "?limit=101", "?limit=x", "?limit=-1", "?limit=1&limit=2", "?after=%F0", "?user_id=%00"]
    {
        let path = format!("/v1/campaigns/{campaign}/claims{query}");
        assert_problem(&node.as_operator(Method::GET, &path).await, "400 invalid_request", query);
    }
    let path = format!("/v1/campaigns/{campaign}/claims");
    for key in ["", "a b", "\"\"", &"k".repeat(256)] {
        let request = node.claim_request(&campaign, "alice").header("Idempotency-Key", key);
        assert_problem(&node.send(request).await, "400 invalid_request", key);
    }
    let twice = node.claim_request(&campaign, "alice").header("Idempotency-Key", "a").header("Idempotency-Key", "b");
    assert_problem(&node.send(twice).await, "400 invalid_request", "two keys");
    for body in ["{\"surprise\":1}", "[]", "{"] {
        let request = node.claim_request(&campaign, "alice").body(body);
        assert_problem(&node.send(request).await, "400 invalid_request", body);
    }
    assert_problem(&node.as_user("alice", Method::POST, &format!("{path}?x=1")).await, "400 invalid_request", "query");
    assert_eq!(node.view(&campaign).await.number("left"), 5);
    assert_eq!(node.send(node.claim_request(&campaign, "alice").body("{}")).await.outcome(), "201");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_throttle_takes_whole_numbers_and_keeps_them() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let path = "/v1/ops/throttle";
    let initial = installation.config.ledger.rows_per_second_max;
    assert_eq!(node.as_operator(Method::GET, path).await.body, json!({"rows_per_second_max": initial}));
    let changed = node.operator_sends(Method::PATCH, path, &json!({"rows_per_second_max": 500.0})).await;
    assert_eq!((changed.status, changed.body), (200, json!({"rows_per_second_max": 500})));
    for bad in [json!({"rows_per_second_max": 0}), json!({"rows_per_second_max": "5"}), json!({"rows": 5}), json!([])] {
        assert_problem(&node.operator_sends(Method::PATCH, path, &bad).await, "400 invalid_request", &bad.to_string());
    }
    assert_eq!(node.as_operator(Method::GET, path).await.body, json!({"rows_per_second_max": 500}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_explains_itself_without_the_internet() {
    let installation =
        Installation::with(|config| config.http.cors_origins = vec!["https://shop.example".into()]).await;
    let node = installation.node(Role::Serve).await;
    let document = node.get("/openapi.json").await;
    let paths = document.body["paths"].as_object().unwrap();
    for path in
        ["/v1/campaigns", "/v1/campaigns/{id}/claims", "/v1/claims/{claim_id}/give-back", "/v1/ops/audit/{campaign}"]
    {
        assert!(paths.contains_key(path), "{path} is not in {:?}", paths.keys());
    }
    let page = node.get("/docs/").await;
    let html = page.body.as_str().unwrap();
    assert!(!html.contains("http://") && !html.contains("https://"), "the page loads something from elsewhere: {html}");
    for asset in ["swagger-ui-bundle.js", "swagger-ui.css"] {
        assert_eq!(node.get(&format!("/docs/{asset}")).await.status, 200, "{asset}");
    }
    for code in ["sold_out", "invalid_request", "unavailable"] {
        let page = node.get(&format!("/problems/{code}")).await;
        assert!(
            page.header("content-type").unwrap().starts_with("text/html") && page.body.as_str().unwrap().contains(code)
        );
    }
    assert_problem(&node.get("/problems/nonsense").await, "404 not_found", "a page of no code");
    assert_eq!(node.get("/healthz").await.status, 200);
    assert_eq!(node.get("/readyz").await.body["ready"], json!(true));

    let preflight = node
        .request(Method::OPTIONS, "/v1/campaigns")
        .header("Origin", "https://shop.example")
        .header("Access-Control-Request-Method", "POST");
    let preflight = node.send(preflight).await;
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://shop.example"));
    assert!(preflight.header("x-request-id").is_some());
    let refused =
        node.send(node.request(Method::DELETE, "/v1/campaigns").header("Origin", "https://shop.example")).await;
    assert_problem(&refused, "405 method_not_allowed", "from a page");
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://shop.example"));
    let plain = node.send(node.request(Method::GET, "/v1/campaigns").header("Origin", "https://shop.example")).await;
    assert!(plain.header("access-control-expose-headers").unwrap().contains("retry-after"));
    let named = node.send(node.request(Method::GET, "/v1/campaigns").header("X-Request-Id", "trace-7")).await;
    assert_eq!(named.header("x-request-id"), Some("trace-7"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_counted() {
    let installation = Installation::new().await;
    let node = installation.node(Role::Serve).await;
    let count = async || {
        let metrics = node.get("/metrics").await;
        let text = metrics.body.as_str().unwrap().to_owned();
        let line =
            text.lines().find(|line| line.starts_with("onrush_http_problems_total{code=\"unsupported_media_type\"}"));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
    };
    let before = count().await;
    post_raw(&node, "/v1/campaigns", "text/plain", "x").await;
    assert!(count().await > before);
}
