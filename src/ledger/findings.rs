//! What an audit found, in words that an operator understands: what is wrong, and what to do.

use super::audit::Audit;
use super::snapshot::Rows;
use crate::ids::CampaignId;

/// Redis does not have the campaign, or was told to take no claims.
pub(super) fn lost(campaign: &CampaignId, halted: bool) -> String {
    if halted {
        return format!(
            "its facts contradict each other, so it takes no claims: see the table contradictions, then run `onrush rebuild \
             {campaign}`"
        );
    }
    format!("Redis has lost it, so it takes no claims: run `onrush rebuild {campaign}`")
}

/// Redis has less than the database.
pub(super) fn went_back(campaign: &CampaignId) -> String {
    format!("Redis went back in time: the database knows facts that it does not. Run `onrush rebuild {campaign}`")
}

/// What the figures say.
pub(super) fn of_figures(audit: &Audit, rows: &Rows) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut note = |value: u64, text: &str| {
        if value > 0 {
            wrong.push(format!("{value} {text}"));
        }
    };
    note(audit.missing, "live claims are neither rows nor on their way");
    note(audit.doubled, "numbers, or attempts of a user, are live twice");
    note(audit.oversold.saturating_sub(rows.sold_twice), "units were sold beyond the stock");
    note(audit.gaps, "numbers are in no row");
    if audit.above_limit > 0 {
        wrong.push(format!("users hold {} units above the limit of each", audit.above_limit));
    }
    wrong
}

/// What the database says by itself.
pub(super) fn of_rows(campaign: &CampaignId, rows: &Rows) -> Vec<String> {
    let mut wrong = Vec::new();
    if rows.sold_twice > 0 {
        wrong.push(format!(
            "{} units were sold twice: they were promised to users other than those whom the ledger has; the table \
             contradictions names them",
            rows.sold_twice
        ));
    }
    if rows.contradictions > 0 {
        wrong.push(format!(
            "{} facts contradict what is recorded (table contradictions): look into them, then run `onrush rebuild \
             {campaign}`",
            rows.contradictions
        ));
    }
    if rows.dead_letters > 0 {
        wrong.push(format!("{} dead letters wait for an operator: replay or discard them", rows.dead_letters));
    }
    if rows.claims_differ_from_history {
        wrong.push("the claims are not what the history says".to_owned());
    }
    wrong
}
