//! The node that all of these tests load: one process, with names of its own in the stores that are given.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use faults::client::{Client, OPERATOR, SECRET};
use faults::processes::{Patience, Process, Program, free_port};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

/// How long a node may take to get ready, on a machine that is busy with everything else.
const READY_MAX: Duration = Duration::from_mins(2);

/// A node that serves and works. It ends with this program, however that ends.
pub(crate) struct Node {
    pub(crate) url: String,
    /// Where its log and those of the runs are. It stays until these tests are run again.
    pub(crate) folder: PathBuf,
    _process: Process,
}

/// The one node.
pub(crate) async fn node() -> &'static Node {
    static NODE: OnceCell<Node> = OnceCell::const_new();
    NODE.get_or_init(Node::start).await
}

impl Node {
    async fn start() -> Self {
        let folder = folder();
        let log = folder.join("onrush.log");
        let port = free_port().unwrap();
        let name = name();
        onrush("migrate", &folder, &name, port).succeed(&log, READY_MAX).await.unwrap();
        let mut process = onrush("all", &folder, &name, port).start(&log).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let client = Client::new(&url).unwrap();
        let patience = Patience::new("the node is ready", READY_MAX);
        while !client.is_ready().await {
            assert!(process.is_alive(), "the node ended by itself; see {}", log.display());
            patience.wait().await.unwrap();
        }
        Self { url, folder, _process: process }
    }

    /// Makes a campaign of this stock.
    pub(crate) async fn campaign(&self, id: &str, stock: u64) {
        let body = json!({"id": id, "name": "A campaign that a run is told of", "stock": stock});
        let answer = Client::new(&self.url).unwrap().create(&body).await.unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

/// The top folder of the sources.
pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn onrush(subcommand: &str, folder: &Path, name: &str, port: u16) -> Program {
    let binary = Path::new(env!("CARGO_BIN_EXE_crowd")).with_file_name("onrush");
    assert!(binary.is_file(), "the program onrush is not built; `cargo build --workspace` does that");
    let operator = Sha256::digest(OPERATOR).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let settings = [
        ("HTTP__LISTEN", format!("127.0.0.1:{port}")),
        ("REDIS__KEY_PREFIX", format!("{name}:")),
        ("POSTGRES__SCHEMA", name.into()),
        ("POSTGRES__CONNECTIONS_MAX", "4".into()),
        ("KAFKA__FACTS_TOPIC", format!("{name}.facts")),
        ("KAFKA__LEDGER_GROUP", name.into()),
        ("FEED__ORIGINAL_TOPIC", format!("{name}.original")),
        ("FEED__INSPECTED_TOPIC", format!("{name}.inspected")),
        ("FEED__GROUP", format!("{name}-feed")),
        ("AUTH__HS256_SECRET", SECRET.into()),
        ("AUTH__OPERATOR_TOKEN_SHA256", format!("[\"{operator}\"]")),
        ("COUPON__KEY_HEX", format!("\"{}\"", "07".repeat(32))),
    ];
    // A node that has waited for so long says that it does not know, 503. On a machine that is busy with everything else
    // that would be the machine's failure, and not what is asked here.
    let patient = [
        ("HTTP__REQUEST_TIMEOUT_MS", "25000"),
        ("HTTP__HEADER_TIMEOUT_MS", "25000"),
        ("CLAIM__QUEUE_WAIT_MS_MAX", "20000"),
        ("REDIS__COMMAND_TIMEOUT_MS", "20000"),
        ("POSTGRES__ACQUIRE_TIMEOUT_MS", "20000"),
        ("CACHE__REDIS_TIMEOUT_MS", "10000"),
        ("SEARCH__WAIT_MS_MAX", "10000"),
        ("FEED__VIEW_PART_MS_MAX", "10000"),
    ];
    let patient = patient.map(|(name, value)| (name, value.to_owned()));
    let settings = settings.into_iter().chain(patient).map(|(name, value)| (format!("ONRUSH__{name}"), value));
    Program::new("onrush", binary).args([subcommand]).envs(settings.chain(stores())).folder(folder)
}

/// A name in the stores. The server's own tests take away what has such a name and is older than an hour.
fn name() -> String {
    #[expect(clippy::disallowed_methods, reason = "the name tells when it was made")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("onrushtest_{}_loads{}", now.as_secs(), std::process::id())
}

/// Where the stores are, if not where the server's defaults have them.
#[expect(clippy::disallowed_methods, reason = "a program is started with an empty environment")]
fn stores() -> impl Iterator<Item = (String, String)> {
    let names = ["ONRUSH__REDIS__URL", "ONRUSH__KAFKA__BROKERS", "ONRUSH__POSTGRES__URL"];
    names.into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)))
}

/// A folder of this program's own; those of programs that are gone are taken away.
fn folder() -> PathBuf {
    const PREFIX: &str = "loads-";
    let all = checkout().join(".local/test");
    std::fs::create_dir_all(&all).unwrap();
    for entry in std::fs::read_dir(&all).unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            // Another program may be at it, too.
            let _gone = std::fs::remove_dir_all(entry.path());
        }
    }
    let folder = all.join(format!("{PREFIX}{}", std::process::id()));
    // It has this name if one with this process's id left it.
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
