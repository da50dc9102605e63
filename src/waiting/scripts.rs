//! The bindings of `lua/waiting/`: one function a script, its reply in the room's words.

use std::sync::Arc;

use super::error::WaitingError;
use crate::campaign::{Campaign, ScriptCall, ScriptError, never};
use crate::clock::Millis;
use crate::config;
use crate::ids::{CampaignId, UserId};
use crate::redis::{Channel, Head, Redis, RedisError, Reply, Script, Value};
use crate::script;

static JOIN: Script<9> = script!(waiting + "waiting/join");
static LOOK: Script<9> = script!(waiting + "waiting/look");
static LEAVE: Script<9> = script!(waiting + "waiting/leave");
static ADMIT: Script<9> = script!(waiting + "waiting/admit");
static LET_IN: Script<9> = script!(waiting + "waiting/let_in");
static STOP: Script<9> = script!(waiting + "waiting/stop");
static SNAPSHOT: Script<9> = script!(waiting + "waiting/snapshot");
static CLOSE_LIST: Script<9> = script!(waiting + "waiting/close_list");
static PUBLISH_DRAW: Script<9> = script!(waiting + "waiting/publish_draw");
static LIST: Script<9> = script!(waiting + "waiting/list");

/// How a user positions, by Redis' word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Never joined.
    Stranger,
    /// Waits, with this number; `ahead` where they have joined just now.
    Waiting { number: u64, ahead: Option<u64> },
    /// Is inside, and has picked the pass up.
    Inside { number: u64, deadline: Millis },
    /// Was there, and is not any more.
    Gone,
    /// On a list that is being drawn: to be tried again.
    BeingDrawn,
    /// No place is left.
    Full,
}

/// How the room was when a script spoke of a user in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub head: Head,
    /// The room's life.
    pub life: u32,
    /// How often visitors had moved up: a snapshot with no less is at least as young.
    pub moves: u64,
}

/// What a batch of joins met.
#[derive(Debug)]
pub(super) enum Joined {
    /// How each positions now, in order.
    Placed(Seen, Vec<Position>),
    /// Before the opening of a room where the first come are the first served.
    NotOpenYet(Head),
    /// The campaign is over.
    Closed,
}

/// What one call to admit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Users who were admitted.
    pub admitted: u64,
    /// Passes that ended because their time was over.
    pub expired: u64,
    /// Users who still wait.
    pub waiting: u64,
    /// Users who are inside now.
    pub inside: u64,
    /// From which place on drawn numbers are wanted; 0: none are.
    pub(super) wanted: u64,
}

/// What somebody who goes, or is let in out of turn, met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It is so now.
    Done,
    /// On a list that is being drawn: to be tried again.
    BeingDrawn,
    /// To be called again with the place that was drawn for this number.
    PlaceOf(u64),
    /// Neither cap nor units leave room for one more.
    Full,
}

/// What `snapshot` found, as it came.
#[derive(Debug)]
pub(super) struct Found {
    pub head: Head,
    pub number: u64,
    pub admitted_to: u64,
    pub waiting: u64,
    pub inside: u64,
    pub admitted: u64,
    pub no_shows: u64,
    pub left_queue: u64,
    pub stopped: bool,
    pub departures: u64,
    pub draw_n: Option<u64>,
    pub drawn_at: Millis,
    pub list_hash: String,
    /// When, and how many; the oldest first.
    pub pace: Vec<(i64, u64)>,
    /// The first place that the bits speak of, and the bits, if there are such that were not known.
    pub bits: Option<(u64, bytes::Bytes)>,
    pub life: u32,
    /// How long its keys are kept.
    pub kept: Kept,
}

/// How long a room's keys are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// There are none.
    Nothing,
    WithoutEnd,
    ForAWhile,
}

/// Of a draw: who has the places from one to another, as far as somebody may wait there.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub from: u64,
    pub to: u64,
    /// Places and the numbers that have them, ascending.
    pub drawn: Vec<(u64, u64)>,
}

/// Of a draw: places that nobody waits at.
pub(super) struct Empty<'a> {
    /// How many there are in all.
    pub count: u64,
    /// A part of the departures, from this byte on.
    pub at: usize,
    pub bytes: bytes::Bytes,
    /// Those that are not written as bytes.
    pub more: &'a [u64],
}

/// Calls the scripts of one campaign's room.
pub(super) struct Scripts<'a> {
    pub redis: &'a Arc<Redis>,
    pub campaign: &'a Campaign,
    pub limits: &'a config::Waiting,
}

impl Scripts<'_> {
    async fn call(&self, script: &Script<9>, more: Vec<Value>) -> Result<Reply, WaitingError> {
        let keys = self.redis.keys().of(&self.campaign.id()).waiting_room();
        let more = || more.iter().cloned();
        let call = ScriptCall { campaign: self.campaign, script, keys, more, wrote: never };
        match call.on_usual(self.redis).await {
            Ok(reply) if reply.code == "no_room" => Err(WaitingError::NoRoom),
            Ok(reply) => Ok(reply),
            Err(ScriptError::Lost) => Err(WaitingError::Lost),
            // A campaign that is being made has no room yet.
            Err(ScriptError::Missing) => Err(WaitingError::NoRoom),
            Err(ScriptError::Redis(error)) => Err(error.into()),
        }
    }

    /// The channel and the text of a change, and how long a room is kept after its campaign is over.
    fn news(&self, id: &CampaignId) -> [Value; 3] {
        let keep_ms = self.limits.keep_closed_ms.to_string();
        [self.redis.keys().channel(Channel::Waiting).into(), id.as_str().into(), keep_ms.into()]
    }

    fn batches(&self) -> [Value; 2] {
        [self.limits.admit_batch_max, self.limits.expire_batch_max].map(|max| max.to_string().into())
    }

    /// Gives each of these a place, in their order.
    pub(super) async fn join(&self, users: &[UserId]) -> Result<Joined, WaitingError> {
        let mut args: Vec<Value> = self.news(&self.campaign.id()).into();
        args.extend(self.batches());
        args.push(self.limits.places_max.to_string().into());
        args.extend(users.iter().map(|user| Value::from(user.as_str())));
        let reply = self.call(&JOIN, args).await?;
        match reply.code.as_str() {
            "closed" => return Ok(Joined::Closed),
            "not_open_yet" => return Ok(Joined::NotOpenYet(reply.head()?)),
            "ok" => {}
            _ => return Err(reply.unknown_code().into()),
        }
        let head = reply.head()?;
        count_admitted(reply.rest.iter().take(2));
        let numbers = integers(&reply.rest)?;
        let seen = seen(head, numbers.get(2..4))?;
        let positions: Vec<Position> = numbers[4..].chunks_exact(3).map(read_position).collect::<Result<_, _>>()?;
        if positions.len() != users.len() {
            return Err(RedisError::Unexpected(format!("{} places for {} users", positions.len(), users.len())).into());
        }
        Ok(Joined::Placed(seen, positions))
    }

    /// How a user positions. Who is inside has picked the pass up.
    pub(super) async fn look(&self, user: &UserId) -> Result<(Seen, Position), WaitingError> {
        let reply = self.call(&LOOK, vec![user.as_str().into()]).await?;
        let numbers = integers(&reply.rest)?;
        let seen = seen(reply.head()?, numbers.get(3..))?;
        let position = match read_position(&numbers[..3])? {
            // How many are ahead it does not count.
            Position::Waiting { number, .. } => Position::Waiting { number, ahead: None },
            other => other,
        };
        Ok((seen, position))
    }

    /// A user goes.
    pub(super) async fn leave(&self, user: &UserId, drawn: Option<(u64, u64)>) -> Result<Moved, WaitingError> {
        let mut args: Vec<Value> = self.news(&self.campaign.id()).into();
        args.extend(self.batches());
        args.push(user.as_str().into());
        args.extend(place_args(drawn));
        let reply = self.call(&LEAVE, args).await?;
        if reply.code == "ok" {
            count_admitted(reply.rest.iter());
        }
        moved(&reply)
    }

    /// An operator lets one in.
    pub(super) async fn let_in(&self, user: &UserId, drawn: Option<(u64, u64)>) -> Result<Moved, WaitingError> {
        let mut args: Vec<Value> = self.news(&self.campaign.id()).into();
        args.push(self.limits.expire_batch_max.to_string().into());
        args.push(user.as_str().into());
        args.extend(place_args(drawn));
        moved(&self.call(&LET_IN, args).await?)
    }

    /// Admits whom pace, cap and units allow. `piece`: of a draw, who may be next.
    pub(super) async fn admit(&self, piece: Option<&Piece>) -> Result<Admitted, WaitingError> {
        let mut args: Vec<Value> = self.news(&self.campaign.id()).into();
        args.extend(self.batches());
        let none = Piece { from: 1, ..Piece::default() };
        let piece = piece.unwrap_or(&none);
        args.extend([piece.from, piece.to].map(|place| Value::from(place.to_string())));
        let pairs = piece.drawn.iter().flat_map(|(place, number)| [*place, *number]);
        args.extend(pairs.map(|part| Value::from(part.to_string())));
        let reply = self.call(&ADMIT, args).await?;
        count_admitted(reply.rest.iter());
        let [admitted, expired, waiting, inside, wanted] = unsigned(&reply.rest)?[..] else {
            return Err(reply.unknown_code().into());
        };
        Ok(Admitted { admitted, expired, waiting, inside, wanted })
    }

    /// Stops the admission, or lets it go on.
    pub(super) async fn stop(&self, stop: bool) -> Result<(), WaitingError> {
        let mut args: Vec<Value> = self.news(&self.campaign.id()).into();
        args.push(i64::from(stop).into());
        self.call(&STOP, args).await.map(drop)
    }

    /// How the room positions. The departures come only if they are not these.
    pub(super) async fn snapshot(&self, departures: Option<u64>, pace_max: usize) -> Result<Found, WaitingError> {
        let known = departures.map_or_else(|| "-1".to_owned(), |count| count.to_string());
        let reply = self.call(&SNAPSHOT, vec![known.into(), pace_max.to_string().into()]).await?;
        let head = reply.head()?;
        found(head, reply.rest).ok_or_else(|| RedisError::Unexpected("a snapshot of another form".into()).into())
    }

    /// Closes the list of a draw, if it is time. The numbers that are drawn, and whether that was published; `None`:
    /// nothing is drawn, or not yet.
    pub(super) async fn close_list(&self) -> Result<Option<(u64, bool)>, WaitingError> {
        let reply = self.call(&CLOSE_LIST, self.news(&self.campaign.id()).into()).await?;
        if reply.code == "unchanged" {
            return Ok(None);
        }
        let [drawn, published] = unsigned(&reply.rest)?[..] else { return Err(reply.unknown_code().into()) };
        Ok(Some((drawn, published == 1)))
    }

    /// Who waits with a number after this one, up to that one, ascending; at most so many.
    pub(super) async fn list(&self, after: u64, last: u64, count_max: u64) -> Result<Vec<(u64, String)>, WaitingError> {
        let args = [after, last, count_max].map(|number| Value::from(number.to_string())).into();
        let reply = self.call(&LIST, args).await?;
        let pair = |pair: &[Value]| match pair {
            [user, number] => Some((number.as_u64()?, user.as_string()?)),
            _ => None,
        };
        let page: Option<Vec<_>> = reply.rest.chunks(2).map(pair).collect();
        page.ok_or_else(|| RedisError::Unexpected("a list of another form".into()).into())
    }

    /// Notes places that nobody waits at and, with the hash of the list, makes the draw known.
    pub(super) async fn publish_draw(&self, list_hash: &str, empty: Empty<'_>) -> Result<(), WaitingError> {
        let mut args: Vec<Value> = self.news(&self.campaign.id()).into();
        args.extend([list_hash.into(), empty.count.to_string().into(), empty.at.to_string().into()]);
        args.push(Value::Bytes(empty.bytes));
        args.extend(empty.more.iter().map(|place| Value::from(place.to_string())));
        self.call(&PUBLISH_DRAW, args).await.map(drop)
    }
}

fn place_args(drawn: Option<(u64, u64)>) -> [Value; 2] {
    let (number, place) = drawn.unwrap_or_default();
    [number.to_string().into(), place.to_string().into()]
}

fn moved(reply: &Reply) -> Result<Moved, WaitingError> {
    match reply.code.as_str() {
        "ok" | "unchanged" => Ok(Moved::Done),
        "drawing" => Ok(Moved::BeingDrawn),
        "full" => Ok(Moved::Full),
        "place_of" => match reply.rest.first().and_then(Value::as_u64) {
            Some(number) => Ok(Moved::PlaceOf(number)),
            None => Err(reply.unknown_code().into()),
        },
        _ => Err(reply.unknown_code().into()),
    }
}

fn read_position(parts: &[i64]) -> Result<Position, WaitingError> {
    let unexpected = || RedisError::Unexpected(format!("{parts:?} as how a user positions"));
    let [code, number, value] = *parts else { return Err(unexpected().into()) };
    let number = u64::try_from(number).map_err(|_| unexpected())?;
    Ok(match code {
        0 => Position::Stranger,
        1 => Position::Waiting { number, ahead: u64::try_from(value).ok().filter(|_| value >= 0) },
        2 => Position::Inside { number, deadline: Millis(value) },
        3 => Position::BeingDrawn,
        4 => Position::Full,
        5 => Position::Gone,
        _ => return Err(unexpected().into()),
    })
}

fn seen(head: Head, parts: Option<&[i64]>) -> Result<Seen, WaitingError> {
    let unexpected = || RedisError::Unexpected(format!("{parts:?} as the room's life and moves"));
    let Some([life, moves]) = parts else { return Err(unexpected().into()) };
    let life = u32::try_from(*life).map_err(|_| unexpected())?;
    Ok(Seen { head, life, moves: u64::try_from(*moves).map_err(|_| unexpected())? })
}

fn integers(values: &[Value]) -> Result<Vec<i64>, WaitingError> {
    let unexpected = || RedisError::Unexpected("a word where a number belongs".into()).into();
    values.iter().map(|value| value.as_i64().ok_or_else(unexpected)).collect()
}

fn unsigned(values: &[Value]) -> Result<Vec<u64>, WaitingError> {
    let unexpected = || RedisError::Unexpected("a number below nothing".into()).into();
    integers(values)?.into_iter().map(|value| u64::try_from(value).map_err(|_| unexpected())).collect()
}

/// Who was admitted, and whose time was over: the first two numbers of what such scripts answer.
fn count_admitted<'a>(mut counts: impl Iterator<Item = &'a Value>) {
    for name in ["onrush_waiting_admitted_total", "onrush_waiting_passes_expired_total"] {
        match counts.next().and_then(Value::as_u64) {
            None | Some(0) => {}
            Some(count) => metrics::counter!(name).increment(count),
        }
    }
}

fn found(head: Head, rest: Vec<Value>) -> Option<Found> {
    let numbers: Vec<i64> = rest.iter().take(12).map_while(Value::as_i64).collect();
    let count = |index: usize| numbers.get(index).and_then(|number| u64::try_from(*number).ok());
    let mut texts = rest.into_iter().skip(12);
    let list_hash = texts.next()?.into_string()?;
    let pace = texts.next()?.into_string()?;
    let first = texts.next()?.as_u64()?;
    let bits = texts.next()?.into_bytes()?;
    let life = texts.next()?.as_u64()?;
    let kept = match texts.next()?.as_i64()? {
        -2 => Kept::Nothing,
        -1 => Kept::WithoutEnd,
        _ => Kept::ForAWhile,
    };
    let pace = pace.split(',').filter(|entry| !entry.is_empty()).map(|entry| {
        let (at, count) = entry.split_once(':')?;
        Some((at.parse().ok()?, count.parse().ok()?))
    });
    Some(Found {
        head,
        number: count(0)?,
        admitted_to: count(1)?,
        waiting: count(2)?,
        inside: count(3)?,
        admitted: count(4)?,
        no_shows: count(5)?,
        left_queue: count(6)?,
        stopped: count(7)? == 1,
        departures: count(8)?,
        draw_n: count(9),
        drawn_at: Millis(*numbers.get(10)?),
        list_hash,
        pace: pace.collect::<Option<_>>()?,
        bits: (!bits.is_empty()).then_some((first, bits)),
        life: u32::try_from(life).ok()?,
        kept,
    })
}
