//! Who comes, and what all of their connections share.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bench::users::Users;
use tokio::sync::Semaphore;

use super::found::Found;
use super::people::People;
use super::request::Phrases;
use crate::history::History;
use crate::wheel::Wheel;

/// Who comes, and where to.
pub(crate) struct Crowd {
    /// All nodes; connections go to them in turn.
    pub(crate) nodes: Vec<SocketAddr>,
    pub(crate) campaign: String,
    /// Connections that are open at the same time.
    pub(crate) connections: usize,
    /// So many of them come.
    pub(crate) users: Arc<Users>,
    pub(crate) count: usize,
    /// Of so many answers that say to wait, one makes its visitor leave; 0: none does.
    pub(crate) leaves_of: u64,
    /// What is told of `ahead` goes here.
    pub(crate) history: Arc<Mutex<History>>,
    /// Ends it.
    pub(crate) stop: Arc<AtomicBool>,
    /// Set once everybody has a place.
    pub(crate) all_joined: Arc<AtomicBool>,
}

/// What a connection does next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    Join(u32),
    Status(u32, Instant),
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) crowd: Crowd,
    pub(super) begun: Instant,
    pub(super) phrases: Vec<Phrases>,
    pub(super) people: RefCell<People>,
    pub(super) wheel: RefCell<Wheel>,
    pub(super) due: RefCell<VecDeque<(u32, Instant)>>,
    pub(super) next_join: Cell<usize>,
    /// As many as there are turns to take.
    pub(super) turns: Semaphore,
    pub(super) found: RefCell<Found>,
}
