//! Onrush: a burst engine for first-come coupons and tickets. The rooms, in reading order.

// What everything speaks of.
pub mod clock;
pub mod config;
pub mod facts;
pub mod hex;
pub mod ids;
pub mod telemetry;
pub mod text;

// The doors to the stores.
pub mod database;
pub mod kafka;
pub mod redis;

// What several rooms need.
pub mod dead_letters;
pub mod throttle;

// The rooms, along a claim's way.
pub mod campaign;
pub mod claim;
mod coalescer;
pub mod fence;
pub mod ledger;
pub mod rebuild;
pub mod waiting;

// What there is to read.
pub mod cache;
pub mod feed;
pub mod upstream;

// Who looks after them.
pub mod alarm;
pub mod health;
pub mod nodes;
pub mod supervise;

// The outside, and the wiring.
pub mod app;
pub mod http;
