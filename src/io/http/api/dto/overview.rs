//! The overview: how each model is, worst first.

use super::{Estimate, SliceName, VersionInfo};
use schemars::JsonSchema;
use serde::Serialize;

/// `GET /api/v1/models`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Models {
    pub total: usize,
    pub models: Vec<ModelSummary>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ModelSummary {
    pub name: String,
    /// binary, multiclass or regression.
    pub task: String,
    pub health: Health,
    /// Why, in sentences; the gravest first.
    pub reasons: Vec<Reason>,
    pub headline: Option<Headline>,
    /// Versions that predict, the newest first.
    pub versions: Vec<VersionInfo>,
    /// Predictions that wait for a label.
    pub pending_predictions: u64,
    /// Closing watermarks of both inputs.
    pub predictions_closing: Option<f64>,
    pub labels_closing: Option<f64>,
    pub labels_silent: bool,
    pub worst_feature: Option<WorstFeature>,
    pub worst_slice: Option<WorstSlice>,
    /// Policies that call for their action.
    pub firing: Vec<PolicyFiring>,
    pub last_request: Option<LastRequest>,
    /// The headline's metric of its version over its windows.
    pub sparkline: Sparkline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// A policy is firing.
    Bad,
    Warning,
    /// No window has closed yet.
    Unknown,
    Ok,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Reason {
    /// policy_firing, labels_silent, drift, webhook_disabled, request_given_up, no_predictions,
    /// no_labels, slice, nothing_closed, elsewhere (another member of the group looks after it).
    pub kind: String,
    pub text: String,
    pub version: Option<String>,
    pub policy: Option<String>,
    pub feature: Option<String>,
    pub slice: Option<SliceName>,
}

/// The number that stands for the model.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Headline {
    pub metric: String,
    /// As in the configuration: `1h`.
    pub window: String,
    pub window_end: f64,
    pub version: String,
    pub estimate: Estimate,
    pub baseline: Option<Baseline>,
    /// Labelled share of the window's predictions.
    pub coverage: Option<f64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Baseline {
    pub value: f64,
    /// profile: the held-out value of the version's reference. policy: the bound of the policy.
    pub source: String,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WorstFeature {
    pub feature: String,
    pub version: String,
    pub window: String,
    pub statistic: String,
    pub value: f64,
    /// Beyond what a policy's bound, or the noise of so many rows, explains.
    pub material: bool,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct WorstSlice {
    pub slice: SliceName,
    pub version: String,
    pub window: String,
    pub window_end: f64,
    pub metric: String,
    pub value: f64,
    pub labeled: u64,
    /// On the bad side of the rest; 95% sure to be at least `gap_lower`.
    pub gap: Option<f64>,
    pub gap_lower: Option<f64>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PolicyFiring {
    pub policy: String,
    pub version: String,
    /// End of the first window that called for it.
    pub since: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LastRequest {
    pub id: String,
    pub at: f64,
    pub policy: Option<String>,
    /// waiting, delivered or given_up.
    pub state: String,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Sparkline {
    pub ends: Vec<f64>,
    pub values: Vec<Option<f64>>,
}
