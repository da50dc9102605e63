//! Three nodes, of which two are killed at random moments, under a crowd that does whatever it likes: what Redis saw all the
//! while proves that pace, cap and order held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use fred::prelude::{ClientLike, LuaInterface};
use fred::types::Value as RedisValue;
use futures::future::join_all;
use onrush::redis::Keys;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::room::{figures, look, open, path, pressed};
use crate::support::installation::{Answer, Client, Installation};
use crate::support::process::Process;

const ADMIT: u64 = 20;
const EVERY_MS: i64 = 500;
const CAP: u64 = 60;
const WITHIN_S: i64 = 40;
const TTL_S: i64 = 20;
const USERS: usize = 400;
const LASTS: Duration = Duration::from_secs(8);

/// Everybody inside with deadline and record, and the pace, as they are at one moment.
const LOOK: &str = "local seen = {}
local inside = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 1, #inside, 2 do
  seen[#seen + 1] = inside[i + 1] .. ':' .. redis.call('HGET', KEYS[2], inside[i]) .. ':' .. inside[i]
end
return { table.concat(seen, ','), table.concat(redis.call('LRANGE', KEYS[3], 0, -1), ',') }";

/// What was seen in Redis, again and again.
#[derive(Default)]
struct Seen {
    inside_max: usize,
    /// Users by number, whom it was seen inside.
    users: BTreeMap<u64, String>,
    /// By number: when they were let in, where they were seen before they picked the pass up.
    let_in: BTreeMap<u64, i64>,
    /// By number: when the pass was picked up.
    picked_up: BTreeMap<u64, i64>,
    /// By moment: how many were let in then.
    pace: BTreeMap<i64, u64>,
    looks: usize,
}

impl Seen {
    fn note(&mut self, inside: &str, pace: &str) {
        self.looks += 1;
        let mut count = 0;
        for entry in inside.split(',').filter(|entry| !entry.is_empty()) {
            count += 1;
            let parts: Vec<&str> = entry.split(':').collect();
            let (deadline, number): (i64, u64) = (parts[0].parse().unwrap(), parts[1].parse().unwrap());
            match parts[2] {
                "a" => self.let_in.insert(number, deadline - WITHIN_S * 1_000),
                _ => self.picked_up.insert(number, deadline - TTL_S * 1_000),
            };
            let before = self.users.insert(number, parts[3].to_owned());
            assert!(before.is_none_or(|before| before == parts[3]), "number {number} is two users'");
        }
        self.inside_max = self.inside_max.max(count);
        let mut now: BTreeMap<i64, u64> = BTreeMap::new();
        for entry in pace.split(',').filter(|entry| !entry.is_empty()) {
            let (at, count) = entry.split_once(':').unwrap();
            *now.entry(at.parse().unwrap()).or_default() += count.parse::<u64>().unwrap();
        }
        for (at, count) in now {
            let known = self.pace.entry(at).or_default();
            *known = count.max(*known);
        }
    }

    /// The pace held in every window, wherever it begins.
    fn assert_pace(&self) {
        for begin in self.pace.keys() {
            let in_window: u64 = self.pace.range(begin..&(begin + EVERY_MS)).map(|(_, count)| count).sum();
            assert!(in_window <= ADMIT, "{in_window} were let in from {begin} on: {:?}", self.pace);
        }
    }

    /// Nobody was let in before one with a lower number who was let in, too.
    fn assert_order(&self) {
        let mut latest = (0, i64::MIN);
        for number in self.users.keys() {
            let let_in = self.let_in.get(number);
            let at_most = let_in.or_else(|| self.picked_up.get(number)).unwrap();
            assert!(*at_most >= latest.1, "number {number} came in at {at_most}, before {latest:?}");
            if let Some(at) = let_in {
                latest = (*number, *at);
            }
        }
    }
}

async fn sample(installation: &Installation, campaign: &str, seen: Arc<Mutex<Seen>>, over: CancellationToken) {
    let url = fred::types::config::Config::from_url(&installation.config.redis.url).unwrap();
    let client = fred::clients::Client::new(url, None, None, None);
    client.init().await.unwrap();
    let keys = Keys::new(&installation.config.redis.key_prefix).of(&campaign.parse().unwrap());
    let all = keys.waiting_room();
    let pace = all.iter().find(|key| key.ends_with(":pace")).unwrap().clone();
    while !over.is_cancelled() {
        let keys = vec![keys.inside(), keys.passes(), pace.clone()];
        let found: Vec<String> =
            client.eval::<Vec<String>, _, _, _>(LOOK, keys, Vec::<RedisValue>::new()).await.unwrap();
        seen.lock().unwrap().note(&found[0], &found[1]);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    client.quit().await.unwrap();
}

/// The nodes as users find them: whoever gets no answer goes to another.
#[derive(Clone)]
struct Doors(Arc<Mutex<Vec<Client>>>);

impl Doors {
    fn any(&self) -> Client {
        let doors = self.0.lock().unwrap();
        doors[rand::random_range(0..doors.len())].clone()
    }

    /// `None`: no answer came. It may have happened.
    async fn ask(&self, method: Method, campaign: &str, user: &str, ticket: Option<&str>) -> Option<Answer> {
        let door = self.any();
        let mut request = door.request(method, &path(campaign)).bearer_auth(door.token(user));
        if let Some(ticket) = ticket {
            request = request.header("Onrush-Ticket", ticket);
        }
        door.try_send(request).await.ok()
    }
}

/// What one user was told.
#[derive(Default)]
struct StatusBody {
    user: String,
    passes: BTreeMap<u64, String>,
    claimed: bool,
    /// Went while they waited, as far as they knew.
    went: usize,
}

fn number_of(pass: &str) -> u64 {
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(pass.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    claims["jti"].as_str().unwrap().strip_prefix("1.").unwrap().parse().unwrap()
}

async fn pause(ms: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rand::random_range(ms))).await;
}

/// Joins, asks, goes, comes back, claims, as it comes.
async fn live(doors: Doors, campaign: String, user: String, over: CancellationToken) -> StatusBody {
    let mut told = StatusBody { user: user.clone(), ..StatusBody::default() };
    let mut ticket: Option<String> = None;
    pause(0..3_000).await;
    let mut next = Method::POST;
    while !over.is_cancelled() {
        let shown = ticket.clone().filter(|_| rand::random_bool(0.7));
        let Some(answer) = doors.ask(next.clone(), &campaign, &user, shown.as_deref()).await else {
            pause(20..80).await;
            continue;
        };
        if let Some(new) = answer.body["ticket"].as_str() {
            ticket = Some(new.to_owned());
        }
        next = Method::GET;
        match (answer.status, answer.text("state")) {
            (200 | 202, "waiting") => {
                if rand::random_bool(0.02) {
                    next = Method::DELETE;
                    told.went += 1;
                }
                pause(100..300).await;
            }
            (200, "admitted") => {
                let pass = answer.text("pass");
                told.passes.insert(number_of(pass), pass.to_owned());
                pause(100..2_500).await;
                if rand::random_bool(0.1) {
                    next = Method::DELETE;
                    continue;
                }
                let door = doors.any();
                if let Ok(claimed) = door.try_send(pressed(&door, &campaign, &user, pass)).await {
                    match claimed.outcome().as_str() {
                        "201" | "409 limit_reached" => {
                            told.claimed = true;
                            return told;
                        }
                        "503 unavailable" => {}
                        _ => panic!("{claimed:?}"),
                    }
                }
            }
            (204 | 404, _) | (200, "expired") => {
                next = Method::POST;
                pause(100..500).await;
            }
            (503, _) => {
                next = if ticket.is_none() { Method::POST } else { Method::GET };
                pause(50..200).await;
            }
            _ => panic!("{answer:?}"),
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pace_cap_and_order_hold_while_nodes_are_killed_and_everybody_does_what_they_like() {
    let installation = Installation::new().await;
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Process::start(&installation, "serve").await);
    }
    let doors = Doors(Arc::new(Mutex::new(nodes.iter().map(|node| installation.client(&node.url)).collect())));
    let survivor = installation.client(&nodes[0].url);
    let spec = json!({"admit": ADMIT, "every_ms": EVERY_MS, "active_max": CAP, "pass_ttl_s": TTL_S,
        "claim_pass_within_s": WITHIN_S});
    let campaign = open(&survivor, 10_000, spec).await;
    let (seen, over, all_over) =
        (Arc::new(Mutex::new(Seen::default())), CancellationToken::new(), CancellationToken::new());
    let sampler = sample(&installation, &campaign, Arc::clone(&seen), all_over.clone());
    let story = async {
        let crowd: Vec<_> = (0..USERS)
            .map(|user| tokio::spawn(live(doors.clone(), campaign.clone(), format!("user-{user}"), over.clone())))
            .collect();
        let begin = Instant::now();
        pause(1_500..3_000).await;
        nodes[1].kill().await;
        pause(300..1_500).await;
        let again = Process::start(&installation, "serve").await;
        doors.0.lock().unwrap()[1] = installation.client(&again.url);
        pause(200..1_000).await;
        nodes[2].kill().await;
        tokio::time::sleep(LASTS.saturating_sub(begin.elapsed())).await;
        over.cancel();
        let told: Vec<StatusBody> = join_all(crowd).await.into_iter().map(Result::unwrap).collect();
        all_over.cancel();
        told
    };
    let (told, ()) = tokio::join!(story, sampler);

    let figures = figures(&survivor, &campaign).await;
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.looks > 100, "only {} looks", seen.looks);
    assert!(seen.inside_max as u64 <= CAP, "{} were inside", seen.inside_max);
    seen.assert_pace();
    seen.assert_order();
    // Little was missed: all admissions are in the windows that were seen, but for a moment in which nobody looked.
    let in_windows: u64 = seen.pace.values().sum();
    let after: u64 = figures.number("admitted") - in_windows;
    assert!(after * 5 <= in_windows, "{after} of {} were let in unseen", figures.number("admitted"));
    assert!(in_windows >= 100, "the queue hardly moved: {figures:?}");

    // Each number is one user's, and let in once.
    let mut numbers: BTreeSet<u64> = seen.users.keys().copied().collect();
    for told in &told {
        for number in told.passes.keys() {
            let known = seen.users.get(number);
            assert!(known.is_none_or(|user| *user == told.user), "number {number} of {} is {known:?}'s", told.user);
            numbers.insert(*number);
        }
    }
    let went: usize = told.iter().map(|told| told.went).sum();
    let unseen = figures.number("admitted").saturating_sub(numbers.len() as u64);
    assert!(numbers.len() as u64 <= figures.number("admitted"), "more numbers than admissions");
    assert!(
        unseen <= after + went as u64,
        "{unseen} admissions of numbers that nobody saw, {went} went unseen at most"
    );
    // Who still waits is behind everybody who was let in.
    let last = numbers.last().copied().unwrap();
    let mut still = 0;
    for told in told.iter().filter(|told| !told.claimed) {
        let answer = look(&survivor, &campaign, &told.user).await;
        if answer.text("state") == "waiting" {
            still += 1;
            let now_let_in = numbers.iter().filter(|number| **number > answer.number("place")).count();
            assert_eq!(now_let_in, 0, "place {} waits and {last} was let in", answer.number("place"));
        }
    }
    let claimed = told.iter().filter(|told| told.claimed).count();
    eprintln!(
        "{claimed} claimed, {still} wait, {} let in, at most {} inside",
        figures.number("admitted"),
        seen.inside_max
    );
    assert!(claimed >= 50, "hardly anybody got through: {claimed}");
}
