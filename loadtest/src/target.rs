//! Where is the server? On this machine: a load generator that can be pointed at others is a weapon.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, bail, ensure};
use http::Uri;

/// A server that may be loaded. All of its addresses are loopback.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    addresses: Vec<SocketAddr>,
    authority: String,
}

impl Target {
    /// Takes `http://<host>:<port>`.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
        ensure!(uri.scheme_str() == Some("http"), "{url} does not begin with http://");
        ensure!(matches!(uri.path(), "" | "/") && uri.query().is_none(), "{url} has more than a host and a port");
        let authority = uri.authority().with_context(|| format!("{url} has no host"))?.to_string();
        ensure!(!authority.contains('@'), "{url} has more than a host and a port");
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(80);
        let addresses: Vec<_> =
            (host, port).to_socket_addrs().with_context(|| format!("{host} has no address"))?.collect();
        if addresses.is_empty() || !addresses.iter().all(|address| address.ip().is_loopback()) {
            bail!("{url} is not on this machine; rush is for your own machine and takes only loopback addresses");
        }
        Ok(Self { addresses, authority })
    }

    /// What a listener on this machine is reached by.
    pub(crate) fn of_listener(listen: SocketAddr) -> anyhow::Result<Self> {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self::parse(&format!("http://{}", SocketAddr::new(ip, listen.port())))
    }

    /// The addresses to connect to, each tried in turn.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Host and port, as the Host header has them.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// The address for people.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_taken() {
        for url in ["http://127.0.0.1:8080", "http://127.8.9.10:1/", "http://[::1]:8080", "http://localhost:8080"] {
            Target::parse(url).unwrap();
        }
    }

    #[test]
    fn all_other_addresses_are_refused() {
        for url in ["http://192.0.2.1:8080", "http://[2001:db8::1]:8080", "http://0.0.0.0:8080"] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(error.contains("only loopback addresses"), "{error}");
        }
    }

    #[test]
    fn what_is_not_a_plain_http_address_is_refused() {
        for url in ["https://127.0.0.1", "127.0.0.1:8080", "http://127.0.0.1/v1", "http://a@127.0.0.1:80"] {
            Target::parse(url).unwrap_err();
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        let url = |listen: &str| Target::of_listener(listen.parse().unwrap()).unwrap().url();
        assert_eq!(url("0.0.0.0:8080"), "http://127.0.0.1:8080");
        assert_eq!(url("[::]:9"), "http://[::1]:9");
        assert_eq!(url("127.0.0.1:80"), "http://127.0.0.1:80");
    }
}
