//! Topics whose clients place the same key differently.

use crate::e2e::daemon::Installation;
use crate::e2e::toy::{Rows, Toy, WINDOW};
use crate::support::kafka_broker::shared;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;
use tidemark::io::kafka_partitioner::Partitioner;

const PARTITIONS: i32 = 4;

/// Labels placed as librdkafka does, predictions as the Java client does.
fn rows(toy: &Toy) -> Rows {
    let start = (clock::now() - Span::from_hours(1)).floor(WINDOW, Timestamp(0));
    let mut rows = toy.window(start, 1_000, Some(3));
    for (records, partitioner) in
        [(&mut rows.predictions, Partitioner::Murmur2), (&mut rows.labels, Partitioner::Crc32)]
    {
        for record in records {
            let key = record.key.as_deref().unwrap_or_default();
            record.partition = Some(partitioner.place(key, PARTITIONS));
        }
    }
    rows
}

#[test]
fn labels_in_other_partitions_are_told_and_nothing_is_taken_for_a_negative() {
    let toy = Toy::create(shared(), PARTITIONS);
    toy.produce(shared(), &rows(&toy));
    let config = toy.config("", "");
    let absent = "horizon: 2h\n      absent_after: { delay: 5m, value: \"0\" }";
    let mut installation = Installation::new(&config.replace("horizon: 2h", absent));
    let daemon = installation.start();
    daemon.wait_until_ready_says(503, "have their label in another partition");
    daemon.wait_until_ready_says(503, "predictions are placed by murmur2");
    daemon.wait_until_ready_says(503, "labels by CRC32");
    let scrape = daemon
        .wait_for("all rows", |scrape| scrape.sum("tidemark_rows_read_total", &[]) == 2_000.0);
    let share = scrape.get("tidemark_copartition_mismatch_ratio", &[("model", "toy")]);
    assert!(share.is_some_and(|share| (0.6..0.9).contains(&share)), "{share:?}");
    let ended = |outcome| scrape.sum("tidemark_prediction_rows_total", &[("outcome", outcome)]);
    assert_eq!(ended("implicit"), 0.0);
    assert!(daemon.stop().success());
}

#[test]
fn in_one_process_labels_are_found_in_any_partition() {
    let toy = Toy::create(shared(), PARTITIONS);
    toy.produce(shared(), &rows(&toy));
    let config = toy.config("", "").replace("kafka:\n", "kafka:\n  co_partitioned: false\n");
    let mut installation = Installation::new(&config);
    let daemon = installation.start();
    daemon.wait_until_ready();
    let scrape = daemon.wait_for("1,000 pairs", |scrape| {
        scrape.sum("tidemark_labeled_predictions_total", &[]) == 1_000.0
    });
    assert_eq!(scrape.sum("tidemark_labeled_predictions_total", &[("outcome", "tp")]), 666.0);
    assert!(daemon.stop().success());
}

#[test]
fn the_greatest_number_of_pending_predictions_is_for_all_partitions_together() {
    let toy = Toy::create(shared(), PARTITIONS);
    let mut rows = rows(&toy);
    rows.add(toy.window(clock::now() - Span::from_mins(30), 1_000, None));
    rows.labels.clear();
    toy.produce(shared(), &rows);
    let limited = "horizon: 2h\n      pending_max: 1000";
    let mut installation = Installation::new(&toy.config("", "").replace("horizon: 2h", limited));
    let daemon = installation.start();
    let scrape = daemon.wait_for("all rows", |scrape| {
        scrape.sum("tidemark_prediction_rows_total", &[("outcome", "shed")]) == 1_000.0
    });
    assert_eq!(scrape.sum("tidemark_pending_predictions", &[]), 1_000.0);
    assert!(daemon.stop().success());
}
