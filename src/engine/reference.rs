//! The reference profile: what a model's inputs, scores and outcomes looked like in data that it
//! was not trained on. Drift is measured against it; its held-out performance is the baseline.
//!
//! Made by `tidemark profile`, kept as a JSON file with a hash of its own content.

use super::alarm::design::Design;
use super::cbpe::CalibrationReference;
use super::dle::LossReference;
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
    /// The model was trained on this data: the baseline is better than what to expect.
    #[serde(default)]
    pub trained_on: bool,
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
    /// How much rows repeat each other over time; `None`: not measured, rows are taken as
    /// independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub design: Option<Design>,
    /// How scores came true on labelled rows that the model was not trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationReference>,
    /// Regression: models that predict the loss of a prediction.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<LossReference>,
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
/// Bin i holds `edges[i] <= x < edges[i + 1]`; the last one holds its upper edge too. An atom (a
/// value with more than 1/256 of the mass) has a bin of its own, [a, next double above a). Values
/// under the first edge or over the last are out of range: no reference row is. A column of few
/// different values has a bin for each: up to 128 as atoms with the gaps between them, up to 256
/// each with the gap after it.
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

/// The most fine bins that a numeric reference has.
pub const FINE_BINS_MAX: usize = 256;
/// The most coarse bins.
pub const COARSE_BINS_MAX: usize = 32;
/// The most categories that can be listed.
pub const CATEGORIES_MAX: usize = 100_000;
/// Longer texts are never listed as a category or class: their rows count as `other`.
pub const CATEGORY_BYTES_MAX: usize = 256;

impl NumericReference {
    /// Rows with a value.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What contradicts itself, as `field: what is wrong`.
    pub fn validate(&self) -> Result<(), String> {
        let bins = self.counts.len();
        if bins == 0 || bins > FINE_BINS_MAX {
            return Err(format!("counts: {bins} bins, expected 1 to {FINE_BINS_MAX}"));
        }
        if self.edges.len() != bins + 1 {
            let edges = self.edges.len();
            return Err(format!("edges: {edges} edges for {bins} bins, expected {}", bins + 1));
        }
        if let Some(i) = self.edges.iter().position(|edge| !edge.is_finite()) {
            return Err(format!("edges[{i}]: not a finite number"));
        }
        if let Some(i) = (1..=bins).find(|&i| self.edges[i] <= self.edges[i - 1]) {
            return Err(format!("edges[{i}]: not above the edge before it"));
        }
        if self.sums.len() != bins || self.sums.iter().any(|sum| !sum.is_finite()) {
            return Err(format!("sums: expected {bins} finite numbers, one a bin"));
        }
        if checked_sum(self.counts.iter()).is_none_or(|rows| rows == 0) {
            return Err("counts: add up to nothing, or to more than fits".into());
        }
        self.validate_coarse(bins)?;
        let numbers = [self.mean, self.std, self.min, self.max];
        if numbers.iter().any(|number| !number.is_finite()) || self.std < 0.0 {
            return Err("mean, std, min, max: expected finite numbers, std not negative".into());
        }
        if self.min < self.edges[0] || self.max > self.edges[bins] || self.min > self.max {
            return Err("min, max: not within the edges".into());
        }
        Ok(())
    }

    fn validate_coarse(&self, bins: usize) -> Result<(), String> {
        let coarse = &self.coarse;
        if coarse.is_empty() || coarse.len() > COARSE_BINS_MAX || coarse[0] != 0 {
            return Err(format!("coarse: expected 1 to {COARSE_BINS_MAX} starts, the first 0"));
        }
        let ascending = coarse.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || coarse.iter().any(|&start| usize::from(start) >= bins) {
            return Err(format!("coarse: expected ascending positions below {bins}"));
        }
        Ok(())
    }
}

impl CategoricalReference {
    /// Rows with a value.
    pub fn rows(&self) -> u64 {
        self.categories.iter().map(|category| category.count).sum::<u64>() + self.other
    }

    /// What contradicts itself, as `field: what is wrong`. No category at all is allowed: a column
    /// that was always missing.
    pub fn validate(&self) -> Result<(), String> {
        if self.categories.len() > CATEGORIES_MAX {
            let count = self.categories.len();
            return Err(format!("categories: {count}, expected at most {CATEGORIES_MAX}"));
        }
        let counts = self.categories.iter().map(|category| &category.count);
        if checked_sum(counts.chain([&self.other])).is_none() {
            return Err("categories: counts add up to more than fits".into());
        }
        let too_long = |category: &Category| category.value.len() > CATEGORY_BYTES_MAX;
        if let Some(i) = self.categories.iter().position(too_long) {
            return Err(format!("categories[{i}].value: longer than {CATEGORY_BYTES_MAX} bytes"));
        }
        let mut values: Vec<&str> = self.categories.iter().map(|c| c.value.as_str()).collect();
        values.sort_unstable();
        if values.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("categories: a value is listed twice".into());
        }
        Ok(())
    }
}

impl FeatureReference {
    /// A column without gaps, for scores and classes.
    pub fn complete(name: &str, distribution: Distribution) -> Self {
        Self { name: name.to_owned(), missing: 0, null: 0, invalid: 0, non_finite: 0, distribution }
    }

    /// All rows, with a value or without.
    pub fn rows(&self) -> u64 {
        self.missing + self.null + self.invalid + self.non_finite + self.distribution.rows()
    }
}

impl Distribution {
    /// Rows with a value.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Numeric(numbers) => numbers.rows(),
            Self::Categorical(categories) => categories.rows(),
        }
    }

    pub fn validate(&self) -> Result<(), String> {
        match self {
            Self::Numeric(numbers) => numbers.validate(),
            Self::Categorical(categories) => categories.validate(),
        }
    }
}

impl Profile {
    /// What contradicts itself, as `path: what is wrong`.
    pub fn validate(&self) -> Result<(), String> {
        let mut names: Vec<&str> = self.features.iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("features: `{}` is there twice", pair[0]));
        }
        for (i, feature) in self.features.iter().enumerate() {
            let at = |what| format!("features[{i}] (`{}`).{what}", feature.name);
            feature.distribution.validate().map_err(at)?;
            let absent = [feature.missing, feature.null, feature.invalid, feature.non_finite];
            let present = feature.distribution.rows();
            if checked_sum(absent.iter().chain([&present])) != Some(self.rows) {
                return Err(at(format!(
                    "counts: do not add up to the profile's {} rows",
                    self.rows
                )));
            }
        }
        let numbers = [("score", &self.score), ("label_values", &self.label_values)];
        for (name, reference) in numbers {
            let checked = reference.as_ref().map_or(Ok(()), NumericReference::validate);
            checked.map_err(|what| format!("{name}.{what}"))?;
        }
        let classes = [
            ("predicted_classes", &self.predicted_classes),
            ("label_classes", &self.label_classes),
        ];
        for (name, reference) in classes {
            let checked = reference.as_ref().map_or(Ok(()), CategoricalReference::validate);
            checked.map_err(|what| format!("{name}.{what}"))?;
        }
        self.design.as_ref().map_or(Ok(()), Design::validate)?;
        let checked = self.calibration.as_ref().map_or(Ok(()), CalibrationReference::validate);
        checked.map_err(|what| format!("calibration.{what}"))?;
        let features: Vec<&str> = self.features.iter().map(|f| f.name.as_str()).collect();
        for (i, loss) in self.losses.iter().enumerate() {
            loss.check(&features).map_err(|what| format!("losses[{i}]: {what}"))?;
        }
        if self.classes.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("classes: not sorted, or one is there twice".into());
        }
        if let Some(positive) = &self.positive_class
            && !self.classes.contains(positive)
        {
            return Err("positive_class: not among the classes".into());
        }
        Ok(())
    }
}

fn checked_sum<'a>(counts: impl Iterator<Item = &'a u64>) -> Option<u64> {
    counts.copied().try_fold(0u64, u64::checked_add)
}
