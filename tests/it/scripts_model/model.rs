//! What the scripts are meant to do, in the plainest words.

use std::collections::{BTreeMap, BTreeSet};

use onrush::facts::Kind;

use super::store::Row;
use super::{CLOSES_AT, OPENS_AT, OUTBOX_MAX, USER_MAX_FACTOR, strength};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModelClaim {
    pub(super) user: String,
    pub(super) attempt: String,
    pub(super) at: i64,
    pub(super) state: char,
    pub(super) kept: &'static str,
    /// The calls that have redeemed it, and those that have undone that.
    pub(super) redeemed_by: BTreeSet<String>,
    pub(super) undone_by: BTreeSet<String>,
    pub(super) redeemed_at: Option<i64>,
}

/// A campaign.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// What the campaign asks for.
    pub(super) asked: &'static str,
    pub(super) stock: i64,
    pub(super) limit: usize,
    pub(super) paused: bool,
    pub(super) closed: bool,
    pub(super) version: i64,
    pub(super) claims: BTreeMap<u64, ModelClaim>,
    /// User and attempt.
    pub(super) cancelled: BTreeSet<(String, String)>,
    pub(super) facts: Vec<(Kind, i64, Option<u64>)>,
    pub(super) outbox: usize,
    /// The time of the last decision; no later decision is earlier.
    pub(super) last_now: i64,
}

impl Model {
    pub(super) fn left(&self) -> i64 {
        self.stock - i64::try_from(self.claims.values().filter(|claim| claim.state != 'g').count()).unwrap()
    }

    fn fact(&mut self, kind: Kind, change: i64, number: Option<u64>, now: i64) {
        self.facts.push((kind, change, number));
        self.outbox += 1;
        self.last_now = now;
    }

    pub(super) fn shown(&self, number: u64) -> String {
        let claim = &self.claims[&number];
        let kept = if claim.kept.is_empty() { String::new() } else { format!("\u{1f}{}", claim.kept) };
        let ModelClaim { user, at, attempt, state, .. } = claim;
        format!("{number}\u{1f}{user}\u{1f}{at}\u{1f}{attempt}\u{1f}{state}\u{1f}1{kept}")
    }

    pub(super) fn claim(&mut self, requests: &[(String, String)], now: i64) -> Vec<String> {
        let now = now.max(self.last_now);
        requests.iter().map(|(user, attempt)| self.claim_one(user, attempt, now)).collect()
    }

    fn claim_one(&mut self, user: &str, attempt: &str, now: i64) -> String {
        let mine = || self.claims.iter().filter(|(_, claim)| claim.user == user);
        if let Some((number, _)) = mine().find(|(_, claim)| claim.attempt == attempt) {
            return format!("r\u{1e}{}", self.shown(*number));
        }
        if self.cancelled.contains(&(user.to_owned(), attempt.to_owned())) {
            return "-7".into();
        }
        if self.closed || now >= CLOSES_AT {
            return "-3".into();
        }
        if self.paused {
            return "-2".into();
        }
        if now < OPENS_AT {
            return "-1".into();
        }
        let live: Vec<String> =
            mine().filter(|(_, claim)| claim.state != 'g').map(|(number, _)| self.shown(*number)).collect();
        if live.len() >= self.limit {
            return format!("h\u{1e}{}", live.join("\u{1e}"));
        }
        if self.ever(user) >= self.limit * USER_MAX_FACTOR {
            return "-4".into();
        }
        if self.left() <= 0 {
            return "0".into();
        }
        if self.outbox >= OUTBOX_MAX {
            return "-5".into();
        }
        let number = self.claims.len() as u64 + 1;
        let claim = ModelClaim {
            user: user.into(),
            attempt: attempt.into(),
            at: now,
            state: 'l',
            kept: self.asked,
            redeemed_by: BTreeSet::new(),
            undone_by: BTreeSet::new(),
            redeemed_at: None,
        };
        self.claims.insert(number, claim);
        self.fact(Kind::Claimed, -1, Some(number), now);
        number.to_string()
    }

    pub(super) fn give_back(&mut self, number: u64, as_user: Option<&str>, now: i64) -> &'static str {
        let Some(claim) = self.claims.get_mut(&number) else { return "not_found" };
        if as_user.is_some_and(|user| user != claim.user) {
            return "not_found";
        }
        match claim.state {
            'r' => "already_redeemed",
            'g' => "unchanged",
            _ if self.outbox >= OUTBOX_MAX => "outbox_full",
            _ => {
                claim.state = 'g';
                self.fact(Kind::GivenBack, 1, Some(number), now.max(self.last_now));
                "ok"
            }
        }
    }

    /// All that the user ever asked for, by their own doing.
    fn ever(&self, user: &str) -> usize {
        let claimed = self.claims.values().filter(|claim| claim.user == user).count();
        claimed + self.cancelled.iter().filter(|(of, _)| of == user).count()
    }

    pub(super) fn cancel(&mut self, user: &str, attempt: &str, now: i64) -> &'static str {
        if self.claims.values().any(|claim| claim.user == user && claim.attempt == attempt) {
            return "claimed";
        }
        let key = (user.to_owned(), attempt.to_owned());
        if self.cancelled.contains(&key) {
            return "unchanged";
        }
        if self.ever(user) >= self.limit * USER_MAX_FACTOR {
            return "claims_exhausted";
        }
        if self.outbox >= OUTBOX_MAX {
            return "outbox_full";
        }
        self.cancelled.insert(key);
        self.fact(Kind::Cancelled, 0, None, now.max(self.last_now));
        "ok"
    }

    /// The code, and when the coupon was used, '' if it is not.
    pub(super) fn redeem(&mut self, number: u64, call: &str, now: i64) -> String {
        let now = now.max(self.last_now);
        let outbox_full = self.outbox >= OUTBOX_MAX;
        let Some(claim) = self.claims.get_mut(&number) else { return "not_found".into() };
        let code = match claim.state {
            _ if claim.redeemed_by.contains(call) => "replayed",
            'r' => "already_redeemed",
            'g' => "given_back",
            _ if outbox_full => return "outbox_full".into(),
            _ => {
                (claim.state, claim.redeemed_at) = ('r', Some(now));
                claim.redeemed_by.insert(call.to_owned());
                self.fact(Kind::Redeemed, 0, Some(number), now);
                "ok"
            }
        };
        self.said(code, number)
    }

    pub(super) fn unredeem(&mut self, number: u64, call: &str, now: i64) -> String {
        let now = now.max(self.last_now);
        let outbox_full = self.outbox >= OUTBOX_MAX;
        let Some(claim) = self.claims.get_mut(&number) else { return "not_found".into() };
        let code = match claim.state {
            'g' => "given_back",
            'l' => "unchanged",
            _ if claim.undone_by.contains(call) => "unchanged",
            _ if outbox_full => return "outbox_full".into(),
            _ => {
                (claim.state, claim.redeemed_at) = ('l', None);
                claim.undone_by.insert(call.to_owned());
                self.fact(Kind::Unredeemed, 0, Some(number), now);
                "ok"
            }
        };
        self.said(code, number)
    }

    fn said(&self, code: &str, number: u64) -> String {
        let at = self.claims[&number].redeemed_at;
        format!("{code} {}", at.map_or_else(String::new, |at| at.to_string())).trim_end().to_owned()
    }

    pub(super) fn weaken(&mut self, number: u64, kept: &'static str) -> &'static str {
        let Some(claim) = self.claims.get_mut(&number) else { return "0" };
        if strength(kept) >= strength(claim.kept) {
            return "0";
        }
        claim.kept = kept;
        "1"
    }

    pub(super) fn put(&mut self, row: &Row, now: i64) -> &'static str {
        if row.version <= self.version {
            return "unchanged";
        }
        let change = row.stock - self.stock;
        if change < 0 && (now.max(self.last_now) >= OPENS_AT || self.left() + change < 0) {
            return "stock_cannot_shrink";
        }
        if change != 0 && self.outbox >= OUTBOX_MAX {
            return "outbox_full";
        }
        (self.stock, self.limit, self.paused, self.closed, self.version) =
            (row.stock, row.limit, row.paused, row.closed, row.version);
        if change != 0 {
            let kind = if change > 0 { Kind::StockRaised } else { Kind::StockLowered };
            self.fact(kind, change, None, now.max(self.last_now));
        }
        "ok"
    }
}
