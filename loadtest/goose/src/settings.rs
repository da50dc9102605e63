//! What was asked for? The same settings as k6's, from the command line or the environment.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

/// Each claim of a user counts against `campaign.claims_per_user_factor` (20), given back or not.
const VISITS_OF_A_USER_MAX: u64 = 10;

/// What the crowd does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Scenario {
    /// A rush on units for a few: exactly the stock is granted.
    Limited,
    /// A rush with a unit for everybody: whoever comes gets one.
    Plenty,
    /// A storm on a campaign that has nothing left: not one claim is granted.
    SoldOut,
    /// Each user submits several times at the same moment, with a key, without, or both: never two units.
    DoubleClickers,
    /// Claims of which most are given back.
    Trickle,
    /// What a day brings: claims, replays, give-backs, reads, and requests that are refused.
    Mixed,
    /// A waiting room before the units: everybody joins, asks as told, and claims when it is their turn; some leave.
    Waiting,
    /// What there is to read: authors post, subscribers wait for their posts, readers read.
    Feed,
}

impl Scenario {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Plenty => "plenty",
            Self::SoldOut => "sold_out",
            Self::DoubleClickers => "double_clickers",
            Self::Trickle => "trickle",
            Self::Mixed => "mixed",
            Self::Waiting => "waiting",
            Self::Feed => "feed",
        }
    }

    /// Whether units are given back, so that numbers go beyond the stock.
    pub(crate) fn gives_back(self) -> bool {
        matches!(self, Self::Trickle | Self::Mixed)
    }
}

/// Load for an Onrush server on this machine, from a crowd of which each asks, waits for the answer, and asks again.
#[derive(Debug, Clone, Parser)]
#[command(name = "goose-load", version)]
pub(crate) struct Settings {
    /// What the crowd does.
    pub(crate) scenario: Scenario,
    /// Where the server is; only addresses of this machine.
    #[arg(long, env = "BASE_URL")]
    pub(crate) url: String,
    /// What users' tokens are signed with.
    #[arg(long, env = "HS256_SECRET", hide_env_values = true)]
    pub(crate) hs256_secret: String,
    /// The token that an operator's requests carry.
    #[arg(long, env = "OPERATOR_TOKEN", hide_env_values = true)]
    pub(crate) operator_token: String,
    /// Requests in a second, at most: fewer where the server is slower.
    #[arg(long, env = "RATE", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// With the rate: how many visits there are. They take longer where the server is slower, or asked several times.
    #[arg(long, env = "DURATION", default_value = "5s", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Members of the crowd: requests under way at a time.
    #[arg(long, env = "CROWD", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) crowd: u32,
    /// How many different users come; fewer than visits, and each comes several times. Left out: as many as visits.
    #[arg(long, env = "USERS", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    users: Option<u64>,
    /// Units of the campaign. Left out: what the scenario needs.
    #[arg(long, env = "STOCK", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    stock: Option<u64>,
    /// A campaign that exists already and that nobody has claimed from. Left out: one is made.
    #[arg(long, env = "CAMPAIGN")]
    pub(crate) campaign: Option<String>,
    /// How long everything may take to become rows after the last answer.
    #[arg(long = "audit-wait", env = "AUDIT_WAIT", default_value = "60s", value_parser = seconds)]
    audit_wait: Duration,
}

impl Settings {
    /// What the command line alone cannot tell.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let rest = self.url.strip_prefix("http://").context("the address does not begin with http://")?;
        let host = rest.trim_end_matches('/').rsplit_once(':').map_or(rest, |(host, _)| host);
        ensure!(
            ["127.0.0.1", "localhost", "[::1]"].contains(&host),
            "{host} is not this machine: a load generator that can be pointed at others is a weapon"
        );
        let (visits, users) = (self.visits(), self.users());
        ensure!(
            visits <= users * VISITS_OF_A_USER_MAX,
            "{visits} visits of {users} users: each may come {VISITS_OF_A_USER_MAX} times"
        );
        Ok(())
    }

    /// How often somebody comes.
    pub(crate) fn visits(&self) -> u64 {
        u64::from(self.rate) * self.duration.as_secs()
    }

    /// How many different users come.
    pub(crate) fn users(&self) -> u64 {
        self.users.unwrap_or_else(|| self.visits())
    }

    /// Units of the campaign.
    pub(crate) fn stock(&self) -> u64 {
        self.stock.unwrap_or_else(|| match self.scenario {
            Scenario::Limited => self.users().div_ceil(10),
            Scenario::SoldOut => 10,
            // One is left over: where the last one goes, a node may call it sold out to somebody who holds one.
            Scenario::Plenty
            | Scenario::DoubleClickers
            | Scenario::Trickle
            | Scenario::Mixed
            | Scenario::Waiting
            | Scenario::Feed => self.users() + 1,
        })
    }

    /// The campaign's waiting room, if it has one. It lets in fewer than ask: a visit takes some requests.
    pub(crate) fn waiting(&self) -> Value {
        match self.scenario {
            Scenario::Waiting => json!({"admit": self.rate.div_ceil(16), "every_ms": 250}),
            _ => Value::Null,
        }
    }

    /// How long the auditor is asked.
    pub(crate) fn audit_wait(&self) -> Duration {
        self.audit_wait
    }
}

/// `20`, `20s` or `2m`.
fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit_s) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    match number.parse::<u64>() {
        Ok(count @ 1..=9_999) => Ok(Duration::from_secs(count * unit_s)),
        _ => Err(format!("{text} is not a number of seconds, such as 20s or 2m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, more: &[&str]) -> Settings {
        let least = ["goose-load", "limited", "--url", url, "--hs256-secret", "s", "--operator-token", "t"];
        Settings::try_parse_from(least.iter().chain(more)).unwrap()
    }

    fn here(more: &[&str]) -> Settings {
        settings("http://127.0.0.1:1", more)
    }

    #[test]
    fn users_and_stock_follow_from_rate_and_duration_unless_they_are_said() {
        let left_out = here(&["--rate", "100", "--duration", "2m"]);
        assert_eq!((left_out.visits(), left_out.users(), left_out.stock()), (12_000, 12_000, 1_200));
        let said = here(&["--rate", "100", "--duration", "2", "--users", "50", "--stock", "7"]);
        assert_eq!((said.visits(), said.users(), said.stock()), (200, 50, 7));
        assert!(said.check().is_ok());
        assert!(here(&["--rate", "100", "--duration", "6s", "--users", "50"]).check().is_err());
    }

    #[test]
    fn only_this_machine_is_loaded() {
        for (url, is_here) in [
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080/", true),
            ("http://localhost", true),
            ("http://127.0.0.1.example.org:8080", false),
            ("http://user@127.0.0.1@example.org", false),
            ("https://127.0.0.1:8080", false),
        ] {
            assert_eq!(settings(url, &[]).check().is_ok(), is_here, "{url}");
        }
    }
}
