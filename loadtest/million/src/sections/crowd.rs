//! A million in one room: they join, wait, ask as they are told, and come in. Was all that they were told true, and what
//! did it cost?

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use bench::proc::Watched;
use bench::sections::Promise;
use report::data::{Latencies, Run};

use crate::crowd::Crowd;
use crate::history::History;
use crate::judge::Verdict;
use crate::plan::{ACTIVE_MAX, LEAVES_OF, Plan};
use crate::stage::{Set, Stage};
use crate::watch::{Limits, Until, Watch};

mod findings;
mod shown;

use findings::{Findings, NODES};

/// What it is to find out.
pub(crate) const PROMISES: &[Promise] = &[
    Promise { name: "visitors admitted in time", target: "all of those planned" },
    Promise { name: "inversions", target: "0" },
    Promise { name: "overshoot of pace, cap or units", target: "0" },
    Promise { name: "lost visitors and contradictions", target: "0" },
    Promise { name: "errors", target: "0" },
    Promise { name: "visitors who asked as told and came too late", target: "0" },
    Promise { name: "oldest `ahead` that anybody was told", target: "under 1 s" },
];

const CAMPAIGN: &str = "million";
const AGE_MAX: Duration = Duration::from_secs(1);

/// Measures.
pub(crate) async fn run(stage: &Stage) -> anyhow::Result<(Run, bool)> {
    let plan = &stage.plan;
    let set = Set::open(stage, "crowd", NODES, &[("CAMPAIGN__OUTBOX_FACTS_MAX", "10000000")]).await?;
    set.campaign(CAMPAIGN, plan.stock(), &plan.room()).await?;
    let bytes_before = set.redis.settled_memory().await?;
    let mut watched = Watched::default().and("client", Some(std::process::id()));
    for (index, node) in set.nodes.iter().enumerate() {
        watched = watched.and(&format!("onrush {}", index + 1), Some(node.pid()));
    }
    let watched = watched.and("redis", set.rig.redis.pid());
    let processes = watched.times().entries().iter().map(|(name, _)| name.clone()).collect();
    let history = Arc::new(Mutex::new(History::default()));
    let (stop, all_joined) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let watch = Watch {
        redis: crate::redis::Redis::connect(set.rig.redis.address(), &set.rig.prefix()).await?,
        room: set.redis.room(CAMPAIGN)?,
        watched,
        nodes: set.nodes.iter().map(bench::rig::Node::pid).collect(),
        limits: Limits { active_max: ACTIVE_MAX, reserve: 0 },
        until: Until { admitted: plan.admit_total, deadline: Instant::now() + Duration::from_mins(1) * minutes(plan) },
        history: Arc::clone(&history),
        all_joined: Arc::clone(&all_joined),
        stop: Arc::clone(&stop),
    };
    let crowd = Crowd {
        nodes: set.addresses(),
        campaign: CAMPAIGN.to_owned(),
        connections: plan.connections,
        users: Arc::clone(&stage.users),
        count: plan.users,
        leaves_of: LEAVES_OF,
        history: Arc::clone(&history),
        stop: Arc::clone(&stop),
        all_joined,
    };
    let watching = tokio::spawn(watch.run());
    let come = crowd.come().await;
    // Where the crowd failed, nobody else ends the watch.
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let seen = watching.await??;
    let outcome = come?;

    // Without nodes nobody is admitted and no pass ends: what is read from here on is of one moment.
    let Set { rig, nodes, redis } = set;
    for node in nodes {
        node.stop().await?;
    }
    let room = redis.room(CAMPAIGN)?;
    let (last, look) = redis.look(&room).await?;
    let ages = {
        let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
        history.add(look);
        history.ages().clone()
    };
    let places = redis.places(&room).await?;
    let verdict = Verdict::of(&outcome.people, &places, &last, Plan::user_of);
    rig.end().await?;
    ensure!(seen.looks > 0 && ages.judged > 0, "nothing was looked at");
    let findings = Findings { plan, outcome, seen, ages, verdict, last, bytes_before, processes };
    Ok(findings.report())
}

fn minutes(plan: &Plan) -> u32 {
    u32::try_from(plan.minutes).unwrap_or(u32::MAX)
}

impl Findings<'_> {
    fn report(&self) -> (Run, bool) {
        let Self { outcome, seen, ages, verdict, .. } = self;
        let found = &outcome.found;
        let inversions = found.order.inversions + verdict.passed_over;
        let most = seen.admissions.most_within(self.plan.every_ms);
        let overshoot =
            most.saturating_sub(self.plan.admit) + seen.above_cap + seen.above_units + seen.admissions.unseen;
        let lost = verdict.lost + verdict.contradicted + verdict.miscounted;
        let errors = found.errors + ages.untrue;
        let looks = format!("{} looks", seen.looks);
        let answers = format!("{} answers", ages.judged);
        let figures = [
            (
                match seen.done_after {
                    Some(after) => format!("{} after {:.0} s", self.last.admitted, after.as_secs_f64()),
                    None => format!("{} in {} minutes", self.last.admitted, self.plan.minutes),
                },
                format!("{} planned", self.plan.admit_total),
                seen.done_after.is_some(),
            ),
            (inversions.to_string(), format!("{} places, {answers}", self.last.number), inversions == 0),
            (overshoot.to_string(), format!("{looks}, at most {most} in {} ms", self.plan.every_ms), overshoot == 0),
            (lost.to_string(), format!("{} visitors", self.plan.users), lost == 0),
            (errors.to_string(), answers.clone(), errors == 0),
            (
                (found.expired + self.last.no_shows).to_string(),
                format!("{} picked up", found.picked_up),
                found.expired + self.last.no_shows == 0,
            ),
            (
                format!("{:.2} s", ages.oldest.as_secs_f64()),
                format!("{answers}, {:.2} s without their way", ages.oldest_asked.as_secs_f64()),
                ages.oldest < AGE_MAX,
            ),
        ];
        let is_true = figures[1..5].iter().all(|(_, _, met)| *met);
        let judge =
            |(promise, (figure, spread, met)): (&Promise, (String, String, bool))| promise.judged(figure, spread, met);
        let mut notes = shown::notes(self);
        let wrong = [&found.order.first, &verdict.first, &ages.first_untrue].into_iter().flatten().chain(&found.shown);
        notes.extend(wrong.map(|text| format!("Not as it must be: {text}")));
        let latencies = [("joins", &found.joins), ("polls", &found.polls), ("claims with a pass", &found.claims)]
            .map(|(name, histogram)| Latencies { name: format!("crowd: {name}"), buckets: histogram.buckets() });
        let run = Run {
            targets: PROMISES.iter().zip(figures).map(judge).collect(),
            latencies: latencies.to_vec(),
            timelines: shown::timelines(self),
            tables: shown::tables(self),
            notes,
            ..Run::default()
        };
        (run, is_true)
    }
}
