//! The route of a user's feed.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::feed::{FeedPage, Item, PostId, PostView, Wanted};
use crate::http::auth::caller::User;
use crate::http::contract::etag::{Keep, mark_stale, tag_of, tagged};
use crate::http::contract::input::Input;
use crate::http::contract::paging::{Cursor, Paging};
use crate::http::contract::problem::Problem;
use crate::http::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(feed))
}

/// Who wrote a post, as the user-info API has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthorView<'a> {
    #[schema(example = "Alice")]
    name: &'a str,
}

/// A post in a feed.
#[derive(Serialize, ToSchema)]
pub(crate) struct FeedItem<'a> {
    #[serde(flatten)]
    post: PostView<'a>,
    /// null: the user-info API does not know them, or did not answer in time.
    author: Option<AuthorView<'a>>,
}

/// A page of a feed.
#[derive(Serialize, ToSchema)]
pub(crate) struct FeedPageView<'a> {
    items: Vec<FeedItem<'a>>,
    /// Send it as `after` for the next page; null at the end.
    next: Option<String>,
}

impl<'a> FeedPageView<'a> {
    pub(crate) fn of(page: &'a FeedPage) -> Self {
        let item = |item: &'a Item| FeedItem {
            post: PostView::public(&item.post),
            author: item.author_name.as_deref().map(|name| AuthorView { name }),
        };
        Self {
            items: page.items.iter().map(item).collect(),
            next: page.next.map(|id| Cursor(id.to_string()).to_string()),
        }
    }
}

/// Inspected posts of the authors whom the caller follows, newest first.
///
/// A page may be shorter than asked for before the end: `next` says whether there is more.
#[utoipa::path(get, path = "/v1/feed", tag = "feed", security(("user" = [])), params(Paging),
    responses((status = 200, body = FeedPageView<'static>, headers(("ETag" = String), ("Onrush-Stale" = String))),
        (status = 304)))]
async fn feed(State(app): State<App>, User(user): User, input: Input) -> Result<Response, Problem> {
    input.allow_query(&["limit", "after"])?;
    let limit = input.limit()?;
    let below = input.query::<Cursor>("after")?.map(|cursor| cursor.0.parse::<PostId>()).transpose();
    let below = below.map_err(|_| Problem::field("query/after", "is no cursor of this list"))?;
    let page = app.feed.reader.page(&user, Wanted { below, limit }).await?;
    let body = serde_json::to_vec(&FeedPageView::of(&page)).expect("texts and times are JSON");
    let mut response = tagged(input.headers(), body.clone().into(), &tag_of(&body), Keep::Nothing);
    mark_stale(&mut response, page.is_stale);
    Ok(response)
}
