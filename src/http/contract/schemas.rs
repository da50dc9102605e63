//! What may be sent, for the API's document: the same limits by which `input` reads it, so that neither can change alone.

use std::ops::RangeInclusive;

use serde_json::Value;
use utoipa::openapi::Schema;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, Object, ObjectBuilder, SchemaFormat, SchemaType, Type,
};

use crate::text::{self, Lines};

/// A text without U+0000, which is refused wherever it comes.
pub(crate) const ANY_TEXT: &str = "^[^\\u0000]*$";

/// The years that a time may have, whatever its zone: with four digits, and not before computers'.
const TIME: &str = "^(19[7-9][0-9]|[2-9][0-9]{3})-";

/// The body of a request: an object with these members and no others.
pub(crate) struct Body(ObjectBuilder);

impl Body {
    pub(crate) fn new() -> Self {
        let others = AdditionalProperties::FreeForm(false);
        Self(ObjectBuilder::new().schema_type(Type::Object).additional_properties(Some(others)))
    }

    /// With a member that has to be there.
    pub(crate) fn needs(self, name: &str, member: impl Into<Schema>) -> Self {
        Self(self.0.property(name, member.into()).required(name))
    }

    /// With a member that may be left out.
    pub(crate) fn takes(self, name: &str, member: impl Into<Schema>) -> Self {
        Self(self.0.property(name, member.into()))
    }

    pub(crate) fn build(self) -> Object {
        self.0.build()
    }
}

/// Declares what a request's body may say, as a type that stands for it in the documentation of a route.
macro_rules! body {
    ($(#[$doc:meta])* $visibility:vis $name:ident = $schema:expr) => {
        $(#[$doc])*
        $visibility struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::Schema::from($schema).into()
            }
        }

        impl utoipa::ToSchema for $name {}
    };
}
pub(crate) use body;

/// A whole number.
pub(crate) fn whole(range: RangeInclusive<u64>) -> Object {
    let number = ObjectBuilder::new().schema_type(Type::Integer);
    let number = number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
    number.minimum(Some(*range.start())).maximum(Some(*range.end())).build()
}

/// A text of so many characters, fit to be read by others.
pub(crate) fn text(characters_max: usize, lines: Lines) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(text::pattern(lines)));
    text.min_length(Some(1)).max_length(Some(characters_max)).build()
}

/// A text of this form.
pub(crate) fn form(pattern: impl Into<String>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).build()
}

/// A time.
pub(crate) fn time() -> Object {
    let mut time = form(TIME);
    time.format = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime));
    time
}

/// `true` or `false`.
pub(crate) fn flag() -> Object {
    ObjectBuilder::new().schema_type(Type::Boolean).build()
}

/// One of these words.
pub(crate) fn word<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// Null and nothing else.
pub(crate) fn null() -> Object {
    ObjectBuilder::new().schema_type(Type::Null).build()
}

/// This, or null.
pub(crate) fn or_null(mut schema: Object) -> Object {
    if let SchemaType::Type(only) = schema.schema_type {
        schema.schema_type = SchemaType::Array(vec![only, Type::Null]);
    }
    if let Some(words) = &mut schema.enum_values {
        words.push(Value::Null);
    }
    schema
}

/// What it means.
pub(crate) fn about(mut schema: Object, words: &str) -> Object {
    schema.description = Some(words.to_owned());
    schema
}

/// How one looks.
pub(crate) fn such_as(mut schema: Object, example: impl Into<Value>) -> Object {
    schema.example = Some(example.into());
    schema
}

/// A campaign's id.
pub(crate) fn campaign_id() -> Object {
    such_as(form("^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$"), "WELCOME_001")
}

/// A user's id.
pub(crate) fn user_id() -> Object {
    let mut id = text(crate::ids::UserId::BYTES_MAX, Lines::One);
    // That it is counted in bytes no schema can say.
    id.format = Some(SchemaFormat::Custom("user-id".into()));
    about(such_as(id, "alice"), "1 to 128 bytes of UTF-8.")
}

/// A post's id: up to 19 digits, and no more than the largest that there can be.
pub(crate) fn post_id() -> Object {
    let largest = i64::MAX.to_string();
    let smaller = largest.bytes().enumerate().filter(|(_, digit)| *digit > b'0').map(|(at, digit)| {
        let below = char::from(digit - 1);
        format!("{}[0-{below}][0-9]{{{}}}", &largest[..at], largest.len() - at - 1)
    });
    let all = smaller.collect::<Vec<_>>().join("|");
    form(format!("^([0-9]{{1,{}}}|{all}|{largest})$", largest.len() - 1))
}
