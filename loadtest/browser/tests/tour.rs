//! The visitors' page in real Chromium. Where there is none and none can be installed, this is skipped, and says so.

use std::io::Write;
use std::process::Command;

use browser::browser::is_there;
use browser::tour::{self, Places};
use testkit::folder::{checkout, own};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_joins_waits_loses_the_node_and_finds_it_again_and_is_admitted_in_two_languages() {
    let checkout = checkout().unwrap();
    if !is_there() {
        let check = Command::new(checkout.join("dev/chromium")).arg("--check").output().unwrap();
        assert!(!check.status.success(), "Chromium is not installed, though it can be: `dev/chromium`");
        let why = String::from_utf8_lossy(&check.stdout);
        // Not by a macro: what these print is kept to itself where a test passes.
        let _lost = writeln!(std::io::stderr(), "the test with Chromium is skipped: {}", why.trim());
        return;
    }
    let folder = own(&checkout.join(".local/test"), "tour-").unwrap();
    let pictures = folder.join("pictures");
    tour::take(Places { folder, pictures: pictures.clone() }).await.unwrap();
    assert_eq!(std::fs::read_dir(pictures).unwrap().count(), 12, "a picture of each step");
}
