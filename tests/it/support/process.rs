//! The program itself, as a process that can be killed.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::installation::Installation;

/// A node in a process of its own.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
}

impl Process {
    /// The program with the installation's settings.
    pub(crate) fn command(installation: &Installation, subcommand: &str) -> Command {
        let config = &installation.config;
        let mut command = Command::new(env!("CARGO_BIN_EXE_onrush"));
        command.arg(subcommand).kill_on_drop(true).stdin(Stdio::null());
        let settings = [
            ("AUTH__HS256_SECRET", config.auth.hs256_secret.clone()),
            ("AUTH__OPERATOR_TOKEN_SHA256", format!("[\"{}\"]", config.auth.operator_token_sha256[0])),
            ("COUPON__KEY_HEX", format!("\"{}\"", config.coupon.key_hex)),
            ("REDIS__URL", config.redis.url.clone()),
            ("REDIS__KEY_PREFIX", config.redis.key_prefix.clone()),
            ("POSTGRES__URL", config.postgres.url.clone()),
            ("POSTGRES__SCHEMA", config.postgres.schema.clone()),
            ("KAFKA__BROKERS", config.kafka.brokers.clone()),
            ("KAFKA__FACTS_TOPIC", config.kafka.facts_topic.clone()),
            ("KAFKA__LEDGER_GROUP", config.kafka.ledger_group.clone()),
            ("FEED__ORIGINAL_TOPIC", config.feed.original_topic.clone()),
            ("FEED__INSPECTED_TOPIC", config.feed.inspected_topic.clone()),
            ("FEED__GROUP", config.feed.group.clone()),
            ("HTTP__LAME_DUCK_MS", "0".into()),
            ("FEED__LANES", "[]".into()),
            ("FEED__PARTITIONS", config.feed.partitions.to_string()),
        ];
        command.envs(settings.map(|(name, value)| (format!("ONRUSH__{name}"), value)));
        command
    }

    /// Starts a node on a free port, and waits until it is ready.
    pub(crate) async fn start(installation: &Installation, role: &str) -> Self {
        Self::start_with(installation, role, |_| {}).await
    }

    /// With settings of its own, or its output elsewhere.
    pub(crate) async fn start_with(installation: &Installation, role: &str, change: impl FnOnce(&mut Command)) -> Self {
        // Asked for, given back and taken: another process may come in between, and then the start fails and says so.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Self::command(installation, role);
        command.env("ONRUSH__HTTP__LISTEN", format!("127.0.0.1:{port}")).env("ONRUSH__TELEMETRY__LOG", "warn");
        change(&mut command);
        let child = command.spawn().unwrap();
        let process = Self { child, url: format!("http://127.0.0.1:{port}") };
        let client = installation.client(&process.url);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let ready = client.try_send(client.request(reqwest::Method::GET, "/readyz")).await;
            if ready.is_ok_and(|answer| answer.status == 200) {
                return process;
            }
            assert!(tokio::time::Instant::now() < deadline, "the node does not get ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it has in memory.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it runs"))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").arg(pid).status().await.unwrap();
        assert!(sent.success());
        self.child.wait().await.unwrap()
    }
}
