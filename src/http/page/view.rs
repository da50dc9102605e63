//! What is shown? One scene for each way in which a visitor may stand, and the page around it.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::look::Look;
use super::texts::{Lang, Texts};
use super::words::{self, Moment};
use crate::campaign::Message;
use crate::http::contract::problem::{Code, Problem};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Seconds after which a page looks again that could not say anything.
const AWAY_REFRESH_S: u64 = 5;

/// How the visitor stands, in words.
pub(crate) enum Scene {
    /// Nobody we know; `stale`: with a link that is not good.
    Outside { stale: bool },
    /// With a token that no cookie can carry.
    TooLong,
    /// Whose browser keeps no cookies.
    Cookieless,
    /// An operator lets nobody in at the moment, and they do not wait.
    Paused,
    /// Nothing is left, and they do not wait.
    Gone,
    /// The queue is not open yet.
    Before { opens: Moment },
    /// May join: a draw, if there is one before them; `again`: was inside, or waited, before.
    Join { draws: Option<Moment>, again: bool },
    /// Has joined, and waits for the draw.
    Drawing { draws: Option<Moment> },
    /// Has a place.
    Waiting(Waiting),
    /// Has a place, and nothing is left.
    SoldOut { place: Option<String> },
    /// May enter.
    Admitted(Turn),
    /// Has what they came for; `again`: may have more.
    Claimed { coupons: Vec<Coupon>, again: bool },
    /// It is over.
    Closed,
    /// There is no waiting room of this name.
    Unknown,
    /// What they pressed was not done, and why.
    Refused(Code),
    /// What they pressed came from another site.
    Elsewhere,
    /// The queue is full.
    Full,
    /// A store does not answer.
    Away,
}

/// A place, as it is said.
pub(crate) struct Waiting {
    pub(crate) ahead: String,
    pub(crate) people: &'static str,
    pub(crate) place: String,
    pub(crate) eta: String,
    /// How far the way was, and how much of it is done.
    pub(crate) steps: u64,
    pub(crate) done: u64,
    pub(crate) next: String,
}

/// Somebody's turn.
pub(crate) struct Turn {
    pub(crate) until: Moment,
    /// To the shop; `None`: the page offers to claim.
    pub(crate) go: Option<String>,
    /// Of the claim, so that a button pressed twice is one claim.
    pub(crate) key: String,
    pub(crate) coupons: Vec<Coupon>,
}

/// What was claimed.
pub(crate) struct Coupon {
    pub(crate) number: String,
    pub(crate) code: String,
}

/// How long a turn lasts, and how long it waits for who is away, in s.
pub(crate) struct TurnLengths {
    pub(crate) ttl_s: u64,
    pub(crate) within_s: u64,
}

/// What has more characters than this is written smaller, so that it fits on a phone; and what has more than that.
const SHORT_MAX: usize = 5;
const LONG_MAX: usize = 8;

impl Waiting {
    /// As page.js has it.
    fn is_long(&self) -> bool {
        self.ahead.chars().count() > SHORT_MAX
    }

    fn is_longer(&self) -> bool {
        self.ahead.chars().count() > LONG_MAX
    }

    pub(crate) fn new(lang: Lang, number: u64, ahead: u64, from: u64, eta_s: Option<u64>, turn: &TurnLengths) -> Self {
        let texts = lang.texts();
        let length = |seconds| words::length(texts, seconds);
        Self {
            ahead: match ahead {
                0 => texts.front.to_owned(),
                _ => texts.persons.replace("{n}", &words::number(ahead)),
            },
            people: match ahead {
                0 => texts.nobody_ahead,
                1 => texts.person_ahead,
                _ => texts.people_ahead,
            },
            place: place(texts, number),
            eta: words::eta(texts, eta_s),
            steps: from.max(1),
            done: if from == 0 { 1 } else { from.saturating_sub(ahead) },
            next: texts.waiting_next.replace("{ttl}", &length(turn.ttl_s)).replace("{within}", &length(turn.within_s)),
        }
    }
}

/// A place, as it is called.
pub(crate) fn place(texts: &Texts, place: u64) -> String {
    texts.nth.replace("{n}", &words::number(place))
}

impl Scene {
    /// As the script and the answers' `state` have it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "outside",
            Self::TooLong => "too_long",
            Self::Cookieless => "cookieless",
            Self::Paused => "paused",
            Self::Gone => "gone",
            Self::Before { .. } => "before",
            Self::Join { again: true, .. } => "expired",
            Self::Join { .. } => "join",
            Self::Drawing { .. } => "drawing",
            Self::Waiting(_) => "waiting",
            Self::SoldOut { .. } => "sold_out",
            Self::Admitted(_) => "admitted",
            Self::Claimed { .. } => "claimed",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
            Self::Refused(_) | Self::Elsewhere | Self::Full => "refused",
            Self::Away => "away",
        }
    }

    fn heading(&self, texts: &'static Texts) -> &'static str {
        match self {
            Self::Outside { stale: false } => texts.outside_title,
            Self::Outside { stale: true } => texts.stale_title,
            Self::TooLong => texts.too_long_title,
            Self::Cookieless => texts.cookieless_title,
            Self::Paused => texts.paused_title,
            Self::Before { .. } => texts.before_title,
            Self::Join { again: true, .. } => texts.expired_title,
            Self::Join { draws: Some(_), .. } => texts.join_draw_title,
            Self::Join { draws: None, .. } => texts.join_title,
            Self::Drawing { .. } => texts.drawing_title,
            Self::Waiting(_) => texts.waiting_title,
            Self::SoldOut { .. } | Self::Gone => texts.sold_out_title,
            Self::Admitted(_) => texts.admitted_title,
            Self::Claimed { .. } => texts.claimed_title,
            Self::Closed => texts.closed_title,
            Self::Unknown => texts.unknown_title,
            Self::Refused(_) | Self::Elsewhere | Self::Full => texts.refused_title,
            Self::Away => texts.away_title,
        }
    }

    /// Of a scene that is nothing but words.
    fn lines(&self, texts: &'static Texts) -> Vec<&'static str> {
        match self {
            Self::Outside { stale: false } => vec![texts.outside, texts.outside_kept],
            Self::Outside { stale: true } => vec![texts.stale, texts.outside_kept],
            Self::TooLong => vec![texts.too_long],
            Self::Cookieless => vec![texts.cookieless, texts.outside_kept],
            Self::Paused => vec![texts.paused],
            Self::Gone => vec![texts.gone],
            Self::Closed => vec![texts.closed],
            Self::Unknown => vec![texts.unknown],
            Self::Away => vec![texts.away],
            Self::Elsewhere => vec![texts.refused_elsewhere],
            Self::Full => vec![texts.refused_full],
            Self::Refused(code) => vec![refusal(*code, texts)],
            Self::Before { .. }
            | Self::Join { .. }
            | Self::Drawing { .. }
            | Self::Waiting(_)
            | Self::SoldOut { .. }
            | Self::Admitted(_)
            | Self::Claimed { .. } => Vec::new(),
        }
    }

    fn leads_back(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Elsewhere | Self::Full)
    }

    fn leads_home(&self) -> bool {
        matches!(
            self,
            Self::Outside { .. } | Self::TooLong | Self::Cookieless | Self::Gone | Self::Closed | Self::Unknown
        )
    }

    /// What is said where an operator lets nobody in, to who is in the room.
    fn notice(&self, texts: &'static Texts) -> Option<&'static str> {
        match self {
            Self::Waiting(_) | Self::Drawing { .. } => Some(texts.stopped),
            Self::Admitted(_) => Some(texts.paused_turn),
            _ => None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Outside { stale: true } => StatusCode::UNAUTHORIZED,
            Self::TooLong => StatusCode::BAD_REQUEST,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Refused(code) => code.status(),
            Self::Elsewhere => StatusCode::FORBIDDEN,
            Self::Full => StatusCode::CONFLICT,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
            Self::Outside { stale: false }
            | Self::Cookieless
            | Self::Paused
            | Self::Gone
            | Self::Before { .. }
            | Self::Join { .. }
            | Self::Drawing { .. }
            | Self::Waiting(_)
            | Self::SoldOut { .. }
            | Self::Admitted(_)
            | Self::Claimed { .. }
            | Self::Closed => StatusCode::OK,
        }
    }
}

/// A refusal, in words for whoever pressed the button.
fn refusal(code: Code, texts: &'static Texts) -> &'static str {
    match code {
        Code::SoldOut => texts.refused_sold_out,
        Code::NotOpenYet => texts.refused_not_open,
        Code::Paused => texts.refused_paused,
        Code::Closed => texts.refused_closed,
        Code::LimitReached => texts.refused_limit,
        Code::ClaimsExhausted => texts.refused_exhausted,
        Code::PassRequired => texts.refused_pass,
        Code::InvalidRequest
        | Code::Unauthenticated
        | Code::Forbidden
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::BodyTooLarge
        | Code::UnsupportedMediaType
        | Code::AlreadyExists
        | Code::StockCannotShrink
        | Code::AlreadyRedeemed
        | Code::Unavailable => texts.refused_other,
    }
}

/// What the page is about, apart from the scene.
#[derive(Default)]
pub(crate) struct About {
    /// The campaign's id; empty where there is none.
    pub(crate) id: String,
    /// And its name.
    pub(crate) name: String,
    /// By which the script hears of changes.
    pub(crate) ticket: Option<String>,
    /// How far the way was when they joined.
    pub(crate) from: u64,
    /// When to look again, in s.
    pub(crate) poll_after_s: Option<u64>,
    /// How long until the opening, in ms.
    pub(crate) opens_in_ms: Option<u64>,
    /// Whether an operator lets nobody in at the moment.
    pub(crate) paused: bool,
    /// What the operator says to who visits.
    pub(crate) message: Option<Message>,
}

impl About {
    /// The operator's sentence and its language: the visitor's, or the one that there is.
    fn sentence(&self, lang: Lang) -> Option<(Lang, &str)> {
        let message = self.message.as_ref()?;
        let of = |lang| match lang {
            Lang::En => message.en.as_deref(),
            Lang::Ko => message.ko.as_deref(),
        };
        [lang, lang.other()].into_iter().find_map(|lang| Some((lang, of(lang)?)))
    }
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    lang: Lang,
    texts: &'static Texts,
    look: &'a Look,
    nonce: &'a str,
    style: &'static str,
    script: &'static str,
    title: String,
    heading: &'static str,
    name: &'a str,
    path: String,
    lines: Vec<&'static str>,
    /// Hidden where it does not hold.
    notice: Option<&'static str>,
    paused: bool,
    sentence: Option<(Lang, &'a str)>,
    scene: &'a Scene,
    /// What the script works with, as JSON.
    room: String,
    refresh_s: Option<u64>,
}

/// The page, as an answer. `prefix`: what stands before this server's paths.
pub(crate) fn answer(look: &Look, prefix: &str, lang: Lang, about: &About, scene: &Scene) -> Result<Response, Problem> {
    let texts = lang.texts();
    let nonce = URL_SAFE_NO_PAD.encode(rand::random::<u128>().to_be_bytes());
    let heading = scene.heading(texts);
    let title = [heading, about.name.as_str(), look.name.as_str()].into_iter().filter(|part| !part.is_empty());
    // A name that is no campaign's is not put into addresses.
    let path = if about.id.is_empty() { String::new() } else { format!("{prefix}/rooms/{}", about.id) };
    let refresh_s = match scene {
        Scene::Away => Some(AWAY_REFRESH_S),
        // What was pressed is not pressed again.
        Scene::Refused(_) | Scene::Elsewhere | Scene::Full => None,
        _ => about.poll_after_s,
    };
    let page = Page {
        lang,
        texts,
        look,
        nonce: &nonce,
        style: STYLE,
        script: SCRIPT,
        title: title.collect::<Vec<_>>().join(" · "),
        heading,
        name: &about.name,
        lines: scene.lines(texts),
        notice: scene.notice(texts),
        paused: about.paused,
        sentence: about.sentence(lang),
        scene,
        room: room(lang, about, scene, (prefix, &path), refresh_s),
        path,
        refresh_s,
    };
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page could not be written");
        Problem::new(Code::Unavailable, "the page could not be written")
    })?;
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = scene.status();
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, look.policy(&nonce));
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang.code()));
    if let (Scene::Away, Some(seconds)) = (scene, refresh_s) {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

const FIXED: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::VARY, "Accept-Language, Cookie"),
];

/// What the script is told: addresses, the state of things, and the texts that it writes itself.
fn room(lang: Lang, about: &About, scene: &Scene, (prefix, path): (&str, &str), refresh_s: Option<u64>) -> String {
    let texts = lang.texts();
    let room = json!({
        "scene": scene.word(),
        "lang": lang.code(),
        "page": path,
        "state": format!("{path}/state"),
        "events": format!("{prefix}/v1/campaigns/{}/waiting/events", about.id),
        "ticket": about.ticket,
        "from": about.from,
        "poll_after_s": refresh_s,
        "opens_in_ms": about.opens_in_ms,
        "texts": {
            "lost": texts.lost,
            "forward": texts.forward,
            "front": texts.front,
            "persons": texts.persons,
            "nobody_ahead": texts.nobody_ahead,
            "person_ahead": texts.person_ahead,
            "people_ahead": texts.people_ahead,
            "nth": texts.nth,
            "eta": texts.eta,
            "eta_unknown": texts.eta_unknown,
            "eta_soon": texts.eta_soon,
            "eta_minute": texts.eta_minute,
            "eta_minutes": texts.eta_minutes,
            "eta_hours": texts.eta_hours,
            "eta_long": texts.eta_long,
        },
    });
    room.to_string()
}
