//! What does a process use? Read from `/proc`, which costs it nothing.

use std::fs;
use std::path::Path;

/// Time of the processors that processes have used, in us, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CpuTimes(Vec<(String, f64)>);

/// Processes whose time is to be known, by name.
#[derive(Debug, Clone, Default)]
pub struct Watched(Vec<Process>);

#[derive(Debug, Clone)]
struct Process {
    name: String,
    pid: u32,
    /// Whether what its children use is its own: PostgreSQL's is, this program's is not.
    is_family: bool,
}

impl Watched {
    /// Adds one, if there is one.
    #[must_use]
    pub fn and(mut self, name: &str, pid: Option<u32>) -> Self {
        self.0.extend(pid.map(|pid| Process { name: name.to_owned(), pid, is_family: false }));
        self
    }

    /// Adds one with the children that it has, and had, if there is one.
    #[must_use]
    pub fn and_family(mut self, name: &str, pid: Option<u32>) -> Self {
        self.0.extend(pid.map(|pid| Process { name: name.to_owned(), pid, is_family: true }));
        self
    }

    /// What each has used since it was born.
    #[must_use]
    pub fn times(&self) -> CpuTimes {
        let stats: Vec<Stat> = all_stats().collect();
        let of = |process: &Process| {
            let ticks = stats.iter().map(|stat| match (stat.pid == process.pid, stat.parent == process.pid) {
                (true, _) => stat.ticks + if process.is_family { stat.ticks_of_the_dead } else { 0 },
                (_, true) if process.is_family => stat.ticks,
                _ => 0,
            });
            ticks.sum::<u64>()
        };
        #[expect(clippy::cast_precision_loss)]
        let us = |ticks: u64| ticks as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64;
        CpuTimes(self.0.iter().map(|process| (process.name.clone(), us(of(process)))).collect())
    }
}

impl CpuTimes {
    /// Adds what was used between two moments.
    pub fn add(&mut self, before: &Self, after: &Self) {
        for ((name, before), (_, after)) in before.0.iter().zip(&after.0) {
            let used = (after - before).max(0.0);
            match self.0.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += used,
                None => self.0.push((name.clone(), used)),
            }
        }
    }

    /// By name, in us.
    #[must_use]
    pub fn entries(&self) -> &[(String, f64)] {
        &self.0
    }
}

struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
    ticks_of_the_dead: u64,
}

fn all_stats() -> impl Iterator<Item = Stat> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| parse_stat(&fs::read_to_string(entry.path().join("stat")).ok()?))
}

/// The name, in brackets, may hold anything, brackets and blanks included.
fn parse_stat(text: &str) -> Option<Stat> {
    let pid = text.split(' ').next()?.parse().ok()?;
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks(11)? + ticks(12)?,
        ticks_of_the_dead: ticks(13)? + ticks(14)?,
    })
}

/// The process that listens on a port of this machine, if it may be known.
#[must_use]
pub fn listener(port: u16) -> Option<u32> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| inode_of(&fs::read_to_string(path).ok()?, port))
        .collect();
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let holds = |process: &Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| sockets.iter().any(|it| link == Path::new(it)))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    // A socket that was inherited is its parent's, whose number is nearly always the lower one.
    pids.filter(|(_, path)| holds(path)).map(|(pid, _)| pid).min()
}

fn inode_of(table: &str, port: u16) -> Option<String> {
    let ending = format!(":{port:04X}");
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|fields| fields.len() > 9 && fields[1].ends_with(&ending) && fields[3] == "0A")?;
    Some(line[9].to_owned())
}

/// What all processors did since the machine was started: busy and all, in ticks.
#[must_use]
pub fn machine_ticks() -> (u64, u64) {
    parse_machine(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn parse_machine(text: &str) -> (u64, u64) {
    let first = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = first.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let all: u64 = fields.iter().sum();
    let idle: u64 = fields.iter().skip(3).take(2).sum();
    (all - idle, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = parse_stat("7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 50 6 700 8 20 0 1 0").unwrap();
        assert_eq!((stat.pid, stat.parent, stat.ticks, stat.ticks_of_the_dead), (7, 1, 56, 708));
    }

    #[test]
    fn idle_and_waiting_processors_are_not_busy() {
        assert_eq!(parse_machine("cpu  10 1 5 70 14 0 0 0 9 9\ncpu0 1 1 1"), (16, 100));
    }

    #[test]
    fn this_process_uses_time_and_is_found_by_its_port() {
        let watched = Watched::default().and("me", Some(std::process::id())).and("nobody", None);
        let before = watched.times();
        let mut sum = 0_u64;
        while watched.times().entries()[0].1 < before.entries()[0].1 + 20_000.0 {
            sum = (0..100_000_u64).fold(sum, u64::wrapping_add);
        }
        let mut used = CpuTimes::default();
        used.add(&before, &watched.times());
        assert!(used.entries().len() == 1 && used.entries()[0].1 >= 20_000.0, "{used:?} {sum}");
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listener(listening.local_addr().unwrap().port()), Some(std::process::id()));
    }

    #[test]
    fn used_time_adds_up_by_name() {
        let times = |us| CpuTimes(vec![("redis".into(), us)]);
        let mut used = CpuTimes::default();
        used.add(&times(10.0), &times(15.0));
        used.add(&times(20.0), &times(21.0));
        assert_eq!(used.entries(), [("redis".to_owned(), 6.0)]);
    }
}
