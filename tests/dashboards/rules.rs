//! The Prometheus rules: well formed, and each alert tested by promtool on the files as they are.

use super::files::{RULE_FILES, alerts, file, list, rule_file, string, text, yaml};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const SEVERITIES: [&str; 4] = ["critical", "warning", "info", "none"];

pub fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs a tool that has to be content.
pub fn content(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program}: {error} (Debian: apt-get install prometheus prometheus-alertmanager)")
    });
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{program}: {said}");
    said
}

#[test]
fn promtool_and_amtool_accept_the_files() {
    for name in RULE_FILES {
        let said = content("promtool", &["check", "rules", "--lint-fatal"], &rule_file(name));
        assert!(said.contains("SUCCESS"), "{said}");
    }
    content("promtool", &["check", "config"], &file("prometheus/prometheus.yml"));
    content("amtool", &["check-config"], &file("alertmanager/alertmanager.yml"));
}

#[test]
fn each_alert_says_how_bad_it_is_and_what_it_means() {
    let mut seen = BTreeSet::new();
    for alert in alerts() {
        let name = string(&alert["alert"]);
        assert!(name.starts_with("Tidemark") && seen.insert(name.to_owned()), "{name}");
        let severity = string(&alert["labels"]["severity"]);
        assert!(SEVERITIES.contains(&severity), "{name}: {severity}");
        let summary = string(&alert["annotations"]["summary"]);
        assert!(summary.ends_with('.') && !summary.contains("{{"), "{name}: {summary}");
        let description = string(&alert["annotations"]["description"]);
        assert!(description.trim().ends_with('.'), "{name}: {description}");
        assert!(description != summary, "{name}");
    }
    assert!(seen.len() > 25, "{seen:?}");
}

/// The test files. promtool takes longer the more often rules are evaluated, so those of alerts
/// that look back for days have a file with longer steps.
const TESTS: [&str; 2] = ["alerts", "alerts-slow"];

fn tests_of(name: &str) -> PathBuf {
    root("tests/dashboards").join(format!("{name}.test.yml"))
}

/// What promtool is asked about: that an alert is silent at a time, or fires.
#[test]
fn each_alert_fires_and_is_silent_when_it_should() {
    let (mut fires, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for name in TESTS {
        let path = tests_of(name);
        for test in list(&yaml(&path)["tests"]) {
            for one in list(&test["promql_expr_test"]) {
                let alert = string(&one["expr"]).split('"').nth(1).unwrap().to_owned();
                let none = list(&one["exp_samples"]).is_empty();
                if none { &mut silent } else { &mut fires }.insert(alert);
            }
        }
        content("promtool", &["test", "rules"], &path);
    }
    let names: BTreeSet<String> =
        alerts().iter().map(|alert| string(&alert["alert"]).to_owned()).collect();
    assert_eq!(fires, names);
    silent.insert("TidemarkWatchdog".to_owned());
    assert_eq!(silent, names);
}

/// Without its `for`, or with its comparison turned round, an alert does not pass: the tests above
/// are sharp.
#[test]
fn promtool_notices_an_alert_that_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let rules = text(&rule_file("alerts"));
    std::fs::copy(rule_file("recording"), folder.path().join("recording.yml")).unwrap();
    let mut starts: Vec<usize> = rules.match_indices("      - alert: ").map(|(at, _)| at).collect();
    starts.push(rules.len());
    let mut passed = Vec::new();
    let mut tried = 0;
    for ends in starts.windows(2) {
        let alert = &rules[ends[0]..ends[1]];
        // Of the last one in a group, without the next group.
        let alert = alert.split("\n  - name:").next().unwrap();
        let name = alert.split_whitespace().nth(2).unwrap();
        let tests = only_tests_of(name);
        for changed in changes(alert) {
            let file = format!("groups:\n  - name: changed\n    rules:\n{changed}\n");
            std::fs::write(folder.path().join("alerts.yml"), file).unwrap();
            std::fs::write(folder.path().join("tests.yml"), &tests).unwrap();
            let mut promtool = Command::new("promtool");
            let tests = folder.path().join("tests.yml");
            tried += 1;
            if promtool.args(["test", "rules"]).arg(tests).output().unwrap().status.success() {
                passed.push(changed);
            }
        }
    }
    assert!(passed.is_empty(), "promtool does not notice:\n{}", passed.join("\n"));
    assert!(tried > 40, "{tried}");
}

fn only_tests_of(alert: &str) -> String {
    for name in TESTS {
        let mut tests = yaml(&tests_of(name));
        let all = tests["tests"].as_array_mut().unwrap();
        all.retain(|test| test["name"] == alert);
        if !all.is_empty() {
            tests["group_eval_order"] = json!(["tidemark-recording", "changed"]);
            tests["rule_files"] = json!(["recording.yml", "alerts.yml"]);
            return tests.to_string();
        }
    }
    panic!("{alert} has no test");
}

fn changes(alert: &str) -> Vec<String> {
    let mut changed = Vec::new();
    if alert.contains("TidemarkWatchdog") {
        return changed;
    }
    if let Some(at) = alert.find("        for: ") {
        let end = at + alert[at..].find('\n').expect("a line") + 1;
        changed.push([&alert[..at], &alert[end..]].concat());
    }
    let expr = alert.find("expr: ").expect("an expression");
    let end = expr + alert[expr..].find("labels:").expect("labels");
    for (from, to) in [(" > ", " <= "), (" == ", " != ")] {
        if let Some(at) = alert[expr..end].find(from) {
            let at = expr + at;
            changed.push([&alert[..at], to, &alert[at + from.len()..]].concat());
            break;
        }
    }
    changed
}
