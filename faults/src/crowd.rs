//! Who else is there? Operators who make and change campaigns, visitors of a waiting room, and strangers who look at
//! everything all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use testkit::client::token;
use tokio::task::JoinSet;

use crate::history::Event;
use crate::plan::{Act, Does, Plan, Room, Side};
use crate::request::{Asked, Edit, Request};
use crate::rush::{Rush, operators};

/// How often a stranger looks.
const LOOKS_EVERY: Duration = Duration::from_millis(15);
/// A look that took longer, or was not answered well, is taken down.
const SLOW: Duration = Duration::from_secs(1);
/// How long a change takes, before one was answered.
const CHANGE_TAKES_MS: u64 = 20;
/// One that took longer was asked for more than once.
const TRIED_AGAIN_MS: u64 = 1_000;
/// How often a visitor asks, and for how long at most.
const ASKS_EVERY: Duration = Duration::from_millis(50);
const WAITS_MAX: Duration = Duration::from_secs(6);
/// The campaign with a waiting room.
pub const ROOM: &str = "ROOM";

/// Everybody who is in the plan and does not come to the rush itself.
pub fn gather(rush: &Rush, plan: &Plan) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    let took = Arc::new(AtomicU64::new(CHANGE_TAKES_MS));
    for side in &plan.sides {
        tasks.spawn(operate(rush.of(&side.name), side.clone(), Arc::clone(&took)));
        for (index, at) in side.claims.iter().copied().enumerate() {
            let rush = rush.of(&side.name);
            let user = format!("guest-{index}");
            let token = token(&user)?;
            tasks.spawn(async move {
                tokio::time::sleep(at).await;
                let asked = Asked::Claim { key: Some(format!("guest-{index}")) };
                rush.until_known(index, &Request { user, token, asked }).await;
            });
        }
    }
    if let Some(room) = &plan.room {
        tasks.spawn(receive(rush.of(ROOM), room.clone()));
    }
    Ok(tasks)
}

/// What operators do to one campaign, one after the other. `took`: how long the last answered change took, in ms.
async fn operate(rush: Rush, side: Side, took: Arc<AtomicU64>) {
    for Act { at, does, node, hangs_up, stays } in side.acts {
        tokio::time::sleep(at.saturating_sub(rush.history.now())).await;
        let asked = match does {
            Does::Raise(stock) => Asked::Raise { stock },
            Does::Edit(edit) => Asked::Edit(edit),
        };
        let makes = matches!(asked, Asked::Edit(Edit::Create { .. }));
        if let Some(percent) = hangs_up {
            let after = Duration::from_millis(took.load(Ordering::Relaxed)) * percent / 100;
            rush.ask_and_hang_up(node, &operators(asked.clone()), after).await;
            if !(makes && node % 2 == 0) {
                continue;
            }
        }
        let sent = rush.history.now();
        let step = usize::from(!stays);
        let answer = rush.until_known_by((node, step), &operators(asked)).await;
        let took_ms = u64::try_from(rush.history.now().saturating_sub(sent).as_millis()).unwrap_or(u64::MAX);
        if answer.is_some_and(|answer| answer.status < 300) && took_ms < TRIED_AGAIN_MS {
            took.store(took_ms.max(1), Ordering::Relaxed);
        }
    }
}

/// Makes the campaign, and sends its visitors.
async fn receive(rush: Rush, room: Room) {
    let Room { stock, admit, every_ms, active_max, visitors } = room;
    let made = Asked::Edit(Edit::Create { stock, limit: 1, room: Some((admit, every_ms, active_max)) });
    rush.operate(0, made).await;
    let mut tasks = JoinSet::new();
    for (index, at) in visitors.into_iter().enumerate() {
        let rush = rush.clone();
        tasks.spawn(async move {
            tokio::time::sleep(at.saturating_sub(rush.history.now())).await;
            visit(&rush, index).await;
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// Joins, waits, is admitted, looks around, and claims at the next node.
async fn visit(rush: &Rush, index: usize) {
    let user = format!("visitor-{index}");
    let Ok(token) = token(&user) else { return };
    let request = |asked| Request { user: user.clone(), token: token.clone(), asked };
    let began = rush.history.now();
    let mut joins = true;
    while rush.history.now() < began + WAITS_MAX {
        let Some(answer) = rush.ask(index, &request(if joins { Asked::Join } else { Asked::Status })).await else {
            tokio::time::sleep(ASKS_EVERY).await;
            continue;
        };
        // A room that was lost is joined again.
        joins = answer.status != 200 && answer.status != 202;
        match answer.text("state") {
            "admitted" => {
                tokio::time::sleep(Duration::from_millis(20 * (index as u64 % 8))).await;
                let (key, pass) = (user.clone(), answer.text("pass").to_owned());
                rush.until_known(index + 1, &request(Asked::ClaimWithPass { key, pass })).await;
                return;
            }
            "closed" | "expired" | "sold_out" => return,
            _ => tokio::time::sleep(ASKS_EVERY).await,
        }
    }
}

/// Look at everything at every node, until told to stop.
#[must_use]
pub fn strangers(rush: &Rush, plan: &Plan) -> (Arc<AtomicBool>, JoinSet<()>) {
    let (stop, mut tasks) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    let mut names: Vec<String> = plan.sides.iter().map(|side| side.name.clone()).collect();
    names.push(rush.campaign.clone());
    for node in 0..rush.clients.len() {
        let (rush, stop, names) = (rush.clone(), Arc::clone(&stop), names.clone());
        tasks.spawn(async move {
            let mut turn = 0;
            while !stop.load(Ordering::Relaxed) {
                look(&rush, node, "", Asked::List).await;
                turn += 1;
                look(&rush, node, &names[turn % names.len()], Asked::View).await;
                tokio::time::sleep(LOOKS_EVERY).await;
            }
        });
    }
    (stop, tasks)
}

async fn look(rush: &Rush, node: usize, campaign: &str, asked: Asked) {
    let request = operators(asked);
    let sent = rush.history.now();
    let answer = rush.clients[node].send(&request.http(campaign)).await;
    let heard = rush.history.now();
    if answer.as_ref().is_none_or(|answer| answer.status >= 500) || heard.saturating_sub(sent) > SLOW {
        let (campaign, user, asked) = (campaign.to_owned(), "a stranger".to_owned(), request.asked);
        rush.history.add(Event { campaign, user, asked, node, sent, heard, answer });
    }
}
