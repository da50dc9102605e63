//! Which way to sell a stock is right, and what does being right cost? All of them do the same job on the same stores,
//! and are judged by what they answered and by what they left behind.

pub mod batches;
pub mod driver;
pub mod findings;
pub mod judge;
pub mod ledger;
pub mod private_redis;
pub mod resp;
pub mod side_by_side;
pub mod stores;
pub mod ways;
