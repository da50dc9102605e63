//! Routes of operators: the audit, the throttle, the alarms.

use std::ops::RangeInclusive;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::alarm::{self, RuleView};
use crate::config::{self, Thresholds};
use crate::http::auth::caller::Operator;
use crate::http::contract::input::{self, Input, Nullable};
use crate::http::contract::problem::Problem;
use crate::http::contract::response::private;
use crate::http::contract::schemas::{self, Body, body};
use crate::http::state::App;
use crate::ledger::{self, Audit, ROWS_PER_SECOND};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(audit))
        .routes(routes!(read_throttle, set_throttle))
        .routes(routes!(alarms, set_alarms))
}

/// How fast facts reach the database at most.
#[derive(Serialize, ToSchema)]
struct Throttle {
    /// Facts that the database receives in any second, all workers together.
    #[schema(example = 5000, minimum = 1, maximum = 10_000_000)]
    rows_per_second_max: u64,
}

body! {
    /// What of it is to change.
    ThrottleChange = Body::new().takes("rows_per_second_max", schemas::whole(ROWS_PER_SECOND)).build()
}

/// How the alarm rules stand.
#[derive(Serialize, ToSchema)]
struct Alarms {
    rules: Vec<RuleView>,
    /// How long a rule must have been below a threshold before its state goes down, in ms.
    window_ms: u64,
    /// How long it must have been CRITICAL or UNKNOWN before it is told of, in ms.
    pending_ms: u64,
}

impl Alarms {
    async fn read(app: &App) -> Self {
        // As it was read last where the database is away.
        let settings = app.alarm.read_again(&app.database).await.unwrap_or_else(|_| app.alarm.now());
        let rules = alarm::read_board(&app.redis, &settings).await;
        Self { rules, window_ms: settings.window_ms, pending_ms: settings.pending_ms }
    }
}

body! {
    /// What an operator changes of the rules; what is absent stays.
    AlarmChange = {
        let thresholds = || Body::new().needs("caution", schemas::whole(THRESHOLD)).needs("critical", schemas::whole(THRESHOLD));
        let rules = config::Alarm::RULES.iter().fold(Body::new(), |rules, rule| rules.takes(rule, thresholds().build()));
        let rules = schemas::about(rules.build(), "From which value on a rule is CAUTION, and from which CRITICAL, which is no less.");
        Body::new()
            .takes("rules", rules)
            .takes("window_ms", schemas::whole(WINDOW_MS))
            .takes("pending_ms", schemas::whole(PENDING_MS))
            .build()
    }
}

const WINDOW_MS: RangeInclusive<u64> = 50..=86_400_000;
const PENDING_MS: RangeInclusive<u64> = 0..=3_600_000;
/// What a number in JSON holds exactly.
const THRESHOLD: RangeInclusive<u64> = 1..=1 << 53;

/// What Redis, Kafka and the database say of a campaign, and whether it agrees.
#[utoipa::path(get, path = "/v1/ops/audit/{campaign}", tag = "operations", security(("operator" = [])),
    params(("campaign" = String, Path)),
    responses((status = 200, body = Audit)))]
async fn audit(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let id = input.path("campaign")?;
    let audit = app.auditor.audit(&id).await?.ok_or_else(|| Problem::not_found("campaign"))?;
    Ok(private(audit))
}

/// How fast facts reach the database at most.
#[utoipa::path(get, path = "/v1/ops/throttle", tag = "operations", security(("operator" = [])),
    responses((status = 200, body = Throttle)))]
async fn read_throttle(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let rows_per_second_max = ledger::read_rows_per_second_max(&app.database, app.rows_per_second_max).await?;
    Ok(private(Throttle { rows_per_second_max }))
}

/// Change it, on every worker, within a second.
#[utoipa::path(patch, path = "/v1/ops/throttle", tag = "operations", security(("operator" = [])),
    request_body = ThrottleChange,
    responses((status = 200, body = Throttle)))]
async fn set_throttle(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let mut members = input.members().await?;
    let rows = members.take("rows_per_second_max", input::whole(ROWS_PER_SECOND));
    members.finish()?;
    if let Some(rows) = rows {
        ledger::set_rows_per_second_max(&app.database, rows).await?;
    }
    let rows_per_second_max = ledger::read_rows_per_second_max(&app.database, app.rows_per_second_max).await?;
    Ok(private(Throttle { rows_per_second_max }))
}

/// How the alarm rules stand: HEALTHY, CAUTION, CRITICAL, or UNKNOWN where that cannot be computed.
#[utoipa::path(get, path = "/v1/ops/alarms", tag = "operations", security(("operator" = [])),
    responses((status = 200, body = Alarms)))]
async fn alarms(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    Ok(private(Alarms::read(&app).await))
}

/// Change thresholds and times of the alarm rules, on every node, with its next look.
#[utoipa::path(patch, path = "/v1/ops/alarms", tag = "operations", security(("operator" = [])),
    request_body = AlarmChange,
    responses((status = 200, body = Alarms)))]
async fn set_alarms(State(app): State<App>, _: Operator, input: Input) -> Result<Response, Problem> {
    input.allow_query(&[])?;
    let mut members = input.members().await?;
    let mut change = alarm::Change {
        window_ms: members.take("window_ms", input::whole(WINDOW_MS)),
        pending_ms: members.take("pending_ms", input::whole(PENDING_MS)),
        thresholds: Vec::new(),
    };
    let said = members.take_object("rules");
    if matches!(said, Some(Nullable::Null)) {
        members.note("rules", "must be an object".into());
    }
    if let Some(Nullable::Value(mut rules)) = said {
        for rule in config::Alarm::RULES {
            let mut thresholds = match rules.take_object(rule) {
                Some(Nullable::Value(thresholds)) => thresholds,
                Some(Nullable::Null) => {
                    rules.note(rule, "must be an object".into());
                    continue;
                }
                None => continue,
            };
            let caution = thresholds.require("caution", input::whole(THRESHOLD));
            let critical = thresholds.require("critical", input::whole(THRESHOLD));
            if caution > critical {
                thresholds.note("caution", "must be at most critical".into());
            }
            let is_right = rules.note_all_of(rule, thresholds);
            if let (true, Some(caution), Some(critical)) = (is_right, caution, critical) {
                change.thresholds.push((rule, Thresholds { caution, critical }));
            }
        }
        members.note_all_of("rules", rules);
    }
    members.finish()?;
    alarm::change(&app.database, &change).await.map_err(|cause| Problem::away("the database", &cause))?;
    if let Err(cause) = app.alarm.read_again(&app.database).await {
        return Err(Problem::away("the database", &cause));
    }
    Ok(private(Alarms::read(&app).await))
}
