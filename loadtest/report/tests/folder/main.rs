//! A report as a reader finds it: which files there are, whether they hold together, and what happens to bad data.

mod invented;
mod support;

use std::fs;

use report::data::{Latencies, Run, Series, Table, Timeline};
use support::{files, folder, is_shown, links, tables};

#[test]
fn everything_that_the_markdown_links_to_is_there() {
    let folder = folder("links");
    report::write(&invented::run(), &folder).unwrap();
    let text = fs::read_to_string(folder.join("report.md")).unwrap();
    let links = links(&text);
    for link in &links {
        assert!(folder.join(link).is_file(), "{link} is not there");
    }
    let pictures = files(&folder.join("pictures"), "svg");
    assert_eq!(links.iter().filter(|link| link.starts_with("pictures/")).count(), pictures.len());
    assert_eq!(pictures.len(), 6, "{pictures:?}");
    assert!(links.contains(&"data/run.json".to_owned()) && links.contains(&"index.html".to_owned()), "{links:?}");
}

#[test]
fn the_first_table_is_the_targets_and_no_other_has_a_verdict() {
    let folder = folder("verdicts");
    let run = invented::run();
    report::write(&run, &folder).unwrap();
    let tables = tables(&fs::read_to_string(folder.join("report.md")).unwrap());
    assert_eq!(tables[0][0], ["name", "target", "figure", "spread", "met"]);
    let lines = &tables[0][2..];
    assert_eq!(lines.len(), run.targets.len());
    for (line, target) in lines.iter().zip(&run.targets) {
        assert_eq!((line[0].as_str(), line[4].as_str()), (target.name.as_str(), if target.met { "yes" } else { "no" }));
    }
    assert!(tables.len() > 5, "only {} tables", tables.len());
    for cell in tables[1..].iter().flatten().flatten() {
        assert!(cell != "yes" && cell != "no", "a verdict outside of the targets");
    }
}

#[test]
fn a_verdict_elsewhere_is_an_error_and_loses_no_data() {
    let folder = folder("words");
    let mut run = invented::run();
    run.tables.push(Table {
        title: "lost claims".into(),
        head: vec!["lost".into()],
        rows: vec![vec!["no".into()]],
        ..Table::default()
    });
    let error = report::write(&run, &folder).unwrap_err().to_string();
    assert!(error.contains("lost claims") && error.contains("only the verdict on a target"), "{error}");
    assert!(!folder.join("report.md").exists());
    assert!(report::read(&folder).unwrap() == run, "the data are others");
}

#[test]
fn every_picture_is_valid_and_needs_nothing_from_outside() {
    let folder = folder("pictures");
    report::write(&invented::run(), &folder).unwrap();
    for path in files(&folder.join("pictures"), "svg") {
        let text = fs::read_to_string(&path).unwrap();
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let root = document.root_element();
        assert_eq!(root.tag_name().namespace(), Some("http://www.w3.org/2000/svg"));
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            for attribute in node.attributes() {
                let value = attribute.value();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{}: {value}", path.display());
                assert!(!value.contains("://") && attribute.name() != "href", "{}: {value}", path.display());
                if let Some(id) = value.strip_prefix("url(#").and_then(|rest| rest.strip_suffix(')')) {
                    let named = document.descendants().filter(|node| node.attribute("id") == Some(id)).count();
                    assert_eq!(named, 1, "{}: #{id}", path.display());
                }
            }
        }
    }
}

#[test]
fn the_page_is_one_file_and_its_pictures_are_within() {
    let folder = folder("page");
    report::write(&invented::run(), &folder).unwrap();
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    for outside in ["src=", "@import", "<link rel=\"stylesheet\"", "http:", "https:", "url(h"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Each twice, for wide screens and for phones; a page that is no XML may still hold elements that are.
    let pictures: Vec<&str> =
        page.split("<svg").skip(1).map(|rest| &rest[..rest.find("</svg>").expect("an end")]).collect();
    assert_eq!(pictures.len(), 12);
    let mut ids = Vec::new();
    for picture in &pictures {
        let text = format!("<svg{picture}</svg>");
        let document = roxmltree::Document::parse(&text).unwrap();
        ids.extend(document.descendants().filter_map(|node| node.attribute("id").map(str::to_owned)));
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert!(all > 0 && ids.len() == all, "an id is given twice");
}

#[test]
fn hostile_names_stay_text() {
    let folder = folder("hostile");
    let name = "a <script>alert(\"&\")</script> | `b` </svg>";
    let mut run = invented::run();
    run.latencies[0].name = name.into();
    run.timelines[0].name = name.into();
    run.timelines[0].series[0].name = name.into();
    run.strategies[0].name = name.into();
    run.cpu[0].processes[0].process = name.into();
    run.targets[0].name = name.into();
    run.tables[0].rows[0][0] = name.into();
    run.notes.push(name.into());
    run.commands.push(name.into());
    report::write(&run, &folder).unwrap();
    for path in files(&folder.join("pictures"), "svg") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(roxmltree::Document::parse(&text).is_ok(), "{}", path.display());
    }
    let page = fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page.contains("a &lt;script&gt;") && !page.contains("<script>alert"));
    let text = fs::read_to_string(folder.join("report.md")).unwrap();
    assert!(tables(&text)[0][2..].iter().all(|line| line.len() == 5), "{text}");
}

#[test]
fn empty_series_and_single_samples_are_drawn() {
    let folder = folder("empty");
    let series = |values: Vec<f64>| vec![Series { name: "201".into(), values }];
    let timeline = |name: &str, stacked, values| Timeline {
        name: name.into(),
        unit: "answers/s".into(),
        step_ms: 100,
        stacked,
        series: series(values),
    };
    let run = Run {
        latencies: vec![
            Latencies { name: "none".into(), buckets: Vec::new() },
            Latencies { name: "one".into(), buckets: vec![(1_500, 1)] },
        ],
        timelines: vec![
            timeline("none", true, Vec::new()),
            timeline("one area", true, vec![3.0]),
            timeline("one dot", false, vec![3.0]),
            timeline("zeros", true, vec![0.0; 5]),
        ],
        ..Run::default()
    };
    report::write(&run, &folder).unwrap();
    assert_eq!(files(&folder.join("pictures"), "svg").len(), 5);
    assert_eq!(fs::read_to_string(folder.join("data/latency-one.csv")).unwrap(), "upper_bound_us,count\n1500,1\n");
    assert_eq!(fs::read_to_string(folder.join("data/latency-none.csv")).unwrap(), "upper_bound_us,count\n");
    assert!(is_shown(&folder, "latency", "one") && is_shown(&folder, "time-none", "nothing was counted"));

    report::write(&Run::default(), &folder).unwrap();
    assert!(files(&folder.join("pictures"), "svg").is_empty() && files(&folder.join("data"), "csv").is_empty());
}

#[test]
fn what_was_drawn_is_drawn_again_from_its_data() {
    let folder = folder("again");
    let run = invented::run();
    report::write(&run, &folder).unwrap();
    let first = fs::read_to_string(folder.join("index.html")).unwrap();
    fs::remove_file(folder.join("index.html")).unwrap();
    fs::write(folder.join("pictures/of-an-earlier-run.svg"), "<svg/>").unwrap();
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_report")).arg(&folder).status().unwrap();
    assert!(status.success());
    assert!(report::read(&folder).unwrap() == run, "the data are others");
    assert!(fs::read_to_string(folder.join("index.html")).unwrap() == first, "the page is another");
    assert!(!folder.join("pictures/of-an-earlier-run.svg").exists());
}
