//! The scenarios by goose. It makes every visit, so that every count is known beforehand.

use testkit::process::Program;

use crate::node::node;
use crate::tool::{self, Ended, LIMITED_STOCK, VISITS, run};

async fn crowd(name: &str, scenario: &str, more: &[(&str, String)]) -> Ended {
    tool::play(
        &format!("goose-{name}"),
        Program::new("goose-load", env!("CARGO_BIN_EXE_goose-load")).args([scenario]),
        more,
    )
    .await
}

fn is_well(scenario: &'static str, counted: &'static [(&'static str, u64)]) {
    run(async move { crowd(scenario, scenario, &[]).await.well(counted) });
}

#[test]
fn limited() {
    is_well("limited", &[("granted", LIMITED_STOCK), ("sold_out", VISITS - LIMITED_STOCK)]);
}

#[test]
fn plenty() {
    is_well("plenty", &[("granted", VISITS)]);
}

#[test]
fn sold_out() {
    is_well("sold_out", &[("granted", 10), ("sold_out", VISITS)]);
}

#[test]
fn double_clickers() {
    is_well("double_clickers", &[("granted", VISITS)]);
}

#[test]
fn trickle() {
    is_well("trickle", &[("granted", VISITS), ("given_back", VISITS * 2 / 3)]);
}

/// Of ten visits one looks around, one is refused, and the others are granted a unit.
#[test]
fn mixed() {
    is_well("mixed", &[("granted", VISITS * 8 / 10), ("replayed", VISITS * 4 / 10), ("given_back", VISITS / 10)]);
}

/// Of sixteen visits two leave while they wait and one from inside; who tries without a pass is refused and waits then. A
/// crowd that is larger than what is admitted at once waits for real.
#[test]
fn waiting() {
    run(async {
        let ended = crowd("waiting", "waiting", &[("CROWD", "150".to_owned())]).await;
        ended.well(&[]);
        assert!(ended.said.contains(" waits "), "nobody had to wait: {}", ended.said);
    });
}

/// Of eight visits one is an author with three posts, of which one is deleted; four follow them.
#[test]
fn feed() {
    let authors = VISITS.div_ceil(8);
    run(async move { crowd("feed", "feed", &[]).await.well(&[("posted", authors * 3), ("found", authors)]) });
}

#[test]
fn a_run_that_is_told_of_one_unit_less_than_there_is_fails_and_one_that_is_told_the_truth_does_not() {
    run(async {
        let node = node().await;
        let truth = tool::told(node, "goose-truth", 20, 20).await;
        crowd("truth", "limited", &truth).await.well(&[("granted", 20)]);
        let lie = tool::told(node, "goose-lie", 20, 19).await;
        crowd("lie", "limited", &lie).await.badly("20 claims are live, of a stock of 19");
    });
}
