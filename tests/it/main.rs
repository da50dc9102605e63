//! The tests against real stores, one file a room.

mod campaigns;
mod claims;
mod contract;
mod crash;
mod ledger;
mod limits;
mod order;
mod rush;
mod scripts_model;
mod support;
