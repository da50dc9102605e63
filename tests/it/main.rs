//! The tests against real stores, one file a room.

#![expect(clippy::unwrap_used, reason = "what a test did not expect fails it")]

mod addresses;
mod alarm;
mod auth;
mod burst;
mod cache;
mod campaigns;
mod certain;
mod claims;
mod cluster;
mod contract;
mod crash;
mod document;
mod draw;
mod durability;
mod examples;
mod feed;
mod fence;
mod input;
mod inspect;
mod ledger;
mod limits;
mod loops;
mod memory;
mod order;
mod out_of_memory;
mod page;
mod rebuild;
mod records;
mod rush;
mod scripts_model;
mod search;
mod stack;
mod stall;
mod support;
mod told;
mod upstream;
mod versions;
mod waiting;
mod waiting_model;
