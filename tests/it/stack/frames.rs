//! HTTP/2 by hand: the frames that a client may send, and those that it should not.

use super::raw::Raw;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// One setting.
pub(crate) fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// A text of HPACK, without Huffman's code.
fn text(text: &str) -> Vec<u8> {
    let mut encoded = match u8::try_from(text.len()) {
        Ok(length) if length < 127 => vec![length],
        _ => integer(127, text.len() - 127),
    };
    encoded.extend_from_slice(text.as_bytes());
    encoded
}

/// An integer of HPACK whose prefix is full.
fn integer(prefix: u8, mut rest: usize) -> Vec<u8> {
    let mut encoded = vec![prefix];
    while rest >= 128 {
        encoded.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    encoded.push(u8::try_from(rest).unwrap());
    encoded
}

/// A header that is not put into the table.
pub(crate) fn header(name: &str, value: &str) -> Vec<u8> {
    [vec![0], text(name), text(value)].concat()
}

/// A header that is put into the table, where 62 refers to it from then on.
pub(crate) fn kept_header(name: &str, value: &str) -> Vec<u8> {
    [vec![0x40], text(name), text(value)].concat()
}

pub(crate) fn request_head(method: &str, path: &str) -> Vec<u8> {
    [header(":method", method), header(":scheme", "http"), header(":path", path), header(":authority", "onrush")]
        .concat()
}

/// A whole request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &request_head("GET", path))
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// What all connections begin with.
pub(crate) fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// The same of a client that says that it would take all that there is.
pub(crate) fn greedy_preface() -> Vec<u8> {
    let update = frame(WINDOW_UPDATE, 0, 0, &(i32::MAX.unsigned_abs() - 65_535).to_be_bytes());
    [PREFACE, &setting(4, i32::MAX.unsigned_abs()), &update].concat()
}

/// Frames as they come: kind, flags, stream, payload.
pub(crate) struct Incoming<'a> {
    raw: &'a mut Raw,
}

/// A frame that came.
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl<'a> Incoming<'a> {
    pub(crate) fn of(raw: &'a mut Raw) -> Self {
        Self { raw }
    }

    /// The next one; `None`: the connection has ended. Settings and pings are acknowledged.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        use tokio::io::AsyncReadExt;
        loop {
            let mut head = [0; 9];
            self.raw.stream.read_exact(&mut head).await.ok()?;
            let mut payload =
                vec![0; (usize::from(head[0]) << 16) | (usize::from(head[1]) << 8) | usize::from(head[2])];
            self.raw.stream.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
            let found = Frame { kind: head[3], flags: head[4], stream, payload };
            if [SETTINGS, PING].contains(&found.kind) && found.flags & ACK == 0 {
                let echo = if found.kind == PING { &found.payload[..] } else { &[] };
                self.raw.try_say(&frame(found.kind, ACK, 0, echo)).await.ok()?;
                continue;
            }
            return Some(found);
        }
    }

    /// Until this one has come; `None`: the connection has ended before.
    pub(crate) async fn until(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let waiting = async {
            loop {
                let frame = self.next().await?;
                if is_it(&frame) {
                    return Some(frame);
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
            .await
            .expect("it comes, or the connection ends")
    }
}

impl Frame {
    pub(crate) fn is_ack_of_ping(&self) -> bool {
        self.kind == PING && self.flags & ACK != 0
    }
}

/// The status that a block of headers begins with, as this server encodes it: from the static table, or as a literal.
pub(crate) fn status_of(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        // Three digits in Huffman's code, at the name's place in the table.
        [0x08 | 0x48, length, rest @ ..] => {
            let bytes = &rest[..usize::from(length & 0x7f)];
            if length & 0x80 == 0 {
                return std::str::from_utf8(bytes).unwrap().parse().unwrap();
            }
            digits(bytes)
        }
        _ => 0,
    }
}

/// Digits in Huffman's code (RFC 7541, appendix B): 0, 1 and 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from((byte >> bit) & 1))).collect();
    let number = |bits: &[u16]| bits.iter().fold(0, |number, bit| (number << 1) | bit);
    let (mut at, mut found) = (0, 0);
    while at + 5 <= bits.len() {
        let five = number(&bits[at..at + 5]);
        let digit = if five <= 2 {
            at += 5;
            five
        } else {
            let Some(six) = bits.get(at..at + 6).map(number).filter(|six| (0x19..=0x1f).contains(six)) else { break };
            at += 6;
            six - 0x19 + 3
        };
        found = found * 10 + digit;
    }
    found
}
