//! What is asked of the cache, and what is answered, with the types of its kinds forgotten.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::found::{CacheError, Tier};
use super::kind::Terms;
use super::names::Id;

/// A value whose type is forgotten.
pub(super) type Anything = Arc<dyn Any + Send + Sync>;

/// A value that was loaded, and its JSON.
pub(super) struct Loaded {
    pub(super) value: Anything,
    pub(super) json: Vec<u8>,
}

/// Asks the source, once.
pub(super) type Load = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<Option<Loaded>, String>> + Send>> + Send>;

/// What is asked for, with its type forgotten.
pub(super) struct Question {
    pub(super) terms: Terms,
    pub(super) id: Id,
    pub(super) field: String,
    /// Makes the value from JSON; `None` if it is another program's.
    pub(super) decode: fn(&[u8]) -> Option<Anything>,
}

/// What is answered.
#[derive(Clone)]
pub(super) struct Answer {
    pub(super) value: Option<Anything>,
    pub(super) is_stale: bool,
    pub(super) tier: Tier,
}

/// What became of a load, for all who wait for it.
pub(super) type Outcome = Result<Answer, CacheError>;
