//! What Prometheus itself makes of the metrics.

use crate::e2e::census::{RECORDS, ROWS, SLOWLY, Topics, installation};
use crate::e2e::daemon::PATIENCE;
use crate::support::guarded::Guarded;
use crate::support::http_client::{get, percent_encoded};
use crate::support::kafka_broker::shared;
use serde_json::Value;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tidemark::io::clock::monotonic;
use tidemark::io::telemetry::{Kind, Source, families};

/// A Prometheus that scrapes one target every second.
struct Prometheus {
    _process: Guarded,
    _home: TempDir,
    port: u16,
}

const ADVICE: &str = "these tests run Prometheus itself (Debian: apt-get install prometheus)";

impl Prometheus {
    fn start(target: u16) -> Self {
        let home = tempfile::Builder::new().prefix("prometheus-").tempdir().expect("a directory");
        let config = format!(
            "scrape_configs:\n- job_name: tidemark\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
             static_configs:\n  - targets: [\"127.0.0.1:{target}\"]\n"
        );
        let file = home.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("our own file");
        let log = std::fs::File::create(home.path().join("log")).expect("our own file");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = port.expect("a free port on loopback").port();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdout(Stdio::null())
            .stderr(log);
        assert!(Command::new("prometheus").arg("--version").output().is_ok(), "{ADVICE}");
        let prometheus = Self { _process: Guarded::spawn(&mut command), _home: home, port };
        prometheus.wait_for("it is ready", || {
            matches!(get(port, "/-/ready"), Ok((200, _))).then_some(())
        });
        prometheus
    }

    fn wait_for<T>(&self, what: &str, mut there: impl FnMut() -> Option<T>) -> T {
        let deadline = monotonic() + PATIENCE;
        loop {
            if let Some(found) = there() {
                return found;
            }
            assert!(monotonic() < deadline, "prometheus: {what}: not in time");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// An instant query's vector: labels and value.
    fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let path = format!("/api/v1/query?query={}", percent_encoded(query));
        let (status, body) = get(self.port, &path).expect("prometheus answers");
        assert_eq!(status, 200, "{query}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        let vector = answer["data"]["result"].as_array().expect("a vector");
        let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok());
        let sample = |one: &Value| (one["metric"].clone(), value(one).expect("a number"));
        vector.iter().map(sample).collect()
    }

    fn sum(&self, query: &str) -> f64 {
        self.query(query).iter().map(|(_, value)| value).sum()
    }
}

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
    let mut installation = installation(&topics, &SLOWLY.replace("150", "400"));
    let daemon = installation.start();
    let prometheus = Prometheus::start(daemon.port);
    let read = "sum(tidemark_rows_read_total)";
    let seen = prometheus.wait_for("a third of the rows is seen", || {
        Some(prometheus.sum(read)).filter(|rows| *rows > 0.3 * RECORDS as f64)
    });
    daemon.kill9();
    assert!(seen < 1.9 * RECORDS as f64, "{seen} rows are not the middle");
    let daemon = installation.start();
    let delayed = "tidemark_label_delay_seconds_count";
    prometheus
        .wait_for("all pairs are seen", || (prometheus.sum(delayed) == ROWS as f64).then_some(()));
    let scrape = daemon.wait_for("all rows have ended", |scrape| {
        scrape.sum("tidemark_label_rows_total", &[("outcome", "matched")]) == ROWS as f64
            && scrape.sum("tidemark_policy_decisions_total", &[]) == 2.0
    });
    prometheus.wait_for("the end is seen", || {
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
