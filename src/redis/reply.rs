//! What a script answers, as far as all scripts of a campaign answer alike.

use super::error::RedisError;
use super::value::Value;
use crate::clock::Millis;

/// A script's reply: its code, what is true of the campaign now, and what the script adds.
#[derive(Debug)]
pub struct Reply {
    /// A word of the closed set in the script's header.
    pub code: String,
    /// Absent with the codes that say nothing of the campaign (`lost`, `not_found`, ...).
    pub head: Option<Head>,
    /// What comes after the head; without a head, all that comes after the code.
    pub rest: Vec<Value>,
}

/// What is true of a campaign at the moment of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The moment, by Redis' clock.
    pub now: Millis,
    /// Lives of the campaign in Redis, from 1.
    pub generation: u32,
    /// One more at each change that may end a refusal.
    pub epoch: u64,
    /// Facts that were ever written.
    pub fact_no: u64,
    /// Units that nobody holds.
    pub left: u64,
    /// Facts that waited in the outbox before this call.
    pub outbox_facts_before: u64,
}

impl Reply {
    /// Takes a script's answer apart.
    pub fn parse(value: Value) -> Result<Self, RedisError> {
        let unexpected = || RedisError::Unexpected("a reply that is no list with a code first".into());
        let Value::Array(parts) = value else { return Err(unexpected()) };
        let mut parts = parts.into_iter();
        let code = parts.next().and_then(Value::into_string).ok_or_else(unexpected)?;
        let mut rest: Vec<Value> = parts.collect();
        let numbers: Vec<u64> = rest.iter().take(6).map_while(Value::as_u64).collect();
        let [now, generation, epoch, fact_no, left, outbox_facts_before] = numbers[..] else {
            return Ok(Self { code, head: None, rest });
        };
        let too_large = |_| RedisError::Unexpected("a generation or a time beyond its range".into());
        let head = Head {
            now: Millis(i64::try_from(now).map_err(too_large)?),
            generation: u32::try_from(generation).map_err(too_large)?,
            epoch,
            fact_no,
            left,
            outbox_facts_before,
        };
        rest.drain(..6);
        Ok(Self { code, head: Some(head), rest })
    }

    /// The head, of a code that always has one.
    pub fn head(&self) -> Result<Head, RedisError> {
        self.head.ok_or_else(|| RedisError::Unexpected(format!("{:?} without its head", self.code)))
    }

    /// The code is none of the script's closed set.
    #[must_use]
    pub fn unknown_code(&self) -> RedisError {
        RedisError::Unexpected(format!("the code {:?}", self.code))
    }
}
