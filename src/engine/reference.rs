//! The reference profile: what a model's inputs, scores and outcomes looked like in data that it was
//! not trained on. Drift is measured against it; its held-out performance is the baseline.
//!
//! Made by `tidemark profile`, kept as a JSON file with a hash of its own content.

use super::estimate::Estimate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The newest version of the file format that this program writes and reads.
pub const PROFILE_VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Always "tidemark/profile".
    pub format: String,
    pub version: u32,
    /// Name of the model that it was made for, if given; another model must not use it.
    pub model: Option<String>,
    /// "binary", "multiclass" or "regression", if the data had predictions or labels.
    pub task: Option<String>,
    pub rows: u64,
    /// Where it came from: file names without their directories.
    pub sources: Vec<String>,
    /// Canonical texts of the classes, sorted; empty for regression or unknown.
    pub classes: Vec<String>,
    /// Binary: which of them is positive.
    pub positive_class: Option<String>,
    pub features: Vec<FeatureReference>,
    /// Binary and regression: distribution of scores or predicted values.
    pub score: Option<NumericReference>,
    /// Distribution of predicted classes.
    pub predicted_classes: Option<CategoricalReference>,
    /// Distribution of labels: classes or numbers.
    pub label_classes: Option<CategoricalReference>,
    pub label_values: Option<NumericReference>,
    /// Metric name -> its value on this data.
    pub baseline: BTreeMap<String, Estimate>,
    /// `sha256:` and 64 hexadecimal digits over the canonical JSON of everything above.
    pub content_hash: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureReference {
    pub name: String,
    /// Rows without the field, with null, with a value of another type, not finite.
    pub missing: u64,
    pub null: u64,
    pub invalid: u64,
    pub non_finite: u64,
    #[serde(flatten)]
    pub distribution: Distribution,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Distribution {
    Numeric(NumericReference),
    Categorical(CategoricalReference),
}

/// A fine grid of at most 256 bins over [min, max], and coarse unions of its bins.
///
/// Bin i holds edges[i] <= x < edges[i + 1]; the last one holds its upper edge too. An atom (a value
/// with more than 1/256 of the mass) has a bin of its own, [a, next double above a). Values under the
/// first edge or over the last are out of range: no reference row is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumericReference {
    /// Ascending; one more than `counts`.
    pub edges: Vec<f64>,
    pub counts: Vec<u64>,
    /// Sum of the values in each bin, so that tails and means within bins are known.
    pub sums: Vec<f64>,
    /// First fine bin of each coarse bin, ascending from 0.
    pub coarse: Vec<u16>,
    pub mean: f64,
    /// Population standard deviation (divided by n).
    pub std: f64,
    pub min: f64,
    pub max: f64,
}

/// Categories by descending count, then by text; those beyond the maximum are in `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoricalReference {
    pub categories: Vec<Category>,
    /// Rows of categories that are not listed.
    pub other: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Category {
    pub value: String,
    pub count: u64,
}
