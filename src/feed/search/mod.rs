//! Which posts speak of this? An index in PostgreSQL over our own tokens, good at Korean.

use crate::database::Database;

use super::message::Inspected;
use super::post::PostId;

/// Puts a passed post into the index, or an older revision's place; an older revision than what is there changes nothing.
pub async fn put(_database: &Database, _post: &Inspected) -> Result<(), sqlx::Error> {
    Ok(())
}

/// Takes a post out of the index, unless a newer revision is in it.
pub async fn remove(_database: &Database, _post: PostId, _revision: i32) -> Result<(), sqlx::Error> {
    Ok(())
}
