//! Does the whole program work, from the first who joins to the report, and was all true that visitors were told? Only its
//! quick form: what it finds of speeds means nothing.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test, as it should")]

use std::path::Path;
use std::process::Command;

use report::data::Run;

#[test]
fn two_thousand_wait_and_two_hundred_come_in_and_all_they_were_told_is_true() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let reports = std::env::temp_dir().join(format!("onrush-million-smoke-{}", std::process::id()));
    let output = Command::new(env!("CARGO_BIN_EXE_million"))
        .args(["--quick", "--reports"])
        .arg(&reports)
        .current_dir(&checkout)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");

    let folders: Vec<_> = std::fs::read_dir(&reports).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(folders.len() == 1 && folders[0].to_string_lossy().ends_with("-waiting"), "{folders:?}");
    let run: Run = serde_json::from_slice(&std::fs::read(folders[0].join("data/run.json")).unwrap()).unwrap();
    assert_eq!(run.targets.len(), 13, "{said}");
    assert!(run.targets.iter().all(|target| target.figure != "not measured"), "{said}");
    let figure = |name: &str| {
        let target = run.targets.iter().find(|target| target.name == name).unwrap();
        assert!(target.met, "{target:?}");
        target.figure.clone()
    };
    for name in ["inversions", "overshoot of pace, cap or units", "lost visitors and contradictions", "errors"] {
        assert_eq!(figure(name), "0");
    }
    let admitted: u64 = figure("visitors admitted in time").split(' ').next().unwrap().parse().unwrap();
    assert!(admitted >= 200, "{said}");
    assert_eq!(figure("event streams open over two nodes"), "100 of 100");
    for series in run.timelines.iter().flat_map(|timeline| &timeline.series) {
        assert!(series.values.iter().any(|value| *value > 0.0), "{} was never seen to do anything", series.name);
    }
    assert!(run.latencies.iter().all(|latencies| !latencies.buckets.is_empty()));
    std::fs::remove_dir_all(reports).unwrap();
}
