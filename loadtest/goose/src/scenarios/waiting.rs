//! A waiting room before the units. Everybody joins, asks again when told to, and claims with the pass once it is their turn.
//! Some leave before, some leave from inside; who has no pass, or one that has ended, is not served.

use std::time::{Duration, Instant};

use goose::goose::GooseMethod;

use crate::answer::{Answer, Meaning};
use crate::caller::Caller;
use crate::scene::Scene;
use crate::users::User;

/// Visits after which the mix begins again.
const VISITS: u64 = 16;
/// Nobody has to ask that often.
const ASKED_MAX: u32 = 200;

/// What a visitor does besides waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Claims.
    Patient,
    /// Tries without a pass first.
    Pushy,
    /// Joins twice: the place stays the same.
    Nervous,
    /// Leaves at the first word that there is somebody ahead.
    LeavesQueue,
    /// Comes in, leaves, and tries with the pass that has ended.
    LeavesInside,
}

/// What is known of a visitor's place.
struct Position {
    place: u64,
    ahead: u64,
    ticket: String,
}

/// The status of a visitor.
enum Now {
    Waits {
        again: Duration,
    },
    Inside {
        pass: String,
    },
    /// Against the contract, which the records know already.
    Lost,
}

/// One visit.
pub(super) async fn visit(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let manner = match user.visit % VISITS {
        1 | 9 => Manner::Pushy,
        3 => Manner::Nervous,
        5 | 13 => Manner::LeavesQueue,
        7 => Manner::LeavesInside,
        _ => Manner::Patient,
    };
    if manner == Manner::Pushy {
        refused(caller, user, None).await?;
    }
    let mut position = Position { place: 0, ahead: 0, ticket: String::new() };
    let mut now = join(caller, user, &mut position).await?;
    if manner == Manner::Nervous && matches!(now, Now::Waits { .. }) {
        // It was exact when the visitor joined, and may now be a second old.
        position.ahead = u64::MAX;
        now = join(caller, user, &mut position).await?;
    }
    for _ in 0..ASKED_MAX {
        match now {
            Now::Lost => return Ok(()),
            Now::Waits { .. } if manner == Manner::LeavesQueue => return leave(caller, user, &position).await,
            Now::Waits { again } => tokio::time::sleep(again).await,
            Now::Inside { pass } => {
                caller.scene.queue.inside(position.place);
                caller.scene.records.note("admitted");
                if manner == Manner::LeavesInside {
                    leave(caller, user, &position).await?;
                    return refused(caller, user, Some(&pass)).await;
                }
                return claim(caller, user, &pass).await;
            }
        }
        now = status(caller, user, &mut position).await?;
    }
    caller.scene.records.wrong(format!("{} asked {ASKED_MAX} times and still waits", user.name));
    Ok(())
}

/// Once everybody has gone: who joined was admitted or left, and nobody was late who asked as told.
pub(super) async fn settle(scene: &Scene) -> anyhow::Result<()> {
    let (room, records) = (scene.campaign.room().await?, &scene.records);
    let said = records.totals().said;
    let count = |word: &str| said.get(word).copied().unwrap_or(0);
    let is_well = room.waiting == 0
        && room.inside == 0
        && room.no_shows == 0
        && room.admitted + room.left_queue == scene.settings.visits()
        && scene.queue.places() <= scene.settings.visits()
        // Who leaves may be admitted while they do.
        && room.admitted >= count("admitted")
        && room.left_queue <= count("left");
    records.must(is_well, || format!("{room:?} at the end, of {} visits: {said:?}", scene.settings.visits()));
    Ok(())
}

fn path(caller: &Caller<'_>) -> String {
    format!("/v1/campaigns/{}/waiting", caller.scene.campaign.id)
}

async fn join(caller: &mut Caller<'_>, user: &User, position: &mut Position) -> anyhow::Result<Now> {
    let (path, asked) = (path(caller), Instant::now());
    let answer = caller.post(user, &path, "join").await?;
    let is_new = position.place == 0;
    let now = understand(caller, user, &answer, 202, position, asked);
    if is_new
        && position.place > 0
        && let Err(why) = caller.scene.queue.joined(position.place, asked)
    {
        caller.scene.records.wrong(why);
    }
    Ok(now)
}

async fn status(caller: &mut Caller<'_>, user: &User, position: &mut Position) -> anyhow::Result<Now> {
    let builder = caller.builder(GooseMethod::Get, &path(caller))?.bearer_auth(&user.token);
    let asked = Instant::now();
    let answer = caller.ask("status", "status", builder.header("Onrush-Ticket", &position.ticket)).await?;
    Ok(understand(caller, user, &answer, 200, position, asked))
}

/// What an answer says, and whether that can be after what was said before.
fn understand(
    caller: &Caller<'_>,
    user: &User,
    answer: &Answer,
    status: u16,
    position: &mut Position,
    asked: Instant,
) -> Now {
    let (records, body) = (&caller.scene.records, &answer.body);
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    let is_personal = answer.header("cache-control") == "no-store" && !text("ticket").is_empty();
    let now = match (body["state"].as_str(), body["poll_after_s"].as_u64()) {
        (Some("waiting"), Some(again_s)) if answer.status == status => {
            let (Some(place), Some(ahead)) = (body["place"].as_u64(), body["ahead"].as_u64()) else {
                records.wrong(format!("no place for {}: {}", user.name, answer.describe()));
                return Now::Lost;
            };
            let is_same = position.place == 0 || (position.place == place && ahead <= position.ahead);
            let is_told = again_s > 0 && ahead < place && answer.header("retry-after") == again_s.to_string();
            records.must(is_same && is_told, || {
                format!("{} had {} and {} ahead: {}", user.name, position.place, position.ahead, answer.describe())
            });
            (position.place, position.ahead) = (place, ahead);
            records.note("waits");
            if let Err(why) = caller.scene.queue.waits(place, asked) {
                records.wrong(why);
            }
            Now::Waits { again: Duration::from_secs(again_s) }
        }
        (Some("admitted"), None) if answer.status == 200 && !text("pass").is_empty() => {
            Now::Inside { pass: text("pass") }
        }
        _ => Now::Lost,
    };
    position.ticket = text("ticket");
    let is_answer = is_personal && !matches!(now, Now::Lost);
    records.must(is_answer, || format!("not an answer for {}, who waits: {}", user.name, answer.describe()));
    now
}

async fn claim(caller: &mut Caller<'_>, user: &User, pass: &str) -> anyhow::Result<()> {
    let builder = caller.claim_request(user, None)?.header("Onrush-Pass", pass);
    let answer = caller.ask("claim", "claim", builder).await?;
    let heard = caller.heard(user, None, &answer, caller.scene.records.may_hear());
    if let Some(Meaning::Granted(own)) = heard {
        caller.read(user, &own).await?;
    }
    Ok(())
}

/// Leaves, twice, and is told so when asking.
async fn leave(caller: &mut Caller<'_>, user: &User, position: &Position) -> anyhow::Result<()> {
    for _ in 0..2 {
        let builder = caller.builder(GooseMethod::Delete, &path(caller))?.bearer_auth(&user.token);
        let answer = caller.ask("leave", "leave", builder).await?;
        caller.scene.records.must(answer.status == 204, || format!("not left: {}", answer.describe()));
    }
    caller.scene.records.note("left");
    let builder = caller.builder(GooseMethod::Get, &path(caller))?.bearer_auth(&user.token);
    let answer = caller.ask("status", "status", builder.header("Onrush-Ticket", &position.ticket)).await?;
    let is_gone = answer.status == 200 && answer.body["state"] == "expired";
    caller.scene.records.must(is_gone, || format!("{} has left: {}", user.name, answer.describe()));
    Ok(())
}

/// Submits a claim without a pass, or with one that has ended.
async fn refused(caller: &mut Caller<'_>, user: &User, pass: Option<&str>) -> anyhow::Result<()> {
    let builder = caller.claim_request(user, None)?;
    let builder = pass.into_iter().fold(builder, |builder, pass| builder.header("Onrush-Pass", pass));
    let answer = caller.ask("claim without a pass", "claim", builder).await?;
    caller.must_refuse(&answer, 403, "pass_required");
    let link = answer.header("link");
    let is_there = link.contains(&format!("/rooms/{}>", caller.scene.campaign.id)) && link.contains("waiting-room");
    caller.scene.records.must(is_there, || format!("no way to the waiting room in {link}"));
    Ok(())
}
