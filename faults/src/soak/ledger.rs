//! What was promised of one campaign? Kept as long as the campaign is on the board, and compared with the rows of the
//! database when it is off it: counts and sets, and no request.
//!
//! - A unit is promised once, and never more of them at a time than there are.
//! - A key has one answer.
//! - Each promise is a row; each row was promised, or may have been without anybody's having heard of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::oracle::{Id, Row, parse_id};

/// What a claim is told by: the client's place, and the client's own number of it, which is also its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attempt {
    pub(super) user: usize,
    pub(super) number: u64,
    pub(super) has_key: bool,
}

impl Attempt {
    pub(super) fn key(self) -> String {
        format!("{}-{}", self.user, self.number)
    }
}

/// The name of a client that is well-behaved.
pub(super) fn name_of(user: usize) -> String {
    format!("good-{user}")
}

/// Those whose claims nobody hears of: their rows need no promise.
pub(super) const DEAF: [&str; 2] = ["absent-", "rubbish-"];

/// A unit that a client was promised.
#[derive(Debug, Clone)]
struct Promise {
    id: Id,
    coupon: String,
    asked_back: bool,
    given_back: bool,
}

#[derive(Debug, Default)]
struct Tried {
    /// It may have happened, and nobody heard so.
    maybe: bool,
    promise: Option<Promise>,
}

#[derive(Default)]
struct State {
    tries: HashMap<usize, HashMap<u64, Tried>>,
    numbers: HashSet<Id>,
    /// Units that are promised and that nobody has asked to take back.
    live: u64,
    /// Refusals because nothing was left.
    sold_out: u64,
    is_closing: bool,
    is_over: bool,
}

/// One campaign.
pub(super) struct Ledger {
    pub(super) id: String,
    pub(super) stock: u64,
    pub(super) limit: usize,
    /// Whether one waits before one claims.
    pub(super) has_room: bool,
    state: Mutex<State>,
}

impl Ledger {
    pub(super) fn new(id: String, stock: u64, limit: usize, has_room: bool) -> Self {
        Self { id, stock, limit, has_room, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it may be closed.
    pub(super) fn is_about_to_close(&self) {
        self.state().is_closing = true;
    }

    pub(super) fn may_be_closed(&self) -> bool {
        self.state().is_closing
    }

    /// Nobody asks for it any more.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over
    }

    pub(super) fn end(&self) {
        self.state().is_over = true;
    }

    /// Claims that were promised.
    pub(super) fn promised(&self) -> usize {
        self.state().numbers.len()
    }

    /// A claim is about to be sent: it may happen from now on.
    pub(super) fn ask(&self, attempt: Attempt) {
        let mut state = self.state();
        let tried = state.tries.entry(attempt.user).or_default().entry(attempt.number).or_default();
        tried.maybe = tried.promise.is_none();
    }

    /// A claim was refused, and it was the first time that it was sent: it has not happened.
    pub(super) fn refused(&self, attempt: Attempt) {
        let mut state = self.state();
        if let Some(tries) = state.tries.get_mut(&attempt.user)
            && tries.get(&attempt.number).is_some_and(|tried| tried.promise.is_none())
        {
            tries.remove(&attempt.number);
        }
    }

    pub(super) fn was_sold_out(&self) {
        self.state().sold_out += 1;
    }

    /// A claim was granted by this answer. What is wrong with that.
    pub(super) fn granted(&self, attempt: Attempt, replayed: bool, body: &Value) -> Result<(), (&'static str, String)> {
        let text = |member: &str| body[member].as_str().unwrap_or_default();
        let (coupon, claim_id) = (text("coupon_code").to_owned(), text("claim_id"));
        let Some(id) = parse_id(claim_id).filter(|(_, number)| body["number"].as_u64() == Some(*number)) else {
            return Err(("claim: a claim without an id", body.to_string()));
        };
        if text("user_id") != name_of(attempt.user) || text("campaign_id") != self.id || coupon.is_empty() {
            return Err(("claim: the claim of another", format!("{attempt:?}: {body}")));
        }
        let mut state = self.state();
        let tried = state.tries.entry(attempt.user).or_default().entry(attempt.number).or_default();
        tried.maybe = false;
        if let Some(promise) = &tried.promise {
            if promise.id != id || promise.coupon != coupon {
                return Err(("claim: two answers to a key", format!("{promise:?}, and then {body}")));
            }
            if !replayed {
                return Err(("claim: a replay that does not say so", format!("{attempt:?}: {body}")));
            }
            let state_now = if promise.given_back { "given_back" } else { text("state") };
            let is_state = text("state") == state_now && (promise.asked_back || state_now == "live");
            return is_state.then_some(()).ok_or_else(|| ("claim: a replay with another state", body.to_string()));
        }
        tried.promise = Some(Promise { id, coupon, asked_back: false, given_back: false });
        if !state.numbers.insert(id) {
            return Err(("claim: a unit sold twice", format!("{attempt:?}: {body}")));
        }
        state.live += 1;
        if state.live > self.stock {
            return Err(("claim: oversold", format!("{} of {} are promised in {}", state.live, self.stock, self.id)));
        }
        let held = state.tries[&attempt.user].values().filter_map(|tried| tried.promise.as_ref());
        let held = held.filter(|promise| !promise.asked_back).count();
        if held > self.limit {
            return Err(("claim: more than the limit", format!("{attempt:?} has {held} of {}", self.id)));
        }
        Ok(())
    }

    /// Whether it can be right that this user holds the limit.
    pub(super) fn may_hold_limit(&self, user: usize, refused: Attempt) -> bool {
        let state = self.state();
        let Some(tries) = state.tries.get(&user) else { return false };
        let others = tries.iter().filter(|(number, _)| **number != refused.number);
        let held = others.filter(|(_, tried)| tried.maybe || tried.promise.as_ref().is_some_and(|it| !it.given_back));
        held.count() >= self.limit
    }

    /// The numbers that this user holds for sure.
    pub(super) fn held(&self, user: usize) -> Vec<u64> {
        let state = self.state();
        let tries = state.tries.get(&user).into_iter().flat_map(HashMap::values);
        let promises = tries.filter_map(|tried| tried.promise.as_ref()).filter(|promise| !promise.asked_back);
        promises.map(|promise| promise.id.1).collect()
    }

    /// A unit is about to be given back.
    pub(super) fn ask_back(&self, attempt: Attempt) {
        let mut state = self.state();
        let promise = state.tries.get_mut(&attempt.user).and_then(|tries| tries.get_mut(&attempt.number));
        if let Some(promise) = promise.and_then(|tried| tried.promise.as_mut())
            && !std::mem::replace(&mut promise.asked_back, true)
        {
            state.live = state.live.saturating_sub(1);
        }
    }

    /// That is confirmed.
    pub(super) fn given_back(&self, attempt: Attempt) {
        let mut state = self.state();
        let tried = state.tries.get_mut(&attempt.user).and_then(|tries| tries.get_mut(&attempt.number));
        if let Some(promise) = tried.and_then(|tried| tried.promise.as_mut()) {
            promise.given_back = true;
        }
    }

    /// Compares it with the rows, when everything has arrived; then it forgets what it knew.
    pub(super) fn judge(&self, rows: &[Row]) -> Vec<(&'static str, String)> {
        let state =
            std::mem::replace(&mut *self.state(), State { is_closing: true, is_over: true, ..State::default() });
        let mut wrong = state.against(rows, self.limit);
        let live = rows.iter().filter(|row| !row.is_given_back).count() as u64;
        if live > self.stock {
            wrong.push(("rows: oversold", format!("{live} rows are live, and the stock is {}", self.stock)));
        }
        if state.sold_out > 0 && (rows.len() as u64) < self.stock {
            let (refusals, rows, stock) = (state.sold_out, rows.len(), self.stock);
            wrong.push(("rows: wrongly sold out", format!("{refusals} refusals, and {rows} of {stock} were claimed")));
        }
        wrong.into_iter().map(|(kind, what)| (kind, format!("{}: {what}", self.id))).collect()
    }
}

impl State {
    fn against(&self, rows: &[Row], limit: usize) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mut by_id: HashMap<Id, &Row> = HashMap::new();
        let mut held: HashMap<&str, usize> = HashMap::new();
        for row in rows {
            if by_id.insert((row.generation, row.number), row).is_some() {
                wrong.push(("rows: a number twice", format!("{row:?}")));
            }
            let held = held.entry(&row.user).or_default();
            *held += usize::from(!row.is_given_back);
            if *held > limit {
                wrong.push(("rows: more than the limit", format!("{row:?}")));
            }
        }
        for (user, tries) in &self.tries {
            let name = name_of(*user);
            for promise in tries.values().filter_map(|tried| tried.promise.as_ref()) {
                match by_id.get(&promise.id) {
                    Some(row) if row.user == name && row.is_claimed => {
                        if promise.given_back && !row.is_given_back || row.is_given_back && !promise.asked_back {
                            wrong.push(("rows: a give-back that is not so", format!("{promise:?} and {row:?}")));
                        }
                    }
                    row => wrong.push(("rows: promised and not issued", format!("{name}: {promise:?} and {row:?}"))),
                }
            }
        }
        for (id, row) in &by_id {
            let is_heard = !DEAF.iter().any(|prefix| row.user.starts_with(prefix));
            let user = row.user.strip_prefix("good-").and_then(|user| user.parse::<usize>().ok());
            let tries = user.and_then(|user| self.tries.get(&user)).into_iter().flat_map(HashMap::values);
            let explains = |tried: &Tried| tried.maybe || tried.promise.as_ref().is_some_and(|it| it.id == *id);
            if is_heard && !tries.into_iter().any(explains) {
                wrong.push(("rows: issued to nobody", format!("{row:?}")));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests;
