//! Who is next? The waiting room before a campaign: what is signed for visitors, and the fair order of a draw.

mod hex;
mod keys;
mod pass;
mod ticket;

pub use hex::{from_hex, to_hex};
pub use keys::{KeyError, PassKeys};
pub use pass::{Admission, Pass, PassFlaw, Passes};
pub use ticket::{Placed, Ticket, Tickets};
