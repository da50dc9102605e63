//! What is no request, or hardly one? Bytes that strangers send.

use crate::draw::Draw;

/// Headers of a flood, requests of a rapid reset, frames of settings.
const HEADERS: usize = 110;
const RESETS: u32 = 300;
const SETTINGS: usize = 500;
/// Random bytes at most.
const NOISE_BYTES: usize = 4_096;
/// A header that is larger than any node takes, in bytes.
const LONG_HEADER: usize = 64 << 10;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is done after the bytes were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Whatever comes is read.
    Listen,
    /// No more is coming, and it says so.
    Finish,
    /// It is gone.
    HangUp,
}

/// A name for the counts, the bytes, and what is done then. `claim`: the path of a claim and a token for it.
pub(super) fn garbage(draw: &mut Draw, claim: &(String, String)) -> (&'static str, Vec<u8>, Then) {
    let (path, token) = claim;
    let post = |more: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: soak\r\nAuthorization: Bearer {token}\r\n{more}").into_bytes()
    };
    let get = |more: &str| format!("GET /v1/campaigns HTTP/1.1\r\nHost: soak\r\n{more}").into_bytes();
    match draw.number(0..15) {
        0 => {
            let length = 1 + draw.place(NOISE_BYTES);
            ("noise", noise(draw, length), Then::Listen)
        }
        1 => ("half a request", get("Accept: appl"), Then::Listen),
        2 => {
            let flood = (0..HEADERS).map(|number| format!("X-{number}: {number}\r\n")).collect::<Vec<_>>().concat();
            ("110 headers", get(&(flood + "\r\n")), Then::Listen)
        }
        3 => ("a folded header", get("X-Folded: a\r\n b\r\n\tc\r\n\r\n"), Then::Listen),
        4 => ("a body that ends early", post("Content-Length: 500\r\n\r\n{\"id\":"), Then::Finish),
        5 => ("HTTP/2 and noise", [PREFACE, &noise(draw, 300)].concat(), Then::Listen),
        6 => ("a flood of settings", [PREFACE, &frame(4, 0, 0, &[]).repeat(SETTINGS)].concat(), Then::Listen),
        7 => ("a rapid reset", rapid_reset(), Then::Listen),
        8 => ("bytes after the body", post("Content-Length: 0\r\n\r\nand more\r\n\r\n"), Then::Listen),
        9 => ("two lengths", post("Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"), Then::Listen),
        10 => {
            let whole = post(&format!("Idempotency-Key: {}\r\nContent-Length: 0\r\n\r\n", draw.number(0..1_000_000)));
            ("a claim, and gone", whole, Then::HangUp)
        }
        11 => {
            let whole = post("Content-Length: 0\r\n\r\n");
            let cut = draw.place(whole.len());
            ("half a claim, and gone", whole[..cut].to_vec(), Then::HangUp)
        }
        12 => {
            let hosts = ["Host: a\r\nHost: b\r\n", ""][draw.place(2)];
            ("two hosts, or none", format!("GET /readyz HTTP/1.1\r\n{hosts}\r\n").into_bytes(), Then::Listen)
        }
        13 => ("a chunk that is none", post("Transfer-Encoding: chunked\r\n\r\nzz\r\nhello"), Then::Listen),
        _ => ("a long header", get(&format!("X-Long: {}\r\n\r\n", "x".repeat(LONG_HEADER))), Then::Listen),
    }
}

fn noise(draw: &mut Draw, length: usize) -> Vec<u8> {
    (0..length).map(|_| u8::try_from(draw.number(0..256)).unwrap_or(0)).collect()
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Requests that are given up as soon as they are made.
fn rapid_reset() -> Vec<u8> {
    // Indexed: GET, http, /; and an authority.
    const GET: [u8; 6] = [0x82, 0x86, 0x84, 0x41, 1, b'x'];
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let mut bytes = [PREFACE, &frame(4, 0, 0, &[])].concat();
    for stream in (0..RESETS).map(|request| 2 * request + 1) {
        bytes.extend(frame(1, 5, stream, &GET));
        bytes.extend(frame(3, 0, stream, &CANCEL));
    }
    bytes
}
