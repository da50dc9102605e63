//! The visitors' page in real Chromium. Where there is none and none can be installed, this is skipped, and says so.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use browser::browser::is_there;
use browser::tour::{self, Places};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_joins_waits_loses_the_node_and_finds_it_again_and_is_admitted_in_two_languages() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    if !is_there() {
        let check = Command::new(checkout.join("dev/chromium")).arg("--check").output().unwrap();
        assert!(!check.status.success(), "Chromium is not installed, though it can be: `dev/chromium`");
        let why = String::from_utf8_lossy(&check.stdout);
        // Not by a macro: what these print is kept to itself where a test passes.
        let _lost = writeln!(std::io::stderr(), "the test with Chromium is skipped: {}", why.trim());
        return;
    }
    let onrush = Path::new(env!("CARGO_BIN_EXE_tour")).with_file_name("onrush");
    let folder = tour::folder(&checkout.join(".local/test")).unwrap();
    let pictures = folder.join("pictures");
    tour::take(Places { onrush, folder, pictures: pictures.clone() }).await.unwrap();
    assert_eq!(std::fs::read_dir(pictures).unwrap().count(), 12, "a picture of each step");
}
