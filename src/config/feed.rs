//! The settings of what there is to read, and their limits: posts, their inspection, search, and who knows authors.

use serde::Deserialize;

use super::Limits;

section!(
    /// The user-info API of another team.
    Upstream {
        user_info_url: String, timeout_ms: u64, retries_max: u32, retry_budget_percent: u64, breaker_window: u32,
        breaker_percent: u32, breaker_open_ms: u64, breaker_probes: u32, calls_max: usize, user_ttl_ms: u64,
        user_stale_ms: u64, answer_bytes_max: usize,
    }
);
section!(
    /// Who inspects posts.
    Inspector {
        kind: InspectorKind, forbidden: Vec<String>, categories: Vec<CategoryRule>, default_category: String,
        tags_max: usize, chat_url: String, chat_key: String, chat_model: String, chat_timeout_ms: u64,
        chat_answer_bytes_max: usize,
    }
);
section!(
    /// What gives a post a category.
    CategoryRule { category: String, words: Vec<String> }
);
section!(
    /// Posts, from the author to the subscribers.
    Feed {
        original_topic: String, inspected_topic: String, group: String, partitions: i32, lanes: Vec<FeedLane>,
        relay_every_ms: u64, relay_batch_max: u32, relay_per_second_max: u32, relay_retry_ms: u64,
        outbox_keep_ms: u64, in_flight_max: usize, buffer_max: usize, retry_ms: u64, retries_max: u32, dead_retries_max: u32, bulk_per_second_max: u64, inbox_batch_max: u32,
        newest_max: usize, write_subscribers_max: u64, read_authors_max: usize, subscriptions_max: u64,
        connections_max: u32, view_part_ms_max: u64, reconcile_every_ms: u64, reconcile_max: u32, reconcile_grace_ms: u64,
    }
);
section!(
    /// Looking for posts.
    Search {
        candidates_max: u32, looked_at_max: u32, words_max: usize, snippet_characters: usize, in_flight_max: usize, wait_ms_max: u64,
    }
);

/// Which inspector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InspectorKind {
    /// Lists of words.
    Rules,
    /// A language model.
    Chat,
}

/// A part of a post's way that a node may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedLane {
    /// From the database to Kafka.
    Relay,
    /// Into the cache.
    Fill,
    /// To the inspector.
    Inspect,
    /// To the subscribers.
    Deliver,
    /// Into the search index.
    Index,
}

impl FeedLane {
    /// The whole way.
    pub const ALL: [Self; 5] = [Self::Relay, Self::Fill, Self::Inspect, Self::Deliver, Self::Index];
}

impl Upstream {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("upstream.timeout_ms", self.timeout_ms, 10..=60_000);
        is.within("upstream.retries_max", self.retries_max, 0..=5);
        is.within("upstream.retry_budget_percent", self.retry_budget_percent, 0..=100);
        is.within("upstream.breaker_window", self.breaker_window, 10..=10_000);
        is.within("upstream.breaker_percent", self.breaker_percent, 1..=100);
        is.within("upstream.breaker_open_ms", self.breaker_open_ms, 100..=600_000);
        is.within("upstream.breaker_probes", self.breaker_probes, 1..=100);
        is.within("upstream.calls_max", self.calls_max, 1..=10_000);
        is.within("upstream.user_ttl_ms", self.user_ttl_ms, 100..=86_400_000);
        is.within("upstream.user_stale_ms", self.user_stale_ms, 0..=604_800_000);
        is.within("upstream.answer_bytes_max", self.answer_bytes_max, 256..=16 << 20);
    }
}

impl Inspector {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("inspector.tags_max", self.tags_max, 0..=50);
        is.within("inspector.chat_timeout_ms", self.chat_timeout_ms, 100..=600_000);
        is.within("inspector.chat_answer_bytes_max", self.chat_answer_bytes_max, 256..=16 << 20);
        is.unless(!self.default_category.is_empty(), "inspector.default_category must not be empty");
        is.unless(
            self.kind != InspectorKind::Chat || (!self.chat_url.is_empty() && !self.chat_model.is_empty()),
            "inspector.chat_url and inspector.chat_model must be given where inspector.kind is chat",
        );
    }
}

impl Feed {
    /// The topic of a topic's dead letters.
    #[must_use]
    pub fn dead_letters_topic(topic: &str) -> String {
        format!("{topic}.dead")
    }

    pub(super) fn check(&self, is: &mut Limits) {
        is.unless(
            !self.original_topic.is_empty() && self.original_topic != self.inspected_topic,
            "feed.original_topic and feed.inspected_topic must differ, and not be empty",
        );
        is.within("feed.partitions", self.partitions, 1..=1_000);
        is.within("feed.relay_every_ms", self.relay_every_ms, 10..=10_000);
        is.within("feed.relay_batch_max", self.relay_batch_max, 1..=10_000);
        is.within("feed.relay_per_second_max", self.relay_per_second_max, 1..=1_000_000);
        is.within("feed.relay_retry_ms", self.relay_retry_ms, 10..=60_000);
        is.within("feed.outbox_keep_ms", self.outbox_keep_ms, 60_000..=31_536_000_000);
        is.within("feed.in_flight_max", self.in_flight_max, 1..=10_000);
        is.within("feed.buffer_max", self.buffer_max, self.in_flight_max..=1_000_000);
        is.within("feed.retry_ms", self.retry_ms, 10..=600_000);
        is.within("feed.retries_max", self.retries_max, 0..=100);
        is.within("feed.dead_retries_max", self.dead_retries_max, 0..=100);
        is.within("feed.bulk_per_second_max", self.bulk_per_second_max, 1..=10_000_000);
        is.within("feed.inbox_batch_max", self.inbox_batch_max, 1..=100_000);
        is.within("feed.newest_max", self.newest_max, 10..=1_000);
        is.within("feed.write_subscribers_max", self.write_subscribers_max, 1..=100_000_000);
        is.within("feed.read_authors_max", self.read_authors_max, 1..=10_000);
        is.within("feed.subscriptions_max", self.subscriptions_max, 1..=1_000_000);
        is.within("feed.connections_max", self.connections_max, 1..=200);
        is.within("feed.reconcile_every_ms", self.reconcile_every_ms, 10..=86_400_000);
        is.within("feed.reconcile_max", self.reconcile_max, 1..=10_000);
        is.within("feed.reconcile_grace_ms", self.reconcile_grace_ms, 0..=86_400_000);
        is.within("feed.view_part_ms_max", self.view_part_ms_max, 10..=60_000);
    }
}

impl Search {
    pub(super) fn check(&self, is: &mut Limits) {
        is.within("search.candidates_max", self.candidates_max, 100..=100_000);
        is.within("search.looked_at_max", self.looked_at_max, self.candidates_max..=1_000_000);
        is.within("search.words_max", self.words_max, 1..=100);
        is.within("search.snippet_characters", self.snippet_characters, 20..=1_000);
        is.within("search.in_flight_max", self.in_flight_max, 1..=100);
        is.within("search.wait_ms_max", self.wait_ms_max, 0..=10_000);
    }
}
