//! How does one request get its answer at little cost? Bytes that were made before go out, and of what comes back no more
//! is read than has to be known.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};

/// Most answers fit at once.
const BUFFER_BYTES: usize = 4 << 10;
/// No answer that this program asks for is near this size.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What an answer says, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// 201: a unit.
    Granted,
    /// 409 `sold_out`.
    SoldOut,
    /// 503 `unavailable`.
    Unavailable,
    /// 200.
    Ok,
    /// 202: a place in a waiting room.
    Placed,
    /// Something else: nothing here asks for it.
    Other,
}

impl Kind {
    /// All of them, in the order of their indexes.
    pub const ALL: [Self; 6] = [Self::Granted, Self::SoldOut, Self::Unavailable, Self::Ok, Self::Placed, Self::Other];

    fn of(status: u16, body: &[u8]) -> Self {
        match status {
            200 => Self::Ok,
            201 => Self::Granted,
            202 => Self::Placed,
            409 if text(body, b"\"code\":\"") == Some(b"sold_out") => Self::SoldOut,
            503 => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// Its place in `ALL`.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// For legends.
    #[must_use]
    pub fn label(self) -> &'static str {
        ["201", "sold_out", "503", "200", "202", "other"][self.index()]
    }
}

/// One answer. Its body is good until the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// What it says.
    pub kind: Kind,
    /// The status.
    pub status: u16,
    /// Whether it has a header `Retry-After`.
    pub retry_after: bool,
    /// All of the body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The number of a claim.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.whole(b"\"number\":")
    }

    /// The whole number that follows a member's name, which is given as it stands there: `"place":`.
    #[must_use]
    pub fn whole(&self, name: &[u8]) -> Option<u64> {
        let at = find(self.body, name)?;
        let digits = self.body[at..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(None, |number, digit| Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0')))
    }

    /// The text that follows a member's name, which is given as it stands there: `"code":"`. None of those that are asked
    /// for has anything in it that JSON writes otherwise.
    #[must_use]
    pub fn text(&self, name: &[u8]) -> Option<&[u8]> {
        text(self.body, name)
    }
}

/// What is known when the last header is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Up to the first byte of the body.
    body_from: usize,
    body_bytes: usize,
    retry_after: bool,
    /// The server takes no other request on this connection.
    is_last: bool,
}

/// A connection that carries one request at a time. After an error it is of no use.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    is_closed: bool,
}

impl Wire {
    /// Connects.
    pub async fn open(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(addresses).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(BUFFER_BYTES), is_closed: false })
    }

    /// Whether the server has closed it, or said that it would: it may do so with one that carries nothing.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        // Nothing was asked: whatever there is to read is the end, or of no use.
        let is_silent =
            matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.is_closed || !is_silent
    }

    /// Sends a request and reads its answer to the last byte.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let head = loop {
            self.read_more().await?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        let whole = head.body_from + head.body_bytes;
        while self.buffer.len() < whole {
            self.read_more().await?;
        }
        self.is_closed = head.is_last;
        let body = &self.buffer[head.body_from..whole];
        let Head { status, retry_after, .. } = head;
        Ok(Answer { kind: Kind::of(status, body), status, retry_after, body })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.buffer.len() > ANSWER_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.buffer.reserve(BUFFER_BYTES / 2);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// `None` as long as headers are missing. An answer must say its length: chunks are not asked for and not understood.
fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(head_bytes) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let bad = || io::Error::from(io::ErrorKind::InvalidData);
    let status = bytes.strip_prefix(b"HTTP/1.1 ").and_then(|rest| number(rest.get(..3)?)).ok_or_else(bad)?;
    let (mut body_bytes, mut retry_after, mut is_last) = (None, false, false);
    for line in bytes[..head_bytes].split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            body_bytes = number(value);
        } else if name.eq_ignore_ascii_case(b"retry-after") {
            retry_after = true;
        } else if name.eq_ignore_ascii_case(b"connection") {
            is_last = value.eq_ignore_ascii_case(b"close");
        }
    }
    let status = u16::try_from(status).map_err(|_| bad())?;
    // There is no body, and no word of its length.
    let body_bytes = if status == 204 { Some(0) } else { body_bytes };
    let body_bytes = body_bytes.ok_or_else(bad)?;
    Ok(Some(Head { status, body_from: head_bytes, body_bytes, retry_after, is_last }))
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where what follows this begins.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let mut from = 0;
    // By the first byte at first: comparing all of it everywhere would cost more than the rest of the reading.
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == what[0]) {
        if bytes[from + at..].starts_with(what) {
            return Some(from + at + what.len());
        }
        from += at + 1;
    }
    None
}

/// What stands between this and the next quotation mark.
fn text<'a>(body: &'a [u8], before: &[u8]) -> Option<&'a [u8]> {
    let rest = &body[find(body, before)?..];
    Some(&rest[..rest.iter().position(|byte| *byte == b'"')?])
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\nretry-after: 1\r\n\r\n{\"code\":";
        let end = find(answer, b"\r\n\r\n").unwrap();
        assert!((0..end).all(|cut| parse_head(&answer[..cut]).unwrap().is_none()));
        let head = Head { status: 503, body_from: end, body_bytes: 12, retry_after: true, is_last: false };
        assert_eq!(parse_head(answer).unwrap(), Some(head));
    }

    #[test]
    fn an_answer_that_has_no_body_by_its_status_needs_no_length() {
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        let head = Head { status: 204, body_from: answer.len(), body_bytes: 0, retry_after: false, is_last: false };
        assert_eq!(parse_head(answer).unwrap(), Some(head));
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_so_is_one_without_a_length() {
        assert!(parse_head(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn a_refusal_is_known_by_its_code_and_not_by_its_words() {
        assert_eq!(Kind::of(409, br#"{"detail":"paused","code":"sold_out"}"#), Kind::SoldOut);
        assert_eq!(Kind::of(409, br#"{"detail":"sold_out","code":"paused"}"#), Kind::Other);
        assert_eq!(Kind::of(201, b"{}"), Kind::Granted);
        assert!(Kind::ALL.iter().enumerate().all(|(index, kind)| kind.index() == index));
    }

    #[test]
    fn the_number_of_a_claim_is_read_from_its_body() {
        let answer = |body| Answer { kind: Kind::Granted, status: 201, retry_after: false, body };
        assert_eq!(answer(br#"{"claim_id":"a.1.42","number":42,"state":"live"}"#).number(), Some(42));
        assert_eq!(answer(br#"{"number":null}"#).number(), None);
        let waits = br#"{"state":"waiting","place":7,"ahead":0,"eta_s":null,"ticket":"1.ab.c"}"#;
        let answer = answer(waits);
        assert_eq!((answer.whole(b"\"ahead\":"), answer.whole(b"\"eta_s\":")), (Some(0), None));
        assert_eq!((answer.text(b"\"ticket\":\""), answer.text(b"\"pass\":\"")), (Some(&b"1.ab.c"[..]), None));
    }

    #[tokio::test]
    async fn answers_that_come_in_pieces_are_put_together() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let mut asked = [0; 4];
            for pieces in [["HTTP/1.1 201 Created\r\nconte", "nt-length: 13\r\n\r\n{\"num", "ber\":7,}}"]; 2] {
                stream.read_exact(&mut asked).await.unwrap();
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut wire = Wire::open(address).await.unwrap();
        for _ in 0..2 {
            let answer = wire.exchange(b"ask!").await.unwrap();
            assert_eq!((answer.kind, answer.number()), (Kind::Granted, Some(7)));
        }
        server.await.unwrap();
        assert!(wire.exchange(b"ask!").await.is_err(), "the connection has ended");
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closes_or_is_about_to_close_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut wire = Wire::open(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(!wire.is_closed());
        stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(wire.exchange(b"ask!").await.unwrap().status, 204);
        assert!(wire.is_closed(), "it was said");

        let wire = Wire::open(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        drop(stream);
        wire.stream.readable().await.unwrap();
        assert!(wire.is_closed(), "it was done");
    }
}
