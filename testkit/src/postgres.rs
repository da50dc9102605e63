//! A PostgreSQL of this program's own. All runs share the cluster, each with a schema of its own; it can be killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::port::free_port;
use crate::process::{Process, Program};

/// How long it may take to answer after a start.
const START_MAX: Duration = Duration::from_mins(1);
/// The oldest version that will do.
const VERSION_MIN: u32 = 15;

/// One cluster.
pub struct Postgres {
    home: PathBuf,
    data: PathBuf,
    binaries: PathBuf,
    user: Option<&'static str>,
    port: u16,
    process: Mutex<Option<Process>>,
}

impl Postgres {
    /// Makes a cluster and starts it. It says what it has to say in `home`; its data are there, too, or, where the user
    /// postgres cannot go there, in a folder outside.
    pub async fn start(home: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        // PostgreSQL refuses to run as root.
        let user = rustix::process::geteuid().is_root().then_some("postgres");
        let log = home.join("postgres.log");
        let reach = Program::of_user("test", "test", user).args([Path::new("-x"), home]);
        let can_reach = reach.run(&log, START_MAX).await?.success();
        let outside = Self::outside(std::process::id());
        let folder = if can_reach { home.to_owned() } else { outside };
        let data = folder.join("data");
        std::fs::create_dir_all(&data)?;
        if let Some(user) = user {
            let owner = Program::new("chown", "chown").args([Path::new(user), &data]);
            owner.succeed(&log, START_MAX).await?;
        }
        let binaries = binaries()?;
        let port = free_port()?;
        let args = ["--auth=trust", "--username=onrush", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"];
        let make = Program::of_user("initdb", binaries.join("initdb"), user).args(args).args([&data]).folder(&folder);
        make.succeed(&log, START_MAX).await?;
        let postgres = Self { home: home.to_owned(), data, binaries, user, port, process: Mutex::default() };
        postgres.start_again().await?;
        Ok(postgres)
    }

    /// Where the data of this process' cluster are if the user postgres cannot go to its folder.
    #[must_use]
    pub fn outside(pid: u32) -> PathBuf {
        std::env::temp_dir().join(format!("onrush-postgres-{pid}"))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// What clients at this address, its own or a proxy's, connect to.
    #[must_use]
    pub fn url(address: SocketAddr) -> String {
        format!("postgres://onrush@{address}/postgres")
    }

    /// SIGKILL to the one process that all others depend on.
    pub fn kill(&self) {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Starts it with what it left. The children of a server that was killed may still be about to notice: then it
    /// refuses, and is started again.
    pub async fn start_again(&self) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + START_MAX;
        loop {
            self.launch()?;
            loop {
                if self.answers().await {
                    return Ok(());
                }
                if !self.is_alive() {
                    break;
                }
                anyhow::ensure!(tokio::time::Instant::now() < deadline, "postgres does not answer");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            anyhow::ensure!(tokio::time::Instant::now() < deadline, "postgres does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Connections to a schema, past all proxies.
    pub fn connect(&self, schema: &str) -> anyhow::Result<sqlx::PgPool> {
        let options = PgConnectOptions::from_str(&Self::url(self.address()))?.options([("search_path", schema)]);
        let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(5));
        Ok(pool.connect_lazy_with(options))
    }

    fn launch(&self) -> anyhow::Result<()> {
        let port = self.port.to_string();
        // Killing a process loses nothing that it has handed to the kernel: fsync would only slow the others down.
        let settings = [
            "fsync=off",
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=300",
            // When a row was committed is what the database's load is judged by.
            "track_commit_timestamp=on",
        ];
        let program = Program::of_user("postgres", self.binaries.join("postgres"), self.user)
            .args([Path::new("-D"), &self.data])
            .args(["-p", &port])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .folder(&self.data);
        let process = program.start(&self.home.join("postgres.log"))?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }

    fn is_alive(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().is_some_and(Process::is_alive)
    }

    async fn answers(&self) -> bool {
        let ask = async {
            let options = PgConnectOptions::from_str(&Self::url(self.address())).ok()?;
            let mut connection = sqlx::ConnectOptions::connect(&options).await.ok()?;
            sqlx::query("SELECT 1").execute(&mut connection).await.ok()
        };
        tokio::time::timeout(Duration::from_secs(2), ask).await.is_ok_and(|answer| answer.is_some())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        if self.data.parent() != Some(&self.home)
            && let Some(outside) = self.data.parent()
        {
            // What stays is in the system's folder for what may go.
            let _stays = std::fs::remove_dir_all(outside);
        }
    }
}

/// The folder of the newest version's programs.
fn binaries() -> anyhow::Result<PathBuf> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = installed.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let folder = entry.path().join("bin");
        (version >= VERSION_MIN && folder.join("initdb").is_file()).then_some((version, folder))
    });
    let newest = versions.max_by_key(|(version, _)| *version);
    Ok(newest.context("there is no PostgreSQL below /usr/lib/postgresql; `dev/services up` installs it")?.1)
}
