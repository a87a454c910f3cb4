//! One model: what it is, its newest numbers, labels, policies, requests.

use super::{Estimate, ModelSummary};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// `GET /api/v1/models/{model}`: the summary, and what it is made of.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelPage {
    #[serde(flatten)]
    pub summary: ModelSummary,
    pub windows: Vec<WindowKind>,
    pub metrics: Vec<MetricInfo>,
    pub features: Vec<FeatureInfo>,
    /// As declared: `sex`, `sex,race`.
    pub slices: Vec<String>,
    /// For each version and size the newest window with enough labels.
    pub current: Vec<CurrentWindow>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WindowKind {
    /// As parameters and metrics name it: `1h`.
    pub window: String,
    pub size: f64,
    pub every: f64,
    /// How long after its end labels still revise it.
    pub keep: f64,
    /// End of the newest window that has closed, and of the one that closes next.
    pub closed_through: Option<f64>,
    pub next_end: Option<f64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MetricInfo {
    pub name: String,
    /// One sentence.
    pub label: String,
    pub higher_is_better: Option<bool>,
    /// `ratio` for what lies between 0 and 1.
    pub unit: Option<String>,
    /// How its 95% interval is found, or why it has none.
    pub interval: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FeatureInfo {
    pub name: String,
    /// numeric, categorical or boolean.
    pub kind: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VersionInfo {
    pub version: String,
    /// Start of the first pane that a closed window showed it in.
    pub first_prediction_at: Option<f64>,
    pub last_prediction_at: Option<f64>,
    pub predictions: u64,
    /// Predictions that met a label, or were given one.
    pub labeled: u64,
    pub profile_hash: Option<String>,
    /// own or inherited.
    pub reference: Option<String>,
    pub baseline: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct CurrentWindow {
    pub version: String,
    pub window: String,
    pub end: f64,
    /// on_time, late or final.
    pub state: String,
    pub predictions: u64,
    pub labeled: u64,
    pub coverage: Option<f64>,
    pub metrics: BTreeMap<String, Estimate>,
}

/// `GET /api/v1/models/{model}/labels`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LabelsAnswer {
    pub delay: Delay,
    pub maturity: Vec<Maturity>,
    pub outcomes: Outcomes,
    pub expected: Expected,
    /// How long labels of each class take, as estimates use it. Empty without a calibration, and
    /// before a window is final.
    pub learned: Vec<LearnedDelay>,
}

/// How long the labels of one class took in windows that are final. Assumed: delays stay as they
/// were, do not depend on the score within a class, and predictions that are never labelled are as
/// the others.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LearnedDelay {
    pub version: String,
    pub class: String,
    pub labels: u64,
    /// Share of all predictions, of whichever class, that ever got a label.
    pub labelled_share: Option<f64>,
    /// Cumulative: the share of the class's labels that had come. Null below 50 labels.
    pub within: Vec<LearnedShare>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LearnedShare {
    /// Seconds after the prediction.
    pub age: f64,
    pub share: Option<f64>,
}

/// How long labels took after their predictions.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Delay {
    /// Not cumulative; the last one has no bound.
    pub buckets: Vec<DelayBucket>,
    pub count: u64,
    pub mean: Option<f64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DelayBucket {
    /// Upper bound in seconds; null: what is beyond the last one.
    pub le: Option<f64>,
    pub count: u64,
}

/// Labelled share of the newest windows, by their end: how labels come in.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Maturity {
    pub window: String,
    pub version: String,
    pub ends: Vec<f64>,
    pub coverage: Vec<Option<f64>>,
}

/// Rows by how they ended for this model.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Outcomes {
    /// Predictions.
    pub rows: BTreeMap<String, u64>,
    pub labels: BTreeMap<String, u64>,
}

/// What the configuration says about labels.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Expected {
    pub horizon: f64,
    pub lead: f64,
    pub grace: f64,
    pub silent_after: Option<f64>,
    /// No label by then means one that the configuration names.
    pub absent_after: Option<f64>,
    pub coverage_min: f64,
    pub support_min: u64,
}

/// `GET /api/v1/models/{model}/policies`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PoliciesAnswer {
    pub policies: Vec<Policy>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Policy {
    pub name: String,
    pub window: String,
    /// The metric or the drift statistic.
    pub measure: String,
    /// `accuracy below 0.8 (the whole interval) for 2 windows`
    pub condition: String,
    /// alert or retrain.
    pub action: String,
    pub webhook: Option<String>,
    pub cooldown: Option<f64>,
    /// Bad windows in a row that it takes.
    #[serde(rename = "for")]
    pub for_windows: u32,
    /// How long after its end a window is judged; null for drift.
    pub label_age: Option<f64>,
    pub firing: Vec<FiringSince>,
    /// Of a policy whose bound follows from the model's budget of false alarms; else null.
    pub budget: Option<PolicyBudget>,
    /// No request for windows that end before this.
    pub cooldown_until: Option<f64>,
    pub judged_through: Option<f64>,
    pub last: Vec<LastDecision>,
    pub decisions: Vec<DecisionCount>,
}

/// How a bound follows from a budget, and what came of it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PolicyBudget {
    /// False alarm episodes in a week that the policy may make.
    pub episodes_per_week: f64,
    /// The level of each test asked of a window; null for a loss, which has evidence without an
    /// end.
    pub alpha: Option<f64>,
    /// The evidence that an alarm takes: windows between false alarms, at least, on average.
    pub run_length: Option<f64>,
    /// Tests that went from quiet to firing, ever.
    pub episodes: u64,
    /// By version.
    pub versions: Vec<PolicyEvidence>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PolicyEvidence {
    pub version: String,
    /// Evidence of the last window over what an alarm takes, as logarithms; null: too few rows.
    pub evidence: Option<f64>,
    pub tests: Vec<FiringTest>,
}

/// A test that fires.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FiringTest {
    /// null: the test is about the model.
    pub feature: Option<String>,
    /// distribution, missing, invalid, unknown_values, loss or ranking.
    pub test: String,
    pub since: f64,
    /// Looks in a row at which nothing was to be seen; the third clears it.
    pub calm: u8,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FiringSince {
    pub version: String,
    pub since: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LastDecision {
    pub version: String,
    pub window_end: f64,
    /// hold, alert or retrain.
    pub decision: String,
    pub reason: String,
    /// One sentence.
    pub text: String,
    /// Bad windows in a row.
    pub streak: u32,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DecisionCount {
    pub decision: String,
    pub reason: String,
    pub count: u64,
}

/// `GET /api/v1/requests`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RequestsAnswer {
    pub total: usize,
    /// The newest first.
    pub requests: Vec<RequestInfo>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RequestInfo {
    pub id: String,
    pub model: String,
    pub version: Option<String>,
    pub policy: Option<String>,
    pub webhook: String,
    pub window: RequestWindow,
    pub created_at: f64,
    /// waiting, delivered or given_up.
    pub state: String,
    /// Why it was given up.
    pub given_up: Option<String>,
    pub next_attempt_at: Option<f64>,
    /// The newest attempts, oldest first.
    pub attempts: Vec<AttemptInfo>,
    /// `data` of the webhook's payload.
    pub evidence: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RequestWindow {
    pub start: Option<f64>,
    pub end: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct AttemptInfo {
    pub at: f64,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    pub error: Option<String>,
}
