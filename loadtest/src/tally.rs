//! What was answered? Counted by status and code; the 201s are kept whole, to be checked afterwards.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde::Deserialize;

use crate::http_client::{Answer, NoAnswer};

/// What one connection saw, or, merged, all of them.
#[derive(Default)]
pub(crate) struct Tally {
    /// How often each answer came, by status and code. A handful of kinds: a list is faster than a map.
    pub(crate) answers: Vec<(StatusCode, String, u64)>,
    /// How often there was no answer, by kind.
    pub(crate) no_answers: Vec<(NoAnswer, u64)>,
    /// Every 201.
    pub(crate) wins: Vec<Win>,
    /// 201s whose body is not a claim.
    pub(crate) unreadable_wins: u64,
    /// From the sending of each answered request to the last byte of its answer.
    pub(crate) latencies: Vec<Duration>,
    /// When the first request was sent.
    pub(crate) first_sent: Option<Instant>,
    /// When the last answer, or the last failure, was there.
    pub(crate) last_done: Option<Instant>,
}

/// A claim that the server granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Win {
    /// Who asked, counted from 0.
    pub(crate) asked_by: u32,
    /// Whom the answer names.
    pub(crate) user_id: String,
    /// Of which campaign.
    pub(crate) campaign_id: String,
    /// The claim's number.
    pub(crate) number: u64,
    /// What the user redeems.
    pub(crate) coupon_code: String,
}

#[derive(Deserialize)]
struct Claim<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow)]
    campaign_id: Cow<'a, str>,
    number: u64,
    #[serde(borrow)]
    coupon_code: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Problem<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

impl Tally {
    /// Notes the outcome of a request of this user.
    pub(crate) fn note(&mut self, user: u32, sent: Instant, outcome: Result<Answer, NoAnswer>) {
        let done = Instant::now();
        self.first_sent.get_or_insert(sent);
        self.last_done = Some(done);
        match outcome {
            Ok(answer) => {
                self.latencies.push(done - sent);
                self.note_answer(user, &answer);
            }
            Err(why) => self.add_no_answers(why, 1),
        }
    }

    fn note_answer(&mut self, user: u32, answer: &Answer) {
        self.add_answers(answer.status, &code(answer.status, &answer.body), 1);
        if answer.status != StatusCode::CREATED {
            return;
        }
        match serde_json::from_slice::<Claim<'_>>(&answer.body) {
            Ok(claim) => self.wins.push(Win {
                asked_by: user,
                user_id: claim.user_id.into_owned(),
                campaign_id: claim.campaign_id.into_owned(),
                number: claim.number,
                coupon_code: claim.coupon_code.into_owned(),
            }),
            Err(_) => self.unreadable_wins += 1,
        }
    }

    fn add_answers(&mut self, status: StatusCode, code: &str, times: u64) {
        match self.answers.iter_mut().find(|(s, c, _)| *s == status && c == code) {
            Some((_, _, count)) => *count += times,
            None => self.answers.push((status, code.to_owned(), times)),
        }
    }

    fn add_no_answers(&mut self, why: NoAnswer, times: u64) {
        match self.no_answers.iter_mut().find(|(w, _)| *w == why) {
            Some((_, count)) => *count += times,
            None => self.no_answers.push((why, times)),
        }
    }

    /// Adds what another connection saw.
    pub(crate) fn merge(&mut self, other: Self) {
        for (status, code, count) in other.answers {
            self.add_answers(status, &code, count);
        }
        for (why, count) in other.no_answers {
            self.add_no_answers(why, count);
        }
        self.wins.extend(other.wins);
        self.unreadable_wins += other.unreadable_wins;
        self.latencies.extend(other.latencies);
        self.first_sent = self.first_sent.into_iter().chain(other.first_sent).min();
        self.last_done = self.last_done.max(other.last_done);
    }

    /// How many answers were 201.
    pub(crate) fn created(&self) -> u64 {
        self.count(|status| status == StatusCode::CREATED)
    }

    /// Requests that may have been granted although nobody was told: no answer, or a server error.
    pub(crate) fn unknown(&self) -> u64 {
        self.unanswered() + self.count(|status| status.is_server_error())
    }

    /// Requests without any answer.
    pub(crate) fn unanswered(&self) -> u64 {
        self.no_answers.iter().map(|(_, count)| count).sum()
    }

    fn count(&self, is_counted: impl Fn(StatusCode) -> bool) -> u64 {
        self.answers.iter().filter(|(status, _, _)| is_counted(*status)).map(|(_, _, count)| count).sum()
    }
}

/// Status and code, as `409 sold_out`.
pub(crate) fn label(status: StatusCode, body: &[u8]) -> String {
    format!("{} {}", status.as_u16(), code(status, body))
}

/// The word beside the status: the problem's code. An answer without one is named by its status.
fn code(status: StatusCode, body: &[u8]) -> Cow<'_, str> {
    let problem = (!status.is_success()).then(|| serde_json::from_slice::<Problem<'_>>(body).ok()).flatten();
    match problem {
        Some(problem) => problem.code,
        None => status.canonical_reason().unwrap_or("without a code").to_lowercase().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), body: body.into() }
    }

    const CLAIM: &str = r#"{"claim_id":"c.1.7","campaign_id":"c","user_id":"user-000001","number":7,
        "coupon_code":"7Q4M-WX2A-9KCD-RT5H-3NVE","state":"live"}"#;
    const SOLD_OUT: &str = r#"{"type":"/problems/sold_out","status":409,"code":"sold_out"}"#;

    #[test]
    fn answers_are_counted_by_status_and_code_across_connections() {
        let (mut one, mut other, sent) = (Tally::default(), Tally::default(), Instant::now());
        one.note(0, sent, Ok(answer(201, CLAIM)));
        one.note(1, sent, Ok(answer(409, SOLD_OUT)));
        other.note(2, sent, Ok(answer(409, SOLD_OUT)));
        other.note(3, sent, Ok(answer(502, "<html>")));
        other.note(4, sent, Err(NoAnswer::TimedOut));
        one.merge(other);
        let counted: Vec<_> = one.answers.iter().map(|(s, c, n)| (s.as_u16(), c.as_str(), *n)).collect();
        assert_eq!(counted, [(201, "created", 1), (409, "sold_out", 2), (502, "bad gateway", 1)]);
        assert_eq!((one.created(), one.unanswered(), one.unknown()), (1, 1, 2));
        assert_eq!(one.latencies.len(), 4);
    }

    #[test]
    fn a_granted_claim_is_kept_and_one_that_is_none_is_counted() {
        let mut tally = Tally::default();
        tally.note(0, Instant::now(), Ok(answer(201, CLAIM)));
        tally.note(1, Instant::now(), Ok(answer(201, "{}")));
        assert_eq!((tally.wins[0].number, tally.wins[0].user_id.as_str()), (7, "user-000001"));
        assert_eq!((tally.wins.len(), tally.unreadable_wins, tally.created()), (1, 1, 2));
    }
}
