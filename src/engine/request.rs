//! A request for a retraining: its deterministic id and its body, which is fixed when it is made.
//!
//! The body is the event `model.retraining.requested` with [`Evidence`], as JSON with fields in a
//! fixed order, smaller than [`BODY_BYTES_MAX`]. It carries evidence (numbers, names of features,
//! offsets) and never a value of a feature: those may be personal data.

use super::text::clip;
use super::time::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::Arc;

/// Standard Webhooks asks for less than 20 kB. Beyond it offsets are left out first, then features.
pub const BODY_BYTES_MAX: usize = 20_000;
/// Drifting features in a body; callers give the worst first.
pub const FEATURES_MAX: usize = 10;
/// Statistics of one feature in a body.
const STATISTICS_MAX: usize = 16;
/// Partitions, over all topics, whose offsets are in a body.
pub const PARTITIONS_MAX: usize = 256;
/// Topics in a body.
const TOPICS_MAX: usize = 8;
/// Characters of a name in a body.
const NAME_CHARS_MAX: usize = 128;
const REASON_CHARS_MAX: usize = 1_000;

/// One request to one webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The same whenever the same decision is taken again; goes into the header `webhook-id`.
    pub id: Arc<str>,
    /// Name of the declared webhook.
    pub webhook: Arc<str>,
    /// The exact bytes to send; a webhook with a template sends what that makes of them.
    pub body: Arc<str>,
    /// End of the window that asked for it.
    pub window_end: Timestamp,
}

/// The id of the request that a policy makes for a window: `retrain-` and 32 hexadecimal digits.
///
/// It has no full stop (the signature's separator) and fits the idempotency fields of the usual
/// targets: at most 64 characters for Databricks, at least 32 for SageMaker, a name for Kubernetes.
pub fn request_id(policy: &str, model: &str, version: &str, window_end: Timestamp) -> Arc<str> {
    id_of(&[policy, model, version], window_end)
}

/// The id of the request that a policy makes for an alert from outside: the same however often the
/// alert is told. In the form of [`request_id`], and never one of those.
pub fn alert_request_id(
    policy: &str,
    model: &str,
    version: &str,
    fingerprint: &str,
    starts_at: Timestamp,
) -> Arc<str> {
    id_of(&[policy, model, version, fingerprint], starts_at)
}

fn id_of(parts: &[&str], at: Timestamp) -> Arc<str> {
    let mut hash = Sha256::new();
    for part in parts {
        // With its length, so that ("ab", "c") and ("a", "bc") differ.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(at.0.to_le_bytes());
    let mut id = String::from("retrain-");
    for byte in &hash.finalize()[..16] {
        write!(id, "{byte:02x}").expect("writing to a string cannot fail");
    }
    id.into()
}

/// What a body says, apart from its frame. Fill it, then call [`Evidence::into_request`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Evidence {
    pub model: String,
    pub version: String,
    /// binary, multiclass or regression.
    pub task: String,
    pub policy: String,
    /// One or two sentences for a person.
    pub reason: String,
    pub window: WindowEvidence,
    /// `None` for a policy about drift.
    pub metric: Option<MetricEvidence>,
    /// Predictions in the window, and how many of them had labels when it was judged.
    pub predictions: u64,
    pub labeled_predictions: Option<u64>,
    /// Labelled / predictions, from 0 to 1.
    pub label_coverage: Option<f64>,
    /// Content hash of the profile that drift was measured against.
    pub reference: Option<String>,
    /// The worst first; at most `FEATURES_MAX` are sent.
    pub drifting_features: Vec<FeatureEvidence>,
    /// Where in Kafka the window's rows are.
    pub offsets: Vec<TopicOffsets>,
    /// Only of a policy on somebody else's alert; then the window is empty, at the alert's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertEvidence>,
    /// Only of a policy whose bound follows from the model's budget of false alarms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetEvidence>,
}

/// How sure an alarm from a budget is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BudgetEvidence {
    /// False alarm episodes in a week that the policy may make.
    pub episodes_a_week: f64,
    /// Evidence over what an alarm takes, both as logarithms; from 1 on it is set off. After an
    /// alarm it is gathered anew.
    pub evidence: Option<f64>,
    /// End of the window from which on it fires.
    pub firing_since: Option<JsonTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AlertEvidence {
    pub name: String,
    pub fingerprint: String,
    pub starts_at: JsonTime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WindowEvidence {
    pub start: JsonTime,
    pub end: JsonTime,
    pub size_seconds: f64,
    /// How many judged windows in a row were bad, this one included.
    pub bad_in_a_row: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MetricEvidence {
    pub name: String,
    pub value: f64,
    /// 95% confidence interval.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// Rows that the value rests on.
    pub support: u64,
    /// The reference's held-out value.
    pub baseline: Option<f64>,
    /// The level that it was compared with.
    pub bound: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FeatureEvidence {
    pub name: String,
    pub statistics: Vec<StatisticEvidence>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StatisticEvidence {
    pub name: String,
    pub value: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TopicOffsets {
    pub topic: String,
    pub partitions: Vec<PartitionOffsets>,
}

/// From the first offset to the one after the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PartitionOffsets {
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// A point in time that is written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonTime(pub Timestamp);

impl Serialize for JsonTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The type of a request's event.
pub const EVENT_TYPE: &str = "model.retraining.requested";

/// The whole body. Structure: Standard Webhooks 1.0.0, section "Payload structure".
#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    timestamp: JsonTime,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    #[serde(flatten)]
    evidence: &'a Evidence,
    /// How many drifting features and partitions the body had no room for.
    features_omitted: usize,
    partitions_omitted: usize,
}

impl Evidence {
    /// The request with its id and body; `decided_at` is the event's timestamp.
    pub fn into_request(self, webhook: Arc<str>, decided_at: Timestamp) -> Request {
        let id = request_id(&self.policy, &self.model, &self.version, self.window.end.0);
        self.into_request_with(id, webhook, decided_at)
    }

    /// The same with an id of the caller's.
    pub fn into_request_with(
        mut self,
        id: Arc<str>,
        webhook: Arc<str>,
        decided_at: Timestamp,
    ) -> Request {
        let window_end = self.window.end.0;
        self.clip();
        let body = self.body(&id, decided_at);
        Request { id, webhook, body: body.into(), window_end }
    }

    fn body(mut self, id: &str, decided_at: Timestamp) -> String {
        let mut features_omitted = self.limit_features(FEATURES_MAX);
        let mut partitions_omitted = self.limit_partitions(PARTITIONS_MAX);
        loop {
            let data = Data { id, evidence: &self, features_omitted, partitions_omitted };
            let event = Event { r#type: EVENT_TYPE, timestamp: JsonTime(decided_at), data };
            let body = serde_json::to_string(&event)
                .expect("structs of texts and numbers always have a JSON form");
            let partitions = self.partition_count();
            let features = self.drifting_features.len();
            if body.len() < BODY_BYTES_MAX || partitions + features == 0 {
                return body;
            }
            if partitions > 0 {
                partitions_omitted += self.limit_partitions(partitions / 2);
            } else {
                features_omitted += self.limit_features(features / 2);
            }
        }
    }

    fn clip(&mut self) {
        let Self { model, version, task, policy, reason, .. } = self;
        *reason = clip(reason, REASON_CHARS_MAX);
        for name in [model, version, task, policy].into_iter().chain(&mut self.reference) {
            *name = clip(name, NAME_CHARS_MAX);
        }
        if let Some(metric) = &mut self.metric {
            metric.name = clip(&metric.name, NAME_CHARS_MAX);
        }
        for feature in &mut self.drifting_features {
            feature.name = clip(&feature.name, NAME_CHARS_MAX);
            feature.statistics.truncate(STATISTICS_MAX);
            for statistic in &mut feature.statistics {
                statistic.name = clip(&statistic.name, NAME_CHARS_MAX);
            }
        }
        if let Some(alert) = &mut self.alert {
            alert.name = clip(&alert.name, NAME_CHARS_MAX);
            alert.fingerprint = clip(&alert.fingerprint, NAME_CHARS_MAX);
        }
        for topic in &mut self.offsets {
            topic.topic = clip(&topic.topic, NAME_CHARS_MAX);
        }
    }

    fn limit_features(&mut self, max: usize) -> usize {
        let before = self.drifting_features.len();
        self.drifting_features.truncate(max);
        before - self.drifting_features.len()
    }

    fn partition_count(&self) -> usize {
        self.offsets.iter().map(|topic| topic.partitions.len()).sum()
    }

    /// Keeps the first partitions of the first topics, and says how many went.
    fn limit_partitions(&mut self, max: usize) -> usize {
        let before = self.partition_count();
        let mut room = max;
        self.offsets.truncate(TOPICS_MAX);
        for topic in &mut self.offsets {
            topic.partitions.truncate(room);
            room -= topic.partitions.len();
        }
        self.offsets.retain(|topic| !topic.partitions.is_empty());
        before - self.partition_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence() -> Evidence {
        Evidence {
            model: "income".into(),
            version: "v7".into(),
            task: "binary".into(),
            policy: "accuracy-fell".into(),
            reason: "accuracy is below 0.82".into(),
            window: WindowEvidence {
                start: JsonTime(Timestamp::from_secs(0)),
                end: JsonTime(Timestamp::from_secs(3_600)),
                size_seconds: 3600.0,
                bad_in_a_row: 3,
            },
            ..Evidence::default()
        }
    }

    #[test]
    fn the_id_depends_on_each_part_and_on_their_borders() {
        let at = Timestamp::from_secs(3_600);
        let id = request_id("policy", "model", "v1", at);
        assert_eq!(id.len(), 40);
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        assert_eq!(id, request_id("policy", "model", "v1", at));
        let others = [
            request_id("policym", "odel", "v1", at),
            request_id("policy", "modelv", "1", at),
            request_id("policy", "model", "v2", at),
            request_id("policy", "model", "v1", Timestamp(at.0 + 1)),
        ];
        assert!(others.iter().all(|other| *other != id));
        let alert = |fingerprint| alert_request_id("policy", "model", "v1", fingerprint, at);
        assert_eq!(alert("f1"), alert("f1"));
        assert_ne!(alert("f1"), alert("f2"));
        assert!(["f1", "", "12345678"].iter().all(|fingerprint| alert(fingerprint) != id));
    }

    #[test]
    fn the_body_is_an_event_with_fields_in_a_fixed_order() {
        let request = evidence().into_request("trainer".into(), Timestamp::from_secs(7_200));
        let start = format!(
            "{{\"type\":\"model.retraining.requested\",\"timestamp\":\"1970-01-01T02:00:00Z\",\
             \"data\":{{\"id\":\"{}\",\"model\":\"income\",\"version\":\"v7\",\"task\":\"binary\",",
            request.id
        );
        assert!(request.body.starts_with(&start), "{}", request.body);
        assert!(request.body.contains(r#""window":{"start":"1970-01-01T00:00:00Z","end":"#));
        assert!(request.body.contains(r#""metric":null"#));
        assert_eq!(request.window_end, Timestamp::from_secs(3_600));
        let again = evidence().into_request("trainer".into(), Timestamp::from_secs(7_200));
        assert_eq!(again, request);
    }

    #[test]
    fn the_worst_input_stays_below_the_maximum() {
        let nasty = "\"\\\u{1}\u{10ffff}€".repeat(300);
        let mut evidence = evidence();
        for text in [&mut evidence.model, &mut evidence.version, &mut evidence.reason] {
            *text = nasty.clone();
        }
        evidence.reference = Some(nasty.clone());
        evidence.alert = Some(AlertEvidence {
            name: nasty.clone(),
            fingerprint: nasty.clone(),
            starts_at: JsonTime(Timestamp::MAX),
        });
        let statistic = StatisticEvidence { name: nasty.clone(), value: f64::NAN };
        let feature = FeatureEvidence { name: nasty.clone(), statistics: vec![statistic; 99] };
        evidence.drifting_features = vec![feature; 99];
        let partition = PartitionOffsets { partition: i32::MIN, from: i64::MIN, to: i64::MIN };
        evidence.offsets =
            vec![TopicOffsets { topic: nasty, partitions: vec![partition; 999] }; 20];
        let request = evidence.into_request("trainer".into(), Timestamp::MAX);
        assert!(request.body.len() < BODY_BYTES_MAX, "{}", request.body.len());
        let value: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(value["data"]["partitions_omitted"], 19_980);
    }

    #[test]
    fn offsets_are_kept_as_far_as_there_is_room_and_the_rest_is_counted() {
        let mut evidence = evidence();
        let partitions = (0..300).map(|partition| PartitionOffsets { partition, from: 1, to: 9 });
        evidence.offsets =
            vec![TopicOffsets { topic: "p".into(), partitions: partitions.collect() }];
        let request = evidence.into_request("trainer".into(), Timestamp::from_secs(0));
        let value: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(value["data"]["partitions_omitted"], 44);
        assert_eq!(value["data"]["offsets"][0]["partitions"][255]["partition"], 255);
    }
}
