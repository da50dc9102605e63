//! What is there to judge by at the end? Rows, Kafka's records, what nodes say, and what the clients saw.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use sqlx::{PgPool, Row as _};

use crate::crowd::ROOM;
use crate::history::Event;
use crate::installation::Installation;
use crate::oracle::operators::{Definition, End, View};
use crate::oracle::{Evidence, Generations, Loss, Row};
use crate::plan::Plan;
use crate::request::{Asked, Edit};
use crate::rush::{Rush, operators};
use crate::storm::{Lost, Notes};

/// How long a node may take to know of the last change.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);

const BUSIEST_SECOND: &str = "SELECT coalesce(max(n), 0)::bigint FROM (
    SELECT count(*) OVER (ORDER BY at RANGE BETWEEN CURRENT ROW AND interval '999.999 ms' FOLLOWING) AS n
    FROM (SELECT pg_xact_commit_timestamp(xmin) AS at FROM stock_history) commits) seconds";

/// All claims of the database.
pub async fn rows(installation: &Installation, campaign: &str) -> anyhow::Result<Vec<Row>> {
    let database = installation.stores.postgres.connect(&installation.name)?;
    let rows = rows_of(&database, campaign).await?;
    database.close().await;
    Ok(rows)
}

async fn rows_of(database: &PgPool, campaign: &str) -> anyhow::Result<Vec<Row>> {
    let all = "SELECT generation, number, user_id, attempt, claimed_at IS NOT NULL, given_back_at IS NOT NULL, \
               redeemed_at IS NOT NULL FROM claims WHERE campaign_id = $1";
    let found = sqlx::query(all).bind(campaign).fetch_all(database).await?;
    let row = |row: &sqlx::postgres::PgRow| Row {
        generation: row.get::<i32, _>(0).unsigned_abs().into(),
        number: row.get::<i64, _>(1).unsigned_abs(),
        user: row.get(2),
        attempt: row.get(3),
        is_claimed: row.get(4),
        is_given_back: row.get(5),
        is_redeemed: row.get(6),
    };
    Ok(found.iter().map(row).collect())
}

/// What there is to judge each campaign by, now.
pub async fn evidence(
    installation: &Installation,
    rush: &Rush,
    plan: &Plan,
    notes: &Notes,
) -> anyhow::Result<Vec<Evidence>> {
    let database = installation.stores.postgres.connect(&installation.name)?;
    let records = if notes.losses.is_empty() { Vec::new() } else { facts(installation).await? };
    let mut by_campaign: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in rush.history.events() {
        by_campaign.entry(event.campaign.clone()).or_default().push(event);
    }
    // What is asked of all campaigns is judged with the first.
    let of_all = by_campaign.remove("").unwrap_or_default();
    by_campaign.entry(rush.campaign.clone()).or_default().extend(of_all);
    let mut all = Vec::new();
    for (campaign, events) in by_campaign {
        let stock = sqlx::query_scalar::<_, i64>("SELECT stock FROM campaigns WHERE id = $1").bind(&campaign);
        // An operator may have hung up before there was anything.
        let Some(stock_at_last) = stock.fetch_optional(&database).await? else { continue };
        let contradictions = "SELECT count(*) FROM contradictions WHERE campaign_id = $1";
        let contradictions: i64 = sqlx::query_scalar(contradictions).bind(&campaign).fetch_one(&database).await?;
        let letters = "SELECT count(*) FROM dead_letters WHERE campaign_id = $1 AND state = 'waiting'";
        let letters: i64 = sqlx::query_scalar(letters).bind(&campaign).fetch_one(&database).await?;
        let last = "SELECT coalesce(max(generation), 0)::bigint FROM stock_history WHERE campaign_id = $1";
        let last: i64 = sqlx::query_scalar(last).bind(&campaign).fetch_one(&database).await?;
        let is_rush = campaign == rush.campaign;
        let (first_stock, limit) = first_terms(&events).unwrap_or((plan.stock, plan.limit));
        all.push(Evidence {
            limit: if is_rush { plan.limit } else { limit },
            stock: if is_rush { plan.stock } else { first_stock },
            room: plan
                .room
                .as_ref()
                .filter(|_| campaign == ROOM)
                .map(|room| (room.admit, room.every_ms, room.active_max)),
            rows: rows_of(&database, &campaign).await?,
            stock_at_last: stock_at_last.unsigned_abs(),
            set_aside: contradictions + if notes.has_garbage { 0 } else { letters },
            generations: Generations {
                last: last.unsigned_abs(),
                finished: finished(installation, &campaign),
                killed: if is_rush { notes.killed_rebuilds.into() } else { 0 },
            },
            losses: notes.losses.iter().map(|lost| loss(lost, &records, &campaign)).collect(),
            disturbed: notes.disturbed.clone(),
            events,
            campaign,
        });
    }
    database.close().await;
    Ok(all)
}

/// Stock and limit of the first POST.
fn first_terms(events: &[Event]) -> Option<(u64, usize)> {
    events.iter().find_map(|event| match &event.asked {
        Asked::Edit(Edit::Create { stock, limit, .. }) => Some((*stock, *limit)),
        _ => None,
    })
}

/// Rebuilds of this campaign that said so.
fn finished(installation: &Installation, campaign: &str) -> u64 {
    let said = std::fs::read_to_string(installation.folder.join("onrush.log")).unwrap_or_default();
    said.lines().filter(|line| line.starts_with(&format!("rebuild {campaign}: done"))).count() as u64
}

/// A record of the topic of facts, as far as it matters here.
struct Recorded {
    partition: i32,
    offset: i64,
    fact: Fact,
}

#[derive(Deserialize)]
struct Fact {
    campaign: String,
    kind: String,
    claim: Option<FactClaim>,
}

#[derive(Deserialize)]
struct FactClaim {
    number: u64,
    generation: u64,
    user: String,
}

async fn facts(installation: &Installation) -> anyhow::Result<Vec<Recorded>> {
    let all = installation.stores.kafka.all(&installation.topic()).await?;
    let read = |(partition, offset, value): (i32, i64, Vec<u8>)| {
        Some(Recorded { partition, offset, fact: serde_json::from_slice(&value).ok()? })
    };
    Ok(all.into_iter().filter_map(read).collect())
}

fn loss(noted: &Lost, records: &[Recorded], campaign: &str) -> Loss {
    let mut loss = Loss { at: noted.at, back_at: noted.back_at, rebuilt_at: noted.rebuilt_at, ..Loss::default() };
    let was_there = |record: &&Recorded| record.offset < noted.acked.get(&record.partition).copied().unwrap_or(0);
    for Recorded { fact, .. } in records.iter().filter(was_there).filter(|record| record.fact.campaign == campaign) {
        let Some(claim) = &fact.claim else { continue };
        let id = (claim.generation, claim.number);
        if fact.kind == "claimed" {
            // The first one is the one that was there first.
            loss.claimed.entry(id).or_insert_with(|| claim.user.clone());
        } else {
            loss.ended.insert(id);
        }
    }
    loss
}

/// What is there at the end, once nodes have had the time to hear of it.
pub async fn end(installation: &Installation, rush: &Rush, plan: &Plan, notes: &Notes) -> anyhow::Result<End> {
    let database = installation.stores.postgres.connect(&installation.name)?;
    let mut end = End { lost: !notes.losses.is_empty(), ..End::default() };
    let deadline = rush.history.now() + KNOWN_WITHIN;
    loop {
        end.definitions = definitions(&database).await?;
        end.views = views(rush, end.definitions.keys()).await;
        let is_known = |id: &String, view: &View| {
            view.status == 200 && view.state != "unavailable" && end.definitions[id].unknown_to(view).is_none()
        };
        let all_known = end.views.iter().all(|(id, views)| views.iter().all(|view| is_known(id, view)));
        if all_known || rush.history.now() > deadline {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    let busiest: i64 = sqlx::query_scalar(BUSIEST_SECOND).fetch_one(&database).await?;
    (end.busiest_second, end.rows_per_second_max) = (busiest.unsigned_abs(), plan.rows_per_second_max);
    database.close().await;
    Ok(end)
}

async fn definitions(database: &PgPool) -> anyhow::Result<BTreeMap<String, Definition>> {
    let found = sqlx::query("SELECT id, name, stock, paused, closed FROM campaigns").fetch_all(database).await?;
    let definition = |row: &sqlx::postgres::PgRow| Definition {
        name: row.get(1),
        stock: row.get::<i64, _>(2).unsigned_abs(),
        paused: row.get(3),
        closed: row.get(4),
    };
    Ok(found.iter().map(|row| (row.get::<String, _>(0), definition(row))).collect())
}

async fn views(rush: &Rush, campaigns: impl Iterator<Item = &String>) -> BTreeMap<String, Vec<View>> {
    let mut views: BTreeMap<String, Vec<View>> = BTreeMap::new();
    for id in campaigns {
        for (node, client) in rush.clients.iter().enumerate() {
            let answer = client.send(&operators(Asked::View).http(id)).await;
            let view = answer.map_or_else(View::default, |answer| View {
                node,
                status: answer.status,
                name: answer.text("name").to_owned(),
                stock: answer.body["stock"].as_u64().unwrap_or(0),
                state: answer.text("state").to_owned(),
            });
            views.entry(id.clone()).or_default().push(View { node, ..view });
        }
    }
    views
}
