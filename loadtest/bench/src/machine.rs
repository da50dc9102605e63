//! What did it run on, and which programs took part?

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use report::data::{Machine, Version};

use crate::proc;
use crate::stores::Stores;

/// How long the processors are looked at before anything is started.
const LOOK: Duration = Duration::from_secs(2);

/// Describes the machine.
pub async fn look() -> Machine {
    let before = proc::machine_ticks();
    tokio::time::sleep(LOOK).await;
    let after = proc::machine_ticks();
    let kib: f64 =
        field("/proc/meminfo", "MemTotal:").and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0.0);
    Machine {
        cpu: field("/proc/cpuinfo", "model name")
            .unwrap_or_else(|| "unknown".into())
            .trim_start_matches(':')
            .trim()
            .into(),
        cores: std::thread::available_parallelism().map_or(0, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX)),
        memory_gib: (kib / f64::from(1 << 20) * 10.0).round() / 10.0,
        os: field("/etc/os-release", "PRETTY_NAME=").unwrap_or_default().trim_matches('"').to_owned(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        busy_before_percent: (busy_percent(before, after) * 10.0).round() / 10.0,
    }
}

fn busy_percent((busy_before, all_before): (u64, u64), (busy, all): (u64, u64)) -> f64 {
    #[expect(clippy::cast_precision_loss)]
    let percent = (busy - busy_before) as f64 * 100.0 / (all - all_before).max(1) as f64;
    percent
}

/// The programs and their versions.
pub async fn versions(stores: &Stores) -> Vec<Version> {
    let version = |program: &str, version: Option<String>| Version {
        program: program.to_owned(),
        version: version.unwrap_or_else(|| "unknown".to_owned()),
    };
    let onrush = testkit::node::binary().ok().and_then(|binary| first_line_of(&binary, &["--version"]));
    vec![
        version("onrush", onrush),
        version("redis", first_line_of(Path::new("redis-server"), &["--version"])),
        version("kafka", kafka(stores)),
        version("postgres", postgres(stores).await),
        version("rustc", first_line_of(Path::new("rustc"), &["--version"])),
    ]
}

/// As the libraries' file names tell, where Kafka is the one that this checkout, or another, has installed.
fn kafka(stores: &Stores) -> Option<String> {
    let arguments = fs::read_to_string(format!("/proc/{}/cmdline", stores.kafka_pid()?)).ok()?;
    let paths = arguments.split('\0').flat_map(|argument| argument.split(':'));
    let folders = paths.filter_map(|path| path.strip_suffix("/*"));
    let mut files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    files.find_map(|file| version_of_jar(file.file_name().to_str()?))
}

fn version_of_jar(name: &str) -> Option<String> {
    let version = name.strip_prefix("kafka-clients-")?.strip_suffix(".jar")?;
    Some(version.to_owned())
}

async fn postgres(stores: &Stores) -> Option<String> {
    let database = stores.database("public").ok()?;
    let version = sqlx::query_scalar("SHOW server_version").fetch_one(&database).await.ok();
    database.close().await;
    version
}

/// The first line that a program says.
#[must_use]
pub fn first_line_of(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(|line| line.trim().to_owned())
}

/// The commit that is measured, and whether the tree is the commit's.
#[must_use]
pub fn commit(checkout: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(checkout).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    // Reports themselves change nothing of what is measured.
    let is_clean = git(&["status", "--porcelain", "--", ".", ":!reports"]).is_some_and(|changes| changes.is_empty());
    if is_clean { commit } else { commit + "-dirty" }
}

/// What follows a name at the beginning of a line.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_kafka_is_in_the_names_of_its_files() {
        assert_eq!(version_of_jar("kafka-clients-4.1.0.jar").as_deref(), Some("4.1.0"));
        assert_eq!(version_of_jar("kafka-server-4.1.0.jar"), None);
    }

    #[test]
    fn busy_is_a_part_of_what_passed_meanwhile() {
        let percent = busy_percent((100, 1_000), (150, 1_200));
        assert!((percent - 25.0).abs() < 1e-9, "{percent}");
    }
}
