//! May so many connections be open? The limit is raised as far as it goes, and what is missing is said before anything
//! begins. The nodes inherit it.

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Besides the clients' connections: the proxies', both ends of each, and what is beside them.
const OTHER_FILES: u64 = 1_500;

/// Raises the limit of open files of this process and of those that it starts; fails if it stays too low.
pub fn raise_limit(connections: usize) -> anyhow::Result<()> {
    let needed = connections as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    if is_enough(limit.current) {
        return Ok(());
    }
    // Who may raise the hard limit, too, does; the others get what there is.
    let higher = Rlimit { current: Some(needed), maximum: limit.maximum.map(|maximum| maximum.max(needed)) };
    let is_raised = setrlimit(Resource::Nofile, higher).is_ok();
    ensure!(
        is_raised,
        "{connections} connections need {needed} open files, and the limit is {}: raise it (ulimit -Hn {needed}), or use \
         fewer --connections",
        limit.maximum.unwrap_or(u64::MAX)
    );
    Ok(())
}
