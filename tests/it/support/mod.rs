//! What tests share.

pub mod stores;
pub mod topic;
