//! Bad input, missing parts and parts that go away: all of it is told, counted and survived.

use crate::e2e::census;
use crate::e2e::daemon::{Installation, Running};
use crate::e2e::toy::{Rows, Toy, WINDOW, label, prediction};
use crate::support::kafka_broker::{BrokerOptions, KafkaBroker, shared};
use crate::support::kafka_client::{Incoming, Outgoing, unique};
use crate::support::scrape::Scrape;
use std::path::{Path, PathBuf};
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

fn an_hour_ago() -> Timestamp {
    (clock::now() - Span::from_hours(1)).floor(WINDOW, Timestamp(0))
}

/// Waits until so many pairs are durable, so many of them right.
fn wait_for_pairs(daemon: &Running, pairs: usize, right: usize) -> Scrape {
    daemon.wait_for(&format!("{pairs} pairs, {right} right"), |scrape| {
        let of = |outcome: &str| {
            scrape.sum("tidemark_labeled_predictions_total", &[("outcome", outcome)])
        };
        of("tp") == right as f64 && of("tp") + of("fp") == pairs as f64
    })
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_ends_with_code_2() {
    let toy = Toy::named(shared());
    let config = toy.config("", "    no_such_key: 1");
    let output = Installation::new(&config).run_to_end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no_such_key") && text.contains("tidemark.yaml"), "{text}");
}

#[test]
fn the_profile_of_another_model_is_refused() {
    let toy = Toy::named(shared());
    let reference = format!("    reference: {{ default: {} }}", census::profile().display());
    let output = Installation::new(&toy.config("", &reference)).run_to_end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("income") && text.contains("reference"), "{text}");
}

#[test]
fn a_missing_topic_is_told_and_read_once_it_is_there() {
    let toy = Toy::named(shared());
    let mut installation = Installation::new(&toy.config("", ""));
    let daemon = installation.start();
    shared().create_topic(&toy.labels, 2);
    let missing = format!("topic {} does not exist", toy.predictions);
    daemon.wait_until_ready_says(503, &missing);
    assert_eq!(daemon.get("/-/healthy").0, 200);
    shared().create_topic(&toy.predictions, 2);
    daemon.wait_until_ready();
    toy.produce(shared(), &toy.window(an_hour_ago(), 60, Some(3)));
    wait_for_pairs(&daemon, 60, 40);
    assert!(daemon.stop().success());
}

#[test]
fn a_broker_may_be_away_at_the_start_and_in_the_middle() {
    let mut broker = KafkaBroker::start(BrokerOptions::default());
    let toy = Toy::create(&broker, 2);
    let start = an_hour_ago();
    toy.produce(&broker, &toy.window(start, 60, Some(3)));
    broker.stop();
    let mut installation = Installation::new(&toy.config("", ""));
    let daemon = installation.start();
    daemon.wait_until_ready_says(503, "no kafka broker can be reached");
    broker.restart();
    daemon.wait_until_ready();
    wait_for_pairs(&daemon, 60, 40);
    broker.kill9();
    daemon.wait_until_ready_says(503, "no kafka broker can be reached");
    assert_eq!(daemon.get("/-/healthy").0, 200);
    broker.restart();
    toy.produce(&broker, &toy.window(start + WINDOW, 60, Some(3)));
    daemon.wait_until_ready();
    let scrape = wait_for_pairs(&daemon, 120, 80);
    assert_eq!(scrape.sum("tidemark_rows_read_total", &[]), 240.0, "none twice");
    broker.stop();
    assert!(daemon.stop().success(), "it stops without a broker too");
}

#[test]
fn a_static_member_that_is_fenced_comes_back_once_and_then_gives_way() {
    let toy = Toy::create(shared(), 2);
    let start = an_hour_ago();
    let mut installation = Installation::new(&toy.config("", ""));
    let mut daemon = installation.start();
    toy.produce(shared(), &toy.window(start, 60, Some(3)));
    wait_for_pairs(&daemon, 60, 40);
    // A commit on its way while a session ends does the same, but not at will.
    let rival = shared().static_member(&toy.group, "one", &[&toy.predictions, &toy.labels]);
    daemon.wait_until_log_says("starting a new consumer");
    daemon.wait_until_ready();
    toy.produce(shared(), &toy.window(start + WINDOW, 60, Some(3)));
    wait_for_pairs(&daemon, 120, 80);
    drop(rival);
    let rival = shared().static_member(&toy.group, "one", &[&toy.predictions, &toy.labels]);
    assert_eq!(daemon.wait_for_end().code(), Some(1));
    assert!(daemon.log().contains("FencedInstanceId"), "{}", daemon.log());
    drop(rival);
}

/// Records that are no predictions, and why.
fn bad_predictions(time: Timestamp) -> Vec<(Outgoing, &'static str)> {
    let at = time.0 / 1_000;
    let json = |id: &str, rest: &str| format!(r#"{{"id":"{id}","version":"v1",{rest}}}"#);
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let texts: [(Vec<u8>, &str); 12] = [
        (b"no json".to_vec(), "malformed"),
        (b"".to_vec(), "malformed"),
        (b"{\"id\":\"a\xff\"}".to_vec(), "malformed"),
        (br#"{"id":"cut","score":0."#.to_vec(), "malformed"),
        (json("deep", &format!(r#""time_ms":{at},"score":0.5,"x":{deep}"#)).into(), "too_deep"),
        (json("huge", &format!(r#""time_ms":{at},"score":1e999"#)).into(), "out_of_range"),
        (json("beyond", &format!(r#""time_ms":{at},"score":1.5"#)).into(), "out_of_range"),
        (json("text", &format!(r#""time_ms":{at},"score":"high""#)).into(), "wrong_type"),
        (json("null", &format!(r#""time_ms":{at},"score":null"#)).into(), "wrong_type"),
        (format!(r#"{{"time_ms":{at},"version":"v1","score":0.5}}"#).into(), "missing_field"),
        (json("untimely", r#""time_ms":99999999999999999,"score":0.5"#).into(), "invalid_time"),
        (b"[1, 2, 3]".to_vec(), "missing_field"),
    ];
    texts.map(|(payload, reason)| (Outgoing::new(payload), reason)).into()
}

#[test]
fn bad_records_are_dead_letters_and_the_good_ones_around_them_count() {
    let toy = Toy::create(shared(), 1);
    let letters = unique("toy-letters");
    shared().create_topic(&letters, 1);
    let start = an_hour_ago();
    let good = toy.window(start, 60, Some(3));
    let bad = bad_predictions(start);
    let mut rows = Rows::default();
    for (at, record) in good.predictions.iter().enumerate() {
        rows.predictions.push(record.clone());
        rows.predictions.extend(bad.get(at).map(|(record, _)| record.clone()));
    }
    let future = clock::now() + Span::from_hours(24 * 365);
    rows.predictions.push(prediction("from-the-future", future));
    rows.predictions.push(Outgoing { payload: None, ..prediction("tombstone", start) });
    rows.labels.push(Outgoing::new("{").keyed("x"));
    rows.labels.push(Outgoing::new(r#"{"id":"x","label":1}"#));
    rows.labels.extend(good.labels.iter().cloned());
    rows.labels.push(label("from-the-future", future, 1));
    toy.produce(shared(), &rows);

    let top = format!("dead_letters: {{ topic: {letters} }}");
    let mut installation = Installation::new(&toy.config(&top, ""));
    let daemon = installation.start();
    let scrape = wait_for_pairs(&daemon, 60, 40);
    let refused = |topic: &str, reason: &str| {
        let labels = [("topic", topic), ("reason", reason)];
        scrape.get("tidemark_rows_refused_total", &labels).unwrap() as usize
    };
    for reason in ["malformed", "too_deep", "missing_field", "wrong_type", "out_of_range"] {
        let expected = bad.iter().filter(|(_, own)| *own == reason).count();
        assert_eq!(refused(&toy.predictions, reason), expected, "{reason}");
    }
    assert_eq!(refused(&toy.labels, "malformed") + refused(&toy.labels, "missing_field"), 2);
    let ended = |family: &str, outcome: &str| scrape.sum(family, &[("outcome", outcome)]);
    for outcome in ["too_far_in_future", "tombstone"] {
        assert_eq!(ended("tidemark_prediction_rows_total", outcome), 1.0, "{outcome}");
    }
    assert_eq!(ended("tidemark_label_rows_total", "too_far_in_future"), 1.0);
    assert!(daemon.stop().success(), "it writes all letters before it ends");

    let letters = shared().consume_all(&letters);
    assert_eq!(letters.len(), bad.len() + 2);
    for (at, (record, reason)) in bad.iter().enumerate() {
        let from = |letter: &&Incoming| {
            header(letter, "topic") == toy.predictions
                && header(letter, "offset") == (2 * at + 1).to_string()
        };
        let letter = letters.iter().find(from).unwrap_or_else(|| panic!("no letter of {at}"));
        assert_eq!(letter.payload, record.payload);
        assert_eq!(header(letter, "exception.class.name"), *reason);
        assert_eq!(header(letter, "partition"), "0");
        assert!(!header(letter, "exception.message").is_empty());
    }
}

fn header<'a>(letter: &'a Incoming, name: &str) -> &'a str {
    letter.header(&format!("__connect.errors.{name}")).unwrap_or_default()
}

/// The newest file of each lineage below a directory.
fn newest_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut newest: Option<PathBuf> = None;
    for entry in std::fs::read_dir(folder).expect("a directory of the state") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(newest_files(&path));
        } else if newest.as_ref().is_none_or(|newest| *newest < path) {
            newest = Some(path);
        }
    }
    files.extend(newest);
    files
}

#[test]
fn a_truncated_checkpoint_falls_back_to_the_one_before_it() {
    let toy = Toy::create(shared(), 2);
    let start = an_hour_ago();
    // Rows an hour old come after the topics were idle: whichever topic is read first then, its
    // rows must wait for the other's.
    let config = toy.config("", "").replace("idle_after: 1s", "idle_after: 2h");
    let mut installation = Installation::new(&config);
    let daemon = installation.start();
    for window in 0..3 {
        let rows = toy.window(start + Span(WINDOW.0 * window), 60, Some(3));
        toy.produce(shared(), &rows);
        let windows = window as usize + 1;
        wait_for_pairs(&daemon, 60 * windows, 40 * windows);
    }
    daemon.kill9();
    let files = newest_files(&installation.home().join("state/shards"));
    assert_eq!(files.len(), 2);
    for file in files {
        let bytes = std::fs::read(&file).expect("a checkpoint");
        std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("our own file");
    }
    toy.produce(shared(), &toy.window(start + Span(WINDOW.0 * 3), 60, Some(3)));
    let daemon = installation.start();
    let scrape = wait_for_pairs(&daemon, 240, 160);
    assert_eq!(scrape.sum("tidemark_rows_read_total", &[]), 480.0);
    assert_eq!(daemon.log().matches("falling back to the checkpoint before it").count(), 2);
    assert!(daemon.stop().success());
}

#[test]
fn what_was_read_is_durable_when_the_daemon_is_asked_to_stop() {
    let toy = Toy::create(shared(), 1);
    let start = an_hour_ago();
    let soon = clock::now() + Span::from_mins(1);
    let mut rows = toy.window(start, 60, Some(3));
    // Some predictions have no label yet, some labels no prediction.
    let unlabelled: Vec<String> = (0..5).map(|at| format!("unlabelled-{at}")).collect();
    let early: Vec<String> = (0..4).map(|at| format!("early-{at}")).collect();
    let last = start + WINDOW - Span::from_secs(1);
    rows.predictions.extend(unlabelled.iter().map(|id| prediction(id, last)));
    rows.labels.extend(early.iter().map(|id| label(id, soon, 1)));
    toy.produce(shared(), &rows);
    let config = toy.config("", "").replace("checkpoint_every: 200ms", "checkpoint_every: 1h");
    let mut installation = Installation::new(&config);
    let daemon = installation.start();
    daemon.wait_for("all is read", |scrape| {
        scrape.sum("tidemark_window_labeled_predictions", &[]) == 60.0
            && scrape.sum("tidemark_pending_predictions", &[]) == 5.0
            && scrape.sum("tidemark_waiting_labels", &[]) == 4.0
    });
    let stopping = clock::monotonic();
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(clock::monotonic() - stopping < std::time::Duration::from_secs(5));

    // What is gone from the log cannot be read again.
    shared().delete_records(&toy.predictions, 0, rows.predictions.len() as i64);
    shared().delete_records(&toy.labels, 0, rows.labels.len() as i64);
    let daemon = installation.start();
    let scrape = wait_for_pairs(&daemon, 60, 40);
    assert_eq!(scrape.sum("tidemark_rows_read_total", &[]), 129.0);
    let ended = |family: &str| scrape.sum(family, &[]);
    let (predictions, labels) =
        (ended("tidemark_prediction_rows_total"), ended("tidemark_label_rows_total"));
    // Labels that have met their prediction stay for others of the id, for a while.
    let waiting = scrape.sum("tidemark_waiting_labels", &[]);
    assert_eq!(predictions + scrape.sum("tidemark_pending_predictions", &[]), 65.0);
    assert_eq!(labels + waiting, 64.0);
    let late = Rows {
        predictions: early.iter().map(|id| prediction(id, soon)).collect(),
        labels: unlabelled.iter().map(|id| label(id, last, 1)).collect(),
    };
    toy.produce(shared(), &late);
    assert!(daemon.stop().success());
    let daemon = installation.configured(&toy.config("", "")).start();
    wait_for_pairs(&daemon, 69, 49);
    assert!(daemon.stop().success());
}

#[test]
fn state_of_another_layout_is_refused_with_a_way_out() {
    let toy = Toy::create(shared(), 1);
    toy.produce(shared(), &toy.window(an_hour_ago(), 60, Some(3)));
    let config = toy.config("", "");
    let mut installation = Installation::new(&config);
    let daemon = installation.start();
    wait_for_pairs(&daemon, 60, 40);
    assert!(daemon.stop().success());
    installation.configure(&config.replace("windows: [10s]", "windows: [20s]"));
    let output = installation.run_to_end();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = ["written with another layout", "restore the old configuration", "state.url"];
    assert!(expected.iter().all(|part| text.contains(part)), "{text}");
    installation.configure(&config);
    let daemon = installation.start();
    wait_for_pairs(&daemon, 60, 40);
    assert!(daemon.stop().success());
}
