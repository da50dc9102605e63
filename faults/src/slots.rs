//! How do nodes reach the broker that all runs share? Each through a proxy of its own. A broker tells its clients where to
//! connect to, so such a proxy has to be known before the broker starts: there are so many slots, and nodes borrow them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use testkit::kafka::Listener;
use testkit::port::free_port;

use crate::proxy::{Protocol, Proxy};

/// Nodes that may be connected at the same time.
const SLOTS: usize = SLOTS_EACH * INSTALLATIONS_MAX;
/// Nodes of one installation at the same time: four, and two that come and go.
const SLOTS_EACH: usize = 6;
/// Installations that may use the broker at the same time: more would measure the machine.
pub const INSTALLATIONS_MAX: usize = 3;

/// All of them.
pub struct Slots {
    free: Arc<Mutex<Vec<Arc<Proxy>>>>,
}

/// A node's way to the broker; given back when it is dropped.
pub struct Slot {
    proxy: Arc<Proxy>,
    free: Arc<Mutex<Vec<Arc<Proxy>>>>,
}

impl Slots {
    /// New ones, and the listeners that the broker has to have for them.
    pub async fn open() -> anyhow::Result<(Self, Vec<Listener>)> {
        let (mut free, mut listeners) = (Vec::new(), Vec::new());
        for _ in 0..SLOTS {
            let port = free_port()?;
            let proxy = Proxy::start(Protocol::Kafka, ([127, 0, 0, 1], port).into()).await?;
            listeners.push(Listener { port, advertised: proxy.address() });
            free.push(Arc::new(proxy));
        }
        Ok((Self { free: Arc::new(Mutex::new(free)) }, listeners))
    }

    /// A way of one's own to the broker.
    pub fn borrow(&self) -> anyhow::Result<Slot> {
        let proxy = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let proxy = proxy.with_context(|| format!("more than {SLOTS} nodes at a time"))?;
        Ok(Slot { proxy, free: Arc::clone(&self.free) })
    }
}

impl std::ops::Deref for Slot {
    type Target = Proxy;

    fn deref(&self) -> &Proxy {
        &self.proxy
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.proxy.clear();
        self.proxy.cut();
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.proxy));
    }
}
