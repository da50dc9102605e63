//! What the user-info API says of a user.

use serde::{Deserialize, Serialize};

/// What the user-info API says of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// Who.
    pub user_id: String,
    /// For people.
    pub name: String,
    /// What they write about; null: nothing in particular.
    pub category: Option<String>,
}
