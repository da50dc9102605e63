//! What does a body say? JSON, read whole and with one meaning: whoever reads a member that comes twice may take either.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::http::contract::problem::{FieldError, Problem};

/// The value; refused with where it is wrong if a member comes twice, or a text has U+0000, which no database holds.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let mut walk = Walk::default();
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let read = Reader(&mut walk).deserialize(&mut from).and_then(|value| from.end().map(|()| value));
    let value = read.map_err(|error| Problem::field("", format!("is not JSON: {error}")))?;
    if walk.errors.is_empty() { Ok(value) } else { Err(Problem::invalid(&walk.errors)) }
}

/// A member's name, as a JSON pointer has it.
pub(crate) fn escape(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}

/// Where the reader is, and what it has found wrong.
#[derive(Default)]
struct Walk {
    pointer: String,
    errors: Vec<FieldError>,
}

impl Walk {
    fn note(&mut self, detail: &str) {
        self.errors.push(FieldError { pointer: self.pointer.replace('\0', "\u{fffd}"), detail: detail.to_owned() });
    }

    fn check(&mut self, text: &str) {
        if text.contains('\0') {
            self.note("must not contain U+0000");
        }
    }

    /// Does something one step further down.
    fn within<T>(&mut self, step: &str, then: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(step);
        let done = then(self);
        self.pointer.truncate(before);
        done
    }
}

/// Reads one value, as the library would, but for the two things that it lets pass.
struct Reader<'a>(&'a mut Walk);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.0.check(text);
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let index = items.len().to_string();
            match self.0.within(&index, |walk| from.next_element_seed(Reader(walk)))? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let value = self.0.within(&escape(&name), |walk| {
                walk.check(&name);
                if members.contains_key(&name) {
                    walk.note("is given twice");
                }
                from.next_value_seed(Reader(walk))
            })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error_of(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().detail().to_owned()
    }

    #[test]
    fn what_has_one_meaning_is_read_as_it_is() {
        let text = r#"{"a":[1,-2,5.0,1e3,true,null,"x\u00e9"],"b":{"a":{}},"c/d":[],"":0}"#;
        assert_eq!(parse(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(parse(b" 5 ").unwrap(), json!(5));
        for bad in ["", "{", "{} x", "{\"a\":1,}", "1e999", "\"\\ud800\"", &"[".repeat(100_000)] {
            assert!(error_of(bad).contains("is not JSON"), "{bad:.20}");
        }
    }

    #[test]
    fn a_member_that_comes_twice_is_pointed_at_however_deep_it_is() {
        assert_eq!(error_of(r#"{"stock":1,"stock":2}"#), "/stock: is given twice");
        assert_eq!(error_of(r#"{"a":[{},{"b/c":1,"b\/c":1}]}"#), "/a/1/b~1c: is given twice");
        assert_eq!(error_of(r#"{"a":1,"\u0061":1}"#), "/a: is given twice");
        assert_eq!(error_of(r#"{"a":{"b":1,"b":1},"c":1,"c":1}"#), "/a/b: is given twice; /c: is given twice");
        assert!(parse(br#"{"a":{"x":1},"b":{"x":1},"x":[{"x":1},{"x":1}]}"#).is_ok(), "each in an object of its own");
    }

    #[test]
    fn a_nul_is_found_however_deep_it_is() {
        assert_eq!(error_of(r#"{"a":[{"b":"x\u0000"}]}"#), "/a/0/b: must not contain U+0000");
        assert_eq!(error_of(r#"{"a\u0000":1}"#), "/a\u{fffd}: must not contain U+0000");
    }
}
