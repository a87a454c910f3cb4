//! What Prometheus itself makes of the metrics.

use crate::e2e::census::{RECORDS, ROWS, SLOWLY, Topics, installation};
use crate::support::kafka_broker::shared;
use crate::support::prometheus::{ADVICE, Prometheus, wait_for};
use std::io::Write;
use std::process::{Command, Stdio};
use tidemark::io::telemetry::{Kind, Source, families};

/// Counters of models and rows, by the names that Prometheus stores.
fn counters() -> Vec<String> {
    let of_engine = families().iter().filter(|family| family.source == Source::Snapshot);
    of_engine
        .flat_map(|family| match family.kind {
            Kind::Counter => vec![family.name.to_owned()],
            Kind::Histogram => {
                ["bucket", "sum", "count"].map(|part| format!("{}_{part}", family.name)).into()
            }
            Kind::Gauge => Vec::new(),
        })
        .collect()
}

#[test]
fn to_prometheus_no_counter_ever_falls_though_the_daemon_is_killed() {
    let topics = Topics::fill(shared(), 4, 1);
    // Prometheus looks once a second and has to start first.
    let mut installation = installation(&topics, &SLOWLY.replace("250", "400"));
    installation.keep_port();
    let daemon = installation.start();
    let prometheus = Prometheus::of_target(daemon.port);
    let read = "sum(tidemark_rows_read_total)";
    let seen = wait_for("a third of the rows is seen", || {
        Some(prometheus.sum(read)).filter(|rows| *rows > 0.3 * RECORDS as f64)
    });
    daemon.kill9();
    assert!(seen < 1.9 * RECORDS as f64, "{seen} rows are not the middle");
    let daemon = installation.start();
    let delayed = "tidemark_label_delay_seconds_count";
    wait_for("all pairs are seen", || (prometheus.sum(delayed) == ROWS as f64).then_some(()));
    let scrape = daemon.wait_for("all rows have ended", |scrape| {
        scrape.sum("tidemark_label_rows_total", &[("outcome", "matched")]) == ROWS as f64
            && scrape.sum("tidemark_policy_decisions_total", &[]) == 2.0
    });
    wait_for("the end is seen", || {
        let matched = "sum(tidemark_label_rows_total{outcome=\"matched\"})";
        let judged = "sum(tidemark_policy_decisions_total)";
        (prometheus.sum(matched) == ROWS as f64 && prometheus.sum(judged) == 2.0).then_some(())
    });

    let restarts = prometheus
        .sum("resets(process_start_time_seconds[1h]) + changes(process_start_time_seconds[1h])");
    assert!(restarts >= 1.0, "prometheus has seen both processes");
    let mut seen = 0;
    for name in counters() {
        for (series, resets) in prometheus.query(&format!("resets({name}[1h])")) {
            assert_eq!(resets, 0.0, "{name} {series}");
            seen += 1;
        }
        let last: f64 = prometheus.sum(&name);
        let ours = scrape.sum(&name, &[]);
        let by_clock = name.contains("window_firings");
        assert!(by_clock || last == ours, "{name}: {last}, not {ours}");
    }
    assert!(seen > 200, "{seen} series");
    promtool_is_content(&scrape.text);
    assert!(daemon.stop().success());
}

fn promtool_is_content(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(ADVICE);
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty() && output.stdout.is_empty(), "{said}");
}
