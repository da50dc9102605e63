//! A run that never took place. Its figures are made up, to see how a report looks; they say nothing of any machine.

use report::data::{CpuCost, Latencies, Machine, ProcessCost, Run, Series, Strategy, Table, Target, Timeline, Version};

pub(crate) fn run() -> Run {
    Run {
        date: "2000-01-01".into(),
        commit: "invented".into(),
        seconds: 1_432.0,
        machine: Machine {
            cpu: "Invented CPU 3000".into(),
            cores: 2,
            memory_gib: 23.4,
            os: "Invented Linux 12".into(),
            kernel: "0.0.0".into(),
            busy_before_percent: 3.4,
        },
        versions: versions(),
        commands: vec!["make bench".into(), "target/release/bench --pairs 5 --seconds 10".into()],
        targets: targets(),
        latencies: latencies(),
        timelines: vec![answers(), claims(), memory()],
        strategies: strategies(),
        cpu: cpu(),
        tables: tables(),
        notes: vec![
            "All of this is invented: nothing was measured.".into(),
            "Two cores are shared by all of it.".into(),
        ],
    }
}

fn versions() -> Vec<Version> {
    [("onrush", "0.0.0"), ("Redis", "0.0.1"), ("Kafka", "0.0.2"), ("PostgreSQL", "0.0.3"), ("k6", "0.0.4")]
        .map(|(program, version)| Version { program: program.into(), version: version.into() })
        .into()
}

fn targets() -> Vec<Target> {
    [
        ("claims granted, serve only", "at least 0.75 of bare", "0.78 of bare", "0.76 to 0.80, 5 pairs", true),
        ("sold-out refusals", "at least 0.95 of bare", "0.97 of bare", "0.94 to 1.01, 5 pairs", true),
        ("grants in Redis, batches of 256", "at least 3.5 times one call", "3.31 times", "3.2 to 3.4, 5 runs", false),
        ("claim to row at 2,000 claims/s", "p99 under 1 s", "412 ms", "60 s, 120,000 claims", true),
        ("memory over 5 minutes", "last minute at most 1.1 of the second", "1.02", "1 run", true),
    ]
    .map(|(name, target, figure, spread, met)| Target {
        name: name.into(),
        target: target.into(),
        figure: figure.into(),
        spread: spread.into(),
        met,
    })
    .into()
}

/// Buckets 4% apart around a median, with a tail that a power law thins out.
fn load(name: &str, median_us: f64, tail: f64, answers: f64) -> Latencies {
    let mut buckets: Vec<(u64, u64)> = Vec::new();
    let mut bound = median_us / 4.0;
    for _ in 0..220 {
        let next = bound * 1.04;
        let share = |us: f64| 1.0 / (1.0 + (us / median_us).powf(-tail));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let (upper_us, count) = (next.ceil() as u64, (answers * (share(next) - share(bound))).round() as u64);
        if count > 0 && buckets.last().is_none_or(|(before, _)| *before < upper_us) {
            buckets.push((upper_us, count));
        }
        bound = next;
    }
    Latencies { name: name.into(), buckets }
}

fn latencies() -> Vec<Latencies> {
    vec![
        load("granted, half load", 900.0, 5.2, 300_000.0),
        load("granted, full load", 6_400.0, 6.0, 500_000.0),
        load("sold out, half load", 420.0, 4.8, 800_000.0),
        load("sold out, full load", 3_100.0, 5.0, 1_200_000.0),
    ]
}

fn steps(count: u32, value: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..count).map(|step| value(f64::from(step)).max(0.0).round()).collect()
}

fn series(name: &str, values: Vec<f64>) -> Series {
    Series { name: name.into(), values }
}

fn answers() -> Timeline {
    let wave = |step: f64| 1.0 + 0.06 * (step * 0.9).sin() + 0.04 * (step * 2.3).cos();
    let series = vec![
        series("201", steps(150, |step| if step < 45.0 { 21_000.0 * (step / 4.0).min(1.0) * wave(step) } else { 0.0 })),
        series("sold_out", steps(150, |step| if step < 45.0 { 0.0 } else { 38_000.0 * wave(step) })),
        series("not_open", steps(150, |step| if step < 6.0 { 9_000.0 - 1_500.0 * step } else { 0.0 })),
        series("unavailable", steps(150, |step| if (70.0..90.0).contains(&step) { 4_000.0 } else { 0.0 })),
    ];
    Timeline {
        name: "Answers by kind, a rush on limited stock".into(),
        unit: "answers/s".into(),
        step_ms: 100,
        stacked: true,
        series,
    }
}

fn claims() -> Timeline {
    let answered = steps(300, |step| (step * 2_000.0).min(200_000.0));
    let rows = steps(300, |step| ((step - 3.0) * 1_000.0).min(200_000.0));
    let series = vec![series("claims answered", answered), series("rows written", rows)];
    Timeline {
        name: "Claims answered and rows written".into(),
        unit: "claims".into(),
        step_ms: 200,
        stacked: false,
        series,
    }
}

fn memory() -> Timeline {
    let series = vec![
        series("onrush", steps(300, |step| 84.0 + (6.0 * (step * 0.4).sin()) + 20.0 * (step / 30.0).min(1.0))),
        series("redis", steps(300, |step| 60.0 + step * 0.12)),
    ];
    Timeline { name: "Memory over five minutes".into(), unit: "MiB".into(), step_ms: 1_000, stacked: false, series }
}

fn strategies() -> Vec<Strategy> {
    let one = |name: &str, is_correct, per_second: f64, p50_ms, wrong: [u64; 3], note: &str| Strategy {
        name: name.into(),
        is_correct,
        answered: 20_000,
        asked: 20_000,
        seconds: 20_000.0 / per_second,
        per_second,
        p50_ms,
        p99_ms: p50_ms * 3.7,
        oversold: wrong[0],
        undersold: wrong[1],
        out_of_order: wrong[2],
        note: note.into(),
        was_cut_off: false,
    };
    let mut optimistic =
        one("optimistic lock with retry", true, 24.7, 9_800.0, [0, 61, 1_204], "1,000 tries, 100 ms apart");
    optimistic.was_cut_off = true;
    optimistic.answered = 1_482;
    optimistic.seconds = 60.0;
    vec![
        one("plain read, then write", false, 1_840.0, 61.0, [1_312, 0, 884], "no lock at all"),
        one("pessimistic row lock", true, 1_210.0, 96.0, [0, 0, 12], "SELECT ... FOR UPDATE"),
        optimistic,
        one("Redis lock, spinning", true, 310.0, 402.0, [0, 0, 5_120], ""),
        one("Redis lock, woken by pub/sub", true, 720.0, 166.0, [0, 0, 2_204], ""),
        one("GET, then DECR", false, 14_300.0, 8.0, [37, 0, 0], "two calls"),
        one("one script call a request", true, 17_900.0, 6.4, [0, 0, 0], ""),
        one("Onrush", true, 31_200.0, 3.6, [0, 0, 0], "the whole pipeline"),
    ]
}

fn cpu() -> Vec<CpuCost> {
    let cost = |name: &str, claims, parts: &[(&str, f64)]| CpuCost {
        name: name.into(),
        claims,
        processes: parts
            .iter()
            .map(|(process, us)| ProcessCost { process: (*process).into(), us_per_claim: *us })
            .collect(),
    };
    vec![
        cost("bare", 400_000, &[("onrush", 17.2), ("client", 21.4)]),
        cost("granted, relay paused", 300_000, &[("onrush", 24.1), ("redis", 5.3), ("client", 21.9)]),
        cost(
            "granted, whole pipeline",
            200_000,
            &[("onrush", 33.8), ("redis", 7.9), ("client", 22.3), ("kafka", 11.2), ("postgres", 14.6)],
        ),
        cost("sold out", 800_000, &[("onrush", 17.9), ("redis", 0.1), ("client", 21.2)]),
    ]
}

fn tables() -> Vec<Table> {
    let rows = [["1", "118,000", "1.0"], ["64", "389,000", "3.3"], ["256", "391,000", "3.3"]];
    vec![Table {
        title: "Decisions in Redis by batch".into(),
        text: "Grants a second, log on.".into(),
        head: ["batch", "grants/s", "times one call"].map(str::to_owned).into(),
        rows: rows.map(|row| row.map(str::to_owned).into()).into(),
    }]
}
