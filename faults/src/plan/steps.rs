//! Which faults strike in a run, and when?

use std::time::Duration;

use super::{Around, Fault, Garbage, Ledger, Scale, Step};
use crate::draw::Draw;
use crate::installation::{Role, Store};

pub(super) fn steps(draw: &mut Draw, roles: &[Role], scale: Scale) -> Vec<Step> {
    let mut steps: Vec<Step> = (0..draw.number(2..5)).map(|_| step(draw, roles, scale)).collect();
    if scale.loses_redis && draw.percent(45) {
        // What else there is strikes as well, and may be at work at the same moment.
        let at = scale.rush / 4 + draw.ms(0..500);
        steps.push(Step { at, fault: loss(draw, roles) });
        if draw.percent(45) {
            // Some facts wait as dead letters when that happens, and units are decided between the two.
            steps.retain(|step| !matches!(step.fault, Fault::RestartRedis { .. } | Fault::RefuseFacts));
            steps.push(Step { at: at / 3, fault: Fault::RefuseFacts });
        }
    }
    if steps.iter().any(|step| step.fault.kills_stores()) {
        // A killed store is enough for one run, and others wait for it to end.
        steps.retain(|step| step.fault.kills_stores() || matches!(step.fault, Fault::Pause { .. } | Fault::Cut { .. }));
        let mut first = true;
        steps.retain(|step| !step.fault.kills_stores() || std::mem::take(&mut first));
    }
    steps.sort_by_key(|step| step.at);
    steps
}

/// No worker reaches Kafka for a while: facts wait.
pub(super) fn full_outbox(draw: &mut Draw, roles: &[Role], scale: Scale) -> Vec<Step> {
    let at = draw.ms(0..u64::try_from(scale.rush.as_millis() / 2).unwrap_or(1));
    let time = draw.ms(300..1_200);
    let workers = (0..roles.len()).filter(|node| roles[*node] != Role::Serve);
    workers.map(|node| Step { at, fault: Fault::Refuse { node, store: Store::Kafka, time } }).collect()
}

fn step(draw: &mut Draw, roles: &[Role], scale: Scale) -> Step {
    let latest = u64::try_from(scale.rush.as_millis()).unwrap_or(u64::MAX);
    let at = draw.ms(100..latest);
    let node = draw.place(roles.len());
    let workers: Vec<_> = (0..roles.len()).filter(|node| roles[*node] != Role::Serve).collect();
    let worker = workers[draw.place(workers.len())];
    let store = [Store::Redis, Store::Kafka, Store::Postgres][draw.place(3)];
    let fault = match draw.number(0..1_000) {
        0..30 => Fault::KillMidWrite { node: worker, down: draw.ms(0..1_000) },
        30..50 => Fault::KillBeforeCommit { node: worker, down: draw.ms(0..1_000) },
        50..150 => Fault::Pause { node, time: draw.ms(300..2_500) },
        150..220 => Fault::Cut { node, store },
        220..270 => Fault::Stall { node, store, time: draw.ms(100..2_000) },
        270..330 => Fault::Delay { node, store, by: draw.ms(1..80), time: draw.ms(300..2_000) },
        330..390 => Fault::Refuse { node, store, time: draw.ms(100..2_000) },
        390..490 => Fault::LoseReplies { node, count: 1 + draw.place(4) },
        490..550 => Fault::RestartRedis { down: draw.ms(50..1_000) },
        550..650 => Fault::ForgetScripts { times: 10 + draw.place(40) },
        650..690 => Fault::Rebalance { stays: draw.ms(300..1_500) },
        690..740 => Fault::HideMessages { time: draw.ms(300..2_000) },
        740..790 => Fault::FailAnnouncements { count: 2 + draw.place(6) },
        790..850 => Fault::FillMemory { time: draw.ms(300..1_500) },
        850..900 => Fault::BreakOutbox { kind: [Garbage::Nonsense, Garbage::Version, Garbage::Kind][draw.place(3)] },
        900..940 => Fault::RefuseFacts,
        940..948 if scale.kills_stores => Fault::KillKafka { down: draw.ms(500..2_500) },
        948..960 if scale.kills_stores => Fault::KillPostgres { down: draw.ms(500..2_500) },
        _ => Fault::Kill { node, down: draw.ms(0..1_000) },
    };
    Step { at, fault }
}

fn loss(draw: &mut Draw, roles: &[Role]) -> Fault {
    let serving: Vec<_> = (0..roles.len()).filter(|node| roles[*node].serves()).collect();
    let reboots = draw.percent(45);
    let around = Around {
        stale: (!reboots && draw.percent(60)).then(|| serving[draw.place(serving.len())]),
        others_away: !reboots && draw.percent(60),
        reboots,
        ledger: match draw.number(0..100) {
            0..35 => Ledger::Behind,
            35..70 if reboots => Ledger::Away,
            _ => Ledger::There,
        },
        lasts: Duration::from_millis(400) + draw.ms(0..900),
        killed_rebuilds: if draw.percent(30) { 4 + draw.place(3) } else { 0 },
        at_once: draw.percent(50),
    };
    match draw.number(0..100) {
        0..45 => Fault::SetRedisBack { by: draw.ms(150..700), around },
        45..72 => Fault::PromoteReplica { by: draw.ms(150..700), around },
        72..86 => Fault::FlushRedis { around },
        _ => Fault::EmptyRedis { around },
    }
}
