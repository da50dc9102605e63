//! The Lua scripts against a plain model in Rust: random claims, give-backs, redemptions that are undone, attempts that are
//! cancelled, raises, pauses, time that passes and calls that are repeated. After each call the answers agree; at the end all that Redis holds does.

mod model;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onrush::facts::Kind;
use onrush::redis::Redis;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::names;
use model::Model;
use store::{Call, Row, Store};

const OPENS_AT: i64 = 1_000_000;
const CLOSES_AT: i64 = 2_000_000;
const USER_MAX_FACTOR: usize = 3;
const OUTBOX_MAX: usize = 12;

#[derive(Debug, Clone)]
enum Step {
    Claim(Vec<(u8, u8)>),
    GiveBack {
        number: u8,
        as_user: Option<u8>,
    },
    Redeem {
        number: u8,
        call: u8,
    },
    Unredeem {
        number: u8,
        call: u8,
    },
    Cancel(u8, u8),
    /// A claim's first answer could say only so much.
    Weaken {
        number: u8,
        kept: &'static str,
    },
    Put(Edit),
    /// The call before, once more, as a client library resends it.
    Again,
    Wait(i64),
    /// The clock of the store's machine is set back: time in the store stands still instead.
    SetBack(i64),
    Drain,
}

#[derive(Debug, Clone)]
enum Edit {
    Raise(u8),
    Lower(u8),
    Limit(u8),
    Pause,
    Resume,
    Close,
    /// A version that was put before.
    Old,
}

fn step() -> impl Strategy<Value = Step> {
    let edit = prop_oneof![
        4 => (1..6_u8).prop_map(Edit::Raise),
        1 => (1..6_u8).prop_map(Edit::Lower),
        1 => (1..4_u8).prop_map(Edit::Limit),
        1 => Just(Edit::Pause),
        2 => Just(Edit::Resume),
        1 => Just(Edit::Old),
    ];
    prop_oneof![
        // Few users and few attempts, so that they meet; within a batch too.
        12 => prop::collection::vec((0..6_u8, 0..12_u8), 1..9).prop_map(Step::Claim),
        5 => (1..20_u8, prop::option::of(0..6_u8)).prop_map(|(number, as_user)| Step::GiveBack { number, as_user }),
        3 => (1..10_u8, 0..4_u8).prop_map(|(number, call)| Step::Redeem { number, call }),
        2 => (1..10_u8, 0..4_u8).prop_map(|(number, call)| Step::Unredeem { number, call }),
        2 => (0..6_u8, 0..12_u8).prop_map(|(user, attempt)| Step::Cancel(user, attempt)),
        2 => (1..20_u8, letter()).prop_map(|(number, kept)| Step::Weaken { number, kept }),
        4 => edit.prop_map(Step::Put),
        3 => Just(Step::Again),
        2 => (1..400_000_i64).prop_map(Step::Wait),
        1 => (1..400_000_i64).prop_map(Step::SetBack),
        2 => Just(Step::Drain),
        1 => Just(Step::Put(Edit::Close)),
    ]
}

/// Of a durability, weakest first.
const LETTERS: [&str; 3] = ["", "f", "r"];

fn letter() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&LETTERS[..])
}

fn strength(letter: &str) -> usize {
    LETTERS.iter().position(|known| *known == letter).unwrap()
}

fn name(prefix: &str, index: u8) -> String {
    format!("{prefix}{index}")
}

async fn agree(redis: Arc<Redis>, asked: &'static str, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let campaign = names::unique("model").parse().unwrap();
    let mut store = Store { redis, campaign, asked, facts: Vec::new() };
    let mut now = OPENS_AT - 300_000;
    let mut row = Row { version: 1, stock: 8, limit: 1, paused: false, closed: false };
    prop_assert_eq!(store.put(&row, now, false).await, "created");
    prop_assert_eq!(store.put(&row, now, true).await, "unchanged");
    let mut model = Model {
        asked,
        stock: row.stock,
        limit: row.limit,
        paused: false,
        closed: false,
        version: 1,
        claims: BTreeMap::new(),
        cancelled: BTreeSet::new(),
        facts: vec![(Kind::Created, row.stock, None)],
        outbox: 1,
        last_now: now,
    };
    let mut last = None;
    for step in steps {
        let call = match step {
            Step::Wait(ms) => {
                now += ms;
                continue;
            }
            Step::SetBack(ms) => {
                now -= ms;
                continue;
            }
            Step::Drain => {
                store.drain().await;
                model.outbox = 0;
                continue;
            }
            Step::Again => match last.clone() {
                Some(call) => call,
                None => continue,
            },
            Step::Claim(pairs) => Call::Claim(
                pairs.into_iter().map(|(user, attempt)| (name("u", user), name("attempt", attempt))).collect(),
            ),
            Step::GiveBack { number, as_user } => {
                Call::GiveBack(u64::from(number), as_user.map(|user| name("u", user)))
            }
            Step::Redeem { number, call } => Call::Redeem(u64::from(number), name("call", call)),
            Step::Unredeem { number, call } => Call::Unredeem(u64::from(number), name("call", call)),
            Step::Cancel(user, attempt) => Call::Cancel(name("u", user), name("attempt", attempt)),
            Step::Weaken { number, kept } => Call::Weaken(u64::from(number), kept),
            Step::Put(edit) => {
                // A refused edit leaves the row as it was: the next one starts from what Redis has.
                row = Row {
                    version: row.version,
                    stock: model.stock,
                    limit: model.limit,
                    paused: model.paused,
                    closed: model.closed,
                };
                row.version += i64::from(!matches!(edit, Edit::Old));
                match edit {
                    Edit::Raise(by) => row.stock += i64::from(by),
                    Edit::Lower(by) => row.stock = (row.stock - i64::from(by)).max(1),
                    Edit::Limit(limit) => row.limit = row.limit.max(usize::from(limit)),
                    Edit::Pause => row.paused = true,
                    Edit::Resume => row.paused = false,
                    Edit::Close => row.closed = true,
                    Edit::Old => row.stock += 1_000,
                }
                Call::Put(row.clone())
            }
        };
        let expected = match &call {
            Call::Claim(requests) => model.claim(requests, now),
            Call::GiveBack(number, owner) => vec![model.give_back(*number, owner.as_deref(), now).to_owned()],
            Call::Redeem(number, call) => vec![model.redeem(*number, call, now)],
            Call::Unredeem(number, call) => vec![model.unredeem(*number, call, now)],
            Call::Cancel(user, attempt) => vec![model.cancel(user, attempt, now).to_owned()],
            Call::Weaken(number, kept) => vec![model.weaken(*number, kept).to_owned()],
            Call::Put(row) => vec![model.put(row, now).to_owned()],
        };
        prop_assert_eq!(store.run(&call, now).await, expected, "{:?} at {}", call, now);
        last = Some(call);
    }
    store.drain().await;
    compare(&store, &model).await
}

async fn compare(store: &Store, model: &Model) -> Result<(), TestCaseError> {
    let keys = store.redis.keys().of(&store.campaign);
    let fields = ["stock", "left", "next", "fact_no", "outbox_facts"].map(String::from).to_vec();
    let counters = store.redis.fields(&store.campaign, &keys.campaign(), fields).await.unwrap();
    let counters: Vec<i64> = counters.into_iter().map(|field| field.unwrap().parse().unwrap()).collect();
    let facts = i64::try_from(model.facts.len()).unwrap();
    let numbers = i64::try_from(model.claims.len()).unwrap();
    prop_assert_eq!(counters, vec![model.stock, model.left(), numbers, facts, 0]);
    prop_assert!(model.left() >= 0, "oversold");

    for number in model.claims.keys() {
        let record = store.redis.fields(&store.campaign, &keys.claims(), vec![number.to_string()]).await.unwrap();
        prop_assert_eq!(format!("{number}\u{1f}{}", record[0].as_deref().unwrap_or("nothing")), model.shown(*number));
    }
    let told: Vec<_> = store
        .facts
        .iter()
        .map(|fact| {
            (fact.kind, fact.change, fact.claim.as_ref().map(|claim| claim.number).filter(|number| *number > 0))
        })
        .collect();
    prop_assert_eq!(&told, &model.facts);
    let cancelled: BTreeSet<(String, String)> = store
        .facts
        .iter()
        .filter(|fact| fact.kind == Kind::Cancelled)
        .filter_map(|fact| fact.claim.clone().map(|claim| (claim.user, claim.attempt)))
        .collect();
    prop_assert_eq!(&cancelled, &model.cancelled);
    for (index, fact) in store.facts.iter().enumerate() {
        prop_assert_eq!(fact.fact_no, index as u64 + 1);
    }
    prop_assert_eq!(told.iter().map(|(_, change, _)| change).sum::<i64>(), model.left());
    Ok(())
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let redis = runtime.block_on(async { Arc::new(Redis::connect(&names::config().redis).await.unwrap()) });
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    runner
        .run(&(letter(), prop::collection::vec(step(), 1..60)), |(asked, steps)| {
            runtime.block_on(agree(Arc::clone(&redis), asked, steps))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
