//! The fast path: hot routes that are answered without the router. They are what crowds ask: to claim, to join, to hear one's
//! status, to read a post.
//!
//! A hot route calls the same function as the route of the router; it only saves the router's boxes. In a burst nearly all
//! requests are for one of these.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::response::Response;

use crate::http::auth::caller::{Caller, User};
use crate::http::claims::routes as claims;
use crate::http::contract::input::path_part;
use crate::http::contract::problem::Problem;
use crate::http::feed::posts;
use crate::http::state::App;
use crate::http::waiting::routes as waiting;

/// What a request without a query and without a body wants, with an id that needs no decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HotRoute {
    Campaign(CampaignCall),
    Post,
}

/// What a user wants of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CampaignCall {
    Claim,
    Join,
    Look,
}

impl HotRoute {
    /// The route of a request, and the id of the campaign or the post.
    pub(crate) fn of<'a>(method: &Method, uri: &'a Uri) -> Option<(Self, &'a str)> {
        if uri.query().is_some() {
            return None;
        }
        let path = uri.path().strip_prefix("/v1/")?;
        let (route, id) = if let Some(id) = path.strip_prefix("posts/") {
            (Some(Self::Post).filter(|_| method == Method::GET), id)
        } else {
            let (id, what) = path.strip_prefix("campaigns/")?.rsplit_once('/')?;
            (CampaignCall::of(method, what).map(Self::Campaign), id)
        };
        route.filter(|_| !id.is_empty() && !id.contains(['%', '/'])).map(|route| (route, id))
    }

    /// What its route does.
    pub(crate) async fn answer(self, app: &App, parts: Parts) -> Result<Response, Problem> {
        match self {
            Self::Campaign(call) => call.answer(app, parts).await,
            // Apart, since a read may become a long one: who waits for a place would carry it along.
            Self::Post => Box::pin(read_post(app, parts)).await,
        }
    }
}

/// The id that the request came with.
fn id_of(parts: &Parts) -> &str {
    HotRoute::of(&parts.method, &parts.uri).expect("it has come to this route").1
}

impl CampaignCall {
    fn of(method: &Method, what: &str) -> Option<Self> {
        match (method, what) {
            (&Method::POST, "claims") => Some(Self::Claim),
            (&Method::POST, "waiting") => Some(Self::Join),
            (&Method::GET, "waiting") => Some(Self::Look),
            _ => None,
        }
    }

    async fn answer(self, app: &App, mut parts: Parts) -> Result<Response, Problem> {
        let User(user) = User::from_request_parts(&mut parts, app).await?;
        let text = id_of(&parts);
        match self {
            Self::Claim => {
                let key = claims::key_of(&parts.headers)?;
                let id = path_part("id", text)?;
                let pass = claims::pass_of(&parts.headers)?;
                claims::submit(app, user, &id, key.as_ref(), pass).await
            }
            Self::Join => waiting::join_room(app, &path_part("id", text)?, &user).await,
            Self::Look => waiting::read_status(app, &path_part("id", text)?, &user, &parts.headers).await,
        }
    }
}

async fn read_post(app: &App, mut parts: Parts) -> Result<Response, Problem> {
    let caller = <Caller as OptionalFromRequestParts<App>>::from_request_parts(&mut parts, app).await?;
    posts::show(app, caller.as_ref(), path_part("id", id_of(&parts))?, &parts.headers).await
}
