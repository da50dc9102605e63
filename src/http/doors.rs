//! Doors past the router for what crowds ask: nothing but a press of the button, joining, or asking how one stands.
//!
//! What a route does and what its door does is the same function; a door only saves the router's boxes. In a burst nearly
//! all requests come to one of these.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;

use super::App;
use super::auth::User;
use super::input::path_part;
use super::problem::Problem;
use super::{claims, waiting};

/// What a request without a query and without a body wants, with an id that needs no decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Claim,
    Join,
    Look,
}

impl Door {
    /// The door of a request, and the campaign's id.
    pub(super) fn of(parts: &Parts) -> Option<(Self, &str)> {
        let (id, what) = parts.uri.path().strip_prefix("/v1/campaigns/")?.rsplit_once('/')?;
        if parts.uri.query().is_some() || id.contains(['%', '/']) {
            return None;
        }
        match (&parts.method, what) {
            (&Method::POST, "claims") => Some((Self::Claim, id)),
            (&Method::POST, "waiting") => Some((Self::Join, id)),
            (&Method::GET, "waiting") => Some((Self::Look, id)),
            _ => None,
        }
    }

    /// What its route does.
    pub(super) async fn answer(self, app: &App, mut parts: Parts) -> Result<Response, Problem> {
        let User(user) = User::from_request_parts(&mut parts, app).await?;
        let (_, text) = Self::of(&parts).expect("it has come to this door");
        match self {
            Self::Claim => {
                let key = claims::key_of(&parts.headers)?;
                let id = path_part("id", text)?;
                let pass = claims::pass_of(&parts.headers)?;
                claims::press(app, user, &id, key.as_ref(), pass).await
            }
            Self::Join => waiting::enter(app, &path_part("id", text)?, &user).await,
            Self::Look => waiting::see(app, &path_part("id", text)?, &user, &parts.headers).await,
        }
    }
}
