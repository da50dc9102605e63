//! Who calls? Users by a signed token or by the word of a gateway, operators by one of the configured tokens.

pub(crate) mod caller;
pub(crate) mod jwks;
pub(crate) mod token;
