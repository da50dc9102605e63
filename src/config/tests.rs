//! The defaults are within their limits, and what is not is named.

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
    assert_eq!((page.accent_rgb(), page.logo_origin()), (Some([255, 170, 0]), Some("http://cdn.example")));
    for (bad, named) in [
        ("accent = \"blue\"", "page.accent"),
        ("accent = \"#12345g\"", "page.accent"),
        ("accent = \"#123456;}\"", "page.accent"),
        ("home_url = \"javascript:alert(1)\"", "page.home_url"),
        ("home_url = \"/shop\"", "page.home_url"),
        ("logo_url = \"https://cdn.example;script-src/x.png\"", "page.logo_url"),
        ("logo_url = \"https://\"", "page.logo_url"),
        ("return_url = \"https://shop.example/enter\"", "page.return_url"),
        ("return_url = \"https://shop.example/{user}?pass={pass}\"", "page.return_url"),
        ("return_url = \"https://{campaign}.example/?pass={pass}\"", "page.return_url"),
        ("name = \"a\\u0007b\"", "page.name"),
    ] {
        let error = load(&format!("[page]\n{bad}")).expect_err(bad).to_string();
        assert!(error.contains(named), "{bad}: {error}");
    }
}
