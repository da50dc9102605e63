//! What anybody may read.

use std::sync::Arc;

use super::{Ask, Good};
use crate::soak::board::Kind;
use crate::soak::sky::Needs;

const STATES: [&str; 4] = ["open", "sold_out", "closed", "paused"];

impl Good {
    pub(super) async fn read(&mut self) {
        match self.draw.number(0..100) {
            0..40 => self.view().await,
            40..55 => self.page(Ask::get("list", Needs::REDIS, "/v1/campaigns?limit=100")).await,
            55..65 => self.front().await,
            65..75 => self.page(Ask::get("feed", Needs::BOTH, "/v1/feed")).await,
            75..85 => self.page(Ask::get("search", Needs::BOTH, "/v1/search?q=coupon")).await,
            85..95 => self.ready().await,
            95..98 => self.says(Ask::get("metrics", Needs::REDIS, "/metrics"), "onrush_http_connections").await,
            _ => self.says(Ask::get("openapi", Needs::REDIS, "/openapi.json"), "\"openapi\"").await,
        }
    }

    async fn view(&mut self) {
        let kind = [Kind::Plenty, Kind::Scarce, Kind::Room][self.draw.place(3)];
        let stage = Arc::clone(&self.stage);
        let Some(ledger) = stage.board.pick(&mut self.draw, kind) else { return };
        let ask = Ask::get("view", Needs::REDIS, format!("/v1/campaigns/{}", ledger.id));
        let Some(answer) = self.ask(ask).await else { return };
        let number = |member: &str| answer.body[member].as_u64();
        let within = |member: &str| number(member).is_some_and(|number| number <= ledger.stock);
        let is_right = answer.status == 200
            && answer.text("id") == ledger.id
            && STATES.contains(&answer.text("state"))
            && (answer.text("state") != "closed" || ledger.may_be_closed())
            && number("stock") == Some(ledger.stock)
            && within("left")
            && within("claimed");
        if !is_right {
            self.complain("view: not as it is", &ledger.id, &answer);
        }
    }

    async fn page(&mut self, ask: Ask) {
        let path = ask.path.clone();
        let Some(answer) = self.ask(ask).await else { return };
        if answer.status != 200 || !answer.body["items"].is_array() {
            self.complain("page: no page", &path, &answer);
        }
    }

    /// A part that could not be answered is named; there has to be a reason for that, too.
    async fn front(&mut self) {
        let sent = std::time::Instant::now();
        let Some(answer) = self.ask(Ask::get("front page", Needs::BOTH, "/v1/view")).await else { return };
        let failed = answer.body["failed"].as_array().map(Vec::len);
        let excused = self.stage.sky.excuse(self.node, Needs::BOTH, sent, std::time::Instant::now()).is_some();
        if answer.status != 200 || failed.is_none_or(|failed| failed > 0 && !excused) {
            self.complain("front page: a part is missing, and nothing is hurt", "/v1/view", &answer);
        }
    }

    async fn ready(&mut self) {
        let Some(answer) = self.ask(Ask::get("readyz", Needs::REDIS, "/readyz")).await else { return };
        if answer.status != 200 || answer.body["ready"] != true {
            self.complain("readyz: not what it says", "/readyz", &answer);
        }
    }

    async fn says(&mut self, ask: Ask, word: &str) {
        let path = ask.path.clone();
        let Some(answer) = self.ask(ask).await else { return };
        if answer.status != 200 || !String::from_utf8_lossy(&answer.bytes).contains(word) {
            self.complain("text: not what it is", &path, &answer);
        }
    }
}
