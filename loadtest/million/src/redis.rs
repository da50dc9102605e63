//! What does Redis itself say? Looks at a room and at the memory, on a connection that no node uses.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fred::clients::Client;
use fred::prelude::{Builder, ClientLike, Config};
use fred::types::{ClusterHash, CustomCommand, Value};
use onrush::ids::CampaignId;
use onrush::redis::Keys;

use crate::history::{Departures, Look};

/// Everything that is held against what visitors were told, of one moment.
const LOOK: &str =
    "local f = redis.call('HMGET', KEYS[2], 'number', 'admitted_to', 'waiting', 'admitted', 'no_shows', 'left_queue')
local reply = {}
for i = 1, 6 do reply[i] = tonumber(f[i] or 0) end
reply[7] = redis.call('ZCARD', KEYS[4])
reply[8] = tonumber(redis.call('HGET', KEYS[1], 'left') or 0)
reply[9] = table.concat(redis.call('LRANGE', KEYS[7], 0, -1), ',')
reply[10] = redis.call('GET', KEYS[6]) or ''
return reply";
/// Places that are read at once.
const PAGE: u64 = 20_000;
/// Elements of a key of which the memory is looked at.
const SAMPLES: &str = "2000";
/// Memory is settled once it was the same for so many looks in turn.
const SETTLED_LOOKS: u32 = 5;
const SETTLED_EVERY: Duration = Duration::from_millis(200);
const SETTLED_MAX: Duration = Duration::from_secs(20);
/// What may come and go although nothing happens: buffers of the log and of connections.
const SETTLED_BYTES: u64 = 4 << 10;

/// A connection.
pub(crate) struct Redis {
    client: Client,
    keys: Keys,
}

/// The keys of one room.
pub(crate) struct RoomKeys([String; 9]);

/// A room's counters at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    pub(crate) number: u64,
    pub(crate) admitted_to: u64,
    pub(crate) waiting: u64,
    pub(crate) admitted: u64,
    pub(crate) no_shows: u64,
    pub(crate) left_queue: u64,
    pub(crate) inside: u64,
    pub(crate) left: u64,
    /// The pace's list: `ms:count`, with commas between.
    pub(crate) pace: String,
}

impl Redis {
    /// Connects. Keys begin with this.
    pub(crate) async fn connect(address: SocketAddr, prefix: &str) -> anyhow::Result<Self> {
        let config = Config::from_url(&format!("redis://{address}"))?;
        let client = Builder::from_config(config).build()?;
        client.init().await.context("connecting to the private Redis")?;
        Ok(Self { client, keys: Keys::new(prefix) })
    }

    /// The keys of a campaign's room.
    pub(crate) fn room(&self, campaign: &str) -> anyhow::Result<RoomKeys> {
        let id: CampaignId = campaign.parse().ok().context("no id of a campaign")?;
        Ok(RoomKeys(self.keys.of(&id).waiting_room()))
    }

    /// One look.
    pub(crate) async fn look(&self, room: &RoomKeys) -> anyhow::Result<(Counters, Look)> {
        let count = room.0.len().to_string();
        let mut words = vec!["EVAL", LOOK, &count];
        words.extend(room.0.iter().map(String::as_str));
        let asked = Instant::now();
        let reply = self.say(&words).await?.into_array();
        let came = Instant::now();
        ensure!(reply.len() == 10, "a look has {} parts", reply.len());
        let number = |index: usize| reply[index].as_u64().unwrap_or(0);
        let counters = Counters {
            number: number(0),
            admitted_to: number(1),
            waiting: number(2),
            admitted: number(3),
            no_shows: number(4),
            left_queue: number(5),
            inside: number(6),
            left: number(7),
            pace: reply[8].as_string().unwrap_or_default(),
        };
        let departures = Departures::of(reply[9].as_bytes().unwrap_or_default());
        Ok((counters.clone(), Look { asked, came, admitted_to: counters.admitted_to, departures }))
    }

    /// Every user who ever joined, and their number: below zero once they do not wait any more.
    pub(crate) async fn places(&self, room: &RoomKeys) -> anyhow::Result<Vec<(String, i64)>> {
        let mut all = Vec::new();
        loop {
            let (from, to) = (all.len().to_string(), (all.len() as u64 + PAGE - 1).to_string());
            let page = self.say(&["ZRANGE", &room.0[2], &from, &to, "WITHSCORES"]).await?.into_array();
            if page.is_empty() {
                return Ok(all);
            }
            for pair in page.chunks(2) {
                let [user, number] = pair else { continue };
                let number: i64 = number.as_string().context("a place without a number")?.parse()?;
                all.push((user.as_string().context("a place without a user")?, number));
            }
        }
    }

    /// What all keys of a room take, by Redis' own estimate.
    pub(crate) async fn memory_of(&self, room: &RoomKeys) -> anyhow::Result<u64> {
        let mut sum = 0;
        for key in &room.0[1..] {
            sum += self.say(&["MEMORY", "USAGE", key, "SAMPLES", SAMPLES]).await?.as_u64().unwrap_or(0);
        }
        Ok(sum)
    }

    /// All memory in use but for the buffers of the log and of connections.
    pub(crate) async fn memory(&self) -> anyhow::Result<u64> {
        let info = self.say(&["INFO", "memory"]).await?.as_string().unwrap_or_default();
        let field = |name: &str| -> Option<u64> {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
        };
        let used = field("used_memory").context("INFO without used_memory")?;
        let buffers = ["mem_aof_buffer", "mem_clients_normal"].map(|name| field(name).unwrap_or(0));
        Ok(used.saturating_sub(buffers.iter().sum()))
    }

    /// The same, once it does not change any more.
    pub(crate) async fn settled_memory(&self) -> anyhow::Result<u64> {
        let (begun, mut same, mut last) = (Instant::now(), 0, 0_u64);
        loop {
            let used = self.memory().await?;
            same = if used.abs_diff(last) <= SETTLED_BYTES { same + 1 } else { 0 };
            if same == SETTLED_LOOKS {
                return Ok(used);
            }
            ensure!(begun.elapsed() < SETTLED_MAX, "Redis' memory goes on changing: {last} and {used} bytes");
            last = used;
            tokio::time::sleep(SETTLED_EVERY).await;
        }
    }

    async fn say(&self, words: &[&str]) -> anyhow::Result<Value> {
        let (command, arguments) = words.split_first().context("no command")?;
        let command = CustomCommand::new((*command).to_owned(), ClusterHash::Random, false);
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        Ok(self.client.custom(command, arguments).await?)
    }
}
