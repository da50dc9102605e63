//! What a decision survives.

use serde::{Deserialize, Serialize};

/// What a decision survives: what must hold before a claim is answered 201, and what did hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Survives the death of any process but Redis.
    Memory,
    /// Survives Redis' too.
    Fsynced,
    /// Survives the loss of the primary.
    Replicated,
}

impl Durability {
    /// All of them, weakest first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Fsynced, Self::Replicated];

    /// The word in the contract and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fsynced => "fsynced",
            Self::Replicated => "replicated",
        }
    }

    /// The durability of this name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|durability| durability.as_str() == word)
    }
}
