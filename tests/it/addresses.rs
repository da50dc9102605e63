//! Addresses of the settings: those that are none stop the boot, and a public one with a path has everything below it.

mod below;

use onrush::app::{Node, Role};
use reqwest::Method;

use crate::support::installation::Installation;
use crate::support::process::Process;
use crate::support::stores::PATIENCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_with_a_bad_address_does_not_start_and_names_the_setting() {
    let installation = Installation::new().await;
    for (variable, value, named) in [
        ("HTTP__PUBLIC_URL", "wait.example", "http.public_url"),
        ("HTTP__PUBLIC_URL", "https://wait.example/a?x=1", "http.public_url"),
        ("HTTP__LISTEN", "localhost:8080", "http.listen"),
        ("HTTP__CORS_ORIGINS", "[\"https://shop.example\",\"shop\"]", "http.cors_origins"),
        ("AUTH__TRUSTED_PROXIES", "[\"gateway\"]", "auth.trusted_proxies"),
        ("ALARM__WEBHOOK_URL", "hooks.example/secret", "alarm.webhook_url"),
        ("REDIS__URL", "rediss://:secret@127.0.0.1:1", "redis.url"),
    ] {
        let mut command = Process::command(&installation, "serve");
        let output = command.env(format!("ONRUSH__{variable}"), value).output();
        let output = tokio::time::timeout(PATIENCE, output).await.expect(variable).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {said}");
        assert!(said.contains(named) && !said.contains("secret"), "{variable}={value}: {said}");
        assert!(!said.contains("panicked"), "{variable}={value}: {said}");
    }
}

/// Settings that a program made and did not load are looked at before the first answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_bad_address_does_not_start() {
    let mut installation = Installation::new().await;
    installation.config.http.public_url = "https://wait.example\n".into();
    let refused = Node::start(installation.config, Role::Serve).await.err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|error| error.contains("http.public_url")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_is_compared_as_browsers_write_it() {
    let origins = ["https://shop.example/", "https://SHOP2.example:443", "https://쿠폰.example"];
    let installation =
        Installation::with(|config| config.http.cors_origins = origins.map(str::to_owned).to_vec()).await;
    let node = installation.node(Role::Serve).await;
    for (origin, is_let) in [
        ("https://shop.example", true),
        ("https://shop2.example", true),
        ("https://xn--2l7bi8e.example", true),
        ("https://shop.example.evil.example", false),
        ("http://shop.example", false),
        ("null", false),
    ] {
        let request = node.request(Method::OPTIONS, "/v1/campaigns").header("Origin", origin);
        let answer = node.send(request.header("Access-Control-Request-Method", "POST")).await;
        assert_eq!(answer.header("access-control-allow-origin") == Some(origin), is_let, "{origin}: {answer:?}");
    }
}
