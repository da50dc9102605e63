//! What the scripts of a waiting room are meant to do, in the plainest words.

use std::collections::{BTreeMap, BTreeSet};

use super::room::{
    Admitted, Answer, CLOSED, EXHAUSTED, EXPIRED, INSIDE, Joined, Limits, NEVER, NO_PLACE, NOT_OPEN_YET, OF_LIFE,
    PASS_REQUIRED, PAUSED, SOLD_OUT, Status, Terms, WAITS,
};

/// Of a user who is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) number: i64,
    pub(super) deadline: i64,
    pub(super) is_picked_up: bool,
}

#[derive(Debug)]
struct Claim {
    user: String,
    attempt: String,
    is_live: bool,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) spec: Terms,
    pub(super) limits: Limits,
    pub(super) last_now: i64,
    pub(super) is_stopped: bool,
    pub(super) number: i64,
    /// Who ever joined, with their last number and whether they wait with it.
    pub(super) places: BTreeMap<String, (i64, bool)>,
    pub(super) inside: BTreeMap<String, Pass>,
    pub(super) departures: BTreeSet<i64>,
    /// The admissions by pace, as far as they count.
    pub(super) window: Vec<(i64, i64)>,
    pub(super) admitted_to: i64,
    pub(super) admitted: i64,
    pub(super) admitted_in_turn: i64,
    pub(super) no_shows: i64,
    pub(super) left_queue: i64,
    /// Lives that the room has had, and whether it is there.
    lives: i64,
    pub(super) is_there: bool,
    claims: Vec<Claim>,
}

/// How many these are.
pub(super) fn count<T>(of: impl IntoIterator<Item = T>) -> i64 {
    i64::try_from(of.into_iter().count()).unwrap()
}

impl Model {
    pub(super) fn new(spec: Terms, limits: Limits, now: i64) -> Self {
        Self {
            spec,
            limits,
            last_now: now,
            is_stopped: false,
            number: 0,
            places: BTreeMap::new(),
            inside: BTreeMap::new(),
            departures: BTreeSet::new(),
            window: Vec::new(),
            admitted_to: 0,
            admitted: 0,
            admitted_in_turn: 0,
            no_shows: 0,
            left_queue: 0,
            lives: 0,
            is_there: false,
            claims: Vec::new(),
        }
    }

    /// Time never runs back behind a decision.
    pub(super) fn now(&self, clock: i64) -> i64 {
        clock.max(self.last_now)
    }

    /// The room's life: the next one from when the last has gone.
    pub(super) fn life(&self) -> i64 {
        self.lives + i64::from(!self.is_there)
    }

    fn writes(&mut self, now: i64) {
        self.last_now = now;
        self.lives = self.life();
        self.is_there = true;
    }

    /// All that the room holds is gone.
    pub(super) fn vanish(&mut self) {
        let claims = std::mem::take(&mut self.claims);
        *self = Self { lives: self.lives, claims, ..Self::new(self.spec.clone(), self.limits, self.last_now) };
    }

    pub(super) fn left(&self) -> i64 {
        self.spec.stock - count(self.claims.iter().filter(|claim| claim.is_live))
    }

    pub(super) fn in_window(&self) -> i64 {
        self.window.iter().map(|(_, admitted)| admitted).sum()
    }

    /// The numbers at which people wait, the first first, with who does.
    pub(super) fn queue(&self) -> BTreeMap<i64, String> {
        let waiting = self.places.iter().filter(|(_, (_, waits))| *waits);
        waiting.map(|(user, (number, _))| (*number, user.clone())).collect()
    }

    pub(super) fn is_over(&self, now: i64) -> bool {
        self.spec.closed || now >= self.spec.closes_at
    }

    fn is_inside(&self, user: &str, now: i64) -> bool {
        self.inside.get(user).is_some_and(|pass| pass.deadline > now)
    }

    fn forget(&mut self, user: &str) {
        if let Some(pass) = self.inside.remove(user) {
            self.no_shows += i64::from(!pass.is_picked_up);
        }
    }

    /// Those whose time is over longest go first.
    fn expire(&mut self, now: i64) -> i64 {
        let overdue = self.inside.iter().filter(|(_, pass)| pass.deadline <= now);
        let overdue: BTreeSet<(i64, String)> = overdue.map(|(user, pass)| (pass.deadline, user.clone())).collect();
        let overdue: Vec<(i64, String)> = overdue.into_iter().take(self.limits.expire).collect();
        for (_, user) in &overdue {
            self.forget(user);
        }
        count(overdue)
    }

    fn new_number(&mut self, user: &str) -> i64 {
        self.number += 1;
        self.places.insert(user.to_owned(), (self.number, true));
        self.number
    }

    /// How many may enter for all but the pace.
    fn free(&self, now: i64) -> i64 {
        if self.is_over(now) || self.spec.paused || now < self.spec.opens_at || self.left() <= 0 {
            return 0;
        }
        let inside = count(&self.inside);
        let units = self.left() + self.spec.reserve - inside;
        if self.spec.active_max == 0 { units } else { units.min(self.spec.active_max - inside) }
    }

    fn enter(&mut self, user: &str, now: i64) {
        let (number, waits) = self.places.get_mut(user).unwrap();
        *waits = false;
        let deadline = now + self.spec.claim_pass_within_ms;
        self.inside.insert(user.to_owned(), Pass { number: *number, deadline, is_picked_up: false });
        self.admitted += 1;
    }

    fn admit_next(&mut self, now: i64) -> i64 {
        let queue = self.queue();
        let mut allow = self.free(now).min(i64::try_from(self.limits.admit).unwrap());
        if self.is_stopped || queue.is_empty() || allow <= 0 {
            return 0;
        }
        if self.spec.admit > 0 {
            self.window.retain(|(at, _)| *at > now - self.spec.every_ms);
            allow = allow.min(self.spec.admit - self.in_window());
        }
        let next: Vec<_> = queue.into_iter().take(usize::try_from(allow).unwrap_or_default()).collect();
        for (number, user) in &next {
            self.enter(user, now);
            self.admitted_to = *number;
        }
        let admitted = count(next);
        if self.spec.admit > 0 && admitted > 0 {
            self.window.push((now, admitted));
        }
        self.admitted_in_turn += admitted;
        admitted
    }

    pub(super) fn join(&mut self, users: &[String], clock: i64) -> Joined {
        let now = self.now(clock);
        let refused = if self.is_over(now) {
            "closed"
        } else if now < self.spec.opens_at {
            "not_open_yet"
        } else {
            "ok"
        };
        if refused != "ok" {
            return Joined { code: refused.to_owned(), admitted: 0, ended: 0, users: Vec::new() };
        }
        self.writes(now);
        let ended = self.expire(now);
        // Who is told how many are ahead: whose number is new, when it is named first.
        let mut is_new = Vec::new();
        for user in users {
            let before = self.places.get(user).copied();
            let has_one = before.is_some_and(|(_, waits)| waits || self.is_inside(user, now));
            let is_refused = before.is_none() && self.places.len() >= self.limits.places;
            is_new.push((!has_one && !is_refused, is_refused));
            if !has_one && !is_refused {
                self.forget(user);
                self.new_number(user);
            }
        }
        let admitted = self.admit_next(now);
        let queue = self.queue();
        let standings = users.iter().zip(is_new).map(|(user, (is_new, is_refused))| {
            if is_refused {
                return (NO_PLACE, 0, 0);
            }
            match self.look_at(user, now) {
                (WAITS, number, _) if is_new => (WAITS, number, count(queue.range(..number))),
                (WAITS, number, _) => (WAITS, number, -1),
                other => other,
            }
        });
        Joined { code: "ok".into(), admitted, ended, users: standings.collect() }
    }

    fn look_at(&mut self, user: &str, now: i64) -> Status {
        let Some((number, waits)) = self.places.get(user).copied() else { return NEVER };
        if waits {
            return (WAITS, number, 0);
        }
        let ttl = self.spec.pass_ttl_ms;
        let Some(pass) = self.inside.get_mut(user).filter(|pass| pass.deadline > now) else { return EXPIRED };
        if !pass.is_picked_up {
            (pass.is_picked_up, pass.deadline) = (true, now + ttl);
        }
        (INSIDE, pass.number, pass.deadline)
    }

    pub(super) fn look(&mut self, user: &str, clock: i64) -> Status {
        self.look_at(user, self.now(clock))
    }

    pub(super) fn leave(&mut self, user: &str, clock: i64) -> (String, i64, i64) {
        let now = self.now(clock);
        self.writes(now);
        let ended = self.expire(now);
        match self.places.get_mut(user) {
            Some((number, waits)) if *waits => {
                *waits = false;
                self.departures.insert(*number);
                self.left_queue += 1;
            }
            _ => {
                self.inside.remove(user);
            }
        }
        ("ok".into(), self.admit_next(now), ended)
    }

    pub(super) fn admit(&mut self, clock: i64) -> Admitted {
        let now = self.now(clock);
        let before = self.in_window();
        let ended = self.expire(now);
        let admitted = self.admit_next(now);
        if ended > 0 || admitted > 0 || self.in_window() != before {
            self.writes(now);
        }
        Admitted { entered: admitted, ended, waiting: count(self.queue()), inside: count(&self.inside), wanted: 0 }
    }

    pub(super) fn let_in(&mut self, user: &str, clock: i64) -> String {
        let now = self.now(clock);
        self.writes(now);
        self.expire(now);
        if self.is_inside(user, now) {
            return "unchanged".into();
        }
        self.forget(user);
        if self.free(now) <= 0 {
            return "full".into();
        }
        let waits_at = self.places.get(user).filter(|(_, waits)| *waits).map(|(number, _)| *number);
        let number = waits_at.unwrap_or_else(|| self.new_number(user));
        self.departures.insert(number);
        self.enter(user, now);
        "ok".into()
    }

    pub(super) fn stop(&mut self, is_stopped: bool, clock: i64) {
        self.writes(self.now(clock));
        self.is_stopped = is_stopped;
    }

    pub(super) fn claim(&mut self, requests: &[(String, String, i64)], clock: i64) -> Vec<Answer> {
        let now = self.now(clock);
        let answers = requests.iter().map(|(user, attempt, pass)| self.claim_one(user, attempt, *pass, now)).collect();
        if self.left() <= 0 {
            self.inside.clear();
        }
        answers
    }

    /// Checks come in this order: replay, state and window, limit, stock, pass.
    fn claim_one(&mut self, user: &str, attempt: &str, pass: i64, now: i64) -> Answer {
        let mine: Vec<(i64, &Claim)> = (1..).zip(&self.claims).filter(|(_, claim)| claim.user == user).collect();
        if let Some((number, _)) = mine.iter().find(|(_, claim)| claim.attempt == attempt) {
            return Answer::Replayed(*number);
        }
        if self.is_over(now) {
            return CLOSED;
        }
        if self.spec.paused {
            return PAUSED;
        }
        if now < self.spec.opens_at {
            return NOT_OPEN_YET;
        }
        let live: Vec<i64> = mine.iter().filter(|(_, claim)| claim.is_live).map(|(number, _)| *number).collect();
        let (held, ever) = (count(&live), count(mine));
        let has_pass = self.is_inside(user, now);
        if held >= self.spec.limit {
            if has_pass {
                self.inside.remove(user);
            }
            return Answer::Held(live);
        }
        if ever >= self.spec.user_max {
            return EXHAUSTED;
        }
        if self.left() <= 0 {
            return SOLD_OUT;
        }
        // One that does not say its life is of this one.
        let (of_life, pass) = (pass / OF_LIFE, pass % OF_LIFE);
        if !has_pass || self.inside[user].number != pass || (of_life != 0 && of_life != self.life()) {
            return PASS_REQUIRED;
        }
        self.claims.push(Claim { user: user.into(), attempt: attempt.into(), is_live: true });
        self.last_now = now;
        if held + 1 >= self.spec.limit {
            self.inside.remove(user);
        }
        Answer::Issued(count(&self.claims))
    }

    pub(super) fn give_back(&mut self, number: i64, clock: i64) -> String {
        let now = self.now(clock);
        let index = usize::try_from(number - 1).unwrap();
        let code = match self.claims.get_mut(index) {
            None => "not_found",
            Some(claim) if !claim.is_live => "unchanged",
            Some(claim) => {
                claim.is_live = false;
                self.last_now = now;
                "ok"
            }
        };
        code.into()
    }

    pub(super) fn put(&mut self, spec: &Terms, clock: i64) {
        if spec.stock != self.spec.stock {
            self.last_now = self.now(clock);
        }
        self.spec = spec.clone();
    }
}
