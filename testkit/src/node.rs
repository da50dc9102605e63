//! How does a node of Onrush start? As a process with its settings in variables; then it is awaited.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::client::{Client, OPERATOR, SECRET};
use crate::patience::Patience;
use crate::port::free_port;
use crate::process::{Process, Program};

/// Where the program is, if not beside the one that starts it.
const BINARY: &str = "ONRUSH_BINARY";
/// Where the stores are, if not where the server's defaults have them.
const STORES: [&str; 3] = ["ONRUSH__REDIS__URL", "ONRUSH__KAFKA__BROKERS", "ONRUSH__POSTGRES__URL"];
/// What the key of coupons is, in every installation that this kit starts.
const COUPON_KEY_BYTE: u8 = 7;

/// A setting: `RELAY__LEASE_MS` and its value.
pub type Setting = (&'static str, String);

/// A node that answers. It ends with this.
pub struct Node {
    /// Where it answers.
    pub address: SocketAddr,
    /// Asks it.
    pub client: Client,
    process: Process,
}

/// The program: where `ONRUSH_BINARY` says it is; otherwise the one that was built beside this one, or beside the tests of
/// this one.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = told_binary() {
        ensure!(path.is_file(), "{BINARY} is {}, and nothing is there", path.display());
        // Programs run in other folders than this one.
        return Ok(path.canonicalize()?);
    }
    let this = std::env::current_exe()?;
    let mut beside = this.ancestors().skip(1).take(2).map(|folder| folder.join("onrush"));
    let found = beside.find(|path| path.is_file());
    found
        .with_context(|| format!("the program onrush is not built; `cargo build -p onrush` does that, or set {BINARY}"))
}

/// A command as one types it to have the same build tried.
#[must_use]
pub fn typed(command: &str) -> String {
    told_binary().map_or_else(|| command.to_owned(), |path| format!("{BINARY}={} {command}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "whoever starts a tool may say which build is tried")]
fn told_binary() -> Option<PathBuf> {
    std::env::var_os(BINARY).filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The program with these settings, and with those that let this kit's client in.
pub fn program(
    subcommand: &str,
    settings: impl IntoIterator<Item = (impl AsRef<str>, String)>,
) -> anyhow::Result<Program> {
    let operator = HEXLOWER.encode(&Sha256::digest(OPERATOR));
    let key = HEXLOWER.encode(&[COUPON_KEY_BYTE; 32]);
    let own = [
        ("AUTH__HS256_SECRET", SECRET.to_owned()),
        ("AUTH__OPERATOR_TOKEN_SHA256", format!("[\"{operator}\"]")),
        ("COUPON__KEY_HEX", format!("\"{key}\"")),
    ];
    let variable = |name: &str, value| (format!("ONRUSH__{name}"), value);
    let own = own.map(|(name, value)| variable(name, value));
    let more = settings.into_iter().map(|(name, value)| variable(name.as_ref(), value));
    Ok(Program::new("onrush", binary()?).args([subcommand]).envs(own).envs(more))
}

/// What an installation is called in stores that it shares with others.
#[must_use]
pub fn names(name: &str) -> [Setting; 7] {
    [
        ("REDIS__KEY_PREFIX", format!("{name}:")),
        ("POSTGRES__SCHEMA", name.to_owned()),
        ("KAFKA__FACTS_TOPIC", format!("{name}.facts")),
        ("KAFKA__LEDGER_GROUP", name.to_owned()),
        ("FEED__ORIGINAL_TOPIC", format!("{name}.post.original")),
        ("FEED__INSPECTED_TOPIC", format!("{name}.post.inspected")),
        ("FEED__GROUP", format!("{name}-feed")),
    ]
}

/// A name for an installation of a test's own. The server's own tests take away what has such a name and is older than an
/// hour.
pub fn test_name(test: &str) -> anyhow::Result<String> {
    #[expect(clippy::disallowed_methods, reason = "the name tells when it was made")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(format!("onrushtest_{}_{test}{}", now.as_secs(), std::process::id()))
}

/// Where the stores are, if not where the server's defaults have them: a program is started with an empty environment.
#[expect(clippy::disallowed_methods, reason = "they are passed on as they are")]
pub fn given_stores() -> impl Iterator<Item = (String, String)> {
    STORES.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

/// An address of loopback that nothing listens on.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(([127, 0, 0, 1], free_port()?).into())
}

impl Node {
    /// Starts a node that is to listen there, and waits until it is ready. What it says is added to this file.
    pub async fn start(program: Program, address: SocketAddr, log: &Path, ready_max: Duration) -> anyhow::Result<Self> {
        let program = program.envs([("ONRUSH__HTTP__LISTEN".to_owned(), address.to_string())]);
        let mut process = program.start(log)?;
        let client = Client::new(&format!("http://{address}"))?;
        let patience = Patience::new("the node is ready", ready_max);
        while !client.is_ready().await {
            ensure!(process.is_alive(), "the node ended by itself; see {}", log.display());
            patience.wait().await.with_context(|| format!("see {}", log.display()))?;
        }
        Ok(Self { address, client, process })
    }

    /// Where it answers, as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has not ended by itself.
    pub fn is_alive(&mut self) -> bool {
        self.process.is_alive()
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn stop(mut self, stopped_max: Duration) -> anyhow::Result<()> {
        let status = self.process.terminate(stopped_max).await?;
        ensure!(status.success(), "a node stopped with {status}");
        Ok(())
    }
}
