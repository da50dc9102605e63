//! A Kafka of this program's own. It takes seconds to start, so all that one program does shares it; it can be killed all
//! the same.
//!
//! A broker tells its clients where to connect to, so a proxy in front of it needs a listener of its own, whose
//! advertised address is the proxy's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::patience::Patience;
use crate::port::free_port;
use crate::process::{Process, Program};

/// How long a topic may take to be read.
const READ_MAX: Duration = Duration::from_secs(30);
/// How long it may take to answer after a start.
const START_MAX: Duration = Duration::from_secs(90);

/// One broker.
pub struct Kafka {
    home: PathBuf,
    port: u16,
    process: Mutex<Option<Process>>,
}

/// A listener besides the broker's own.
#[derive(Debug, Clone, Copy)]
pub struct Listener {
    /// Where the broker listens.
    pub port: u16,
    /// Where it tells its clients to connect to: a proxy that leads there.
    pub advertised: SocketAddr,
}

impl Kafka {
    /// Starts a broker with its data in this folder. `checkout` is where the development services have put Kafka's
    /// libraries, and `keep` where what has to be computed only once is kept.
    pub async fn start(checkout: &Path, keep: &Path, home: &Path, more: &[Listener]) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        let (port, controller_port) = (free_port()?, free_port()?);
        let mut listeners = vec![format!("PLAINTEXT://127.0.0.1:{port}")];
        let mut advertised = listeners.clone();
        listeners.push(format!("CONTROLLER://127.0.0.1:{controller_port}"));
        let mut protocols = vec!["PLAINTEXT:PLAINTEXT".to_owned(), "CONTROLLER:PLAINTEXT".to_owned()];
        for (index, Listener { port, advertised: proxy }) in more.iter().enumerate() {
            listeners.push(format!("P{index}://127.0.0.1:{port}"));
            advertised.push(format!("P{index}://{proxy}"));
            protocols.push(format!("P{index}:PLAINTEXT"));
        }
        let properties = std::fs::read_to_string(checkout.join("dev/kafka/server.properties"))?
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER_PORT@", &controller_port.to_string())
            .replace("@DATA@", &home.join("data").to_string_lossy());
        // The last word on a property counts.
        let ours = format!(
            "\nlisteners={}\nadvertised.listeners={}\nlistener.security.protocol.map={}\n\
             # One for each listener.\nnum.network.threads=1\n\
             # A broker that was killed is let in again as soon as its old self counts as dead.\n\
             broker.heartbeat.interval.ms=300\nbroker.session.timeout.ms=2000\n",
            listeners.join(","),
            advertised.join(","),
            protocols.join(","),
        );
        std::fs::write(home.join("server.properties"), properties + &ours)?;
        let kafka = Self { home: home.to_owned(), port, process: Mutex::default() };
        kafka.format(checkout, keep).await?;
        kafka.launch(checkout)?;
        kafka.until_it_answers().await?;
        Ok(kafka)
    }

    /// Where it listens, past all proxies.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Starts it with what it left.
    pub async fn start_again(&self, checkout: &Path) -> anyhow::Result<()> {
        self.launch(checkout)?;
        self.until_it_answers().await
    }

    /// How many records a topic has had so far.
    pub async fn records(&self, topic: &str) -> anyhow::Result<i64> {
        Ok(self.ends(topic).await?.values().sum())
    }

    /// Where each partition of a topic ends: what is below is acknowledged, or about to be.
    pub async fn ends(&self, topic: &str) -> anyhow::Result<Ends> {
        let (topic, brokers) = (topic.to_owned(), self.address().to_string());
        let read = move || {
            let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
            ends_of(&consumer, &topic)
        };
        tokio::task::spawn_blocking(read).await?
    }

    /// Every record that a topic has now: its partition, its offset and its value.
    pub async fn all(&self, topic: &str) -> anyhow::Result<Vec<(i32, i64, Vec<u8>)>> {
        let (topic, brokers) = (topic.to_owned(), self.address().to_string());
        let read = move || {
            let mut settings = ClientConfig::new();
            settings.set("bootstrap.servers", brokers).set("group.id", "testkit").set("enable.auto.commit", "false");
            let consumer: BaseConsumer = settings.set("fetch.wait.max.ms", "20").create()?;
            let ends = ends_of(&consumer, &topic)?;
            let mut partitions = TopicPartitionList::new();
            for partition in ends.keys() {
                partitions.add_partition_offset(&topic, *partition, Offset::Beginning)?;
            }
            consumer.assign(&partitions)?;
            let (mut records, mut next) = (Vec::new(), Ends::new());
            let deadline = Instant::now() + READ_MAX;
            while ends.iter().any(|(partition, end)| next.get(partition).unwrap_or(&0) < end) {
                ensure!(Instant::now() < deadline, "the topic {topic} could not be read");
                let Some(record) = consumer.poll(Duration::from_millis(200)) else { continue };
                let record = record?;
                next.insert(record.partition(), record.offset() + 1);
                records.push((record.partition(), record.offset(), record.payload().unwrap_or_default().to_vec()));
            }
            Ok(records)
        };
        tokio::task::spawn_blocking(read).await?
    }

    fn launch(&self, checkout: &Path) -> anyhow::Result<()> {
        let properties = self.home.join("server.properties");
        let program = self.java(checkout)?.args([Path::new("kafka.Kafka"), &properties]);
        let process = program.start(&self.home.join("console.log"))?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }

    /// A program in Kafka's class path. It is short-lived and small: what starts soonest is best.
    fn java(&self, checkout: &Path) -> anyhow::Result<Program> {
        let libraries = checkout.join(".local/kafka/libs");
        ensure!(libraries.is_dir(), "{} is not there; `dev/services up` downloads it", libraries.display());
        let log_settings = checkout.join("dev/kafka/log4j2.properties");
        let log = self.home.join("kafka.log");
        Ok(Program::new("kafka", java()?)
            .args(["-cp".to_owned(), format!("{}/*", libraries.display())])
            .args([
                "-Xms128m",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:+ExitOnOutOfMemoryError",
            ])
            .args([format!("-Dlog4j2.configurationFile={}", log_settings.display())])
            .args([format!("-Donrush.log={}", log.display())])
            .folder(&self.home))
    }

    /// The empty storage is the same each time, and making it takes seconds: it is made once and copied.
    async fn format(&self, checkout: &Path, keep: &Path) -> anyhow::Result<()> {
        let (data, kept) = (self.home.join("data"), keep.join("kafka-empty"));
        if !kept.is_dir() {
            let args = ["format", "--cluster-id", "b25ydXNoLW9mLWZhdWx0cw", "--config"];
            let program = self.java(checkout)?.args(["kafka.tools.StorageTool"]).args(args);
            let program = program.args([self.home.join("server.properties")]);
            program.succeed(&self.home.join("console.log"), START_MAX).await?;
            // Under another name first: a folder of the final name is complete. Another program may have been faster.
            let new = keep.join(format!("kafka-empty.{}", std::process::id()));
            copy_files(&data, &new)?;
            if std::fs::rename(&new, &kept).is_err() {
                std::fs::remove_dir_all(&new)?;
            }
            return Ok(());
        }
        copy_files(&kept, &data)
    }

    async fn until_it_answers(&self) -> anyhow::Result<()> {
        let patience = Patience::new("kafka answers", START_MAX);
        while !self.brokers().await.is_ok_and(|count| count > 0) {
            patience.wait().await?;
        }
        Ok(())
    }

    /// Asks for the metadata of no topic (Metadata, version 1): the answer counts the brokers that are ready to serve.
    async fn brokers(&self) -> anyhow::Result<i32> {
        const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 0, 0, 0, 0];
        let exchange = async {
            let mut stream = TcpStream::connect(self.address()).await?;
            stream.write_all(&REQUEST).await?;
            // The length, the correlation id and the number of brokers, four bytes each.
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await?;
            anyhow::Ok(i32::from_be_bytes([answer[8], answer[9], answer[10], answer[11]]))
        };
        tokio::time::timeout(Duration::from_secs(2), exchange).await?
    }
}

/// Where partitions end.
pub type Ends = BTreeMap<i32, i64>;

fn ends_of(consumer: &BaseConsumer, topic: &str) -> anyhow::Result<Ends> {
    let timeout = Duration::from_secs(10);
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let found = metadata.topics().first().context("no such topic")?;
    let end = |partition: i32| Ok((partition, consumer.fetch_watermarks(topic, partition, timeout)?.1));
    found.partitions().iter().map(|partition| end(partition.id())).collect()
}

fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The first Java there is; `dev/services` has seen to it that it is new enough.
fn java() -> anyhow::Result<PathBuf> {
    let usual = ["/usr/bin/java", "/usr/local/bin/java", "/bin/java"].map(PathBuf::from);
    let installed = std::fs::read_dir("/usr/lib/jvm").into_iter().flatten().flatten();
    let found =
        usual.into_iter().chain(installed.map(|entry| entry.path().join("bin/java"))).find(|path| path.is_file());
    match found {
        Some(java) => Ok(java),
        None => bail!("there is no Java; `dev/services up` installs one"),
    }
}
