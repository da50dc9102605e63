//! What load generators share: a connection on which a request costs next to nothing.

pub mod wire;
