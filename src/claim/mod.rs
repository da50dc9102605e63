//! May this user have one? From the request to Redis' decision, and what may follow it.
//!
//! - Redis decides, in one script, for all requests of a campaign that wait at the moment.
//! - What a node knows for certain it says itself: sold out, not open yet, closed.
//! - An outcome that is unknown is said to be unknown. The attempt's id makes it safe to ask again.
//! - An answer states the durability that was reached: at most what the campaign asks for, at most what the claim's record
//!   says, and at most what holds at that moment.
//! - Nothing here touches the database or Kafka.

mod answer;
mod claims;
mod coupon;
mod error;
mod freed;
mod issue;
mod issuing;
mod lifecycle;
mod local_refusals;
mod read;
mod record;
mod tally;

pub use answer::{Answer, PassOf, Request};
pub use claims::Claims;
pub use coupon::{Coupon, Coupons};
pub use error::ClaimError;
pub use freed::Freed;
pub use lifecycle::{Cancel, GiveBack, Redeem, Unredeem};
pub use record::{Claim, ClaimState};
pub use tally::ClaimTally;
