//! What a room holds, past what its visitors are told: its list, its keys and how long they are kept, and what others than
//! these scripts have done to them.

use fred::prelude::{ClientLike, HashesInterface, KeysInterface};
use onrush::redis::Script;
use onrush::script;

use super::room::{Room, number, text};
use crate::support::names;

static LIST: Script<9> = script!(waiting + "waiting/list");

impl Room {
    /// A page of who waits.
    pub(super) async fn list(&mut self, after: i64, last: i64, count_max: i64) -> Vec<(String, i64)> {
        let reply = self.room(&LIST, [after, last, count_max].map(text).into()).await;
        assert_eq!(reply.code, "ok");
        reply.rest.chunks(2).map(|pair| (pair[0].as_string().unwrap(), number(pair.get(1)))).collect()
    }

    /// The keys that the room has, and how long they are kept in ms: -1 without end.
    pub(super) async fn kept(&self) -> Vec<(String, i64)> {
        let client = self.behind().await;
        let mut kept = Vec::new();
        for name in &self.keys().waiting_room()[1..] {
            let ms: i64 = client.pttl(name).await.unwrap();
            kept.extend((ms != -2).then(|| (name.clone(), ms)));
        }
        kept
    }

    /// The room's keys go, as they do at the end of their time.
    pub(super) async fn vanish(&self) {
        let _: i64 = self.behind().await.unlink(self.keys().waiting_room()[1..].to_vec()).await.unwrap();
    }

    /// As another version of the scripts would have written it.
    pub(super) async fn set_field(&self, field: &str, value: i64) {
        let _: i64 = self.behind().await.hset(self.keys().room(), (field, value)).await.unwrap();
    }

    pub(super) async fn set_number(&self, number: i64) {
        self.set_field("number", number).await;
    }

    /// A way around the scripts.
    async fn behind(&self) -> fred::clients::Client {
        let url = fred::types::config::Config::from_url(&names::config().redis.url).unwrap();
        let client = fred::clients::Client::new(url, None, None, None);
        client.init().await.unwrap();
        client
    }
}
