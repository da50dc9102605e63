//! Which tables are there? The targets first, then all others. Only the targets' last column says `yes` or `no`, so that
//! whoever looks for these two words finds the targets and nothing else: any other cell with one of them is an error.

use anyhow::ensure;

use crate::data::{Machine, Run, Timeline};
use crate::number::{figure, length, tick, whole};
use crate::percentile;
use crate::picture::{end, is_count_so_far, is_exact, processes, ranked, total};

/// A table, as text.
pub(crate) struct Sheet {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// All tables of a report. There is no other way to make one than [`Sheets::of`], which holds the rule.
pub(crate) struct Sheets {
    pub(crate) targets: Sheet,
    /// What belongs to the pictures, and what else was counted.
    pub(crate) figures: Vec<Sheet>,
    /// What it ran on.
    pub(crate) machine: Sheet,
    /// What took part.
    pub(crate) versions: Sheet,
}

impl Sheets {
    /// Fails if a cell other than a verdict is a verdict's word.
    pub(crate) fn of(run: &Run) -> anyhow::Result<Self> {
        let own = [latencies(run), timelines(run), strategies(run), cpu(run)]
            .into_iter()
            .filter(|sheet| !sheet.rows.is_empty());
        let further = run.tables.iter().map(|table| Sheet {
            title: table.title.clone(),
            text: table.text.clone(),
            head: table.head.clone(),
            rows: table.rows.clone(),
        });
        let sheets = Self {
            targets: targets(run),
            figures: own.chain(further).collect(),
            machine: machine(&run.machine),
            versions: versions(run),
        };
        let verdict = sheets.targets.head.len() - 1;
        keep_words(&sheets.targets, verdict)?;
        for sheet in sheets.figures.iter().chain([&sheets.machine, &sheets.versions]) {
            keep_words(sheet, sheet.head.len())?;
        }
        Ok(sheets)
    }
}

impl Sheet {
    /// Whether a column holds figures, which stand on the right.
    pub(crate) fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty()).peekable();
        let is_figure = |cell: &String| {
            let digits = cell.trim_end_matches('%').replace(',', "");
            digits.starts_with(|c: char| c.is_ascii_digit() || c == '-') && digits.parse::<f64>().is_ok()
        };
        cells.peek().is_some() && cells.all(|cell| is_figure(cell) || cell == "–")
    }
}

/// Columns from `verdicts` on may say `yes` and `no`.
fn keep_words(sheet: &Sheet, verdicts: usize) -> anyhow::Result<()> {
    let cells = sheet.rows.iter().flat_map(|row| row.iter().take(verdicts));
    for cell in sheet.head.iter().chain(cells) {
        let word = cell.trim().to_lowercase();
        ensure!(
            word != "yes" && word != "no",
            "a cell of {:?} is {cell:?}, a word that only the verdict on a target may be",
            sheet.title
        );
    }
    Ok(())
}

fn sheet<const N: usize>(title: &str, text: &str, head: [&str; N], rows: Vec<[String; N]>) -> Sheet {
    Sheet {
        title: title.into(),
        text: text.into(),
        head: head.map(str::to_owned).into(),
        rows: rows.into_iter().map(Vec::from).collect(),
    }
}

fn targets(run: &Run) -> Sheet {
    let rows = run.targets.iter().map(|target| {
        let met = if target.met { "yes" } else { "no" };
        [target.name.clone(), target.target.clone(), target.figure.clone(), target.spread.clone(), met.to_owned()]
    });
    sheet("Targets", "", ["name", "target", "figure", "spread", "met"], rows.collect())
}

fn latencies(run: &Run) -> Sheet {
    let ms = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), |us| figure(crate::number::float(us) / 1e3));
    let rows = run.latencies.iter().map(|load| {
        let at = |one_of| ms(percentile::all_but_one_of(load, one_of));
        let (name, count) = (load.name.clone(), whole(percentile::count(load)));
        [name, count, at(2.0), at(10.0), at(100.0), at(1e3), ms(percentile::slowest(load))]
    });
    let text = "In ms, by nearest rank, rounded up to the bound of the histogram's bucket. The buckets are in data/latency-*.csv.";
    sheet("Latency", text, ["load", "answers", "p50", "p90", "p99", "p99.9", "slowest"], rows.collect())
}

fn timelines(run: &Run) -> Sheet {
    let curves = |timeline: &Timeline| {
        let (name, unit) = (timeline.name.clone(), timeline.unit.clone());
        let is_rate = !is_count_so_far(timeline);
        let rows = timeline.series.iter().map(move |series| {
            let values = &series.values;
            let highest = values.iter().copied().fold(0.0, f64::max);
            let mean = figure(values.iter().sum::<f64>() / length(values.len().max(1)));
            let mean = if is_rate { mean } else { "–".to_owned() };
            let last = values.last().map_or_else(|| "–".to_owned(), |last| figure(*last));
            [name.clone(), series.name.clone(), unit.clone(), mean, figure(highest), last]
        });
        rows.collect::<Vec<_>>()
    };
    let head = ["picture", "curve", "unit", "mean", "highest step", "last step"];
    sheet("Over time", "The curves in figures.", head, run.timelines.iter().flat_map(curves).collect())
}

fn strategies(run: &Run) -> Sheet {
    let rows = ranked(&run.strategies).into_iter().map(|strategy| {
        [
            strategy.name.clone(),
            if is_exact(strategy) { "exact" } else { "inexact" }.to_owned(),
            figure(strategy.per_second),
            figure(strategy.p50_ms),
            figure(strategy.p99_ms),
            whole(strategy.oversold),
            whole(strategy.undersold),
            whole(strategy.out_of_order),
            end(strategy),
            strategy.note.clone(),
        ]
    });
    let head = [
        "way",
        "stock",
        "answers/s",
        "p50 ms",
        "p99 ms",
        "oversold",
        "undersold",
        "out of order",
        "end: answered",
        "note",
    ];
    sheet("Ways to sell a stock", "The same users, stock, PostgreSQL and Redis for each.", head, rows.collect())
}

fn cpu(run: &Run) -> Sheet {
    let processes = processes(&run.cpu);
    let rows = run.cpu.iter().map(|cost| {
        let spent = |name: &&str| {
            let own = cost.processes.iter().find(|process| process.process == *name);
            own.map_or_else(|| "–".to_owned(), |process| figure(process.us_per_claim))
        };
        let parts = processes.iter().map(spent);
        [cost.name.clone(), whole(cost.claims)].into_iter().chain(parts).chain([figure(total(cost))]).collect()
    });
    let head = ["load", "claims"].into_iter().chain(processes.iter().copied()).chain(["all together"]);
    Sheet {
        title: "CPU time a claim".into(),
        text: "In µs.".into(),
        head: head.map(str::to_owned).collect(),
        rows: rows.collect(),
    }
}

fn machine(machine: &Machine) -> Sheet {
    let rows = [
        ("processor", machine.cpu.clone()),
        ("cores", machine.cores.to_string()),
        ("memory", format!("{} GiB", figure(machine.memory_gib))),
        ("system", machine.os.clone()),
        ("kernel", machine.kernel.clone()),
        ("busy before the run", format!("{}% of all cores", tick((machine.busy_before_percent * 10.0).round() / 10.0))),
    ];
    sheet("Machine", "", ["part", "what"], rows.into_iter().map(|(part, what)| [part.to_owned(), what]).collect())
}

fn versions(run: &Run) -> Sheet {
    let rows = run.versions.iter().map(|version| [version.program.clone(), version.version.clone()]);
    sheet("Versions", "", ["program", "version"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{CpuCost, ProcessCost, Strategy, Table, Target, Version};

    fn complaint(run: &Run) -> Option<String> {
        Sheets::of(run).err().map(|error| error.to_string())
    }

    #[test]
    fn verdicts_are_in_the_last_column_of_the_first_table() {
        let target = |name: &str, met| Target { name: name.into(), met, ..Target::default() };
        let run = Run { targets: vec![target("fast", true), target("small", false)], ..Run::default() };
        let sheets = Sheets::of(&run).unwrap();
        assert_eq!(sheets.targets.head, ["name", "target", "figure", "spread", "met"]);
        let verdicts: Vec<&str> = sheets.targets.rows.iter().map(|row| row[4].as_str()).collect();
        assert_eq!(verdicts, ["yes", "no"]);
    }

    #[test]
    fn their_words_are_an_error_in_any_other_cell() {
        let cell = |text: &str| Table {
            title: "more".into(),
            head: vec!["a".into()],
            rows: vec![vec![text.into()]],
            ..Table::default()
        };
        for word in ["yes", "no", " No ", "YES", "yes\n"] {
            assert!(complaint(&Run { tables: vec![cell(word)], ..Run::default() }).is_some(), "{word:?}");
        }
        for word in ["none", "no errors", "", "exact"] {
            assert_eq!(complaint(&Run { tables: vec![cell(word)], ..Run::default() }), None, "{word:?}");
        }
        let head = Table { title: "more".into(), head: vec!["no".into()], ..Table::default() };
        let target = Target { name: "fast".into(), figure: "yes".into(), ..Target::default() };
        let version = Version { program: "git".into(), version: "no".into() };
        let machine = Machine { cpu: "no".into(), ..Machine::default() };
        let note = Strategy { note: "no".into(), ..Strategy::default() };
        let process = ProcessCost { process: "yes".into(), us_per_claim: 1.0 };
        let cost = CpuCost { processes: vec![process], ..CpuCost::default() };
        for run in [
            Run { tables: vec![head], ..Run::default() },
            Run { targets: vec![target], ..Run::default() },
            Run { versions: vec![version], ..Run::default() },
            Run { machine, ..Run::default() },
            Run { strategies: vec![note], ..Run::default() },
            Run { cpu: vec![cost], ..Run::default() },
        ] {
            let complaint = complaint(&run).unwrap();
            assert!(complaint.contains("only the verdict on a target"), "{complaint}");
        }
    }

    #[test]
    fn figures_stand_on_the_right_and_words_on_the_left() {
        let rows = vec![["1,204", "a", "–", "7.0.15"], ["0.5", "2", "7%", "8.0.1"]]
            .into_iter()
            .map(|row| row.map(str::to_owned));
        let sheet = sheet("t", "", ["x", "y", "z", "version"], rows.collect());
        assert_eq!([0, 1, 2, 3, 4].map(|column| sheet.is_numeric(column)), [true, false, true, false, false]);
    }
}
