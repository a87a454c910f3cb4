//! Topics that are no longer what the state was made from: each change is told, counted, and
//! handled by its rule; none is skipped in silence.

use crate::e2e::daemon::{Installation, Running};
use crate::e2e::toy::{Rows, Toy, WINDOW};
use crate::support::kafka_broker::shared;
use crate::support::kafka_client::Outgoing;
use crate::support::scrape::Scrape;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

fn an_hour_ago() -> Timestamp {
    (clock::now() - Span::from_hours(1)).floor(WINDOW, Timestamp(0))
}

fn pairs(scrape: &Scrape) -> f64 {
    scrape.sum("tidemark_labeled_predictions_total", &[])
}

/// Rows an hour old come after the topics were idle: they must wait for each other all the same.
fn config(toy: &Toy) -> String {
    toy.config("", "").replace("idle_after: 1s", "idle_after: 2h")
}

fn wait_for_pairs(daemon: &Running, count: f64) -> Scrape {
    daemon.wait_for(&format!("{count} pairs"), |scrape| pairs(scrape) == count)
}

/// `/-/ready` is well, and says this.
fn ready_but(daemon: &Running, part: &str) {
    daemon.wait_until_ready_says(200, part);
}

#[test]
fn records_that_retention_took_before_they_were_read_are_counted_and_told() {
    let toy = Toy::create(shared(), 1);
    let start = an_hour_ago();
    toy.produce(shared(), &toy.window(start, 60, Some(3)));
    let mut installation = Installation::new(&config(&toy));
    let daemon = installation.start();
    wait_for_pairs(&daemon, 60.0);
    assert!(daemon.stop().success());

    toy.produce(shared(), &toy.window(start + WINDOW, 60, Some(3)));
    shared().delete_records(&toy.predictions, 0, 85);
    let daemon = installation.start();
    // 25 of the 60 new predictions are gone, and their labels meet nothing.
    let scrape = wait_for_pairs(&daemon, 95.0);
    let topic = [("topic", toy.predictions.as_str())];
    assert_eq!(scrape.get("tidemark_records_lost_total", &topic), Some(25.0));
    let reason = [topic[0], ("reason", "retention")];
    assert_eq!(scrape.get("tidemark_offsets_lost_total", &reason), Some(1.0));
    ready_but(&daemon, &format!("records of topic {} were gone", toy.predictions));
    assert!(daemon.log().contains("missing from all numbers"), "{}", daemon.log());
    assert!(daemon.stop().success());
    // It was told once: what is saved now continues from what is there.
    let daemon = installation.start();
    daemon.wait_until_ready_says(200, "ready\n");
    assert_eq!(pairs(&wait_for_pairs(&daemon, 95.0)), 95.0);
    assert!(daemon.stop().success());
}

#[test]
fn a_topic_made_anew_with_fewer_records_is_read_from_its_start_and_told() {
    let toy = Toy::create(shared(), 1);
    let start = an_hour_ago();
    toy.produce(shared(), &toy.window(start, 60, Some(3)));
    let mut installation = Installation::new(&config(&toy));
    let daemon = installation.start();
    wait_for_pairs(&daemon, 60.0);
    assert!(daemon.stop().success());
    for topic in [&toy.predictions, &toy.labels] {
        shared().delete_topic(topic);
        shared().create_topic(topic, 1);
    }
    toy.produce(shared(), &toy.window(start + Span(2 * WINDOW.0), 20, Some(3)));
    let daemon = installation.start();
    let scrape = wait_for_pairs(&daemon, 80.0);
    for topic in [&toy.predictions, &toy.labels] {
        let labels = [("topic", topic.as_str()), ("reason", "recreated")];
        assert_eq!(scrape.get("tidemark_offsets_lost_total", &labels), Some(1.0));
    }
    assert_eq!(scrape.sum("tidemark_rows_read_total", &[]), 160.0, "counters go on");
    ready_but(&daemon, "was truncated or made anew");
    assert!(daemon.stop().success());
}

/// To this partition, whatever their keys.
fn to_partition(rows: Rows, partition: i32) -> Rows {
    let to = |records: Vec<Outgoing>| records.into_iter().map(|one| one.to(partition)).collect();
    Rows { predictions: to(rows.predictions), labels: to(rows.labels) }
}

#[test]
fn a_partition_that_came_later_is_read_from_its_start_even_if_all_began_at_the_end() {
    let toy = Toy::create(shared(), 1);
    let start = an_hour_ago();
    let config = config(&toy).replace("start: earliest", "start: latest");
    let mut installation = Installation::new(&config);
    let daemon = installation.start();
    daemon.wait_until_ready();
    toy.produce(shared(), &toy.window(start, 60, Some(3)));
    wait_for_pairs(&daemon, 60.0);
    assert!(daemon.stop().success());

    for topic in [&toy.predictions, &toy.labels] {
        shared().add_partitions(topic, 2);
    }
    // These are there before anybody reads the partition.
    let next = start + Span(2 * WINDOW.0);
    toy.produce(shared(), &to_partition(toy.window(next, 30, Some(3)), 1));
    let daemon = installation.start();
    let scrape = wait_for_pairs(&daemon, 90.0);
    for topic in [&toy.predictions, &toy.labels] {
        let labels = [("topic", topic.as_str()), ("change", "added")];
        assert_eq!(scrape.get("tidemark_partitions_changed_total", &labels), Some(1.0));
    }
    ready_but(&daemon, "has grown to 2 partitions");
    assert!(daemon.stop().success());

    // Made anew with one: what the other had counted is missing, and that is said at every start.
    for topic in [&toy.predictions, &toy.labels] {
        shared().delete_topic(topic);
        shared().create_topic(topic, 1);
    }
    for _ in 0..2 {
        let daemon = installation.start();
        ready_but(&daemon, "had 2 partitions and has 1");
        let labels = [("topic", toy.labels.as_str()), ("change", "removed")];
        let scrape = daemon.metrics();
        assert_eq!(scrape.get("tidemark_partitions_changed_total", &labels), Some(1.0));
        assert!(daemon.stop().success());
    }
}

#[test]
fn a_configuration_that_does_not_fit_the_state_is_refused_and_says_what_changed() {
    let toy = Toy::create(shared(), 1);
    toy.produce(shared(), &toy.window(an_hour_ago(), 60, Some(3)));
    let config = config(&toy);
    let mut installation = Installation::new(&config);
    let daemon = installation.start();
    wait_for_pairs(&daemon, 60.0);
    assert!(daemon.stop().success());
    let changes = [
        ("windows: [10s]", "windows: [20s]", "(windows changed)"),
        ("horizon: 2h", "horizon: 3h", "join.horizon"),
        (
            "score: /score",
            "score: /score\n        features: [{ name: x, path: /x, type: numeric }]",
            "(features changed)",
        ),
    ];
    for (from, to, expected) in changes {
        installation.configure(&config.replace(from, to));
        let output = installation.run_to_end();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(expected) && text.contains("state.url"), "{text}");
    }
    // Nothing was harmed.
    installation.configure(&config);
    let daemon = installation.start();
    wait_for_pairs(&daemon, 60.0);
    assert!(daemon.stop().success());
}
