//! Which facts may stand in one statement?
//!
//! A statement touches no row twice, or the database refuses it. So a layer has each fact once; and each claim with
//! one user and one attempt, and at most one fact of each kind. What else there is comes into the next layer, where
//! the database sees what it contradicts.

use std::collections::HashMap;

use crate::facts::{Fact, Kind};

/// A fact and the place of its record in the batch.
#[derive(Debug, Clone)]
pub struct FactAt {
    /// Where its record is in the batch.
    pub place: usize,
    /// What it says.
    pub fact: Fact,
}

/// The facts of one statement, sorted by key so that two writers never wait for each other in a circle.
pub(super) struct Fold {
    pub(super) layer: Vec<FactAt>,
    pub(super) rest: Vec<FactAt>,
    /// Identical doubles, dropped.
    pub(super) doubles: u64,
}

/// Takes the first layer off. It is never empty unless there is nothing.
pub(super) fn fold(facts: Vec<FactAt>) -> Fold {
    let mut layer: Vec<FactAt> = Vec::with_capacity(facts.len());
    let (mut rest, mut doubles) = (Vec::new(), 0);
    let mut by_key: HashMap<(String, u32, u64), usize> = HashMap::with_capacity(facts.len());
    let mut by_claim: HashMap<(String, u32, u64), Halves> = HashMap::with_capacity(facts.len());
    for placed in facts {
        let fact = &placed.fact;
        let key = (fact.campaign.clone(), fact.generation, fact.fact_no);
        match by_key.get(&key) {
            Some(first) if layer[*first].fact == *fact => doubles += 1,
            Some(_) => rest.push(placed),
            None if !fits(fact, &mut by_claim) => rest.push(placed),
            None => {
                by_key.insert(key, layer.len());
                layer.push(placed);
            }
        }
    }
    layer.sort_by(|a, b| key(&a.fact).cmp(&key(&b.fact)));
    Fold { layer, rest, doubles }
}

fn key(fact: &Fact) -> (&str, u32, u64) {
    (&fact.campaign, fact.generation, fact.fact_no)
}

/// What the layer says of one claim so far.
struct Halves {
    user: String,
    attempt: String,
    kinds: Vec<Kind>,
}

fn fits(fact: &Fact, by_claim: &mut HashMap<(String, u32, u64), Halves>) -> bool {
    // An attempt that never claims touches no row of a claim.
    let Some(claim) = fact.claim.as_ref().filter(|claim| claim.number > 0) else { return true };
    let halves = by_claim.entry((fact.campaign.clone(), claim.generation, claim.number)).or_insert_with(|| Halves {
        user: claim.user.clone(),
        attempt: claim.attempt.clone(),
        kinds: Vec::with_capacity(3),
    });
    let agrees = halves.user == claim.user && halves.attempt == claim.attempt && !halves.kinds.contains(&fact.kind);
    if agrees {
        halves.kinds.push(fact.kind);
    }
    agrees
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{FactClaim, SCHEMA_VERSION};

    fn fact(fact_no: u64, kind: Kind, number: u64, user: &str) -> Fact {
        Fact {
            v: SCHEMA_VERSION,
            campaign: "c".into(),
            generation: 1,
            fact_no,
            kind,
            change: 0,
            at: 0,
            claim: Some(FactClaim { number, generation: 1, user: user.into(), attempt: "a".into() }),
            reason: None,
        }
    }

    fn folded(facts: Vec<Fact>) -> (Vec<u64>, Vec<u64>, u64) {
        let placed = facts.into_iter().enumerate().map(|(place, fact)| FactAt { place, fact }).collect();
        let fold = fold(placed);
        let numbers = |facts: Vec<FactAt>| facts.iter().map(|placed| placed.fact.fact_no).collect();
        (numbers(fold.layer), numbers(fold.rest), fold.doubles)
    }

    #[test]
    fn a_layer_is_sorted_and_free_of_doubles() {
        let (b, a) = (fact(2, Kind::GivenBack, 1, "u"), fact(1, Kind::Claimed, 1, "u"));
        assert_eq!(folded(vec![b.clone(), a.clone(), b, a]), (vec![1, 2], vec![], 2));
    }

    #[test]
    fn what_disagrees_comes_into_the_next_layer() {
        let first = fact(1, Kind::Claimed, 1, "u");
        assert_eq!(folded(vec![first.clone(), fact(1, Kind::Claimed, 1, "other")]), (vec![1], vec![1], 0));
        assert_eq!(folded(vec![first.clone(), fact(2, Kind::GivenBack, 1, "other")]), (vec![1], vec![2], 0));
        assert_eq!(folded(vec![first, fact(2, Kind::Claimed, 1, "u")]), (vec![1], vec![2], 0));
    }
}
