//! What does a process use? Read from `/proc`, which costs it nothing.

use anyhow::Context;

/// The memory that a process has in use, in bytes.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = text.split(' ').nth(1).context("statm has no second field")?.parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_something_in_memory() {
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 20);
    }
}
