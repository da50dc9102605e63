//! What this server says of itself: the OpenAPI document, its rendering, a page for each error code.

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::contract::input::Input;
use crate::http::contract::problem::{Code, Problem};
use crate::http::state::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Onrush",
        description = "First-come coupons and tickets: exact, fast, honest about both.\n\nErrors are RFC 9457 \
                       `application/problem+json`; switch on `code`. Clients must ignore unknown members of answers.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&Credentials)
)]
pub(crate) struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, description) in
            [("user", "A user's JWT with `sub` and `exp`."), ("operator", "An operator's token.")]
        {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(description.into());
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(problem_page))
}

/// A page about an error code.
#[utoipa::path(get, path = "/problems/{code}", tag = "operations", params(("code" = String, Path)),
    responses((status = 200, content_type = "text/html", body = String)))]
async fn problem_page(State(_): State<App>, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let code = Code::of(input.path_text("code")).ok_or_else(|| Problem::not_found("error code"))?;
    Ok(([(header::CACHE_CONTROL, "public, max-age=3600")], Html(code.page())).into_response())
}
