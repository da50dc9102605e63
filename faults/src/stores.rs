//! What do all runs of this program share? A Kafka and a PostgreSQL, which take seconds to start.
//!
//! Who only uses them takes them as they are; who kills them waits until nobody else uses them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::ensure;
use testkit::folder::{abandoned, checkout};
use testkit::kafka::Kafka;
use testkit::postgres::Postgres;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore};

use crate::slots::{INSTALLATIONS_MAX, Slots};

/// Both of them.
pub struct Stores {
    /// The top folder of the sources.
    pub checkout: PathBuf,
    /// Where this program keeps its data and logs.
    pub folder: PathBuf,
    /// The broker.
    pub kafka: Kafka,
    /// Nodes' ways to the broker.
    pub slots: Slots,
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
        let checkout = checkout()?;
        let all = checkout.join(".local/faults");
        let folder = all.join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)?;
        sweep(&all)?;
        let (kafka_home, postgres_home) = (folder.join("kafka"), folder.join("postgres"));
        let (slots, listeners) = Slots::open().await?;
        let (kafka, postgres) =
            tokio::try_join!(Kafka::start(&checkout, &all, &kafka_home, &listeners), Postgres::start(&postgres_home))?;
        Ok(Self {
            checkout,
            folder,
            kafka,
            slots,
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
    for (pid, folder) in abandoned(all, "") {
        remove_data(&folder)?;
        // Only there where PostgreSQL could not go to our folder.
        let _none = std::fs::remove_dir_all(Postgres::outside(pid));
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
