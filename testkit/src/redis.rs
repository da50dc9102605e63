//! A Redis of a run's own, that can be killed, restarted with its log, emptied and set back.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::patience::Patience;
use crate::port::free_port;
use crate::process::{Process, Program};

/// How long it may take to answer after a start.
const START_MAX: Duration = Duration::from_secs(20);

/// When the log reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Once a second: a kill may lose what was answered in the last one.
    EverySecond,
    /// Before each answer.
    Always,
}

/// One server.
pub struct Redis {
    folder: PathBuf,
    port: u16,
    fsync: Fsync,
    replica_of: Mutex<Option<u16>>,
    process: Mutex<Option<Process>>,
}

impl Redis {
    /// Starts one with its data in this folder.
    pub async fn start(folder: &Path, fsync: Fsync) -> anyhow::Result<Self> {
        Self::start_as(folder, fsync, None).await
    }

    /// Starts one that follows this one, by way of this port.
    pub async fn start_replica(&self, folder: &Path, by_way_of: u16) -> anyhow::Result<Self> {
        Self::start_as(folder, self.fsync, Some(by_way_of)).await
    }

    async fn start_as(folder: &Path, fsync: Fsync, replica_of: Option<u16>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let redis = Self {
            folder: folder.to_owned(),
            port: free_port()?,
            fsync,
            replica_of: Mutex::new(replica_of),
            process: Mutex::default(),
        };
        redis.start_again().await?;
        Ok(redis)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The number of its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().map(Process::id)
    }

    /// SIGKILL.
    pub fn kill(&self) {
        // Dropping a process kills it.
        self.process().take();
    }

    /// Starts it with what it left, and waits until it has read it.
    pub async fn start_again(&self) -> anyhow::Result<()> {
        let port = self.port.to_string();
        let fsync = match self.fsync {
            Fsync::EverySecond => "everysec",
            Fsync::Always => "always",
        };
        let mut args = vec!["--bind", "127.0.0.1", "--port", &port, "--daemonize", "no", "--save", ""];
        args.extend(["--appendonly", "yes", "--appendfsync", fsync, "--no-appendfsync-on-rewrite", "no"]);
        args.extend(["--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0", "--repl-timeout", "60"]);
        let primary = self.primary().map(|port| port.to_string());
        if let Some(primary) = &primary {
            args.extend(["--replicaof", "127.0.0.1", primary]);
        }
        let program = Program::new("redis-server", "redis-server").args(args).folder(&self.folder);
        let process = program.start(&self.folder.join("redis.log"))?;
        *self.process() = Some(process);
        // A server that still reads its log answers with an error instead.
        let patience = Patience::new("redis answers", START_MAX);
        while !self.say(&["PING"]).await.is_ok_and(|reply| reply == "+PONG") {
            patience.wait().await?;
        }
        Ok(())
    }

    /// Starts without a log: everything is gone.
    pub async fn start_empty(&self) -> anyhow::Result<()> {
        self.kill();
        std::fs::remove_dir_all(self.folder.join("appendonlydir"))?;
        self.start_again().await
    }

    /// Starts with the log that was put aside earlier: Redis goes back in time.
    pub async fn set_back(&self, older: &Path) -> anyhow::Result<()> {
        self.kill();
        let log = self.folder.join("appendonlydir");
        std::fs::remove_dir_all(&log)?;
        copy_folder(older, &log)?;
        self.start_again().await
    }

    /// Puts a copy of the log aside, as it is now. Its last command may be cut off; Redis forgives that at its start.
    pub fn put_log_aside(&self) -> anyhow::Result<PathBuf> {
        let aside = self.folder.join("aside");
        copy_folder(&self.folder.join("appendonlydir"), &aside)?;
        Ok(aside)
    }

    /// One command, and the first line of its reply.
    pub async fn say(&self, words: &[&str]) -> anyhow::Result<String> {
        Ok(self.ask(words).await?.into_iter().next().unwrap_or_default())
    }

    /// One command, and the lines of its reply, as far as they come at once.
    pub async fn ask(&self, words: &[&str]) -> anyhow::Result<Vec<String>> {
        let bulks: Vec<_> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let request = format!("*{}\r\n{}", words.len(), bulks.concat());
        let exchange = async {
            let mut stream = TcpStream::connect(self.address()).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut reply = vec![0; 16 << 10];
            let read = stream.read(&mut reply).await?;
            anyhow::Ok(String::from_utf8_lossy(&reply[..read]).lines().map(str::to_owned).collect::<Vec<_>>())
        };
        let reply = tokio::time::timeout(Duration::from_secs(5), exchange).await.context("redis is silent")??;
        match reply.first() {
            Some(line) if line.starts_with('-') => bail!("redis answers {words:?} with {line}"),
            Some(_) => Ok(reply),
            None => bail!("redis answers {words:?} with nothing"),
        }
    }

    /// A field of a hash, as a number; 0: it is not there.
    pub async fn number(&self, key: &str, field: &str) -> anyhow::Result<i64> {
        let reply = self.ask(&["HGET", key, field]).await?;
        Ok(reply.get(1).and_then(|text| text.parse().ok()).unwrap_or(0))
    }

    /// Entries of a stream.
    pub async fn entries(&self, stream: &str) -> anyhow::Result<usize> {
        Ok(self.say(&["XLEN", stream]).await?.trim_start_matches(':').parse()?)
    }

    /// From now on every write that needs memory is refused; or none is.
    pub async fn fill_memory(&self, is_full: bool) -> anyhow::Result<()> {
        self.say(&["CONFIG", "SET", "maxmemory", if is_full { "1" } else { "0" }]).await.map(drop)
    }

    /// Whether a replica has what its primary has.
    pub async fn follows(&self) -> bool {
        let info = self.ask(&["INFO", "replication"]).await.unwrap_or_default();
        info.iter().any(|line| line == "master_link_status:up")
    }

    /// Every script is forgotten.
    pub async fn forget_scripts(&self) -> anyhow::Result<()> {
        self.say(&["SCRIPT", "FLUSH"]).await.map(drop)
    }

    /// Every key is gone.
    pub async fn empty(&self) -> anyhow::Result<()> {
        self.say(&["FLUSHALL"]).await.map(drop)
    }

    /// A replica becomes a primary.
    pub async fn promote(&self) -> anyhow::Result<()> {
        self.say(&["REPLICAOF", "NO", "ONE"]).await?;
        // It stays one when it is started again.
        self.primary().take();
        Ok(())
    }

    fn primary(&self) -> std::sync::MutexGuard<'_, Option<u16>> {
        self.replica_of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
