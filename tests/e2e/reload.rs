//! A reload is a restart without a process: nothing is lost, nothing counts twice, and what cannot
//! be used changes nothing.

use crate::e2e::daemon::{Installation, Running};
use crate::e2e::toy::{Rows, Toy, WINDOW};
use crate::support::kafka_broker::shared;
use crate::support::scrape::Scrape;
use serde_json::Value;
use std::collections::BTreeMap;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

fn an_hour_ago() -> Timestamp {
    (clock::now() - Span::from_hours(1)).floor(WINDOW, Timestamp(0))
}

/// Windows in a row, from this number on; every third of them is bad.
fn windows(toy: &Toy, start: Timestamp, numbers: std::ops::Range<i64>) -> Rows {
    let mut rows = Rows::default();
    for at in numbers {
        let wrong = if at % 3 == 0 { 3 } else { 50 };
        rows.add(toy.window(start + Span(WINDOW.0 * at), 100, Some(wrong)));
    }
    rows
}

const ACCURACY: &str =
    "{ name: accuracy, metric: accuracy, below: 0.9, label_age: 2s, min_labels: 50 }";
const ERRORS: &str =
    "{ name: errors, metric: accuracy, below: 0.5, label_age: 2s, min_labels: 50 }";

fn config(toy: &Toy, policies: &[&str], top: &str) -> String {
    toy.config(top, &format!("    policies: [{}]", policies.join(", ")))
        // What comes in several parts is not taken for the end.
        .replace("idle_after: 1s", "idle_after: 2h")
}

/// What comes so much later that the windows before it are judged.
fn end(toy: &Toy, start: Timestamp) -> Rows {
    windows(toy, start, 60..61)
}

/// All series that must not depend on when the configuration was loaded.
fn counted(scrape: &Scrape) -> BTreeMap<String, f64> {
    let families = [
        "tidemark_predictions_total",
        "tidemark_labeled_predictions_total",
        "tidemark_prediction_rows_total",
        "tidemark_label_rows_total",
        "tidemark_rows_read_total",
        "tidemark_policy_decisions_total",
    ];
    let samples = families.iter().flat_map(|family| scrape.all(family, &[]));
    let mut counted = BTreeMap::new();
    for sample in samples {
        counted.insert(format!("{} {:?}", sample.name, sample.labels), sample.value);
    }
    counted
}

/// Until all is read, of these windows and the one that ends them.
fn wait_for_decisions(daemon: &Running, count: i64) -> Scrape {
    let rows = 2 * 100 * (count + 1);
    daemon.wait_for(&format!("{count} decisions of each policy"), |scrape| {
        let read = scrape.sum("tidemark_rows_read_total", &[]) == rows as f64;
        let of =
            |policy: &str| scrape.sum("tidemark_policy_decisions_total", &[("policy", policy)]);
        read && of("accuracy") == count as f64 && of("errors") == count as f64
    })
}

fn reload(daemon: &Running) -> (u16, String) {
    daemon.post("/-/reload", "", "")
}

#[test]
fn reloads_in_the_middle_of_reading_lose_nothing_and_count_nothing_twice() {
    let toy = Toy::create(shared(), 2);
    let start = an_hour_ago();
    let both = config(&toy, &[ACCURACY, ERRORS], "");
    // The order of policies, a webhook, how often state is kept: all may change.
    let turned = config(
        &toy,
        &[ERRORS, ACCURACY],
        "webhooks: [{ name: trainer, url: \"http://127.0.0.1:1/\" }]",
    )
    .replace("checkpoint_every: 200ms", "checkpoint_every: 700ms");
    let mut installation = Installation::new(&both);
    toy.produce(shared(), &windows(&toy, start, 0..10));
    let daemon = installation.start();
    let mut hash = String::new();
    for (round, next) in [&turned, &both, &turned].into_iter().enumerate() {
        // Not always after everything was read: the first right away, the others while it reads.
        let from = 10 * (round as i64 + 1);
        toy.produce(shared(), &windows(&toy, start, from..from + 10));
        installation.configured(next).render();
        let (status, text) = reload(&daemon);
        assert_eq!(status, 200, "{text}\n{}", daemon.log());
        assert!(text.starts_with("reloaded, plan ") && text != hash, "{text}");
        hash = text;
        let scrape = daemon.metrics();
        assert_eq!(scrape.get("tidemark_config_last_reload_successful", &[]), Some(1.0));
    }
    toy.produce(shared(), &end(&toy, start));
    daemon.wait_until_ready();
    let scrape = wait_for_decisions(&daemon, 40);
    assert!(daemon.stop().success());

    let mut other = Installation::new(&both.replace(&toy.group, &format!("{}-other", toy.group)));
    let undisturbed = other.start();
    let expected = wait_for_decisions(&undisturbed, 40);
    assert!(undisturbed.stop().success());
    assert_eq!(counted(&scrape), counted(&expected));
    let bad = [("policy", "accuracy"), ("decision", "alert")];
    assert_eq!(scrape.sum("tidemark_policy_decisions_total", &bad), 14.0);
}

#[test]
fn a_bad_configuration_changes_nothing_and_all_its_faults_are_told() {
    let toy = Toy::create(shared(), 2);
    let good = config(&toy, &[ACCURACY, ERRORS], "");
    let mut installation = Installation::new(&good);
    let daemon = installation.start();
    daemon.wait_until_ready();
    let before = daemon.metrics();
    let loaded_at = "tidemark_config_last_reload_success_timestamp_seconds";
    let successful = "tidemark_config_last_reload_successful";

    let bad = good.replace("horizon: 2h", "horizon: 2y").replace("task: binary", "taks: binary");
    installation.configured(&bad).render();
    let (status, text) = daemon.post("/-/reload", "Accept: application/json\r\n", "");
    assert_eq!(status, 422, "{text}");
    let said: Value = serde_json::from_str(&text).unwrap();
    let faults = said["error"]["faults"].as_array().unwrap();
    for (path, message) in [("models[0].taks", "unknown option"), ("models[0].labels.horizon", "")]
    {
        let fault = faults.iter().find(|fault| fault["path"] == path);
        let fault = fault.unwrap_or_else(|| panic!("no fault of {path}: {text}"));
        assert!(fault["line"].as_u64().unwrap() > 1, "{text}");
        assert!(fault["message"].as_str().unwrap().contains(message), "{text}");
    }
    let scrape = daemon.metrics();
    assert_eq!(scrape.get(successful, &[]), Some(0.0));
    assert_eq!(scrape.get(loaded_at, &[]), before.get(loaded_at, &[]));

    // Right in itself, and yet it cannot take the place of what runs.
    for (from, to, part) in [
        ("/state\"", "/elsewhere\"", "state.url: changes only at a restart"),
        ("127.0.0.1:0", "127.0.0.1:1", "http.listen: changes only at a restart"),
        ("windows: [10s]", "windows: [5s, 10s]", "models[0] (toy): the layout changed"),
    ] {
        let text = std::fs::read_to_string(installation.config_file()).unwrap();
        installation.configured(&good).render();
        let right = std::fs::read_to_string(installation.config_file()).unwrap();
        assert!(right.contains(from), "{from}: {right}");
        std::fs::write(installation.config_file(), right.replacen(from, to, 1)).unwrap();
        let (status, said) = reload(&daemon);
        assert_eq!(status, 422, "{said}");
        assert!(said.contains(part), "{said}\n{text}");
    }
    assert_eq!(daemon.get("/-/ready").0, 200);
    assert!(daemon.log().contains("unknown option"), "{}", daemon.log());
    assert!(daemon.log().contains("changes only at a restart"), "{}", daemon.log());

    // What is right again is taken up, by a signal too.
    installation.configured(&good.replace("checkpoint_every: 200ms", "checkpoint_every: 300ms"));
    installation.render();
    daemon.hang_up();
    daemon.wait_for("the reload by SIGHUP", |scrape| {
        scrape.get(successful, &[]) == Some(1.0)
            && scrape.get(loaded_at, &[]) > before.get(loaded_at, &[])
    });
    daemon.wait_until_ready();
    let start = an_hour_ago();
    toy.produce(shared(), &windows(&toy, start, 0..3));
    toy.produce(shared(), &end(&toy, start));
    wait_for_decisions(&daemon, 3);
    assert!(daemon.stop().success());
}

#[test]
fn reloads_at_once_come_one_after_the_other_and_http_answers_meanwhile() {
    let toy = Toy::create(shared(), 2);
    let mut installation = Installation::new(&config(&toy, &[ACCURACY, ERRORS], ""));
    let daemon = installation.start();
    daemon.wait_until_ready();
    std::thread::scope(|scope| {
        let reloads: Vec<_> = (0..4).map(|_| scope.spawn(|| reload(&daemon))).collect();
        while reloads.iter().any(|reload| !reload.is_finished()) {
            assert_eq!(daemon.get("/-/healthy").0, 200);
            let (status, text) = daemon.get("/-/ready");
            assert!(matches!(status, 200 | 503), "{text}");
        }
        for reload in reloads {
            let (status, text) = reload.join().unwrap();
            assert_eq!(status, 200, "{text}");
        }
    });
    assert!(daemon.log().contains("reason=\"reloading\""), "{}", daemon.log());
    daemon.wait_until_ready();
    let start = an_hour_ago();
    toy.produce(shared(), &windows(&toy, start, 0..3));
    toy.produce(shared(), &end(&toy, start));
    wait_for_decisions(&daemon, 3);
    assert!(daemon.stop().success());
}
