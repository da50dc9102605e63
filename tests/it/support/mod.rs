//! What the tests share.

pub(crate) mod hang_up;
pub(crate) mod installation;
pub(crate) mod leftovers;
pub(crate) mod names;
pub(crate) mod private_redis;
pub(crate) mod process;
pub(crate) mod stores;
pub(crate) mod topic;
