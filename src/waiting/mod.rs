//! Who is next? The waiting room before a campaign, from joining to the pass.
//!
//! - Redis decides who has which number and who is inside, in one script each time, by its own clock. Any number of nodes
//!   may admit at once.
//! - Whoever waits is told where they stand without a question to Redis: from their ticket, and from what this node knows of
//!   the room, which is never older than a second. A node that cannot know says so instead.
//! - A pass is signed, so that shops can verify it by themselves; whether it still holds is for Redis to say.
//! - Nothing here touches the database or Kafka.

mod controller;
mod departures;
mod draw;
mod error;
mod freed;
mod gauges;
mod joins;
mod keys;
mod pass;
mod publish_draw;
mod rates;
mod room;
mod rooms;
mod schedule;
mod scripts;
mod shared;
mod snapshot;
mod status;
mod supervisor;
mod ticket;
mod verify_draw;
mod waits;

pub use controller::Usher;
pub use draw::{Draw, ListHasher, seed_hash};
pub use error::WaitingError;
pub use keys::{KeyError, PassKeys};
pub use pass::{Admission, Pass, PassError, Passes};
pub use room::{News, Room};
pub use rooms::WaitingRooms;
pub use scripts::Admitted;
pub use snapshot::{Drawn, Snapshot};
pub use status::{Status, Wait};
pub use supervisor::RoomSupervisor;
pub use ticket::{Placed, Ticket, Tickets};
pub use verify_draw::{Confirmed, PublishedDraw, Unconfirmed};
pub use waits::Waits;
