//! Everybody joins, and nothing else happens: what other measurements begin with.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use anyhow::ensure;
use bench::users::Users;

use crate::crowd::{Crowd, Outcome};
use crate::history::History;

/// Lets so many users join over these nodes, and answers when all have a place.
pub(crate) async fn join_all(
    nodes: &[std::net::SocketAddr],
    campaign: &str,
    users: &Arc<Users>,
    count: usize,
    connections: usize,
) -> anyhow::Result<Outcome> {
    let all_joined = Arc::new(AtomicBool::new(false));
    let crowd = Crowd {
        nodes: nodes.to_vec(),
        campaign: campaign.to_owned(),
        connections,
        users: Arc::clone(users),
        count,
        leaves_of: 0,
        history: Arc::new(Mutex::new(History::default())),
        stop: Arc::clone(&all_joined),
        all_joined,
    };
    let outcome = crowd.come().await?;
    ensure!(outcome.found.errors == 0, "{} errors: {:?}", outcome.found.errors, outcome.found.shown);
    Ok(outcome)
}
