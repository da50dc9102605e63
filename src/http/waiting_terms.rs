//! How a waiting room admits, as operators write it: read, checked, with its defaults.

use std::ops::RangeInclusive;

use serde_json::Value;
use utoipa::ToSchema;

use super::input::{self, Members, Nullable};
use crate::campaign::{Message, Order, Waiting, WaitingChange};
use crate::clock::Millis;

const ADMIT: RangeInclusive<u64> = 1..=1_000_000;
const EVERY_MS: RangeInclusive<u64> = 100..=3_600_000;
const ACTIVE: RangeInclusive<u64> = 1..=10_000_000;
const SECONDS: RangeInclusive<u64> = 1..=86_400;
const RESERVE: RangeInclusive<u64> = 0..=1_000_000;
/// Of what is said to visitors, in one language.
const MESSAGE_CHARACTERS_MAX: usize = 200;

/// What a POST or PATCH of a campaign may say of its waiting room.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document; `read` reads it")]
pub(super) struct WaitingTerms {
    /// Users who may enter in any window of `every_ms`.
    #[schema(example = 750, minimum = 1, maximum = 1_000_000)]
    admit: Option<u64>,
    #[schema(example = 10_000, minimum = 100, maximum = 3_600_000)]
    every_ms: Option<u64>,
    /// Users who may be inside at a time.
    #[schema(example = 10_000, minimum = 1, maximum = 10_000_000)]
    active_max: Option<u64>,
    /// How long a pass lasts once it was picked up. 600 if absent.
    #[schema(minimum = 1, maximum = 86_400)]
    pass_ttl_s: Option<u64>,
    /// How long after the admission it may be picked up. 60 if absent.
    #[schema(minimum = 1, maximum = 86_400)]
    claim_pass_within_s: Option<u64>,
    /// fifo if absent.
    order: Option<Order>,
    /// Users who may be inside beyond the units that are left. 0 if absent.
    #[schema(minimum = 0, maximum = 1_000_000)]
    reserve: Option<u64>,
    /// A sentence for who visits the room: on the visitors' page, and in what those are told who wait. Replaces the one before as
    /// a whole; null: none.
    message: Option<Message>,
}

/// The waiting room of a new campaign.
pub(super) fn new_terms(members: &mut Members, opens_at: Option<Millis>) -> Option<Waiting> {
    let Nullable::Value(said) = read(members)? else { return None };
    let defaults = Waiting::default();
    let waiting = Waiting {
        admit: said.admit.flatten(),
        every_ms: said.every_ms.flatten(),
        active_max: said.active_max.flatten(),
        pass_ttl_s: said.pass_ttl_s.unwrap_or(defaults.pass_ttl_s),
        claim_pass_within_s: said.claim_pass_within_s.unwrap_or(defaults.claim_pass_within_s),
        order: said.order.unwrap_or(defaults.order),
        reserve: said.reserve.unwrap_or(defaults.reserve),
        message: said.message.flatten(),
    };
    if let Some((name, why)) = waiting.flaw(opens_at) {
        members.note_at(name, why);
    }
    Some(waiting)
}

/// What a body says of it. What is wrong is noted, and `None`.
pub(super) fn read(members: &mut Members) -> Option<Nullable<WaitingChange>> {
    let Nullable::Value(mut inner) = members.take_object("waiting")? else { return Some(Nullable::Null) };
    let change = WaitingChange {
        admit: inner.take("admit", input::whole_or_null(ADMIT)),
        every_ms: inner.take("every_ms", input::whole_or_null(EVERY_MS)),
        active_max: inner.take("active_max", input::whole_or_null(ACTIVE)),
        pass_ttl_s: inner.take("pass_ttl_s", input::whole(SECONDS)),
        claim_pass_within_s: inner.take("claim_pass_within_s", input::whole(SECONDS)),
        order: inner.take("order", order),
        reserve: inner.take("reserve", input::whole(RESERVE)),
        message: message(&mut inner).map(|said| match said {
            Nullable::Null => None,
            Nullable::Value(message) => Some(message),
        }),
    };
    members.note_all_of("waiting", inner).then_some(Nullable::Value(change))
}

/// What is said to visitors; null: nothing.
fn message(members: &mut Members) -> Option<Nullable<Message>> {
    let Nullable::Value(mut inner) = members.take_object("message")? else { return Some(Nullable::Null) };
    let sentence = |value: &Value| if value.is_null() { Ok(None) } else { sentence(value).map(Some) };
    let has_language = inner.has("en") || inner.has("ko");
    let message = Message { en: inner.take("en", sentence).flatten(), ko: inner.take("ko", sentence).flatten() };
    let is_right = members.note_all_of("message", inner);
    if is_right && (!has_language || message == Message::default()) {
        members.note("message", "needs a sentence in en, in ko, or in both".into());
    }
    is_right.then_some(Nullable::Value(message))
}

/// One line that reads as it is written.
fn sentence(value: &Value) -> Result<String, String> {
    let text = input::text(MESSAGE_CHARACTERS_MAX)(value)?;
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.trim().is_empty() {
        Err("must not be blank".into())
    } else if text.chars().any(|c| c.is_control() || turns(c)) {
        Err("must be one line, without control characters and such that turn the direction of writing".into())
    } else {
        Ok(text)
    }
}

fn order(value: &Value) -> Result<Order, String> {
    match value.as_str() {
        Some("fifo") => Ok(Order::Fifo),
        Some("draw") => Ok(Order::Draw),
        _ => Err("must be fifo or draw".into()),
    }
}
