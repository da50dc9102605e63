//! Behind a proxy that takes `/q` away, whatever this server says of itself is below `/q`.

use std::collections::BTreeMap;

use onrush::app::Role;
use reqwest::{Method, redirect};
use serde_json::json;

use crate::support::installation::{Client, Installation};

const PUBLIC: &str = "https://wait.example/q";

/// A browser behind the proxy: it knows addresses below `/q` alone.
struct Visitor<'a> {
    client: &'a Client,
    http: reqwest::Client,
    jar: BTreeMap<String, String>,
}

impl Visitor<'_> {
    /// Where it leads and what it shows.
    async fn send(&mut self, method: Method, address: &str) -> (String, String) {
        let path = address.strip_prefix("/q").unwrap_or_else(|| panic!("{address} is not below the prefix"));
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request =
            self.http.request(method, format!("{}{path}", self.client.url)).header("cookie", cookies.join("; "));
        let response = request.header("origin", "https://wait.example").send().await.unwrap();
        for cookie in response.headers().get_all("set-cookie") {
            let (pair, attributes) = cookie.to_str().unwrap().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(attributes.starts_with("Path=/q/rooms/") && attributes.contains("Secure"), "{cookie:?}");
            self.jar.insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get("location").map_or("", |it| it.to_str().unwrap()).to_owned();
        (location, response.text().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_its_forms_cookies_and_events_and_all_headers_are_below_the_prefix() {
    let installation = Installation::with(|config| config.http.public_url = format!("{PUBLIC}/")).await;
    let node = installation.node(Role::All).await;
    let made = json!({"id": "PREFIXED", "name": "n", "stock": 2, "waiting": {"active_max": 1}});
    let made = node.operator_sends(Method::POST, "/v1/campaigns", &made).await;
    assert_eq!(made.header("location"), Some(format!("{PUBLIC}/v1/campaigns/PREFIXED").as_str()));
    let refused = node.claim("PREFIXED", "bob").await;
    assert_eq!(refused.header("link"), Some(format!("<{PUBLIC}/rooms/PREFIXED>; rel=\"waiting-room\"").as_str()));
    let open = node.campaign(1, json!({})).await;
    let claim = node.claim(&open, "bob").await;
    let expected = format!("{PUBLIC}/v1/claims/{}", claim.text("claim_id"));
    assert_eq!(claim.header("location"), Some(expected.as_str()));
    let post = node.request(Method::POST, "/v1/posts").bearer_auth(node.token("bob"));
    let post = node.send(post.json(&json!({"title": "t", "body": "b"}))).await;
    let expected = format!("{PUBLIC}/v1/posts/{}", post.text("post_id"));
    assert_eq!(post.header("location"), Some(expected.as_str()));
    assert_eq!(node.get("/openapi.json").await.body["servers"][0]["url"], PUBLIC);

    let http = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
    let mut visitor = Visitor { client: &node, http, jar: BTreeMap::new() };
    let (arrival, _) = visitor.send(Method::GET, &format!("/q/rooms/PREFIXED?token={}", node.token("alice"))).await;
    assert!(arrival.starts_with("/q/rooms/PREFIXED?arrived="), "{arrival}");
    let (_, page) = visitor.send(Method::GET, &arrival).await;
    for address in [
        "action=\"/q/rooms/PREFIXED/join\"",
        "href=\"/q/rooms/PREFIXED?lang=ko\"",
        "&#34;/q/v1/campaigns/PREFIXED/waiting/events&#34;",
        "&#34;/q/rooms/PREFIXED/state&#34;",
        "&#34;/q/rooms/PREFIXED&#34;",
    ] {
        assert!(page.contains(address), "no {address} in {page}");
    }
    for address in ["\"/rooms/", "\"/v1/", ";/rooms/", ";/v1/"] {
        assert!(!page.contains(address), "{address} in {page}");
    }
    let (location, _) = visitor.send(Method::POST, "/q/rooms/PREFIXED/join").await;
    assert_eq!(location, "/q/rooms/PREFIXED");
    let (_, page) = visitor.send(Method::GET, &location).await;
    assert!(page.contains("data-scene=\"admitted\"") && page.contains("action=\"/q/rooms/PREFIXED/claim\""), "{page}");
}
