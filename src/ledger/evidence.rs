//! What does each store say of a campaign? Read for the auditor, who draws the conclusions.

use super::error::LedgerError;
use crate::facts::{ClaimState, Kind};
use crate::ids::CampaignId;
use crate::redis::{Redis, RedisError, read_outbox};

/// Outbox entries that are read at a time.
const ENTRIES_PAGE: u64 = 200;
/// Claims that are counted at a time.
const CLAIMS_PAGE: u32 = 2_000;
/// How often the live claims are counted anew because they have changed meanwhile.
const RECOUNTS_MAX: u32 = 3;

/// Redis' counters of a campaign, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) generation: u32,
    pub(super) fact_no: u64,
    pub(super) stock: u64,
    pub(super) left: u64,
    pub(super) next: u64,
    pub(super) given_back: u64,
    /// `next` and `given_back` when this generation began.
    pub(super) base_next: u64,
    pub(super) base_given_back: u64,
    /// Numbers that a rebuild found no claim of.
    pub(super) lost_numbers: u64,
    pub(super) lost: bool,
    /// It is lost because its facts contradict each other.
    pub(super) halted: bool,
}

impl Counters {
    /// `None` if there is nothing of the campaign.
    pub(super) async fn read(redis: &Redis, campaign: &CampaignId) -> Result<Option<Self>, RedisError> {
        let key = redis.keys().of(campaign).campaign();
        let names = [
            "generation",
            "fact_no",
            "stock",
            "left",
            "next",
            "given_back",
            "lost",
            "base_next",
            "base_given_back",
            "lost_numbers",
        ];
        let found = redis.fields(campaign, &key, names.map(str::to_owned).to_vec()).await?;
        if found.iter().all(Option::is_none) {
            return Ok(None);
        }
        let number = |index: usize| found[index].as_ref().and_then(|text| text.parse::<u64>().ok());
        let counters = || {
            Some(Self {
                generation: u32::try_from(number(0)?).ok()?,
                fact_no: number(1)?,
                stock: number(2)?,
                left: number(3)?,
                next: number(4)?,
                given_back: number(5)?,
                lost: found[6].is_some(),
                halted: found[6].as_deref() == Some("contradiction"),
                // A first generation begins with nothing.
                base_next: number(7).unwrap_or(0),
                base_given_back: number(8).unwrap_or(0),
                lost_numbers: number(9).unwrap_or(0),
            })
        };
        // A script that missed the campaign leaves nothing but the mark.
        Ok(Some(counters().unwrap_or(Self { lost: true, ..Self::default() })))
    }

    /// Claims that were not given back.
    pub(super) fn live(&self) -> u64 {
        self.next.saturating_sub(self.given_back + self.lost_numbers)
    }
}

/// The facts in the outbox, up to the counters' moment. They follow each other without a gap.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) facts: u64,
    pub(super) claimed: u64,
    pub(super) given_back: u64,
    pub(super) first: Option<u64>,
    pub(super) last: u64,
}

impl Outbox {
    pub(super) async fn read(redis: &Redis, campaign: &CampaignId, counters: &Counters) -> Result<Self, RedisError> {
        let (mut outbox, mut after) = (Self::default(), None);
        loop {
            let page = read_outbox(redis, campaign, after.as_deref(), ENTRIES_PAGE).await?;
            let Some(last) = page.last() else { return Ok(outbox) };
            after = Some(last.id.clone());
            for fact in page.iter().flat_map(|entry| &entry.facts) {
                if fact.generation != counters.generation {
                    continue;
                }
                if fact.fact_no > counters.fact_no {
                    return Ok(outbox);
                }
                outbox.facts += 1;
                outbox.claimed += u64::from(fact.kind == Kind::Claimed);
                outbox.given_back += u64::from(fact.kind == Kind::GivenBack);
                outbox.first.get_or_insert(fact.fact_no);
                outbox.last = fact.fact_no;
            }
        }
    }
}

/// The live claims, counted one by one while nothing changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recount {
    live: u64,
    counters: Counters,
}

impl Recount {
    /// `None` if they are too many, or keep changing.
    pub(super) async fn make(
        redis: &Redis,
        campaign: &CampaignId,
        recount_max: u64,
    ) -> Result<Option<Self>, LedgerError> {
        let mut before = Counters::read(redis, campaign).await?.unwrap_or_default();
        for _ in 0..RECOUNTS_MAX {
            if before.next > recount_max {
                return Ok(None);
            }
            let live = count_live(redis, campaign, before.next).await?;
            let after = Counters::read(redis, campaign).await?.unwrap_or_default();
            if (after.generation, after.fact_no) == (before.generation, before.fact_no) {
                return Ok(Some(Self { live, counters: after }));
            }
            before = after;
        }
        Ok(None)
    }

    pub(super) fn disagrees(self) -> bool {
        self.live != self.counters.live()
    }
}

async fn count_live(redis: &Redis, campaign: &CampaignId, highest: u64) -> Result<u64, LedgerError> {
    let key = redis.keys().of(campaign).claims();
    // A scan may answer a claim twice, so each number is ticked off: a bit for each.
    let places = usize::try_from(highest).unwrap_or(usize::MAX).saturating_add(1);
    let mut is_live = vec![0_u64; places.div_ceil(64)];
    let (mut cursor, mut beyond) = ("0".to_owned(), 0);
    loop {
        let (next, page) = redis.scan_page(campaign, &key, &cursor, CLAIMS_PAGE).await?;
        for pair in page.chunks_exact(2) {
            let is_given_back = ClaimState::of_record(&pair[1]) == Some(ClaimState::GivenBack);
            match pair[0].parse::<usize>() {
                Ok(number) if number < places && is_given_back => is_live[number / 64] &= !(1 << (number % 64)),
                Ok(number) if number < places => is_live[number / 64] |= 1 << (number % 64),
                // A claim above the highest number is one too many.
                _ => beyond += 1,
            }
        }
        if next == "0" {
            return Ok(is_live.iter().map(|places| u64::from(places.count_ones())).sum::<u64>() + beyond);
        }
        cursor = next;
    }
}
