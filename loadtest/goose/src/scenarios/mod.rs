//! What does a visitor do? One file a scenario, or a few that differ in little.

mod bad_input;
mod double_clickers;
mod feed;
mod mixed;
mod rush;
mod trickle;
mod waiting;

use std::sync::Arc;

use crate::caller::Caller;
use crate::scene::Scene;
use crate::settings::Scenario;
use crate::users::User;

/// What happens before anybody may come.
pub(crate) async fn prepare(scene: &Arc<Scene>) -> anyhow::Result<()> {
    match scene.settings.scenario {
        Scenario::SoldOut => rush::sell_out(scene).await,
        Scenario::Limited
        | Scenario::Plenty
        | Scenario::DoubleClickers
        | Scenario::Trickle
        | Scenario::Mixed
        | Scenario::Waiting
        | Scenario::Feed => Ok(()),
    }
}

/// What is to be looked at once everybody has gone.
pub(crate) async fn finish(scene: &Scene) -> anyhow::Result<()> {
    match scene.settings.scenario {
        Scenario::Waiting => waiting::settle(scene).await,
        Scenario::Feed => feed::settle(scene).await,
        Scenario::Limited
        | Scenario::Plenty
        | Scenario::SoldOut
        | Scenario::DoubleClickers
        | Scenario::Trickle
        | Scenario::Mixed => Ok(()),
    }
}

/// One visit.
pub(crate) async fn visit(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    match caller.scene.settings.scenario {
        Scenario::Limited => rush::without_a_key(caller, user).await,
        Scenario::Plenty => rush::with_a_key_every(2, caller, user).await,
        Scenario::SoldOut => rush::with_a_key_every(4, caller, user).await,
        Scenario::DoubleClickers => double_clickers::visit(caller, user).await,
        Scenario::Trickle => trickle::visit(caller, user).await,
        Scenario::Mixed => mixed::visit(caller, user).await,
        Scenario::Waiting => waiting::visit(caller, user).await,
        Scenario::Feed => feed::visit(caller, user).await,
    }
}
