//! Each user submits several times at the same moment: always with one key, or never with one, or both. One unit each,
//! never two, whatever was submitted first.

use std::collections::HashSet;

use crate::answer::Meaning;
use crate::caller::Caller;
use crate::users::User;

const SUBMISSIONS: usize = 4;

/// Submits.
pub(super) async fn visit(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let (settings, records) = (&caller.scene.settings, &caller.scene.records);
    let (stock, users, visits) = (settings.stock(), settings.users(), settings.visits());
    let keys = keys_of(user.visit);
    // Another submission, or an earlier visit, may have come first.
    let allowed = |key: Option<&str>| {
        let mut words = vec!["granted", "limit_reached"];
        words.extend(key.map(|_| "replayed"));
        words.extend((stock < users).then_some("sold_out"));
        words
    };
    let heard: Vec<Meaning> = caller.claim_at_once(user, &keys, allowed).await?.into_iter().flatten().collect();
    let words: Vec<&str> = heard.iter().map(Meaning::word).collect();
    let told = || format!("{} submitted {SUBMISSIONS} times and heard {heard:?}", user.name);
    let units: HashSet<&str> = heard.iter().filter_map(|meaning| meaning.claim().map(|it| it.id.as_str())).collect();
    let count = |wanted: &str| words.iter().filter(|word| **word == wanted).count();
    records.must(units.len() <= 1 && count("granted") <= 1, told);
    if users == visits && stock >= users {
        // Nobody came before and there is a unit: one submission gets it, and the others hear so.
        records.must(units.len() == 1 && count("granted") == 1, told);
        let others = if keys[0].is_some() { "replayed" } else { "limit_reached" };
        let is_mixed = keys.windows(2).any(|pair| pair[0] != pair[1]);
        records.must(is_mixed || count(others) == SUBMISSIONS - 1, told);
    }
    Ok(())
}

/// The key of each submission.
fn keys_of(visit: u64) -> Vec<Option<String>> {
    let has_key = |submission: usize| match visit % 3 {
        0 => true,
        1 => false,
        _ => submission.is_multiple_of(2),
    };
    (0..SUBMISSIONS).map(|submission| has_key(submission).then(|| format!("visit-{visit}"))).collect()
}
