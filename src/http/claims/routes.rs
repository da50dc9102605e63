//! Routes of claims. Those of the coupons that they are: see `coupons`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::Campaign;
use crate::claim::{Answer, Cancel, Claim, ClaimState, GiveBack, PassOf, Request};
use crate::clock::Millis;
use crate::http::auth::caller::{Caller, Operator, User};
use crate::http::claims::view::ClaimView;
use crate::http::contract::header_names::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED, ONRUSH_PASS};
use crate::http::contract::input::{Input, header_of};
use crate::http::contract::paging::Cursor;
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::response::private;
use crate::http::state::App;
use crate::ids::{AttemptId, CampaignId, ClaimId, IdempotencyKey, UserId};
use crate::waiting::Admission;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(claim, page))
        .routes(routes!(mine))
        .routes(routes!(cancel))
        .routes(routes!(read))
        .routes(routes!(give_back))
}

/// Most claims have room in so many bytes.
const CLAIM_BYTES: usize = 416;

/// Seconds after which a paused campaign may be asked again, before jitter.
const PAUSED_RETRY_S: u64 = 5;

/// A page of claims.
#[derive(Serialize, ToSchema)]
struct ClaimPage {
    items: Vec<ClaimView>,
    /// Send it as `after` for the next page; null at the end.
    next: Option<String>,
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClaimList {
    pub(crate) items: Vec<ClaimView>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query in the OpenAPI document; `Input` reads it")]
struct ClaimPaging {
    /// 1 to 100, 20 if absent.
    limit: Option<u8>,
    /// `next` of the page before.
    after: Option<String>,
    /// Only this user's.
    user_id: Option<String>,
}

impl App {
    /// The units that a user holds, by number.
    pub(crate) async fn held(&self, campaign: &Campaign, user: &UserId) -> Result<Vec<ClaimView>, Problem> {
        self.held_of(campaign, self.claims.of_user(campaign, user).await?)
    }

    /// Of all that a user has claimed, what they hold.
    pub(crate) fn held_of(&self, campaign: &Campaign, claims: Vec<Claim>) -> Result<Vec<ClaimView>, Problem> {
        self.claim_views(campaign, claims.into_iter().filter(|claim| claim.state != ClaimState::GivenBack).collect())
    }

    /// The claim that the path names, with its campaign.
    async fn campaign_of(&self, claim: &ClaimId) -> Result<Arc<Campaign>, Problem> {
        self.campaigns.find(&claim.campaign).await?.ok_or_else(|| Problem::not_found("claim"))
    }
}

/// Submit a claim: press the button.
///
/// The first answer to an `Idempotency-Key` is given again to the same key, with the claim's state of today.
#[utoipa::path(post, path = "/v1/campaigns/{id}/claims", tag = "claims", security(("user" = [])),
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header),
        ("Onrush-Pass" = Option<String>, Header, description = "where the campaign has a waiting room")),
    responses((status = 201, body = ClaimView, headers(("Location" = String), ("Idempotency-Replayed" = String)))))]
async fn claim(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let key = key_of(input.headers())?;
    let id = input.path("id")?;
    let pass = pass_of(input.headers())?;
    input.no_body().await?;
    submit(&app, user, &id, key.as_ref(), pass).await
}

pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    header_of(headers, &IDEMPOTENCY_KEY)
}

/// The pass that came with a claim, as it is.
pub(crate) fn pass_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut sent = headers.get_all(&ONRUSH_PASS).iter();
    match (sent.next(), sent.next()) {
        (_, Some(_)) => Err(Problem::field("header/onrush-pass", "is given twice")),
        (None, None) => Ok(None),
        // What is no text is no pass either: it is refused as such, in its turn.
        (Some(pass), None) => Ok(Some(pass.to_str().unwrap_or_default())),
    }
}

/// What submitting a claim does, whichever way it came.
pub(crate) async fn submit(
    app: &App,
    user: UserId,
    id: &CampaignId,
    key: Option<&IdempotencyKey>,
    pass: Option<&str>,
) -> Result<Response, Problem> {
    let campaign = app.find(id).await?;
    let attempt = key.map_or_else(AttemptId::random, AttemptId::of_key);
    if campaign.definition().spec.waiting.is_some() {
        return Box::pin(submit_with_pass(app, &campaign, attempt, user, pass, key.is_some())).await;
    }
    let answer = app.claims.claim(&campaign, Request { attempt, user, pass: None }).await?;
    answered(app, &campaign, answer, key.is_some())
}

/// The same where there is a waiting room. What is wrong with a pass is said only when it comes to that: whoever hears
/// `sold_out` needs none.
async fn submit_with_pass(
    app: &App,
    campaign: &Arc<Campaign>,
    attempt: AttemptId,
    user: UserId,
    pass: Option<&str>,
    has_key: bool,
) -> Result<Response, Problem> {
    let id = campaign.id();
    let checked = pass.map(|pass| app.passes.check(pass, &id, &user));
    let admission = checked.and_then(Result::ok);
    let pass = admission.map(|Admission { number, life, .. }| PassOf { number, life });
    let answer = app.claims.claim(campaign, Request { attempt, user, pass }).await?;
    match answer {
        Answer::PassRequired => {
            let why = match checked {
                None => "no pass was sent".to_owned(),
                Some(Err(error)) => error.to_string(),
                Some(Ok(admission)) if admission.expires_s * 1_000 <= app.now().0 => "the pass has expired".to_owned(),
                Some(Ok(_)) => "the pass has ended".to_owned(),
            };
            metrics::counter!("onrush_waiting_passes_refused_total").increment(1);
            Err(Problem::new(Code::PassRequired, format!("{id} has a waiting room: {why}"))
                .header(header::LINK, waiting_room_link(app, &id)))
        }
        _ => answered(app, campaign, answer, has_key),
    }
}

/// Exhaustive: a new answer of the scripts needs its place here.
fn answered(app: &App, campaign: &Campaign, answer: Answer, has_key: bool) -> Result<Response, Problem> {
    let id = campaign.id();
    Err(match answer {
        Answer::Issued(claim) => return created(app, campaign, claim, false),
        // Without a key, a replay is the client library's own resend: the user asked once and hears it once.
        Answer::Replayed(claim) => return created(app, campaign, claim, has_key),
        Answer::SoldOut => Problem::new(Code::SoldOut, format!("no unit of {id} is left")),
        Answer::NotOpenYet { now } => not_open_yet(campaign, now),
        Answer::Paused => Problem::new(Code::Paused, format!("{id} is paused")).retry_after(spread(PAUSED_RETRY_S)),
        Answer::Closed => Problem::new(Code::Closed, format!("{id} is closed")),
        Answer::LimitReached(claims) => {
            let limit = campaign.definition().spec.per_user_limit;
            let claims = app.claim_views(campaign, claims)?;
            Problem::new(Code::LimitReached, format!("a user may hold {limit} of {id}")).with("claims", json!(claims))
        }
        Answer::ClaimsExhausted => Problem::new(Code::ClaimsExhausted, format!("no more claims of {id} for this user")),
        Answer::OutboxFull => Problem::new(Code::Unavailable, "too many facts of the campaign wait for Kafka"),
        Answer::Cancelled => Problem::new(
            Code::AlreadyExists,
            "this Idempotency-Key was cancelled: what was asked with it is never claimed",
        ),
        Answer::PassRequired => Problem::new(Code::PassRequired, format!("{id} has a waiting room"))
            .header(header::LINK, waiting_room_link(app, &id)),
        Answer::Lost => Problem::new(Code::Unavailable, format!("{id} was lost in Redis and has to be rebuilt")),
        Answer::NotArmed => Problem::new(Code::Unavailable, format!("{id} is being made")),
    })
}

/// Before the opening, by Redis' clock.
pub(crate) fn not_open_yet(campaign: &Campaign, now: Millis) -> Problem {
    let opens_at = campaign.definition().spec.opens_at.unwrap_or(now);
    let wait_ms = u64::try_from(opens_at.0 - now.0).unwrap_or(0);
    Problem::new(Code::NotOpenYet, format!("{} opens at {}", campaign.id(), opens_at.to_rfc3339()))
        .retry_after(spread(wait_ms.div_ceil(1000).max(1)))
}

/// Where to wait: the page for visitors.
fn waiting_room_link(app: &App, id: &CampaignId) -> HeaderValue {
    let url = format!("<{}/rooms/{id}>; rel=\"waiting-room\"", app.public_url());
    HeaderValue::try_from(url).expect("ids have no control characters, and the public address is visible ASCII")
}

fn created(app: &App, campaign: &Campaign, claim: Claim, replayed: bool) -> Result<Response, Problem> {
    let view = app.claim_view(campaign, claim)?;
    let location = app.url(format_args!("/v1/claims/{}", view.claim_id));
    let mut body = Vec::with_capacity(CLAIM_BYTES);
    serde_json::to_writer(&mut body, &view).expect("a claim is JSON, and memory takes it");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Adds up to a tenth, at most 30 s, so that not everybody comes back in the same second.
fn spread(seconds: u64) -> u64 {
    seconds + rand::random_range(0..=(seconds / 10).min(30))
}

/// The claims of a campaign, by number.
#[utoipa::path(get, path = "/v1/campaigns/{id}/claims", tag = "claims", security(("operator" = [])),
    params(("id" = String, Path), ClaimPaging),
    responses((status = 200, body = ClaimPage)))]
async fn page(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&["limit", "after", "user_id"])?;
    let (limit, user) = (input.limit()?, input.query::<UserId>("user_id")?);
    let after = match input.query::<Cursor>("after")? {
        None => 0,
        Some(cursor) => cursor.0.parse().map_err(|_| Problem::field("query/after", "is no cursor of this list"))?,
    };
    let campaign = app.campaign(&input).await?;
    let mut claims = match user {
        None => app.claims.page(&campaign, after, limit + 1).await?,
        Some(user) => {
            let all = app.claims.of_user(&campaign, &user).await?;
            all.into_iter().filter(|claim| claim.number > after).take(limit + 1).collect()
        }
    };
    let next = (claims.len() > limit).then(|| Cursor(claims[limit - 1].number.to_string()).to_string());
    claims.truncate(limit);
    Ok(private(ClaimPage { items: app.claim_views(&campaign, claims)?, next }))
}

/// The units that the caller holds, by number.
#[utoipa::path(get, path = "/v1/campaigns/{id}/claims/mine", tag = "claims", security(("user" = [])),
    params(("id" = String, Path)),
    responses((status = 200, body = ClaimList)))]
async fn mine(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let campaign = app.campaign(&input).await?;
    Ok(private(ClaimList { items: app.held(&campaign, &user).await? }))
}

/// A claim.
#[utoipa::path(get, path = "/v1/claims/{claim_id}", tag = "claims", security(("user" = []), ("operator" = [])),
    params(("claim_id" = String, Path)),
    responses((status = 200, body = ClaimView)))]
async fn read(State(app): State<App>, caller: Caller, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id: ClaimId = input.path("claim_id")?;
    let campaign = app.campaign_of(&id).await?;
    let claim = app.claims.find(&campaign, &id).await?.filter(|claim| match &caller {
        Caller::Operator => true,
        Caller::User(user) => user.as_str() == claim.user,
    });
    let claim = claim.ok_or_else(|| Problem::not_found("claim"))?;
    Ok(private(app.claim_view(&campaign, claim)?))
}

/// Give a claim back. Again: nothing changes.
#[utoipa::path(post, path = "/v1/claims/{claim_id}/give-back", tag = "claims",
    security(("user" = []), ("operator" = [])),
    params(("claim_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ClaimView, headers(("Idempotency-Replayed" = String)))))]
async fn give_back(State(app): State<App>, caller: Caller, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id: ClaimId = input.path("claim_id")?;
    let key = key_of(input.headers())?;
    input.no_body().await?;
    let campaign = app.campaign_of(&id).await?;
    let owner = match &caller {
        Caller::Operator => None,
        Caller::User(user) => Some(user),
    };
    match app.claims.give_back(&campaign, &id, owner).await? {
        GiveBack::Done(claim) => Ok(private(app.claim_view(&campaign, claim)?)),
        GiveBack::Unchanged(claim) => Ok(again(private(app.claim_view(&campaign, claim)?), key.is_some())),
        GiveBack::NotFound => Err(Problem::not_found("claim")),
        GiveBack::AlreadyRedeemed(claim) => Err(already_redeemed(&claim, "a used coupon cannot be given back")),
    }
}

/// With a key, it says that it was answered before.
pub(crate) fn again(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// Says when, so that a copied code can be told from one's own.
pub(crate) fn already_redeemed(claim: &Claim, detail: &'static str) -> Problem {
    Problem::new(Code::AlreadyRedeemed, detail).with("redeemed_at", json!(claim.redeemed_at))
}

/// Cancel a claim of unknown outcome, by its key.
///
/// Whatever the key has claimed is given back: 200 with the claim. If that is nothing, it never will claim anything: 204, and
/// a claim with this key is `already_exists` from then on. Again: the same. A key that was cancelled without a claim counts as
/// a claim that the user has made: `claims_exhausted` where those have come to their end.
#[utoipa::path(delete, path = "/v1/campaigns/{id}/claims/by-key", tag = "claims", security(("user" = [])),
    params(("id" = String, Path), ("Idempotency-Key" = String, Header)),
    responses((status = 200, body = ClaimView, description = "what it had claimed is given back"),
        (status = 204, description = "it has claimed nothing, and never will")))]
async fn cancel(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id: CampaignId = input.path("id")?;
    let key = key_of(input.headers())?.ok_or_else(|| Problem::field("header/idempotency-key", "is required"))?;
    input.no_body().await?;
    let campaign = app.find(&id).await?;
    match app.claims.cancel(&campaign, &user, &AttemptId::of_key(&key)).await? {
        Cancel::GivenBack(claim) => Ok(private(app.claim_view(&campaign, claim)?)),
        Cancel::Never => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Cancel::AlreadyRedeemed(claim) => Err(already_redeemed(&claim, "a used coupon cannot be given back")),
        Cancel::ClaimsExhausted => {
            Err(Problem::new(Code::ClaimsExhausted, format!("no more claims of {id} for this user")))
        }
    }
}
