//! Claims, replays, one's own claims, give-backs.

use std::sync::Arc;

use super::{Ask, Good, REMEMBERED_MAX};
use crate::soak::board::Kind;
use crate::soak::ledger::{Attempt, Ledger};
use crate::soak::sky::Needs;
use crate::soak::wire::Answer;

/// Of a hundred claims so many come with a key.
const KEY_PERCENT: u64 = 75;

impl Good {
    pub(super) fn next_attempt(&mut self, has_key: bool) -> Attempt {
        self.tries += 1;
        Attempt { user: self.user, number: self.tries, has_key }
    }

    /// Submits a claim to one of the campaigns.
    pub(super) async fn submit(&mut self) {
        let kind = match self.draw.number(0..100) {
            0..60 => Kind::Plenty,
            60..90 => Kind::Scarce,
            // Without a pass.
            _ => Kind::Room,
        };
        let stage = Arc::clone(&self.stage);
        let Some(ledger) = stage.board.pick(&mut self.draw, kind) else { return };
        let has_key = self.draw.percent(KEY_PERCENT);
        let attempt = self.next_attempt(has_key);
        self.claim(&ledger, attempt, None, false).await;
    }

    /// One claim. `repeats`: the same was sent before, and not answered.
    pub(super) async fn claim(&mut self, ledger: &Arc<Ledger>, attempt: Attempt, pass: Option<&str>, repeats: bool) {
        let mut ask = Ask::post("claim", format!("/v1/campaigns/{}/claims", ledger.id));
        if attempt.has_key {
            ask = ask.with("Idempotency-Key", attempt.key());
        }
        if let Some(pass) = pass {
            ask = ask.with("Onrush-Pass", pass.to_owned());
        }
        ledger.ask(attempt);
        let Some(answer) = self.ask(ask).await else {
            if attempt.has_key {
                self.unknown = Some((Arc::clone(ledger), attempt));
            }
            return;
        };
        if answer.status == 201 {
            self.granted(ledger, attempt, &answer);
            return;
        }
        let is_right = match (answer.status, answer.text("code")) {
            (409, "sold_out") => {
                ledger.was_sold_out();
                true
            }
            (409, "limit_reached") => {
                ledger.may_hold_limit(self.user, attempt) && self.are_own_claims(ledger, &answer.body["claims"])
            }
            (410, "closed") => ledger.may_be_closed(),
            // Of a campaign without a waiting room nobody asks for a pass, and who has one is let in. After a claim whose
            // outcome was unknown it is sent again without one.
            (403, "pass_required") => ledger.has_room && pass.is_none(),
            _ => false,
        };
        if !is_right {
            self.complain("claim: a wrong refusal", &format!("{attempt:?}, pass {}", pass.is_some()), &answer);
        }
        if !repeats {
            ledger.refused(attempt);
        }
    }

    fn granted(&mut self, ledger: &Arc<Ledger>, attempt: Attempt, answer: &Answer) {
        let is_replayed = answer.header("idempotency-replayed") == "true";
        if let Err((kind, what)) = ledger.granted(attempt, is_replayed, &answer.body) {
            self.stage.verdict.wrong(kind, || what);
        }
        if !answer.header("location").ends_with(answer.text("claim_id")) {
            self.complain("claim: no Location", "201", answer);
        }
        if ledger.has_room {
            self.place = None;
        }
        if self.claims.len() == REMEMBERED_MAX {
            self.claims.pop_front();
        }
        self.claims.push_back((Arc::clone(ledger), attempt, answer.text("claim_id").to_owned()));
    }

    /// The same claim with the same key has the same answer.
    pub(super) async fn replay(&mut self) {
        let newest = self.claims.iter().rfind(|(_, attempt, _)| attempt.has_key);
        let Some((ledger, attempt, _)) = newest.cloned() else { return self.submit().await };
        let ask = Ask::post("replay", format!("/v1/campaigns/{}/claims", ledger.id));
        let Some(answer) = self.ask(ask.with("Idempotency-Key", attempt.key())).await else { return };
        if answer.status != 201 {
            self.complain("claim: a replay that is refused", &format!("{attempt:?}"), &answer);
        } else if let Err((kind, what)) =
            ledger.granted(attempt, answer.header("idempotency-replayed") == "true", &answer.body)
        {
            self.stage.verdict.wrong(kind, || what);
        }
    }

    /// What one holds is listed, and nothing of others.
    pub(super) async fn look_at_own(&mut self) {
        let Some((ledger, ..)) = self.claims.back().cloned() else { return self.read().await };
        let path = format!("/v1/campaigns/{}/claims/mine", ledger.id);
        let Some(answer) = self.ask(Ask::get("own claims", Needs::REDIS, path)).await else { return };
        if answer.status != 200 || !self.are_own_claims(&ledger, &answer.body["items"]) {
            self.complain("own claims: not what one holds", &format!("{:?}", ledger.held(self.user)), &answer);
        }
    }

    fn are_own_claims(&self, ledger: &Ledger, items: &serde_json::Value) -> bool {
        let Some(items) = items.as_array() else { return false };
        let listed: Vec<_> = items.iter().filter_map(|item| item["number"].as_u64()).collect();
        items.iter().all(|item| item["user_id"] == *self.name && item["campaign_id"] == *ledger.id)
            && ledger.held(self.user).iter().all(|number| listed.contains(number))
    }

    /// Gives the oldest back that it remembers; sometimes it asks twice.
    pub(super) async fn give_back(&mut self) {
        let Some((ledger, attempt, claim)) = self.claims.pop_front() else { return self.submit().await };
        ledger.ask_back(attempt);
        let ask = || Ask::post("give-back", format!("/v1/claims/{claim}/give-back"));
        for _ in 0..=u32::from(self.draw.percent(30)) {
            let Some(answer) = self.ask(ask()).await else { return };
            if answer.status == 200 && answer.text("state") == "given_back" && answer.text("claim_id") == claim {
                ledger.given_back(attempt);
            } else {
                self.complain("give-back: not given back", &claim, &answer);
            }
        }
    }
}
