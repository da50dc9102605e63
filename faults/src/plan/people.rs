//! Who comes, and what do they want?

use std::time::Duration;

use super::Scale;
use crate::draw::Draw;
use crate::request::Edit;

/// A user of the rush.
#[derive(Debug)]
pub struct User {
    /// Their id.
    pub name: String,
    /// When they first submit a claim.
    pub arrives: Duration,
    /// What they try, one after the other.
    pub intents: Vec<Intent>,
}

/// One unit that a user wants.
#[derive(Debug, Clone, Copy)]
pub struct Intent {
    /// With an `Idempotency-Key`: then an unknown outcome is asked for again until it is known.
    pub with_key: bool,
    /// Sent to two nodes at the same time (with a key, the same one).
    pub doubled: bool,
    /// How often a user without a key submits again when no answer came, and any user when it was sold out.
    pub again_max: u32,
    /// What they do with it.
    pub then: Then,
    /// How long they wait before they do that, and then before the next intent.
    pub pause: Duration,
    /// They submit one claim more than that, and hang up after so long.
    pub hangs_up: Option<Duration>,
}

/// What a user does with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Keep,
    /// Gives it back.
    GiveBack,
    /// Uses it.
    Redeem,
}

/// A campaign besides the rush, and what operators do to it, one after the other.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its id.
    pub name: String,
    /// What is done.
    pub acts: Vec<Act>,
    /// When users come for a unit of it.
    pub claims: Vec<Duration>,
}

/// What an operator does.
#[derive(Debug, Clone)]
pub struct Act {
    /// When, at the earliest.
    pub at: Duration,
    /// What: an edit, or another stock.
    pub does: Does,
    /// At which node.
    pub node: usize,
    /// The operator hangs up after so many percent of the time that the last change took, and then does not ask again.
    pub hangs_up: Option<u32>,
    /// Whether who hears that a store is away asks the same node again.
    pub stays: bool,
}

/// An edit, or another stock.
#[derive(Debug, Clone)]
pub enum Does {
    /// The stock.
    Raise(u64),
    /// The rest.
    Edit(Edit),
}

/// A campaign with a waiting room.
#[derive(Debug, Clone)]
pub struct Room {
    /// Units.
    pub stock: u64,
    /// The pace: so many,
    pub admit: u64,
    /// in so many milliseconds.
    pub every_ms: u64,
    /// How many may be inside.
    pub active_max: u64,
    /// When visitors come.
    pub visitors: Vec<Duration>,
}

pub(super) fn users(draw: &mut Draw, limit: usize, scale: Scale) -> Vec<User> {
    let rush_ms = u64::try_from(scale.rush.as_millis()).unwrap_or(u64::MAX);
    let with_key = draw.number(40..90);
    let user = |draw: &mut Draw, index| {
        // A third comes in the first moment.
        let arrives = if draw.percent(33) { draw.ms(0..150) } else { draw.ms(0..rush_ms) };
        let intents = (0..=draw.place(limit + 1)).map(|_| intent(draw, with_key)).collect();
        User { name: format!("user-{index}"), arrives, intents }
    };
    (0..draw.number(200..400)).map(|index| user(draw, index)).collect()
}

fn intent(draw: &mut Draw, with_key: u64) -> Intent {
    let then = match draw.number(0..100) {
        0..70 => Then::Keep,
        70..90 => Then::GiveBack,
        _ => Then::Redeem,
    };
    Intent {
        with_key: draw.percent(with_key),
        doubled: draw.percent(15),
        again_max: u32::try_from(draw.number(0..5)).unwrap_or(0),
        then,
        pause: draw.ms(0..600),
        hangs_up: draw.percent(6).then(|| hangs_up(draw)),
    }
}

/// Campaigns are made, half of them in the same moments, named, paused, raised and closed; half of the operators hang up.
pub(super) fn sides(draw: &mut Draw, scale: Scale, moments: &[Duration]) -> Vec<Side> {
    let rush_ms = u64::try_from(scale.rush.as_millis()).unwrap_or(u64::MAX);
    let side = |draw: &mut Draw, index: usize| {
        let made_at = match moments {
            [] => draw.ms(0..rush_ms * 2 / 3),
            _ if draw.percent(40) => draw.ms(0..rush_ms * 2 / 3),
            moments => moments[draw.place(moments.len())] + draw.ms(0..300),
        };
        let mut stock = draw.number(3..30);
        let mut acts = vec![act(draw, made_at, Does::Edit(Edit::Create { stock, limit: 1, room: None }))];
        let mut at = made_at;
        for change in 0..draw.number(2..6) {
            at += draw.ms(30..500);
            let does = match draw.number(0..100) {
                0..40 => Does::Edit(Edit::Rename { name: format!("Change {change}") }),
                40..70 => {
                    stock += draw.number(1..9);
                    Does::Raise(stock)
                }
                70..85 => Does::Edit(Edit::Pause),
                85..95 => Does::Edit(Edit::Resume),
                _ => Does::Edit(Edit::Close),
            };
            acts.push(act(draw, at, does));
        }
        // Whatever comes after it would tell of it as well.
        let last = Does::Edit(Edit::Rename { name: "The last change".to_owned() });
        acts.push(Act { hangs_up: Some(percent(draw)), ..act(draw, at + Duration::from_millis(100), last) });
        let claims = (0..draw.number(2..10)).map(|_| made_at + draw.ms(50..1_500)).collect();
        Side { name: format!("SIDE-{index}"), acts, claims }
    };
    (0..usize::try_from(draw.number(6..11)).unwrap_or(6)).map(|index| side(draw, index)).collect()
}

fn act(draw: &mut Draw, at: Duration, does: Does) -> Act {
    Act { at, does, node: draw.place(16), hangs_up: draw.percent(50).then(|| percent(draw)), stays: draw.percent(50) }
}

/// In the middle of a change, whatever the machine is at.
fn percent(draw: &mut Draw) -> u32 {
    u32::try_from(draw.number(10..120)).unwrap_or(100)
}

/// Most requests are in the middle of something by then, also at a slow node.
fn hangs_up(draw: &mut Draw) -> Duration {
    if draw.percent(50) { draw.ms(1..13) } else { draw.ms(5..50) }
}

pub(super) fn room(draw: &mut Draw, scale: Scale) -> Room {
    let rush_ms = u64::try_from(scale.rush.as_millis()).unwrap_or(u64::MAX);
    let visitors = draw.number(12..30);
    Room {
        stock: visitors * draw.number(50..130) / 100,
        admit: draw.number(2..7),
        every_ms: draw.number(400..900),
        active_max: draw.number(3..9),
        visitors: (0..visitors).map(|_| draw.ms(0..rush_ms * 2 / 3)).collect(),
    }
}
