//! What a stranger may send: each thing is answered or the connection is ended, others are served, and memory stays flat.

mod frames;
mod http1;
mod http2;
mod memory;
mod proxy;
mod raw;
