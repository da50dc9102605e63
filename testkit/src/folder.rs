//! Where may a tool keep data and logs? In a folder that has its process' id in its name, so that a later one can tell
//! whether anybody still needs it.

use std::path::{Path, PathBuf};

/// The top folder of the sources.
pub fn checkout() -> anyhow::Result<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?)
}

/// Folders below this one that belong to processes which are gone, with their ids. Their names are this prefix and the id.
#[must_use]
pub fn abandoned(all: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(all).into_iter().flatten().flatten();
    let owned = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.strip_prefix(prefix)?.parse::<u32>().ok()?;
        Some((pid, entry.path()))
    });
    owned.filter(|(pid, _)| !Path::new("/proc").join(pid.to_string()).exists()).collect()
}

/// An empty folder of this process' own below this one; those that were abandoned are removed.
pub fn own(all: &Path, prefix: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(all)?;
    for (_, folder) in abandoned(all, prefix) {
        // Another program may be at it, too.
        let _gone = std::fs::remove_dir_all(folder);
    }
    let folder = all.join(format!("{prefix}{}", std::process::id()));
    // It has this name if one with this process' id left it.
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_processes_that_are_gone_are_removed_and_no_others() {
        let all = std::env::temp_dir().join(format!("onrush-testkit-{}", std::process::id()));
        // No process has an id above the kernel's limit of 2^22.
        for name in ["a-4294967295", "b-4294967295", "a-1", "a-notes"] {
            std::fs::create_dir_all(all.join(name)).unwrap();
        }
        let folder = own(&all, "a-").unwrap();
        let mut left: Vec<_> = std::fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().path()).collect();
        left.sort();
        let mut expected = vec![all.join("a-1"), all.join("a-notes"), all.join("b-4294967295"), folder];
        expected.sort();
        std::fs::remove_dir_all(&all).unwrap();
        assert_eq!(left, expected);
    }
}
