//! What an audit says: its figures, its findings and its verdict.

use std::fmt;

use serde::Serialize;

/// What the stores say of a campaign, and what does not fit. The names are those of the HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Audit {
    /// The campaign.
    pub campaign_id: String,
    /// Its lives in Redis.
    pub generation: u32,
    /// Units on offer.
    pub stock: u64,
    /// Units that nobody holds, by Redis.
    pub left: u64,
    /// Claims that were not given back, by Redis.
    pub live: u64,
    /// Claims that were given back, by Redis.
    pub given_back: u64,
    /// Facts in the outbox that are not rows.
    pub outbox: u64,
    /// Facts in Kafka that are not rows.
    pub lag: u64,
    /// Live claims in the database.
    pub rows: u64,
    /// Live claims that are neither rows nor on their way.
    pub missing: u64,
    /// Numbers, or attempts of a user, that are live twice.
    pub doubled: u64,
    /// Live claims beyond the stock, and units that were promised to two.
    pub oversold: u64,
    /// Units that users hold beyond what one may hold.
    pub above_limit: u64,
    /// Numbers up to the highest that are not in the database in any state, nor on their way.
    pub gaps: u64,
    /// Whether the live claims were counted one by one. Not when they are too many, or while they keep changing.
    pub recounted: bool,
    /// What an operator has to know, in words.
    pub findings: Vec<String>,
    /// The end of it.
    pub verdict: Verdict,
}

/// What an audit comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All stores agree.
    Ok,
    /// They will when what is on its way has arrived.
    Settling,
    /// They do not, and waiting does not help.
    Broken,
}

impl Audit {
    /// Something does not fit, whatever else was found.
    pub(super) fn is_broken(&mut self, finding: String) {
        self.verdict = Verdict::Broken;
        self.findings.push(finding);
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Settling => "settling",
            Self::Broken => "broken",
        })
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "audit {}: {}: stock {}, left {}, live {}, given back {}, rows {}, on the way {}",
            self.campaign_id,
            self.verdict,
            self.stock,
            self.left,
            self.live,
            self.given_back,
            self.rows,
            self.outbox + self.lag
        )?;
        for (name, value) in [
            ("missing", self.missing),
            ("doubled", self.doubled),
            ("oversold", self.oversold),
            ("above limit", self.above_limit),
            ("gaps", self.gaps),
        ] {
            if value > 0 {
                write!(f, ", {name} {value}")?;
            }
        }
        for finding in &self.findings {
            write!(f, "; {finding}")?;
        }
        Ok(())
    }
}
