//! The scenarios by k6. Where there is no Go that could build it, they are skipped, and say so.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Once;

use testkit::folder::checkout;
use testkit::process::Program;

use crate::node::node;
use crate::tool::{self, Ended, LIMITED_STOCK, VISITS, run};

/// The program; `None` where it cannot be built.
fn program() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let path = checkout().unwrap().join(".local/bin/k6");
    if path.is_file() {
        return Some(path);
    }
    let check = Command::new(checkout().unwrap().join("dev/k6")).arg("--check").output().unwrap();
    assert!(!check.status.success(), "k6 is not built, though there is a Go that can do it: `make k6`");
    SAID.call_once(|| {
        let why = String::from_utf8_lossy(&check.stdout);
        // Not by a macro: what these print is kept to itself where a test passes.
        let _lost = writeln!(std::io::stderr(), "the tests with k6 are skipped: {}", why.trim());
    });
    None
}

async fn k6(path: PathBuf, name: &str, scenario: &str, more: &[(&str, String)]) -> Ended {
    let script = checkout().unwrap().join(format!("loadtest/k6/{scenario}.js"));
    // Nothing is reported to anybody, and no port is opened by which it could be controlled.
    let words = ["run", "--quiet", "--no-color", "--no-usage-report", "--address", ""];
    let program = Program::new("k6", path).args(words).args([script]);
    // A virtual user for each visit: none is dropped, however slow the server is today.
    let more = more.iter().cloned().chain([("VUS", VISITS.to_string())]).collect::<Vec<_>>();
    tool::play(&format!("k6-{name}"), program, &more).await
}

/// How many visits k6 begins depends on how much of the machine it gets; so only what does not is counted here. The rest
/// its own demands have held against each other.
fn is_well(scenario: &'static str, counted: &'static [(&'static str, u64)]) {
    let Some(path) = program() else { return };
    run(async move { k6(path, scenario, scenario, &[]).await.well(counted) });
}

#[test]
fn limited() {
    is_well("limited", &[("granted", LIMITED_STOCK)]);
}

#[test]
fn plenty() {
    is_well("plenty", &[("sold_out", 0), ("limit_reached", 0)]);
}

#[test]
fn sold_out() {
    is_well("sold_out", &[("granted", 10)]);
}

#[test]
fn double_clickers() {
    is_well("double_clickers", &[("sold_out", 0)]);
}

#[test]
fn trickle() {
    is_well("trickle", &[("sold_out", 0), ("limit_reached", 0)]);
}

#[test]
fn mixed() {
    is_well("mixed", &[("sold_out", 0), ("limit_reached", 0)]);
}

#[test]
fn waiting() {
    is_well("waiting", &[("sold_out", 0), ("limit_reached", 0)]);
}

#[test]
fn feed() {
    is_well("feed", &[("granted", 0)]);
}

#[test]
fn a_run_that_is_told_of_one_unit_less_than_there_is_fails_and_one_that_is_told_the_truth_does_not() {
    let Some(path) = program() else { return };
    run(async {
        let node = node().await;
        let truth = tool::told(node, "k6-truth", 20, 20).await;
        k6(path.clone(), "truth", "limited", &truth).await.well(&[("granted", 20)]);
        let lie = tool::told(node, "k6-lie", 20, 19).await;
        k6(path, "lie", "limited", &lie).await.badly("20 claims are live, of a stock of 19");
    });
}
