//! The route of the front page: what is on offer, what there is to read, and what the caller holds, in one call.
//!
//! Each part has its own time limit, and is in the form of its own route. One that fails is null and named, and the others
//! are answered.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use futures::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::Campaign;
use crate::claim::ClaimError;
use crate::feed::{FeedPage, Wanted};
use crate::http::auth::caller::User;
use crate::http::campaigns::routes::{self as campaigns, CampaignPage};
use crate::http::claims::routes::ClaimList;
use crate::http::claims::view::ClaimView;
use crate::http::contract::etag::{Keep, mark_stale, tag_of, tagged};
use crate::http::contract::input::Input;
use crate::http::contract::problem::{Code, Problem};
use crate::http::feed::routes::FeedPageView;
use crate::http::state::App;
use crate::ids::UserId;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(view))
}

/// Campaigns and posts on the front page: as many as a first page of their routes has.
const ITEMS: usize = 20;
/// Campaigns of which the caller's claims are looked for: the newest that are listed. Each is a question to Redis.
const CLAIMED_CAMPAIGNS: usize = 50;
/// Claims on the front page; all of them are at their campaigns' routes.
const CLAIMS_MAX: usize = 100;

/// The front page.
#[derive(Serialize, ToSchema)]
struct FrontPage<'a> {
    /// As `GET /v1/campaigns` has it; null: see `failed`.
    campaigns: Option<CampaignPage>,
    /// As `GET /v1/feed` has it; null: see `failed`.
    feed: Option<FeedPageView<'a>>,
    /// What the caller holds of the newest campaigns; null: see `failed`.
    claims: Option<ClaimList>,
    /// Parts that could not be answered, or not whole.
    failed: Vec<FailedPart>,
}

/// A part that could not be answered.
#[derive(Serialize, ToSchema)]
struct FailedPart {
    part: Part,
    code: Code,
    detail: String,
}

/// A part of the front page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Part {
    Campaigns,
    Feed,
    Claims,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::Campaigns => "campaigns",
            Self::Feed => "feed",
            Self::Claims => "claims",
        }
    }
}

/// The front page of the caller.
#[utoipa::path(get, path = "/v1/view", tag = "feed", security(("user" = [])),
    params(("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = FrontPage<'static>, headers(("ETag" = String), ("Onrush-Stale" = String))),
        (status = 304)))]
async fn view(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let time = app.view_part_max;
    let (campaigns, feed, claims) = tokio::join!(
        in_time(time, campaigns::page(&app, None, ITEMS)),
        in_time(time, feed(&app, &user)),
        in_time(time, claims(&app, &user)),
    );
    let mut failed = Vec::new();
    let campaigns = part(Part::Campaigns, campaigns, &mut failed);
    let feed = part(Part::Feed, feed, &mut failed);
    let claims = part(Part::Claims, claims, &mut failed).map(|(claims, unavailable)| {
        // The others are shown, and that these are not is said.
        if !unavailable.is_empty() {
            let detail = format!("without those of {}, which have to be rebuilt", unavailable.join(", "));
            failed.push(FailedPart { part: Part::Claims, code: Code::Unavailable, detail });
        }
        claims
    });
    let is_stale = feed.as_ref().is_some_and(|page| page.is_stale);
    let page = FrontPage { campaigns, feed: feed.as_ref().map(FeedPageView::of), claims, failed };
    let body = serde_json::to_vec(&page).expect("texts, numbers and times are JSON");
    let mut response = tagged(input.headers(), body.clone().into(), &tag_of(&body), Keep::Nothing);
    mark_stale(&mut response, is_stale);
    Ok(response)
}

async fn in_time<T>(time: Duration, part: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let late = |_| Err(Problem::new(Code::Unavailable, "this part took too long"));
    tokio::time::timeout(time, part).await.unwrap_or_else(late)
}

/// What there is of a part. Why there is nothing was logged where it failed.
fn part<T>(part: Part, answered: Result<T, Problem>, failed: &mut Vec<FailedPart>) -> Option<T> {
    answered
        .inspect_err(|problem| {
            metrics::counter!("onrush_feed_view_parts_failed_total", "part" => part.as_str()).increment(1);
            failed.push(FailedPart { part, code: problem.code, detail: problem.detail().to_owned() });
        })
        .ok()
}

async fn feed(app: &App, user: &UserId) -> Result<FeedPage, Problem> {
    Ok(app.feed.reader.page(user, Wanted { below: None, limit: ITEMS }).await?)
}

/// What the user holds of the newest campaigns, by campaign, the newest first, and number; and the campaigns of which that
/// cannot be told, since Redis has lost them.
async fn claims(app: &App, user: &UserId) -> Result<(ClaimList, Vec<String>), Problem> {
    let campaigns = app.campaigns.catalog().newest_listed(CLAIMED_CAMPAIGNS);
    let held = join_all(campaigns.iter().map(|campaign| held(app, campaign, user))).await;
    let (mut items, mut unavailable) = (Vec::new(), Vec::new());
    for (campaign, held) in campaigns.iter().zip(held) {
        match held {
            Ok(held) => items.extend(held),
            Err(_) if campaign.is_lost() => unavailable.push(campaign.id().to_string()),
            Err(problem) => return Err(problem),
        }
    }
    items.truncate(CLAIMS_MAX);
    Ok((ClaimList { items }, unavailable))
}

/// What the user holds of one. Nobody holds anything of a campaign that is being made: it hides nothing of the others.
async fn held(app: &App, campaign: &Campaign, user: &UserId) -> Result<Vec<ClaimView>, Problem> {
    match app.claims.of_user(campaign, user).await {
        Err(ClaimError::BeingMade) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
        Ok(claims) => app.held_of(campaign, claims),
    }
}
