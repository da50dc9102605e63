//! Is it an address? Every setting that names a place elsewhere, parsed at boot, so that none is found wrong by whoever calls.
//!
//! - What the parser would mend by itself (a line end, a missing slash, dots in a path) is refused: what is set is what is meant.
//! - Nothing of what was set is in a message but its name: addresses have passwords in them.

use url::{Host, Url};

use super::{Config, Limits};

/// A prefix goes into cookies' paths, of which browsers keep no longer ones.
const PREFIX_BYTES_MAX: usize = 200;

/// What clients reach this server by, for headers, forms and cookies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicUrl {
    /// Scheme, host and port as browsers write them; empty: what is said is relative.
    origin: String,
    /// The path that all of ours is below, as `/q`; empty: none. A proxy takes it away before a request comes here.
    prefix: String,
}

impl PublicUrl {
    /// Why not, in words that follow the setting's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let url = web(text)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
        let prefix = url.path().strip_suffix('/').unwrap_or(url.path());
        if !url.username().is_empty() || url.password().is_some() {
            Err("has a user in it".into())
        } else if url.query().is_some() || url.fragment().is_some() {
            Err("has a query or a fragment".into())
        } else if !prefix.bytes().all(plain) || prefix.contains("//") || prefix.ends_with('/') {
            Err("has a path with other characters than A-Z a-z 0-9 - . _ ~, or an empty part".into())
        } else if prefix.len() > PREFIX_BYTES_MAX {
            Err(format!("has a path of more than {PREFIX_BYTES_MAX} bytes"))
        } else {
            Ok(Self { origin: url.origin().ascii_serialization(), prefix: prefix.to_owned() })
        }
    }

    /// What stands before a path of ours where a browser already knows the host.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Scheme, host and port, as browsers write them; empty where none was set.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers come by https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.origin, self.prefix)
    }
}

/// An origin of web pages as browsers write it, or `*`.
pub fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let url = web(text)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if is_bare && url.username().is_empty() && url.password().is_none() {
        Ok(url.origin().ascii_serialization())
    } else {
        Err("has more than scheme, host and port".into())
    }
}

/// An http or https address, written as it is meant.
pub(super) fn web(text: &str) -> Result<Url, String> {
    let url = plain(text)?;
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err("does not begin with http:// or https://".into());
    }
    if rest.starts_with('/') {
        return Err("has no host".into());
    }
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if matches!(url.host(), Some(Host::Domain(domain)) if !domain.bytes().all(is_letter)) {
        return Err("has a host of other characters than letters, digits and - . _".into());
    }
    let path = rest.find(['/', '?', '#']).map_or("", |at| &rest[at..]);
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    if !path.is_empty() && path != url.path() {
        return Err("has a path with dots, or with characters that have to be percent-encoded".into());
    }
    Ok(url)
}

/// What the parser takes, without what it would leave out.
fn plain(text: &str) -> Result<Url, String> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("has a blank, a line end, a control character or a backslash in it".into());
    }
    Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "does not begin with a scheme, as https://".into(),
        error => format!("is no address: {error}"),
    })
}

fn redis(text: &str) -> Result<(), String> {
    let url = plain(text)?;
    match url.scheme() {
        "redis" | "redis-cluster" | "redis-sentinel" => {}
        "rediss" | "rediss-cluster" | "rediss-sentinel" => {
            return Err("asks for TLS, which is not built in: what is sent would be readable".into());
        }
        _ => return Err("does not begin with redis://, redis-cluster:// or redis-sentinel://".into()),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host".into());
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && (url.scheme() == "redis-cluster" || database.parse::<u8>().is_err()) {
        return Err("has a path that is no number of a database".into());
    }
    let mut has_service = false;
    for (name, value) in url.query_pairs() {
        match &*name {
            "node" => host_and_port(&value)?,
            "sentinelServiceName" if !value.is_empty() => has_service = true,
            _ => return Err("has parameters other than node and sentinelServiceName".into()),
        }
    }
    if url.scheme() == "redis-sentinel" && !has_service {
        return Err("names no sentinelServiceName".into());
    }
    Ok(())
}

fn postgres(text: &str) -> Result<(), String> {
    let url = plain(text)?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("does not begin with postgres:// or postgresql://".into());
    }
    let mut has_host = url.host_str().is_some_and(|host| !host.is_empty());
    for (name, value) in url.query_pairs() {
        match (&*name, &*value) {
            ("host" | "hostaddr", host) => has_host |= !host.is_empty(),
            ("port", port) if port.parse::<u16>().is_err() => return Err("has a port that is none".into()),
            ("sslmode" | "ssl-mode", "disable" | "allow" | "prefer") => {}
            ("sslmode" | "ssl-mode", "require" | "verify-ca" | "verify-full") => {
                return Err("asks for TLS, which is not built in".into());
            }
            ("sslmode" | "ssl-mode", _) => return Err("has an sslmode that there is not".into()),
            _ => {}
        }
    }
    if has_host { Ok(()) } else { Err("has no host".into()) }
}

fn brokers(text: &str) -> Result<(), String> {
    text.split(',').try_for_each(|broker| host_and_port(broker.trim()))
}

/// `host:port`, of which the port may be missing.
fn host_and_port(text: &str) -> Result<(), String> {
    let wrong = || "must be host:port, several with commas or parameters between them".to_owned();
    let is_host =
        |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let is_ip6 = |host: &str| {
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if (is_host(host) || is_ip6(host)) && is_port { Ok(()) } else { Err(wrong()) }
}

/// Names all that is wrong. Those of types of their own (`http.listen`, `auth.trusted_proxies`) were read before.
pub(super) fn check(is: &mut Limits, config: &Config) {
    let mut note = |name: &str, outcome: Result<(), String>| {
        is.unless(outcome.is_ok(), &format!("{name} {}", outcome.err().unwrap_or_default()));
    };
    note("http.public_url", PublicUrl::parse(&config.http.public_url).map(drop));
    for text in &config.http.cors_origins {
        note("http.cors_origins", origin(text).map(drop));
    }
    for (name, text) in [
        ("auth.jwks_url", &config.auth.jwks_url),
        ("inspector.chat_url", &config.inspector.chat_url),
        ("alarm.webhook_url", &config.alarm.webhook_url),
        ("alarm.runbook_url", &config.alarm.runbook_url),
        ("upstream.user_info_url", &config.upstream.user_info_url),
    ] {
        if !text.is_empty() {
            note(name, web(text).and_then(|url| without_fragment(&url)));
        }
    }
    // A path is put behind it.
    if web(&config.upstream.user_info_url).is_ok_and(|url| url.query().is_some()) {
        note("upstream.user_info_url", Err("has a query".into()));
    }
    note("redis.url", redis(&config.redis.url));
    note("postgres.url", postgres(&config.postgres.url));
    note("kafka.brokers", brokers(&config.kafka.brokers));
}

fn without_fragment(url: &Url) -> Result<(), String> {
    if url.fragment().is_none() { Ok(()) } else { Err("has a fragment".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> Result<String, String> {
        PublicUrl::parse(text).map(|url| url.to_string())
    }

    #[test]
    fn a_public_url_is_an_origin_and_a_prefix_and_a_trailing_slash_is_no_fault() {
        for (text, said) in [
            ("", ""),
            ("https://wait.example", "https://wait.example"),
            ("https://wait.example/", "https://wait.example"),
            ("HTTPS://Wait.Example:443/", "https://wait.example"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://wait.example/q", "https://wait.example/q"),
            ("https://wait.example:8443/q/a-b.c_~/", "https://wait.example:8443/q/a-b.c_~"),
            ("https://쿠폰.example", "https://xn--2l7bi8e.example"),
        ] {
            assert_eq!(public(text).as_deref(), Ok(said), "{text}");
        }
        let url = PublicUrl::parse("https://wait.example/q/").unwrap();
        assert_eq!((url.origin(), url.prefix(), url.is_https()), ("https://wait.example", "/q", true));
    }

    #[test]
    fn what_is_no_public_url_is_refused() {
        for bad in [
            "wait.example",
            "https://wait.example\n",
            " https://wait.example",
            "https://wait.example/a b",
            "https:wait.example",
            "https:///wait.example",
            "https:\\\\wait.example",
            "https://",
            "https://wait.example/a?x=1",
            "https://wait.example/#a",
            "https://wait.example?",
            "ftp://wait.example",
            "//wait.example",
            "/q",
            "https://user@wait.example",
            "https://wait.example//",
            "https://wait.example//evil.example",
            "https://wait.example/a;b",
            "https://wait.example/%2f",
            "https://wait.example/쿠폰",
            "https://wait.example/a/../b",
            "https://wait.example:99999",
            "https://wait.exa mple",
            "https://*.example",
            "https://wait.example;",
            "https://wait,example",
            "javascript://wait.example",
            "null",
        ] {
            assert!(public(bad).is_err(), "{bad:?}: {:?}", public(bad));
        }
        assert!(public(&format!("https://wait.example/{}", "a".repeat(PREFIX_BYTES_MAX))).is_err());
    }

    #[test]
    fn an_origin_is_as_browsers_write_it() {
        for (text, said) in [
            ("*", "*"),
            ("https://shop.example/", "https://shop.example"),
            ("https://SHOP.example:443", "https://shop.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://쿠폰.example", "https://xn--2l7bi8e.example"),
        ] {
            assert_eq!(origin(text).as_deref(), Ok(said), "{text}");
        }
        for bad in [
            "",
            "shop.example",
            "https://shop.example/a",
            "https://*.shop.example",
            "null",
            "https://shop.example\r\n",
            "https://a@b.example",
            "**",
        ] {
            assert!(origin(bad).is_err(), "{bad:?}");
        }
    }
}
