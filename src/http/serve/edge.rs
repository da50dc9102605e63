//! What every request passes on its way in and out: an id, a time limit, the last word on errors, metrics.
//!
//! It stands before the router and not in it as a layer: a layer is cloned and boxed for each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures::StreamExt;
use hyper::body::Incoming;
use tokio::sync::Mutex;
use tower::Service;
use tracing::Instrument;

use crate::config;
use crate::http::contract::header_names::X_REQUEST_ID;
use crate::http::contract::input::SharedBody;
use crate::http::contract::problem::{Code, Problem};
use crate::http::serve::fast_path::HotRoute;
use crate::http::serve::host;
use crate::http::serve::peer::Peer;
use crate::http::serve::request_metrics::RequestMetrics;
use crate::http::state::App;

/// How much of a body that nobody wanted is read off, as a multiple of the largest body that is wanted.
const DISCARD_FACTOR: usize = 256;

/// Everything that a server answers with.
pub struct Edge {
    routes: Router,
    /// What the hot routes work with; `None`: every request goes through the router.
    hot: Option<App>,
    /// The yardstick of benchmarks, past all that is done here.
    bare: Option<Router>,
    metrics: RequestMetrics,
    request_timeout: Duration,
    discard_bytes_max: usize,
}

impl Edge {
    pub(crate) fn new(
        routes: Router,
        hot: Option<App>,
        bare: Option<Router>,
        metrics: RequestMetrics,
        config: &config::Http,
    ) -> Self {
        Self {
            routes,
            hot,
            bare,
            metrics,
            request_timeout: Duration::from_millis(config.request_timeout_ms),
            discard_bytes_max: config.body_bytes_max * DISCARD_FACTOR,
        }
    }

    /// Whether the answer may be so long that few of them should wait for their reader at a time: what is read, but for
    /// what crowds read and for event streams, which are as long as somebody listens.
    pub(crate) fn may_be_long(request: &Request<Incoming>) -> bool {
        let (method, uri) = (request.method(), request.uri());
        method.is_safe() && HotRoute::of(method, uri).is_none() && !uri.path().ends_with("/waiting/events")
    }

    /// The answer to a request whose turn did not come, as those before it are not taken.
    pub(crate) fn too_late(&self, request: &Request<Incoming>) -> Response {
        let began = Instant::now();
        let request_id = request_id(request);
        let problem = Problem::new(Code::Unavailable, "the answers before this one were not read: nothing was done");
        problem.code.count();
        let mut response = problem.render(as_text(&request_id));
        self.metrics.count(self.metrics.route_of(request.uri().path()), request.method(), response.status(), began);
        response.headers_mut().insert(X_REQUEST_ID, request_id);
        response
    }

    /// The answer to one request; there always is one.
    pub(crate) async fn answer(&self, peer: SocketAddr, request: Request<Incoming>) -> Response {
        if let Some(bare) = self.bare.as_ref().filter(|_| request.uri().path().starts_with("/bare/")) {
            return routed(bare, request).await.unwrap_or_else(|problem| problem.render("bare"));
        }
        let began = Instant::now();
        let request_id = request_id(&request);
        let route = self.metrics.route_of(request.uri().path());
        let method = request.method().clone();

        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Peer(peer.ip()));
        // Who waits for `100 Continue` has not sent its body and need not.
        let discard = !parts.headers.contains_key(header::EXPECT);
        let shared = (!body.is_end_stream()).then(|| SharedBody(Arc::new(Mutex::new(Body::new(body)))));
        if let Some(shared) = &shared {
            parts.extensions.insert(shared.clone());
        }
        let span = tracing::debug_span!("request", %method, route = self.metrics.name(route), request_id = as_text(&request_id));
        let hot = HotRoute::of(&parts.method, &parts.uri).filter(|_| shared.is_none());
        let hot = self.hot.as_ref().zip(hot.map(|(route, _)| route));
        let handled = async {
            if let Some(problem) = host::problem_of(&parts) {
                return Err(problem);
            }
            match hot {
                Some((app, route)) => route.answer(app, parts).await,
                None => routed(&self.routes, Request::from_parts(parts, Body::empty())).await,
            }
        };
        let answered = tokio::time::timeout(self.request_timeout, handled.instrument(span)).await;
        let mut response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(problem)) => {
                problem.code.count();
                problem.render(as_text(&request_id))
            }
            Err(_) => took_too_long(&method).render(as_text(&request_id)),
        };
        if let Some(shared) = shared.filter(|_| discard) {
            let left = self.request_timeout.saturating_sub(began.elapsed());
            // Out of time or too much: the connection is closed with the rest unread.
            let rest = Box::pin(read_off(shared, self.discard_bytes_max));
            let _read_off = tokio::time::timeout(left, rest).await;
        }
        self.metrics.count(route, &method, response.status(), began);
        response.headers_mut().insert(X_REQUEST_ID, request_id);
        response
    }
}

/// What a read would have changed is nothing; of everything else nobody knows how far it came.
fn took_too_long(method: &Method) -> Problem {
    Problem::new(
        Code::Unavailable,
        if method.is_safe() {
            "the request took too long: nothing was changed"
        } else {
            "the request took too long: it may have happened; repeat it, with the same Idempotency-Key if it had one"
        },
    )
}

/// What the router makes of it. It is ready at any time.
async fn routed<B>(routes: &Router, request: Request<B>) -> Result<Response, Problem>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let mut response = match routes.clone().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    match response.extensions_mut().remove::<Problem>() {
        None => Ok(response),
        Some(problem) => {
            // Of the empty answer; the rest of its headers is kept.
            response.headers_mut().remove(header::CONTENT_LENGTH);
            Err(problem.headers(std::mem::take(response.headers_mut())))
        }
    }
}

/// The caller's id, if it is fit for logs, else one of ours.
fn request_id<B>(request: &Request<B>) -> HeaderValue {
    let sent = request.headers().get(&X_REQUEST_ID);
    let fit = sent.filter(|id| (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
    fit.cloned().unwrap_or_else(|| {
        let mut text = [0; 32];
        HEXLOWER.encode_mut(&rand::random::<[u8; 16]>(), &mut text);
        HeaderValue::from_bytes(&text).expect("hexadecimal digits")
    })
}

fn as_text(request_id: &HeaderValue) -> &str {
    request_id.to_str().expect("visible ASCII, by request_id()")
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
