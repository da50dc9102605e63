//! How does a process start, and how does it end? Whatever this program starts ends with it, also if it is killed.
//!
//! - Every process is started by one thread that lives as long as the program, and asks the kernel to be killed when its
//!   parent thread is gone. So nothing is left behind by Ctrl-C, by a failed test, or by SIGKILL.
//! - Each is in a process group of its own: Ctrl-C in a terminal reaches this program alone.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Orders that may wait for the thread that starts processes.
const ORDERS_MAX: usize = 16;

struct Order {
    command: Command,
    spawned: SyncSender<io::Result<Child>>,
}

/// A process, killed when it is dropped.
pub struct Process {
    name: String,
    child: Child,
}

/// What is to be started.
pub struct Program {
    name: String,
    command: Command,
}

impl Program {
    /// A program with an empty environment but for the path.
    #[must_use]
    pub fn new(name: &str, program: impl AsRef<Path>) -> Self {
        Self::of_user(name, program, None)
    }

    /// The same, as another user. Only root can do that.
    #[must_use]
    pub fn of_user(name: &str, program: impl AsRef<Path>, user: Option<&str>) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(user) = user {
            command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]);
        }
        command.arg("--").arg(program.as_ref()).process_group(0);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Self { name: name.to_owned(), command }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<I: AsRef<std::ffi::OsStr>>(mut self, args: impl IntoIterator<Item = I>) -> Self {
        self.command.args(args);
        self
    }

    /// Adds variables.
    #[must_use]
    pub fn envs(mut self, envs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.command.envs(envs);
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts it. What it says is added to this file.
    pub fn start(mut self, log: &Path) -> anyhow::Result<Process> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        self.command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = spawn(self.command).with_context(|| format!("starting {}", self.name))?;
        Ok(Process { name: self.name, child })
    }

    /// Runs it to its end, without blocking others. What it says is added to this file.
    pub async fn run(self, log: &Path, timeout: Duration) -> anyhow::Result<ExitStatus> {
        let mut process = self.start(log)?;
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            if let Some(status) = process.child.try_wait()? {
                return Ok(status);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} has not ended after {timeout:?}", process.name);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs it to its end, and fails if it fails.
    pub async fn succeed(self, log: &Path, timeout: Duration) -> anyhow::Result<()> {
        let name = self.name.clone();
        let status = self.run(log, timeout).await?;
        if !status.success() {
            bail!("{name} ended with {status}; see {}", log.display());
        }
        Ok(())
    }
}

fn spawn(command: Command) -> anyhow::Result<Child> {
    static STARTER: OnceLock<Mutex<SyncSender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, queue) = sync_channel::<Order>(ORDERS_MAX);
        std::thread::spawn(move || {
            for mut order in queue {
                let _gone = order.spawned.send(order.command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (spawned, waiting) = sync_channel(1);
    starter.lock().unwrap_or_else(PoisonError::into_inner).send(Order { command, spawned })?;
    Ok(waiting.recv()??)
}

impl Process {
    /// Its number, by which `/proc` knows it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        // An error means that it is gone already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }

    /// SIGSTOP: it does nothing any more, and its connections stay open.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn terminate(&mut self, timeout: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if tokio::time::Instant::now() > deadline {
                bail!("{} does not stop", self.name);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a pid is positive")?;
        kill_process(pid, signal).with_context(|| format!("a signal to {}", self.name))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
