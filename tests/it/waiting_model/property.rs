//! The waiting room's scripts against the model: random people, three nodes, a clock that may run back. After each call
//! the answers agree, and so does all that the room holds; and what is promised of it is checked apart from the model.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use onrush::redis::Redis;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::model::{Model, Pass, count};
use super::most_in_a_window;
use super::room::{Answer, INSIDE, KEPT_MS, Limits, OF_LIFE, OPENS_AT, Room, Status, Terms};
use super::steps::{EVERY_MS, Edit, Shown, Step, spec, step};
use crate::support::names;

fn name(user: u8) -> String {
    format!("u{user:02}")
}

/// What is known from outside: what was answered, and who was found inside.
#[derive(Default)]
struct Witness {
    /// The passes that each user was shown, with the life of the room.
    shown: BTreeMap<String, Vec<i64>>,
    /// Admissions in turn since the settings were changed last.
    log: Vec<(i64, i64)>,
    entered: BTreeSet<i64>,
    inside: BTreeMap<String, i64>,
    /// The kinds of answers that were met.
    met: BTreeSet<String>,
    /// How many were ahead of each number when that was last looked at.
    ahead: BTreeMap<i64, i64>,
    /// What each node knows of the departures.
    gone: [(i64, BTreeSet<i64>); 3],
}

impl Witness {
    fn shows(&mut self, user: &str, status: Status, life: i64) {
        let passes = self.shown.entry(user.to_owned()).or_default();
        let pass = status.1 + life * OF_LIFE;
        if status.0 == INSIDE && passes.last() != Some(&pass) {
            passes.push(pass);
        }
    }

    /// Of the room as it was nothing counts any more but the passes that people have in hand.
    fn forgets(&mut self) {
        let (shown, met) = (std::mem::take(&mut self.shown), std::mem::take(&mut self.met));
        *self = Self { shown, met, ..Self::default() };
        self.gone.iter_mut().for_each(|(known, _)| *known = -1);
    }

    fn pass(&self, user: u8, shown: Shown) -> i64 {
        let of = |user: u8, back: usize| self.shown.get(&name(user)).and_then(|all| all.iter().nth_back(back)).copied();
        match shown {
            Shown::Own => of(user, 0),
            Shown::TheOneBefore => of(user, 1),
            Shown::Another(other) => of(other, 0),
            Shown::None => None,
        }
        .unwrap_or_default()
    }
}

impl Witness {
    fn calls(&self, step: &Step) -> Vec<Step> {
        let Step::Serve(index, attempt) = step else { return vec![step.clone()] };
        let inside: Vec<u8> = self.inside.keys().map(|user| user[1..].parse().unwrap()).collect();
        let Some(user) = inside.get(usize::from(*index) % inside.len().max(1)) else { return Vec::new() };
        vec![Step::Look(*user), Step::Claim(vec![(*user, *attempt, Shown::Own)])]
    }
}

fn edited(edit: &Edit, spec: &mut Terms) {
    match *edit {
        Edit::Admit(admit) => spec.admit = admit,
        Edit::Cap(active_max) => spec.active_max = active_max,
        Edit::Reserve(reserve) => spec.reserve = reserve,
        Edit::Raise(by) => spec.stock += by,
        Edit::Pause(paused) => spec.paused = paused,
    }
    // A room has a pace or a cap.
    spec.active_max = if spec.admit == 0 { spec.active_max.max(1) } else { spec.active_max };
}

/// One call by both. How many were admitted in turn by it.
async fn call(room: &mut Room, model: &mut Model, witness: &mut Witness, step: &Step) -> Result<i64, TestCaseError> {
    let now = room.now;
    let mut admitted = 0;
    match step {
        Step::Join(users) => {
            let users: Vec<String> = users.iter().copied().map(name).collect();
            let joined = room.join(&users).await;
            prop_assert_eq!(&joined, &model.join(&users, now));
            for (user, status) in users.iter().zip(&joined.users) {
                witness.shows(user, *status, room.life);
                witness.met.insert(format!("joined {}", status.0));
            }
            witness.met.insert(format!("join {}", joined.code));
            admitted = joined.admitted;
        }
        Step::Look(user) => {
            let status = room.look(&name(*user)).await;
            prop_assert_eq!(status, model.look(&name(*user), now));
            witness.shows(&name(*user), status, room.life);
            witness.met.insert(format!("look {}", status.0));
        }
        Step::Leave(user) => {
            let answer = room.leave(&name(*user), (0, 0)).await;
            prop_assert_eq!(&answer, &model.leave(&name(*user), now));
            admitted = answer.1;
        }
        Step::Claim(requests) => {
            let requests: Vec<_> = requests
                .iter()
                .map(|(user, attempt, shown)| (name(*user), format!("a{attempt}"), witness.pass(*user, *shown)))
                .collect();
            let answers = room.claim(&requests).await;
            prop_assert_eq!(&answers, &model.claim(&requests, now), "{:?}", requests);
            witness.met.extend(answers.iter().map(|answer| match answer {
                Answer::Refused(code) => format!("claim {code}"),
                Answer::Issued(_) => "issued".into(),
                Answer::Replayed(_) => "replayed".into(),
                Answer::Held(_) => "held".into(),
            }));
        }
        Step::GiveBack(number) => {
            prop_assert_eq!(room.give_back(i64::from(*number)).await, model.give_back(i64::from(*number), now));
        }
        Step::LetIn(user) => {
            let code = room.let_in(&name(*user), (0, 0)).await;
            prop_assert_eq!(&code, &model.let_in(&name(*user), now));
            witness.met.insert(format!("let in {code}"));
        }
        Step::Admit => {
            let answer = room.admit().await;
            prop_assert_eq!(answer, model.admit(now));
            admitted = answer.entered;
        }
        Step::Stop(is_stopped) => {
            room.stop(*is_stopped).await;
            model.stop(*is_stopped, now);
        }
        Step::Put(edit) => {
            room.put(|spec| edited(edit, spec)).await;
            model.put(&room.spec, now);
            witness.log.clear();
        }
        Step::Vanish => {
            room.vanish().await;
            model.vanish();
            witness.forgets();
            witness.met.insert("another life".into());
        }
        Step::Serve(..) | Step::Again | Step::Wait(_) | Step::SetBack(_) => {}
    }
    Ok(admitted)
}

/// All that the room holds, and what any node would tell of it.
async fn compare(
    room: &mut Room,
    model: &Model,
    witness: &mut Witness,
    passes: &BTreeMap<String, String>,
    step: &Step,
) -> Result<(), TestCaseError> {
    let (known, gone) = &mut witness.gone[room.node];
    let snapshot = room.snapshot(*known).await;
    prop_assert_eq!(snapshot.life, model.life());
    // Whoever tends the room sees to its end, and to that it has none before.
    if matches!(step, Step::Admit) && model.is_there {
        let is_over = model.is_over(model.now(room.now));
        prop_assert!(
            if is_over { (0..=KEPT_MS).contains(&snapshot.kept_ms) } else { snapshot.kept_ms == -1 },
            "{:?}",
            snapshot
        );
    }
    let counts = (
        snapshot.left,
        snapshot.number,
        snapshot.admitted_to,
        snapshot.admitted,
        snapshot.no_shows,
        snapshot.left_queue,
    );
    let expected = (model.left(), model.number, model.admitted_to, model.admitted, model.no_shows, model.left_queue);
    prop_assert_eq!(counts, expected);
    prop_assert_eq!((snapshot.in_window, &snapshot.pace), (model.in_window(), &model.window));
    prop_assert_eq!((snapshot.departures, snapshot.is_stopped), (count(&model.departures), model.is_stopped));
    let queue = model.queue();
    prop_assert_eq!((snapshot.waiting, snapshot.inside), (count(&queue), count(&model.inside)));
    *known = snapshot.departures;
    gone.extend(&snapshot.gone);
    for (ahead, number) in (0_i64..).zip(queue.keys()) {
        let between = count(gone.range(snapshot.admitted_to + 1..*number));
        prop_assert_eq!(number - snapshot.admitted_to - 1 - between, ahead, "ahead of {}", number);
        let before = witness.ahead.insert(*number, ahead);
        prop_assert!(before.is_none_or(|before| ahead <= before), "{:?} ahead of {}, now {}", before, number, ahead);
    }
    let written = |pass: &Pass| format!("{}:{}", pass.number, if pass.is_picked_up { 'p' } else { 'a' });
    let expected: BTreeMap<String, String> =
        model.inside.iter().map(|(user, pass)| (user.clone(), written(pass))).collect();
    prop_assert_eq!(passes, &expected);
    Ok(())
}

/// What is promised, from what was answered and from who is inside.
fn check(
    room: &Room,
    model: &Model,
    witness: &mut Witness,
    passes: &BTreeMap<String, String>,
    step: &Step,
    admitted: i64,
) -> Result<(), TestCaseError> {
    let spec = &room.spec;
    let number = |pass: &String| pass.split(':').next().unwrap().parse::<i64>().unwrap();
    let inside: BTreeMap<String, i64> = passes.iter().map(|(user, pass)| (user.clone(), number(pass))).collect();
    let entered: Vec<i64> = inside
        .iter()
        .filter(|(user, number)| witness.inside.get(*user) != Some(number))
        .map(|(_, number)| *number)
        .collect();
    let (before, after) = (count(&witness.inside), count(&inside));
    if !entered.is_empty() {
        prop_assert!(spec.active_max == 0 || after <= spec.active_max, "{} inside", after);
        prop_assert!(after <= model.left() + spec.reserve, "{} inside, {} left", after, model.left());
        prop_assert!(!spec.paused && !spec.closed && model.left() > 0);
    }
    prop_assert!(spec.active_max == 0 || after <= before.max(spec.active_max));
    for number in &entered {
        prop_assert!(witness.entered.insert(*number), "{} entered twice", number);
    }
    if !matches!(step, Step::LetIn(_)) {
        prop_assert_eq!(count(&entered), admitted);
        let first = model.queue().first_key_value().map_or(i64::MAX, |(number, _)| *number);
        prop_assert!(entered.iter().all(|number| *number < first), "{:?} passed {} by", entered, first);
    }
    witness.inside = inside;
    witness.log.push((room.decided_at, admitted));
    if spec.admit > 0 {
        prop_assert!(most_in_a_window(&witness.log, EVERY_MS) <= spec.admit, "{:?}", witness.log);
    }
    Ok(())
}

async fn agree(
    redis: Arc<Redis>,
    (spec, limits): (Terms, Limits),
    steps: Vec<(usize, Step)>,
) -> Result<BTreeSet<String>, TestCaseError> {
    let mut room = Room::open_in(redis, spec.clone()).await;
    let mut model = Model::new(spec, limits, OPENS_AT - 100_000);
    let mut witness = Witness::default();
    room.limits = limits;
    room.now = OPENS_AT - 300;
    let mut last = None;
    for (node, step) in steps {
        room.node = node;
        let step = match step {
            Step::Wait(ms) => {
                room.now += ms;
                continue;
            }
            Step::SetBack(ms) => {
                room.now -= ms;
                continue;
            }
            Step::Again => last.clone(),
            step => Some(step),
        };
        for step in step.as_ref().map(|step| witness.calls(step)).unwrap_or_default() {
            let admitted = call(&mut room, &mut model, &mut witness, &step).await?;
            let passes = room.redis.all_fields(&room.keys().passes()).await.unwrap().into_iter().collect();
            check(&room, &model, &mut witness, &passes, &step, admitted)?;
            compare(&mut room, &model, &mut witness, &passes, &step).await?;
            prop_assert_eq!(room.decided_at, model.now(room.now));
        }
        last = step;
    }
    // At its end it goes with all that it has, whoever was last.
    room.now = room.now.max(model.spec.closes_at);
    room.admit().await;
    let kept = room.kept().await;
    prop_assert!(kept.iter().all(|(_, ms)| (1..=KEPT_MS).contains(ms)), "{:?}", kept);
    prop_assert_eq!(room.waits().await.values().sum::<i64>(), model.admitted_in_turn);
    witness.met.extend((model.no_shows > 0).then(|| "no show".into()));
    witness.met.extend((model.admitted_in_turn > 12).then(|| "many admitted".into()));
    Ok(witness.met)
}

/// The kinds of answers that some of the cases have to meet, or the test would show little.
const TO_BE_MET: &[&str] = &[
    "issued",
    "replayed",
    "held",
    "claim 0",
    "claim -1",
    "claim -2",
    "claim -3",
    "claim -4",
    "claim -6",
    "join ok",
    "join closed",
    "join not_open_yet",
    "joined 1",
    "joined 2",
    "joined 4",
    "look 0",
    "look 1",
    "look 2",
    "look 5",
    "let in ok",
    "let in full",
    "let in unchanged",
    "no show",
    "many admitted",
    "another life",
];

#[test]
fn the_waiting_room_does_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let redis = runtime.block_on(async { Arc::new(Redis::connect(&names::config().redis).await.unwrap()) });
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    let met = RefCell::new(BTreeSet::new());
    let steps = prop::collection::vec((0..3_usize, step()), 20..250);
    runner
        .run(&(spec(), steps), |(spec, steps)| {
            met.borrow_mut().extend(runtime.block_on(agree(Arc::clone(&redis), spec, steps))?);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let met = met.into_inner();
    let missing: Vec<_> = TO_BE_MET.iter().filter(|kind| !met.contains(**kind)).collect();
    assert!(missing.is_empty(), "never met: {missing:?}");
}
