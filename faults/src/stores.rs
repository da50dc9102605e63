//! What do all runs of this program share? A Kafka and a PostgreSQL, which take seconds to start.
//!
//! Who only uses them takes them as they are; who kills them waits until nobody else uses them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore};

use crate::kafka::{INSTALLATIONS_MAX, Kafka};
use crate::postgres::Postgres;

/// Both of them.
pub struct Stores {
    /// The top folder of the sources.
    pub checkout: PathBuf,
    /// Where this program keeps its data and logs.
    pub folder: PathBuf,
    /// The broker.
    pub kafka: Kafka,
    /// The database.
    pub postgres: Postgres,
    users: Arc<RwLock<()>>,
    places: Arc<Semaphore>,
    names: Mutex<HashSet<String>>,
}

/// Held as long as the stores are used.
#[expect(dead_code, reason = "held for their end")]
pub struct Use(Guard, OwnedSemaphorePermit);

#[expect(dead_code, reason = "held for their end")]
enum Guard {
    /// Others use them, too.
    Shared(OwnedRwLockReadGuard<()>),
    /// Nobody else does.
    Alone(OwnedRwLockWriteGuard<()>),
}

impl Stores {
    /// Starts both, and takes away what programs left that are gone.
    pub async fn start() -> anyhow::Result<Self> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let all = checkout.join(".local/faults");
        let folder = all.join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)?;
        sweep(&all)?;
        let (kafka_home, postgres_home) = (folder.join("kafka"), folder.join("postgres"));
        let (kafka, postgres) =
            tokio::try_join!(Kafka::start(&checkout, &all, &kafka_home), Postgres::start(&postgres_home))?;
        Ok(Self {
            checkout,
            folder,
            kafka,
            postgres,
            users: Arc::default(),
            places: Arc::new(Semaphore::new(INSTALLATIONS_MAX)),
            names: Mutex::default(),
        })
    }

    /// To use them, or, alone, to kill them. The name is that of a schema, a topic and a folder: it is given once, since two
    /// installations that share them would each see the other's campaigns.
    pub async fn take(&self, name: &str, alone: bool) -> anyhow::Result<Use> {
        let is_new = self.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        ensure!(is_new, "there was an installation {name} already: a name (or a plan's seed) is used once");
        let users = Arc::clone(&self.users);
        let guard =
            if alone { Guard::Alone(users.write_owned().await) } else { Guard::Shared(users.read_owned().await) };
        Ok(Use(guard, Arc::clone(&self.places).acquire_owned().await?))
    }

    /// Takes the data away. The logs of runs that failed stay.
    pub fn clean_up(self) -> anyhow::Result<()> {
        let folder = self.folder.clone();
        drop(self);
        remove_data(&folder)
    }
}

/// What programs left that could not clean up.
fn sweep(all: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(all)?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if !Path::new("/proc").join(pid.to_string()).exists() {
            remove_data(&entry.path())?;
            let outside = std::env::temp_dir().join(format!("onrush-faults-{pid}"));
            // Only there where PostgreSQL could not go to our folder.
            let _none = std::fs::remove_dir_all(outside);
        }
    }
    Ok(())
}

fn remove_data(folder: &Path) -> anyhow::Result<()> {
    for store in ["kafka", "postgres"] {
        match std::fs::remove_dir_all(folder.join(store)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    // It stays if there are logs of runs that failed.
    let _stays = std::fs::remove_dir(folder);
    Ok(())
}
