//! Connections, and what every request passes on its way in and out.

pub(crate) mod bare;
pub(crate) mod edge;
pub(crate) mod fast_path;
pub(crate) mod host;
pub(crate) mod http2_shares;
pub(crate) mod peer;
pub(crate) mod request_metrics;
pub(crate) mod server;
pub(crate) mod stack;
pub(crate) mod stall;
pub(crate) mod version;
