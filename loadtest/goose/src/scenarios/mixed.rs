//! What a day brings: claims with a key and their replays, claims without, give-backs, reads of the campaign, of one's own
//! claims and of one claim, claims of others that nobody may see, and requests that are refused.

use goose::goose::GooseMethod;
use serde_json::Value;

use super::bad_input;
use crate::answer::{Answer, Claim, Meaning, claim};
use crate::caller::Caller;
use crate::users::User;

/// Visits after which the mix begins again.
const VISITS: u64 = 10;

/// One of ten visits; its number alone says which, so that every run has the same mix.
pub(super) async fn visit(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    match user.visit % VISITS {
        0 | 3 | 6 | 9 => claim_and_replay(caller, user).await,
        1 => look_around(caller, user).await,
        2 | 7 => claim_and_read(caller, user).await,
        4 => claim_and_give_back(caller, user).await,
        5 => bad_input::send(caller, user, user.visit / VISITS).await,
        _ => claim_of_another(caller, user).await,
    }
}

async fn claim_and_replay(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let key = format!("visit-{}", user.visit);
    let heard = caller.claim(user, Some(&key), caller.scene.records.may_hear()).await?;
    let Some(Meaning::Granted(own)) = heard else { return Ok(()) };
    if let Some(Meaning::Replayed(again)) = caller.claim(user, Some(&key), &["replayed"]).await? {
        caller.scene.records.must(again == own, || format!("{key} was answered with {own:?} and then with {again:?}"));
    }
    Ok(())
}

async fn claim_and_read(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let Some(own) = claim_once(caller, user).await? else { return Ok(()) };
    caller.read(user, &own).await?;
    let mine = caller.get(Some(user), &format!("{}/mine", caller.claims_path()), "read mine").await?;
    let (settings, campaign) = (&caller.scene.settings, &caller.scene.campaign.id);
    let items = items(&mine);
    let is_it = items.len() == 1 && claim(&items[0], user, campaign, settings, "live") == Some(own);
    must_read(caller, &mine, is_it);
    Ok(())
}

async fn claim_and_give_back(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    match claim_once(caller, user).await? {
        Some(own) => caller.give_back_twice(user, &own).await,
        None => Ok(()),
    }
}

async fn claim_of_another(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let Some(own) = claim_once(caller, user).await? else { return Ok(()) };
    let nosy = caller.scene.user(format!("nosy-{}", user.visit), user.visit)?;
    let answer = caller.get(Some(&nosy), &format!("/v1/claims/{}", own.id), "read a claim").await?;
    caller.must_refuse(&answer, 404, "not_found");
    let answer = caller.post(&nosy, &format!("/v1/claims/{}/give-back", own.id), "give back").await?;
    caller.must_refuse(&answer, 404, "not_found");
    Ok(())
}

async fn look_around(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let path = format!("/v1/campaigns/{}", caller.scene.campaign.id);
    let view = caller.get(None, &path, "view").await?;
    let (number, stock) = (|member: &str| view.body[member].as_u64(), caller.scene.settings.stock());
    let adds_up = number("left").zip(number("claimed")).is_some_and(|(left, live)| left + live == stock);
    let is_it = view.body["id"] == caller.scene.campaign.id.as_str() && number("stock") == Some(stock) && adds_up;
    must_read(caller, &view, is_it);
    let etag = view.header("etag");
    let again = caller.builder(GooseMethod::Get, &path)?.header("If-None-Match", etag);
    let again = caller.ask(&path, "view", again).await?;
    let is_either = matches!(again.status, 200 | 304);
    caller.scene.records.must(is_either, || format!("neither the view nor 304: {}", again.describe()));
    let stranger = caller.scene.user(format!("stranger-{}", user.visit), user.visit)?;
    let mine = caller.get(Some(&stranger), &format!("{}/mine", caller.claims_path()), "read mine").await?;
    must_read(caller, &mine, mine.body["items"].as_array().is_some_and(Vec::is_empty));
    Ok(())
}

async fn claim_once(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<Option<Claim>> {
    let heard = caller.claim(user, None, caller.scene.records.may_hear()).await?;
    Ok(if let Some(Meaning::Granted(own)) = heard { Some(own) } else { None })
}

fn must_read(caller: &Caller<'_>, answer: &Answer, is_it: bool) {
    let records = &caller.scene.records;
    if records.must(answer.status == 200 && is_it, || format!("not what is to be read: {}", answer.describe())) {
        records.note("read");
    }
}

fn items(answer: &Answer) -> &[Value] {
    answer.body["items"].as_array().map_or(&[], Vec::as_slice)
}
