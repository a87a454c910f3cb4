//! Metrics from sums of calibrated probabilities: estimated over all predictions, and combined with
//! what has been measured.
//!
//! *Estimated* is NannyML's CBPE over every prediction of a window, with its sampling error.
//! *Combined* is the one line: labels where they have come, expectations where they have not. Its
//! interval is for what the window will show when all labels are there. It assumes that scores mean
//! what they meant in the reference, and that labels are missing at random given the score, or as
//! the learned delays of each class say (`nowcasts::Maturity`).

use super::Estimator;
use super::order::{Group, auc, average_precision};
use crate::engine::dle::REGRESSION;
use crate::engine::estimate::{Estimate, Interval};
use crate::engine::metric::Metric;
use crate::engine::metric::interval::Z;
use crate::engine::sketch::{
    BinaryCells, Expected, ExpectedCells, Mass, MulticlassCells, PerformanceCells,
};
use crate::engine::spec::Task;
use serde::{Deserialize, Serialize};

/// One metric of a window before all labels are there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nowcast {
    /// Over all predictions, without any label.
    pub estimated: Option<Estimate>,
    /// Measured where labels have come, estimated where they have not.
    pub combined: Option<Estimate>,
}

/// Where a window's estimates come from.
pub trait Estimates {
    /// Over all predictions, without any label.
    fn estimated(&self, metric: Metric) -> Option<Estimate>;

    /// Measured where labels have come, estimated where they have not.
    fn combined(&self, metric: Metric) -> Option<Estimate>;

    /// Of the labelled predictions alone: as they were expected to turn out, and as they did.
    fn graded(&self, metric: Metric) -> Option<(Estimate, f64)>;

    /// How long labels took, by class.
    fn delays(&self) -> Option<&ExpectedCells> {
        None
    }
}

impl Estimates for (&Estimator, WindowSums<'_>) {
    fn estimated(&self, metric: Metric) -> Option<Estimate> {
        estimated(metric, self.0, self.1.expected)
    }

    fn combined(&self, metric: Metric) -> Option<Estimate> {
        combined(metric, self.0, self.1)
    }

    fn graded(&self, metric: Metric) -> Option<(Estimate, f64)> {
        graded(metric, self.0, self.1)
    }

    fn delays(&self) -> Option<&ExpectedCells> {
        Some(self.1.expected)
    }
}

/// What estimates are made of.
#[derive(Clone, Copy, Debug)]
pub struct WindowSums<'a> {
    pub expected: &'a ExpectedCells,
    /// Of the labelled predictions; `None` while there are none.
    pub measured: Option<&'a PerformanceCells>,
    /// Of the others; `None`: as they were when they came.
    pub open: Option<&'a Open>,
}

/// Predictions without a label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Open {
    pub expected: Expected,
    /// Binary: how much likelier a positive than a negative is among them, on average over them,
    /// than it was when they came.
    pub odds: f64,
}

/// Labelled predictions below which a window is not graded.
const GRADED_ROWS_MIN: u64 = 20;

const BINARY: [Metric; 7] = [
    Metric::Accuracy,
    Metric::Precision,
    Metric::Recall,
    Metric::Specificity,
    Metric::F1,
    Metric::RocAuc,
    Metric::AveragePrecision,
];

const MULTICLASS: [Metric; 4] =
    [Metric::Accuracy, Metric::PrecisionMacro, Metric::RecallMacro, Metric::F1Macro];

/// The metrics that can be estimated for some task.
pub const EVERY_ESTIMABLE: [Metric; 14] = [
    Metric::Accuracy,
    Metric::Precision,
    Metric::Recall,
    Metric::Specificity,
    Metric::F1,
    Metric::RocAuc,
    Metric::AveragePrecision,
    Metric::PrecisionMacro,
    Metric::RecallMacro,
    Metric::F1Macro,
    Metric::Mae,
    Metric::Mse,
    Metric::Rmse,
    Metric::Mape,
];

/// The metrics that can be estimated: from probabilities, or from models of losses.
pub fn estimable(task: &Task) -> &'static [Metric] {
    match task {
        Task::Binary { .. } => &BINARY,
        Task::Multiclass { .. } => &MULTICLASS,
        Task::Regression { .. } => &REGRESSION,
    }
}

/// A metric over all predictions, from their probabilities alone. The interval is 1.96 sampling
/// errors of the reference either way: it does not cover that the calibration is off.
pub fn estimated(
    metric: Metric,
    estimator: &Estimator,
    expected: &ExpectedCells,
) -> Option<Estimate> {
    let all = expected.all();
    let estimate = match metric {
        Metric::RocAuc => auc(&groups(estimator, expected, None))?.0,
        Metric::AveragePrecision => average_precision(&groups(estimator, expected, None))?,
        _ if all.classes() == 1 => Four::of(&all, None).metric(metric)?.0,
        _ => macro_metric(metric, &all, None)?,
    };
    let component = estimator.components().get(metric.name());
    let error = component.and_then(|component| component.error(all.mass().effective()));
    Some(Estimate { interval: error.map(|error| around(estimate.value, error)), ..estimate })
}

/// The one line: a metric over the labelled predictions as they turned out and over the others as
/// they are expected to.
pub fn combined(metric: Metric, estimator: &Estimator, sums: WindowSums<'_>) -> Option<Estimate> {
    let open = match sums.open {
        Some(open) => open.expected.clone(),
        None => sums.expected.open(1.0),
    };
    let odds = sums.open.map_or(1.0, |open| open.odds);
    let known = Some((sums.measured, odds));
    let (estimate, variance) = match metric {
        Metric::RocAuc => auc(&groups(estimator, sums.expected, known))?,
        Metric::AveragePrecision => {
            return average_precision(&groups(estimator, sums.expected, known));
        }
        _ => match sums.measured {
            Some(PerformanceCells::Multiclass(cells)) => {
                return multiclass_combined(metric, &open, Some(cells));
            }
            Some(PerformanceCells::Binary(cells)) => Four::of(&open, Some(cells)).metric(metric)?,
            None if open.classes() == 1 => Four::of(&open, None).metric(metric)?,
            None => return multiclass_combined(metric, &open, None),
            Some(PerformanceCells::Regression(_)) => return None,
        },
    };
    Some(Estimate { interval: Some(around(estimate.value, variance.sqrt())), ..estimate })
}

/// A metric over the labelled predictions alone: as they were expected to turn out, and as they
/// did. The band is that of [`estimated`]. `None` below 20 of them, or where the metric is not
/// defined on both.
pub fn graded(
    metric: Metric,
    estimator: &Estimator,
    sums: WindowSums<'_>,
) -> Option<(Estimate, f64)> {
    let measured = sums.measured.filter(|cells| cells.rows() >= GRADED_ROWS_MIN)?;
    let labelled = sums.expected.labelled();
    let estimate = match metric {
        Metric::RocAuc => auc(&labelled_groups(estimator, sums.expected, measured))?.0,
        Metric::AveragePrecision => {
            average_precision(&labelled_groups(estimator, sums.expected, measured))?
        }
        _ if labelled.classes() == 1 => Four::of(&labelled, None).metric(metric)?.0,
        _ => macro_metric(metric, &labelled, None)?,
    };
    let component = estimator.components().get(metric.name());
    let error = component.and_then(|component| component.error(labelled.mass().effective()));
    let interval = error.map(|error| around(estimate.value, error));
    let measured = crate::engine::metric::estimate(metric, measured)?.value;
    Some((Estimate { interval, ..estimate }, measured))
}

fn around(value: f64, error: f64) -> Interval {
    let half = Z * error;
    Interval { lower: (value - half).max(0.0), upper: (value + half).min(1.0) }
}

fn multiclass_combined(
    metric: Metric,
    open: &Expected,
    cells: Option<&MulticlassCells>,
) -> Option<Estimate> {
    let estimate = macro_metric(metric, open, cells)?;
    // The macro averages have no interval that is known to be honest.
    let interval = (metric == Metric::Accuracy).then(|| {
        let rows = open.mass().w + cells.map_or(0.0, |cells| cells.rows().w);
        around(estimate.value, open.variance.iter().sum::<f64>().sqrt() / rows)
    });
    Some(Estimate { interval, ..estimate })
}

/// The confusion matrix of a binary model, some of it expected.
struct Four {
    tp: f64,
    fp: f64,
    missed: f64,
    tn: f64,
    /// Variance of tp, and of missed, with the decisions given.
    variance: [f64; 2],
    rows: Mass,
    predicted: Mass,
}

impl Four {
    fn of(expected: &Expected, measured: Option<&BinaryCells>) -> Self {
        let cell = |decision: usize, label: usize| {
            let known = measured.map_or(0.0, |cells| cells.confusion(decision == 1, label == 1).w);
            known + expected.of(decision, label).max(0.0)
        };
        let known = |decision: bool| {
            measured.map_or(Mass::default(), |cells| {
                cells.confusion(decision, false) + cells.confusion(decision, true)
            })
        };
        Self {
            tp: cell(1, 1),
            fp: cell(1, 0),
            missed: cell(0, 1),
            tn: cell(0, 0),
            variance: [expected.variance[1].max(0.0), expected.variance[0].max(0.0)],
            rows: expected.mass() + known(false) + known(true),
            predicted: expected.rows[1] + known(true),
        }
    }

    /// The value, and the variance that the expected part gives it: by its slopes in tp and in
    /// missed, whose sums with fp and with tn are known.
    fn metric(&self, metric: Metric) -> Option<(Estimate, f64)> {
        let Self { tp, fp, missed, tn, .. } = *self;
        let rows = tp + fp + missed + tn;
        let (of, value, slopes) = match metric {
            Metric::Accuracy => (rows, (tp + tn) / rows, [1.0 / rows, -1.0 / rows]),
            Metric::Precision => (tp + fp, tp / (tp + fp), [1.0 / (tp + fp), 0.0]),
            Metric::Recall => {
                let real = tp + missed;
                (real, tp / real, [missed / (real * real), -tp / (real * real)])
            }
            Metric::Specificity => {
                let real = tn + fp;
                (real, tn / real, [tn / (real * real), -fp / (real * real)])
            }
            Metric::F1 => {
                let sum = 2.0 * tp + fp + missed;
                let rest = tp + fp + missed;
                (sum, 2.0 * tp / sum, [2.0 * rest / (sum * sum), -2.0 * tp / (sum * sum)])
            }
            _ => return None,
        };
        let support = match metric {
            Metric::Precision => self.predicted.support(),
            Metric::Accuracy => self.rows.support(),
            _ => of.round() as u64,
        };
        let part = |at: usize| slopes[at] * slopes[at] * self.variance[at];
        let value = (of > 0.0).then(|| value.clamp(0.0, 1.0))?;
        Some((Estimate::exact(value, None, support), part(0) + part(1)))
    }
}

/// Accuracy, or the mean over the classes of precision, recall or F1, each class against the rest.
/// A class that was neither predicted nor expected counts 0, as in NannyML and scikit-learn.
fn macro_metric(
    metric: Metric,
    expected: &Expected,
    measured: Option<&MulticlassCells>,
) -> Option<Estimate> {
    let classes = expected.classes();
    let decisions = classes + 1;
    let mut matrix = vec![0.0; decisions * decisions];
    for decision in 0..decisions {
        for class in 0..classes {
            matrix[decision * decisions + class] = expected.of(decision, class).max(0.0);
        }
    }
    let mut rows = expected.mass();
    for (decision, label, mass) in measured.into_iter().flat_map(MulticlassCells::confusion) {
        let (decision, label) = (usize::from(decision), usize::from(label));
        matrix[decision.min(classes) * decisions + label.min(classes)] += mass.w;
        rows = rows + mass;
    }
    if !rows.is_some() {
        return None;
    }
    let hits = |class: usize| matrix[class * decisions + class];
    let predicted = |class: usize| matrix[class * decisions..(class + 1) * decisions].iter().sum();
    let real = |class: usize| (0..decisions).map(|d| matrix[d * decisions + class]).sum();
    let share = |part: f64, of: f64| if of > 0.0 { part / of } else { 0.0 };
    let of_class = |class: usize| -> Option<f64> {
        let (predicted, real): (f64, f64) = (predicted(class), real(class));
        Some(match metric {
            Metric::PrecisionMacro => share(hits(class), predicted),
            Metric::RecallMacro => share(hits(class), real),
            Metric::F1Macro => share(2.0 * hits(class), predicted + real),
            _ => return None,
        })
    };
    let value = match metric {
        Metric::Accuracy => (0..classes).map(hits).sum::<f64>() / rows.w,
        _ => (0..classes).map(of_class).sum::<Option<f64>>()? / classes as f64,
    };
    Some(Estimate::exact(value.clamp(0.0, 1.0), None, rows.support()))
}

/// The score's bins of the labelled predictions, as they were expected to turn out: in a bin they
/// are taken to be as all of it are.
fn labelled_groups(
    estimator: &Estimator,
    expected: &ExpectedCells,
    measured: &PerformanceCells,
) -> Vec<Group> {
    let PerformanceCells::Binary(cells) = measured else { return Vec::new() };
    let Some(calibration) = estimator.calibration(0) else { return Vec::new() };
    let mut all = expected.bins().into_iter().peekable();
    let group = |known: crate::engine::sketch::ScoreBin| {
        while all.next_if(|bin| bin.bin < known.bin).is_some() {}
        let bin = all.next_if(|bin| bin.bin == known.bin)?;
        let rows = (known.label(true) + known.label(false)).w;
        let (lower, upper) = calibration.range(bin.bin);
        let p = (bin.positives / bin.rows).clamp(0.0, 1.0);
        let error = rows * (upper - lower);
        Some(Group { rows, positives: rows * p, variance: 0.0, range: Some(upper - lower), error })
    };
    cells.bins().into_iter().filter_map(group).collect()
}

/// The score's bins: all predictions as expected, or with the labels that have come (and the odds
/// of the others). In a bin the open predictions are taken to be as all of it are.
fn groups(
    estimator: &Estimator,
    expected: &ExpectedCells,
    known: Option<(Option<&PerformanceCells>, f64)>,
) -> Vec<Group> {
    let Some(calibration) = estimator.calibration(0) else { return Vec::new() };
    let odds = known.map_or(1.0, |(_, odds)| odds);
    let labelled = match known {
        Some((Some(PerformanceCells::Binary(cells)), _)) => cells.bins(),
        _ => Vec::new(),
    };
    let mut labelled = labelled.into_iter().peekable();
    let group = |bin: crate::engine::sketch::ExpectedBin| {
        while labelled.next_if(|known| known.bin < bin.bin).is_some() {}
        let known = labelled.next_if(|known| known.bin == bin.bin);
        let (lower, upper) = calibration.range(bin.bin);
        let range = upper - lower;
        let p = (bin.positives / bin.rows).clamp(0.0, 1.0);
        let p = if odds == 1.0 { p } else { odds * p / (1.0 + (odds - 1.0) * p) };
        let Some(known) = known else {
            let variance = bin.rows * p * (1.0 - p);
            let positives = if odds == 1.0 { bin.positives } else { bin.rows * p };
            let rows = bin.rows;
            return Group { rows, positives, variance, range: Some(range), error: 0.0 };
        };
        let (hits, misses) = (known.label(true).w, known.label(false).w);
        let open = (bin.rows - hits - misses).max(0.0);
        Group {
            rows: hits + misses + open,
            positives: hits + open * p,
            variance: open * p * (1.0 - p),
            range: None,
            error: open * range,
        }
    };
    expected.bins().into_iter().map(group).collect()
}
