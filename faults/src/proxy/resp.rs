//! What is in the bytes between a node and Redis? Only as far as a fault needs to know.

/// What a message of another node begins with, on its way from Redis.
const MESSAGE: &[u8] = b"*3\r\n$7\r\nmessage\r\n";
/// What an announcement of a change has in it, on its way to Redis: a script, the directory of campaigns, the channel.
const ANNOUNCEMENT: [&[u8]; 3] = [b"EVALSHA\r\n", b"directory\r\n", b"changes\r\n"];

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|found| found == word)
}

/// Whether one of these commands announces that a campaign has changed.
pub(super) fn announces(bytes: &[u8]) -> bool {
    ANNOUNCEMENT.iter().all(|word| has(bytes, word))
}

/// The same bytes without the messages that are whole in them.
pub(super) fn without_messages(bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(MESSAGE.len()).position(|found| found == MESSAGE) {
        let message = &rest[at..];
        let Some(length) = length(message) else { break };
        kept.extend_from_slice(&rest[..at]);
        rest = &message[length..];
    }
    kept.extend_from_slice(rest);
    kept
}

/// How many bytes a message has: after its beginning come a channel and a text, each with its length.
fn length(message: &[u8]) -> Option<usize> {
    let mut at = MESSAGE.len();
    for _ in 0..2 {
        let line = message[at..].windows(2).position(|found| found == b"\r\n")?;
        let digits = std::str::from_utf8(message[at..].get(1..line)?).ok()?;
        at += line + 2 + digits.parse::<usize>().ok()? + 2;
    }
    (at <= message.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARD: &[u8] = b"*3\r\n$7\r\nmessage\r\n$7\r\nchanges\r\n$4\r\nRUSH\r\n";

    #[test]
    fn messages_are_taken_out_and_nothing_else() {
        let others: [&[u8]; 3] = [b"+PONG\r\n", b"*3\r\n$9\r\nsubscribe\r\n$7\r\nchanges\r\n:1\r\n", b""];
        for before in others {
            for after in others {
                let all = [before, HEARD, HEARD, after].concat();
                assert_eq!(without_messages(&all), [before, after].concat());
            }
        }
        // One that is not whole stays: it cannot be told where it ends.
        assert_eq!(without_messages(&HEARD[..30]), HEARD[..30]);
    }

    #[test]
    fn an_announcement_is_told_from_other_scripts() {
        let said = |words: &[&str]| {
            let bulks: Vec<_> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
            announces(bulks.concat().as_bytes())
        };
        assert!(said(&["EVALSHA", "abc", "1", "onrush:directory", "RUSH", "onrush:changes"]));
        assert!(!said(&["EVALSHA", "abc", "1", "onrush:{RUSH}:campaign", "RUSH"]));
        assert!(!said(&["ZRANGEBYSCORE", "onrush:directory", "(0", "+inf"]));
    }
}
