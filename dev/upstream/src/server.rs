//! The server: every call is counted, perhaps spoilt, and otherwise answered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::chat;
use crate::control::Change;
use crate::manners::Manners;
use crate::users;

/// What happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Calls that have come.
    pub calls: u64,
    /// Those that were made to fail, whether their callers waited for it or not.
    pub failures: u64,
    /// Those whose caller went away before the answer.
    pub left: u64,
    /// The longest that a caller stayed for the head of an answer, in ms.
    pub longest_stay_ms: u64,
}

/// A running server. It ends when this is dropped.
pub struct Upstream {
    address: SocketAddr,
    state: Shared,
    server: JoinHandle<()>,
}

type Shared = Arc<Mutex<Inner>>;

struct Inner {
    manners: Manners,
    counts: Counts,
    chat_key: String,
    last_chat: Value,
}

fn lock(state: &Shared) -> MutexGuard<'_, Inner> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    /// Listens, on a port of its own if the address has port 0. Chats must show the key, unless it is empty.
    pub async fn start(listen: SocketAddr, manners: Manners, chat_key: &str) -> std::io::Result<Self> {
        let inner = Inner { manners, counts: Counts::default(), chat_key: chat_key.to_owned(), last_chat: Value::Null };
        let state: Shared = Arc::new(Mutex::new(inner));
        let router = Router::new()
            .route("/users/{id}", get(user))
            .route("/v1/chat/completions", post(chat))
            .route("/control", get(shown).put(changed))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            // It only ends with the task.
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the server ended: {error}");
            }
        });
        Ok(Self { address, state, server })
    }

    /// Its address, as `http://127.0.0.1:21480`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        lock(&self.state).counts
    }

    /// Behaves differently from now on. `false`: a percentage above 100, and nothing changed.
    #[must_use = "nothing may have changed"]
    pub fn change(&self, change: Change) -> bool {
        let mut inner = lock(&self.state);
        let changed = change.apply(inner.manners);
        inner.manners = changed.unwrap_or(inner.manners);
        changed.is_some()
    }

    /// The body of the last chat request; null: none came.
    #[must_use]
    pub fn last_chat(&self) -> Value {
        lock(&self.state).last_chat.clone()
    }

    /// Until the server ends, which it does not by itself.
    pub async fn wait(mut self) {
        // A task that was aborted or panicked has ended, too.
        drop((&mut self.server).await);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One call while somebody waits for it: whoever goes away drops it.
struct Call {
    state: Shared,
    began: Instant,
    is_answered: bool,
}

impl Drop for Call {
    fn drop(&mut self) {
        let stay_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let counts = &mut lock(&self.state).counts;
        counts.longest_stay_ms = counts.longest_stay_ms.max(stay_ms);
        counts.left += u64::from(!self.is_answered);
    }
}

/// Answers a call, or lets it fail.
async fn answered(state: Shared, answer: impl FnOnce() -> Response) -> Response {
    let (manners, fails) = {
        let mut inner = lock(&state);
        let number = inner.counts.calls;
        let fails = inner.manners.down || inner.manners.fails(number);
        inner.counts.calls += 1;
        inner.counts.failures += u64::from(fails);
        (inner.manners, fails)
    };
    let mut call = Call { state, began: Instant::now(), is_answered: false };
    let response = if fails {
        let after = if manners.down { Duration::ZERO } else { manners.fail_after() };
        tokio::time::sleep(after).await;
        (StatusCode::INTERNAL_SERVER_ERROR, "it failed, as told").into_response()
    } else {
        answer()
    };
    call.is_answered = true;
    response
}

async fn user(State(state): State<Shared>, Path(id): Path<String>) -> Response {
    answered(state, || users::answer(&id)).await
}

async fn chat(State(state): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let (manner, key) = {
        let inner = lock(&state);
        (inner.manners.chat, inner.chat_key.clone())
    };
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !key.is_empty() && shown != Some(format!("Bearer {key}").as_str()) {
        let error = json!({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}});
        return (StatusCode::UNAUTHORIZED, Json(error)).into_response();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": {"message": "no JSON"}}))).into_response();
    };
    lock(&state).last_chat = body.clone();
    answered(state, || chat::answer(&body, manner)).await
}

async fn shown(State(state): State<Shared>) -> Json<Value> {
    let inner = lock(&state);
    Json(json!({"manners": inner.manners, "counts": inner.counts}))
}

async fn changed(State(state): State<Shared>, Json(change): Json<Change>) -> Response {
    let changed = {
        let mut inner = lock(&state);
        let changed = change.apply(inner.manners);
        inner.manners = changed.unwrap_or(inner.manners);
        changed.is_some()
    };
    if changed { shown(State(state)).await.into_response() } else { StatusCode::UNPROCESSABLE_ENTITY.into_response() }
}
