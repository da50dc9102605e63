//! Live: a stream of events for each visitor who wants one, with the same bodies as the answers.
//!
//! - No task a visitor: a stream is what its connection's own task polls. It sleeps until the room has news, and makes its
//!   event when the connection has room for it, so nothing piles up for who reads slowly.
//! - While its visitor waits it costs Redis nothing.
//! - Who connects again hears the present state at once: there is nothing to be resumed but that. Who has heard the last
//!   word already is answered 204, by which browsers stop connecting.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::campaign::{Campaign, Definition, Message};
use crate::http::auth::caller::User;
use crate::http::contract::header_names::LAST_EVENT_ID;
use crate::http::contract::input::Input;
use crate::http::contract::problem::{Code, Problem};
use crate::http::contract::response::{done, head_only};
use crate::http::contract::schemas::{self, body};
use crate::http::state::App;
use crate::http::waiting::answer::{StatusView, Visitor};
use crate::ids::{CampaignId, UserId};
use crate::waiting::{News, Placed, Room, Status, Ticket, Wait};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// How soon a browser connects again, in ms, before jitter: when a node goes, all of its visitors come at once.
const RETRY_MS: u64 = 1_000;

/// After these nothing more is said.
const LAST_WORDS: [&str; 2] = ["closed", "expired"];

const EVENT_STREAM: &str = "text/event-stream";

/// How long after a question to Redis failed it is asked again.
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Whose stream it is: by the ticket in the address, which browsers can send, or by the usual credentials.
pub(crate) enum Listener {
    Ticket(Ticket),
    User(UserId),
}

impl FromRequestParts<App> for Listener {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let ticket = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket");
        match ticket {
            None => User::from_request_parts(parts, app).await.map(|User(user)| Self::User(user)),
            Some((_, text)) => app.tickets.read(&text).map(Self::Ticket).ok_or_else(|| {
                Problem::new(Code::Unauthenticated, "the ticket is not valid")
                    .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"onrush\""))
            }),
        }
    }
}

/// One of them.
struct OpenStream(App);

impl OpenStream {
    fn open(app: &App) -> Result<Self, Problem> {
        let streams = &app.0.streams.0;
        if streams.fetch_add(1, Ordering::Relaxed) >= app.streams_max {
            streams.fetch_sub(1, Ordering::Relaxed);
            return Err(Problem::new(Code::Unavailable, "too many event streams on this node"));
        }
        metrics::gauge!("onrush_waiting_streams").increment(1.0);
        Ok(Self(app.clone()))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.0.streams.0.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("onrush_waiting_streams").decrement(1.0);
    }
}

body! {
    /// One event of the stream.
    EventView = {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let status = Ref::from_schema_name(StatusView::name());
        let data = text().content_media_type("application/json").content_schema(Some(status));
        let retry = schemas::whole(RETRY_MS..=3 * RETRY_MS);
        ObjectBuilder::new()
            .property("data", data.description(Some("How the caller stands, as the answers have it.")))
            .required("data")
            .property("id", schemas::about(schemas::word(LAST_WORDS), "Of the last event."))
            .property("retry", schemas::about(retry, "Of the first event: how soon to connect again, in ms."))
            .build()
    }
}

/// How the caller stands, as it changes.
///
/// The last event has an id. Browsers send it as `Last-Event-ID` when they connect again, and stop when they are answered 204.
#[utoipa::path(get, path = "/v1/campaigns/{id}/waiting/events", tag = "waiting", security(("user" = []), ()),
    params(("id" = String, Path), ("ticket" = Option<String>, Query, description = "instead of credentials, for browsers"),
        ("Onrush-Ticket" = Option<String>, Header), ("Last-Event-ID" = Option<String>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = EventView),
        (status = 204, description = "with `Last-Event-ID`: nothing has changed since the last word, and nothing will")))]
async fn events(State(app): State<App>, listener: Listener, input: Input) -> Result<Response, Problem> {
    input.allow_query(&["ticket"])?;
    let id: CampaignId = input.path("id")?;
    let (user, placed) = match listener {
        Listener::User(user) => {
            let placed = app.shown(input.headers(), &id, &user).map(|(placed, _)| placed);
            (user, placed)
        }
        Listener::Ticket(ticket) if ticket.campaign != id => {
            return Err(Problem::new(Code::Forbidden, "the ticket is for another campaign"));
        }
        Listener::Ticket(Ticket { user, placed, .. }) => (user, Some(placed)),
    };
    let (campaign, room) = app.waiting_room(&id).await?;
    if input.is_head() {
        return Ok(head_only(EVENT_STREAM));
    }
    // Listens before it looks: what changes in between is news.
    let news = app.waiting.news(&room);
    let glanced = placed.and_then(|placed| app.waiting.glance(&room, placed));
    let status = match glanced {
        Some(status) => status,
        // Apart, since it is rare and large: the memory of thousands of streams that open at once is made of it.
        None => Box::pin(app.waiting.look(&room, &user, placed)).await?,
    };
    let heard = input.headers().get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
    if last_word(&status).is_some_and(|word| heard == Some(word.as_bytes())) {
        return Ok(done());
    }
    let open = OpenStream::open(&app)?;
    let (told, message, told_at, is_unsure) = (None, None, Instant::now(), false);
    let stream = Stream { open, campaign, room, user, placed, news, told, message, told_at, is_unsure };
    // A stranger hears so as an error, and not in a stream.
    let first = stream.event(&status)?;
    let frames = futures::stream::unfold((stream, Some((status, first))), |(mut stream, first)| async move {
        let event = match first {
            Some((status, event)) => {
                stream.note(&status);
                Bytes::from([retry().as_bytes(), &event].concat())
            }
            None => stream.next().await?,
        };
        Some((Ok::<_, Infallible>(event), (stream, None)))
    });
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The name of how a visitor stands after which nothing can change any more for who is in this queue; whoever joins it
/// again stands otherwise. Nothing left is no such: units may come back.
fn last_word(status: &Status) -> Option<&'static str> {
    match status {
        Status::Closed => Some(LAST_WORDS[0]),
        Status::Expired => Some(LAST_WORDS[1]),
        Status::Waiting(_)
        | Status::Admitted { .. }
        | Status::SoldOut { .. }
        | Status::Stranger
        | Status::NotOpenYet { .. } => None,
    }
}

fn retry() -> String {
    format!("retry: {}\n", rand::random_range(RETRY_MS..=3 * RETRY_MS))
}

fn message_of(definition: &Definition) -> Option<&Message> {
    definition.spec.waiting.as_ref()?.message.as_ref()
}

/// One visitor's stream.
struct Stream {
    open: OpenStream,
    campaign: Arc<Campaign>,
    room: Arc<Room>,
    user: UserId,
    placed: Option<Placed>,
    news: News,
    /// What was told last.
    told: Option<Status>,
    /// And what the operator said then.
    message: Option<Message>,
    told_at: Instant,
    /// Whether the last question to Redis failed.
    is_unsure: bool,
}

impl Stream {
    /// The next event, or a heartbeat. `None`: the stream ends, since nothing can change any more or this node stops.
    async fn next(&mut self) -> Option<Bytes> {
        let app = self.open.0.clone();
        if self.told.as_ref().and_then(last_word).is_some() {
            return None;
        }
        loop {
            // A question that failed is asked again, whether or not there is news.
            if std::mem::take(&mut self.is_unsure) {
                app.stop.run_until_cancelled(tokio::time::sleep(RETRY_AFTER_FAILURE)).await?;
            } else {
                self.wait(&app).await?;
            }
            let glanced = self.placed.and_then(|placed| app.waiting.glance(&self.room, placed));
            let status = match glanced {
                Some(status) => status,
                // Apart, since it is rare and large.
                None => match Box::pin(app.waiting.look(&self.room, &self.user, self.placed)).await {
                    Ok(status) => status,
                    Err(error) => {
                        tracing::debug!(%error, "an event stream waits for Redis");
                        self.is_unsure = true;
                        continue;
                    }
                },
            };
            if self.is_news(&status) {
                self.note(&status);
                return self.event(&status).ok().map(Bytes::from);
            }
            // All streams are woken once a heartbeat; who has just heard something can do without.
            if self.told_at.elapsed() * 2 >= app.heartbeat {
                self.told_at = Instant::now();
                return Some(Bytes::from_static(b": still here\n\n"));
            }
        }
    }

    /// Until there may be news. Who is inside needs to know when that ends.
    async fn wait(&mut self, app: &App) -> Option<()> {
        let (is_near, ends_in) = match &self.told {
            Some(Status::Waiting(wait)) => (wait.ahead.is_none_or(|ahead| app.waiting.is_near(ahead)), None),
            Some(Status::Admitted { expires_at, .. }) => (false, u64::try_from(expires_at.0 - app.now().0 + 1).ok()),
            _ => (false, None),
        };
        let news = self.news.next(is_near);
        let there_is_a_room = match ends_in {
            None => app.stop.run_until_cancelled(news).await?,
            Some(ms) => {
                let within = tokio::time::timeout(Duration::from_millis(ms), news);
                app.stop.run_until_cancelled(within).await?.unwrap_or(true)
            }
        };
        there_is_a_room.then_some(())
    }

    /// Whether a visitor who was told what was told last would see a difference.
    fn is_news(&self, status: &Status) -> bool {
        if self.message.as_ref() != message_of(&self.campaign.definition()) {
            return true;
        }
        match (&self.told, status) {
            (Some(Status::Waiting(before)), Status::Waiting(now)) => {
                let seen = |wait: &Wait| (wait.ahead, wait.left, wait.draws_at, wait.paused);
                seen(before) != seen(now)
            }
            (Some(Status::SoldOut { .. }), Status::SoldOut { .. }) => false,
            (before, now) => before.as_ref() != Some(now),
        }
    }

    fn note(&mut self, status: &Status) {
        match status {
            Status::Waiting(wait) => self.placed = Some(wait.placed),
            Status::SoldOut { placed, .. } | Status::Admitted { placed, .. } => self.placed = Some(*placed),
            Status::Closed | Status::Expired | Status::Stranger | Status::NotOpenYet { .. } => {}
        }
        self.told = Some(status.clone());
        self.message = message_of(&self.campaign.definition()).cloned();
        self.told_at = Instant::now();
    }

    fn event(&self, status: &Status) -> Result<Vec<u8>, Problem> {
        let visitor = Visitor { campaign: &self.campaign, user: &self.user, shown: None };
        let told = self.open.0.told(visitor, status)?;
        let id = last_word(status).map(|word| format!("id: {word}\n")).unwrap_or_default();
        Ok([id.as_bytes(), b"data: ", &told.body[..], b"\n\n"].concat())
    }
}
