//! The page says what is so: who is let in, what is left, what the operator says, and why a visitor is not known.

use std::time::Duration;

use onrush::clock::Millis;
use reqwest::Method;
use serde_json::{Value, json};

use super::browser::Browser;
use super::{node_with, one_inside, waiting};
use crate::support::installation::TestNode;
use crate::support::stores::{PATIENCE, eventually};

async fn operate(node: &TestNode, path: &str) {
    let answer = node.as_operator(Method::POST, path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_lets_nobody_in_invites_nobody_and_says_why() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(1, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    browser.get(&path).await.is(200, "join").has(&["id=\"join\""]);

    operate(&node, &format!("/v1/campaigns/{campaign}/pause")).await;
    let page = browser.get(&path).await;
    page.is(200, "paused").has(&["Paused for the moment", "http-equiv=\"refresh\""]).lacks(&["/join", "id=\"join\""]);
    browser.get(&format!("{path}?lang=ko")).await.is(200, "paused").has(&["잠시 중단되었습니다"]).lacks(&["/join"]);
    browser.get(&format!("{path}?lang=en")).await;
    operate(&node, &format!("/v1/campaigns/{campaign}/resume")).await;
    browser.get(&path).await.is(200, "join");

    let first = waiting(&node, Method::POST, &campaign, "first").await;
    let claim = node.claim_request(&campaign, "first").header("Onrush-Pass", first["pass"].as_str().unwrap());
    let claim = node.send(claim).await;
    assert_eq!(claim.outcome(), "201", "{claim:?}");
    eventually("it is said to be sold out", async || browser.get(&path).await.html.contains("data-scene=\"gone\""))
        .await;
    let page = browser.get(&path).await;
    page.is(200, "gone").has(&["Sold out for now", "Nothing is left"]).lacks(&["/join", "You keep your place"]);
    // Who has one is told what they have, and is not asked to join for another.
    let mut holder = Browser::of(&node, &campaign, "first").await;
    holder.get(&path).await.is(200, "claimed").lacks(&["/join"]);
    node.give_back(&claim).await;
    eventually("a unit is back", async || browser.get(&path).await.html.contains("data-scene=\"join\"")).await;

    operate(&node, &format!("/v1/campaigns/{campaign}/close")).await;
    browser.get(&path).await.is(200, "closed").has(&["This is over"]).lacks(&["/join"]);
    Browser::new(&node).get(&path).await.is(200, "closed").lacks(&["Sign in"]);

    let opens_at = Millis(Millis::now().0 + 3_600_000).to_rfc3339();
    let soon = node.campaign(1, json!({"opens_at": opens_at, "waiting": {"active_max": 1}})).await;
    let path = format!("/rooms/{soon}");
    browser.get(&path).await.is(200, "before").has(&["Not open yet"]);
    operate(&node, &format!("/v1/campaigns/{soon}/pause")).await;
    browser.get(&path).await.is(200, "paused").lacks(&["/join"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_admission_is_said_to_those_who_wait() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(5, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    waiting(&node, Method::POST, &campaign, "first").await;
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    let (shown, hidden) = ("<p class=\"notice\" id=\"paused\">Nobody is let in", "id=\"paused\" hidden>");
    browser.get(&path).await.is(200, "waiting").has(&[hidden]);
    assert_eq!(waiting(&node, Method::GET, &campaign, "alice").await["paused"], json!(null));

    let mut events = Events::of(&node, &campaign, "alice").await;
    assert_eq!(events.next().await["paused"], json!(null));
    for (stop, go_on) in [
        (format!("/v1/ops/waiting/{campaign}/pause"), format!("/v1/ops/waiting/{campaign}/resume")),
        (format!("/v1/campaigns/{campaign}/pause"), format!("/v1/campaigns/{campaign}/resume")),
    ] {
        operate(&node, &stop).await;
        while events.next().await["paused"] != json!(true) {}
        let page = browser.get(&path).await;
        page.is(200, "waiting").has(&[shown, "<dd id=\"place\">2</dd>"]).lacks(&[hidden]);
        let state: Value = serde_json::from_str(&browser.get(&format!("{path}/state")).await.html).unwrap();
        assert_eq!((&state["state"], &state["paused"]), (&json!("waiting"), &json!(true)));
        operate(&node, &go_on).await;
        while events.next().await["paused"] != json!(null) {}
        browser.get(&path).await.is(200, "waiting").has(&[hidden]);
    }

    // It is somebody's turn while the campaign is paused: they are told so before they press.
    let mut first = Browser::of(&node, &campaign, "first").await;
    first.get(&path).await.is(200, "admitted").has(&[hidden]);
    operate(&node, &format!("/v1/campaigns/{campaign}/pause")).await;
    first.get(&path).await.is(200, "admitted").has(&["id=\"paused\">It is paused at the moment"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_sentence_is_on_the_page_and_in_the_stream_within_a_second_and_changes_while_it_runs() {
    let (_installation, node) = node_with(|_| {}).await;
    let hostile = "<b>Sold</b> & \"more\" at 11</script>";
    let room = json!({"waiting": {"active_max": 1, "message": {"en": hostile, "ko": "11시에 추가합니다."}}});
    let campaign = node.campaign(5, room).await;
    let path = format!("/rooms/{campaign}");
    let at = format!("/v1/campaigns/{campaign}");
    waiting(&node, Method::POST, &campaign, "first").await;
    let mut browser = Browser::of(&node, &campaign, "alice").await;
    let escaped =
        "id=\"message\" lang=\"en\">&#60;b&#62;Sold&#60;/b&#62; &#38; &#34;more&#34; at 11&#60;/script&#62;</p>";
    browser.get(&path).await.is(200, "join").has(&[escaped]).lacks(&["<b>Sold", "at 11</script>"]);
    Browser::new(&node).get(&path).await.is(200, "outside").has(&[escaped]);
    browser.get(&format!("{path}?lang=ko")).await.has(&["id=\"message\" lang=\"ko\">11시에 추가합니다.</p>"]);
    browser.get(&format!("{path}?lang=en")).await;
    browser.post(&format!("{path}/join"), &[]).await.leads_to(&path);
    let said = waiting(&node, Method::GET, &campaign, "alice").await;
    assert_eq!(said["message"], json!({"en": hostile, "ko": "11시에 추가합니다."}));

    let mut events = Events::of(&node, &campaign, "alice").await;
    assert_eq!(events.next().await["message"]["en"], hostile);
    let tell = async |message: Value| {
        let change = json!({"waiting": {"message": message}});
        node.operator_sends(Method::PATCH, &at, &change).await
    };
    let changed = tell(json!({"ko": "곧 다시 시작합니다."})).await;
    assert_eq!((changed.status, &changed.body["waiting"]["message"]), (200, &json!({"ko": "곧 다시 시작합니다."})));
    // An event that was under way may still have the one before.
    let heard = tokio::time::timeout(Duration::from_secs(1), async {
        while events.next().await["message"] != json!({"ko": "곧 다시 시작합니다."}) {}
    });
    heard.await.expect("who waits hears it within a second");
    // Who reads the other language is shown the one that there is.
    browser.get(&path).await.is(200, "waiting").has(&["id=\"message\" lang=\"ko\">곧 다시 시작합니다.</p>"]);

    for (bad, pointer) in [
        (json!({}), "/waiting/message"),
        (json!("soon"), "/waiting/message"),
        (json!({"en": null, "ko": null}), "/waiting/message"),
        (json!({"de": "bald"}), "/waiting/message/de"),
        (json!({"en": ""}), "/waiting/message/en"),
        (json!({"en": "  "}), "/waiting/message/en"),
        (json!({"en": 7}), "/waiting/message/en"),
        (json!({"en": "a".repeat(201)}), "/waiting/message/en"),
        (json!({"en": "two\nlines"}), "/waiting/message/en"),
        (json!({"ko": "\u{202e}거꾸로"}), "/waiting/message/ko"),
    ] {
        let answer = tell(bad.clone()).await;
        assert_eq!(answer.outcome(), "400 invalid_request", "{bad}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{bad}: {answer:?}");
    }
    let longest = "가".repeat(200);
    assert_eq!(tell(json!({"en": longest, "ko": null})).await.body["waiting"]["message"], json!({"en": longest}));
    let taken_away = tell(json!(null)).await;
    assert_eq!((taken_away.status, taken_away.body["waiting"].get("message")), (200, None));
    while events.next().await.get("message").is_some() {}
    browser.get(&path).await.is(200, "waiting").has(&["id=\"message\"></p>"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_no_cookies_is_told_so_and_not_sent_in_a_circle() {
    let (_installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(5, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let entrance = format!("{path}?token={}", node.token("alice"));
    let mut keeps_none = Browser::new(&node);
    let arrival = keeps_none.get(&entrance).await.leads_in(&path).to_owned();
    keeps_none.jar.clear();
    for _ in 0..2 {
        let page = keeps_none.get(&arrival).await;
        page.is(200, "cookieless").has(&["Your browser keeps no cookies", "Allow cookies"]).lacks(&["/join"]);
        assert!(page.cookies().is_empty(), "{page:?}");
    }
    keeps_none.says = vec![("accept-language", "ko".into())];
    keeps_none.get(&arrival).await.is(200, "cookieless").has(&["쿠키가 차단되어 있습니다"]);
    // Much later it says nothing about cookies: whose token is over has lost its cookie, too.
    let long_ago = format!("{path}?arrived={}", Millis::now().0 / 1_000 - 3_600);
    keeps_none.get(&long_ago).await.is(200, "outside");

    // Who keeps them is in, and is not asked again.
    let mut browser = Browser::new(&node);
    let arrival = browser.get(&entrance).await.leads_in(&path).to_owned();
    browser.get(&arrival).await.is(200, "join");
    browser.get(&entrance).await.leads_to(&path);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_too_long_for_a_cookie_is_named() {
    let (installation, node) = node_with(|_| {}).await;
    let campaign = node.campaign(5, one_inside()).await;
    let path = format!("/rooms/{campaign}");
    let secret = jsonwebtoken::EncodingKey::from_secret(installation.config.auth.hs256_secret.as_bytes());
    let token = |characters: usize| {
        let claims = json!({"sub": "alice", "exp": Millis::now().0 / 1_000 + 60, "groups": "g".repeat(characters)});
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &secret).unwrap()
    };
    let mut browser = Browser::new(&node);
    for long in [token(3_000), token(10_000)] {
        let page = browser.get(&format!("{path}?token={long}")).await;
        page.is(400, "too_long").has(&["This link is too long", "please tell the shop"]);
        assert!(page.cookies().is_empty(), "{page:?}");
    }
    browser.get(&format!("{path}?token={}", token(2_000))).await.leads_in(&path);
}

/// What a visitor's stream says.
struct Events {
    response: reqwest::Response,
    heard: String,
}

impl Events {
    async fn of(node: &TestNode, campaign: &str, user: &str) -> Self {
        let at = format!("/v1/campaigns/{campaign}/waiting/events");
        let response = node.request(Method::GET, &at).bearer_auth(node.token(user)).send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, heard: String::new() }
    }

    /// The next body.
    async fn next(&mut self) -> Value {
        loop {
            if let Some((frame, rest)) = self.heard.split_once("\n\n") {
                let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                let rest = rest.to_owned();
                self.heard = rest;
                if let Some(data) = data {
                    return serde_json::from_str(&data).unwrap();
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("the stream says nothing");
            self.heard.push_str(std::str::from_utf8(&chunk.unwrap().expect("the stream has ended")).unwrap());
        }
    }
}
