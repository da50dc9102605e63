//! Who visits, and from where did they come? Browsers send no Authorization header when they follow a link: the shop sends
//! its users here with their token in the address, and from then on a cookie carries it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::texts::Lang;
use crate::clock::Millis;
use crate::config::PublicUrl;
use crate::http::contract::problem::{Code, Problem};
use crate::http::state::App;
use crate::ids::{CampaignId, UserId};

/// What the browser keeps of who it is.
pub(crate) const TOKEN_COOKIE: &str = "onrush_visitor";
const LANG_COOKIE: &str = "onrush_lang";
const PLACE_COOKIE: &str = "onrush_place";

/// The page's own part of the server, below what the public address has before it.
const ROOMS_PATH: &str = "/rooms/";
const LANG_KEPT_S: u64 = 31_536_000;
const PLACE_KEPT_S: u64 = 86_400;
/// Browsers drop cookies of more than 4,096 bytes, name and attributes included, without a word.
const TOKEN_BYTES_MAX: usize = 3_800;
/// How long after a cookie was sent its absence says that the browser keeps none, in s.
const ARRIVAL_S_MAX: i64 = 60;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who it is.
pub(crate) enum Who {
    User(UserId),
    /// Without a token, or with a cookie whose token is over.
    Nobody,
    /// With a token in the address that is not good.
    Stale,
    /// With a token that no cookie can carry.
    TooLong,
    /// Just sent a cookie that the browser did not keep.
    Cookieless,
    /// That cannot be told now.
    Untold(Problem),
}

/// A request for the page.
pub(crate) struct Visit {
    pub(crate) who: Who,
    pub(crate) lang: Lang,
    /// What is to be remembered.
    pub(crate) cookies: Vec<HeaderValue>,
    /// Whether a good token came in the address, which it has to leave.
    pub(crate) has_token_in_address: bool,
    /// When it came, if it is not known whether the browser keeps cookies: the next address says so, and that page can tell.
    pub(crate) arrives_at: Option<Millis>,
    /// The visitor's place, as the page noted it last.
    pub(crate) noted: Option<Noted>,
    /// Whether what it asks for may be done: it comes from a page of this server's, or from no page.
    pub(crate) is_ours: bool,
    /// What stands before the page's paths.
    prefix: String,
    is_secure: bool,
}

/// What the page keeps of a place: the ticket, by which no store is asked, and where the progress began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) from: u64,
    pub(crate) ticket: String,
}

impl FromRequestParts<App> for Visit {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let query: Vec<(String, String)> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let asked = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let public_url = app.public_url();
        let (is_secure, prefix) = (public_url.is_https(), public_url.prefix().to_owned());
        let rooms_path = format!("{prefix}{ROOMS_PATH}");
        let mut cookies = Vec::new();

        let chosen = asked("lang").and_then(Lang::of);
        if let Some(lang) = chosen {
            cookies.extend(cookie(LANG_COOKIE, lang.code(), &rooms_path, LANG_KEPT_S, is_secure));
        }
        let remembered = || cookie_of(&parts.headers, LANG_COOKIE).and_then(Lang::of);
        let lang = chosen.or_else(remembered).unwrap_or_else(|| Lang::accepted(&parts.headers));

        let token = asked("token");
        let who = match (app.auth().named(parts), token) {
            (Some(named), _) => named.map_or_else(|problem| not_known(problem, Who::Nobody), Who::User),
            (None, Some(token)) if token.len() > TOKEN_BYTES_MAX => {
                tracing::warn!(bytes = token.len(), "a user's token is too long for a cookie");
                Who::TooLong
            }
            (None, Some(token)) => match app.auth().verified(token).await {
                // A token that is good has no characters that a cookie may not have.
                Ok(known) => match cookie(TOKEN_COOKIE, token, &rooms_path, known.expires_in_s, is_secure) {
                    Some(kept) => {
                        cookies.push(kept);
                        Who::User(known.user)
                    }
                    None => Who::Stale,
                },
                Err(problem) => not_known(problem, Who::Stale),
            },
            (None, None) => match cookie_of(&parts.headers, TOKEN_COOKIE) {
                None if asked("arrived").is_some_and(|at| is_now(at, app.now())) => Who::Cookieless,
                None => Who::Nobody,
                Some(token) => {
                    let known = app.auth().verified(token).await;
                    known.map_or_else(|problem| not_known(problem, Who::Nobody), |known| Who::User(known.user))
                }
            },
        };
        let has_token_in_address = token.is_some() && matches!(who, Who::User(_));
        let has_cookie = cookie_of(&parts.headers, TOKEN_COOKIE).is_some();
        let keeps_cookies = has_cookie || remembered().is_some();
        let arrives_at = (has_token_in_address && !cookies.is_empty() && !keeps_cookies).then(|| app.now());
        Ok(Self {
            who,
            lang,
            cookies,
            has_token_in_address,
            arrives_at,
            noted: cookie_of(&parts.headers, PLACE_COOKIE).and_then(Noted::read),
            is_ours: is_ours(
                &parts.headers,
                parts.uri.authority().map(axum::http::uri::Authority::as_str),
                public_url,
                has_cookie,
            ),
            prefix,
            is_secure,
        })
    }
}

/// Whether somebody arrived just now, as the address has it, in s.
fn is_now(arrived: &str, now: Millis) -> bool {
    arrived.parse().is_ok_and(|at: i64| (0..=ARRIVAL_S_MAX).contains(&(now.0 / 1_000).saturating_sub(at)))
}

/// A token that is not good makes somebody out of its bearer; a question that could not be asked makes nothing.
fn not_known(problem: Problem, otherwise: Who) -> Who {
    if problem.code == Code::Unavailable { Who::Untold(problem) } else { otherwise }
}

impl Visit {
    pub(crate) fn user(&self) -> Option<UserId> {
        match &self.who {
            Who::User(user) => Some(user.clone()),
            Who::Nobody | Who::Stale | Who::TooLong | Who::Cookieless | Who::Untold(_) => None,
        }
    }

    /// Where a browser finds the page of this room on this server.
    pub(crate) fn path(&self, campaign: &CampaignId) -> String {
        format!("{}{ROOMS_PATH}{campaign}", self.prefix)
    }

    /// Notes where a visitor stands.
    pub(crate) fn note(&mut self, campaign: &CampaignId, noted: &Noted) {
        let (path, value) = (self.path(campaign), format!("{}~{}", noted.from, noted.ticket));
        self.cookies.extend(cookie(PLACE_COOKIE, &value, &path, PLACE_KEPT_S, self.is_secure));
    }

    /// Forgets where a visitor stood.
    pub(crate) fn forget(&mut self, campaign: &CampaignId) {
        let path = self.path(campaign);
        self.cookies.extend(cookie(PLACE_COOKIE, "", &path, 0, self.is_secure));
    }
}

impl Noted {
    fn read(text: &str) -> Option<Self> {
        let (from, ticket) = text.split_once('~')?;
        Some(Self { from: from.parse().ok()?, ticket: ticket.to_owned() })
    }
}

/// A cookie that scripts do not see, and that other sites' forms and frames do not bring.
fn cookie(name: &str, value: &str, path: &str, max_age_s: u64, is_secure: bool) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let is_plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b));
    let text = format!("{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).ok().filter(|_| is_plain)
}

/// The first cookie of this name: the one with the longest path.
fn cookie_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    all.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Whether a POST comes from our own page. Browsers say so where the connection is secure; else their Origin does. The
/// page sends no referrer, and for that its own forms have the Origin `null`, like a stranger's frame: then it is the
/// cookie that tells them apart, which no other site's form brings.
fn is_ours(headers: &HeaderMap, authority: Option<&str>, public_url: &PublicUrl, has_cookie: bool) -> bool {
    let said = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("not ASCII"));
    if let Some(site) = said(&SEC_FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let host = said(&header::HOST).or(authority);
    match said(&header::ORIGIN) {
        None => true,
        Some("null") => has_cookie,
        Some(origin) => {
            let of_host = origin.split_once("://").map(|(_, rest)| rest);
            (of_host.is_some() && of_host == host) || (!origin.is_empty() && origin == public_url.origin())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_form_of_another_site_is_told_from_our_own() {
        let (host, origin) = (header::HOST, header::ORIGIN);
        let public_url = PublicUrl::parse("https://wait.example/q").unwrap();
        let ours = |pairs: &[_], has_cookie| is_ours(&headers(pairs), None, &public_url, has_cookie);
        let at = (host, "node:8080");
        for site in ["same-origin", "none"] {
            assert!(ours(&[at.clone(), (SEC_FETCH_SITE, site), (origin.clone(), "null")], false), "{site}");
        }
        for site in ["cross-site", "same-site", "SAME-ORIGIN", ""] {
            assert!(!ours(&[at.clone(), (SEC_FETCH_SITE, site), (origin.clone(), "http://node:8080")], true), "{site}");
        }
        assert!(ours(std::slice::from_ref(&at), false), "no browser");
        for own in ["http://node:8080", "https://wait.example"] {
            assert!(ours(&[at.clone(), (origin.clone(), own)], false), "{own}");
        }
        for other in
            ["https://evil.example", "http://node:80", "https://wait.example.evil", "https://wait", "", "node:8080"]
        {
            assert!(!ours(&[at.clone(), (origin.clone(), other)], true), "{other}");
        }
        let nowhere = PublicUrl::default();
        assert!(!is_ours(&headers(&[at.clone(), (origin.clone(), "")]), None, &nowhere, true));
        assert!(ours(&[at.clone(), (origin.clone(), "null")], true) && !ours(&[at, (origin, "null")], false));
    }

    #[test]
    fn cookies_are_found_among_others_and_by_their_whole_name() {
        let sent = headers(&[(header::COOKIE, "a=1; onrush_visitors=no; onrush_visitor=x.y.z;onrush_lang=ko")]);
        assert_eq!(cookie_of(&sent, TOKEN_COOKIE), Some("x.y.z"));
        assert_eq!(cookie_of(&sent, LANG_COOKIE), Some("ko"));
        assert_eq!(cookie_of(&sent, PLACE_COOKIE), None);
    }

    #[test]
    fn nothing_can_be_added_to_a_cookie() {
        let made = cookie("n", "a.b-c_d~e", "/rooms/", 60, true).unwrap();
        assert_eq!(made, "n=a.b-c_d~e; Path=/rooms/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        for bad in ["a;b", "a b", "a\r\nb", "é", "a,b"] {
            assert_eq!(cookie("n", bad, "/", 1, false), None, "{bad}");
        }
    }

    #[test]
    fn an_arrival_is_one_for_a_minute() {
        let now = Millis(1_800_000_000_500);
        for (arrived, is_one) in [
            ("1800000000", true),
            ("1799999940", true),
            ("1799999939", false),
            ("1800000001", false),
            ("-9223372036854775808", false),
            ("", false),
            ("soon", false),
        ] {
            assert_eq!(is_now(arrived, now), is_one, "{arrived}");
        }
    }
}
