//! Checkpoints of every released format version open in the newest program.
//!
//! `tests/checkpoint/golden/vN` holds a state that a daemon of that version wrote: its files, its
//! configuration, and what `tidemark state show` said of it. `UPDATE=1` writes the newest version's
//! anew: only before that version is released.

use crate::e2e::daemon::Installation;
use crate::e2e::toy::{Toy, WINDOW, label, prediction};
use crate::support::kafka_broker::shared;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

const NEWEST: &str = "v1";
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/checkpoint/golden")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry").path();
        let target = to.join(entry.file_name().expect("it has a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("a copy");
        }
    }
}

fn show(state: &Path, config: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .args(["state", "show", "--json", "-c"])
        .arg(config)
        .output()
        .expect("the program");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {output:?}", state.display());
    serde_json::from_str(&text).expect("JSON")
}

fn config(toy: &Toy) -> String {
    toy.config("", MORE).replace("idle_after: 1s", "idle_after: 7d")
}

/// A state with something of everything: pairs, corrections, rows that wait on both sides, deltas.
fn write(folder: &Path) {
    let toy = Toy::create(shared(), 2);
    let mut installation = Installation::new(&config(&toy));
    let daemon = installation.start();
    let start = (clock::now() - Span::from_hours(1)).floor(WINDOW, Timestamp(0));
    for window in 0..3 {
        let mut rows = toy.window(start + Span(WINDOW.0 * window), 20, Some(3));
        let last = start + Span(WINDOW.0 * (window + 1)) - Span::from_secs(1);
        rows.predictions.push(prediction(&format!("unlabelled-{window}"), last));
        rows.labels.push(label(&format!("early-{window}"), last, 1));
        rows.labels.push(label(&format!("{}-0", (start + Span(WINDOW.0 * window)).0), last, 1));
        toy.produce(shared(), &rows);
        let pairs = 20.0 * (window + 1) as f64;
        daemon.wait_for("the pairs are durable", |scrape| {
            scrape.sum("tidemark_labeled_predictions_total", &[]) == pairs
        });
    }
    assert!(daemon.stop().success());
    let _ = std::fs::remove_dir_all(folder);
    copy(&installation.home().join("state"), &folder.join("state"));
    let config = config(&toy).replace("@LISTEN", "127.0.0.1:0");
    // Nobody is there to be asked.
    let config = config.replace(&shared().bootstrap(), "127.0.0.1:1");
    std::fs::write(folder.join("tidemark.yaml"), config).expect("our folder");
}

/// Of the model, so that its checkpoint has policies and slices.
const MORE: &str = "
    policies: [{ name: fell, metric: accuracy, below: 0.5, label_age: 10s, action: alert }]
";

#[test]
fn checkpoints_of_every_released_format_open_in_this_program() {
    if std::env::var_os("UPDATE").is_some() {
        write(&golden().join(NEWEST));
    }
    let versions = std::fs::read_dir(golden()).expect("golden checkpoints are kept");
    let mut count = 0;
    for version in versions {
        let folder = version.expect("an entry").path();
        count += 1;
        let config = std::fs::read_to_string(folder.join("tidemark.yaml")).expect("it is kept");
        let mut installation = Installation::new(&config);
        installation.render();
        let state = installation.home().join("state");
        copy(&folder.join("state"), &state);
        let shown = show(&state, &installation.config_file());
        for one in shown["lineages"].as_array().expect("a list") {
            assert_eq!(one["restore"]["fits"], true, "{one:#}");
            assert_eq!(one["fault"], Value::Null, "{one:#}");
            assert_eq!(one["restore"]["skipped"].as_array().map(Vec::len), Some(0), "{one:#}");
        }
        let expected = folder.join("show.json");
        if std::env::var_os("UPDATE").is_some() && folder.ends_with(NEWEST) {
            std::fs::write(&expected, format!("{shown:#}\n")).expect("our folder");
        }
        let expected = std::fs::read_to_string(&expected).expect("it is kept");
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        assert_eq!(shown, expected, "{}", folder.display());
        // The daemon takes its models up, and waits for a broker.
        let daemon = installation.start();
        daemon.wait_until_ready_says(503, "kafka");
        assert!(!daemon.log().contains("WARN") || !daemon.log().contains("falling back"));
        assert!(daemon.stop().success());
    }
    assert!(count > 0);
}
