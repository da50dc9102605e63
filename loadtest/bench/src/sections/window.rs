//! One side of a pair: a closed loop at full speed for a few seconds, all of whose answers are of one kind.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use loadtest::wire::Kind;

use crate::bench::{Bench, CONNECTIONS};
use crate::load::Load;
use crate::rig::{Node, Setting};
use crate::tally::Tally;
use crate::users::Requests;

/// The yardstick's routes are there only where they are asked for.
pub const BARE: Setting<'static> = ("BENCH__BARE", "true");
/// Facts may wait for a relay that never comes.
pub const ROOM_FOR_FACTS: Setting<'static> = ("CAMPAIGN__OUTBOX_FACTS_MAX", "10000000");

/// Answers still under way when the window ends are waited for this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks by all users in turn; each of them once, if `once_each`.
pub async fn ask(bench: &Bench, node: &Node, path: &str, kind: Kind, once_each: bool) -> anyhow::Result<Tally> {
    let requests = if once_each { Requests::once_each } else { Requests::endless };
    let requests = Arc::new(requests(node.address, path, &bench.users));
    let load = Load {
        address: node.address,
        connections: CONNECTIONS,
        requests: Arc::clone(&requests),
        warm_up: bench.plan.warm_up,
        measured: bench.plan.window,
        patience: PATIENCE,
        keep_claims: false,
    };
    let tally = load.closed().await?;
    ensure!(!requests.are_spent(), "all {} users have asked before the window's end", bench.users.count());
    tally.insist(kind)?;
    Ok(tally)
}

/// The path of claims.
#[must_use]
pub fn claims_of(campaign: &str) -> String {
    format!("/v1/campaigns/{campaign}/claims")
}
