//! What each metric counts, and in which unit. `/metrics` says it before the values.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// How it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Values by size.
    Histogram,
}

use Kind::{Counter, Gauge, Histogram};
use Unit::{Bytes, Count, Seconds};

/// All of them, by name.
const METRICS: &[(&str, Kind, Unit, &str)] = &[
    ("onrush_alarm_messages_total", Counter, Count, "Messages to the chat, by outcome."),
    ("onrush_alarm_state", Gauge, Count, "How each alarm rule stands: 0 HEALTHY, 1 CAUTION, 2 CRITICAL, 3 UNKNOWN."),
    ("onrush_audit_facts_repaired_total", Counter, Count, "Facts that an audit has published again."),
    ("onrush_audit_failures_total", Counter, Count, "Campaigns that could not be audited."),
    ("onrush_audit_rows_repaired_total", Counter, Count, "Rows that an audit has made again from the history."),
    ("onrush_audits_total", Counter, Count, "Campaigns audited, by verdict."),
    (
        "onrush_cache_away_total",
        Counter,
        Count,
        "Times that a part of Redis was left alone as it did not answer the cache.",
    ),
    ("onrush_cache_bulkhead_in_use", Gauge, Count, "Calls of the cache to Redis under way."),
    ("onrush_cache_bytes", Gauge, Bytes, "Bytes that the cache holds, by tier."),
    ("onrush_cache_entries", Gauge, Count, "Entries that the cache holds, by tier."),
    ("onrush_cache_evictions_total", Counter, Count, "Entries put out of the cache for room, by tier."),
    (
        "onrush_cache_fills_refused_total",
        Counter,
        Count,
        "Values not kept as what they were read from had changed meanwhile.",
    ),
    ("onrush_cache_gaps_total", Counter, Count, "Times that messages between caches may have been missed."),
    ("onrush_cache_hits_total", Counter, Count, "Reads answered by the cache, by tier."),
    (
        "onrush_cache_invalidations_forgotten_total",
        Counter,
        Count,
        "Invalidations that Redis did not take; the entries expire.",
    ),
    ("onrush_cache_load_failures_total", Counter, Count, "Loads that failed."),
    ("onrush_cache_load_seconds", Histogram, Seconds, "How long loads took."),
    ("onrush_cache_loads_in_flight", Gauge, Count, "Loads under way."),
    ("onrush_cache_loads_total", Counter, Count, "Values loaded from behind the cache."),
    ("onrush_cache_misses_total", Counter, Count, "Reads that the cache could not answer, by tier."),
    ("onrush_cache_no_memory_total", Counter, Count, "Values that Redis had no memory for."),
    ("onrush_cache_refused_total", Counter, Count, "Reads refused as too many loads were under way."),
    ("onrush_cache_shards_away", Gauge, Count, "Shards of the cache in Redis that are away and are not asked."),
    ("onrush_cache_stale_total", Counter, Count, "Reads answered with what may be old."),
    ("onrush_cache_too_large_total", Counter, Count, "Values too large to be kept."),
    (
        "onrush_campaign_lost_total",
        Counter,
        Count,
        "Campaigns found lost in Redis, each time that a node has found one.",
    ),
    (
        "onrush_campaign_put_failures_total",
        Counter,
        Count,
        "Campaigns that did not get into Redis; they are put again.",
    ),
    ("onrush_campaign_reread_failures_total", Counter, Count, "Times that changes of campaigns could not be read."),
    ("onrush_campaign_unreadable_total", Counter, Count, "Definitions of campaigns that this version cannot read."),
    ("onrush_claim_abandoned_total", Counter, Count, "Claims whose client was gone before their turn."),
    ("onrush_claim_batch_requests", Histogram, Count, "Claims that one call of a script decided."),
    ("onrush_claim_call_failures_total", Counter, Count, "Calls of the claims' script that failed."),
    ("onrush_claim_call_seconds", Histogram, Seconds, "How long calls of the claims' script took."),
    (
        "onrush_claim_durability_not_reached_total",
        Counter,
        Count,
        "Claims answered with less durability than was asked for.",
    ),
    ("onrush_claim_refused_from_memory_total", Counter, Count, "Claims refused by what the node knew, by code."),
    ("onrush_feed_bulk_rows_total", Counter, Count, "Rows that posts were written as, by lane."),
    ("onrush_feed_bulk_wait_seconds", Histogram, Seconds, "How long lanes waited for their turn to write rows."),
    ("onrush_feed_chat_seconds", Histogram, Seconds, "How long the inspector's chat took."),
    ("onrush_feed_dead_letters_total", Counter, Count, "Messages about posts given up, by lane."),
    ("onrush_feed_failures_total", Counter, Count, "Messages about posts that a lane failed on, by lane and reason."),
    ("onrush_feed_handle_seconds", Histogram, Seconds, "How long a lane took for a message, by lane."),
    ("onrush_feed_handled_total", Counter, Count, "Messages about posts dealt with, by lane."),
    ("onrush_feed_held_back", Gauge, Count, "Messages that wait behind one of the same post, by lane."),
    ("onrush_feed_in_flight", Gauge, Count, "Messages in work, by lane."),
    ("onrush_feed_inspections_total", Counter, Count, "Inspections, by verdict."),
    ("onrush_feed_invalidations_failed_total", Counter, Count, "Changes of posts that the cache could not be told of."),
    ("onrush_feed_lag_records", Gauge, Count, "Records in Kafka that a lane has not dealt with, by lane."),
    ("onrush_feed_letters_kept_total", Counter, Count, "Messages about posts kept as dead letters."),
    ("onrush_feed_names_missing_total", Counter, Count, "Authors whose name was not known in time."),
    ("onrush_feed_outbox_failed", Gauge, Count, "Messages about posts set aside."),
    ("onrush_feed_outbox_oldest_seconds", Gauge, Seconds, "How long the oldest message about a post has waited."),
    ("onrush_feed_outbox_set_aside_total", Counter, Count, "Messages about posts that Kafka refused for themselves."),
    ("onrush_feed_outbox_waiting", Gauge, Count, "Messages about posts that wait for Kafka."),
    ("onrush_feed_poll_failures_total", Counter, Count, "Failed polls of Kafka, by lane."),
    ("onrush_feed_reconcile_failures_total", Counter, Count, "Rounds of the posts' reconciler that failed."),
    ("onrush_feed_reconcile_round_seconds", Gauge, Seconds, "How long the last round over all posts took."),
    (
        "onrush_feed_reconcile_waits_seconds",
        Gauge,
        Seconds,
        "How long the posts' reconciler has waited for what may be on its way.",
    ),
    ("onrush_feed_reconciled_posts_total", Counter, Count, "Posts that the reconciler has looked at."),
    ("onrush_feed_reconciled_total", Counter, Count, "Posts put right, by what was wrong."),
    ("onrush_feed_relay_failures_total", Counter, Count, "Rounds of the posts' relay that failed."),
    ("onrush_feed_relayed_total", Counter, Count, "Messages about posts relayed to Kafka."),
    ("onrush_feed_retries_total", Counter, Count, "Messages about posts tried again, by lane."),
    ("onrush_feed_short_pages_total", Counter, Count, "Pages of feeds that came out shorter than asked for."),
    ("onrush_feed_unmended", Gauge, Count, "Posts that are not where they belong and could not be put right."),
    ("onrush_feed_verdicts_total", Counter, Count, "Verdicts written to posts, by verdict."),
    ("onrush_feed_view_parts_failed_total", Counter, Count, "Parts of the front page left out, by part."),
    ("onrush_http_accept_failures_total", Counter, Count, "Connections that could not be accepted."),
    ("onrush_http_connections", Gauge, Count, "Open connections."),
    ("onrush_http_given_up_total", Counter, Count, "Connections ended as too many of their requests were given up."),
    ("onrush_http_problems_total", Counter, Count, "Errors answered, by code."),
    ("onrush_http_request_seconds", Histogram, Seconds, "How long requests took, by route and method."),
    ("onrush_http_requests_total", Counter, Count, "Requests answered, by route, method and status."),
    ("onrush_http_stalled_total", Counter, Count, "Connections closed as their other end took nothing."),
    ("onrush_jwks_failures_total", Counter, Count, "Times that the keys of users' tokens could not be read."),
    ("onrush_jwks_keys_left_out", Gauge, Count, "Keys of the set that cannot be used."),
    ("onrush_ledger_batch_seconds", Histogram, Seconds, "How long a batch of facts took to become rows."),
    ("onrush_ledger_campaigns_halted_total", Counter, Count, "Campaigns halted as their facts contradict each other."),
    ("onrush_ledger_contradictions_total", Counter, Count, "Facts that contradict one that is a row."),
    ("onrush_ledger_dead_letters_discarded_total", Counter, Count, "Dead letters that operators have discarded."),
    ("onrush_ledger_dead_letters_retried_total", Counter, Count, "Facts sent back from the topic of dead letters."),
    ("onrush_ledger_dead_letters_total", Counter, Count, "Facts that went to the topic of dead letters."),
    ("onrush_ledger_dead_letters_waiting", Gauge, Count, "Dead letters that wait for an operator."),
    ("onrush_ledger_doubles_total", Counter, Count, "Facts that were rows already."),
    ("onrush_ledger_facts_written_total", Counter, Count, "Facts written to the database."),
    ("onrush_ledger_failures_total", Counter, Count, "Batches that could not be written; they come again."),
    ("onrush_ledger_lag_records", Gauge, Count, "Records in Kafka that are not in the database."),
    ("onrush_ledger_poll_failures_total", Counter, Count, "Failed polls of Kafka by the ledger."),
    ("onrush_loop_restarts_total", Counter, Count, "Times that a loop ended before its time, by loop."),
    ("onrush_loop_running", Gauge, Count, "Whether a loop runs: 1, or 0 while it does not, by loop."),
    ("onrush_redis_lost_at_verification_total", Counter, Count, "Campaigns found lost when a server was verified."),
    (
        "onrush_redis_pinned_exhausted_total",
        Counter,
        Count,
        "Times that no connection was left for a campaign of its own.",
    ),
    ("onrush_redis_unverified_s", Gauge, Seconds, "How long a server has been refused that could not be verified."),
    ("onrush_redis_verified_total", Counter, Count, "Servers that were verified or adopted."),
    ("onrush_redis_verify_failures_total", Counter, Count, "Times that a server could not be verified."),
    ("onrush_relay_facts_published_total", Counter, Count, "Facts relayed from outboxes to Kafka."),
    ("onrush_relay_failures_total", Counter, Count, "Rounds of relaying that failed; they begin again."),
    ("onrush_relay_lease_takeovers_total", Counter, Count, "Outboxes taken over from another relay."),
    ("onrush_relay_outbox_facts", Gauge, Count, "Facts in all outboxes."),
    (
        "onrush_relay_unreadable_total",
        Counter,
        Count,
        "Parts of outbox entries that could not be read, set aside as dead letters.",
    ),
    ("onrush_search_failures_total", Counter, Count, "Searches that failed."),
    ("onrush_search_refused_total", Counter, Count, "Searches refused as too many were under way."),
    ("onrush_search_seconds", Histogram, Seconds, "How long searches took."),
    ("onrush_store_failures_total", Counter, Count, "Requests that failed because a store did, by store."),
    ("onrush_store_works", Gauge, Count, "Whether a store works: 1, or 0 while it does not, by store."),
    (
        "onrush_upstream_ask_seconds",
        Histogram,
        Seconds,
        "How long a question to another team's API took, with retries.",
    ),
    (
        "onrush_upstream_breaker_changes_total",
        Counter,
        Count,
        "Changes of the breaker of another team's API, by state.",
    ),
    (
        "onrush_upstream_breaker_state",
        Gauge,
        Count,
        "The breaker of another team's API: 0 closed, 1 half open, 2 open.",
    ),
    ("onrush_upstream_budget_refusals_total", Counter, Count, "Retries not made as the budget was spent."),
    ("onrush_upstream_call_seconds", Histogram, Seconds, "How long one call of another team's API took."),
    ("onrush_upstream_calls_total", Counter, Count, "Calls of other teams' APIs, by outcome."),
    ("onrush_upstream_refusals_total", Counter, Count, "Questions refused by the breaker or for too many in flight."),
    ("onrush_upstream_retries_total", Counter, Count, "Calls of other teams' APIs that were repeated."),
    ("onrush_waiting_admitted_total", Counter, Count, "Visitors admitted."),
    ("onrush_waiting_admitted_users", Gauge, Count, "Visitors admitted, by room."),
    ("onrush_waiting_controller_failures_total", Counter, Count, "Rounds of a waiting room's controller that failed."),
    ("onrush_waiting_inside_users", Gauge, Count, "Visitors inside, by room."),
    ("onrush_waiting_join_abandoned_total", Counter, Count, "Joins whose client was gone before their turn."),
    ("onrush_waiting_join_batch_requests", Histogram, Count, "Joins that one call of a script decided."),
    ("onrush_waiting_join_call_failures_total", Counter, Count, "Calls of the joins' script that failed."),
    ("onrush_waiting_join_call_seconds", Histogram, Seconds, "How long calls of the joins' script took."),
    ("onrush_waiting_left_queue_users", Gauge, Count, "Visitors who left while they waited, by room."),
    ("onrush_waiting_no_shows_users", Gauge, Count, "Visitors admitted who did not come, by room."),
    ("onrush_waiting_passes_expired_total", Counter, Count, "Passes that expired."),
    ("onrush_waiting_passes_refused_total", Counter, Count, "Passes refused, by reason."),
    ("onrush_waiting_stopped", Gauge, Count, "Whether an operator has stopped admission: 1 or 0, by room."),
    ("onrush_waiting_streams", Gauge, Count, "Open event streams."),
    ("onrush_waiting_users", Gauge, Count, "Visitors who wait, by room."),
    (
        "onrush_waiting_wait_s",
        Gauge,
        Seconds,
        "How long visitors have waited: the median and the 95th percentile, by room.",
    ),
];

/// Tells the collection of all of them.
pub(super) fn describe() {
    for (name, kind, unit, text) in METRICS {
        match kind {
            Counter => describe_counter!(*name, *unit, *text),
            Gauge => describe_gauge!(*name, *unit, *text),
            Histogram => describe_histogram!(*name, *unit, *text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::path::Path;

    use super::*;

    /// Names in quotes that begin as a metric's does.
    fn named_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                named_in(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") && !path.ends_with("telemetry/metrics.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split("\"onrush_").skip(1).filter_map(|rest| rest.split_once('"'));
                found.extend(names.map(|(name, _)| format!("onrush_{name}")));
            }
        }
    }

    /// `docs/metrics.md`, as it has to be.
    fn page() -> String {
        let mut page = String::from(
            "# Metrics\n\nWhat `GET /metrics` answers, in the text format of Prometheus. `src/telemetry/metrics.rs` is the source \
             of this page and of the `# HELP` lines;\n`make docs` writes the page anew.\n\n\
             | metric | type | unit | meaning |\n|---|---|---|---|\n",
        );
        for (name, kind, unit, text) in METRICS {
            let kind = format!("{kind:?}").to_lowercase();
            let unit = if *unit == Count { "" } else { unit.as_str() };
            writeln!(page, "| `{name}` | {kind} | {unit} | {text} |").unwrap();
        }
        page
    }

    #[test]
    fn the_page_of_metrics_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        #[expect(clippy::disallowed_methods, reason = "no setting of the product: whether to write the page")]
        let writes = std::env::var_os("ONRUSH_WRITE_DOCS").is_some();
        if writes {
            std::fs::write(&path, page()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == page(), "docs/metrics.md is not what src/telemetry/metrics.rs says: run `make docs`");
    }

    #[test]
    fn every_metric_is_described_and_every_description_is_of_one() {
        let mut used = BTreeSet::new();
        named_in(Path::new("src"), &mut used);
        // Cookies of the visitors' page.
        let cookies = ["onrush_visitor", "onrush_lang", "onrush_place"].map(String::from);
        used.retain(|name| !cookies.contains(name));
        let described: BTreeSet<String> = METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(described.difference(&used).collect::<Vec<_>>(), [""; 0], "described, and nowhere counted");
        assert_eq!(used.difference(&described).collect::<Vec<_>>(), [""; 0], "counted, and not described");
        assert!(METRICS.is_sorted_by_key(|(name, ..)| name), "by name");
    }
}
