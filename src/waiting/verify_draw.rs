//! Was it fair? A draw recomputed from what is public: what was announced before, what was published after, and the list.

use std::io::{self, BufRead};

use serde::{Deserialize, Deserializer};
use thiserror::Error;

use super::draw::{Draw, ListHasher, seed_hash};
use crate::hex::from_hex;
use crate::ids::{CampaignId, UserId};

/// What `GET /v1/campaigns/{id}/draw` says. What is null is not public yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PublishedDraw {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// SHA-256 of the seed: announced before the list closes.
    seed_hash: Hash,
    /// The numbers that are drawn are 1 to this.
    #[serde(default)]
    n: Option<u64>,
    /// The hash of the closed list.
    #[serde(default)]
    list_hash: Option<Hash>,
    /// The seed: published after the hash of the list.
    #[serde(default)]
    seed: Option<Hash>,
}

/// 32 bytes in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hash([u8; 32]);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        from_hex(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// Why a draw could not be confirmed.
#[derive(Debug, Error)]
pub enum Unconfirmed {
    /// Another seed than was promised.
    #[error("the seed is not the one whose hash was announced")]
    Seed,
    /// A line that no list has.
    #[error("line {0} of the list is not a number above the one before it, a space and a user id")]
    Line(u64),
    /// A list with a number that was not drawn.
    #[error("the list ends with number {last}, but only 1 to {n} were drawn")]
    Length {
        /// The list's last number.
        last: u64,
        /// The published N.
        n: u64,
    },
    /// Another list than was drawn.
    #[error("the list is not the one whose hash was published")]
    List,
    /// It has not taken place.
    #[error("it is not drawn yet: the {0} is not published")]
    NotDrawn(&'static str),
    /// The list could not be read.
    #[error("the list could not be read: {0}")]
    Unreadable(#[from] io::Error),
}

impl Unconfirmed {
    /// Whether something was found to be wrong. Otherwise it could not be told.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        match self {
            Self::Seed | Self::Line(_) | Self::Length { .. } | Self::List => true,
            Self::NotDrawn(_) | Self::Unreadable(_) => false,
        }
    }
}

/// A draw that holds.
#[derive(Debug)]
pub struct Confirmed {
    /// The order.
    pub draw: Draw,
    /// How many users are on the list, if there was one to compare.
    pub users: Option<u64>,
}

impl PublishedDraw {
    /// Checks all that can be checked, the list too where one is given, and computes the order. Whatever is wrong is said
    /// even if something else is not public yet.
    pub fn confirm(&self, list: Option<impl BufRead>) -> Result<Confirmed, Unconfirmed> {
        if let Some(seed) = self.seed
            && seed_hash(&seed.0) != self.seed_hash.0
        {
            return Err(Unconfirmed::Seed);
        }
        let n = self.n.ok_or(Unconfirmed::NotDrawn("number of visitors"))?;
        let list_hash = self.list_hash.ok_or(Unconfirmed::NotDrawn("hash of the list"))?;
        let users = list.map(|list| users_of(list, n, &list_hash)).transpose()?;
        let seed = self.seed.ok_or(Unconfirmed::NotDrawn("seed"))?;
        Ok(Confirmed { draw: Draw::new(&seed.0, &list_hash.0, n), users })
    }
}

/// How many users are on the list, if it is the published one. N is the last number that was given before the list was
/// closed; who left before that has no line, so there may be gaps and N itself may have none.
fn users_of(list: impl BufRead, n: u64, published: &Hash) -> Result<u64, Unconfirmed> {
    let mut hasher = ListHasher::default();
    let (mut users, mut before) = (0, 0);
    for line in list.lines() {
        let line = line?;
        users += 1;
        let (number, user) = entry(&line).filter(|(number, _)| *number > before).ok_or(Unconfirmed::Line(users))?;
        hasher.add(number, user);
        before = number;
    }
    if before > n {
        return Err(Unconfirmed::Length { last: before, n });
    }
    if hasher.finish() != published.0 {
        return Err(Unconfirmed::List);
    }
    Ok(users)
}

fn entry(line: &str) -> Option<(u64, &str)> {
    let (number, user) = line.split_once(' ')?;
    UserId::recorded(user)?;
    Some((number.parse().ok()?, user))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::hex::to_hex;

    const SEED: [u8; 32] = [7; 32];
    /// Number 3 left before the draw.
    const LIST: &str = "1 alice\n2 bob the 2nd\n4 친구\n";

    /// As the route answers after the draw.
    fn published() -> Value {
        let mut list = ListHasher::default();
        for (number, user) in [(1, "alice"), (2, "bob the 2nd"), (4, "친구")] {
            list.add(number, user);
        }
        json!({
            "campaign_id": "WELCOME_001", "state": "drawn", "seed_hash": to_hex(&seed_hash(&SEED)),
            "draws_at": "2026-12-01T01:00:00.000Z", "n": 4, "list_hash": to_hex(&list.finish()),
            "seed": to_hex(&SEED), "drawn_at": "2026-12-01T01:00:00.120Z",
        })
    }

    fn with(name: &str, value: Value) -> PublishedDraw {
        let mut published = published();
        published[name] = value;
        serde_json::from_value(published).unwrap()
    }

    fn unconfirmed(published: &PublishedDraw, list: Option<&str>) -> Unconfirmed {
        published.confirm(list.map(str::as_bytes)).unwrap_err()
    }

    #[test]
    fn a_fair_draw_is_confirmed_with_and_without_its_list() {
        let published: PublishedDraw = serde_json::from_value(published()).unwrap();
        let confirmed = published.confirm(Some(LIST.as_bytes())).unwrap();
        assert_eq!(confirmed.users, Some(3));
        let Hash(list_hash) = published.list_hash.unwrap();
        assert_eq!(confirmed.draw.order(), Draw::new(&SEED, &list_hash, 4).order());
        assert_eq!(published.confirm(None::<&[u8]>).unwrap().users, None);
        // As editors on other systems leave it: the end of the last line, or of each, is no part of a user's id.
        for list in [LIST.trim_end().to_owned(), LIST.replace('\n', "\r\n")] {
            assert_eq!(published.confirm(Some(list.as_bytes())).unwrap().users, Some(3));
        }
    }

    #[test]
    fn another_seed_than_was_announced_is_found() {
        let reason = unconfirmed(&with("seed", json!("08".repeat(32))), None);
        assert!(matches!(reason, Unconfirmed::Seed) && reason.is_broken());
        // Whatever else is missing.
        let mut published = with("seed", json!("08".repeat(32)));
        (published.n, published.list_hash) = (None, None);
        assert!(matches!(super::tests::unconfirmed(&published, None), Unconfirmed::Seed));
    }

    #[test]
    fn another_list_than_was_drawn_is_found_before_the_seed_is_known_too() {
        for seed in [json!(to_hex(&SEED)), json!(null)] {
            let published = with("seed", seed);
            for list in [
                LIST.replace("alice", "mallory"),
                LIST.replace("2 bob", "3 bob"),
                LIST.replace("2 bob the 2nd\n", ""),
                LIST.replace("2nd", "2nd "),
            ] {
                let reason = unconfirmed(&published, Some(&list));
                assert!(matches!(reason, Unconfirmed::List) && reason.is_broken(), "{list}");
            }
        }
    }

    #[test]
    fn a_list_may_end_before_the_last_number_but_not_behind_it() {
        let confirmed = with("n", json!(5)).confirm(Some(LIST.as_bytes())).unwrap();
        assert_eq!((confirmed.users, confirmed.draw.n()), (Some(3), 5));
        let reason = unconfirmed(&with("n", json!(3)), Some(LIST));
        assert!(matches!(reason, Unconfirmed::Length { last: 4, n: 3 }) && reason.is_broken(), "{reason}");
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let mut published = with("list_hash", json!(to_hex(&ListHasher::default().finish())));
        for n in [0, 2] {
            published.n = Some(n);
            assert_eq!(published.confirm(Some("".as_bytes())).unwrap().users, Some(0));
        }
        assert!(matches!(unconfirmed(&published, Some(LIST)), Unconfirmed::Length { last: 4, n: 2 }));
    }

    #[test]
    fn a_text_that_is_no_list_is_refused_with_its_line() {
        let published = with("n", json!(4));
        for (line, list) in [
            (1, "0 nobody\n"),
            (1, "alice\n"),
            (1, "x alice\n"),
            (1, "1 \n"),
            (2, "1 alice\n1 alice\n"),
            (3, "1 alice\n4 bob\n2 carol\n"),
            (2, "1 alice\n\n2 bob\n"),
            (1, "1 a\tb\n"),
        ] {
            let reason = unconfirmed(&published, Some(list));
            assert!(matches!(reason, Unconfirmed::Line(at) if at == line) && reason.is_broken(), "{list:?}: {reason}");
        }
    }

    #[test]
    fn what_is_not_public_yet_cannot_be_told() {
        let announced: PublishedDraw = serde_json::from_value(json!({
            "campaign_id": "WELCOME_001", "state": "announced", "seed_hash": to_hex(&seed_hash(&SEED)),
            "draws_at": "2026-12-01T01:00:00.000Z", "n": null, "list_hash": null, "seed": null, "drawn_at": null,
        }))
        .unwrap();
        for published in [announced, with("n", json!(null)), with("list_hash", json!(null)), with("seed", json!(null))]
        {
            let reason = unconfirmed(&published, Some(LIST));
            assert!(matches!(reason, Unconfirmed::NotDrawn(_)) && !reason.is_broken(), "{reason}");
        }
        let not_utf8: &[u8] = b"1 \xff\n";
        let reason = with("n", json!(4)).confirm(Some(not_utf8)).unwrap_err();
        assert!(matches!(reason, Unconfirmed::Unreadable(_)) && !reason.is_broken());
    }

    #[test]
    fn a_document_of_another_form_is_none() {
        for (name, value) in [
            ("seed_hash", json!(null)),
            ("seed_hash", json!("abc")),
            ("seed", json!(7)),
            ("n", json!(-1)),
            ("campaign_id", json!("")),
        ] {
            let mut published = published();
            published[name] = value;
            assert!(serde_json::from_value::<PublishedDraw>(published).is_err(), "{name}");
        }
    }
}
