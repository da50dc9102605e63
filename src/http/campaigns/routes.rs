//! Routes of campaigns.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AllOfBuilder, AnyOfBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::{Campaign, Change, Created, Durability, Refused, Spec, Switch, View};
use crate::http::auth::caller::Operator;
use crate::http::campaigns::room as waiting;
use crate::http::contract::input::{self, Input, Nullable};
use crate::http::contract::paging::{Cursor, Paging};
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::response::{cacheable, private};
use crate::http::contract::schemas::{self, Body, body};
use crate::http::state::App;
use crate::ids::CampaignId;
use crate::text::Lines;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(read, change))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(close))
}

const STOCK_MAX: u64 = 100_000_000;
const LIMIT_MAX: u64 = 100;
const NAME_CHARACTERS_MAX: usize = 200;

body! {
    /// What a POST of a campaign may say.
    NewCampaign = {
        let limit = schemas::or_null(schemas::whole(1..=LIMIT_MAX));
        let durability = schemas::or_null(schemas::word(Durability::ALL.map(Durability::as_str)));
        let spec = Body::new()
            .needs("id", schemas::campaign_id())
            .needs("name", schemas::such_as(schemas::text(NAME_CHARACTERS_MAX, Lines::One), "Welcome coupon"))
            .needs("stock", schemas::such_as(schemas::whole(1..=STOCK_MAX), 100))
            .takes("per_user_limit", schemas::about(limit, "1 if absent or null."))
            .takes("opens_at", schemas::about(schemas::or_null(schemas::time()), "Absent or null: open at once."))
            .takes("closes_at", schemas::about(schemas::or_null(schemas::time()), "Later than `opens_at`; absent or null: until closed."))
            .takes("durability", schemas::about(durability, "memory if absent or null."))
            .takes("listed", schemas::about(schemas::or_null(schemas::flag()), "true if absent or null."))
            .takes("waiting", waiting::new_schema())
            .takes("seats", schemas::about(schemas::null(), "Not built yet: null."));
        // A draw is at the opening, so there has to be one.
        let opens = ObjectBuilder::new().schema_type(SchemaType::AnyValue).required("opens_at");
        let opens = opens.property("opens_at", ObjectBuilder::new().schema_type(Type::String));
        let draws_nothing = waiting::draws_nothing();
        let either = AnyOfBuilder::new().item(opens).item(draws_nothing).build();
        AllOfBuilder::new().item(spec.build()).item(Schema::AnyOf(either)).build()
    }
}

body! {
    /// What a PATCH of a campaign may say. What is absent stays as it is.
    CampaignChange = {
        let limit = schemas::whole(1..=LIMIT_MAX);
        Body::new()
            .takes("name", schemas::text(NAME_CHARACTERS_MAX, Lines::One))
            .takes("stock", schemas::about(schemas::whole(1..=STOCK_MAX), "Lower only before the campaign opens."))
            .takes("per_user_limit", schemas::about(limit, "Only higher."))
            .takes("opens_at", schemas::about(schemas::or_null(schemas::time()), "Until it has opened; null: open at once."))
            .takes("closes_at", schemas::about(schemas::or_null(schemas::time()), "null: until closed."))
            .takes("listed", schemas::flag())
            .takes("waiting", waiting::change_schema())
            .build()
    }
}

/// A page of campaigns.
#[derive(Serialize, ToSchema)]
pub(crate) struct CampaignPage {
    items: Vec<View>,
    /// Send it as `after` for the next page; null at the end.
    next: Option<String>,
}

/// Make a campaign.
///
/// The same content again is answered with 200 and the campaign as it is today.
#[utoipa::path(post, path = "/v1/campaigns", tag = "campaigns", security(("operator" = [])), request_body = NewCampaign,
    responses((status = 201, body = View, headers(("Location" = String))), (status = 200, body = View)))]
async fn create(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let draft = draft(&input).await?;
    let (created, campaign) = app.campaigns.create(draft.clone()).await?;
    match (created, campaign) {
        (Created::New, Some(campaign)) => {
            let location = app.url(format_args!("/v1/campaigns/{}", draft.id));
            let view = app.campaigns.view(&campaign).await?;
            Ok((StatusCode::CREATED, [(header::LOCATION, location)], private(view)).into_response())
        }
        (Created::Same, Some(campaign)) => Ok(private(app.campaigns.view(&campaign).await?)),
        (Created::Other | Created::New | Created::Same, _) => {
            Err(Problem::new(Code::AlreadyExists, format!("campaign {} exists, with other content", draft.id)))
        }
    }
}

/// The listed campaigns, by id.
#[utoipa::path(get, path = "/v1/campaigns", tag = "campaigns", params(Paging),
    responses((status = 200, body = CampaignPage)))]
async fn list(State(app): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&["limit", "after"])?;
    let (limit, after) = (input.limit()?, input.query::<Cursor>("after")?);
    let after = after.map(|cursor| cursor.0.parse::<CampaignId>()).transpose();
    let after = after.map_err(|_| Problem::field("query/after", "is no cursor of this list"))?;
    Ok(cacheable(&input, &page(&app, after.as_ref(), limit).await?))
}

/// Campaigns of a page that are looked at at the same time.
const LOOKS_AT_ONCE: usize = 8;

/// A page of the listed campaigns.
pub(crate) async fn page(app: &App, after: Option<&CampaignId>, limit: usize) -> Result<CampaignPage, Problem> {
    // One more than asked for tells whether there is a next page.
    let mut campaigns = app.campaigns.catalog().listed_after(after, limit + 1);
    let next = (campaigns.len() > limit).then(|| Cursor(campaigns[limit - 1].id().to_string()).to_string());
    campaigns.truncate(limit);
    // In boxes that come and go: all at once, what lists need while they are made would be most of what strangers cost.
    let views = campaigns
        .into_iter()
        .map(|campaign| Box::pin(async move { app.campaigns.list_view(&campaign).await }) as BoxFuture<'_, _>);
    let views: Vec<_> = stream::iter(views).buffered(LOOKS_AT_ONCE).try_collect().await?;
    Ok(CampaignPage { items: views.into_iter().flatten().collect(), next })
}

/// A campaign, with counters at most a second old.
#[utoipa::path(get, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = String, Path), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = View, headers(("ETag" = String))), (status = 304)))]
async fn read(State(app): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let campaign = app.campaign(&input).await?;
    Ok(cacheable(&input, &app.campaigns.view(&campaign).await?))
}

/// Change a campaign.
#[utoipa::path(patch, path = "/v1/campaigns/{id}", tag = "campaigns", params(("id" = String, Path)),
    security(("operator" = [])), request_body = CampaignChange,
    responses((status = 200, body = View)))]
async fn change(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    let change = read_change(&input).await?;
    changed(&app, app.campaigns.change(id, change).await?).await
}

/// Stop claims for a while.
#[utoipa::path(post, path = "/v1/campaigns/{id}/pause", tag = "campaigns", params(("id" = String, Path)),
    security(("operator" = [])),
    responses((status = 200, body = View)))]
async fn pause(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    switch(&app, &input, Switch::Pause).await
}

/// Take claims again.
#[utoipa::path(post, path = "/v1/campaigns/{id}/resume", tag = "campaigns", params(("id" = String, Path)),
    security(("operator" = [])),
    responses((status = 200, body = View)))]
async fn resume(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    switch(&app, &input, Switch::Resume).await
}

/// Stop claims for good.
#[utoipa::path(post, path = "/v1/campaigns/{id}/close", tag = "campaigns", params(("id" = String, Path)),
    security(("operator" = [])),
    responses((status = 200, body = View)))]
async fn close(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    switch(&app, &input, Switch::Close).await
}

async fn switch(app: &App, input: &Input, switch: Switch) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("id")?;
    input.no_body().await?;
    changed(app, app.campaigns.switch(id, switch).await?).await
}

async fn changed(app: &App, outcome: Option<Result<Arc<Campaign>, Refused>>) -> Result<Response, Problem> {
    match outcome {
        None => Err(Problem::not_found("campaign")),
        Some(Ok(campaign)) => Ok(private(app.campaigns.view(&campaign).await?)),
        Some(Err(Refused::Closed)) => Err(Problem::new(Code::Closed, "the campaign is closed for good")),
        Some(Err(Refused::StockCannotShrink)) => {
            Err(Problem::new(Code::StockCannotShrink, "the stock of a campaign that has opened can only be raised"))
        }
        Some(Err(Refused::Member { name, why })) => Err(Problem::field(format!("/{name}"), why)),
    }
}

async fn draft(input: &Input) -> Result<Spec, Problem> {
    let mut members = input.members().await?;
    let id = members.require("id", input::id::<CampaignId>);
    let name = members.require("name", input::text(NAME_CHARACTERS_MAX, Lines::One));
    let stock = members.require("stock", input::whole(1..=STOCK_MAX));
    let per_user_limit = members.take_unless_null("per_user_limit", input::whole(1..=LIMIT_MAX)).unwrap_or(1);
    let opens_at = members.take("opens_at", input::time_or_null).flatten();
    let closes_at = members.take("closes_at", input::time_or_null).flatten();
    let durability = members.take_unless_null("durability", durability).unwrap_or(Durability::Memory);
    let listed = members.take_unless_null("listed", input::flag).unwrap_or(true);
    let waiting = waiting::new_terms(&mut members, opens_at);
    members.take("seats", input::only_null);
    if let (Some(opens_at), Some(closes_at)) = (opens_at, closes_at)
        && closes_at <= opens_at
    {
        members.note("closes_at", "must be later than opens_at".into());
    }
    members.finish()?;
    let (Some(id), Some(name), Some(stock)) = (id, name, stock) else {
        return Err(Problem::field("", "lacks a member that is required"));
    };
    let per_user_limit = u32::try_from(per_user_limit).expect("at most 100");
    Ok(Spec { id, name, stock, per_user_limit, opens_at, closes_at, durability, listed, waiting })
}

async fn read_change(input: &Input) -> Result<Change, Problem> {
    let mut members = input.members().await?;
    let mut change = Change {
        name: members.take("name", input::text(NAME_CHARACTERS_MAX, Lines::One)),
        stock: members.take("stock", input::whole(1..=STOCK_MAX)),
        per_user_limit: members
            .take("per_user_limit", input::whole(1..=LIMIT_MAX))
            .map(|limit| u32::try_from(limit).expect("at most 100")),
        opens_at: members.take("opens_at", input::time_or_null),
        closes_at: members.take("closes_at", input::time_or_null),
        listed: members.take("listed", input::flag),
        waiting: None,
    };
    change.waiting = waiting::read(&mut members).map(|said| match said {
        Nullable::Null => None,
        Nullable::Value(change) => Some(change),
    });
    members.finish()?;
    Ok(change)
}

fn durability(value: &serde_json::Value) -> Result<Durability, String> {
    let words = || Durability::ALL.map(Durability::as_str).join(", ");
    value.as_str().and_then(Durability::of).ok_or_else(|| format!("must be one of {}", words()))
}
