//! Each user presses several times at the same moment: always with one key, or never with one, or both. One unit each,
//! never two, whatever was pressed first.

use std::collections::HashSet;

use crate::answer::Meaning;
use crate::caller::Caller;
use crate::users::User;

const PRESSES: usize = 4;

/// Presses.
pub(super) async fn visit(caller: &mut Caller<'_>, user: &User) -> anyhow::Result<()> {
    let (settings, books) = (&caller.scene.settings, &caller.scene.books);
    let (stock, users, visits) = (settings.stock(), settings.users(), settings.visits());
    let keys = keys_of(user.visit);
    // Another press, or an earlier visit, may have come first.
    let allowed = |key: Option<&str>| {
        let mut words = vec!["granted", "limit_reached"];
        words.extend(key.map(|_| "replayed"));
        words.extend((stock < users).then_some("sold_out"));
        words
    };
    let heard: Vec<Meaning> = caller.claim_at_once(user, &keys, allowed).await?.into_iter().flatten().collect();
    let words: Vec<&str> = heard.iter().map(Meaning::word).collect();
    let told = || format!("{} pressed {PRESSES} times and heard {heard:?}", user.name);
    let units: HashSet<&str> = heard.iter().filter_map(|meaning| meaning.claim().map(|it| it.id.as_str())).collect();
    let count = |wanted: &str| words.iter().filter(|word| **word == wanted).count();
    books.must(units.len() <= 1 && count("granted") <= 1, told);
    if users == visits && stock >= users {
        // Nobody came before and there is a unit: one press gets it, and the others hear so.
        books.must(units.len() == 1 && count("granted") == 1, told);
        let others = if keys[0].is_some() { "replayed" } else { "limit_reached" };
        let is_mixed = keys.windows(2).any(|pair| pair[0] != pair[1]);
        books.must(is_mixed || count(others) == PRESSES - 1, told);
    }
    Ok(())
}

/// The key of each press.
fn keys_of(visit: u64) -> Vec<Option<String>> {
    let has_key = |press: usize| match visit % 3 {
        0 => true,
        1 => false,
        _ => press.is_multiple_of(2),
    };
    (0..PRESSES).map(|press| has_key(press).then(|| format!("visit-{visit}"))).collect()
}
