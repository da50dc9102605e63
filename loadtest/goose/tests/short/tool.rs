//! What both tools have in common: they are told what to do by the same variables, and their exit status is the verdict.

use std::sync::OnceLock;
use std::time::Duration;

use testkit::client::{OPERATOR, SECRET};
use testkit::process::Program;

use crate::node::{Node, node};

/// Visits of a run: `RATE` times `DURATION`.
pub(crate) const VISITS: u64 = 450;
const RATE: &str = "150";
const DURATION: &str = "3s";

/// Units that users rush at in a short form of `limited`.
pub(crate) const LIMITED_STOCK: u64 = 45;

/// No run takes as long, however busy the machine is.
const RUN_MAX: Duration = Duration::from_mins(5);

/// How a run ended.
pub(crate) struct Ended {
    pub(crate) is_well: bool,
    /// What it said.
    pub(crate) said: String,
}

impl Ended {
    /// Insists that all was well, and that it counted this.
    pub(crate) fn well(&self, counted: &[(&str, u64)]) {
        assert!(self.is_well && self.said.contains("all is well"), "{}", self.said);
        for (word, count) in counted {
            let words = [format!(" {word} {count},"), format!(" {word} {count}\n")];
            assert!(words.iter().any(|words| self.said.contains(words)), "not{}: {}", words[0], self.said);
        }
    }

    /// Insists that it failed, and because of this.
    pub(crate) fn badly(&self, because: &str) {
        assert!(!self.is_well && self.said.contains("NOT WELL"), "{}", self.said);
        assert!(self.said.contains(because), "not because of “{because}”: {}", self.said);
    }
}

/// Runs a test on the runtime that the node's client lives on.
pub(crate) fn run(test: impl Future<Output = ()>) {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let start = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    RUNTIME.get_or_init(start).block_on(test);
}

/// Runs a tool to its end, in a short form.
pub(crate) async fn play(name: &str, program: Program, more: &[(&str, String)]) -> Ended {
    let node = node().await;
    let log = node.folder.join(format!("{name}.log"));
    let own = [
        ("BASE_URL", node.url.clone()),
        ("HS256_SECRET", SECRET.into()),
        ("OPERATOR_TOKEN", OPERATOR.into()),
        ("RATE", RATE.into()),
        ("DURATION", DURATION.into()),
        ("AUDIT_WAIT", "2m".into()),
        ("HOME", node.folder.display().to_string()),
    ];
    let all = own.into_iter().chain(more.iter().cloned()).map(|(name, value)| (name.to_owned(), value));
    let status = program.envs(all).folder(&node.folder).run(&log, RUN_MAX).await.unwrap();
    Ended { is_well: status.success(), said: std::fs::read_to_string(&log).unwrap() }
}

/// A campaign of which a run is told a stock; whether that is true is for the test to say.
pub(crate) async fn told(node: &Node, campaign: &str, stock: u64, told: u64) -> Vec<(&'static str, String)> {
    node.campaign(campaign, stock).await;
    vec![("CAMPAIGN", campaign.to_owned()), ("STOCK", told.to_string())]
}
