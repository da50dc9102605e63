//! On a small stock: every right way sells exactly, and every wrong one is seen to be wrong.

use strategies::driver::Load;
use strategies::side_by_side::{Outcome, compare};
use strategies::stores::Stores;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_ways_sell_exactly_and_the_wrong_ones_are_seen_to_be_wrong() {
    let stores = Stores::make(16).await.unwrap();
    let load = Load { users: 500, stock: 100, concurrency: 64, seconds_max: 60 };
    let outcomes = compare(&stores, load, |_| {}).await;
    stores.remove().await.unwrap();
    let outcomes = outcomes.unwrap();

    let surprises: Vec<String> = outcomes.iter().filter_map(Outcome::surprise).collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let of = |is_correct: bool| outcomes.iter().filter(move |it| it.strategy.is_correct == is_correct);
    assert_eq!((of(true).count(), of(false).count()), (6, 2));
    for Outcome { strategy, .. } in of(true) {
        assert_eq!((strategy.answered, strategy.was_cut_off), (500, false), "{strategy:?}");
        assert!(strategy.note.contains("granted 100"), "{strategy:?}");
    }
    for Outcome { strategy, .. } in of(false) {
        assert!(strategy.oversold > 0, "{strategy:?}");
    }
    // One script call a request does not promise this: its calls leave by tasks of their own.
    let onrush = outcomes.iter().find(|it| it.strategy.name == "Onrush").unwrap();
    assert_eq!(onrush.strategy.out_of_order, 0, "{:?}", onrush.strategy);
}
