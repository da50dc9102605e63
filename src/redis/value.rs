//! What one argument of a script is, or one part of a reply.

/// What one argument or one part of a reply is.
pub type Value = fred::types::Value;
