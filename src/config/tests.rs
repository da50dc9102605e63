//! The defaults are within their limits, and what is not is named.

use std::collections::BTreeMap;

use super::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    let figment = Figment::from(Toml::string(DEFAULT)).merge(Toml::string(text));
    let config: Config = figment.extract().map_err(Box::new)?;
    config.check().map(|()| config)
}

#[test]
fn the_defaults_are_within_their_limits() {
    load("").unwrap();
}

#[test]
fn every_setting_beyond_its_limit_is_named() {
    let error = load("claim.batch_max = 0\nledger.buffer_facts_max = 1").unwrap_err().to_string();
    assert!(error.contains("claim.batch_max is 0, must be 1 to 1000"), "{error}");
    assert!(error.contains("ledger.buffer_facts_max"), "{error}");
}

#[test]
fn what_a_connection_may_cost_is_within_limits() {
    for (wrong, named) in [
        ("headers_max = 5", "http.headers_max"),
        ("header_bytes_max = 100", "http.header_bytes_max"),
        ("linger_ms = 100000", "http.linger_ms"),
        ("http2.streams_max = 0", "http.http2.streams_max"),
        ("http2.answers_max = 0", "http.http2.answers_max"),
        ("http2.connection_window_bytes = 20000", "http.http2.connection_window_bytes"),
        ("http2.stream_window_bytes = 1000000", "http.http2.connection_window_bytes"),
    ] {
        let error = load(&format!("[http]\n{wrong}")).expect_err(wrong).to_string();
        assert!(error.contains(named), "{wrong}: {error}");
    }
}

#[test]
fn a_setting_that_does_not_exist_is_refused() {
    assert!(load("claim.batch_maximum = 5").unwrap_err().to_string().contains("batch_maximum"));
}

#[test]
fn a_server_has_no_default_secrets() {
    let error = load("").unwrap().check_secrets().unwrap_err().to_string();
    assert!(error.contains("auth.hs256_secret") && error.contains("coupon.key_hex"), "{error}");
}

#[test]
fn what_the_page_cannot_show_is_refused_at_boot() {
    let good = r##"
        [page]
        name = "상점"
        home_url = "https://shop.example"
        return_url = "https://shop.example:8443/enter?campaign={campaign}&pass={pass}"
        logo_url = "http://cdn.example/logo.png"
        accent = "#FFaa00"
    "##;
    let page = load(good).unwrap().page;
    assert_eq!((page.accent_rgb(), page.logo_origin()), (Some([255, 170, 0]), Some("http://cdn.example".into())));
    for (bad, named) in [
        ("accent = \"blue\"", "page.accent"),
        ("accent = \"#12345g\"", "page.accent"),
        ("accent = \"#123456;}\"", "page.accent"),
        ("home_url = \"javascript:alert(1)\"", "page.home_url"),
        ("home_url = \"/shop\"", "page.home_url"),
        ("logo_url = \"https://cdn.example;script-src/x.png\"", "page.logo_url"),
        ("logo_url = \"https://\"", "page.logo_url"),
        ("logo_url = \"https://cdn.example'/x.png\"", "page.logo_url"),
        ("home_url = \"https://shop.example@evil.example\"", "page.home_url"),
        ("return_url = \"https://shop.example/enter\"", "page.return_url"),
        ("return_url = \"https://shop.example/{user}?pass={pass}\"", "page.return_url"),
        ("return_url = \"https://{campaign}.example/?pass={pass}\"", "page.return_url"),
        ("name = \"a\\u0007b\"", "page.name"),
    ] {
        let error = load(&format!("[page]\n{bad}")).expect_err(bad).to_string();
        assert!(error.contains(named), "{bad}: {error}");
    }
}

/// Every setting that names a place elsewhere, and what it must not be.
const ADDRESSES: &[(&str, &[&str])] = &[
    ("http.listen", &["\"localhost\"", "\"127.0.0.1\"", "\"127.0.0.1:99999\"", "\"\""]),
    (
        "http.public_url",
        &["\"wait.example\"", "\"https://wait.example\\n\"", "\"https://wait.example/a?x=1\"", "\"/q\""],
    ),
    ("http.cors_origins", &["[\"shop.example\"]", "[\"https://shop.example\", \"https://shop.example/a\"]", "[\"\"]"]),
    ("auth.jwks_url", &["\"id.example/keys\"", "\"file:///etc/keys\"", "\"https://\"", "\"https://id.example/a b\""]),
    ("auth.trusted_proxies", &["[\"10.0.0.0/99\"]", "[\"gateway\"]", "[\"\"]"]),
    (
        "upstream.user_info_url",
        &["\"users\"", "\"http://users:99999\"", "\"http://users/?a=1\"", "\"http://users\\n\""],
    ),
    ("inspector.chat_url", &["\"llm.example\"", "\"ftp://llm.example\"", "\"https:llm.example\""]),
    ("alarm.webhook_url", &["\"hooks.example/secret\"", "\"https:///secret\"", "\"https://hooks.example/#a\""]),
    ("alarm.runbook_url", &["\"runbook.md\"", "\"https://docs.example/#a\""]),
    ("page.home_url", &["\"shop.example\"", "\"https:\\\\\\\\shop.example\""]),
    ("page.return_url", &["\"shop.example/{pass}\"", "\"https://shop.example/ {pass}\""]),
    ("page.logo_url", &["\"logo.png\"", "\"data:image/png;base64,AA\""]),
    (
        "redis.url",
        &[
            "\"\"",
            "\"127.0.0.1:6379\"",
            "\"http://127.0.0.1:6379\"",
            "\"rediss://127.0.0.1:6379\"",
            "\"redis://\"",
            "\"redis://a:b\"",
            "\"redis://a:1/db\"",
            "\"redis-sentinel://a:1\"",
            "\"redis-cluster://a:1?node=b:x\"",
            "\"redis://a:1\\n\"",
            "\"redis://a:1?nodes=b:1\"",
        ],
    ),
    (
        "postgres.url",
        &[
            "\"\"",
            "\"onrush@127.0.0.1/onrush\"",
            "\"mysql://a/b\"",
            "\"postgres://a:x/b\"",
            "\"postgres:///b\"",
            "\"postgres://a/b?sslmode=on\"",
            "\"postgres://a/b?sslmode=require\"",
            "\"postgres://a/b \"",
        ],
    ),
    (
        "kafka.brokers",
        &["\"\"", "\"a:1,\"", "\"a:x\"", "\"a b:1\"", "\"http://a:1\"", "\"a:0\"", "\":1\"", "\"a:1;b:1\""],
    ),
];

#[test]
fn every_address_is_parsed_at_boot_and_a_bad_one_is_named_and_not_shown() {
    for (name, bad) in ADDRESSES {
        for value in *bad {
            let (section, member) = name.split_once('.').unwrap();
            let error = load(&format!("[{section}]\n{member} = {value}")).expect_err(&format!("{name} = {value}"));
            let error = error.to_string();
            assert!(error.contains(name), "{name} = {value}: {error}");
            assert!(!error.contains("secret"), "{name} = {value}: {error}");
        }
    }
}

#[test]
fn no_address_is_forgotten() {
    let figment = Figment::from(Toml::string(DEFAULT));
    let all: BTreeMap<String, BTreeMap<String, serde_json::Value>> = figment.extract().unwrap();
    let names =
        all.iter().flat_map(|(section, members)| members.keys().map(move |member| format!("{section}.{member}")));
    let is_address = |name: &String| {
        ["url", "urls", "origins", "brokers", "proxies", "listen", "address", "host", "endpoint"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    let of_addresses: Vec<String> = names.filter(is_address).collect();
    let mut listed: Vec<String> = ADDRESSES.iter().map(|(name, _)| (*name).to_owned()).collect();
    listed.sort();
    assert_eq!(of_addresses, listed);
}

#[test]
fn addresses_as_they_are_written_are_taken() {
    for good in [
        "[http]\npublic_url = \"https://wait.example/\"\ncors_origins = [\"https://shop.example/\", \"*\"]",
        "[auth]\njwks_url = \"https://id.example/.well-known/jwks.json?v=1\"",
        "[upstream]\nuser_info_url = \"http://users.internal:8080/v1/\"",
        "[inspector]\nchat_url = \"https://llm.example/v1/chat/completions?api-version=1\"",
        "[alarm]\nwebhook_url = \"https://hooks.example/services/T0/B0/x\"",
        "[redis]\nurl = \"redis://user:p%40ss@redis.internal:6379/3\"",
        "[redis]\nurl = \"redis-cluster://10.0.0.1:7000?node=10.0.0.2:7000&node=10.0.0.3:7000\"",
        "[redis]\nurl = \"redis-sentinel://s1:26379/0?node=s2:26379&sentinelServiceName=main\"",
        "[postgres]\nurl = \"postgresql://onrush:p%20w@db.internal/onrush?sslmode=prefer\"",
        "[postgres]\nurl = \"postgres:///onrush?host=/run/postgresql\"",
        "[kafka]\nbrokers = \"k1:9092,k2:9092, [::1]:9092,k4\"",
    ] {
        load(good).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
}
