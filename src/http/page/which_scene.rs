//! What is this visitor's status, and which scene is that? From the room's words to the page's.

use std::sync::Arc;

use serde::Deserialize;

use super::scene::{self, Coupon, Scene, Turn, TurnLengths, Waiting};
use super::view::About;
use super::visitor::{Noted, Visit};
use super::words;
use crate::campaign::{Campaign, Order, State};
use crate::clock::Millis;
use crate::http::contract::problem::Problem;
use crate::http::state::App;
use crate::http::waiting::answer::{StatusBody, Visitor};
use crate::ids::{CampaignId, UserId};
use crate::waiting::{Placed, Status, Wait};

/// Before the opening a page without a script looks again after so many seconds at most.
const BEFORE_REFRESH_S_MAX: u64 = 60;
/// Who does not wait hears no events: their page looks again after so many seconds, about, whether it goes on.
const PAUSED_REFRESH_S: u64 = 10;
const GONE_REFRESH_S: u64 = 30;

/// How a visitor stands, with what they showed.
pub(crate) struct PageStatus<'a> {
    pub(crate) campaign: Arc<Campaign>,
    pub(crate) status: Status,
    pub(crate) shown: Option<(Placed, &'a Noted)>,
}

/// What the API would say, as far as it is not for people.
#[derive(Default, Deserialize)]
pub(crate) struct Said {
    pub(crate) pass: Option<String>,
    ticket: Option<String>,
    poll_after_s: Option<u64>,
}

impl<'a> PageStatus<'a> {
    /// How this user stands. With a ticket that was noted it costs Redis nothing while they wait.
    pub(crate) async fn of(
        app: &App,
        id: &CampaignId,
        user: &UserId,
        noted: Option<&'a Noted>,
    ) -> Result<Self, Problem> {
        let (campaign, room) = app.waiting_room(id).await?;
        let shown = noted.and_then(|noted| Some((app.tickets.check(&noted.ticket, id, user)?, noted)));
        let status = app.waiting.look(&room, user, shown.map(|(placed, _)| placed)).await?;
        Ok(Self { campaign, status, shown })
    }

    /// As the API says it.
    pub(crate) fn told(&self, app: &App, user: &UserId) -> Result<StatusBody, Problem> {
        let shown = self.shown.map(|(placed, noted)| (placed, noted.ticket.as_str()));
        app.told(Visitor { campaign: &self.campaign, user, shown }, &self.status)
    }

    /// What the API says that is not for people. Of a stranger it says nothing.
    pub(crate) fn said(&self, app: &App, user: &UserId) -> Result<Said, Problem> {
        if matches!(self.status, Status::Stranger | Status::NotOpenYet { .. }) {
            return Ok(Said::default());
        }
        let told = self.told(app, user)?;
        Ok(serde_json::from_slice(&told.body).expect("what the API says is JSON of this form"))
    }

    /// Notes ticket and way in a cookie, if they are news; answers how far the way was.
    pub(crate) fn note(&self, visit: &mut Visit, said: &Said) -> u64 {
        let (number, ahead) = match &self.status {
            Status::Waiting(Wait { placed, ahead, .. }) => (placed.number, ahead.unwrap_or(0)),
            Status::SoldOut { placed, .. } => (placed.number, 0),
            Status::Admitted { .. }
            | Status::Closed
            | Status::Expired
            | Status::Stranger
            | Status::NotOpenYet { .. } => return 0,
        };
        let Some(ticket) = said.ticket.clone() else { return ahead };
        let known = self.shown.filter(|(placed, _)| placed.number == number).map(|(_, noted)| noted);
        let noted = Noted { from: known.map_or(0, |noted| noted.from).max(ahead), ticket };
        if known != Some(&noted) {
            visit.note(&self.campaign.id(), &noted);
        }
        noted.from
    }
}

/// What this user sees of this room.
pub(crate) async fn scene(
    app: &App,
    visit: &mut Visit,
    id: &CampaignId,
    user: &UserId,
) -> Result<(About, Scene), Problem> {
    let noted = visit.noted.clone();
    let stands = PageStatus::of(app, id, user, noted.as_ref()).await?;
    let said = stands.said(app, user)?;
    let from = stands.note(visit, &said);
    let lang = visit.lang;
    let definition = stands.campaign.definition();
    let (spec, now) = (&definition.spec, app.now());
    let mut about = About { from, poll_after_s: said.poll_after_s, ..about_campaign(&stands.campaign) };
    about.paused = match &stands.status {
        Status::Waiting(wait) => wait.paused,
        _ => definition.paused,
    };
    let moment = |at| words::moment(lang, at);
    let scene = match &stands.status {
        Status::Waiting(Wait { ahead: None, draws_at, .. }) => Scene::Drawing { draws: draws_at.map(moment) },
        Status::Waiting(Wait { placed, ahead: Some(ahead), eta_s, .. }) => {
            let turn = spec.waiting.as_ref();
            let turn = TurnLengths {
                ttl_s: turn.map_or(0, |turn| turn.pass_ttl_s),
                within_s: turn.map_or(0, |turn| turn.claim_pass_within_s),
            };
            Scene::Waiting(Waiting::new(lang, placed.place, *ahead, from, *eta_s, &turn))
        }
        // Before a draw there is none yet.
        Status::SoldOut { placed, .. } => {
            Scene::SoldOut { place: (placed.place > 0).then(|| scene::place(lang.texts(), placed.place)) }
        }
        Status::Admitted { expires_at, .. } => {
            about.poll_after_s = Some(seconds_until(*expires_at, now) + 1);
            Scene::Admitted(Turn {
                until: moment(*expires_at),
                go: said.pass.as_deref().and_then(|pass| app.look().way_on(id.as_str(), pass)),
                key: format!("page-{:032x}", rand::random::<u128>()),
                coupons: coupons(app, &stands.campaign, user).await?,
            })
        }
        Status::Closed | Status::Expired | Status::Stranger | Status::NotOpenYet { .. } => {
            let coupons = coupons(app, &stands.campaign, user).await?;
            let (_, room) = app.waiting_room(id).await?;
            let state = match stands.status {
                Status::Closed => State::Closed,
                _ => app.waiting.state(&room).await?,
            };
            let may_have_more = coupons.len() < usize::try_from(spec.per_user_limit).unwrap_or(usize::MAX);
            let is_draw = spec.waiting.as_ref().is_some_and(|waiting| waiting.order == Order::Draw);
            let takes_joins = state == State::Open || (state == State::Scheduled && is_draw);
            match (state, spec.opens_at) {
                _ if !coupons.is_empty() => Scene::Claimed { coupons, again: may_have_more && takes_joins },
                (State::Closed, _) => Scene::Closed,
                (State::Paused, _) => {
                    about.poll_after_s = Some(PAUSED_REFRESH_S);
                    Scene::Paused
                }
                (State::SoldOut, _) => {
                    about.poll_after_s = Some(GONE_REFRESH_S);
                    Scene::Gone
                }
                (State::Scheduled, Some(opens_at)) if !is_draw => {
                    about.opens_in_ms = u64::try_from(opens_at.0 - now.0).ok();
                    let until_s = seconds_until(opens_at, now) + rand::random_range(1..=3);
                    about.poll_after_s = Some(until_s.min(BEFORE_REFRESH_S_MAX));
                    Scene::Before { opens: moment(opens_at) }
                }
                (State::Scheduled | State::Open | State::Unavailable, opens_at) => {
                    let draws = opens_at.filter(|_| state == State::Scheduled).map(moment);
                    Scene::Join { draws, again: stands.status == Status::Expired }
                }
            }
        }
    };
    about.ticket = said.ticket;
    Ok((about, scene))
}

/// What the user has already, where the page is also where they claim.
async fn coupons(app: &App, campaign: &Campaign, user: &UserId) -> Result<Vec<Coupon>, Problem> {
    if app.look().leads_on() {
        return Ok(Vec::new());
    }
    let held = app.held(campaign, user).await?;
    Ok(held.into_iter().map(|claim| Coupon { number: words::number(claim.number), code: claim.coupon_code }).collect())
}

fn seconds_until(at: Millis, now: Millis) -> u64 {
    u64::try_from(at.0 - now.0).unwrap_or(0).div_ceil(1_000)
}

/// What is said of the campaign, whoever visits.
pub(super) fn about_campaign(campaign: &Campaign) -> About {
    let definition = campaign.definition();
    let message = definition.spec.waiting.as_ref().and_then(|waiting| waiting.message.clone());
    About { id: definition.id().to_string(), name: definition.spec.name.clone(), message, ..About::default() }
}
