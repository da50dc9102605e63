//! What does a request of HTTP/1 name? One host and one target, or it may mean something else to a proxy than to this node.
//!
//! RFC 9112, section 3.2: without `Host`, with more than one, or with one that is none, the answer is 400; so it is with a target
//! that is neither a path, nor an address, nor what its method has instead.

use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Version, header};

use crate::http::contract::problem::Problem;

/// What is wrong with the header `Host` or the target; such a connection is closed after the answer, since nobody knows what
/// else it says.
pub(crate) fn problem_of(parts: &Parts) -> Option<Problem> {
    let problem = host_problem(parts).or_else(|| target_problem(parts))?;
    Some(match parts.version {
        // It has no such header.
        Version::HTTP_2 => problem,
        _ => problem.header(header::CONNECTION, HeaderValue::from_static("close")),
    })
}

fn target_problem(parts: &Parts) -> Option<Problem> {
    let is_one = match parts.uri.path() {
        "" => parts.method == Method::CONNECT,
        "*" => parts.method == Method::OPTIONS,
        path => path.starts_with('/'),
    };
    (!is_one).then(|| Problem::field("path", "must begin with /"))
}

fn host_problem(parts: &Parts) -> Option<Problem> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let error = match (hosts.next(), hosts.next()) {
        (None, _) if parts.version == Version::HTTP_11 => "is required",
        (None, _) => return None,
        (Some(_), Some(_)) => "must come once",
        (Some(host), None) if is_host(host) => return None,
        (Some(_), None) => "must be a host, and a port if it has one",
    };
    Some(Problem::field("header/host", error))
}

/// Whether it has only what a host and a port consist of. It may be empty.
fn is_host(value: &HeaderValue) -> bool {
    value.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
}

#[cfg(test)]
mod tests {
    use axum::extract::Request;

    use super::*;

    #[test]
    fn a_target_is_a_path_or_an_address() {
        let asked = |method: &str, target: &str| {
            let request = Request::builder().method(method).uri(target).header(header::HOST, "a");
            problem_of(&request.body(()).unwrap().into_parts().0).is_none()
        };
        assert!(asked("GET", "/") && asked("GET", "/a?b") && asked("GET", "http://a/b") && asked("GET", "http://a"));
        assert!(asked("OPTIONS", "*") && asked("CONNECT", "a:443"));
        assert!(!asked("GET", "a") && !asked("GET", "a:80") && !asked("GET", "*"));
    }

    fn asked(version: Version, hosts: &[&str]) -> Option<String> {
        let (mut parts, ()) = Request::builder().version(version).body(()).unwrap().into_parts();
        for host in hosts {
            parts.headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        problem_of(&parts).map(|problem| problem.detail().to_owned())
    }

    #[test]
    fn one_host_is_right_and_another_number_of_them_is_not() {
        for right in ["onrush", "onrush:8080", "[::1]:8080", "127.0.0.1", "xn--bcher-kva.example", ""] {
            assert_eq!(asked(Version::HTTP_11, &[right]), None, "{right:?}");
        }
        for wrong in ["user@onrush", "on rush", "onrush/path", "onrush?q", "onrush#f", "on\trush"] {
            assert!(asked(Version::HTTP_11, &[wrong]).is_some(), "{wrong:?}");
        }
        assert_eq!(asked(Version::HTTP_11, &[]).unwrap(), "header/host: is required");
        assert_eq!(asked(Version::HTTP_11, &["a", "a"]).unwrap(), "header/host: must come once");
        assert_eq!(asked(Version::HTTP_2, &["a", "b"]).unwrap(), "header/host: must come once");
        assert_eq!((asked(Version::HTTP_10, &[]), asked(Version::HTTP_2, &[])), (None, None));
    }
}
