//! The shipped rules and dashboards on a real Prometheus and Alertmanager, which watch the demo
//! from its first to its last minute.
//!
//! The story runs 60 times as fast as life, so durations in the rules are divided by 60.

use super::files::{file, panel_queries, rule_file, rule_queries, string, text};
use super::programs::{Inbox, Notified, Told, divided};
use super::unit::chosen;
use crate::support::prometheus::{Alertmanager, Prometheus, wait_for};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

const FACTOR: u32 = 60;
/// 5 minutes of calm, drift, the request, a new version, and its first quarter of an hour.
const STORY: &str = "32s";

/// Panels that have no data in this story, with the reason. `unit.rs` shows that they have with
/// data made for them.
const NOTHING_TO_SHOW: [(&str, &str); 9] = [
    ("model.json: Root mean squared error: ", "the model is no regression"),
    ("model.json: Mean and median absolute error: ", "the model is no regression"),
    ("model.json: Bias: ", "the model is no regression"),
    ("model.json: Explained variance (R2): ", "the model is no regression"),
    ("model.json: Macro averages: ", "the model has two classes"),
    ("model.json: Top-k accuracy: ", "the model has two classes"),
    ("daemon.json: Oldest request that waits: ", "requests are taken within a scrape"),
    ("daemon.json: annotation Start", "it starts before Prometheus looks"),
    ("model_version_window:tidemark_rmse_above_baseline:lower_ratio", "no regression"),
];

/// What fires during the story, besides the watchdog.
const ALERTS: [&str; 4] = [
    "TidemarkAccuracyBelowBaseline",
    "TidemarkFeatureDrift",
    "TidemarkPolicyFiring",
    "TidemarkRetrainingRequested",
];

struct Stage {
    demo: Told,
    prometheus: Prometheus,
    alertmanager: Alertmanager,
    inbox: Inbox,
    began_at: Timestamp,
    _home: TempDir,
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port").port()
}

/// The shipped Alertmanager configuration with less patience: what asks for a retraining goes to
/// the demo, what is for people into the inbox.
fn alertmanager_config(inbox: u16, demo: u16, token: &Path) -> String {
    let shipped = text(&file("alertmanager/alertmanager.yml"));
    let shipped = shipped.replace("tidemark:9464", &format!("127.0.0.1:{demo}"));
    let token = token.display().to_string();
    let shipped = shipped.replace("/etc/alertmanager/demo.token", &token);
    let (routes, receivers) = shipped.split_once("receivers:\n").expect("receivers come last");
    let url = format!("http://127.0.0.1:{inbox}/");
    let webhook = format!("\n    webhook_configs: [{{ url: \"{url}\", send_resolved: true }}]");
    let for_people = |line: &str| line.starts_with("  - name:") && !line.contains("retraining");
    let receivers: String = receivers
        .lines()
        .map(|line| format!("{line}{}\n", if for_people(line) { &webhook } else { "" }))
        .collect();
    let quick = [("10s", "200ms"), ("1m", "500ms"), ("4h", "1h"), ("5m", "1h")];
    let mut routes = routes.to_owned();
    for (slow, quick) in quick {
        routes = routes.replace(&format!(": {slow}\n"), &format!(": {quick}\n"));
    }
    format!("{routes}receivers:\n{receivers}")
}

fn prometheus_config(home: &TempDir, target: u16, alertmanager: u16) -> String {
    for name in ["recording", "alerts"] {
        let rules = divided(&text(&rule_file(name)), FACTOR);
        std::fs::write(home.path().join(format!("{name}.yml")), rules).expect("our own file");
    }
    let folder = home.path().display();
    format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms }}\n\
         rule_files: [\"{folder}/recording.yml\", \"{folder}/alerts.yml\"]\n\
         alerting:\n  alertmanagers:\n  \
         - static_configs: [{{ targets: [\"127.0.0.1:{alertmanager}\"] }}]\n\
         scrape_configs:\n- job_name: tidemark\n  \
         static_configs: [{{ targets: [\"127.0.0.1:{target}\"] }}]\n"
    )
}

impl Stage {
    fn set() -> Self {
        let home = tempfile::Builder::new().prefix("live-").tempdir().expect("a directory");
        let inbox = Inbox::open();
        let port = free_port();
        let state = home.path().join("state");
        let token = state.join("alertmanager.token");
        let alertmanager = Alertmanager::start(&alertmanager_config(inbox.port, port, &token));
        let config = prometheus_config(&home, port, alertmanager.port());
        let prometheus = Prometheus::start(&config, &["--rules.alert.resend-delay=500ms"]);
        let began_at = clock::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.args(["demo", "--for", STORY, "--port", &port.to_string(), "--state"]);
        command.arg(&state);
        command.env("TMPDIR", home.path()).env_remove("TIDEMARK_LOG");
        let demo = Told::start(&mut command, home.path());
        Self { demo, prometheus, alertmanager, inbox, began_at, _home: home }
    }

    /// Notifications of an alert's beginning, with this part in its labels.
    fn fired(&self, alert: &str, part: &str) -> Vec<Notified> {
        let seen = self.inbox.seen().into_iter();
        let fits = |one: &Notified| {
            one.firing && one.name() == alert && one.labels.to_string().contains(part)
        };
        seen.filter(fits).collect()
    }

    /// An end after this time. (A scrape that fails on a busy machine ends an alert for a moment.)
    fn ended(&self, alert: &str, part: &str, after: Timestamp) -> Option<Notified> {
        let seen = self.inbox.seen().into_iter();
        let fits = |one: &Notified| {
            let labels = one.labels.to_string();
            !one.firing && one.name() == alert && one.ends_at > after && labels.contains(part)
        };
        { seen }.find(fits)
    }

    fn first(&self, alert: &str, part: &str) -> Notified {
        let first = self.fired(alert, part).into_iter().min_by_key(|one| one.starts_at);
        first.unwrap_or_else(|| panic!("{alert} {part} did not fire: {:#?}", self.inbox.seen()))
    }

    /// Queries without data that should have some, and excuses that nobody needs.
    fn wrong_queries(&self, until: Timestamp) -> Vec<String> {
        let recording = rule_queries().into_iter().filter(|rule| !rule.is_alert);
        let (from, to) = (self.began_at.as_secs_f64(), until.as_secs_f64());
        let mut wrong = Vec::new();
        let mut excuses: BTreeSet<&str> = NOTHING_TO_SHOW.iter().map(|(place, _)| *place).collect();
        for query in panel_queries().into_iter().chain(recording) {
            let mut excuse = NOTHING_TO_SHOW.iter().map(|(place, _)| *place);
            if let Some(place) = excuse.find(|place| query.place.starts_with(place)) {
                excuses.remove(place);
                continue;
            }
            let expr = match &query.record {
                // What was recorded, not what it would be.
                Some(record) => record.clone(),
                None => chosen(&query.expr, "4s"),
            };
            let result = self.prometheus.range(&expr, from, to);
            if result.iter().all(|(_, values)| values.iter().all(|(_, value)| value.is_nan())) {
                wrong.push(format!("{} has no data: {expr}", query.place));
            }
        }
        wrong.extend(excuses.iter().map(|place| format!("{place} does not exist")));
        wrong
    }
}

#[track_caller]
fn between(what: &str, at: Timestamp, from: Timestamp, within: Span) {
    let late = (at - from).as_secs_f64();
    assert!((-0.5..within.as_secs_f64()).contains(&late), "{what}: {late} s after its cause");
}

#[test]
fn every_query_has_data_and_alerts_come_and_go_with_the_story() {
    let mut stage = Stage::set();
    let (turned_at, _) = stage.demo.at("married people begin to earn more");
    let (asked_at, asked) = stage.demo.at("retraining requested");
    let (live_at, _) = stage.demo.at("v8 is live");
    stage.demo.at("What happened");
    let ended_at = clock::now();

    let fell = stage.first("TidemarkPolicyFiring", "accuracy-fell");
    assert!(asked.contains("accuracy-fell of v7"), "{asked}");
    between("policy", fell.starts_at, asked_at, Span::from_secs(5));
    assert_eq!(fell.labels["version"], "v7");
    assert_eq!(fell.receiver, "on-call");
    let requested = stage.first("TidemarkRetrainingRequested", "accuracy-fell");
    between("request", requested.starts_at, asked_at, Span::from_secs(5));
    assert_eq!(requested.receiver, "nobody", "it is for the record");
    for alert in ["TidemarkAccuracyBelowBaseline", "TidemarkFeatureDrift"] {
        let first = stage.first(alert, "census");
        assert!(
            first.starts_at > turned_at && first.starts_at < live_at + Span::from_secs(8),
            "{first:?}"
        );
        assert_eq!(first.labels["version"], "v7", "{first:?}");
    }
    let drift = stage.first("TidemarkFeatureDrift", "census");
    assert!(string(&drift.annotations["description"]).contains("hours-per-week ("), "{drift:?}");
    assert!(!stage.fired("TidemarkWatchdog", "").is_empty());

    // Alertmanager told the daemon of the drift, again and again, and in two windows: one request.
    let decided = |decision: &str| {
        let labels = format!("policy=\"alert-fired\",decision=\"{decision}\"");
        let counted = format!("max_over_time(tidemark_policy_decisions_total{{{labels}}}[1m])");
        stage.prometheus.sum(&counted)
    };
    assert_eq!(decided("retrain"), 1.0);
    let delivered = "max_over_time(tidemark_outbox_delivered_total[1m])";
    assert_eq!(stage.prometheus.sum(delivered), 2.0, "the policy's own, and the alert's");
    let by_alert = stage.first("TidemarkRetrainingRequested", "alert-fired");
    assert!(by_alert.starts_at > drift.starts_at, "{by_alert:?}");

    // v7 is behind v8 by a quarter of an hour of the story: its alerts end.
    for (alert, part) in [("TidemarkPolicyFiring", "accuracy-fell"), ("TidemarkFeatureDrift", "5m")]
    {
        let ended = wait_for(&format!("{alert} ends"), || stage.ended(alert, part, live_at));
        assert!(ended.ends_at < ended_at + Span::from_secs(5), "{ended:?}");
    }
    let wrong = stage.wrong_queries(ended_at);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));

    // The demo has ended, and the daemon with it. 5 minutes are 5 seconds here.
    let down = wait_for("TidemarkDown fires", || stage.fired("TidemarkDown", "").pop());
    assert!(down.starts_at > ended_at, "{down:?}");
    assert_eq!(down.labels["severity"], "critical");

    let names: BTreeSet<String> =
        stage.inbox.seen().iter().map(|one| one.name().to_owned()).collect();
    let expected = ALERTS.iter().chain(&["TidemarkDown", "TidemarkWatchdog"]);
    assert_eq!(names, expected.map(|name| (*name).to_owned()).collect());
    for one in stage.inbox.seen() {
        let text = one.annotations.to_string();
        for fault in ["<no value>", "error executing", "{{", "<nil>"] {
            assert!(!text.contains(fault), "{text}");
        }
    }
    rules_are_well(&stage.prometheus);
    stage.alertmanager.stop();
}

fn rules_are_well(prometheus: &Prometheus) {
    let groups = prometheus.ask("/api/v1/rules");
    let groups = groups["groups"].as_array().expect("groups");
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules"));
    let ill: Vec<&Value> = rules.filter(|rule| rule["health"] != "ok").collect();
    assert!(ill.is_empty() && groups.len() == 3, "{ill:?}");
}
