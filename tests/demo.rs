//! The demo as a process: what a stranger sees first.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tidemark::io::clock::monotonic;

fn tidemark(scratch: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command.args(arguments).env("TMPDIR", scratch).env_remove("TIDEMARK_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A demo that runs, and is killed if the test ends before.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    fn start(scratch: &Path, arguments: &[&str]) -> Self {
        let mut child = tidemark(scratch, arguments).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that holds this.
    fn line(&mut self, with: &str) -> String {
        self.lines.by_ref().map(|line| line.unwrap()).find(|line| line.contains(with)).unwrap()
    }

    /// The rest of the output, the exit code and the errors.
    fn end(&mut self) -> (Vec<String>, Option<i32>, String) {
        let rest = self.lines.by_ref().map(|line| line.unwrap()).collect();
        let code = self.child.wait().unwrap().code();
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (rest, code, errors)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_empty(directory: &Path) -> bool {
    directory.read_dir().unwrap().next().is_none()
}

/// The last three numbers before the words of a row: before, lowest, after.
fn numbers(report: &[String], row: &str) -> [f64; 3] {
    let line = report.iter().find(|line| line.trim_start().starts_with(row));
    let line = line.unwrap_or_else(|| panic!("no `{row}` in\n{}", report.join("\n")));
    let numbers: Vec<f64> =
        line.split_whitespace().filter_map(|word| word.parse().ok()).take(3).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("not three numbers: {line}"))
}

#[test]
fn in_twenty_seconds_the_demo_finds_the_drift_and_gets_a_better_model() {
    let scratch = TempDir::new().unwrap();
    let mut demo = Demo::start(scratch.path(), &["demo", "--for", "20s", "--port", "0"]);
    let url = demo.line("metrics at http://127.0.0.1:");
    let address = url.split("//").nth(1).unwrap().split('/').next().unwrap().to_owned();
    demo.line("first numbers: accuracy of v7");
    let mut metrics = TcpStream::connect(&address).unwrap();
    metrics.write_all(b"GET /metrics HTTP/1.0\r\nHost: demo\r\n\r\n").unwrap();
    let mut text = String::new();
    metrics.read_to_string(&mut text).unwrap();
    assert!(text.contains("tidemark_accuracy_ratio{model=\"census\",version=\"v7\""), "{text}");

    demo.line("What happened");
    let (report, code, errors) = demo.end();
    let all = format!("{}\n{errors}", report.join("\n"));
    assert_eq!(code, Some(0), "{all}");
    assert_eq!(errors, "");
    assert!(all.contains(": retraining requested"), "{all}");
    assert!(all.contains("the trainer has retrain-"), "{all}");
    assert!(all.contains("delivered, status 204, signature verified"), "{all}");
    assert!(all.contains("v8 is live"), "{all}");
    assert!(all.contains("healthy again"), "{all}");
    let [before, lowest, after] = numbers(&report, "marital-status=Married-civ-spouse");
    assert!(lowest < before - 0.1 && after > lowest + 0.1, "{all}");
    let [never, lowest, _] = numbers(&report, "marital-status=Never-married");
    assert!((lowest - never).abs() < 0.06, "{all}");
    assert!(is_empty(scratch.path()), "the demo removes its files");
}

#[test]
fn ctrl_c_ends_the_demo_soon_and_in_order_and_its_files_stay_where_they_were_asked_for() {
    let scratch = TempDir::new().unwrap();
    let state = scratch.path().join("state");
    let directory = state.to_str().unwrap();
    let arguments = ["demo", "--port", "0", "--state", directory];
    let mut demo = Demo::start(scratch.path(), &arguments);
    demo.line("first numbers");
    let id = demo.child.id().to_string();
    let asked_at = monotonic();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let (report, code, errors) = demo.end();
    let took = monotonic().duration_since(asked_at);
    assert_eq!(code, Some(0), "{}\n{errors}", report.join("\n"));
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(report.iter().any(|line| line == "What happened"));

    let config = state.join("demo.yaml");
    let checked = tidemark(scratch.path(), &["check", "-c", config.to_str().unwrap()]);
    let checked = { checked }.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(!is_empty(&state.join("state")));
    let again = tidemark(scratch.path(), &arguments).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("state is not empty"));
}
