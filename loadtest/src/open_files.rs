//! May so many connections be open? Said before the first is, in place of a rush that fails half way.

use anyhow::ensure;

/// Beside the connections: standard streams, the runtime's own, the operator's connection.
const OTHER_FILES: u64 = 32;

/// Fails if so many connections exceed this process' limit of open files. Where the limit cannot be read there is none.
pub(crate) fn check(connections: u32) -> anyhow::Result<()> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let (needed, limit) = (u64::from(connections) + OTHER_FILES, soft_limit(&limits).unwrap_or(u64::MAX));
    ensure!(
        needed <= limit,
        "{connections} connections need {needed} open files, but the limit is {limit}: raise it (ulimit -n {needed}) \
         or use fewer --connections"
    );
    Ok(())
}

fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_first_number() {
        let limits = "Limit         Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        assert_eq!(soft_limit(limits), Some(1_024));
        assert_eq!(soft_limit("Max open files   unlimited   unlimited   files"), None);
    }
}
