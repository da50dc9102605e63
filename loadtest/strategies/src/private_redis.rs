//! A Redis of a measurement's own, with its log on: nobody else's commands are in its figures.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use testkit::folder::checkout;
use testkit::port::free_port;
use testkit::process::{Process, Program};

use crate::resp::Connection;

/// How long it may take to answer after its start.
const START_MAX: Duration = Duration::from_secs(20);

/// One server. Dropped, it and its data are gone.
pub struct PrivateRedis {
    port: u16,
    folder: PathBuf,
    process: Process,
}

impl PrivateRedis {
    /// With `appendonly yes` and `appendfsync everysec`. The log is not rewritten meanwhile: a rewrite would fall into
    /// some round, and not into the others.
    pub fn start() -> anyhow::Result<Self> {
        let port = free_port()?;
        let folder = checkout()?.join(".local/strategies").join(port.to_string());
        // One that was killed may have left a log.
        let _none = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        let port_text = port.to_string();
        let mut args = vec!["--bind", "127.0.0.1", "--port", &port_text, "--daemonize", "no", "--save", ""];
        args.extend(["--appendonly", "yes", "--appendfsync", "everysec"]);
        args.extend(["--auto-aof-rewrite-percentage", "0", "--maxmemory-policy", "noeviction"]);
        let program = Program::new("redis-server", "redis-server").args(args).folder(&folder);
        let process = program.start(&folder.join("redis.log"))?;
        let mut redis = Self { port, folder, process };
        let started = Instant::now();
        loop {
            if let Ok(mut connection) = redis.connect()
                && connection.call(&["PING"]).is_ok()
            {
                return Ok(redis);
            }
            ensure!(redis.process.is_alive(), "redis-server has ended; see {}", redis.folder.display());
            ensure!(started.elapsed() < START_MAX, "redis-server does not answer");
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
        self.process.kill();
        // What stays is taken away by the next one on this port.
        let _stays = std::fs::remove_dir_all(&self.folder);
    }
}
