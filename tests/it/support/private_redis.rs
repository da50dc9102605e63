//! Redis servers of a test's own: to be stopped, killed, replicated and made a cluster of.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::names;

/// A `redis-server` on a free port of loopback, with its data below `.local/test/`. Dropped, it is gone.
pub(crate) struct PrivateRedis {
    pub(crate) port: u16,
    folder: PathBuf,
    child: Child,
}

impl PrivateRedis {
    /// With these options besides, as on the command line.
    pub(crate) async fn start(options: &[&str]) -> Self {
        let name = names::unique("redis");
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".local/test").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        // Below the ports that the system gives to clients, and low enough for a cluster's bus 10,000 above.
        let port = loop {
            let port = rand::random_range(23_000..32_000_u16);
            if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok()
            {
                break port;
            }
        };
        let redis = Self { port, child: Self::spawn(port, &folder, options), folder };
        redis.wait_until_up().await;
        redis
    }

    pub(crate) async fn replica_of(primary: &Self, options: &[&str]) -> Self {
        let port = primary.port.to_string();
        let replica = Self::start(&[&["--replicaof", "127.0.0.1", &port], options].concat()).await;
        // "online" comes before the replica has synced and loaded what it was sent, and a busy disk takes its time: the
        // replica is in step once it has acknowledged a write.
        primary.cli(&["set", "replicated", "1"]);
        let line = format!("port={},state=online", replica.port);
        primary
            .until("the replica is in step", |redis| {
                let info = redis.cli(&["info", "replication"]);
                let word = |line: &str, name: &str| {
                    line.split([',', '\n', '\r']).find_map(|it| it.strip_prefix(name)).map(str::to_owned)
                };
                let written = word(&info, "master_repl_offset:");
                let known = info.lines().find(|found| found.contains(&line)).and_then(|found| word(found, "offset="));
                written.is_some() && known == written
            })
            .await;
        replica
    }

    fn spawn(port: u16, folder: &Path, options: &[&str]) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--logfile", "redis.log"])
            .args(["--dir", folder.to_str().unwrap(), "--repl-diskless-sync-delay", "0"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn wait_until_up(&self) {
        self.until("it answers", |redis| redis.cli(&["ping"]) == "PONG").await;
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` prints.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < Duration::from_secs(30), "redis at {}: {what}: still not so", self.port);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// SIGSTOP: it is there, and does nothing.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A copy of its log as it is now.
    pub(crate) fn put_log_aside(&self) -> PathBuf {
        let aside = self.folder.join(names::unique("aside"));
        copy_folder(&self.folder.join("appendonlydir"), &aside);
        aside
    }

    /// Killed, and started again with a log that was put aside earlier: it has gone back in time.
    pub(crate) async fn set_back(&mut self, aside: &Path, options: &[&str]) {
        self.kill();
        let log = self.folder.join("appendonlydir");
        std::fs::remove_dir_all(&log).unwrap();
        copy_folder(aside, &log);
        self.start_again(options).await;
    }

    /// The same port and data once more.
    pub(crate) async fn start_again(&mut self, options: &[&str]) {
        self.child = Self::spawn(self.port, &self.folder, options);
        self.wait_until_up().await;
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // It may be gone already; a frozen one dies of SIGKILL too.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
        if !std::thread::panicking() {
            let _kept = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Three primaries, each with a replica, in one cluster.
pub(crate) struct PrivateCluster {
    pub(crate) nodes: Vec<PrivateRedis>,
}

impl PrivateCluster {
    pub(crate) async fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--appendonly", "no"];
        let mut nodes = Vec::new();
        for _ in 0..6 {
            nodes.push(PrivateRedis::start(&options).await);
        }
        let addresses: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(&addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        for node in &nodes {
            node.until("the cluster is ok", |node| node.cli(&["cluster", "info"]).contains("cluster_state:ok")).await;
            node.until("it knows all replicas", |node| node.cli(&["cluster", "nodes"]).matches("slave").count() == 3)
                .await;
            node.until("a replica is in step", |node| {
                let info = node.cli(&["info", "replication"]);
                info.contains("state=online") || info.contains("master_link_status:up")
            })
            .await;
        }
        Self { nodes }
    }

    pub(crate) fn url(&self) -> String {
        let others: Vec<String> = self.nodes[1..].iter().map(|node| format!("node=127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://127.0.0.1:{}?{}", self.nodes[0].port, others.join("&"))
    }

    /// The primary that has this key.
    pub(crate) fn primary_of(&mut self, key: &str) -> &mut PrivateRedis {
        let slot: u16 = self.nodes[0].cli(&["cluster", "keyslot", key]).parse().unwrap();
        let owner = self.nodes.iter().position(|node| {
            let known = node.cli(&["cluster", "nodes"]);
            let line = known.lines().find(|line| line.contains("myself,master")).unwrap_or_default();
            line.split(' ')
                .skip(8)
                .filter_map(|range| range.split_once('-'))
                .any(|(first, last)| (first.parse::<u16>().unwrap()..=last.parse().unwrap()).contains(&slot))
        });
        &mut self.nodes[owner.expect("some primary has each slot")]
    }
}
