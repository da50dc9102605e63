//! The visitors' page, as a browser without a script meets it: scenes, forms, cookies, and who may not press.

mod browser;
mod says;

use onrush::app::Role;
use onrush::clock::Millis;
use onrush::config::{AuthMode, Config};
use onrush::http;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::installation::{Installation, TestNode};
use crate::support::private_redis::PrivateRedis;
use crate::support::stores::eventually;
use browser::Browser;

async fn node_with(change: impl FnOnce(&mut Config)) -> (Installation, TestNode) {
    let installation = Installation::with(change).await;
    let node = installation.node(Role::All).await;
    (installation, node)
}

/// One inside at a time.
fn one_inside() -> Value {
    json!({"waiting": {"active_max": 1, "pass_ttl_s": 600, "claim_pass_within_s": 90}})
}

async fn waiting(node: &TestNode, method: Method, campaign: &str, user: &str) -> Value {
    let answer = node.as_user(user, method, &format!("/v1/campaigns/{campaign}/waiting")).await;
    assert!(answer.status < 300, "{answer:?}");
    answer.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_goes_from_the_address_into_a_cookie() {
    let (_installation, node) = node_with(|config| config.http.public_url = "https://wait.example/".into()).await;
    let campaign = node.campaign(10, one_inside()).await;
    let (path, token) = (format!("/rooms/{campaign}"), node.token("alice"));
    let mut browser = Browser::new(&node);
    let page = browser.get(&format!("{path}?utm_source=mail&token={token}&lang=ko")).await;
    page.leads_in(&path);
    let cookie = page.cookies().into_iter().find(|cookie| cookie.starts_with("onrush_visitor=")).unwrap();
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(value, format!("onrush_visitor={token}"));
    let mut attributes: Vec<&str> = attributes.split("; ").collect();
    let age = attributes.iter().position(|attribute| attribute.starts_with("Max-Age=")).unwrap();
    let age_s: u64 = attributes.remove(age)["Max-Age=".len()..].parse().unwrap();
    assert!((3_500..=3_600).contains(&age_s), "as long as the token: {age_s}");
    assert_eq!(attributes, ["Path=/rooms/", "HttpOnly", "SameSite=Lax", "Secure"]);
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
    browser.get(&path).await.is(200, "join").has(&["<html lang=\"ko\">"]).lacks(&[&token]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_nobody_is_told_to_come_through_the_shop_and_a_bad_link_is_called_one() {
    let home = "https://shop.example/?a=1&b=2";
    let (installation, node) = node_with(|config| config.page.home_url = home.into()).await;
    let campaign = node.campaign(10, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::new(&node);
    let page = browser.get(&path).await;
    page.is(200, "outside").has(&["Please come through the shop", "href=\"https://shop.example/?a=1&#38;b=2\""]);
    let expired = http::user_token(&installation.config.auth, &"alice".parse().unwrap(), -1).unwrap();
    let good = node.token("alice");
    let (head, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    for bad in [expired.as_str(), &forged, "nonsense", "", "%3Cscript%3E"] {
        let page = browser.get(&format!("{path}?token={bad}")).await;
        page.is(401, "outside").has(&["This link does not work"]).lacks(&["<script>"]);
        assert!(page.cookies().is_empty(), "{page:?}");
    }
    for bad in [expired, forged] {
        browser.jar.insert("onrush_visitor".into(), bad);
        browser.get(&path).await.is(200, "outside").has(&["Please come through the shop"]);
        let state = browser.get(&format!("{path}/state")).await;
        assert_eq!(state.status, 401, "{state:?}");
        browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    }
    assert_eq!(node.as_operator(Method::GET, &format!("/v1/ops/waiting/{campaign}")).await.number("waiting"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_joins_waits_is_admitted_and_claims_without_a_script() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(10, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    for user in ["first", "second"] {
        waiting(&node, Method::POST, &campaign, user).await;
    }
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    let page = browser.get(&path).await;
    page.is(200, "join").has(&[&format!("<form method=\"post\" action=\"{path}/join\">"), "Join the queue"]);
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    let page = browser.get(&path).await;
    page.is(200, "waiting")
        .has(&[
            "<strong id=\"ahead\">1</strong>",
            "person ahead of you",
            "<dd id=\"place\">3</dd>",
            "you then have 10 minutes",
        ])
        .has(&[
            "<label for=\"bar\">",
            "<progress id=\"bar\" max=\"1\" value=\"0\">",
            "aria-live=\"polite\"",
            "after 90 seconds",
        ])
        .has(&["<noscript><meta http-equiv=\"refresh\" content=\""]);
    let refresh: u64 = page.between("http-equiv=\"refresh\" content=\"", "\"").parse().unwrap();
    assert!((1..=120).contains(&refresh), "{refresh}");
    // What the script asks is what the API says.
    let state: Value = serde_json::from_str(&browser.get(&format!("{path}/state")).await.html).unwrap();
    let api = waiting(&node, Method::GET, &campaign, "alice").await;
    for member in ["state", "place", "ahead", "ticket"] {
        assert_eq!(state[member], api[member], "{state} {api}");
    }
    page.has(&[&api["ticket"].as_str().unwrap().replace('"', "")]);

    waiting(&node, Method::DELETE, &campaign, "second").await;
    eventually("nobody is ahead", async || {
        let page = browser.get(&path).await;
        page.html.contains("Nobody is ahead of you") && page.html.contains("max=\"1\" value=\"1\"")
    })
    .await;
    waiting(&node, Method::DELETE, &campaign, "first").await;
    eventually("it is one's turn", async || browser.get(&path).await.html.contains("data-scene=\"admitted\"")).await;
    let page = browser.get(&path).await;
    page.is(200, "admitted").has(&[
        "<title>It is your turn",
        "Your turn lasts until",
        &format!("action=\"{path}/claim\""),
    ]);
    let key = page.between("name=\"key\" value=\"", "\"").to_owned();
    for _ in 0..2 {
        browser.post(&format!("{path}/claim"), &[("key", &key)]).await.leads_to(&path);
    }
    let mine = node.as_user("alice", Method::GET, &format!("/v1/campaigns/{campaign}/claims/mine")).await;
    assert_eq!(mine.body["items"].as_array().unwrap().len(), 1, "pressed twice, claimed once");
    let code = mine.body["items"][0]["coupon_code"].as_str().unwrap();
    browser.get(&path).await.is(200, "claimed").has(&[code, "<dd class=\"number\">1</dd>"]).lacks(&["/join"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_refused_says_why_and_one_without_a_turn_is() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(2, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    let page = browser.post(&format!("{path}/claim"), &[("key", "k")]).await;
    page.is(403, "refused").has(&["Your turn is over", &format!("href=\"{path}\"")]).lacks(&["http-equiv"]);
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    browser.get(&path).await.is(200, "admitted");
    let paused = node.as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/pause")).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    browser.post(&format!("{path}/claim"), &[("key", "k")]).await.is(409, "refused").has(&["It is paused"]);
    node.as_operator(Method::POST, &format!("/v1/campaigns/{campaign}/close")).await;
    eventually("it is over", async || browser.get(&path).await.html.contains("data-scene=\"closed\"")).await;
    browser.post(&format!("{path}/claim"), &[("key", "k")]).await.is(410, "refused").has(&["It has ended"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_may_join_again_and_sold_out_keeps_the_place() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(1, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let first = waiting(&node, Method::POST, &campaign, "first").await;
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    browser.get(&path).await.is(200, "waiting").has(&["<dd id=\"place\">2</dd>"]);
    browser.post(&format!("{path}/leave"), &[]).await.leads_to(&path);
    assert!(!browser.jar.contains_key("onrush_place"), "{:?}", browser.jar);
    browser.get(&path).await.is(200, "expired").has(&["Your turn is over", "Join again", &format!("{path}/join")]);
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    browser.get(&path).await.is(200, "waiting").has(&["<dd id=\"place\">3</dd>"]);

    let claim = node.claim_request(&campaign, "first").header("Onrush-Pass", first["pass"].as_str().unwrap());
    let claim = node.send(claim).await;
    assert_eq!(claim.outcome(), "201", "{claim:?}");
    eventually("all is sold", async || browser.get(&path).await.html.contains("data-scene=\"sold_out\"")).await;
    browser.get(&path).await.has(&["You keep your place", "<dd id=\"place\">3</dd>", &format!("{path}/leave")]);
    node.give_back(&claim).await;
    eventually("it goes on", async || browser.get(&path).await.html.contains("data-scene=\"admitted\"")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_opening_one_waits_for_it_or_joins_the_draw() {
    let (_installation, node) = node_with(|_| {}).await;
    let opens_at = Millis(Millis::now().0 / 60_000 * 60_000 + 7_200_000).to_rfc3339();
    let waiting = json!({"active_max": 1});
    let fifo = node.campaign(1, json!({"opens_at": opens_at, "waiting": waiting})).await;
    let path = format!("/rooms/{fifo}");
    let mut browser = Browser::of(&node, &fifo, "alice").await;
    let time = format!("<time datetime=\"{opens_at}\">");
    let page = browser.get(&path).await;
    page.is(200, "before").has(&["Not open yet", &time, "<button id=\"join\" disabled>", "http-equiv=\"refresh\""]);
    let remains: i64 = page.between("opens_in_ms&#34;:", ",").parse().unwrap();
    assert!((7_100_000..=7_200_000).contains(&remains), "{remains}");
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    browser.get(&path).await.is(200, "before");

    let draw = json!({"opens_at": opens_at, "waiting": {"active_max": 1, "order": "draw"}});
    let draw = node.campaign(1, draw).await;
    let path = format!("/rooms/{draw}");
    browser.get(&path).await.is(200, "join").has(&["Join the draw", &time]).lacks(&["<button id=\"join\" disabled>"]);
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    browser.get(&path).await.is(200, "drawing").has(&["You are in the draw", &time]).lacks(&["id=\"place\""]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_language_is_the_browsers_until_another_is_chosen() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(1, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    browser.says = vec![("accept-language", "ko-KR,ko;q=0.9,en;q=0.8".into())];
    let page = browser.get(&path).await;
    page.has(&["<html lang=\"ko\">", "대기열에 참여하세요", &format!("href=\"{path}?lang=en\" lang=\"en\"")]);
    assert_eq!(page.header("content-language"), "ko");
    browser.get(&format!("{path}?lang=en")).await.has(&["<html lang=\"en\">", "Join the queue"]);
    browser.get(&path).await.has(&["<html lang=\"en\">"]);
    browser.get(&format!("{path}?lang=xx")).await.has(&["<html lang=\"en\">"]);
    browser.get(&format!("{path}?lang=ko")).await.has(&["<html lang=\"ko\">"]);
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    browser.get(&path).await.is(200, "admitted").has(&["고객님 차례입니다", "지금 받기", "(한국 시간)"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_runs_nothing_but_its_own_script_and_shows_names_as_text() {
    let (_installation, node) = node_with(|config| {
        config.page.name = "<b>Shop</b> & \"Co\"".into();
        config.page.logo_url = "https://cdn.example:8443/a/logo.png".into();
        config.page.accent = "#ffdd00".into();
    })
    .await;
    let hostile = "</title><script>alert(1)</script><img src=x onerror='alert(2)'>\" {{ 7*7 }}";
    let more = json!({"name": hostile, "waiting": {"active_max": 1}});
    let campaign = node.campaign(1, more).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::of(&node, &campaign, "<i>alice</i>").await;
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let page = browser.get(&path).await;
        page.is(200, "admitted").has(&[
            "&#60;script&#62;alert(1)",
            "&#60;b&#62;Shop",
            "--accent: #ffdd00; --ink: #000000",
        ]);
        page.lacks(&["<script>", "onerror='", "<b>", "&#34; 49", "style=\"", "onclick", "javascript:"]);
        let policy = page.header("content-security-policy");
        let nonce = policy.split_once("script-src 'nonce-").unwrap().1.split_once('\'').unwrap().0.to_owned();
        assert!(nonce.len() >= 22, "{nonce}");
        for part in [
            "default-src 'none'",
            &format!("style-src 'nonce-{nonce}'"),
            "img-src https://cdn.example:8443;",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "no {part} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(page.html.matches("<script").count(), 1);
        page.has(&[&format!("<script nonce=\"{nonce}\">"), &format!("<style nonce=\"{nonce}\">")]);
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        nonces.push(nonce);
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_another_site_does_nothing() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(1, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    for said in [
        vec![("sec-fetch-site", "cross-site".to_owned())],
        vec![("sec-fetch-site", "same-site".to_owned()), ("origin", node.url.clone())],
        vec![("origin", "https://evil.example".to_owned())],
    ] {
        browser.says.clone_from(&said);
        for form in ["join", "leave", "claim"] {
            let page = browser.post(&format!("{path}/{form}"), &[]).await;
            page.is(403, "refused").has(&["did not come from this page"]);
        }
    }
    // A frame without an origin of its own has no cookie of ours, either.
    let mut stranger = Browser::new(&node);
    stranger.says = vec![("origin", "null".to_owned())];
    stranger.post(&format!("{path}/join"), &[]).await.is(403, "refused");
    let ops = node.as_operator(Method::GET, &format!("/v1/ops/waiting/{campaign}")).await;
    assert_eq!((ops.number("waiting"), ops.number("inside")), (0, 0), "{ops:?}");
    for said in [
        vec![("sec-fetch-site", "same-origin".to_owned()), ("origin", "null".into())],
        vec![("origin", node.url.clone())],
    ] {
        browser.says = said;
        browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    }
    browser.get(&path).await.is(200, "admitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_goes_on_to_the_shop_with_campaign_and_pass() {
    let (_installation, node) = node_with(|config| {
        config.page.return_url = "https://shop.example/enter?campaign={campaign}&pass={pass}".into();
    })
    .await;
    let campaign = node.campaign(1, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    let page = browser.get(&path).await;
    page.is(200, "admitted").lacks(&[&format!("{path}/claim")]);
    let way = page.between("id=\"go\" href=\"", "\"").replace("&#38;", "&");
    let (before, pass) = way.split_once("&pass=").unwrap();
    assert_eq!(before, format!("https://shop.example/enter?campaign={campaign}"));
    let claim = node.send(node.claim_request(&campaign, "alice").header("Onrush-Pass", pass)).await;
    assert_eq!(claim.outcome(), "201", "the pass is good: {claim:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_no_waiting_room_there_is_no_page() {
    let (_installation, node) = node_with(|_| {}).await;
    let open = node.campaign(1, json!({})).await;
    let mut browser = Browser::of(&node, &open, "alice").await;
    for path in
        [format!("/rooms/{open}"), "/rooms/nowhere".into(), "/rooms/%22%3E%3Cscript%3E".into(), "/rooms/-x".into()]
    {
        let page = browser.get(&path).await;
        page.is(404, "unknown").has(&["There is no such page"]).lacks(&["<script>"]);
        assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    }
    browser.post("/rooms/nowhere/join", &[]).await.is(404, "unknown");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_gateway_its_header_says_who_visits() {
    let gateway = |network: &'static str| {
        node_with(move |config| {
            config.auth.mode = AuthMode::TrustedHeader;
            config.auth.trusted_proxies = vec![network.parse().unwrap()];
        })
    };
    let (_installation, node) = gateway("127.0.0.0/8").await;
    let campaign = node.campaign(1, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::new(&node);
    browser.get(&path).await.is(200, "outside");
    browser.says = vec![("x-user-id", "alice".into())];
    browser.get(&path).await.is(200, "join");
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    browser.get(&path).await.is(200, "admitted");

    let (_installation, node) = gateway("10.0.0.0/8").await;
    let campaign = node.campaign(1, one_inside()).await;
    let mut browser = Browser::new(&node);
    browser.says = vec![("x-user-id", "alice".into())];
    browser.get(&format!("/rooms/{campaign}")).await.is(200, "outside");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_redis_is_away_the_page_says_so_and_looks_again() {
    let redis = PrivateRedis::start(&[]).await;
    let (_installation, node) = node_with(|config| {
        config.redis.url = redis.url();
        config.redis.command_timeout_ms = 500;
        config.redis.wait_ms_max = 100;
    })
    .await;
    let campaign = node.campaign(1, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    browser.get(&path).await.is(200, "join");
    redis.freeze();
    let page = browser.get(&path).await;
    page.is(503, "away").has(&["One moment, please", "<meta http-equiv=\"refresh\" content=\"5\">"]);
    assert_eq!(page.header("retry-after"), "5");
    // A press is not pressed again by itself: what became of it is to be looked at first.
    browser.post(&format!("{path}/join"), &[]).await.is(503, "refused").lacks(&["http-equiv"]);
    redis.thaw();
    eventually("it is back", async || browser.get(&path).await.status == 200).await;
}
