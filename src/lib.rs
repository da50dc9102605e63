//! Onrush: a burst engine for first-come coupons and tickets. The rooms, in reading order.

pub mod clock;
pub mod config;
pub mod database;
pub mod facts;
pub mod ids;
pub mod kafka;
pub mod ledger;
pub mod redis;
