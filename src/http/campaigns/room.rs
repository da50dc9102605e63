//! How a waiting room admits, as operators write it: read, checked, with its defaults.

use std::ops::RangeInclusive;

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AllOfBuilder, AnyOf, AnyOfBuilder, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, Schema};

use crate::campaign::{Message, Order, Waiting, WaitingChange};
use crate::clock::Millis;
use crate::http::contract::input::{self, Members, Nullable};
use crate::http::contract::schemas::{self, Body, body};
use crate::text::Lines;

const ADMIT: RangeInclusive<u64> = 1..=1_000_000;
const EVERY_MS: RangeInclusive<u64> = 100..=3_600_000;
const ACTIVE: RangeInclusive<u64> = 1..=10_000_000;
const SECONDS: RangeInclusive<u64> = 1..=86_400;
const RESERVE: RangeInclusive<u64> = 0..=1_000_000;
/// Of what is said to visitors, in one language.
const MESSAGE_CHARACTERS_MAX: usize = 200;

const ORDERS: [&str; 2] = ["fifo", "draw"];

body! {
    /// What a POST or PATCH of a campaign may say of its waiting room.
    pub(crate) WaitingTerms = {
        let defaults = Waiting::default();
        let or_null = |range| schemas::or_null(schemas::whole(range));
        let ttl = format!("How long a pass lasts once it was picked up. {} if a new room does not say.", defaults.pass_ttl_s);
        let within = defaults.claim_pass_within_s;
        let within = format!("How long after the admission it may be picked up. {within} if a new room does not say.");
        let order = "fifo if a new room does not say. A draw needs `opens_at`.";
        let reserve = "Users who may be inside beyond the units that are left. 0 if a new room does not say.";
        Body::new()
            .takes("admit", schemas::about(or_null(ADMIT), "Users who may enter in any window of `every_ms`."))
            .takes("every_ms", or_null(EVERY_MS))
            .takes("active_max", schemas::about(or_null(ACTIVE), "Users who may be inside at a time."))
            .takes("pass_ttl_s", schemas::about(schemas::whole(SECONDS), &ttl))
            .takes("claim_pass_within_s", schemas::about(schemas::whole(SECONDS), &within))
            .takes("order", schemas::about(schemas::word(ORDERS), order))
            .takes("reserve", schemas::about(schemas::whole(RESERVE), reserve))
            .takes("message", message_schema())
            .build()
    }
}

/// A sentence in one language at least, or null.
fn message_schema() -> AnyOf {
    let words = "A sentence for who visits the room: on the visitors' page, and in what those are told who wait. Replaces the \
                 one before as a whole; null: none.";
    let sentence = || schemas::text(MESSAGE_CHARACTERS_MAX, Lines::One);
    let or_null = || schemas::or_null(sentence());
    let in_english = Body::new().needs("en", sentence()).takes("ko", or_null()).build();
    let in_korean = Body::new().needs("ko", sentence()).takes("en", or_null()).build();
    AnyOfBuilder::new().description(Some(words)).item(schemas::null()).item(in_english).item(in_korean).build()
}

fn any() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue)
}

/// The waiting room of a new campaign, for the document: a pace, a cap, or both.
pub(crate) fn new_schema() -> AnyOf {
    let number = || ObjectBuilder::new().schema_type(Type::Integer);
    let pace = any().property("admit", number()).property("every_ms", number()).required("admit").required("every_ms");
    let cap = any().property("active_max", number()).required("active_max");
    let cap = cap.property("admit", schemas::null()).property("every_ms", schemas::null());
    let either = Schema::AnyOf(AnyOfBuilder::new().item(pace).item(cap).build());
    let spec = AllOfBuilder::new().item(Ref::from_schema_name(WaitingTerms::name())).item(either).build();
    let words = "Absent or null: no waiting room. A pace (`admit` and `every_ms`), a cap (`active_max`), or both.";
    AnyOfBuilder::new().description(Some(words)).item(schemas::null()).item(Schema::AllOf(spec)).build()
}

/// A campaign without a waiting room, or with one that draws nothing, for the document.
pub(crate) fn draws_nothing() -> Object {
    let in_order = any().property("order", any().enum_values(Some(["fifo"])));
    any().property("waiting", in_order).build()
}

/// What a PATCH may say of it, for the document.
pub(crate) fn change_schema() -> AnyOf {
    let words = "What is absent stays as it is; null takes pace or cap away, or the whole room. One can be added until the \
                 campaign has opened.";
    let spec = Ref::from_schema_name(WaitingTerms::name());
    AnyOfBuilder::new().description(Some(words)).item(schemas::null()).item(spec).build()
}

/// The waiting room of a new campaign.
pub(crate) fn new_terms(members: &mut Members, opens_at: Option<Millis>) -> Option<Waiting> {
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
    if let Some((name, why)) = waiting.field_error(opens_at) {
        members.note_at(name, why);
    }
    Some(waiting)
}

/// What a body says of it. What is wrong is noted, and `None`. Null takes pace or cap away; of the rest it says nothing, and is
/// refused.
pub(crate) fn read(members: &mut Members) -> Option<Nullable<WaitingChange>> {
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
    let line = input::text(MESSAGE_CHARACTERS_MAX, Lines::One);
    let sentence = |value: &Value| if value.is_null() { Ok(None) } else { line(value).map(Some) };
    let has_language = inner.has("en") || inner.has("ko");
    let message = Message { en: inner.take("en", sentence).flatten(), ko: inner.take("ko", sentence).flatten() };
    let is_right = members.note_all_of("message", inner);
    if is_right && (!has_language || message == Message::default()) {
        members.note("message", "needs a sentence in en, in ko, or in both".into());
    }
    is_right.then_some(Nullable::Value(message))
}

fn order(value: &Value) -> Result<Order, String> {
    match value.as_str() {
        Some("fifo") => Ok(Order::Fifo),
        Some("draw") => Ok(Order::Draw),
        _ => Err("must be fifo or draw".into()),
    }
}
