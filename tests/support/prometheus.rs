//! Prometheus and Alertmanager as child processes on loopback, without Docker.

use super::guarded::Guarded;
use super::http_client::{get, percent_encoded};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tidemark::io::clock::monotonic;

pub const ADVICE: &str =
    "this test runs Prometheus itself (Debian: apt-get install prometheus prometheus-alertmanager)";
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that tells in its log where it listens, and answers `/-/ready`.
struct Server {
    process: Guarded,
    port: u16,
}

impl Server {
    /// `command` writes its log to standard error.
    fn start(name: &str, command: &mut Command, home: &Path) -> Self {
        let program = command.get_program().to_owned();
        let there = Command::new(&program).arg("--version").output().is_ok();
        assert!(there, "{}: {ADVICE}", program.display());
        let log = home.join(format!("{name}.log"));
        let output = std::fs::File::create(&log).expect("our own file");
        let mut process = Guarded::spawn(command.stdout(Stdio::null()).stderr(output));
        let text = || std::fs::read_to_string(&log).unwrap_or_default();
        let port = wait_for(&format!("{name} says where it listens"), || {
            assert!(!process.has_ended(), "{name} has ended:\n{}", text());
            let text = text();
            let line = text.lines().find(|line| line.contains("\"Listening on\""))?;
            let port = line.rsplit_once("address=127.0.0.1:")?.1;
            port.trim().parse().ok()
        });
        wait_for(&format!("{name} is ready"), || {
            matches!(get(port, "/-/ready"), Ok((200, _))).then_some(())
        });
        Self { process, port }
    }
}

/// Asks until there is an answer.
pub fn wait_for<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let deadline = monotonic() + PATIENCE;
    loop {
        if let Some(found) = there() {
            return found;
        }
        assert!(monotonic() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A Prometheus with some configuration.
pub struct Prometheus {
    server: Server,
    _home: TempDir,
}

/// A series of a range: its labels, and its values by time in seconds.
pub type Series = (Value, Vec<(f64, f64)>);

impl Prometheus {
    /// `config` is the text of the file, `arguments` come besides those for files and port.
    pub fn start(config: &str, arguments: &[&str]) -> Self {
        let home = tempfile::Builder::new().prefix("prometheus-").tempdir().expect("a directory");
        let file = home.path().join("prometheus.yml");
        std::fs::write(&file, config).expect("our own file");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", home.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .args(arguments);
        Self { server: Server::start("prometheus", &mut command, home.path()), _home: home }
    }

    /// One that scrapes a target every second, as job `tidemark`.
    pub fn of_target(target: u16) -> Self {
        let config = format!(
            "scrape_configs:\n- job_name: tidemark\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
             static_configs:\n  - targets: [\"127.0.0.1:{target}\"]\n"
        );
        Self::start(&config, &[])
    }

    /// The `data` of an answer of the API.
    pub fn ask(&self, path: &str) -> Value {
        let (status, body) = get(self.server.port, path).expect("prometheus answers");
        assert_eq!(status, 200, "{path}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["data"].clone()
    }

    /// An instant query's vector: labels and value.
    pub fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let data = self.ask(&format!("/api/v1/query?query={}", percent_encoded(query)));
        let vector = data["result"].as_array().expect("a vector");
        let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok());
        let sample = |one: &Value| (one["metric"].clone(), value(one).expect("a number"));
        vector.iter().map(sample).collect()
    }

    pub fn sum(&self, query: &str) -> f64 {
        self.query(query).iter().map(|(_, value)| value).sum()
    }

    /// A query from one time to another, in Unix seconds, a second apart.
    pub fn range(&self, query: &str, from: f64, to: f64) -> Vec<Series> {
        let query = percent_encoded(query);
        let path = format!("/api/v1/query_range?query={query}&start={from}&end={to}&step=1");
        let data = self.ask(&path);
        let number = |value: &Value| match value {
            Value::String(text) => text.parse().expect("a number"),
            other => other.as_f64().expect("a number"),
        };
        let series = |one: &Value| {
            let values = one["values"].as_array().expect("values").iter();
            (one["metric"].clone(), values.map(|v| (number(&v[0]), number(&v[1]))).collect())
        };
        data["result"].as_array().expect("a matrix").iter().map(series).collect()
    }
}

/// An Alertmanager with some configuration.
pub struct Alertmanager {
    server: Server,
    _home: TempDir,
}

impl Alertmanager {
    pub fn start(config: &str) -> Self {
        let home = tempfile::Builder::new().prefix("alertmanager-").tempdir().expect("a directory");
        let file = home.path().join("alertmanager.yml");
        std::fs::write(&file, config).expect("our own file");
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", home.path().join("data").display()))
            // Alone: it looks for no others.
            .arg("--cluster.listen-address=")
            .arg("--web.listen-address=127.0.0.1:0");
        Self { server: Server::start("alertmanager", &mut command, home.path()), _home: home }
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Ends it in order, so that nothing is delivered any more.
    pub fn stop(self) {
        self.server.process.terminate();
    }
}
