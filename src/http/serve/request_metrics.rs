//! How many requests of each route, how they ended, and how long they took.
//!
//! A metric's handle is looked up by its labels, which are text: once for each thread and combination, not once for each
//! request.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::http::{Method, StatusCode};
use matchit::Router;
use metrics::{Counter, Histogram};

/// The label of what is no route.
const NONE: &str = "none";

/// A route's place in the list; `None` for what is no route.
pub(crate) type Route = Option<usize>;

/// All routes that are counted apart.
pub(crate) struct RequestMetrics {
    /// Which of this process' lists it is: nodes of one process share the threads.
    list: usize,
    names: Vec<String>,
    router: Router<usize>,
}

/// The list, the route, the method, the status.
type Labels = (usize, Route, &'static str, u16);

thread_local! {
    static HANDLES: RefCell<HashMap<Labels, (Counter, Histogram)>> = RefCell::default();
}

impl RequestMetrics {
    /// Of these paths, written as `/v1/claims/{claim_id}`.
    pub(crate) fn new(paths: impl IntoIterator<Item = String>) -> Self {
        static LISTS: AtomicUsize = AtomicUsize::new(0);
        let (mut names, mut router) = (Vec::new(), Router::new());
        for path in paths {
            match router.insert(path.as_str(), names.len()) {
                Ok(()) => names.push(path),
                Err(error) => tracing::warn!(path, %error, "requests of this route are counted as of none"),
            }
        }
        Self { list: LISTS.fetch_add(1, Ordering::Relaxed), names, router }
    }

    pub(crate) fn route_of(&self, path: &str) -> Route {
        self.router.at(path).ok().map(|found| *found.value)
    }

    pub(crate) fn name(&self, route: Route) -> &str {
        route.map_or(NONE, |index| &self.names[index])
    }

    pub(crate) fn count(&self, route: Route, method: &Method, status: StatusCode, began: Instant) {
        let (method, status, took) = (word(method), status.as_u16(), began.elapsed().as_secs_f64());
        HANDLES.with_borrow_mut(|handles| {
            let (requests, seconds) = handles.entry((self.list, route, method, status)).or_insert_with(|| {
                let route = self.name(route).to_owned();
                let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.to_string())];
                (
                    metrics::counter!("onrush_http_requests_total", &labels),
                    metrics::histogram!("onrush_http_request_seconds", "route" => route),
                )
            });
            requests.increment(1);
            seconds.record(took);
        });
    }
}

/// Clients may send any word as a method: the labels stay few.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_counted_by_its_route_and_anything_else_by_none() {
        let metrics = RequestMetrics::new(["/v1/campaigns/{id}".to_owned(), "/v1/campaigns/{id}/claims".to_owned()]);
        let name = |path| metrics.name(metrics.route_of(path)).to_owned();
        assert_eq!(name("/v1/campaigns/WELCOME_001/claims"), "/v1/campaigns/{id}/claims");
        assert_eq!(name("/v1/campaigns/claims"), "/v1/campaigns/{id}");
        assert_eq!(name("/v1/campaigns/a/b"), "none");
    }
}
