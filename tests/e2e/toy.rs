//! A small model whose windows are right or wrong as a test wants them.

use crate::support::kafka_broker::KafkaBroker;
use crate::support::kafka_client::{Outgoing, unique};
use serde_json::json;
use tidemark::engine::time::{Span, Timestamp};

pub const MODEL: &str = "toy";
pub const WINDOW: Span = Span::from_secs(10);

/// The two topics of the model.
pub struct Toy {
    pub predictions: String,
    pub labels: String,
    bootstrap: String,
    group: String,
}

impl Toy {
    /// Names for topics that are not there yet.
    pub fn named(broker: &KafkaBroker) -> Self {
        Self {
            predictions: unique("toy-predictions"),
            labels: unique("toy-labels"),
            bootstrap: broker.bootstrap(),
            group: unique("toy"),
        }
    }

    pub fn create(broker: &KafkaBroker, partitions: i32) -> Self {
        let toy = Self::named(broker);
        broker.create_topic(&toy.predictions, partitions);
        broker.create_topic(&toy.labels, partitions);
        toy
    }

    /// Predictions spread over the window that starts then, and their labels a second later. Every
    /// `wrong`-th is wrong.
    pub fn window(&self, start: Timestamp, rows: usize, wrong: Option<usize>) -> Rows {
        let mut records = Rows::default();
        for at in 0..rows {
            let time = start + Span(WINDOW.0 * at as i64 / rows as i64);
            let is_wrong = wrong.is_some_and(|every| at % every == 0);
            let id = format!("{}-{at}", start.0);
            records.predictions.push(prediction(&id, time));
            records.labels.push(label(&id, time + Span::from_secs(1), u8::from(!is_wrong)));
        }
        records
    }

    pub fn produce(&self, broker: &KafkaBroker, rows: &Rows) {
        broker.produce(&self.predictions, &rows.predictions);
        broker.produce(&self.labels, &rows.labels);
    }

    /// A configuration that reads from the start. The sections are put in where they belong.
    pub fn config(&self, top: &str, model: &str) -> String {
        let Self { predictions, labels, bootstrap, group } = self;
        format!(
            r#"
kafka:
  bootstrap_servers: {bootstrap}
  group_id: {group}
  properties:
    # A member that comes back under its name gets its partitions back at once.
    group.instance.id: one
    session.timeout.ms: "6000"
    reconnect.backoff.max.ms: "500"
    topic.metadata.refresh.interval.ms: "1000"
state: {{ url: "file://@HOME/state", checkpoint_every: 200ms }}
http: {{ listen: "@LISTEN" }}
{top}
models:
  - name: {MODEL}
    task: binary
    positive_class: "1"
    start: earliest
    predictions:
      topic: {predictions}
      fields:
        id: /id
        event_time: {{ path: /time_ms, unit: ms }}
        version: /version
        score: /score
    labels:
      topic: {labels}
      fields: {{ id: /id, event_time: {{ path: /time_ms, unit: ms }}, label: /label }}
      horizon: 2h
    time: {{ out_of_orderness: 1s, allowed_lateness: 1s, idle_after: 1s }}
    windows: [{WINDOW}]
    show: {{ support_min: 1 }}
{model}
"#
        )
    }
}

#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub predictions: Vec<Outgoing>,
    pub labels: Vec<Outgoing>,
}

impl Rows {
    pub fn add(&mut self, other: Self) {
        self.predictions.extend(other.predictions);
        self.labels.extend(other.labels);
    }
}

/// A prediction of the positive class.
pub fn prediction(id: &str, time: Timestamp) -> Outgoing {
    let time_ms = time.0 / 1_000;
    let payload = json!({ "id": id, "time_ms": time_ms, "version": "v1", "score": 0.9 });
    Outgoing::new(payload.to_string()).keyed(id)
}

pub fn label(id: &str, time: Timestamp, class: u8) -> Outgoing {
    let payload = json!({ "id": id, "time_ms": time.0 / 1_000, "label": class });
    Outgoing::new(payload.to_string()).keyed(id)
}
