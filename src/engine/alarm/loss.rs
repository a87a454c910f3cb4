//! Which loss in [0, 1] a metric is the mean of, over which rows, and what the baseline allows.
//!
//! | metric | rows | loss |
//! |---|---|---|
//! | accuracy, its micro averages, top-k accuracy | all | 1 where it is wrong |
//! | precision | predicted positive | 1 where the label is not |
//! | recall; specificity | labelled positive; negative | 1 where the decision is not |
//! | Jaccard, F1 | all but true negatives | 1 where decision and label differ |
//! | Brier | with a score | (score - label)^2 |
//!
//! F1 < f0 is f0 (FP + FN) - 2 (1 - f0) TP > 0. Rescaled to [0, 1] that loss is 1 for an error, 0
//! for a true positive and, for a true negative, its own null: such a row changes no evidence, and
//! what is left is the share of errors in TP + FP + FN against 1 - f0 / (2 - f0). So nothing is
//! lost by counting only those.
//!
//! Losses without a bound (MAE, log loss, ...) have no e-value without further assumptions, and
//! none is made up.

use super::detector::Evidence;
use super::share::{BOUND_LEVEL, Hits, upper_bound};
use crate::engine::estimate::Estimate;
use crate::engine::metric::interval::Z;
use crate::engine::metric::{Metric, estimate};
use crate::engine::sketch::PerformanceCells;

/// The normal distribution's 99% quantile.
pub(super) const Z_BOUND: f64 = 2.326_347_874_040_841;

/// How a metric is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A share of rows, found by a metric of its own.
    Share(Metric),
    /// A mean of values in [0, 1].
    Mean,
    /// By its own interval, window by window (`ranking`).
    Ranking,
}

/// `None` for metrics that no alarm from a budget is known for.
pub fn kind(metric: Metric) -> Option<Kind> {
    Some(match metric {
        Metric::F1 | Metric::Jaccard => Kind::Share(Metric::Jaccard),
        Metric::Accuracy
        | Metric::Precision
        | Metric::Recall
        | Metric::Specificity
        | Metric::PrecisionMicro
        | Metric::RecallMicro
        | Metric::F1Micro
        | Metric::RecallWeighted
        | Metric::TopKAccuracy(_) => Kind::Share(metric),
        Metric::Brier => Kind::Mean,
        Metric::RocAuc => Kind::Ranking,
        _ => return None,
    })
}

/// The rows that count for a metric, and their losses added up. `None` without any, or for a metric
/// without a loss.
pub fn evidence(metric: Metric, cells: &PerformanceCells) -> Option<Evidence> {
    let (found, is_share) = match kind(metric)? {
        Kind::Share(share) => (estimate(share, cells)?, true),
        Kind::Mean => (estimate(metric, cells)?, false),
        Kind::Ranking => return None,
    };
    let rows = found.support as f64;
    let loss = if is_share { ((1.0 - found.value) * rows).round() } else { found.value * rows };
    Some(Evidence { rows, loss: loss.clamp(0.0, rows) })
}

/// L0: the 99% upper bound of the loss in the baseline, plus the margin. The margin is in the
/// metric's own terms. `design`: how many of the baseline's rows are as informative as one. `None`
/// where that is 1 or more, so that no loss could be news, or the baseline is not a number.
pub fn null(metric: Metric, baseline: &Estimate, margin: f64, design: f64) -> Option<f64> {
    let rows = baseline.support as f64;
    let null = match kind(metric)? {
        Kind::Share(_) => {
            // F1 is no share of rows itself, but 2J / (1 + J) of one.
            let f1 = metric == Metric::F1;
            let share = if f1 { jaccard(baseline.value) } else { baseline.value };
            let hits = Hits { hits: ((1.0 - share) * rows).round(), rows };
            let loss = upper_bound(hits.over(design))?;
            match f1 {
                true => 1.0 - jaccard((2.0 * (1.0 - loss) / (2.0 - loss) - margin).max(0.0)),
                false => loss + margin,
            }
        }
        Kind::Mean => baseline.value + beyond(baseline, rows, design)? + margin,
        Kind::Ranking => return None,
    };
    (null > 0.0 && null < 1.0).then_some(null)
}

/// The value of the metric at which its loss is `null`: the bound, as a person reads it. For an AUC
/// the null is the bound itself.
pub fn level(metric: Metric, null: f64) -> f64 {
    match kind(metric) {
        Some(Kind::Share(_)) if metric == Metric::F1 => 2.0 * (1.0 - null) / (2.0 - null),
        Some(Kind::Share(_)) => 1.0 - null,
        Some(Kind::Mean | Kind::Ranking) | None => null,
    }
}

/// J of F1 = 2J / (1 + J).
fn jaccard(f1: f64) -> f64 {
    f1 / (2.0 - f1)
}

/// From a mean to its 99% upper bound: by its interval, or Hoeffding's where it has none.
fn beyond(baseline: &Estimate, rows: f64, design: f64) -> Option<f64> {
    if rows < 1.0 {
        return None;
    }
    let design = design.max(1.0);
    Some(match baseline.interval {
        Some(interval) => (interval.upper - baseline.value) / Z * Z_BOUND * design.sqrt(),
        None => (-(1.0 - BOUND_LEVEL).ln() / 2.0 / rows * design).sqrt(),
    })
}
