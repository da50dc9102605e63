//! What does one visitor do when it is their turn, and what does the answer mean?

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use loadtest::wire::{Answer, Wire};

use super::found::Found;
use super::people::State;
use super::shared::{Shared, Turn};
use crate::history::StatusAnswer;

/// What was said, without the bytes in which it was.
enum Said {
    Waits {
        place: u64,
        ahead: u64,
        again: Duration,
    },
    Admitted {
        pass: Vec<u8>,
    },
    SoldOut {
        again: Duration,
    },
    Expired,
    Unavailable,
    /// None of what the contract has.
    Odd(String),
}

/// One turn on one connection.
pub(super) struct Visit<'a> {
    pub(super) shared: &'a Shared,
    pub(super) node: usize,
    pub(super) wire: &'a mut Wire,
    pub(super) request: &'a mut Vec<u8>,
}

impl Visit<'_> {
    /// Takes it.
    pub(super) async fn take(&mut self, turn: Turn) -> io::Result<()> {
        match turn {
            Turn::Join(user) => self.join(user).await,
            Turn::Status(user, due) => self.status(user, due).await,
        }
    }

    async fn join(&mut self, user: u32) -> io::Result<()> {
        let shared = self.shared;
        shared.phrases[self.node].join(self.request, shared.crowd.users.token(user as usize));
        let sent = Instant::now();
        let answer = self.wire.exchange(self.request).await?;
        let came = Instant::now();
        let said = understand(&answer, 202);
        if let Some(ticket) = answer.text(b"\"ticket\":\"")
            && let Err(error) = shared.people.borrow_mut().tickets.set(user as usize, ticket)
        {
            shared.found.borrow_mut().wrong(|| error.to_string());
        }
        if !matches!(said, Said::Unavailable | Said::Odd(_)) {
            let mut found = shared.found.borrow_mut();
            Found::took(&mut found.joins, sent, came);
            found.second(shared.begun, came).joins += 1;
            found.joined += 1;
            if found.joined == shared.crowd.count as u64 {
                found.joining = came - shared.begun;
                shared.crowd.all_joined.store(true, Ordering::Relaxed);
            }
            shared.people.borrow_mut().set(user, State::Waits);
        }
        self.go_on(user, said, sent, came).await
    }

    async fn status(&mut self, user: u32, due: Instant) -> io::Result<()> {
        let shared = self.shared;
        {
            let people = shared.people.borrow();
            let token = shared.crowd.users.token(user as usize);
            shared.phrases[self.node].status(self.request, token, people.tickets.get(user as usize));
        }
        let sent = Instant::now();
        let answer = self.wire.exchange(self.request).await?;
        let came = Instant::now();
        let said = understand(&answer, 200);
        {
            let mut found = shared.found.borrow_mut();
            Found::took(&mut found.late, due, sent);
            Found::took(&mut found.polls, sent, came);
            found.second(shared.begun, came).polls += 1;
        }
        self.go_on(user, said, sent, came).await
    }

    async fn go_on(&mut self, user: u32, said: Said, sent: Instant, came: Instant) -> io::Result<()> {
        let shared = self.shared;
        match said {
            Said::Waits { place, ahead, again } => {
                if let Err(why) = shared.people.borrow_mut().told_place(user, place) {
                    shared.found.borrow_mut().wrong(|| why);
                }
                shared.told(StatusAnswer { number: place, ahead, asked: sent, came });
                let leaves_of = shared.crowd.leaves_of;
                shared.found.borrow_mut().order.waits(place, sent);
                if leaves_of > 0 && mix(place ^ u64::from(user) << 32 ^ ahead << 16).is_multiple_of(leaves_of) {
                    return self.leave(user).await;
                }
                shared.again(user, again);
            }
            Said::Admitted { pass } => return self.come_in(user, &pass, came).await,
            Said::SoldOut { again } => shared.again(user, again),
            Said::Expired => {
                shared.people.borrow_mut().set(user, State::Expired);
                shared.found.borrow_mut().expired += 1;
            }
            Said::Unavailable => {
                shared.found.borrow_mut().unavailable += 1;
                shared.again(user, Duration::from_secs(1));
            }
            Said::Odd(text) => {
                shared.found.borrow_mut().wrong(|| text);
                shared.again(user, Duration::from_secs(1));
            }
        }
        Ok(())
    }

    /// Of ten who come in eight claim, one leaves, and one does nothing.
    async fn come_in(&mut self, user: u32, pass: &[u8], came: Instant) -> io::Result<()> {
        let shared = self.shared;
        let place = shared.people.borrow().place(user);
        {
            let mut found = shared.found.borrow_mut();
            found.picked_up += 1;
            found.second(shared.begun, came).picked_up += 1;
            found.order.inside(place.into(), came);
        }
        shared.people.borrow_mut().set(user, State::Inside);
        match mix(u64::from(user)) % 10 {
            0 => {
                shared.found.borrow_mut().lapsed += 1;
                Ok(())
            }
            1 => self.leave(user).await,
            _ => self.claim(user, pass).await,
        }
    }

    async fn claim(&mut self, user: u32, pass: &[u8]) -> io::Result<()> {
        let shared = self.shared;
        shared.phrases[self.node].claim(self.request, shared.crowd.users.token(user as usize), pass);
        let sent = Instant::now();
        let answer = self.wire.exchange(self.request).await?;
        let mut found = shared.found.borrow_mut();
        Found::took(&mut found.claims, sent, Instant::now());
        if answer.status == 201 {
            found.claimed += 1;
            shared.people.borrow_mut().set(user, State::Claimed);
        } else {
            found.wrong(|| describe("a claim with a pass", &answer));
        }
        Ok(())
    }

    async fn leave(&mut self, user: u32) -> io::Result<()> {
        let shared = self.shared;
        shared.phrases[self.node].leave(self.request, shared.crowd.users.token(user as usize));
        let answer = self.wire.exchange(self.request).await?;
        let (mut people, mut found) = (shared.people.borrow_mut(), shared.found.borrow_mut());
        if answer.status != 204 {
            found.wrong(|| describe("leaving", &answer));
        }
        if people.state(user) == State::Waits {
            people.set(user, State::LeftQueue);
            found.left_queue += 1;
        } else {
            people.set(user, State::LeftInside);
            found.left_inside += 1;
        }
        Ok(())
    }
}

fn understand(answer: &Answer<'_>, status: u16) -> Said {
    let odd = || Said::Odd(describe("an answer", answer));
    if answer.status == 503 && answer.retry_after {
        return Said::Unavailable;
    }
    // Who joins is answered 200 where there is nothing to wait for.
    if answer.status != status && answer.status != 200 {
        return odd();
    }
    let again = || Some(Duration::from_secs(answer.whole(b"\"poll_after_s\":").filter(|_| answer.retry_after)?));
    let said = match answer.text(b"\"state\":\"") {
        Some(b"waiting") if answer.status == status => {
            let numbers = (answer.whole(b"\"place\":"), answer.whole(b"\"ahead\":"), again());
            if let (Some(place), Some(ahead), Some(again)) = numbers {
                Some(Said::Waits { place, ahead, again })
            } else {
                None
            }
        }
        Some(b"admitted") if answer.status == 200 => {
            answer.text(b"\"pass\":\"").map(|pass| Said::Admitted { pass: pass.to_vec() })
        }
        Some(b"sold_out") if answer.status == 200 => again().map(|again| Said::SoldOut { again }),
        Some(b"expired") if answer.status == 200 => Some(Said::Expired),
        _ => None,
    };
    said.unwrap_or_else(odd)
}

fn describe(what: &str, answer: &Answer<'_>) -> String {
    let body = String::from_utf8_lossy(answer.body);
    format!("{what}: {} {}", answer.status, body.chars().take(300).collect::<String>())
}

/// A number that looks like chance and is the same in each run.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use loadtest::wire::Kind;

    use super::*;

    fn said(status: u16, retry_after: bool, body: &str, expected: u16) -> Said {
        let body = body.as_bytes();
        understand(&Answer { kind: Kind::Other, status, retry_after, body }, expected)
    }

    #[test]
    fn an_answer_is_understood_only_where_the_contract_has_it() {
        let waits = r#"{"state":"waiting","place":12,"ahead":11,"eta_s":null,"poll_after_s":5,"ticket":"t","left":1}"#;
        for (status, expected) in [(202, 202), (200, 200)] {
            let Said::Waits { place, ahead, again } = said(status, true, waits, expected) else { panic!("{status}") };
            assert_eq!((place, ahead, again), (12, 11, Duration::from_secs(5)));
        }
        let admitted = r#"{"state":"admitted","pass":"p.p.p","expires_at":"","ticket":"t"}"#;
        for expected in [200, 202] {
            assert!(matches!(said(200, false, admitted, expected), Said::Admitted { pass } if pass == b"p.p.p"));
        }
        assert!(matches!(said(200, true, r#"{"state":"sold_out","poll_after_s":60}"#, 202), Said::SoldOut { .. }));
        assert!(matches!(said(503, true, "{}", 200), Said::Unavailable));
        let odd = [
            (200, true, waits, 202),
            (202, true, waits, 200),
            (200, false, waits, 200),
            (503, false, "{}", 200),
            (200, false, r#"{"state":"closed"}"#, 200),
            (404, false, "{}", 200),
        ];
        for (status, retry_after, body, expected) in odd {
            assert!(matches!(said(status, retry_after, body, expected), Said::Odd(_)), "{status} {body}");
        }
    }
}
