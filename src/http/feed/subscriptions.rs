//! Routes of subscriptions.

use axum::extract::State;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::feed::Subscribed;
use crate::http::auth::caller::User;
use crate::http::contract::input::Input;
use crate::http::contract::problem::Problem;
use crate::http::contract::response::done;
use crate::http::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(subscribe, unsubscribe))
}

/// Follow an author. The author's newest posts are in the caller's feed at once.
#[utoipa::path(put, path = "/v1/subscriptions/{author_id}", tag = "feed", security(("user" = [])),
    params(("author_id" = String, Path)),
    responses((status = 204)))]
async fn subscribe(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let author = input.path("author_id")?;
    input.no_body().await?;
    let too_many =
        |what: String| Problem::field("path/author_id", format!("you follow {what} already, the most one may"));
    match app.feed.subscriptions.subscribe(&user, &author).await? {
        Subscribed::Done => Ok(done()),
        Subscribed::TooMany(most) => Err(too_many(format!("{most} authors"))),
        Subscribed::TooManyRead(most) => Err(too_many(format!("{most} authors with very many subscribers"))),
    }
}

/// Follow an author no more. None of the author's posts are in the caller's feed any more.
#[utoipa::path(delete, path = "/v1/subscriptions/{author_id}", tag = "feed", security(("user" = [])),
    params(("author_id" = String, Path)),
    responses((status = 204)))]
async fn unsubscribe(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let author = input.path("author_id")?;
    input.no_body().await?;
    app.feed.subscriptions.unsubscribe(&user, &author).await?;
    Ok(done())
}
