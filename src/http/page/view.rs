//! The page around a scene, and what its script is told.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::look::Look;
use super::scene::{AWAY_REFRESH_S, Scene};
use super::texts::{Lang, Texts};
use crate::campaign::Message;
use crate::http::contract::problem::{Code, Problem};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

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
