//! What every tool that tries Onrush needs: stores and nodes as processes that end with it, and a client.
//!
//! It knows nothing of any plan, fault or measurement; those who use it do.
//!
//! - [`process`], [`port`], [`patience`]: how a program starts, where it listens, and how it is awaited.
//! - [`redis`], [`kafka`], [`postgres`]: stores of a tool's own.
//! - [`node`], [`client`]: Onrush itself as a process, and how it is asked.
//! - [`folder`], [`open_files`], [`usage`]: what the machine gives.

pub mod client;
pub mod folder;
pub mod kafka;
pub mod node;
pub mod open_files;
pub mod patience;
pub mod port;
pub mod postgres;
pub mod process;
pub mod redis;
pub mod usage;
