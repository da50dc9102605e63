//! What do nodes tell each other? `gone` and who says so and fields, `filled` and fields, `heartbeat` and a node and its number; parted by a
//! control character, which no key contains.

/// Parts what a message is made of. An entry with it in its key is not kept: its message could not be told from another.
pub(super) const SEPARATOR: char = '\u{1f}';

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// These are not so any more, says this node, which has forgotten them itself.
    Gone { node: &'a str, fields: Vec<&'a str> },
    /// Whoever waits for these should look.
    Filled(Vec<&'a str>),
    /// A node's sign of life.
    Heartbeat { node: &'a str, number: u64 },
    /// Of a newer program.
    Unknown,
}

fn join<'a>(shards: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for shard in shards {
        if !text.is_empty() {
            text.push(SEPARATOR);
        }
        text.push_str(shard);
    }
    text
}

pub(super) fn gone(node: &str, fields: &[String]) -> String {
    join(["gone", node].into_iter().chain(fields.iter().map(String::as_str)))
}

pub(super) fn filled(field: &str) -> String {
    join(["filled", field])
}

pub(super) fn heartbeat(node: &str, number: u64) -> String {
    join(["heartbeat", node, &number.to_string()])
}

pub(super) fn read(text: &str) -> Message<'_> {
    let mut shards = text.split(SEPARATOR);
    match shards.next() {
        Some("gone") => match shards.next() {
            Some(node) => Message::Gone { node, fields: shards.collect() },
            None => Message::Unknown,
        },
        Some("filled") => Message::Filled(shards.collect()),
        Some("heartbeat") => match (shards.next(), shards.next().and_then(|number| number.parse().ok())) {
            (Some(node), Some(number)) => Message::Heartbeat { node, number },
            _ => Message::Unknown,
        },
        _ => Message::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_heard() {
        let fields = ["post:1".to_owned(), "user:a b:c".to_owned()];
        assert_eq!(read(&gone("me", &fields)), Message::Gone { node: "me", fields: vec!["post:1", "user:a b:c"] });
        assert_eq!(read(&filled("post:1")), Message::Filled(vec!["post:1"]));
        assert_eq!(read(&heartbeat("abc", 7)), Message::Heartbeat { node: "abc", number: 7 });
        for other in ["", "gone", "heartbeat", "heartbeat\u{1f}abc", "new\u{1f}thing"] {
            assert_eq!(read(other), Message::Unknown, "{other}");
        }
    }
}
