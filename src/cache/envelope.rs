//! How does an entry travel? As JSON, compressed where it pays, behind the times that Redis' clock gave it.
//!
//! In Redis: 13 digits "fresh until", 13 digits "made at" (both in ms, written by the script), then the payload: one
//! byte that says what follows (`-` nothing: there is no such thing; `j` JSON; `z` its length in four bytes, little end
//! first, and JSON as zstd).

use std::borrow::Cow;
use std::cell::RefCell;

use bytes::Bytes;

use crate::config;

const DIGITS: usize = 13;
const ABSENT: u8 = b'-';
const JSON: u8 = b'j';
const ZSTD: u8 = b'z';
const LENGTH_BYTES: usize = 4;

/// An entry as Redis has it, and what time it was there.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) now_ms: i64,
    pub(super) fresh_until_ms: i64,
    pub(super) made_at_ms: i64,
    value: Bytes,
}

impl Kept {
    /// `None`: this was not written by us.
    pub(super) fn open(now_ms: i64, value: Bytes) -> Option<Self> {
        let number = |from: usize| std::str::from_utf8(value.get(from..from + DIGITS)?).ok()?.parse::<i64>().ok();
        let (fresh_until_ms, made_at_ms) = (number(0)?, number(DIGITS)?);
        Some(Self { now_ms, fresh_until_ms, made_at_ms, value })
    }

    /// For how long it still is, in ms; 0: no more.
    pub(super) fn fresh_ms(&self) -> u64 {
        u64::try_from(self.fresh_until_ms - self.now_ms).unwrap_or(0)
    }

    /// Whether one that is fresh no more may still be said where nothing better can be.
    pub(super) fn is_of_use(&self, stale_ms: u64) -> bool {
        i64::try_from(stale_ms).is_ok_and(|stale_ms| self.now_ms < self.fresh_until_ms.saturating_add(stale_ms))
    }

    /// Whether so much of its time is over.
    pub(super) fn is_over(&self, percent: u64) -> bool {
        let since_made = |ms: i64| u64::try_from(ms - self.made_at_ms).unwrap_or(0);
        since_made(self.now_ms).saturating_mul(100) >= since_made(self.fresh_until_ms).saturating_mul(percent)
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.value[2 * DIGITS..]
    }
}

/// How entries are packed.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    compress_bytes_min: usize,
    level: i32,
    value_bytes_max: usize,
}

/// What a payload says.
#[derive(Debug, PartialEq, Eq)]
pub enum Unpacked<'a> {
    /// There is no such thing.
    Absent,
    /// This, as JSON.
    Json(Cow<'a, [u8]>),
}

thread_local! {
    // Each has some hundred kilobytes of tables that it would else make anew for each entry.
    static COMPRESSOR: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

impl Packing {
    /// As it is set.
    #[must_use]
    pub fn new(settings: &config::Cache) -> Self {
        Self {
            compress_bytes_min: settings.compress_bytes_min,
            level: settings.compress_level,
            value_bytes_max: settings.value_bytes_max,
        }
    }

    /// The payload of this JSON, or of "there is no such thing". `None`: it is too large to be kept.
    #[must_use]
    pub fn pack(&self, json: Option<&[u8]>) -> Option<Vec<u8>> {
        let Some(json) = json else { return Some(vec![ABSENT]) };
        if json.len() > self.value_bytes_max {
            return None;
        }
        if json.len() >= self.compress_bytes_min
            && let Some(packed) = compress(json, self.level)
            && packed.len() + LENGTH_BYTES < json.len()
        {
            let length = u32::try_from(json.len()).ok()?.to_le_bytes();
            return Some([&[ZSTD][..], &length, &packed].concat());
        }
        Some([&[JSON][..], json].concat())
    }

    /// What a payload says; `None` if this program does not understand it.
    #[must_use]
    pub fn unpack<'a>(&self, payload: &'a [u8]) -> Option<Unpacked<'a>> {
        match payload.split_first()? {
            (&ABSENT, _) => Some(Unpacked::Absent),
            (&JSON, json) => Some(Unpacked::Json(Cow::Borrowed(json))),
            (&ZSTD, rest) => {
                let (length, packed) = rest.split_first_chunk::<LENGTH_BYTES>()?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                if length > self.value_bytes_max {
                    return None;
                }
                Some(Unpacked::Json(Cow::Owned(decompress(packed, length)?)))
            }
            _ => None,
        }
    }
}

fn compress(json: &[u8], level: i32) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        if kept.as_ref().is_none_or(|(of, _)| *of != level) {
            *kept = Some((level, zstd::bulk::Compressor::new(level).ok()?));
        }
        kept.as_mut()?.1.compress(json).ok()
    })
}

fn decompress(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Some(zstd::bulk::Decompressor::new().ok()?);
        }
        let json = kept.as_mut()?.decompress(packed, length).ok()?;
        (json.len() == length).then_some(json)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKING: Packing = Packing { compress_bytes_min: 64, level: 1, value_bytes_max: 4_096 };

    #[test]
    fn what_was_packed_is_unpacked_whatever_its_size() {
        for length in [0, 1, 63, 64, 65, 4_096] {
            let json: Vec<u8> = b"{\"title\":\"coupon\"}".iter().copied().cycle().take(length).collect();
            let payload = PACKING.pack(Some(&json)).unwrap();
            assert_eq!(payload[0] == ZSTD, length >= 64, "{length}");
            assert!(payload.len() <= length + 1, "{length}");
            assert_eq!(PACKING.unpack(&payload), Some(Unpacked::Json(Cow::Borrowed(&json[..]))), "{length}");
        }
        assert_eq!(PACKING.unpack(&PACKING.pack(None).unwrap()), Some(Unpacked::Absent));
        assert_eq!(PACKING.pack(Some(&[b' '; 4_097])), None);
    }

    #[test]
    fn what_does_not_get_smaller_is_left_as_it_is() {
        let noise: Vec<u8> = (0..200).map(|_| rand::random()).collect();
        assert_eq!(PACKING.pack(Some(&noise)).unwrap()[0], JSON);
    }

    #[test]
    fn what_another_program_wrote_is_nothing() {
        for payload in [&b""[..], b"x", b"z", b"z\x01\0\0", b"z\x01\0\0\0not zstd", b"z\xff\xff\xff\xff"] {
            assert_eq!(PACKING.unpack(payload), None, "{payload:?}");
        }
        let mut shorter = PACKING.pack(Some(&[b'1'; 100])).unwrap();
        shorter[1] = 99;
        assert_eq!(PACKING.unpack(&shorter), None);
        for value in ["", "1700000000000", "17000000000001700000000x00-", "-"] {
            assert!(Kept::open(0, Bytes::from(value)).is_none(), "{value}");
        }
    }

    #[test]
    fn an_entry_is_fresh_then_of_use_then_nothing() {
        let at = |now_ms| Kept::open(now_ms, Bytes::from_static(b"00000000020000000000001000-")).unwrap();
        assert_eq!((at(1_999).fresh_ms(), at(2_000).fresh_ms(), at(9_000).fresh_ms()), (1, 0, 0));
        assert!(at(2_499).is_of_use(500) && !at(2_500).is_of_use(500));
        assert!(!at(1_799).is_over(80) && at(1_800).is_over(80));
        assert_eq!(at(0).payload(), b"-");
    }
}
