//! What each metric is called, says, is defined for and can be.

use super::{Metric, Tasks, TopK};

/// A metric's entry in the catalogue.
pub(super) struct Info {
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    pub tasks: Tasks,
    /// `None` where neither is better.
    pub higher_is_better: Option<bool>,
    /// Least and greatest possible value.
    pub range: (f64, f64),
}

const BINARY: Tasks = Tasks { binary: true, multiclass: false, regression: false };
const MULTICLASS: Tasks = Tasks { binary: false, multiclass: true, regression: false };
const CLASSIFICATION: Tasks = Tasks { binary: true, multiclass: true, regression: false };
const REGRESSION: Tasks = Tasks { binary: false, multiclass: false, regression: true };

const UNIT: (f64, f64) = (0.0, 1.0);
const SIGNED_UNIT: (f64, f64) = (-1.0, 1.0);
const POSITIVE: (f64, f64) = (0.0, f64::INFINITY);
const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
/// -ln(2^-52): probabilities are kept that far from 0.
const LOG_LOSS_MAX: f64 = 52.0 * std::f64::consts::LN_2;

const HIGHER: Option<bool> = Some(true);
const LOWER: Option<bool> = Some(false);

impl Metric {
    /// As users write it and as dimensions show it.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// What it says, in one sentence.
    pub fn help(self) -> &'static str {
        self.info().help
    }

    pub fn tasks(self) -> Tasks {
        self.info().tasks
    }

    /// `None` where neither is better: a rate, or a bias, which is best at 0.
    pub fn higher_is_better(self) -> Option<bool> {
        self.info().higher_is_better
    }

    /// Least and greatest possible value.
    pub fn range(self) -> (f64, f64) {
        self.info().range
    }

    /// The catalogue: a table in the form of a match, so that none can be forgotten.
    fn info(self) -> Info {
        let info = |name, help, tasks, higher_is_better, range| Info {
            name,
            help,
            tasks,
            higher_is_better,
            range,
        };
        match self {
            Self::Accuracy => info(
                "accuracy",
                "The share of labelled predictions that were right.",
                CLASSIFICATION,
                HIGHER,
                UNIT,
            ),
            Self::BalancedAccuracy => info(
                "balanced_accuracy",
                "The mean over the true classes of the share that was recognised.",
                CLASSIFICATION,
                HIGHER,
                UNIT,
            ),
            Self::Precision => info(
                "precision",
                "The share of positive predictions that were right.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::Recall => info(
                "recall",
                "The share of positives that were predicted positive.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::Specificity => info(
                "specificity",
                "The share of negatives that were predicted negative.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::F1 => {
                info("f1", "The harmonic mean of precision and recall.", BINARY, HIGHER, UNIT)
            }
            Self::F2 => info(
                "f2",
                "The mean of precision and recall that weighs recall four times as much.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::Jaccard => info(
                "jaccard",
                "The share that were both, of all that were positive or predicted so.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::Mcc => info(
                "mcc",
                "Matthews' correlation between predicted and true class; 0 is chance.",
                CLASSIFICATION,
                HIGHER,
                SIGNED_UNIT,
            ),
            Self::CohenKappa => info(
                "cohen_kappa",
                "Agreement between predicted and true class beyond chance; 0 is chance.",
                CLASSIFICATION,
                HIGHER,
                SIGNED_UNIT,
            ),
            Self::RocAuc => info(
                "roc_auc",
                "The chance that a positive scores above a negative; 0.5 is chance.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::AveragePrecision => info(
                "average_precision",
                "Precision averaged over the positives in order of their score.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::KsSeparation => info(
                "ks_separation",
                "Greatest gap between the shares of positives and of negatives above a score.",
                BINARY,
                HIGHER,
                UNIT,
            ),
            Self::LogLoss => info(
                "log_loss",
                "The mean of minus the logarithm of the probability given to the true class.",
                CLASSIFICATION,
                LOWER,
                (0.0, LOG_LOSS_MAX),
            ),
            Self::Brier => info(
                "brier",
                "The mean squared difference between the score and the label (0 or 1).",
                BINARY,
                LOWER,
                UNIT,
            ),
            Self::CalibrationError => info(
                "calibration_error",
                "Root mean square of observed minus stated probability, sampling noise taken out.",
                CLASSIFICATION,
                LOWER,
                UNIT,
            ),
            Self::ExpectedCalibrationError => info(
                "expected_calibration_error",
                "Mean absolute difference of observed and stated probability, noise included.",
                CLASSIFICATION,
                LOWER,
                UNIT,
            ),
            Self::MaximumCalibrationError => info(
                "maximum_calibration_error",
                "Greatest difference of observed and stated probability in one of ten bins.",
                CLASSIFICATION,
                LOWER,
                UNIT,
            ),
            Self::Prevalence => info(
                "prevalence",
                "The share of labelled predictions whose label is positive.",
                BINARY,
                None,
                UNIT,
            ),
            Self::PositiveRate => info(
                "positive_rate",
                "The share of labelled predictions that were predicted positive.",
                BINARY,
                None,
                UNIT,
            ),
            Self::PrecisionMacro => info(
                "precision_macro",
                "The mean over the classes of precision.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::RecallMacro => info(
                "recall_macro",
                "The mean over the classes, predicted or true, of recall.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::F1Macro => {
                info("f1_macro", "The mean over the classes of F1.", MULTICLASS, HIGHER, UNIT)
            }
            Self::PrecisionMicro => info(
                "precision_micro",
                "Precision over all classes together, which is accuracy.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::RecallMicro => info(
                "recall_micro",
                "Recall over all classes together, which is accuracy.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::F1Micro => info(
                "f1_micro",
                "F1 over all classes together, which is accuracy.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::PrecisionWeighted => info(
                "precision_weighted",
                "Precision averaged over the classes by how often they are true.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::RecallWeighted => info(
                "recall_weighted",
                "Recall averaged over the classes by how often they are true, which is accuracy.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::F1Weighted => info(
                "f1_weighted",
                "F1 averaged over the classes by how often they are true.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
            Self::Mae => info(
                "mae",
                "The mean absolute error, in the label's unit.",
                REGRESSION,
                LOWER,
                POSITIVE,
            ),
            Self::Mse => info(
                "mse",
                "The mean squared error, in the label's unit squared.",
                REGRESSION,
                LOWER,
                POSITIVE,
            ),
            Self::Rmse => info(
                "rmse",
                "The square root of the mean squared error, in the label's unit.",
                REGRESSION,
                LOWER,
                POSITIVE,
            ),
            Self::R2 => info(
                "r2",
                "The share of the labels' variance that is explained; below 0: worse than a mean.",
                REGRESSION,
                HIGHER,
                (f64::NEG_INFINITY, 1.0),
            ),
            Self::Mape => info(
                "mape",
                "The mean of absolute error by absolute label, a fraction; huge near label 0.",
                REGRESSION,
                LOWER,
                POSITIVE,
            ),
            Self::Smape => info(
                "smape",
                "The mean of absolute error by the mean of absolute label and prediction.",
                REGRESSION,
                LOWER,
                (0.0, 2.0),
            ),
            Self::Bias => info(
                "bias",
                "The mean of prediction minus label, in the label's unit.",
                REGRESSION,
                None,
                ANY,
            ),
            Self::MedianAbsoluteError => info(
                "median_absolute_error",
                "The median absolute error, in the label's unit.",
                REGRESSION,
                LOWER,
                POSITIVE,
            ),
            Self::TopKAccuracy(k) => info(
                k.name(),
                "The share of labelled predictions whose true class is among the k most probable.",
                MULTICLASS,
                HIGHER,
                UNIT,
            ),
        }
    }
}

impl TopK {
    fn name(self) -> &'static str {
        macro_rules! names {
            ($($k:literal)*) => { [$(concat!("top_", $k, "_accuracy")),*] };
        }
        const NAMES: [&str; 64] = names!(
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
            33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61
            62 63 64
        );
        NAMES[usize::from(self.get()) - 1]
    }
}
