//! What is measured? One module each; any of them can be run alone.

pub mod feed;
pub mod granted;
pub mod memory;
pub mod open_model;
pub mod overload;
pub mod promise;
pub mod scenarios;
pub mod sold_out;
pub mod strategies;
pub mod visible;
pub mod window;
pub mod wrong_refusals;

use std::time::Duration;

use report::data::Run;

use crate::bench::Bench;
use crate::plan::Plan;
pub use promise::Promise;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Claims that are granted, against bare.
    Granted,
    /// Refusals, against bare.
    SoldOut,
    /// Whether any refusal is wrong.
    WrongRefusals,
    /// Half of the highest throughput, as arrivals.
    OpenModel,
    /// From an answer to its row.
    Visible,
    /// Ten times what can be served.
    Overload,
    /// Five minutes of rush.
    Memory,
    /// Other ways to sell; Redis alone; the ledger's statement.
    Strategies,
    /// Posts from each tier, against bare.
    FeedReads,
    /// What compression saves.
    FeedCompression,
    /// Claims beside a flood of posts.
    FeedFlood,
    /// Searches.
    FeedSearch,
    /// k6 and goose.
    Scenarios,
}

impl Section {
    /// In the order in which they run.
    pub const ALL: [Self; 13] = [
        Self::Granted,
        Self::SoldOut,
        Self::WrongRefusals,
        Self::OpenModel,
        Self::Visible,
        Self::Overload,
        Self::Memory,
        Self::Strategies,
        Self::FeedReads,
        Self::FeedCompression,
        Self::FeedFlood,
        Self::FeedSearch,
        Self::Scenarios,
    ];

    /// As `--only` names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::SoldOut => "sold_out",
            Self::WrongRefusals => "wrong_refusals",
            Self::OpenModel => "open_model",
            Self::Visible => "visible",
            Self::Overload => "overload",
            Self::Memory => "memory",
            Self::Strategies => "strategies",
            Self::FeedReads => "feed_reads",
            Self::FeedCompression => "feed_compression",
            Self::FeedFlood => "feed_flood",
            Self::FeedSearch => "feed_search",
            Self::Scenarios => "scenarios",
        }
    }

    /// What it is to find out.
    #[must_use]
    pub fn promises(self) -> &'static [Promise] {
        match self {
            Self::Granted => granted::PROMISES,
            Self::SoldOut => sold_out::PROMISES,
            Self::WrongRefusals => wrong_refusals::PROMISES,
            Self::OpenModel => open_model::PROMISES,
            Self::Visible => visible::PROMISES,
            Self::Overload => overload::PROMISES,
            Self::Memory => memory::PROMISES,
            Self::Strategies => strategies::PROMISES,
            Self::FeedReads => feed::reads::PROMISES,
            Self::FeedFlood => feed::flood::PROMISES,
            Self::FeedCompression | Self::FeedSearch | Self::Scenarios => &[],
        }
    }

    /// About how long it takes.
    #[must_use]
    pub fn length(self, plan: &Plan) -> Duration {
        let seconds = Duration::from_secs;
        let pairs = plan.pair() * u32::try_from(plan.pairs).unwrap_or(u32::MAX);
        match self {
            // The pipeline's backlog is waited for after each of its windows.
            Self::Granted => pairs * 2 + seconds(4) + plan.window * u32::try_from(plan.pairs).unwrap_or(u32::MAX),
            Self::SoldOut => pairs + seconds(2),
            Self::WrongRefusals => plan.wrong_refusals * 2 + seconds(6),
            Self::OpenModel => plan.open + plan.window * 2 + seconds(4),
            Self::Visible => plan.visible + seconds(8),
            Self::Overload => plan.peak + plan.overload + seconds(5),
            Self::Memory => plan.memory + seconds(5),
            Self::Strategies => strategies::length(plan),
            Self::FeedReads => feed::reads::length(plan),
            Self::FeedCompression => feed::compression::length(plan),
            Self::FeedFlood => feed::flood::length(plan),
            Self::FeedSearch => feed::search::length(plan),
            Self::Scenarios => scenarios::length(plan),
        }
    }

    /// Measures.
    pub async fn run(self, bench: &Bench) -> anyhow::Result<Run> {
        match self {
            Self::Granted => granted::run(bench).await,
            Self::SoldOut => sold_out::run(bench).await,
            Self::WrongRefusals => wrong_refusals::run(bench).await,
            Self::OpenModel => open_model::run(bench).await,
            Self::Visible => visible::run(bench).await,
            Self::Overload => overload::run(bench).await,
            Self::Memory => memory::run(bench).await,
            Self::Strategies => strategies::run(bench).await,
            Self::FeedReads => feed::reads::run(bench).await,
            Self::FeedCompression => feed::compression::run(bench).await,
            Self::FeedFlood => feed::flood::run(bench).await,
            Self::FeedSearch => feed::search::run(bench).await,
            Self::Scenarios => scenarios::run(bench).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_fits_into_its_time() {
        let length = |plan: &Plan| Section::ALL.iter().map(|section| section.length(plan)).sum::<Duration>();
        assert!(length(&Plan::FULL) <= Duration::from_mins(32), "{:?}", length(&Plan::FULL));
        assert!(length(&Plan::QUICK) <= Duration::from_secs(130), "{:?}", length(&Plan::QUICK));
    }

    #[test]
    fn every_promise_is_a_line_of_its_own() {
        let mut names: Vec<_> =
            Section::ALL.iter().flat_map(|section| section.promises()).map(|promise| promise.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
