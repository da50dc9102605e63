//! Claims of which most are given back soon after. A unit that was given back is in stock again, its number is never used
//! again, and giving it back twice changes nothing.

use std::time::Duration;

use crate::answer::Meaning;
use crate::caller::Caller;
use crate::users::User;

/// How long units are kept before they are given back: from nothing to this, each a little longer than the one before.
const KEPT_MAX_MS: u64 = 300;
const KEPT_STEP_MS: u64 = 37;

/// Claims, reads, and mostly gives back.
pub(super) async fn visit(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let heard = caller.claim(user, None, caller.scene.records.may_hear()).await?;
    let Some(Meaning::Granted(own)) = heard else { return Ok(()) };
    caller.read(user, &own).await?;
    // Every third user keeps it.
    if user.visit.is_multiple_of(3) {
        return Ok(());
    }
    tokio::time::sleep(Duration::from_millis(user.visit * KEPT_STEP_MS % KEPT_MAX_MS)).await;
    caller.give_back_twice(user, &own).await
}
