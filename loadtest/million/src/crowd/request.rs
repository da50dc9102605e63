//! What do visitors say to a node? Bytes that were made before, but for who says it.

use std::net::SocketAddr;

use bench::users::TICKET;

const PASS: &[u8] = b"\r\nonrush-pass: ";

/// The beginnings of all requests to one node, up to the token.
pub(crate) struct Phrases {
    join: Vec<u8>,
    status: Vec<u8>,
    leave: Vec<u8>,
    claim: Vec<u8>,
}

impl Phrases {
    /// To this node, about this campaign.
    pub(crate) fn new(node: SocketAddr, campaign: &str) -> Self {
        let begin = |method: &str, what: &str, body: &str| {
            let path = format!("/v1/campaigns/{campaign}/{what}");
            format!("{method} {path} HTTP/1.1\r\nhost: {node}\r\n{body}authorization: Bearer ").into_bytes()
        };
        let nothing = "content-length: 0\r\n";
        Self {
            join: begin("POST", "waiting", nothing),
            status: begin("GET", "waiting", ""),
            leave: begin("DELETE", "waiting", ""),
            claim: begin("POST", "claims", nothing),
        }
    }

    /// Asks for a place.
    pub(crate) fn join(&self, request: &mut Vec<u8>, token: &[u8]) {
        write(request, &[&self.join, token]);
    }

    /// Asks for the status.
    pub(crate) fn status(&self, request: &mut Vec<u8>, token: &[u8], ticket: &[u8]) {
        write(request, &[&self.status, token, TICKET, ticket]);
    }

    /// Leaves.
    pub(crate) fn leave(&self, request: &mut Vec<u8>, token: &[u8]) {
        write(request, &[&self.leave, token]);
    }

    /// Submits a claim, from inside.
    pub(crate) fn claim(&self, request: &mut Vec<u8>, token: &[u8], pass: &[u8]) {
        write(request, &[&self.claim, token, PASS, pass]);
    }
}

fn write(request: &mut Vec<u8>, parts: &[&[u8]]) {
    request.clear();
    for part in parts {
        request.extend_from_slice(part);
    }
    request.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_once_and_says_who_asks() {
        let phrases = Phrases::new(([127, 0, 0, 1], 80).into(), "c");
        let mut request = Vec::new();
        phrases.status(&mut request, b"TOKEN", b"TICKET");
        let status = "GET /v1/campaigns/c/waiting HTTP/1.1\r\nhost: 127.0.0.1:80\r\nauthorization: Bearer TOKEN\r\n\
                    onrush-ticket: TICKET\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&request), status);
        phrases.claim(&mut request, b"TOKEN", b"PASS");
        let claim = String::from_utf8_lossy(&request);
        assert!(
            claim.starts_with("POST /v1/campaigns/c/claims HTTP/1.1\r\n") && claim.contains("onrush-pass: PASS\r\n")
        );
        assert!(claim.contains("content-length: 0\r\n") && claim.ends_with("\r\n\r\n"));
    }
}
