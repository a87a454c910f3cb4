//! A backlog of both topics is read at one event time, so that little is held meanwhile.

use crate::e2e::daemon::Installation;
use crate::e2e::toy::{Rows, Toy, WINDOW};
use crate::support::kafka_broker::shared;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

const WINDOWS: i64 = 300;
const ROWS: usize = 200;
/// One prediction in so many has a label, so that reading as many of the one as of the other gets
/// far ahead with the labels: 13,000 of them wait then.
const LABELLED: usize = 3;
/// A round brings some thousands of one topic.
const HELD_MAX: f64 = 8_000.0;

#[test]
fn while_a_backlog_is_read_few_labels_wait_for_their_predictions() {
    let toy = Toy::create(shared(), 1);
    let start = (clock::now() - Span::from_hours(2)).floor(WINDOW, Timestamp(0));
    let mut rows = Rows::default();
    for window in 0..WINDOWS {
        rows.add(toy.window(start + Span(window * WINDOW.0), ROWS, None));
    }
    rows.labels = rows.labels.into_iter().step_by(LABELLED).collect();
    toy.produce(shared(), &rows);
    let daemon = Installation::new(&toy.config("", "")).start();
    let mut most = 0.0f64;
    daemon.wait_for("all pairs", |scrape| {
        most = most.max(scrape.sum("tidemark_waiting_labels", &[]));
        let pairs = scrape.sum("tidemark_labeled_predictions_total", &[]);
        pairs == rows.labels.len() as f64
    });
    assert!(most > 0.0 && most < HELD_MAX, "{most} labels waited for their predictions");
    assert!(daemon.stop().success());
}
