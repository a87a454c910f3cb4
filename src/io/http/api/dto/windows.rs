//! Windows: history, drift, features, slices.

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// A number with what it rests on.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Estimate {
    pub value: f64,
    /// 95% confidence interval; null where no honest one is known.
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// Rows that the value rests on.
    pub support: u64,
    /// How far the value may be from the exact one because of binning; 0 if it is exact.
    pub error_max: f64,
}

/// A subset of the predictions.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SliceName {
    /// `sex=Male,race=OTHER`
    pub name: String,
    pub conditions: Vec<SliceCondition>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SliceCondition {
    pub feature: String,
    pub value: String,
}

/// `GET /api/v1/models/{model}/history`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HistoryAnswer {
    pub window: String,
    pub size: f64,
    pub every: f64,
    /// One a version, the newest version first.
    pub series: Vec<Series>,
    pub marks: Vec<HistoryMark>,
}

/// Columns of equal length, oldest window first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Series {
    pub version: String,
    /// Null: the whole model.
    pub slice: Option<SliceName>,
    pub ends: Vec<f64>,
    pub predictions: Vec<Option<u64>>,
    pub labeled: Vec<Option<u64>>,
    pub coverage: Vec<Option<f64>>,
    /// on_time, late or final.
    pub state: Vec<String>,
    pub metrics: BTreeMap<String, MetricSeries>,
    /// By metric: the held-out value of the version's reference.
    pub baseline: BTreeMap<String, f64>,
    /// By metric: before all labels are there. Empty without a calibration, and for a slice.
    pub estimates: BTreeMap<String, EstimateSeries>,
}

/// One metric before all labels are there; as long as `ends`.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct EstimateSeries {
    /// Over all predictions, without any label, and its 95% band.
    pub estimated: Vec<Option<f64>>,
    pub estimated_lower: Vec<Option<f64>>,
    pub estimated_upper: Vec<Option<f64>>,
    /// One line: measured where labels have come, estimated where they have not. Its interval is
    /// for what the window will show when all have come.
    pub combined: Vec<Option<f64>>,
    pub combined_lower: Vec<Option<f64>>,
    pub combined_upper: Vec<Option<f64>>,
    /// Null until a window is final.
    pub grade: Option<EstimateGrade>,
}

/// How estimates did once labels had come.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EstimateGrade {
    /// Final windows that do not overlap, the newest 64 at most.
    pub windows: usize,
    /// Mean of measured minus estimated.
    pub bias: Option<f64>,
    /// In how many of how many windows the 95% band held the measured value.
    pub band_held: usize,
    pub band_windows: usize,
    /// Null before 5 windows are graded.
    pub trusted: Option<bool>,
    /// One sentence.
    pub reason: String,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct MetricSeries {
    pub value: Vec<Option<f64>>,
    pub lower: Vec<Option<f64>>,
    pub upper: Vec<Option<f64>>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HistoryMark {
    /// Where it belongs in event time.
    pub at: f64,
    /// By the daemon's clock.
    pub happened_at: f64,
    /// version, firing, cleared, request, delivered or given_up.
    pub kind: String,
    pub version: Option<String>,
    pub policy: Option<String>,
    pub text: String,
}

/// `GET /api/v1/models/{model}/drift`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DriftAnswer {
    pub window: String,
    pub version: Option<String>,
    /// own or inherited; null without a reference, or before a window has closed.
    pub reference: Option<String>,
    pub end: Option<f64>,
    pub predictions: Option<u64>,
    /// The statistic that order and heat use.
    pub statistic: String,
    pub total: usize,
    /// By effect, the largest first.
    pub features: Vec<DriftFeature>,
    /// The same features in the same order, over the windows.
    pub heat: Heat,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DriftFeature {
    pub feature: String,
    /// numeric, categorical or boolean.
    pub kind: String,
    /// The model's score or predicted class.
    pub output: bool,
    /// From 1.
    pub rank: usize,
    pub effect: Option<f64>,
    /// Beyond what a policy's bound, or the noise of so many rows, explains.
    pub material: bool,
    pub statistics: BTreeMap<String, f64>,
    pub missing_share: Option<f64>,
    pub invalid_share: Option<f64>,
    pub out_of_range_share: Option<f64>,
    pub new_share: Option<f64>,
    pub reference_missing_share: Option<f64>,
    pub reference_invalid_share: Option<f64>,
    pub reference_new_share: Option<f64>,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Heat {
    pub ends: Vec<f64>,
    pub features: Vec<HeatRow>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HeatRow {
    pub feature: String,
    pub effect: Vec<Option<f64>>,
    pub missing: Vec<Option<f64>>,
}

/// `GET /api/v1/models/{model}/features/{feature}`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FeatureAnswer {
    pub feature: String,
    pub kind: String,
    pub output: bool,
    pub window: String,
    pub version: Option<String>,
    pub end: Option<f64>,
    /// Whether this says values as they are (`http.show_values`): else categories are `#1`, `#2`,
    /// and bins have no edges.
    pub show_values: bool,
    pub statistics: BTreeMap<String, f64>,
    pub missing_share: Option<f64>,
    pub invalid_share: Option<f64>,
    pub out_of_range_share: Option<f64>,
    pub new_share: Option<f64>,
    pub reference_missing_share: Option<f64>,
    pub reference_invalid_share: Option<f64>,
    pub reference_new_share: Option<f64>,
    pub reference: Option<Distribution>,
    pub current: Option<Distribution>,
    pub history: FeatureHistory,
}

/// Numbers have `bins` and `quantiles`, categories `values` and `other_share`.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Distribution {
    /// Rows, with a value or without.
    pub count: u64,
    /// Rows without a value.
    pub missing: u64,
    pub bins: Option<Vec<Bin>>,
    /// By share: `0.05`, `0.25`, `0.5`, `0.75`, `0.95`; interpolated within bins.
    pub quantiles: Option<BTreeMap<String, f64>>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub mean: Option<f64>,
    pub values: Option<Vec<ValueShare>>,
    /// What is not listed.
    pub other_share: Option<f64>,
}

/// [lower, upper); the first is open below, the last open above.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Bin {
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    /// Of the rows with a value.
    pub share: f64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ValueShare {
    pub value: String,
    pub share: f64,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct FeatureHistory {
    pub ends: Vec<f64>,
    pub effect: Vec<Option<f64>>,
    pub missing: Vec<Option<f64>>,
    pub invalid: Vec<Option<f64>>,
    pub new: Vec<Option<f64>>,
    pub out_of_range: Vec<Option<f64>>,
}

/// `GET /api/v1/models/{model}/slices`
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SlicesAnswer {
    pub window: String,
    pub version: Option<String>,
    pub end: Option<f64>,
    pub metric: String,
    pub whole: Option<SliceWhole>,
    pub total: usize,
    /// The one that lies surest below the rest first.
    pub slices: Vec<SliceRow>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SliceWhole {
    pub predictions: u64,
    pub labeled: u64,
    pub coverage: Option<f64>,
    pub estimate: Option<Estimate>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SliceRow {
    pub slice: SliceName,
    pub predictions: u64,
    pub labeled: u64,
    pub coverage: Option<f64>,
    pub estimate: Option<Estimate>,
    /// All predictions that are not in the slice.
    pub rest: Option<Estimate>,
    /// How far the slice lies on the bad side of the rest: positive is worse.
    pub gap: Option<f64>,
    pub gap_lower: Option<f64>,
    pub gap_upper: Option<f64>,
    /// Of the predictions.
    pub share: Option<f64>,
    /// The headline's metric; empty if another one was asked for.
    pub history: SliceHistory,
}

#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct SliceHistory {
    pub ends: Vec<f64>,
    pub values: Vec<Option<f64>>,
}
