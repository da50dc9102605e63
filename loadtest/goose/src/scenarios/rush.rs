//! Everybody asks for a unit: there are few, or enough, or none. The records say what each may hear.

use std::sync::Arc;

use anyhow::{Context, ensure};
use goose::config::GooseConfiguration;
use goose::goose::GooseUser;

use crate::answer::Meaning;
use crate::caller::Caller;
use crate::scene::Scene;
use crate::users::User;

/// Asks.
pub(super) async fn without_a_key(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    caller.claim(user, None, caller.scene.records.may_hear()).await.map(drop)
}

/// Asks, and every so manieth user has a key: with one Redis has to be asked, without one a node may answer from memory.
pub(super) async fn with_a_key_every(nth: u64, caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let key = user.visit.is_multiple_of(nth).then(|| format!("visit-{}", user.visit));
    caller.claim(user, key.as_deref(), caller.scene.records.may_hear()).await.map(drop)
}

/// Takes all there is, before the storm.
pub(super) async fn sell_out(scene: &Arc<Scene>) -> anyhow::Result<()> {
    let url = scene.settings.url.parse().context("the address")?;
    let mut early = GooseUser::single(url, &GooseConfiguration::parse_args_default::<&str>(&[])?)?;
    let mut caller = Caller::new(scene, &mut early);
    for number in 0..scene.settings.stock() {
        let user = scene.user(format!("early-{number}"), number)?;
        let heard = caller.claim(&user, None, &["granted"]).await?;
        ensure!(matches!(heard, Some(Meaning::Granted(_))), "before the storm {} heard {heard:?}", user.name);
    }
    Ok(())
}
