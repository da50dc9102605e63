//! What every request passes on its way in and out: an id, a time limit, the last word on errors, the figures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use tokio::sync::Mutex;
use tracing::Instrument;

use super::App;
use super::input::SharedBody;
use super::problem::{Code, Problem};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How much of a body that nobody wanted is read off, as a multiple of the largest body that is wanted.
const DISCARD_FACTOR: usize = 256;

pub(super) async fn edge(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let request_id = request_id(&request);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::debug_span!("request", %method, route, request_id);

    let (mut parts, body) = request.into_parts();
    let shared = SharedBody(Arc::new(Mutex::new(body)));
    parts.extensions.insert(shared.clone());
    // Who waits for `100 Continue` has not sent its body and need not.
    let discard = !parts.headers.contains_key(header::EXPECT);
    let limit = Duration::from_millis(app.config.request_timeout_ms);
    let handled = next.run(Request::from_parts(parts, Body::empty())).instrument(span);
    let mut response = match tokio::time::timeout(limit, handled).await {
        Ok(response) => finish(response, &request_id),
        Err(_) => Problem::new(Code::Unavailable, "the request took too long").render(&request_id),
    };
    if discard {
        let left = limit.saturating_sub(began.elapsed());
        let bytes_max = app.config.body_bytes_max * DISCARD_FACTOR;
        // Out of time or too much: the connection is closed with the rest unread.
        let _read_off = tokio::time::timeout(left, read_off(shared, bytes_max)).await;
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    count(&method, route, &response, began);
    response
}

/// A problem that a handler answered is rendered here, where the request's id is known.
fn finish(mut response: Response, request_id: &str) -> Response {
    match response.extensions_mut().remove::<Problem>() {
        None => response,
        Some(problem) => {
            metrics::counter!("onrush_http_problems_total", "code" => problem.code.word()).increment(1);
            let mut rendered = problem.render(request_id);
            // What others said about the empty answer: which methods there are, which origins may read it.
            response.headers_mut().remove(header::CONTENT_LENGTH);
            rendered.headers_mut().extend(std::mem::take(response.headers_mut()));
            rendered
        }
    }
}

/// The caller's id, if it is fit for logs, else one of ours.
fn request_id(request: &Request) -> String {
    let sent = request.headers().get(&X_REQUEST_ID).and_then(|id| id.to_str().ok());
    let fit = sent.filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    fit.map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned)
}

async fn read_off(SharedBody(body): SharedBody, bytes_max: usize) {
    let mut chunks = std::mem::take(&mut *body.lock().await).into_data_stream();
    let mut bytes = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        bytes += chunk.len();
        if bytes > bytes_max {
            return;
        }
    }
}

fn count(method: &Method, route: String, response: &Response, began: Instant) {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let status = response.status().as_str().to_owned();
    metrics::counter!("onrush_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("onrush_http_request_seconds", "route" => route).record(began.elapsed().as_secs_f64());
}
