//! Other tools' numbers, and our own: one file a dialect.
//!
//! A dialect gives the number that its tool gives for the same rows, with the tool's own choice of
//! the statistic that decides, its threshold and its verdict. The versions are those whose sources
//! were read and whose numbers the tests compare: Evidently 0.7.23, NannyML 0.13.1, TensorFlow Data
//! Validation 1.16.1, deequ 2.0.

mod deequ;
mod evidently;
mod gk_sketch;
mod kll_sketch;
mod nannyml;
mod own;
mod tfdv;
mod tfdv_histogram;

use super::feature::{Feature, Values};
use super::finding::{Alarm, FeatureFindings, Finding, Statistic};
use clap::ValueEnum;
use std::collections::BTreeMap;

/// Whose definitions, default method, threshold and verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// Our own: the daemon's definitions, exact; a threshold that knows the number of rows
    #[default]
    Tidemark,
    /// Evidently 0.7
    Evidently,
    /// NannyML 0.13
    Nannyml,
    /// TensorFlow Data Validation 1.16
    Tfdv,
    /// deequ 2.0, as SageMaker Model Monitor uses it
    Deequ,
}

impl Dialect {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tidemark => "tidemark",
            Self::Evidently => "evidently",
            Self::Nannyml => "nannyml",
            Self::Tfdv => "tfdv",
            Self::Deequ => "deequ",
        }
    }

    /// What of the tool is left out, with the reason.
    pub fn left_out(self) -> &'static [&'static str] {
        match self {
            Self::Tidemark => &[],
            Self::Evidently => &[
                "TVD and empirical_mmd: their verdicts are drawn at random (permutations)",
                "text columns: their domain classifier is trained on a random split",
            ],
            Self::Nannyml => {
                &["multivariate and performance estimates: they are not comparisons of one feature"]
            }
            Self::Tfdv => &[
                "NORMALIZED_ABSOLUTE_DIFFERENCE: it has no default and is 0 for every number",
                "statistics made by Beam from several batches: their sketch depends on the batches",
            ],
            Self::Deequ => {
                &["sketches of several Spark partitions: they depend on how the rows were split"]
            }
        }
    }
}

/// What the user can change of the dialects' defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Thresholds in place of the dialect's.
    pub thresholds: BTreeMap<Statistic, f64>,
    /// NannyML: rows of a reference chunk; absent, a tenth of the reference.
    pub chunk_size: Option<usize>,
    /// tidemark: the chance that any feature is called drifted though none differs materially.
    pub alpha: f64,
    /// tidemark: a difference up to this (phi squared, about a PSI) is not material.
    pub delta: f64,
    /// How many features are compared.
    pub features: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            thresholds: BTreeMap::new(),
            chunk_size: None,
            alpha: 0.01,
            delta: 0.01,
            features: 1,
        }
    }
}

impl Settings {
    fn threshold(&self, statistic: Statistic, default: Option<f64>) -> Option<f64> {
        self.thresholds.get(&statistic).copied().or(default)
    }
}

/// All that `dialect` says of a feature. A side without values has no number: every finding is
/// `None`.
pub fn compare(dialect: Dialect, feature: &Feature, settings: &Settings) -> FeatureFindings {
    match dialect {
        Dialect::Tidemark => own::compare(feature, settings),
        Dialect::Evidently => evidently::compare(feature, settings),
        Dialect::Nannyml => nannyml::compare(feature, settings),
        Dialect::Tfdv => tfdv::compare(feature, settings),
        Dialect::Deequ => deequ::compare(feature, settings),
    }
}

/// Findings in a dialect's order, filled in one by one.
struct Findings<'a> {
    found: FeatureFindings,
    settings: &'a Settings,
}

impl<'a> Findings<'a> {
    /// Every statistic of `all`, none of them applying so far.
    fn new(feature: &Feature, all: &[Statistic], settings: &'a Settings) -> Self {
        let kind = match feature.values {
            Values::Numeric { .. } => "numeric",
            Values::Categorical { .. } => "categorical",
        };
        let found = FeatureFindings {
            name: feature.name.clone(),
            kind,
            rows: (0, 0),
            statistics: all.iter().map(|statistic| (*statistic, None)).collect(),
            decisive: None,
            notes: Vec::new(),
        };
        Self { found, settings }
    }

    fn put(&mut self, statistic: Statistic, finding: Finding) {
        let mut places = self.found.statistics.iter_mut();
        if let Some(place) = places.find(|(which, _)| *which == statistic) {
            place.1 = Some(finding);
        }
    }

    fn finding_mut(&mut self, statistic: Statistic) -> Option<&mut Finding> {
        let mut places = self.found.statistics.iter_mut();
        places.find(|(which, _)| *which == statistic)?.1.as_mut()
    }

    /// A distance, with the user's threshold or the dialect's.
    fn distance(
        &mut self,
        statistic: Statistic,
        value: Option<f64>,
        alarm: Alarm,
        threshold: Option<f64>,
    ) {
        let threshold = self.settings.threshold(statistic, threshold);
        self.put(statistic, Finding::distance(value, alarm, threshold));
    }

    /// A score that is a p-value, with the user's threshold or the dialect's.
    fn p_score(&mut self, statistic: Statistic, p: Option<f64>, alarm: Alarm, threshold: f64) {
        let threshold = self.settings.threshold(statistic, Some(threshold)).unwrap_or(threshold);
        self.put(statistic, Finding::p_score(p, alarm, threshold));
    }
}
