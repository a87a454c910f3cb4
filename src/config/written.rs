//! The configuration as a user writes it. Every field may be absent: `config/default.yaml` states
//! the defaults, and validation says what is missing. The doc comments become the JSON schema. What
//! may hold secrets has no Debug.

use super::plan::Format;
use super::value::{DurationText, Form, List, Number, ScalarOrList, Share, SizeText, Text};
use crate::decode::spec::{LabelFields, PredictionFields};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// Configuration of tidemark.
///
/// Any single value may contain `${NAME}` or `${NAME:-default}` (environment variables) and `$$` (a
/// dollar sign). Files are named relative to the configuration's directory.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "tidemark")]
pub struct Config {
    #[schemars(required)]
    pub kafka: Option<KafkaConfig>,
    pub state: Option<StateConfig>,
    pub http: Option<HttpConfig>,
    /// Refused records go to this topic, with origin and reason in the headers. Absent: counted
    /// only.
    pub dead_letters: Option<DeadLettersConfig>,
    /// Where requests for retraining go.
    pub webhooks: Option<List<WebhookConfig>>,
    #[schemars(required)]
    pub models: Option<List<ModelConfig>>,
}

/// The Kafka cluster.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    #[schemars(required)]
    pub bootstrap_servers: Option<Text>,
    /// Consumer group; daemons with the same one share the partitions.
    pub group_id: Option<Text>,
    /// Whether a prediction and its label are in the same partition number of their topics.
    pub co_partitioned: Option<bool>,
    /// Any librdkafka property, passed through. `NAME_file: PATH` takes the value from a file.
    pub properties: Option<BTreeMap<String, Option<Text>>>,
}

/// Where and how often state is kept.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// `file:///directory`
    pub url: Option<Text>,
    pub checkpoint_every: Option<DurationText>,
    /// Full checkpoints of a lineage that are kept.
    pub checkpoints_keep: Option<u64>,
    /// A configuration whose worst case needs more is refused.
    pub memory_max: Option<SizeText>,
}

/// Metrics, health and API.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// `address:port`
    pub listen: Option<Text>,
    /// `address:port` of a listener for /metrics alone. Absent: only `listen` serves them.
    pub metrics_listen: Option<Text>,
    /// A file with TLS and passwords, as Prometheus' exporter-toolkit has it. Absent: plain HTTP.
    pub web_config: Option<Text>,
    pub alertmanager: Option<AlertmanagerConfig>,
    /// Series that one model may export; the least important beyond are dropped and counted.
    pub series_max: Option<u64>,
    /// Show values of features (categories, edges of bins, quantiles) on the page and in the API.
    pub show_values: Option<bool>,
}

/// How Alertmanager is known at /api/v1/alertmanager.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerConfig {
    /// A file with the token that it sends as `Authorization: Bearer`.
    #[schemars(required)]
    pub token_file: Option<Text>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLettersConfig {
    #[schemars(required)]
    pub topic: Option<Text>,
    /// Records a second; those beyond are counted only.
    pub rate_max: Option<u64>,
}

/// A receiver of requests, signed as Standard Webhooks say.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    #[schemars(required)]
    pub name: Option<Text>,
    /// http or https. Treated as a secret: only its host is shown.
    pub url: Option<Text>,
    /// A file with the URL, instead of `url`.
    pub url_file: Option<Text>,
    /// `whsec_` and 24 to 64 bytes in base64. Absent: requests are not signed.
    pub secret: Option<Text>,
    /// A file with one secret a line, instead of `secret`; every one signs (for a rotation).
    pub secret_file: Option<Text>,
    /// Headers sent with each request. `NAME_file: PATH` takes the value from a file.
    pub headers: Option<BTreeMap<String, Option<Text>>>,
    /// For one attempt.
    pub timeout: Option<DurationText>,
    /// A request that was not delivered for this long is given up.
    pub give_up_after: Option<DurationText>,
    /// Statuses besides 2xx that mean delivered, such as 409 for "already there".
    pub success_statuses: Option<List<u16>>,
    /// A JSON file: the body's form, for a target that has its own. Absent: the event as it is.
    pub template: Option<Text>,
    /// `http://host:port`; user and password are treated as a secret. Absent: no proxy.
    pub proxy: Option<Text>,
    pub tls: Option<WebhookTlsConfig>,
}

/// Certificates of https; files in PEM form.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookTlsConfig {
    /// The certificates that may have signed the receiver's. Absent: those of the system.
    pub ca_file: Option<Text>,
    /// Our certificate, followed by those that signed it.
    pub cert_file: Option<Text>,
    /// The certificate's key.
    pub key_file: Option<Text>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskConfig {
    Binary,
    Multiclass,
    Regression,
}

/// One model: where its predictions and labels are, and what to watch.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    #[schemars(required)]
    pub name: Option<Text>,
    #[schemars(required)]
    pub task: Option<TaskConfig>,
    /// Binary: the class that counts as positive. Absent: as in the profile.
    pub positive_class: Option<Text>,
    /// Binary: the other class. Absent: every other value is negative.
    pub negative_class: Option<Text>,
    /// Binary: a prediction without a class is positive if its score is at least this.
    pub threshold: Option<Share>,
    /// Multiclass: all classes, at most 64. Absent: as in the profile.
    pub classes: Option<List<Text>>,
    /// Multiclass: the k of top-k accuracy.
    pub top_k: Option<List<u16>>,
    /// Regression: a usual label. Absent: from the profile.
    pub center: Option<Number>,
    /// Regression: how far labels usually are from `center`. Absent: from the profile.
    pub scale: Option<Number>,
    /// First start only: `earliest`, `latest` or a time such as `2026-01-31T00:00:00Z`.
    pub start: Option<Text>,
    /// Versions beyond this many count as `OTHER`.
    pub versions_max: Option<u64>,
    /// Values of a sliced feature beyond this many count as `OTHER`.
    pub slice_values_max: Option<u64>,
    #[schemars(required)]
    pub predictions: Option<PredictionsConfig>,
    #[schemars(required)]
    pub labels: Option<LabelsConfig>,
    pub time: Option<TimeConfig>,
    pub windows: Option<List<Form<DurationText, WindowConfig>>>,
    pub reference: Option<ReferenceConfig>,
    /// Each a feature, a list of features (their cross), or `{ features: [...] }`.
    pub slices: Option<List<SliceConfig>>,
    pub show: Option<ShowConfig>,
    pub alerts: Option<AlertsConfig>,
    pub policies: Option<List<PolicyConfig>>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictionsConfig {
    #[schemars(required)]
    pub topic: Option<Text>,
    pub format: Option<Format>,
    /// What the `model` field says in this model's records. Absent: the model's name.
    pub route: Option<Text>,
    #[schemars(required)]
    pub fields: Option<PredictionFields>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelsConfig {
    #[schemars(required)]
    pub topic: Option<Text>,
    pub format: Option<Format>,
    #[schemars(required)]
    pub fields: Option<LabelFields>,
    /// How long after its prediction a label still counts.
    pub horizon: Option<DurationText>,
    /// How much earlier than its prediction a label may be.
    pub lead: Option<DurationText>,
    /// How far a label's partition may be beyond the horizon when the label is read.
    pub grace: Option<DurationText>,
    /// How long after its prediction a matched label can still be corrected. Absent:
    /// `out_of_orderness` + `allowed_lateness`.
    pub corrections_for: Option<DurationText>,
    /// A label topic that is quiet for this long is an alarm. Absent: it may be quiet.
    pub silent_after: Option<DurationText>,
    /// No label by then means this one.
    pub absent_after: Option<AbsentConfig>,
    /// Pending predictions and waiting labels beyond this many are shed.
    pub pending_max: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbsentConfig {
    #[schemars(required)]
    pub delay: Option<DurationText>,
    /// The class or number.
    #[schemars(required)]
    pub value: Option<Text>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeConfig {
    /// How far behind the newest event of its partition a record may normally be.
    pub out_of_orderness: Option<DurationText>,
    /// How far behind its partition's watermark a prediction may be before it is late.
    pub allowed_lateness: Option<DurationText>,
    /// A partition whose end was confirmed this long ago holds nobody back.
    pub idle_after: Option<DurationText>,
    /// How far an event time may lie beyond its record's Kafka timestamp.
    pub future_tolerance: Option<DurationText>,
    /// Whose days the windows follow: `UTC`, `Europe/Paris`, `+05:30`. Without summer time.
    pub zone: Option<Text>,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowConfig {
    #[schemars(required)]
    pub size: Option<DurationText>,
    /// A new one starts this often; divides `size`. Absent: as long as `size`.
    pub every: Option<DurationText>,
    /// How long after its end late labels still revise it. Absent: horizon + grace.
    pub keep: Option<DurationText>,
}

/// Profiles made by `tidemark profile`: what drift is measured against.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReferenceConfig {
    /// File of the profile for versions without one of their own.
    pub default: Option<Text>,
    /// Version -> file of its profile.
    pub versions: Option<BTreeMap<String, Option<Text>>>,
    /// Not yet: learn the reference from the first predictions.
    pub learn: Option<DurationText>,
}

/// A slice: `[sex, race]`, `sex`, or the long form.
#[derive(Clone, Debug, PartialEq)]
pub enum SliceConfig {
    Short(ScalarOrList<Text>),
    Long(LongSliceConfig),
}

impl<'de> Deserialize<'de> for SliceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SliceVisitor;

        impl<'de> Visitor<'de> for SliceVisitor {
            type Value = SliceConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a feature, a list of features, or `{ features: [...] }`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SliceConfig, E> {
                Ok(SliceConfig::Short(ScalarOrList::Scalar(Text(text.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<SliceConfig, A::Error> {
                let items = SeqAccessDeserializer::new(items);
                List::deserialize(items).map(|list| SliceConfig::Short(ScalarOrList::List(list)))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SliceConfig, A::Error> {
                let map = MapAccessDeserializer::new(map);
                LongSliceConfig::deserialize(map).map(SliceConfig::Long)
            }
        }

        deserializer.deserialize_any(SliceVisitor)
    }
}

impl JsonSchema for SliceConfig {
    fn schema_name() -> Cow<'static, str> {
        "SliceConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<ScalarOrList<Text>>();
        let long = generator.subschema_for::<LongSliceConfig>();
        json_schema!({
            "description": "A slice: `sex`, a cross `[sex, race]`, or the long form.",
            "anyOf": [short, long],
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongSliceConfig {
    #[schemars(required)]
    pub features: Option<List<Form<Text, SliceFeatureConfig>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SliceFeatureConfig {
    #[schemars(required)]
    pub name: Option<Text>,
    /// Numeric: [30, 50] makes three: below 30, from 30 to below 50, from 50.
    pub edges: Option<List<Number>>,
    /// Categorical: values with a slice of their own. Absent: the profile's most frequent.
    pub values: Option<List<Text>>,
}

/// Which window is shown as "now".
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowConfig {
    /// A gauge shows the newest window with at least this share of labels ...
    pub coverage_min: Option<Share>,
    /// ... and this many labelled predictions.
    pub support_min: Option<u64>,
    /// A window that changes is published again at most this often.
    pub revise_every: Option<DurationText>,
    /// How many of the newest closed windows of each size are kept for charts, and published again
    /// when they change.
    pub history_windows: Option<u64>,
    /// Series of a version that has not predicted for this long disappear.
    pub version_gone_after: Option<DurationText>,
}

/// How often policies without a bound of their own may be wrong.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertsConfig {
    /// False alarm episodes of the model in a week, all these policies together.
    pub episodes_per_week: Option<Number>,
}

/// When to alert or to ask for a retraining. Has one of `metric`, `drift` and `alertmanager`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    #[schemars(required)]
    pub name: Option<Text>,
    /// Such as accuracy, roc_auc, log_loss, rmse.
    pub metric: Option<Text>,
    pub drift: Option<DriftConfig>,
    /// Name of an alert that Alertmanager tells us at /api/v1/alertmanager.
    pub alertmanager: Option<Text>,
    /// Size of the disjoint windows that are judged; one of the model's. Absent: the largest.
    pub window: Option<DurationText>,
    /// Bad is below this. A number, or `{ baseline_minus: 0.03 }`.
    pub below: Option<Form<Number, LevelConfig>>,
    /// Bad is above this. A number, or `{ baseline_plus: 0.03 }`.
    pub above: Option<Form<Number, LevelConfig>>,
    /// In place of `below` and `above`: how much worse than the baseline is no news; the bound
    /// follows from the model's budget of false alarms.
    pub margin: Option<Number>,
    /// `sure`: the whole interval is beyond the bound. `value`: the value itself is.
    pub compare: Option<CompareConfig>,
    /// How long after its end a window is judged, on the labels there by then; at most the window's
    /// `keep`. Absent: the horizon, or `keep` if that is shorter.
    pub label_age: Option<DurationText>,
    /// With fewer labels a window is not judged.
    pub min_labels: Option<u64>,
    /// With fewer predictions a window's drift is not judged.
    pub min_predictions: Option<u64>,
    /// How many judged windows in a row must be bad.
    #[serde(rename = "for")]
    pub for_windows: Option<u64>,
    /// `alert`, or `{ retrain: WEBHOOK }`.
    pub action: Option<Form<ActionName, RetrainConfig>>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelConfig {
    pub value: Option<Number>,
    /// The baseline in the version's profile minus this.
    pub baseline_minus: Option<Number>,
    /// The baseline in the version's profile plus this.
    pub baseline_plus: Option<Number>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompareConfig {
    Sure,
    Value,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftConfig {
    /// `all`, or a list of names.
    pub features: Option<ScalarOrList<Text>>,
    /// One statistic and its bound, such as `{ psi: 0.25 }`. Absent: the bound follows from the
    /// model's budget of false alarms.
    pub above: Option<BTreeMap<String, Option<Number>>>,
    /// Without `above`: differences up to this are no news; about a PSI.
    pub material: Option<Number>,
    /// Without `above`: so much greater shares of missing, invalid or unknown values are no news.
    pub share_margin: Option<Number>,
    /// How many features must be above.
    pub features_min: Option<u64>,
}

/// The short form of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionName {
    Alert,
}

impl std::str::FromStr for ActionName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "alert" => Ok(Self::Alert),
            _ => Err("write `alert`, or `{ retrain: WEBHOOK }`".to_owned()),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrainConfig {
    /// Name of a webhook.
    #[schemars(required)]
    pub retrain: Option<Text>,
    /// Least distance between the window ends of two requests.
    pub cooldown: Option<DurationText>,
    /// A judgement that fell due longer ago than this asks for nothing.
    pub act_within: Option<DurationText>,
}
