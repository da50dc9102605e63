//! What is on offer? Campaigns, from the operator's word to every node's memory.
//!
//! - The row in the database is the definition; Redis follows by version and decides; nodes keep a copy.
//! - A campaign is made in Redis only while the database says that it was never put. One that was and is missing is
//!   lost, not forgotten.
//! - A claim needs no lookup: a node has every campaign in memory.

mod campaigns;
mod catalog;
mod counters;
mod definition;
mod error;
mod follow;
mod latch;
mod lifecycle;
mod put;
mod recorded;
mod script_call;
mod stopped;
mod table;
mod view;

pub use campaigns::Campaigns;
pub(crate) use campaigns::find_definition;
pub use catalog::{Campaign, Catalog};
pub use definition::{Definition, Durability, Message, Order, Spec, State, Waiting};
pub use error::CampaignError;
pub use follow::{Follower, Publisher};
pub use lifecycle::{Change, Created, Refused, Switch, WaitingChange};
pub(crate) use put::{announce, definition_args};
pub use recorded::Recorded;
pub(crate) use script_call::{ScriptCall, ScriptError, call_unmarked, call_unmarked_on, if_ok, never};
pub(crate) use stopped::{remember_stopped, was_stopped};
pub use view::View;
