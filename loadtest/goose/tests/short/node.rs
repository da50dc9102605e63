//! The node that all of these tests load: one process, with names of its own in the stores that are given.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use testkit::folder::{checkout, own};
use testkit::node::{self, free_address, given_stores, names, test_name};
use testkit::process::Program;
use tokio::sync::OnceCell;

/// How long a node may take to get ready, on a machine that is busy with everything else.
const READY_MAX: Duration = Duration::from_mins(2);

/// A node that serves and works. It ends with this program, however that ends.
pub(crate) struct Node {
    pub(crate) url: String,
    /// Where its log and those of the runs are. It stays until these tests are run again.
    pub(crate) folder: PathBuf,
    running: node::Node,
}

/// The one node.
pub(crate) async fn node() -> &'static Node {
    static NODE: OnceCell<Node> = OnceCell::const_new();
    NODE.get_or_init(Node::start).await
}

impl Node {
    async fn start() -> Self {
        let folder = own(&checkout().unwrap().join(".local/test"), "loads-").unwrap();
        let log = folder.join("onrush.log");
        let name = test_name("loads").unwrap();
        onrush("migrate", &folder, &name).succeed(&log, READY_MAX).await.unwrap();
        let address = free_address().unwrap();
        let running = node::Node::start(onrush("all", &folder, &name), address, &log, READY_MAX).await.unwrap();
        Self { url: running.url(), folder, running }
    }

    /// Makes a campaign of this stock.
    pub(crate) async fn campaign(&self, id: &str, stock: u64) {
        let body = json!({"id": id, "name": "A campaign that a run is told of", "stock": stock});
        let answer = self.running.client.create(&body).await.unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

fn onrush(subcommand: &str, folder: &Path, name: &str) -> Program {
    // A node that has waited for so long says that it does not know, 503. On a machine that is busy with everything else
    // that would be the machine's failure, and not what is asked here.
    let patient = [
        ("POSTGRES__CONNECTIONS_MAX", "4"),
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
    let settings = names(name).into_iter().chain(patient);
    node::program(subcommand, settings).unwrap().envs(given_stores()).folder(folder)
}
