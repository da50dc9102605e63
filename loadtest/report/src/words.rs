//! What is it called? The run in its heading, and a name where only letters, digits and dashes may be.

use std::collections::HashSet;

use crate::data::Run;
use crate::number::figure;

/// The report's heading.
pub(crate) fn title(run: &Run) -> String {
    format!("Onrush benchmark, {}, commit {}", run.date, run.commit)
}

/// What there is to say in two sentences.
pub(crate) fn summary(run: &Run) -> String {
    let met = run.targets.iter().filter(|target| target.met).count();
    let verdict = match (run.targets.len(), met) {
        (0, _) => "No targets were judged.".to_owned(),
        (1, 1) => "The target is met.".to_owned(),
        (all, met) if all == met => format!("All {all} targets are met."),
        (all, met) => format!("{met} of {all} targets are met."),
    };
    let duration = if run.seconds < 120.0 {
        format!("{} s", figure(run.seconds))
    } else {
        format!("{} minutes", figure(run.seconds / 60.0))
    };
    format!("{verdict} Measured in {duration} on {} cores.", run.machine.cores)
}

/// A file's name for each of these, never the same twice: `claims granted, 201` is `claims-granted-201`.
pub(crate) fn slugs<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    names
        .map(|name| {
            let slug = slug(name);
            let mut candidate = slug.clone();
            let mut number = 2;
            while !taken.insert(candidate.clone()) {
                candidate = format!("{slug}-{number}");
                number += 1;
            }
            candidate
        })
        .collect()
}

fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "unnamed".to_owned() } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Target;

    #[test]
    fn targets_are_counted() {
        let run = |met: &[bool]| Run {
            targets: met.iter().map(|met| Target { met: *met, ..Target::default() }).collect(),
            seconds: 1_500.0,
            ..Run::default()
        };
        assert!(summary(&run(&[true, false])).starts_with("1 of 2 targets are met. Measured in 25.0 minutes"));
        assert!(summary(&run(&[true, true])).starts_with("All 2 targets are met."));
        assert!(summary(&run(&[false])).starts_with("0 of 1 targets are met."));
        assert!(summary(&run(&[])).starts_with("No targets were judged."));
    }

    #[test]
    fn names_become_files_and_none_hides_another() {
        let names =
            ["claims granted, 201", "Claims: granted 201!", "../../etc/passwd", "<&\">", "쿠폰", "unnamed-2", "a", "a"];
        let expected = [
            "claims-granted-201",
            "claims-granted-201-2",
            "etc-passwd",
            "unnamed",
            "unnamed-2",
            "unnamed-2-2",
            "a",
            "a-2",
        ];
        assert_eq!(slugs(names.into_iter()), expected);
    }
}
