//! Performance metrics: each a pure function of mergeable cells.
//!
//! To add one: a variant, its line in `ALL` and in `catalog.rs`, its arm in `estimate`, and the
//! function itself in the file of its family. The compiler asks for all but `ALL`, and a test for
//! that.

mod agreement;
mod calibration;
mod catalog;
mod classes;
mod confusion;
mod error;
pub mod interval;
mod loss;
mod method;
pub mod query;
mod ranking;

pub use method::Method;
pub use ranking::LogitAuc;

use super::estimate::Estimate;
use super::sketch::{BinaryCells, CLASSES_MAX, MulticlassCells, PerformanceCells, RegressionCells};
use super::spec::Task;
use agreement::Confusion;
pub(in crate::engine) use ranking::ratios;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A performance metric, named as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    Accuracy,
    BalancedAccuracy,
    Precision,
    Recall,
    Specificity,
    F1,
    F2,
    Jaccard,
    Mcc,
    CohenKappa,
    RocAuc,
    AveragePrecision,
    KsSeparation,
    LogLoss,
    Brier,
    CalibrationError,
    ExpectedCalibrationError,
    MaximumCalibrationError,
    Prevalence,
    PositiveRate,
    PrecisionMacro,
    RecallMacro,
    F1Macro,
    PrecisionMicro,
    RecallMicro,
    F1Micro,
    PrecisionWeighted,
    RecallWeighted,
    F1Weighted,
    Mae,
    Mse,
    Rmse,
    R2,
    Mape,
    Smape,
    Bias,
    MedianAbsoluteError,
    /// For the k that the model's task lists: `top_2_accuracy`.
    TopKAccuracy(TopK),
}

/// The k of a top-k accuracy: 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopK(u8);

/// The tasks that a metric is defined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tasks {
    pub binary: bool,
    pub multiclass: bool,
    pub regression: bool,
}

impl Metric {
    /// All but the top-k accuracies, which depend on the model.
    pub const ALL: [Self; 37] = [
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::Precision,
        Self::Recall,
        Self::Specificity,
        Self::F1,
        Self::F2,
        Self::Jaccard,
        Self::Mcc,
        Self::CohenKappa,
        Self::RocAuc,
        Self::AveragePrecision,
        Self::KsSeparation,
        Self::LogLoss,
        Self::Brier,
        Self::CalibrationError,
        Self::ExpectedCalibrationError,
        Self::MaximumCalibrationError,
        Self::Prevalence,
        Self::PositiveRate,
        Self::PrecisionMacro,
        Self::RecallMacro,
        Self::F1Macro,
        Self::PrecisionMicro,
        Self::RecallMicro,
        Self::F1Micro,
        Self::PrecisionWeighted,
        Self::RecallWeighted,
        Self::F1Weighted,
        Self::Mae,
        Self::Mse,
        Self::Rmse,
        Self::R2,
        Self::Mape,
        Self::Smape,
        Self::Bias,
        Self::MedianAbsoluteError,
    ];

    /// Whether it follows from `PerformanceCells::counts`: for binary models from the counts by
    /// decision and label, without losses and bins of scores.
    pub fn is_of_counts(self) -> bool {
        !matches!(
            self,
            Self::RocAuc
                | Self::AveragePrecision
                | Self::KsSeparation
                | Self::LogLoss
                | Self::Brier
                | Self::CalibrationError
                | Self::ExpectedCalibrationError
                | Self::MaximumCalibrationError
        )
    }

    /// The metrics of a task, with the top-k accuracies that it lists.
    pub fn of_task(task: &Task) -> Vec<Self> {
        let mut metrics: Vec<Self> =
            Self::ALL.into_iter().filter(|metric| metric.tasks().include(task)).collect();
        if let Task::Multiclass { top_k, .. } = task {
            metrics.extend(top_k.iter().filter_map(|&k| TopK::new(k)).map(Self::TopKAccuracy));
        }
        metrics
    }
}

/// The value of a metric over the rows in `cells`, with its interval and its support; `None` if it
/// is not defined for the task, or if its denominator is 0.
pub fn estimate(metric: Metric, cells: &PerformanceCells) -> Option<Estimate> {
    match cells {
        PerformanceCells::Binary(cells) => estimate_binary(metric, cells),
        PerformanceCells::Multiclass(cells) => estimate_multiclass(metric, cells),
        PerformanceCells::Regression(cells) => estimate_regression(metric, cells),
    }
}

/// The AUC on the logit scale, of a binary model; `None` where its interval is not honest.
pub fn logit_auc(cells: &PerformanceCells) -> Option<LogitAuc> {
    match cells {
        PerformanceCells::Binary(cells) => ranking::logit_auc(cells),
        PerformanceCells::Multiclass(_) | PerformanceCells::Regression(_) => None,
    }
}

fn estimate_binary(metric: Metric, cells: &BinaryCells) -> Option<Estimate> {
    match metric {
        Metric::Accuracy => confusion::accuracy(cells),
        Metric::BalancedAccuracy => confusion::balanced_accuracy(cells),
        Metric::Precision => confusion::precision(cells),
        Metric::Recall => confusion::recall(cells),
        Metric::Specificity => confusion::specificity(cells),
        Metric::F1 => confusion::f1(cells),
        Metric::F2 => confusion::f2(cells),
        Metric::Jaccard => confusion::jaccard(cells),
        Metric::Prevalence => confusion::prevalence(cells),
        Metric::PositiveRate => confusion::positive_rate(cells),
        Metric::Mcc => agreement::mcc(&Confusion::of_binary(cells)),
        Metric::CohenKappa => agreement::cohen_kappa(&Confusion::of_binary(cells)),
        Metric::RocAuc => ranking::roc_auc(cells),
        Metric::AveragePrecision => ranking::average_precision(cells),
        Metric::KsSeparation => ranking::ks_separation(cells),
        Metric::LogLoss => loss::log_loss(cells),
        Metric::Brier => loss::brier(cells),
        Metric::CalibrationError => calibration::debiased(&cells.calibration()),
        Metric::ExpectedCalibrationError => calibration::expected(&cells.calibration()),
        Metric::MaximumCalibrationError => calibration::maximum(&cells.calibration()),
        _ => None,
    }
}

fn estimate_multiclass(metric: Metric, cells: &MulticlassCells) -> Option<Estimate> {
    let matrix = || Confusion::of_multiclass(cells);
    match metric {
        Metric::Accuracy
        | Metric::PrecisionMicro
        | Metric::RecallMicro
        | Metric::F1Micro
        | Metric::RecallWeighted => classes::accuracy(&matrix()),
        Metric::BalancedAccuracy => classes::balanced_accuracy(&matrix()),
        Metric::PrecisionMacro => classes::precision_macro(&matrix()),
        Metric::RecallMacro => classes::recall_macro(&matrix()),
        Metric::F1Macro => classes::f1_macro(&matrix()),
        Metric::PrecisionWeighted => classes::precision_weighted(&matrix()),
        Metric::F1Weighted => classes::f1_weighted(&matrix()),
        Metric::Mcc => agreement::mcc(&matrix()),
        Metric::CohenKappa => agreement::cohen_kappa(&matrix()),
        Metric::LogLoss => loss::log_loss_multiclass(cells),
        Metric::TopKAccuracy(k) => classes::top_k_accuracy(cells, k.get()),
        Metric::CalibrationError => calibration::debiased(&cells.calibration()),
        Metric::ExpectedCalibrationError => calibration::expected(&cells.calibration()),
        Metric::MaximumCalibrationError => calibration::maximum(&cells.calibration()),
        _ => None,
    }
}

fn estimate_regression(metric: Metric, cells: &RegressionCells) -> Option<Estimate> {
    match metric {
        Metric::Mae => error::mae(cells),
        Metric::Mse => error::mse(cells),
        Metric::Rmse => error::rmse(cells),
        Metric::R2 => error::r2(cells),
        Metric::Mape => error::mape(cells),
        Metric::Smape => error::smape(cells),
        Metric::Bias => error::bias(cells),
        Metric::MedianAbsoluteError => error::median_absolute_error(cells),
        _ => None,
    }
}

impl TopK {
    /// `None` for 0 and beyond 64, the most classes there are.
    pub fn new(k: u16) -> Option<Self> {
        (1..=CLASSES_MAX as u16).contains(&k).then_some(Self(k as u8))
    }

    pub fn get(self) -> u16 {
        u16::from(self.0)
    }
}

impl Tasks {
    pub fn include(self, task: &Task) -> bool {
        match task {
            Task::Binary { .. } => self.binary,
            Task::Multiclass { .. } => self.multiclass,
            Task::Regression { .. } => self.regression,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let top_k = || {
            let k = text.strip_prefix("top_")?.strip_suffix("_accuracy")?.parse().ok()?;
            // The name that k gives back must be the one that was written: not top_02_accuracy.
            TopK::new(k).map(Self::TopKAccuracy).filter(|metric| metric.name() == text)
        };
        Self::ALL.into_iter().find(|metric| metric.name() == text).or_else(top_k).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!(
                "`{text}` is not a metric; it is one of {} and top_K_accuracy with K from 1 to 64",
                names.join(", ")
            )
        })
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_metric_is_listed_once_and_reads_back_from_its_name() {
        let mut names = BTreeSet::new();
        for metric in Metric::ALL {
            assert!(names.insert(metric.name()), "{metric} twice");
            assert_eq!(metric.name().parse(), Ok(metric));
            assert!(metric.help().ends_with('.') && metric.help().len() > 20, "{metric}");
        }
        // `TopKAccuracy` is declared last, so the last of `ALL` says how many there are before it.
        let top_k = Metric::TopKAccuracy(TopK(1));
        assert!(Metric::ALL.is_sorted() && Metric::ALL.iter().all(|metric| *metric < top_k));
        assert_eq!(names.len(), Metric::ALL.len());
    }

    #[test]
    fn every_k_of_top_k_accuracy_has_a_name() {
        for k in 1..=64 {
            let metric = Metric::TopKAccuracy(TopK::new(k).unwrap());
            assert_eq!(metric.name(), format!("top_{k}_accuracy"));
            assert_eq!(metric.name().parse(), Ok(metric));
        }
        assert_eq!(TopK::new(0), None);
        assert_eq!(TopK::new(65), None);
        for wrong in ["top_0_accuracy", "top_65_accuracy", "top_02_accuracy", "top_+2_accuracy"] {
            assert!(wrong.parse::<Metric>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn metrics_of_counts_follow_from_the_counts_alone_and_the_others_do_not() {
        use crate::engine::score::Resolution;
        use crate::engine::sketch::{BinaryOutcome, Outcome, Sign, Sketch};
        let task =
            Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 };
        let mut whole = PerformanceCells::new(&task, false, Resolution::Coarse);
        for row in 0..100 {
            let (score, label) = (f64::from(row) / 100.0, row % 3 == 0);
            let outcome =
                BinaryOutcome { score: Some(score), decision: row > 50, label, weight: 1.0 };
            whole.add(&Outcome::Binary(outcome), Sign::Add);
        }
        let mut counts = whole.counts();
        for metric in Metric::of_task(&task) {
            let same = estimate(metric, &counts) == estimate(metric, &whole);
            assert_eq!(same, metric.is_of_counts(), "{metric}");
        }
        counts.merge_counts(&whole);
        whole.merge(&whole.clone());
        let of = |cells: &PerformanceCells| estimate(Metric::Mcc, cells);
        assert_eq!(of(&counts), of(&whole));
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "acuracy".parse::<Metric>().unwrap_err();
        assert!(error.contains("`acuracy`") && error.contains("roc_auc"), "{error}");
    }
}
