//! Routes of coupons: which claim one is, using it, undoing that.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::Campaign;
use crate::claim::{Redeem, Unredeem};
use crate::http::auth::caller::Operator;
use crate::http::claims::routes::{again, already_redeemed, key_of};
use crate::http::claims::view::ClaimView;
use crate::http::contract::input::Input;
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::reason::{reason, reason_schema};
use crate::http::contract::response::private;
use crate::http::contract::schemas::{Body, body};
use crate::http::state::App;
use crate::ids::{AttemptId, ClaimId, IdempotencyKey};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read_coupon)).routes(routes!(redeem)).routes(routes!(unredeem))
}

impl App {
    /// The claim that a coupon code belongs to, with its campaign.
    fn coupon(&self, input: &Input) -> Result<(Arc<Campaign>, ClaimId), Problem> {
        let found = self.claims.by_code(self.campaigns.catalog(), input.path_text("coupon_code"));
        found.ok_or_else(|| Problem::not_found("coupon"))
    }
}

/// The claim that a coupon code belongs to.
#[utoipa::path(get, path = "/v1/coupons/{coupon_code}", tag = "coupons", security(("operator" = [])),
    params(("coupon_code" = String, Path)),
    responses((status = 200, body = ClaimView)))]
async fn read_coupon(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let (campaign, id) = app.coupon(&input)?;
    let claim = app.claims.find(&campaign, &id).await?.ok_or_else(|| Problem::not_found("coupon"))?;
    Ok(private(app.claim_view(&campaign, claim)?))
}

/// Use a coupon, once.
///
/// The same `Idempotency-Key` again is the same redemption: 200 with the claim as it is today and `Idempotency-Replayed: true`.
/// Any other is `already_redeemed`, with `redeemed_at`: a code that somebody has copied. A coupon remembers the last 16 calls
/// that have used it or undone that.
#[utoipa::path(post, path = "/v1/coupons/{coupon_code}/redeem", tag = "coupons", security(("operator" = [])),
    params(("coupon_code" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ClaimView, headers(("Idempotency-Replayed" = String)))))]
async fn redeem(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let key = key_of(input.headers())?;
    input.no_body().await?;
    let (campaign, id) = app.coupon(&input)?;
    match app.claims.redeem(&campaign, &id, &call_of(key.as_ref())).await? {
        Redeem::Done(claim) => Ok(private(app.claim_view(&campaign, claim)?)),
        // Without a key it is the client library's own resend.
        Redeem::Replayed(claim) => Ok(again(private(app.claim_view(&campaign, claim)?), key.is_some())),
        Redeem::NotFound => Err(no_such_coupon()),
        Redeem::AlreadyRedeemed(claim) => Err(already_redeemed(&claim, "this coupon was used before")),
    }
}

/// What tells one call about a coupon from another.
fn call_of(key: Option<&IdempotencyKey>) -> AttemptId {
    key.map_or_else(AttemptId::random, AttemptId::of_key)
}

fn no_such_coupon() -> Problem {
    Problem::new(Code::NotFound, "there is no such coupon, or its claim was given back")
}

body! {
    /// Why an operator does it.
    Reason = Body::new().needs("reason", reason_schema()).build()
}

/// Undo the use of a coupon.
///
/// The claim is live again, and can be given back or redeemed again; the history keeps both, with the reason. A coupon that is
/// not used: 200, and nothing changes. An `Idempotency-Key` that has redeemed it before does not redeem it again.
#[utoipa::path(post, path = "/v1/coupons/{coupon_code}/unredeem", tag = "coupons", security(("operator" = [])),
    params(("coupon_code" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = Reason,
    responses((status = 200, body = ClaimView)))]
async fn unredeem(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let key = key_of(input.headers())?;
    let mut members = input.members().await?;
    let reason = members.require("reason", reason);
    members.finish()?;
    let reason = reason.ok_or_else(|| Problem::field("/reason", "is required"))?;
    let (campaign, id) = app.coupon(&input)?;
    match app.claims.unredeem(&campaign, &id, &call_of(key.as_ref()), &reason).await? {
        Unredeem::Done(claim) => Ok(private(app.claim_view(&campaign, claim)?)),
        Unredeem::NotFound => Err(no_such_coupon()),
    }
}
