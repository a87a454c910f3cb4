//! A validated configuration: everything resolved, checked and ready to run.
//!
//! Durations divide each other, names are unique, references exist, secrets are read. The engine's
//! half is one [`ModelSpec`] a model; the rest tells the edges where to connect.

use super::secret::{Secret, SecretOrPlain, SecretUrl};
use super::template::Template;
use crate::decode::spec::{LabelFields, PredictionFields};
use crate::engine::event::ModelIndex;
use crate::engine::spec::ModelSpec;
use crate::engine::time::{Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// What the daemon runs. Debug never shows a secret.
#[derive(Clone, Debug)]
pub struct Plan {
    pub kafka: KafkaPlan,
    pub state: StatePlan,
    pub http: HttpPlan,
    /// Without it refused records are counted only.
    pub dead_letters: Option<DeadLettersPlan>,
    pub webhooks: Vec<WebhookPlan>,
    /// Topics that carry predictions, by name.
    pub prediction_topics: Vec<PredictionTopic>,
    /// Topics that carry labels, by name. No topic is in both lists.
    pub label_topics: Vec<LabelTopic>,
    /// Position is the [`ModelIndex`].
    pub models: Vec<Arc<ModelSpec>>,
    /// One a model: changes when panes or pending entries of the old plan no longer fit.
    pub layouts: Vec<PlanHash>,
    /// Co-partition groups: the connected components of topics linked by models, by name.
    pub groups: Vec<GroupPlan>,
    /// Changes with anything above, except the values of secrets.
    pub hash: PlanHash,
}

#[derive(Clone, Debug)]
pub struct KafkaPlan {
    /// librdkafka's `bootstrap.servers`.
    pub bootstrap: String,
    pub group_id: String,
    pub co_partitioned: bool,
    /// librdkafka properties as they are passed through; none of those that tidemark owns.
    pub properties: BTreeMap<String, SecretOrPlain>,
}

#[derive(Clone, Debug)]
pub struct StatePlan {
    /// `file:///...`
    pub url: String,
    pub checkpoint_every: Span,
    /// How many full checkpoints of a lineage stay.
    pub checkpoints_keep: usize,
    pub memory_max_bytes: u64,
}

#[derive(Clone, Debug)]
pub struct HttpPlan {
    pub listen: SocketAddr,
    /// A listener for `/metrics` alone, besides the one for everything.
    pub metrics_listen: Option<SocketAddr>,
    /// The file with TLS and passwords; it passed its checks. Without it plain HTTP for everyone.
    pub web_config: Option<PathBuf>,
    /// The bearer token by which Alertmanager is known.
    pub alertmanager_token: Option<Secret>,
    /// Series that one model may export; the least important ones beyond are dropped and counted.
    pub series_max: usize,
    /// Values of features are shown as they are; else by rank, and bins without edges.
    pub show_values: bool,
}

#[derive(Clone, Debug)]
pub struct DeadLettersPlan {
    pub topic: String,
    /// Records a second; those beyond are counted only.
    pub rate_max: u32,
}

#[derive(Clone, Debug)]
pub struct WebhookPlan {
    pub name: Arc<str>,
    pub url: SecretUrl,
    /// `whsec_...`; every one signs (several during a rotation). Empty: requests are not signed.
    pub secrets: Vec<Secret>,
    pub headers: BTreeMap<String, Secret>,
    pub timeout: Span,
    /// A request that was not delivered for this long is given up.
    pub give_up_after: Span,
    /// Statuses besides 2xx that mean delivered, such as 409 for "already there".
    pub success_statuses: Vec<u16>,
    /// The body's form; without one the event is sent as it is.
    pub template: Option<Template>,
    pub proxy: Option<SecretUrl>,
    pub tls: WebhookTls,
}

/// PEM texts, read from their files.
#[derive(Clone, Debug, Default)]
pub struct WebhookTls {
    /// Whose signatures are trusted; absent: those that the system trusts.
    pub ca: Option<String>,
    /// Our certificate and its key.
    pub identity: Option<Secret>,
}

/// How a payload is encoded.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Json,
}

/// Where to begin reading at the very first start, before there is a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Earliest,
    Latest,
    At(Timestamp),
}

#[derive(Clone, Debug)]
pub struct PredictionTopic {
    pub topic: Arc<str>,
    pub format: Format,
    pub start: Start,
    /// Position in [`Plan::groups`].
    pub group: usize,
    /// At least one; with more than one each has a route and a `model` selector.
    pub models: Vec<PredictionRoute>,
}

#[derive(Clone, Debug)]
pub struct PredictionRoute {
    pub model: ModelIndex,
    pub fields: PredictionFields,
    /// Canonical text of the `model` field in this model's records; `None` without such a field.
    pub route: Option<String>,
}

#[derive(Clone, Debug)]
pub struct LabelTopic {
    pub topic: Arc<str>,
    pub format: Format,
    pub start: Start,
    /// Position in [`Plan::groups`].
    pub group: usize,
    /// At least one. All agree on `id`, `event_time` and `rows`.
    pub models: Vec<LabelListener>,
}

#[derive(Clone, Debug)]
pub struct LabelListener {
    pub model: ModelIndex,
    pub fields: LabelFields,
}

/// Topics whose partitions must be read together. A shard is (group, partition).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// Derived from the topics' names alone; safe in a path.
    pub name: String,
    /// Positions in [`Plan::prediction_topics`].
    pub predictions: Vec<usize>,
    /// Positions in [`Plan::label_topics`].
    pub labels: Vec<usize>,
    pub models: Vec<ModelIndex>,
    /// Ids are not in the same partition of all topics, so one shard holds all partitions.
    pub spread: bool,
}

/// xxh3-128 over a canonical text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PlanHash(pub u128);

impl PlanHash {
    pub fn of(text: &str) -> Self {
        Self(xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }
}

impl From<PlanHash> for String {
    fn from(hash: PlanHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for PlanHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        u128::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| format!("`{text}` is not a hash of 32 hexadecimal digits"))
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Plan {
    pub fn model(&self, index: ModelIndex) -> &Arc<ModelSpec> {
        &self.models[usize::from(index.0)]
    }

    /// Every topic that is read, once, by name.
    pub fn topics(&self) -> Vec<Arc<str>> {
        let mut topics: Vec<_> = self
            .prediction_topics
            .iter()
            .map(|topic| topic.topic.clone())
            .chain(self.label_topics.iter().map(|topic| topic.topic.clone()))
            .collect();
        topics.sort();
        topics
    }
}
