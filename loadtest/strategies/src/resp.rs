//! A connection to Redis that costs next to nothing, so that Redis is what is measured: commands as bytes, many in
//! flight, and replies of which only what is needed is looked at.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

/// How long a reply may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are read at once.
const CHUNK: usize = 256 * 1024;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status or a string.
    Text(String),
    /// A number.
    Integer(i64),
    /// Nothing.
    Nil,
    /// Several.
    List(Vec<Reply>),
}

/// One connection, and what has arrived on it and was not taken yet.
pub struct Connection {
    stream: TcpStream,
    arrived: Vec<u8>,
    taken: usize,
}

impl Connection {
    pub(crate) fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, arrived: Vec::new(), taken: 0 })
    }

    /// One command, and its reply.
    pub fn call(&mut self, words: &[&str]) -> anyhow::Result<Reply> {
        self.send(&encode(words))?;
        self.receive()
    }

    /// Commands, encoded, without waiting for their replies.
    pub fn send(&mut self, commands: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(commands)?)
    }

    /// The next reply, as soon as it is there.
    pub fn receive(&mut self) -> anyhow::Result<Reply> {
        loop {
            if let Some(reply) = self.receive_arrived()? {
                return Ok(reply);
            }
            self.read()?;
        }
    }

    /// The next reply, if it has arrived already.
    pub fn receive_arrived(&mut self) -> anyhow::Result<Option<Reply>> {
        let mut at = self.taken;
        let reply = parse(&self.arrived, &mut at)?;
        if reply.is_some() {
            self.taken = at;
        }
        Ok(reply)
    }

    fn read(&mut self) -> anyhow::Result<()> {
        self.arrived.drain(..self.taken);
        self.taken = 0;
        let length = self.arrived.len();
        self.arrived.resize(length + CHUNK, 0);
        let outcome = self.stream.read(&mut self.arrived[length..]);
        self.arrived.truncate(length + outcome.as_ref().map_or(0, |read| *read));
        match outcome {
            Ok(0) => bail!("redis has closed the connection"),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error).context("waiting for redis"),
        }
    }
}

/// A command's bytes.
#[must_use]
pub fn encode(words: &[&str]) -> Vec<u8> {
    let mut command = Vec::new();
    encode_into(&mut command, words.len(), words.iter().copied());
    command
}

/// A command's bytes, after those of others.
pub fn encode_into<'a>(commands: &mut Vec<u8>, count: usize, words: impl IntoIterator<Item = &'a str>) {
    let header = |commands: &mut Vec<u8>, mark: char, number: usize| {
        commands.extend_from_slice(format!("{mark}{number}\r\n").as_bytes());
    };
    header(commands, '*', count);
    for word in words {
        header(commands, '$', word.len());
        commands.extend_from_slice(word.as_bytes());
        commands.extend_from_slice(b"\r\n");
    }
}

/// `None`: more has to arrive.
fn parse(bytes: &[u8], at: &mut usize) -> anyhow::Result<Option<Reply>> {
    let Some(line) = line(bytes, at) else { return Ok(None) };
    let (mark, rest) = line.split_at_checked(1).context("an empty line")?;
    match mark {
        "+" => Ok(Some(Reply::Text(rest.to_owned()))),
        ":" => Ok(Some(Reply::Integer(rest.parse()?))),
        "-" => bail!("redis: {rest}"),
        "$" | "*" if rest == "-1" => Ok(Some(Reply::Nil)),
        "$" => {
            let length: usize = rest.parse()?;
            let Some(text) = bytes.get(*at..*at + length + 2) else { return Ok(None) };
            *at += length + 2;
            Ok(Some(Reply::Text(String::from_utf8_lossy(&text[..length]).into_owned())))
        }
        "*" => {
            let count: usize = rest.parse()?;
            let mut list = Vec::with_capacity(count);
            for _ in 0..count {
                let Some(part) = parse(bytes, at)? else { return Ok(None) };
                list.push(part);
            }
            Ok(Some(Reply::List(list)))
        }
        _ => bail!("no reply begins with {line:?}"),
    }
}

fn line<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a str> {
    let rest = &bytes[*at..];
    let end = rest.iter().position(|byte| *byte == b'\r').filter(|end| end + 1 < rest.len())?;
    *at += end + 2;
    std::str::from_utf8(&rest[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_once_all_of_it_has_arrived() {
        let bytes = b"*4\r\n$2\r\nok\r\n:-5\r\n*1\r\n+x\r\n$-1\r\n:7\r\n";
        let first = bytes.len() - 4;
        for length in 0..first {
            assert_eq!(parse(&bytes[..length], &mut 0).unwrap(), None, "{length} bytes");
        }
        let mut at = 0;
        let list =
            vec![Reply::Text("ok".into()), Reply::Integer(-5), Reply::List(vec![Reply::Text("x".into())]), Reply::Nil];
        assert_eq!(parse(bytes, &mut at).unwrap(), Some(Reply::List(list)));
        assert_eq!(parse(bytes, &mut at).unwrap(), Some(Reply::Integer(7)));
        assert!(parse(b"-ERR no\r\n", &mut 0).is_err());
    }

    #[test]
    fn a_command_says_how_long_each_word_is() {
        assert_eq!(encode(&["GET", "\u{e9}"]), "*2\r\n$3\r\nGET\r\n$2\r\n\u{e9}\r\n".as_bytes());
    }
}
