//! Does the whole program work, from the start of a node to the report? Only its quick form: what it finds means nothing.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test, as it should")]

use std::path::Path;
use std::process::{Command, Stdio};

use bench::sections::Section;
use report::data::Run;

#[test]
fn two_sections_leave_a_report_and_nothing_else() {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let reports = std::env::temp_dir().join(format!("onrush-bench-smoke-{}", std::process::id()));
    let program = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["--quick", "--only", "granted,sold_out", "--reports"])
        .arg(&reports)
        .current_dir(&checkout)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let private = checkout.join(".local/bench").join(program.id().to_string());
    let output = program.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!private.exists(), "its data and logs stay: {said}");

    let folders: Vec<_> = std::fs::read_dir(&reports).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    let data = folders[0].join("data");
    let run: Run = serde_json::from_slice(&std::fs::read(data.join("run.json")).unwrap()).unwrap();
    let promised: Vec<_> = [Section::Granted, Section::SoldOut].iter().flat_map(|it| it.promises()).collect();
    assert_eq!(run.targets.len(), promised.len());
    for (target, promise) in run.targets.iter().zip(promised) {
        assert_eq!(target.name, promise.name);
        let ratio: f64 = target.figure.split(' ').next().unwrap().parse().unwrap();
        assert!(ratio > 0.0, "{target:?}");
    }
    assert!(!run.latencies.is_empty() && run.latencies.iter().all(|latencies| !latencies.buckets.is_empty()));
    let histograms = std::fs::read_dir(&data)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "csv"));
    assert_eq!(histograms.count(), run.latencies.len());
    for cost in &run.cpu {
        for process in ["client", "onrush", "redis"] {
            let found = cost.processes.iter().find(|it| it.process == process);
            assert!(found.is_some_and(|it| it.us_per_claim > 0.0), "{process} in {cost:?}");
        }
    }
    std::fs::remove_dir_all(reports).unwrap();
}
