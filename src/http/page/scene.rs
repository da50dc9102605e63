//! What is shown? One scene for each way in which a visitor may stand.

use axum::http::StatusCode;

use super::texts::{Lang, Texts};
use super::words::{self, Moment};
use crate::http::contract::problem::Code;

/// Seconds after which a page looks again that could not say anything.
pub(super) const AWAY_REFRESH_S: u64 = 5;

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
    pub(super) fn is_long(&self) -> bool {
        self.ahead.chars().count() > SHORT_MAX
    }

    pub(super) fn is_longer(&self) -> bool {
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

    pub(super) fn heading(&self, texts: &'static Texts) -> &'static str {
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
    pub(super) fn lines(&self, texts: &'static Texts) -> Vec<&'static str> {
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

    pub(super) fn leads_back(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Elsewhere | Self::Full)
    }

    pub(super) fn leads_home(&self) -> bool {
        matches!(
            self,
            Self::Outside { .. } | Self::TooLong | Self::Cookieless | Self::Gone | Self::Closed | Self::Unknown
        )
    }

    /// What is said where an operator lets nobody in, to who is in the room.
    pub(super) fn notice(&self, texts: &'static Texts) -> Option<&'static str> {
        match self {
            Self::Waiting(_) | Self::Drawing { .. } => Some(texts.stopped),
            Self::Admitted(_) => Some(texts.paused_turn),
            _ => None,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
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
