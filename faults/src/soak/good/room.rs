//! The waiting room: joining, asking for the status, listening to it, and claiming with a pass.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use serde_json::Value;

use super::place::Place;
use super::{Ask, Good};
use crate::soak::board::Kind;
use crate::soak::ledger::Ledger;
use crate::soak::scale::ANSWER_MAX;
use crate::soak::sky::Needs;
use crate::soak::wire::Answer;

/// Of a hundred who wait so many listen instead of asking.
const LISTENS_PERCENT: u64 = 20;
/// A stream is listened to for so many turns at most.
const LISTENS_TURNS: u64 = 3;
/// No event is near this size.
const EVENT_BYTES_MAX: usize = 16 << 10;

impl Good {
    pub(super) async fn join(&mut self) {
        let stage = Arc::clone(&self.stage);
        let Some(ledger) = stage.board.pick(&mut self.draw, Kind::Room) else { return };
        if !ledger.held(self.user).is_empty() {
            return self.read().await;
        }
        let ask = Ask::post("join", format!("/v1/campaigns/{}/waiting", ledger.id));
        let Some(answer) = self.ask(ask).await else { return };
        // Whose turn came and went unseen has another one now.
        self.place = None;
        match (answer.status, answer.text("code")) {
            (202, _) if answer.text("state") != "waiting" => {
                self.complain("room: 202 and not waiting", "join", &answer);
            }
            (200 | 202, _) => self.take_status(&ledger, &answer.body, &answer),
            (410, "closed") if ledger.may_be_closed() => {}
            _ => self.complain("room: a wrong refusal", "join", &answer),
        }
    }

    /// The status; or what one hears as it changes.
    pub(super) async fn wait(&mut self) {
        let Some(place) = self.place.clone() else { return };
        if self.draw.percent(LISTENS_PERCENT) {
            return self.listen(place).await;
        }
        let ask = Ask::get("wait", Needs::REDIS, format!("/v1/campaigns/{}/waiting", place.ledger.id));
        let Some(answer) = self.ask(ask.with("Onrush-Ticket", place.ticket)).await else { return };
        match answer.status {
            200 => self.take_status(&place.ledger, &answer.body, &answer),
            _ => self.complain("room: a wrong refusal", "wait", &answer),
        }
    }

    /// Takes down the status, and complains if it cannot be.
    fn take_status(&mut self, ledger: &Arc<Ledger>, body: &Value, answer: &Answer) {
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        let before = self.place.take().filter(|place| Arc::ptr_eq(&place.ledger, ledger));
        let (place, ahead) = (body["place"].as_u64(), body["ahead"].as_u64());
        let mut keep = |number| self.place = Some(Place { ledger: Arc::clone(ledger), ticket: text("ticket"), number });
        let is_right = match text("state").as_str() {
            "waiting" => {
                keep(place);
                let same = before.and_then(|before| before.number).is_none_or(|number| Some(number) == place);
                place.is_some_and(|place| ahead.is_some_and(|ahead| ahead < place))
                    && same
                    && !text("ticket").is_empty()
            }
            "admitted" => {
                self.pass = Some((Arc::clone(ledger), text("pass")));
                !text("pass").is_empty()
            }
            "sold_out" => {
                keep(before.and_then(|before| before.number));
                !text("ticket").is_empty()
            }
            "closed" => ledger.may_be_closed(),
            "expired" => true,
            _ => false,
        };
        if !is_right {
            self.complain("room: a status that cannot be", &format!("{} in {}: {body}", self.name, ledger.id), answer);
        }
    }

    /// Holds a stream of events for a while. It may end by itself only when there is nothing more to say.
    async fn listen(&mut self, place: Place) {
        let path = format!("/v1/campaigns/{}/waiting/events", place.ledger.id);
        let ask = Ask::get("events", Needs::REDIS, path).with("Onrush-Ticket", place.ticket.clone());
        let (sent, stage) = (Instant::now(), Arc::clone(&self.stage));
        let Ok(request) = self.request(&ask) else { return };
        if !self.connect().await {
            return;
        }
        let Some(mut connection) = self.connection.take() else { return };
        let begun = tokio::time::timeout(ANSWER_MAX, connection.begin(request)).await;
        let Ok(Ok((status, headers, mut body))) = begun else {
            if stage.sky.excuse(self.node, Needs::REDIS, sent, Instant::now()).is_none() {
                let what = || format!("{}, {}", self.name, stage.at());
                stage.verdict.wrong("events: no answer, and nothing is hurt", what);
            }
            return;
        };
        stage.verdict.count(format!("good answers: events {status}"));
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if status != 200 || !kind.starts_with("text/event-stream") {
            // A visitor whose place is gone or whose campaign is over has nothing to listen to.
            let is_over = matches!(status, 204 | 410) && place.ledger.may_be_closed();
            let is_excused = status == 503 && stage.sky.excuse(self.node, Needs::REDIS, sent, Instant::now()).is_some();
            if !is_over && !is_excused {
                stage
                    .verdict
                    .wrong("events: no stream", || format!("{status} {kind} to {}, {}", self.name, stage.at()));
            }
            return;
        }
        let until = tokio::time::Instant::now()
            + stage.scale.turn() * (1 + u32::try_from(self.draw.number(0..LISTENS_TURNS)).unwrap_or(0));
        let (mut text, mut was_last) = (Vec::new(), false);
        while let Ok(frame) = tokio::time::timeout_at(until.min(stage.end), body.frame()).await {
            let Some(Ok(frame)) = frame else {
                if !was_last && !place.ledger.may_be_closed() {
                    let how = if frame.is_some() { "broken off" } else { "ended" };
                    stage.verdict.wrong("events: a stream that ended too soon", || {
                        format!("{how} after {:?}: {}, {}", sent.elapsed(), self.name, stage.at())
                    });
                }
                return;
            };
            text.extend_from_slice(frame.data_ref().map_or(&[][..], |data| &data[..]));
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = text.drain(..end + 2).collect();
                was_last = self.hear(&place.ledger, &event);
                stage.verdict.count("events heard");
                if self.pass.is_some() {
                    return;
                }
            }
            if text.len() > EVENT_BYTES_MAX {
                stage.verdict.wrong("events: no events", || String::from_utf8_lossy(&text).into_owned());
                return;
            }
        }
    }

    /// One event; whether none can follow.
    fn hear(&mut self, ledger: &Arc<Ledger>, event: &[u8]) -> bool {
        let text = String::from_utf8_lossy(event);
        let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) else { return false };
        let body: Value = serde_json::from_str(data).unwrap_or_default();
        let answer = Answer { status: 200, headers: hyper::HeaderMap::new(), bytes: event.to_vec().into(), body };
        self.take_status(ledger, &answer.body, &answer);
        matches!(answer.text("state"), "closed" | "expired")
    }
}
