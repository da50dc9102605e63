//! What is measured? One module each.

pub(crate) mod crowd;
pub(crate) mod ratios;
pub(crate) mod streams;
pub(crate) mod weight;

use bench::sections::Promise;
use clap::ValueEnum;
use report::data::Run;

use crate::stage::Stage;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Section {
    /// Status and joins, against bare.
    Ratios,
    /// Redis' memory, by the length of users' ids.
    Weight,
    /// Event streams.
    Streams,
    /// The million.
    Crowd,
}

impl Section {
    /// What it is to find out.
    pub(crate) fn promises(self) -> &'static [Promise] {
        match self {
            Self::Ratios => ratios::PROMISES,
            Self::Weight => weight::PROMISES,
            Self::Streams => streams::PROMISES,
            Self::Crowd => crowd::PROMISES,
        }
    }

    /// Measures. Whether everything was true comes with it.
    pub(crate) async fn run(self, stage: &Stage) -> anyhow::Result<(Run, bool)> {
        match self {
            Self::Ratios => ratios::run(stage).await.map(|run| (run, true)),
            Self::Weight => weight::run(stage).await.map(|run| (run, true)),
            Self::Streams => streams::run(stage).await,
            Self::Crowd => crowd::run(stage).await,
        }
    }
}
