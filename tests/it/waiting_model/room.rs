//! A waiting room in the real Redis, at a time that the test gives.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::sync::Arc;

use onrush::ids::CampaignId;
use onrush::redis::{CampaignKeys, Redis, Reply, Script, Value};
use onrush::script;

pub(super) use super::answers::*;
use crate::support::names;

static PUT: Script<2> = script!(prelude + "campaign/put");
static ISSUE: Script<6> = script!(prelude + "claim/issue");
static GIVE_BACK: Script<4> = script!(allow_oom prelude + "claim/give_back");
static JOIN: Script<9> = script!(waiting + "waiting/join");
static LOOK: Script<9> = script!(waiting + "waiting/look");
static LEAVE: Script<9> = script!(waiting + "waiting/leave");
static ADMIT: Script<9> = script!(waiting + "waiting/admit");
static LET_IN: Script<9> = script!(waiting + "waiting/let_in");
static STOP: Script<9> = script!(waiting + "waiting/stop");
static SNAPSHOT: Script<9> = script!(waiting + "waiting/snapshot");
static CLOSE_LIST: Script<9> = script!(waiting + "waiting/close_list");
static PUBLISH_DRAW: Script<9> = script!(waiting + "waiting/publish_draw");

/// One campaign with a waiting room, and the nodes that call for it.
pub(super) struct Room {
    pub(super) redis: Arc<Redis>,
    pub(super) campaign: CampaignId,
    pub(super) spec: Terms,
    pub(super) version: i64,
    pub(super) now: i64,
    pub(super) limits: Limits,
    /// The highest fact that each node has seen, and which node calls.
    pub(super) known: [u64; 3],
    pub(super) node: usize,
    /// The time of the last decision, as the last reply said.
    pub(super) decided_at: i64,
    /// The room's life and its moves, as the last reply about a user said.
    pub(super) life: i64,
    pub(super) moves: i64,
}

pub(super) fn text(value: impl Display) -> Value {
    format!("{value}").into()
}

pub(super) fn number(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_i64).unwrap()
}

impl Room {
    /// A new campaign, armed, at its opening.
    pub(super) async fn open(spec: Terms) -> Self {
        Self::open_in(Arc::new(Redis::connect(&names::config().redis).await.unwrap()), spec).await
    }

    pub(super) async fn open_in(redis: Arc<Redis>, spec: Terms) -> Self {
        let campaign = names::unique("room").parse().unwrap();
        let limits = Limits { admit: 1_000, expire: 1_000, places: 1_000_000 };
        let now = spec.opens_at - 100_000;
        let (known, node, decided_at) = ([0; 3], 0, 0);
        let mut room =
            Self { redis, campaign, spec, version: 1, now, limits, known, node, decided_at, life: 0, moves: 0 };
        assert_eq!(room.put_as(0, 0).await, "created");
        assert_eq!(room.put_as(1, 1).await, "unchanged");
        room.now = room.spec.opens_at;
        room
    }

    pub(super) fn keys(&self) -> CampaignKeys {
        self.redis.keys().of(&self.campaign)
    }

    async fn put_as(&mut self, generation: u32, put_before: u8) -> String {
        let Terms { stock, limit, user_max, opens_at, closes_at, .. } = self.spec;
        let Terms { admit, every_ms, active_max, pass_ttl_ms, claim_pass_within_ms, reserve, .. } = self.spec;
        let order = if self.spec.is_draw { 'd' } else { 'f' };
        let mut args = vec![text(self.now), text(generation), text(0), text(put_before), text(self.version)];
        args.extend([stock, limit, user_max, opens_at, closes_at].map(text));
        args.extend([u8::from(self.spec.paused), u8::from(self.spec.closed)].map(text));
        args.extend([text(1_000_000), text("{}")]);
        args.push(
            format!("{admit}:{every_ms}:{active_max}:{pass_ttl_ms}:{claim_pass_within_ms}:{reserve}:{order}").into(),
        );
        let keys = [self.keys().campaign(), self.keys().outbox()];
        Reply::parse(self.redis.call(&PUT, &self.campaign, keys, args).await.unwrap()).unwrap().code
    }

    /// Changes the campaign's row, and brings it to Redis.
    pub(super) async fn put(&mut self, change: impl FnOnce(&mut Terms)) {
        change(&mut self.spec);
        self.version += 1;
        assert_eq!(self.put_as(1, 1).await, "ok");
    }

    async fn call<const KEYS: usize>(
        &mut self,
        script: &Script<KEYS>,
        keys: [String; KEYS],
        more: Vec<Value>,
    ) -> Reply {
        let mut args = vec![text(self.now), text(1), text(self.known[self.node])];
        args.extend(more);
        let reply = Reply::parse(self.redis.call(script, &self.campaign, keys, args).await.unwrap()).unwrap();
        if let Some(head) = reply.head {
            self.known[self.node] = self.known[self.node].max(head.fact_no);
            self.decided_at = head.now.0;
        }
        reply
    }

    pub(super) async fn room(&mut self, script: &Script<9>, more: Vec<Value>) -> Reply {
        let keys = self.keys().waiting_room();
        self.call(script, keys, more).await
    }

    fn told(&self) -> Vec<Value> {
        vec![text("waiting_model"), text(&self.campaign), text(KEPT_MS)]
    }

    pub(super) async fn join(&mut self, users: &[String]) -> Joined {
        let mut args = self.told();
        args.extend([self.limits.admit, self.limits.expire, self.limits.places].map(text));
        args.extend(users.iter().map(text));
        let reply = self.room(&JOIN, args).await;
        if reply.code != "ok" {
            return Joined { code: reply.code, admitted: 0, ended: 0, users: Vec::new() };
        }
        self.seen(&reply.rest[2..4]);
        let users = reply.rest[4..]
            .chunks(3)
            .map(|each| (number(each.first()), number(each.get(1)), number(each.get(2))))
            .collect();
        let (admitted, ended) = (number(reply.rest.first()), number(reply.rest.get(1)));
        Joined { code: reply.code, admitted, ended, users }
    }

    /// Joins, and hears how they stand.
    pub(super) async fn join_one(&mut self, user: &str) -> Status {
        let joined = self.join(&[user.to_owned()]).await;
        assert_eq!(joined.code, "ok");
        joined.users[0]
    }

    pub(super) async fn look(&mut self, user: &str) -> Status {
        let reply = self.room(&LOOK, vec![text(user)]).await;
        assert_eq!(reply.code, "ok");
        self.seen(&reply.rest[3..]);
        (number(reply.rest.first()), number(reply.rest.get(1)), number(reply.rest.get(2)))
    }

    fn seen(&mut self, parts: &[Value]) {
        assert_eq!(parts.len(), 2);
        (self.life, self.moves) = (number(parts.first()), number(parts.get(1)));
    }

    /// The answer's code, and who was admitted and who ended by it; `drawn`: a number and its place.
    pub(super) async fn leave(&mut self, user: &str, drawn: (i64, i64)) -> (String, i64, i64) {
        let mut args = self.told();
        args.extend([text(self.limits.admit), text(self.limits.expire), text(user), text(drawn.0), text(drawn.1)]);
        let reply = self.room(&LEAVE, args).await;
        let rest = |at: usize| reply.rest.get(at).and_then(Value::as_i64).unwrap_or_default();
        (reply.code.clone(), rest(0), rest(1))
    }

    pub(super) async fn admit(&mut self) -> Admitted {
        self.admit_drawn(1, &[]).await
    }

    /// With the numbers that were drawn for the places from `from` on.
    pub(super) async fn admit_drawn(&mut self, from: i64, numbers: &[i64]) -> Admitted {
        let to = from + i64::try_from(numbers.len()).unwrap() - 1;
        let pairs: Vec<(i64, i64)> = (from..).zip(numbers.iter().copied()).collect();
        self.admit_pairs(from, to, &pairs).await
    }

    /// With the places between these two at which somebody may wait, and the numbers that have them.
    pub(super) async fn admit_pairs(&mut self, from: i64, to: i64, pairs: &[(i64, i64)]) -> Admitted {
        let mut args = self.told();
        args.extend([text(self.limits.admit), text(self.limits.expire), text(from), text(to)]);
        args.extend(pairs.iter().flat_map(|(place, number)| [text(place), text(number)]));
        let reply = self.room(&ADMIT, args).await;
        assert_eq!(reply.code, "ok");
        let [entered, ended, waiting, inside, wanted] = [0, 1, 2, 3, 4].map(|at| number(reply.rest.get(at)));
        Admitted { entered, ended, waiting, inside, wanted }
    }

    pub(super) async fn let_in(&mut self, user: &str, drawn: (i64, i64)) -> String {
        let mut args = self.told();
        args.extend([text(self.limits.expire), text(user), text(drawn.0), text(drawn.1)]);
        self.room(&LET_IN, args).await.code
    }

    pub(super) async fn stop(&mut self, is_stopped: bool) {
        let mut args = self.told();
        args.push(text(u8::from(is_stopped)));
        assert_eq!(self.room(&STOP, args).await.code, "ok");
    }

    /// The numbers that are drawn, and whether the draw was published; `None`: unchanged.
    pub(super) async fn close_list(&mut self) -> Option<(i64, bool)> {
        let reply = self.room(&CLOSE_LIST, self.told()).await;
        (reply.code == "ok").then(|| (number(reply.rest.first()), number(reply.rest.get(1)) == 1))
    }

    pub(super) async fn publish_draw(&mut self, hash: &str, vacant: &[i64]) -> String {
        self.publish_bits(hash, vacant.len(), &[], vacant).await
    }

    /// With the first bytes of the departures, and more places.
    pub(super) async fn publish_bits(&mut self, hash: &str, count: usize, bits: &[u8], vacant: &[i64]) -> String {
        let mut args = self.told();
        args.extend([text(hash), text(count), text(0), Value::Bytes(bits.to_vec().into())]);
        args.extend(vacant.iter().map(text));
        self.room(&PUBLISH_DRAW, args).await.code
    }

    pub(super) async fn snapshot(&mut self, departures_known: i64) -> Snapshot {
        let reply = self.room(&SNAPSHOT, vec![text(departures_known), text(1_000)]).await;
        assert_eq!(reply.code, "ok");
        let at = |index: usize| number(reply.rest.get(index));
        let pace = reply.rest[13].as_string().unwrap();
        let pace = pace.split(',').filter(|entry| !entry.is_empty()).map(|entry| {
            let (at, count) = entry.split_once(':').unwrap();
            (at.parse().unwrap(), count.parse().unwrap())
        });
        let (first, bits) = (at(14), reply.rest[15].as_bytes().unwrap());
        let gone = (first..).zip(bits.iter().flat_map(|byte| (0..8).map(move |bit| byte & (0x80 >> bit) != 0)));
        Snapshot {
            left: i64::try_from(reply.head.unwrap().left).unwrap(),
            number: at(0),
            admitted_to: at(1),
            waiting: at(2),
            inside: at(3),
            admitted: at(4),
            no_shows: at(5),
            left_queue: at(6),
            is_stopped: at(7) == 1,
            departures: at(8),
            draw_n: at(9),
            drawn_at: at(10),
            in_window: at(11),
            list_hash: reply.rest[12].as_string().unwrap(),
            pace: pace.collect(),
            life: at(16),
            kept_ms: at(17),
            gone: gone.filter(|(_, is_gone)| *is_gone).map(|(place, _)| place).collect(),
        }
    }

    /// Seconds, and the users who were admitted after so many.
    pub(super) async fn waits(&self) -> BTreeMap<i64, i64> {
        let fields: HashMap<String, String> = self.redis.all_fields(&self.keys().waits()).await.unwrap();
        fields.into_iter().map(|(seconds, users)| (seconds.parse().unwrap(), users.parse().unwrap())).collect()
    }

    /// Claims of user, attempt and the number that their pass is for, of this life of the room or with so many times
    /// `OF_LIFE` of that one; 0: none.
    pub(super) async fn claim(&mut self, requests: &[(String, String, i64)]) -> Vec<Answer> {
        let text_of = |pass: i64| match (pass / OF_LIFE, self.life) {
            (0, 0) => pass.to_string(),
            (0, life) if pass > 0 => format!("{pass}.{life}"),
            (0, _) => "0".into(),
            (life, _) => format!("{}.{life}", pass % OF_LIFE),
        };
        let passes: Vec<String> = requests.iter().map(|(_, _, pass)| text_of(*pass)).collect();
        let passes = if requests.iter().all(|(_, _, pass)| *pass == 0) { String::new() } else { passes.join(",") };
        let attempts = requests.iter().flat_map(|(user, attempt, _)| [text(attempt), text(user)]).collect();
        self.issue(passes, attempts).await
    }

    async fn issue(&mut self, passes: String, attempts: Vec<Value>) -> Vec<Answer> {
        let mut args = vec![text(""), text(passes)];
        args.extend(attempts);
        let keys = self.keys().issue();
        let reply = self.call(&ISSUE, keys, args).await;
        assert_eq!(reply.code, "ok");
        reply.rest.into_iter().map(|answer| Answer::read(&answer.into_string().unwrap())).collect()
    }

    /// With a pass that says its life; 0: it says none.
    pub(super) async fn claim_in_life(&mut self, user: &str, attempt: &str, pass: i64, life: i64) -> Answer {
        let pass = if life == 0 { pass.to_string() } else { format!("{pass}.{life}") };
        self.issue(pass, vec![text(attempt), text(user)]).await.remove(0)
    }

    pub(super) async fn claim_one(&mut self, user: &str, attempt: &str, pass: i64) -> Answer {
        self.claim(&[(user.to_owned(), attempt.to_owned(), pass)]).await.remove(0)
    }

    pub(super) async fn give_back(&mut self, number: i64) -> String {
        let keys = [self.keys().campaign(), self.keys().holders(), self.keys().claims(), self.keys().outbox()];
        self.call(&GIVE_BACK, keys, vec![text(number), text(1), text("")]).await.code
    }
}

/// Names of users, from the first to the last.
pub(super) fn people(numbers: std::ops::RangeInclusive<i64>) -> Vec<String> {
    numbers.map(|number| format!("u{number}")).collect()
}
