//! Who asks? Users with signed tokens, and requests of which only the token differs: all made before the clock starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use onrush::clock::Millis;
use serde::Serialize;
use testkit::client::SECRET;

use crate::texts::Texts;

/// Longer than any run.
const VALID_FOR: Duration = Duration::from_hours(2);

/// What comes before a ticket, after another header.
pub const TICKET: &[u8] = b"\r\nonrush-ticket: ";

/// The tokens of all users, one behind the other: those of one run are equally long.
pub struct Users {
    tokens: Vec<u8>,
    token_bytes: usize,
}

#[derive(Serialize)]
struct Claims {
    sub: String,
    exp: i64,
}

/// The id of a user. All are equally long.
#[must_use]
pub fn user_id(user: usize) -> String {
    format!("user-{user:07}")
}

impl Users {
    /// Signs a token for each.
    pub fn sign(count: usize) -> anyhow::Result<Self> {
        Self::sign_as(count, user_id)
    }

    /// The same for users with other ids, which have to be equally long.
    pub fn sign_as(count: usize, id: impl Fn(usize) -> String) -> anyhow::Result<Self> {
        let (header, key) = (Header::new(Algorithm::HS256), EncodingKey::from_secret(SECRET.as_bytes()));
        let exp = Millis::now().0 / 1000 + i64::try_from(VALID_FOR.as_secs())?;
        let sign = |user| {
            let claims = Claims { sub: id(user), exp };
            jsonwebtoken::encode(&header, &claims, &key).context("signing a user's token")
        };
        let token_bytes = sign(0)?.len();
        let mut tokens = Vec::with_capacity(count * token_bytes);
        for user in 0..count {
            let token = sign(user)?;
            ensure!(token.len() == token_bytes, "a token is longer than the others");
            tokens.extend_from_slice(token.as_bytes());
        }
        Ok(Self { tokens, token_bytes })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tokens.len() / self.token_bytes
    }

    /// The token of one of them; those above the last begin from the first again.
    #[must_use]
    pub fn token(&self, user: usize) -> &[u8] {
        let at = user % self.count() * self.token_bytes;
        &self.tokens[at..at + self.token_bytes]
    }
}

/// The same request by one user after the other, or one request of many after the other by nobody in particular.
pub struct Requests {
    asked: Asked,
    next: AtomicUsize,
    end: usize,
}

enum Asked {
    ByUsers {
        head: Vec<u8>,
        users: Arc<Users>,
        /// A header of each user's own, where they carry one.
        tickets: Option<Arc<Texts>>,
    },
    /// Whole requests, in turn.
    ByAnybody(Vec<Vec<u8>>),
}

impl Requests {
    /// `POST` to this path, by all users once.
    #[must_use]
    pub fn once_each(host: SocketAddr, path: &str, users: &Arc<Users>) -> Self {
        Self::from_to(host, path, users, 0, users.count())
    }

    /// `POST` to this path, by all users again and again.
    #[must_use]
    pub fn endless(host: SocketAddr, path: &str, users: &Arc<Users>) -> Self {
        Self::from_to(host, path, users, 0, usize::MAX)
    }

    /// `POST` to this path, by these users once.
    #[must_use]
    pub fn from_to(host: SocketAddr, path: &str, users: &Arc<Users>, first: usize, end: usize) -> Self {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nauthorization: Bearer ").into_bytes();
        let asked = Asked::ByUsers { head, users: Arc::clone(users), tickets: None };
        Self { asked, next: AtomicUsize::new(first), end }
    }

    /// `GET` of this path, by those of the users who have a ticket, with it, again and again.
    #[must_use]
    pub fn with_tickets(host: SocketAddr, path: &str, users: &Arc<Users>, tickets: &Arc<Texts>) -> Self {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer ").into_bytes();
        let (users, tickets) = (Arc::clone(users), Some(Arc::clone(tickets)));
        Self { asked: Asked::ByUsers { head, users, tickets }, next: AtomicUsize::new(0), end: usize::MAX }
    }

    /// `GET` of each of these paths, in turn, again and again.
    #[must_use]
    pub fn paths(host: SocketAddr, paths: &[String]) -> Self {
        Self { end: usize::MAX, ..Self::paths_once(host, paths) }
    }

    /// `GET` of each of these paths, once.
    #[must_use]
    pub fn paths_once(host: SocketAddr, paths: &[String]) -> Self {
        let whole = |path: &String| format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes();
        let asked = Asked::ByAnybody(paths.iter().map(whole).collect());
        Self { asked, next: AtomicUsize::new(0), end: paths.len() }
    }

    /// Whether all users have asked.
    #[must_use]
    pub fn are_spent(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.end
    }

    /// Writes the next one over what is there. `None` when all users have asked.
    pub fn write_next(&self, request: &mut Vec<u8>) -> Option<usize> {
        let user = self.next.fetch_add(1, Ordering::Relaxed);
        if user >= self.end {
            return None;
        }
        request.clear();
        match &self.asked {
            Asked::ByAnybody(all) => request.extend_from_slice(&all[user % all.len()]),
            Asked::ByUsers { head, users, tickets: Some(tickets) } => {
                let user = user % tickets.count();
                request.extend_from_slice(head);
                request.extend_from_slice(users.token(user));
                request.extend_from_slice(TICKET);
                request.extend_from_slice(tickets.get(user));
                request.extend_from_slice(b"\r\n\r\n");
            }
            Asked::ByUsers { head, users, tickets: None } => {
                request.extend_from_slice(head);
                request.extend_from_slice(users.token(user));
                request.extend_from_slice(b"\r\n\r\n");
            }
        }
        Some(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_asks_once_with_a_token_of_their_own() {
        let users = Arc::new(Users::sign(3).unwrap());
        let requests = Requests::once_each("127.0.0.1:80".parse().unwrap(), "/x", &users);
        let (mut request, mut seen) = (Vec::new(), Vec::new());
        while let Some(user) = requests.write_next(&mut request) {
            let text = String::from_utf8(request.clone()).unwrap();
            assert!(text.starts_with("POST /x HTTP/1.1\r\nhost: 127.0.0.1:80\r\n") && text.ends_with("\r\n\r\n"));
            assert!(text.as_bytes().windows(users.token_bytes).any(|part| part == users.token(user)));
            seen.push(text);
        }
        seen.dedup();
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn tickets_are_shown_with_the_token_of_whose_they_are() {
        let users = Arc::new(Users::sign(3).unwrap());
        let mut tickets = Texts::new(2);
        tickets.set(0, b"first").unwrap();
        tickets.set(1, b"second").unwrap();
        let requests = Requests::with_tickets("127.0.0.1:80".parse().unwrap(), "/x", &users, &Arc::new(tickets));
        let mut request = Vec::new();
        for (user, ticket) in [(0, "first"), (1, "second"), (0, "first")] {
            requests.write_next(&mut request).unwrap();
            let text = String::from_utf8(request.clone()).unwrap();
            let token = std::str::from_utf8(users.token(user)).unwrap();
            assert!(
                text.starts_with("GET /x ") && text.ends_with(&format!("{token}\r\nonrush-ticket: {ticket}\r\n\r\n"))
            );
        }
    }

    #[test]
    fn paths_are_asked_for_in_turn() {
        let host = "127.0.0.1:80".parse().unwrap();
        let paths = ["/a".to_owned(), "/b".to_owned()];
        let mut request = Vec::new();
        let once = Requests::paths_once(host, &paths);
        assert_eq!([(); 3].map(|()| once.write_next(&mut request)), [Some(0), Some(1), None]);
        let endless = Requests::paths(host, &paths);
        for path in ["/a", "/b", "/a"] {
            endless.write_next(&mut request).unwrap();
            assert_eq!(request, format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").into_bytes());
        }
    }

    #[test]
    fn the_endless_begin_again() {
        let users = Arc::new(Users::sign(2).unwrap());
        let requests = Requests::endless("127.0.0.1:80".parse().unwrap(), "/x", &users);
        let mut texts = [const { Vec::new() }; 3];
        for text in &mut texts {
            requests.write_next(text).unwrap();
        }
        assert!(texts[0] == texts[2] && texts[0] != texts[1]);
    }
}
