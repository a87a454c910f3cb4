//! A broker in this process, a small model with names that mean harm, and its records.

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tidemark::config;
use tidemark::daemon::{Daemon, Options};
use tidemark::engine::estimate::Estimate;
use tidemark::engine::reference::*;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;
use tidemark::io::kafka::Membership;

pub const SCRIPT: &str = "<script>alert(\"v1\")</script>\n'";
pub const FEATURE: &str = "marital\" onload='x' <b>&amp;";
/// As long as a version may be.
pub const LONG: &str = concat!(
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
);
const WINDOW: Span = Span::from_mins(5);
const ROWS: usize = 200;

pub struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    home: TempDir,
    begin: Timestamp,
}

fn profile() -> Profile {
    let hours = NumericReference {
        edges: (0..=10).map(|edge| f64::from(edge) * 10.0).collect(),
        counts: vec![100; 10],
        sums: (0..10).map(|bin| 100.0 * (f64::from(bin) * 10.0 + 5.0)).collect(),
        coarse: (0..10).collect(),
        mean: 50.0,
        std: 28.7,
        min: 0.0,
        max: 100.0,
    };
    let scores = NumericReference {
        edges: vec![0.0, 0.25, 0.5, 0.75, 1.0],
        counts: vec![250; 4],
        sums: vec![31.25, 93.75, 156.25, 218.75],
        coarse: vec![0, 1, 2, 3],
        mean: 0.5,
        std: 0.28,
        min: 0.0,
        max: 1.0,
    };
    let category = |value: &str, count| Category { value: value.to_owned(), count };
    let listed = |categories| CategoricalReference { categories, other: 0 };
    let status = vec![category("Married", 600), category("<img src=x>\n", 400)];
    let classes = vec![category("0", 500), category("1", 500)];
    Profile {
        format: "tidemark/profile".into(),
        version: 1,
        model: None,
        task: Some("binary".into()),
        rows: 1_000,
        sources: Vec::new(),
        trained_on: false,
        classes: vec!["0".into(), "1".into()],
        positive_class: Some("1".into()),
        features: vec![
            FeatureReference::complete("hours", Distribution::Numeric(hours)),
            FeatureReference::complete(FEATURE, Distribution::Categorical(listed(status))),
        ],
        score: Some(scores),
        predicted_classes: Some(listed(classes)),
        label_classes: None,
        label_values: None,
        baseline: BTreeMap::from([("accuracy".to_owned(), Estimate::exact(0.9, None, 1_000))]),
        design: None,
        calibration: None,
        losses: Vec::new(),
        content_hash: "sha256:0".into(),
    }
}

impl World {
    pub fn new() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        for topic in ["p", "l"] {
            cluster.create_topic(topic, 1, 1).unwrap();
        }
        let home = tempfile::tempdir().unwrap();
        let begin = (clock::now() - Span::from_hours(3)).floor(Span::from_hours(1), Timestamp(0));
        Self { cluster, home, begin }
    }

    /// Nobody listens where requests go.
    fn config(&self) -> String {
        let state = self.home.path().join("state");
        let slice = json!([FEATURE]);
        format!(
            "kafka: {{ bootstrap_servers: \"{}\", group_id: api }}\n\
             state: {{ url: \"file://{}\", checkpoint_every: 200ms }}\n\
             http: {{ listen: \"127.0.0.1:0\" }}\n\
             webhooks: [{{ name: trainer, url: \"http://127.0.0.1:9/\", timeout: 1s }}]\n\
             models:\n  - name: income\n    task: binary\n    positive_class: \"1\"\n    \
             start: earliest\n    predictions: {{ topic: p, format: json, fields: {{ id: /id, \
             event_time: {{ path: /t, unit: us }}, version: /v, score: /s, features: /f }} }}\n    \
             labels: {{ topic: l, format: json, fields: {{ id: /id, event_time: {{ path: /t, \
             unit: us }}, label: /y }}, horizon: 10m, lead: 1m, grace: 1m, \
             pending_max: 10000 }}\n    \
             time: {{ out_of_orderness: 1s, allowed_lateness: 1s, idle_after: 1s, \
             future_tolerance: 1m }}\n    windows: [5m, 1h]\n    \
             reference: {{ default: p.json }}\n    slices: {slice}\n    \
             show: {{ support_min: 10, version_gone_after: 30d }}\n    \
             policies: [{{ name: fell, metric: accuracy, window: 5m, below: 0.8, label_age: 5m, \
             min_labels: 10, action: {{ retrain: trainer, cooldown: 30d, act_within: 30d }} }}]\n",
            self.cluster.bootstrap_servers(),
            state.display(),
        )
    }

    pub fn start(&self) -> Daemon {
        let file = self.home.path().join("tidemark.yaml");
        let read = |_: &Path| Ok(profile());
        let plan = config::load_bytes(&file, self.config().as_bytes(), &|_| None, &read).unwrap();
        let options = Options { membership: Membership::All, ..Options::default() };
        Daemon::start(plan, options).unwrap()
    }

    /// A window each of a good version, a bad one with a name that means harm, and one whose name
    /// is long; and records that nobody can read.
    pub fn produce(&self) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.cluster.bootstrap_servers());
        let producer: BaseProducer = config.create().unwrap();
        let send = |topic: &str, payload: &[u8]| {
            let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(payload);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        };
        let long = "x".repeat(10_000);
        for (window, version) in ["v1", SCRIPT, LONG].into_iter().enumerate() {
            for row in 0..ROWS {
                let start = self.begin + Span(WINDOW.0 * window as i64);
                let time = start.0 + WINDOW.0 * row as i64 / ROWS as i64;
                let status = ["Married", "<img src=x>\n", &long][row % 3];
                let prediction = json!({
                    "id": format!("{window}-{row}"), "t": time, "v": version, "s": 0.9,
                    "f": { "hours": row % 100, FEATURE: status },
                });
                send("p", prediction.to_string().as_bytes());
                let wrong = row % 20 == 0 || window == 1 && row % 3 != 0;
                let label = json!({
                    "id": format!("{window}-{row}"), "t": time, "y": u8::from(!wrong),
                });
                send("l", label.to_string().as_bytes());
            }
        }
        send("p", b"\xff\xfe<script>");
        send("l", b"{\"id\": ");
        producer.flush(Duration::from_secs(30)).unwrap();
    }
}
