//! Is anybody refused while a unit is free? Stock is given back and raised under load on two nodes, once with messages
//! between them and once with every message dropped; the oracle judges by what clients were told.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use loadtest::wire::{Kind, Wire};
use report::data::{Run, Table};
use testkit::client::OPERATOR;
use testkit::patience::Patience;
use tokio::task::LocalSet;

use super::Promise;
use super::window::{ROOM_FOR_FACTS, claims_of};
use crate::bench::Bench;
use crate::oracle::{Added, History, Refused, Us};
use crate::rig::Rig;
use crate::tally::us;
use crate::users::{Requests, Users};

/// What it is to find out.
pub const PROMISES: &[Promise] = &[
    Promise { name: "wrong refusals while stock comes back, pub/sub working", target: "0" },
    Promise { name: "wrong refusals while stock comes back, every message dropped", target: "0" },
];

const NODES: usize = 2;
const CAMPAIGN: &str = "comes-and-goes";
const STOCK: u64 = 50;
/// How old a node's word may be: `latch_lease_ms`.
const LEASE: Us = 100_000;
/// Claims under way at each node.
const CLAIMANTS: usize = 6;
/// A give-back at each node so often, and a raise instead of every tenth.
const CHANGE_EVERY: Duration = Duration::from_millis(17);
const RAISE_EVERY: u64 = 10;
/// For so long both nodes are asked and take back; then only the first is asked and only the second takes back, both do
/// both, and the other way round. A node that took something back itself knows so, however old its word was: only a node
/// that others have to tell shows how long it goes by its memory.
const PHASE_MS: u128 = 350;

/// Measures.
pub async fn run(bench: &Bench) -> anyhow::Result<Run> {
    let mut found = Run::default();
    let mut rows = Vec::new();
    for (promise, is_deaf) in PROMISES.iter().zip([false, true]) {
        bench.progress.say(if is_deaf { "every message dropped" } else { "pub/sub working" });
        let history = once(bench, is_deaf).await?;
        let (wrong, early) = (history.wrong(LEASE).len(), history.wrong(0).len());
        let units: i64 = history.added.iter().map(|added| added.units).sum();
        let judged = format!("{} refusals, {units} units came back", history.refused.len());
        // Where nothing was refused or came back there was nothing to be wrong about.
        let is_met = wrong == 0 && !history.refused.is_empty() && units > 0;
        found.targets.push(promise.judged(wrong.to_string(), judged, is_met));
        let cells = [history.refused.len(), history.taken.len(), early.saturating_sub(wrong), wrong];
        let name = if is_deaf { "every message dropped" } else { "pub/sub working" };
        let counts = cells.map(|count| count.to_string());
        rows.push([name.to_owned(), units.to_string()].into_iter().chain(counts).collect());
    }
    let head = ["messages", "units that came back", "refusals", "grants", "within the lease", "wrong"];
    found.tables.push(Table {
        title: "Wrong refusals".into(),
        text: "A refusal is wrong if, by what clients were told, a unit was free for as long as it took and for 100 ms \
               before; at the node that took the unit back or raised the stock, without the 100 ms. `Within the lease`: \
               a unit was free, but not yet for that long."
            .into(),
        head: head.map(String::from).to_vec(),
        rows,
    });
    Ok(found)
}

async fn once(bench: &Bench, is_deaf: bool) -> anyhow::Result<History> {
    let rig = Rig::start(&bench.stores, "wrong_refusals").await?;
    let settings =
        if is_deaf { vec![ROOM_FOR_FACTS, ("BENCH__WITHOUT_MESSAGES", "true")] } else { vec![ROOM_FOR_FACTS] };
    let nodes = [rig.node("serve", &settings, None).await?, rig.node("serve", &settings, None).await?];
    nodes[0].campaign(CAMPAIGN, STOCK).await?;
    let patience = Patience::new("the other node knows the campaign", Duration::from_secs(10));
    while !nodes[1].knows(CAMPAIGN).await {
        patience.wait().await?;
    }
    let addresses = [nodes[0].address, nodes[1].address];
    let (users, length) = (Arc::clone(&bench.users), bench.plan.wrong_refusals);
    let crowd = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(rush(addresses, users, length))
    };
    let history = tokio::task::spawn_blocking(crowd).await.context("the crowd's thread failed")??;
    drop(nodes);
    rig.end().await?;
    Ok(history)
}

/// What all who ask share: they are on one thread.
struct Crowd {
    addresses: [SocketAddr; NODES],
    users: Arc<Users>,
    requests: Requests,
    begun: Instant,
    end: Instant,
    history: RefCell<History>,
    /// Claims that nobody has given back yet: user and number.
    held: RefCell<VecDeque<(usize, u64)>>,
    stock: Cell<u64>,
}

async fn rush(addresses: [SocketAddr; NODES], users: Arc<Users>, length: Duration) -> anyhow::Result<History> {
    let begun = Instant::now();
    let history = History { stock: i64::try_from(STOCK)?, ..History::default() };
    let crowd = Rc::new(Crowd {
        addresses,
        requests: Requests::endless(addresses[0], &claims_of(CAMPAIGN), &users),
        users,
        begun,
        end: begun + length,
        history: RefCell::new(history),
        held: RefCell::default(),
        stock: Cell::new(STOCK),
    });
    let everybody = LocalSet::new();
    let mut tasks = Vec::new();
    for node in 0..NODES {
        for _ in 0..CLAIMANTS {
            tasks.push(everybody.spawn_local(Rc::clone(&crowd).claim(node)));
        }
        tasks.push(everybody.spawn_local(Rc::clone(&crowd).change(node)));
    }
    everybody.await;
    for task in tasks {
        task.await.context("one of the crowd failed")??;
    }
    let history = crowd.history.take();
    ensure!(history.added.len() > 1, "nothing was given back");
    Ok(history)
}

impl Crowd {
    fn now(&self) -> Us {
        us(self.begun.elapsed())
    }

    /// Whether this node is asked now, and whether it takes back.
    fn roles(&self, node: usize) -> (bool, bool) {
        roles(self.begun.elapsed().as_millis() / PHASE_MS, node)
    }

    /// Claims at one node, user after user.
    async fn claim(self: Rc<Self>, node: usize) -> anyhow::Result<()> {
        let mut wire = Wire::open(self.addresses[node]).await?;
        let mut request = Vec::new();
        while Instant::now() < self.end {
            if !self.roles(node).0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            let user = self.requests.write_next(&mut request).context("users have no end")?;
            let begun = self.now();
            let Ok(answer) = wire.exchange(&request).await else {
                self.history.borrow_mut().taken.push(begun);
                wire = Wire::open(self.addresses[node]).await?;
                continue;
            };
            let mut history = self.history.borrow_mut();
            match answer.kind {
                Kind::Granted => {
                    history.taken.push(begun);
                    let number = answer.number().context("a claim without a number")?;
                    self.held.borrow_mut().push_back((user, number));
                }
                Kind::SoldOut => history.refused.push(Refused { node, begun, answered: self.now() }),
                // Perhaps.
                Kind::Unavailable => history.taken.push(begun),
                // A user of an earlier round who still holds a unit.
                Kind::Ok | Kind::Placed | Kind::Other => {}
            }
        }
        Ok(())
    }

    /// Gives back and raises at one node.
    async fn change(self: Rc<Self>, node: usize) -> anyhow::Result<()> {
        let mut wire = Wire::open(self.addresses[node]).await?;
        // The two nodes are not in step.
        tokio::time::sleep(CHANGE_EVERY * u32::try_from(node)? / 2).await;
        let mut turn = 0;
        while Instant::now() < self.end {
            tokio::time::sleep(CHANGE_EVERY).await;
            if !self.roles(node).1 {
                continue;
            }
            turn += 1;
            let request = if turn % RAISE_EVERY == 0 {
                self.stock.set(self.stock.get() + 1);
                self.raise()
            } else if let Some((user, number)) = self.held.borrow_mut().pop_front() {
                self.give_back(user, number)
            } else {
                continue;
            };
            match wire.exchange(&request).await {
                Ok(answer) if answer.kind == Kind::Ok => {
                    let answered = self.now();
                    self.history.borrow_mut().added.push(Added { node, answered, units: 1 });
                }
                // Nobody was told that anything came back.
                Ok(_) => {}
                Err(_unknown) => wire = Wire::open(self.addresses[node]).await?,
            }
        }
        Ok(())
    }

    fn give_back(&self, user: usize, number: u64) -> Vec<u8> {
        let token = String::from_utf8_lossy(self.users.token(user));
        format!(
            "POST /v1/claims/{CAMPAIGN}.1.{number}/give-back HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\
             authorization: Bearer {token}\r\n\r\n",
            self.addresses[0]
        )
        .into_bytes()
    }

    fn raise(&self) -> Vec<u8> {
        let body = format!("{{\"stock\":{}}}", self.stock.get());
        format!(
            "PATCH /v1/campaigns/{CAMPAIGN} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\
             content-type: application/json\r\nauthorization: Bearer {OPERATOR}\r\n\r\n{body}",
            self.addresses[0],
            body.len()
        )
        .into_bytes()
    }
}

fn roles(phase: u128, node: usize) -> (bool, bool) {
    match phase % 4 {
        1 => (node == 0, node == 1),
        3 => (node == 1, node == 0),
        _ => (true, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_a_time_in_which_only_the_other_one_takes_back() {
        let seen: Vec<_> = (0..4).map(|phase| (0..NODES).map(|node| roles(phase, node)).collect::<Vec<_>>()).collect();
        assert_eq!(seen[1], [(true, false), (false, true)]);
        assert_eq!(seen[3], [(false, true), (true, false)]);
        assert!(seen[0] == seen[2] && seen[0] == [(true, true), (true, true)]);
    }
}
