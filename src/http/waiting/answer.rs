//! How a visitor stands, as JSON. Written by hand: a waiting crowd asks all the time, and most of what it hears is this.

use std::io::Write;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use utoipa::ToSchema;

use crate::campaign::{Campaign, Message};
use crate::http::contract::problem::{Code, Problem};
use crate::http::state::App;
use crate::ids::UserId;
use crate::waiting::{Pass, Placed, Status, Ticket, Wait};

/// Most answers have room in so many bytes.
const BYTES: usize = 320;

/// How a visitor stands.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document; `StatusBody` writes it")]
pub(crate) struct StatusView {
    #[schema(example = "waiting", pattern = "^(waiting|admitted|sold_out|closed|expired)$")]
    state: String,
    /// While waiting; null until the order was drawn.
    #[schema(example = 1201)]
    place: Option<u64>,
    /// People before this place who wait.
    #[schema(example = 1200)]
    ahead: Option<u64>,
    /// Seconds until it is this visitor's turn; null while unknown.
    #[schema(example = 16)]
    eta_s: Option<u64>,
    /// When the order is drawn.
    #[schema(format = DateTime)]
    draws_at: Option<String>,
    /// Seconds after which to ask again. Who asks earlier hears the same.
    #[schema(example = 5)]
    poll_after_s: Option<u64>,
    /// Units that nobody holds.
    #[schema(example = 100)]
    left: Option<u64>,
    /// While waiting: true where an operator lets nobody in at the moment.
    paused: Option<bool>,
    /// What the operator says to who visits, if anything: a sentence, in English, in Korean, or in both.
    message: Option<Message>,
    /// Once admitted: to be sent with the claim as `Onrush-Pass`.
    pass: Option<String>,
    /// Until when the pass lasts.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// To be sent when asking again: it makes the answer cheap.
    ticket: Option<String>,
}

/// A visitor, and the ticket that they showed.
#[derive(Clone, Copy)]
pub(crate) struct Visitor<'a> {
    pub(crate) campaign: &'a Campaign,
    pub(crate) user: &'a UserId,
    pub(crate) shown: Option<(Placed, &'a str)>,
}

/// What a visitor hears.
pub(crate) struct StatusBody {
    pub(crate) body: Vec<u8>,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) is_waiting: bool,
}

impl App {
    /// What a visitor who stands so hears. A stranger is told that there is nobody such.
    pub(crate) fn told(&self, visitor: Visitor<'_>, status: &Status) -> Result<StatusBody, Problem> {
        let mut body = Vec::with_capacity(BYTES);
        let (mut retry_after_s, mut is_waiting) = (None, false);
        match status {
            Status::Waiting(wait) => {
                (retry_after_s, is_waiting) = (Some(wait.poll_after_s), true);
                write_wait(&mut body, wait);
                write_message(&mut body, visitor.campaign);
                self.write_ticket(&mut body, visitor, wait.placed);
            }
            Status::SoldOut { placed, poll_after_s } => {
                retry_after_s = Some(*poll_after_s);
                put(&mut body, format_args!("{{\"state\":\"sold_out\",\"poll_after_s\":{poll_after_s}"));
                write_message(&mut body, visitor.campaign);
                self.write_ticket(&mut body, visitor, *placed);
            }
            Status::Admitted { placed, expires_at } => {
                let pass = self.passes.sign(&Pass {
                    campaign: visitor.campaign.id(),
                    user: visitor.user.clone(),
                    generation: placed.generation,
                    life: placed.life,
                    number: placed.number,
                    expires_at: *expires_at,
                });
                let until = expires_at.to_rfc3339();
                put(&mut body, format_args!("{{\"state\":\"admitted\",\"pass\":\"{pass}\",\"expires_at\":\"{until}\""));
                write_message(&mut body, visitor.campaign);
                self.write_ticket(&mut body, visitor, *placed);
            }
            Status::Closed => write_end(&mut body, "closed", visitor.campaign),
            Status::Expired => write_end(&mut body, "expired", visitor.campaign),
            Status::Stranger => {
                return Err(Problem::new(Code::NotFound, "this user has not joined the waiting room"));
            }
            Status::NotOpenYet { now } => {
                return Err(crate::http::claims::routes::not_open_yet(visitor.campaign, *now));
            }
        }
        Ok(StatusBody { body, retry_after_s, is_waiting })
    }

    /// The same ticket again where it says all that is known; else one that does.
    fn write_ticket(&self, body: &mut Vec<u8>, Visitor { campaign, user, shown }: Visitor<'_>, placed: Placed) {
        match shown {
            Some((known, text)) if known == placed => put(body, format_args!(",\"ticket\":\"{text}\"}}")),
            _ => {
                let ticket = Ticket { campaign: campaign.id(), user: user.clone(), placed };
                put(body, format_args!(",\"ticket\":\"{}\"}}", self.tickets.write(&ticket)));
            }
        }
    }
}

impl StatusBody {
    pub(crate) fn into_response(self, status: StatusCode) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn write_wait(body: &mut Vec<u8>, wait: &Wait) {
    match wait.ahead {
        Some(ahead) => {
            put(body, format_args!("{{\"state\":\"waiting\",\"place\":{},\"ahead\":{ahead}", wait.placed.place));
        }
        None => put(body, format_args!("{{\"state\":\"waiting\",\"place\":null,\"ahead\":null")),
    }
    match wait.eta_s {
        Some(eta_s) => put(body, format_args!(",\"eta_s\":{eta_s}")),
        None => put(body, format_args!(",\"eta_s\":null")),
    }
    if let Some(draws_at) = wait.draws_at {
        put(body, format_args!(",\"draws_at\":\"{}\"", draws_at.to_rfc3339()));
    }
    put(body, format_args!(",\"poll_after_s\":{},\"left\":{}", wait.poll_after_s, wait.left));
    if wait.paused {
        body.extend_from_slice(b",\"paused\":true");
    }
}

/// Of who does not wait any more.
fn write_end(body: &mut Vec<u8>, state: &str, campaign: &Campaign) {
    put(body, format_args!("{{\"state\":\"{state}\""));
    write_message(body, campaign);
    body.push(b'}');
}

/// What the operator says, if anything.
fn write_message(body: &mut Vec<u8>, campaign: &Campaign) {
    if let Some(message) = campaign.definition().spec.waiting.as_ref().and_then(|waiting| waiting.message.as_ref()) {
        body.extend_from_slice(b",\"message\":");
        serde_json::to_writer(body, message).expect("texts are JSON, and memory takes them");
    }
}

fn put(body: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    body.write_fmt(text).expect("memory takes it");
}
