//! A scenario on real data: the census rows as predictions and labels in Kafka.
//!
//! Event times lie within one hour of one day, two days ago, so that one window holds everything and is
//! closed by idleness. Labels are delayed by up to two hours of event time and come in an order of
//! their own; one in a hundred rows of both topics comes twice.

use crate::e2e::daemon::Installation;
use crate::support::kafka_broker::{KafkaBroker, shared};
use crate::support::kafka_client::{Outgoing, unique};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

pub const MODEL: &str = "income";
pub const VERSION: &str = "lr-1";
pub const ROWS: usize = 16_281;
/// With the rows that come twice.
pub const RECORDS: usize = ROWS + ROWS / 100 + 1;
const NUMBERS: [&str; 5] =
    ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"];
const NO_FEATURES: [&str; 4] = ["label", "score", "prediction", "split"];

fn data_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/adult_scored.csv.gz")
}

/// A row that the model had not been trained on.
pub struct Row {
    pub id: String,
    pub label: u8,
    /// As the file has it, so that no digit is lost.
    score: Value,
    prediction: u8,
    features: Map<String, Value>,
}

pub fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let file = std::fs::File::open(data_file()).expect("test data");
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).expect("text in gzip");
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
        let current = lines.filter(|line| line.ends_with(",current"));
        current.enumerate().map(|(at, line)| row(at, &header, line)).collect()
    })
}

fn row(at: usize, header: &[&str], line: &str) -> Row {
    let mut features = Map::new();
    let mut cells = Map::new();
    for (&name, cell) in header.iter().zip(line.split(',')) {
        let number = || serde_json::from_str::<Value>(cell).expect("a number");
        if NO_FEATURES.contains(&name) {
            let text = || Value::from(cell);
            cells.insert(name.into(), if name == "split" { text() } else { number() });
        } else if !cell.is_empty() {
            let text = || Value::from(cell);
            features.insert(name.into(), if NUMBERS.contains(&name) { number() } else { text() });
        }
    }
    let small = |name: &str| cells[name].as_u64().expect("0 or 1") as u8;
    Row {
        id: format!("person-{at}"),
        label: small("label"),
        score: cells["score"].clone(),
        prediction: small("prediction"),
        features,
    }
}

/// Ten o'clock two days ago, in UTC: the same for all scenarios of this run.
pub fn base() -> Timestamp {
    static BASE: OnceLock<Timestamp> = OnceLock::new();
    let day = Span::from_hours(24);
    *BASE.get_or_init(|| {
        let two_days_ago = clock::now() - day - day;
        two_days_ago.floor(day, Timestamp(0)) + Span::from_hours(10)
    })
}

/// A number that depends on the row alone.
fn spread(at: usize, salt: u64, below: u64) -> u64 {
    fastrand::Rng::with_seed(salt << 32 | at as u64).u64(0..below)
}

fn predicted_at(at: usize) -> Timestamp {
    base() + Span(spread(at, 1, 3_600_000_000) as i64)
}

fn labeled_at(at: usize) -> Timestamp {
    Timestamp::from_millis(predicted_at(at).0 / 1_000 + 1 + spread(at, 2, 7_200_000) as i64)
}

fn prediction(at: usize, row: &Row) -> Outgoing {
    let payload = json!({
        "id": row.id,
        "time": predicted_at(at).to_string(),
        "version": VERSION,
        "output": { "score": row.score, "class": row.prediction },
        "features": row.features,
    });
    Outgoing::new(payload.to_string()).keyed(row.id.as_str())
}

fn label(at: usize, row: &Row) -> Outgoing {
    let payload =
        json!({ "id": row.id, "time_ms": labeled_at(at).0 / 1_000, "over_50k": row.label });
    Outgoing::new(payload.to_string()).keyed(row.id.as_str())
}

/// All records of one side in an order of their own; every hundredth row twice.
fn shuffled(seed: u64, make: fn(usize, &Row) -> Outgoing) -> Vec<Outgoing> {
    let twice = (0..ROWS).filter(|at| at % 100 == 7);
    let mut order: Vec<usize> = (0..ROWS).chain(twice).collect();
    fastrand::Rng::with_seed(seed).shuffle(&mut order);
    order.into_iter().map(|at| make(at, &rows()[at])).collect()
}

/// Two topics with everything in them.
#[derive(Clone, Debug)]
pub struct Topics {
    pub predictions: String,
    pub labels: String,
}

impl Topics {
    /// Small batches, so that a reader can be made slow.
    pub fn fill(broker: &KafkaBroker, partitions: i32, seed: u64) -> Self {
        let topics =
            Self { predictions: unique("census-predictions"), labels: unique("census-labels") };
        broker.create_topic(&topics.predictions, partitions);
        broker.create_topic(&topics.labels, partitions);
        let batch = 100;
        broker.produce_in_batches(&topics.predictions, &shuffled(seed, prediction), batch);
        broker.produce_in_batches(&topics.labels, &shuffled(seed + 1, label), batch);
        topics
    }
}

/// A profile of the rows that the model was trained on, made by the program itself.
pub fn profile() -> &'static Path {
    static PROFILE: OnceLock<PathBuf> = OnceLock::new();
    PROFILE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        std::fs::create_dir_all(&folder).expect("the target directory is ours");
        let path = folder.join(format!("census-profile-{}.json", std::process::id()));
        let output = Command::new(env!("CARGO_BIN_EXE_tidemark"))
            .arg("profile")
            .arg(data_file())
            .args(["--where", "split=reference", "--ignore", "split", "--trained-on"])
            .args(["--model", MODEL, "--score", "score", "--prediction", "prediction"])
            .args(["--label", "label", "--output"])
            .arg(&path)
            .output()
            .expect("the program");
        assert!(output.status.success(), "{output:?}");
        path
    })
}

/// Kafka settings that make reading take seconds: about a batch of predictions at a time, then a pause.
pub const SLOWLY: &str = r#"
    fetch.message.max.bytes: "50000"
    queued.min.messages: "1"
    fetch.queue.backoff.ms: "150""#;

/// An installation that reads the topics from their start.
pub fn installation(topics: &Topics, kafka_properties: &str) -> Installation {
    let Topics { predictions, labels } = topics;
    Installation::new(&format!(
        r#"
kafka:
  bootstrap_servers: {bootstrap}
  group_id: {group}
  properties:
    session.timeout.ms: "2000"
    heartbeat.interval.ms: "300"{kafka_properties}
state: {{ url: "file://@HOME/state", checkpoint_every: 200ms }}
http: {{ listen: "@LISTEN", series_max: 100000 }}
models:
  - name: {MODEL}
    task: binary
    positive_class: "1"
    start: earliest
    predictions:
      topic: {predictions}
      fields:
        id: /id
        event_time: {{ path: /time, unit: rfc3339 }}
        version: /version
        score: /output/score
        class: /output/class
        features: /features
    labels:
      topic: {labels}
      fields: {{ id: /id, event_time: {{ path: /time_ms, unit: ms }}, label: /over_50k }}
      horizon: 7d
    time: {{ out_of_orderness: 6h, allowed_lateness: 10m, idle_after: 1s }}
    windows: [1d]
    reference: {{ default: {profile} }}
    slices: [marital-status, sex, race, workclass, [sex, marital-status]]
    show: {{ coverage_min: 0.8, support_min: 1, revise_every: 1s, version_gone_after: 30d }}
    policies:
      - {{ name: below-95, metric: accuracy, below: 0.95, label_age: 3h, action: alert }}
      - {{ name: drifted, drift: {{ features: all, above: {{ psi: 0.25 }} }}, action: alert }}
"#,
        bootstrap = shared().bootstrap(),
        group = unique("census"),
        profile = profile().display(),
    ))
}
