//! May so many connections be open? The limit is raised before the first is, and whoever is started inherits it.

use anyhow::{Context, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files of this process to this; fails, with the limit in the message, if it stays too low.
pub fn raise_to(needed: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|limit| limit >= needed) {
        return Ok(());
    }
    // Who may raise the hard limit, too, does; the others get what there is.
    let higher = Rlimit { current: Some(needed), maximum: limit.maximum.map(|maximum| maximum.max(needed)) };
    let is_raised = setrlimit(Resource::Nofile, higher).is_ok();
    ensure!(
        is_raised,
        "{needed} open files are needed, and the limit is {}: raise it (ulimit -Hn {needed})",
        limit.maximum.unwrap_or(u64::MAX)
    );
    Ok(())
}

/// Raises it as far as this process may.
pub fn raise_to_hard_limit() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raising the limit of open files")
}
