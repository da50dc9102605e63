//! A Redis of a measurement's own, with its log on: nobody else's commands are in its figures.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use faults::processes::free_port;

use crate::resp::Connection;

/// How long it may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(20);

/// One server. Dropped, it and its data are gone; it lives no longer than the thread that started it.
pub struct PrivateRedis {
    port: u16,
    folder: PathBuf,
    child: Child,
}

impl PrivateRedis {
    /// With `appendonly yes` and `appendfsync everysec`. The log is not rewritten meanwhile: a rewrite would fall into
    /// some round, and not into the others.
    pub fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/strategies").join(port.to_string());
        // One that was killed may have left a log.
        let _none = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        // It dies with the thread that starts it, also if that is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "redis-server"])
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--daemonize", "no", "--logfile", "redis.log"])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--auto-aof-rewrite-percentage", "0", "--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("starting redis-server")?;
        let mut redis = Self { port, folder, child };
        let started = Instant::now();
        loop {
            if let Ok(mut connection) = redis.connect()
                && connection.call(&["PING"]).is_ok()
            {
                return Ok(redis);
            }
            if let Some(status) = redis.child.try_wait()? {
                bail!("redis-server ended with {status}");
            }
            if started.elapsed() > START_MAX {
                bail!("redis-server does not answer");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// A new connection to it.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.port)
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // It may be gone already, and its folder may hold nothing.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}
