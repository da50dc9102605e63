//! The OpenAPI document and the page that shows it. All of it is the same for everybody: it is rendered once, and every answer
//! refers to the same bytes, however many readers are slow.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::http::contract::etag::{has, tag_of};
use crate::http::contract::input::Input;
use crate::http::contract::problem::Problem;
use crate::http::state::App;

/// After an upgrade a browser shows what was before for so long.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// Some bytes, and what is said of them.
struct File {
    bytes: Bytes,
    tag: Bytes,
    kind: HeaderValue,
    is_gzipped: bool,
}

impl File {
    fn new(bytes: Bytes, kind: HeaderValue, is_gzipped: bool) -> Self {
        Self { tag: tag_of(&bytes), bytes, kind, is_gzipped }
    }

    /// The bytes, or 304 to who has them.
    fn answer(&self, asked: &HeaderMap) -> Response {
        let is_known = has(asked, &self.tag);
        let mut response = Response::new(if is_known { Body::empty() } else { Body::from(self.bytes.clone()) });
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, CACHE);
        let tag = HeaderValue::from_maybe_shared(self.tag.clone()).expect("base64 between quotes");
        headers.insert(header::ETAG, tag);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::CONTENT_TYPE, self.kind.clone());
        if self.is_gzipped {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// The files of the page, by name: each is looked for once. There are as many as the library has.
struct Page {
    config: Arc<Config<'static>>,
    files: RwLock<HashMap<String, Arc<File>>>,
}

impl Page {
    fn find(&self, name: &str) -> Option<Arc<File>> {
        let known = self.files.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.or_else(|| {
            let found = utoipa_swagger_ui::serve(name, Arc::clone(&self.config)).ok()??;
            // Nearly all are part of the program, and are not copied.
            let bytes = match found.bytes {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            let kind = HeaderValue::from_str(&found.content_type).ok()?;
            let file = Arc::new(File::new(bytes, kind, found.gzpipped));
            self.files.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), Arc::clone(&file));
            Some(file)
        })
    }

    fn answer(&self, name: &str, asked: &HeaderMap) -> Result<Response, Problem> {
        self.find(name).map(|file| file.answer(asked)).ok_or_else(|| Problem::not_found("file"))
    }
}

pub(crate) fn routes(document: &OpenApi) -> Router<App> {
    let rendered = serde_json::to_vec(document).expect("the document is made of texts and numbers");
    let json = HeaderValue::from_static("application/json");
    let document = Arc::new(File::new(rendered.into(), json, false));
    let page = Arc::new(Page { config: Arc::new(Config::from("/openapi.json")), files: RwLock::default() });
    let first = Arc::clone(&page);
    Router::new()
        .route("/openapi.json", get(async move |asked: HeaderMap| document.answer(&asked)))
        .route("/docs", get(async || Redirect::to("/docs/").into_response()))
        .route("/docs/", get(async move |asked: HeaderMap| first.answer("index.html", &asked)))
        .route("/docs/{*name}", get(async move |input: Input| page.answer(input.path_text("name"), input.headers())))
}
