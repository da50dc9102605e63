//! What does a visitor see? The page of a waiting room: `/rooms/{campaign}`, its forms, and what its script asks.
//!
//! - It works without a script: forms answer with a redirect, and the page looks again by itself.
//! - What it says comes from the same room as the API's answers, and its forms do what the API's routes do.
//! - Nothing is loaded from elsewhere but the shop's picture, and no other site's form or frame can act for a visitor.

pub(crate) mod look;
mod scene;
mod texts;
mod view;
pub(crate) mod visitor;
mod which_scene;
mod words;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::{Campaign, State as CampaignState};
use crate::http::claims::routes as claims;
use crate::http::contract::input::Input;
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::response::head_only;
use crate::http::contract::schemas::body;
use crate::http::state::App;
use crate::http::waiting::answer::StatusView;
use crate::ids::{CampaignId, IdempotencyKey, UserId};
use crate::waiting::{Status, WaitingError};
use scene::Scene;
use view::About;
use visitor::{Visit, Who};
use which_scene::PageStatus;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(state))
        .routes(routes!(join))
        .routes(routes!(leave))
        .routes(routes!(claim))
}

/// What a form's answer can be besides the page.
enum Done {
    /// Look at the page.
    SeeOther,
    /// A page of its own, under the form's address.
    Shows(Box<(About, Scene)>),
}

impl Done {
    fn shows(about: About, scene: Scene) -> Self {
        Self::Shows(Box::new((about, scene)))
    }
}

/// The page of a waiting room.
///
/// The shop sends its users here with `token`, which the page takes into a cookie. `lang` is remembered. After a first cookie the
/// address says when it was sent (`arrived`): a browser that keeps none is told so.
#[utoipa::path(get, path = "/rooms/{id}", tag = "page",
    params(("id" = String, Path), ("token" = Option<String>, Query, description = "a user's token"),
        ("lang" = Option<String>, Query, description = "en or ko; else what the browser prefers"),
        ("arrived" = Option<i64>, Query, description = "when a cookie was sent, in s since 1970")),
    responses((status = 200, content_type = "text/html", body = String),
        (status = 303, description = "without the token in the address")))]
async fn show(State(app): State<App>, mut visit: Visit, input: Input) -> Result<Response, Problem> {
    // A name that is none is no campaign's.
    let Ok(id) = input.path::<CampaignId>("id") else {
        return page(&app, visit, &About::default(), &Scene::Unknown);
    };
    if visit.has_token_in_address {
        return Ok(see_other(visit, &id));
    }
    // Looking picks the pass up, and who only wants to know whether there is a page does not look.
    let shown = match visit.user().filter(|_| !input.is_head()) {
        None => app.waiting_room(&id).await.map(|(campaign, _)| for_nobody(&app, &campaign, &visit.who)),
        Some(user) => which_scene::scene(&app, &mut visit, &id, &user).await,
    };
    let (about, scene) = shown.unwrap_or_else(|problem| of_problem(&id, &problem));
    page(&app, visit, &about, &scene)
}

/// How the visitor stands: what the page's script asks where no events come. As `GET /v1/campaigns/{id}/waiting`.
#[utoipa::path(get, path = "/rooms/{id}/state", tag = "page", security(("visitor" = [])), params(("id" = String, Path)),
    responses((status = 200, body = StatusView)))]
async fn state(State(app): State<App>, mut visit: Visit, input: Input) -> Result<Response, Problem> {
    let id = input.path("id")?;
    let user = match std::mem::replace(&mut visit.who, Who::Nobody) {
        Who::User(user) => user,
        Who::Nobody | Who::Stale | Who::TooLong | Who::Cookieless => {
            return Err(Problem::new(Code::Unauthenticated, "come through the shop"));
        }
        Who::Untold(problem) => return Err(problem),
    };
    if input.is_head() {
        app.waiting_room(&id).await?;
        return Ok(head_only("application/json"));
    }
    let noted = visit.noted.clone();
    let stands = PageStatus::of(&app, &id, &user, noted.as_ref()).await?;
    // The newest ticket is what keeps another node from telling more people ahead.
    stands.note(&mut visit, &stands.said(&app, &user)?);
    let mut response = stands.told(&app, &user)?.into_response(StatusCode::OK);
    for cookie in visit.cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Join the queue.
#[utoipa::path(post, path = "/rooms/{id}/join", tag = "page", params(("id" = String, Path)),
    responses((status = 303, description = "to the page")))]
async fn join(State(app): State<App>, visit: Visit, input: Input) -> Result<Response, Problem> {
    act(&app, visit, &input, async |visit, id, user| {
        let (campaign, room) = app.waiting_room(id).await?;
        match app.waiting.join(&room, user).await {
            Err(WaitingError::Full) => Ok(Done::shows(which_scene::about_campaign(&campaign), Scene::Full)),
            Err(error) => Err(error.into()),
            Ok(Status::Stranger | Status::NotOpenYet { .. } | Status::Closed | Status::Expired) => Ok(Done::SeeOther),
            Ok(status) => {
                let stands = PageStatus { campaign, status, shown: None };
                stands.note(visit, &stands.said(&app, user)?);
                Ok(Done::SeeOther)
            }
        }
    })
    .await
}

/// Leave it.
#[utoipa::path(post, path = "/rooms/{id}/leave", tag = "page", params(("id" = String, Path)),
    responses((status = 303, description = "to the page")))]
async fn leave(State(app): State<App>, visit: Visit, input: Input) -> Result<Response, Problem> {
    act(&app, visit, &input, async |visit, id, user| {
        let (_, room) = app.waiting_room(id).await?;
        app.waiting.leave(&room, user).await?;
        visit.forget(id);
        Ok(Done::SeeOther)
    })
    .await
}

body! {
    /// What the form of a claim says.
    ClaimForm = {
        let key = ObjectBuilder::new().schema_type(Type::String).description(Some("As an Idempotency-Key."));
        ObjectBuilder::new().property("key", key).build()
    }
}

/// Claim, with the visitor's own pass. The form's `key` makes a button that is pressed twice one claim.
#[utoipa::path(post, path = "/rooms/{id}/claim", tag = "page", params(("id" = String, Path)),
    request_body(content = ClaimForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 303, description = "to the page, which shows the coupon")))]
async fn claim(State(app): State<App>, visit: Visit, input: Input) -> Result<Response, Problem> {
    act(&app, visit, &input, async |visit, id, user| {
        let form = input.form().await?;
        let key: Option<IdempotencyKey> =
            form.iter().find(|(name, _)| name == "key").and_then(|(_, key)| key.parse().ok());
        let stands = PageStatus::of(&app, id, user, visit.noted.as_ref()).await?;
        let pass = stands.said(&app, user)?.pass;
        // Without a pass it is refused in its turn, like any claim; a replay is not.
        match claims::submit(&app, user.clone(), id, key.as_ref(), pass.as_deref()).await {
            Ok(_) => Ok(Done::SeeOther),
            Err(problem) if problem.code == Code::NotFound => Err(problem),
            Err(problem) => {
                Ok(Done::shows(which_scene::about_campaign(&stands.campaign), Scene::Refused(problem.code)))
            }
        }
    })
    .await
}

/// What all forms have in common: they come from our own page, from a user that is known.
async fn act(
    app: &App,
    mut visit: Visit,
    input: &Input,
    form: impl AsyncFnOnce(&mut Visit, &CampaignId, &UserId) -> Result<Done, Problem>,
) -> Result<Response, Problem> {
    let Ok(id) = input.path::<CampaignId>("id") else {
        return page(app, visit, &About::default(), &Scene::Unknown);
    };
    if !visit.is_ours {
        return page(app, visit, &About { id: id.to_string(), ..About::default() }, &Scene::Elsewhere);
    }
    let done = match visit.user() {
        // The page says what is to be done.
        None => Ok(Done::SeeOther),
        Some(user) => form(&mut visit, &id, &user).await,
    };
    match done {
        Ok(Done::SeeOther) => Ok(see_other(visit, &id)),
        Ok(Done::Shows(shown)) => page(app, visit, &shown.0, &shown.1),
        Err(problem) => {
            let (about, scene) = match problem.code {
                // Unlike a look, a submit is not repeated by itself.
                Code::Unavailable => (About { id: id.to_string(), ..About::default() }, Scene::Refused(problem.code)),
                _ => of_problem(&id, &problem),
            };
            page(app, visit, &about, &scene)
        }
    }
}

/// What is shown to who is nobody. No store is asked for it.
fn for_nobody(app: &App, campaign: &Campaign, who: &Who) -> (About, Scene) {
    let is_over = campaign.definition().state(app.now(), 1) == CampaignState::Closed;
    let scene = match who {
        Who::Untold(_) => Scene::Away,
        _ if is_over => Scene::Closed,
        Who::User(_) | Who::Nobody => Scene::Outside { stale: false },
        Who::Stale => Scene::Outside { stale: true },
        Who::TooLong => Scene::TooLong,
        Who::Cookieless => Scene::Cookieless,
    };
    (which_scene::about_campaign(campaign), scene)
}

/// What is shown where nothing can be.
fn of_problem(id: &CampaignId, problem: &Problem) -> (About, Scene) {
    let about = About { id: id.to_string(), ..About::default() };
    if problem.code == Code::NotFound { (about, Scene::Unknown) } else { (about, Scene::Away) }
}

fn page(app: &App, visit: Visit, about: &About, scene: &Scene) -> Result<Response, Problem> {
    let mut response = view::answer(app.look(), app.public_url().prefix(), visit.lang, about, scene)?;
    for cookie in visit.cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// To the page, by its address and nothing else but when somebody came of whom it is not known whether they keep cookies.
fn see_other(visit: Visit, id: &CampaignId) -> Response {
    let path = visit.path(id);
    let location = match visit.arrives_at {
        None => path,
        Some(at) => format!("{path}?arrived={}", at.0 / 1_000),
    };
    let location = HeaderValue::try_from(location).expect("ids and prefixes have no control characters");
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in visit.cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}
