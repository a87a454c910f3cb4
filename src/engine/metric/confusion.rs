//! Metrics of a binary model's decisions: shares of the confusion matrix, with Wilson intervals.

use super::interval::{mapped, wilson};
use crate::engine::estimate::Estimate;
use crate::engine::sketch::{BinaryCells, Mass};

/// The share that `hits` have in `of`; `None` if there is nothing to have a share in.
pub(super) fn proportion(hits: Mass, of: Mass) -> Option<Estimate> {
    if !of.is_some() {
        return None;
    }
    let value = (hits.w / of.w).clamp(0.0, 1.0);
    Some(Estimate::exact(value, wilson(value, of.effective()), of.support()))
}

struct Cells {
    true_positive: Mass,
    false_positive: Mass,
    false_negative: Mass,
    true_negative: Mass,
}

impl Cells {
    fn of(cells: &BinaryCells) -> Self {
        Self {
            true_positive: cells.confusion(true, true),
            false_positive: cells.confusion(true, false),
            false_negative: cells.confusion(false, true),
            true_negative: cells.confusion(false, false),
        }
    }
}

/// (TP + TN) / n.
pub(super) fn accuracy(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    proportion(of.true_positive + of.true_negative, cells.rows())
}

/// The mean of recall and specificity. No interval.
pub(super) fn balanced_accuracy(cells: &BinaryCells) -> Option<Estimate> {
    let (recall, specificity) = (recall(cells)?, specificity(cells)?);
    let value = f64::midpoint(recall.value, specificity.value);
    Some(Estimate::exact(value, None, cells.rows().support()))
}

/// TP / (TP + FP).
pub(super) fn precision(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    proportion(of.true_positive, of.true_positive + of.false_positive)
}

/// TP / (TP + FN).
pub(super) fn recall(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    proportion(of.true_positive, of.true_positive + of.false_negative)
}

/// TN / (TN + FP).
pub(super) fn specificity(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    proportion(of.true_negative, of.true_negative + of.false_positive)
}

/// F1 = 2J / (1 + J) of the Jaccard index J = TP / (TP + FP + FN), which is a proportion; so is its
/// interval mapped. (The delta method covers .71 at 50 rows with 5% positives; this one .95-.97.)
pub(super) fn f1(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    let either = of.true_positive + of.false_positive + of.false_negative;
    let jaccard = proportion(of.true_positive, either)?;
    let f1 = |jaccard: f64| 2.0 * jaccard / (1.0 + jaccard);
    let interval = jaccard.interval.map(|interval| mapped(interval, f1));
    Some(Estimate::exact(f1(jaccard.value), interval, jaccard.support))
}

/// F-beta with beta = 2: 5 TP / (5 TP + 4 FN + FP). No interval.
pub(super) fn f2(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    let either = of.true_positive + of.false_positive + of.false_negative;
    if !either.is_some() {
        return None;
    }
    let hits = 5.0 * of.true_positive.w;
    let value = hits / (hits + 4.0 * of.false_negative.w + of.false_positive.w);
    value.is_finite().then(|| Estimate::exact(value.clamp(0.0, 1.0), None, either.support()))
}

/// TP / (TP + FP + FN).
pub(super) fn jaccard(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    proportion(of.true_positive, of.true_positive + of.false_positive + of.false_negative)
}

/// (TP + FN) / n.
pub(super) fn prevalence(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    proportion(of.true_positive + of.false_negative, cells.rows())
}

/// (TP + FP) / n.
pub(super) fn positive_rate(cells: &BinaryCells) -> Option<Estimate> {
    let of = Cells::of(cells);
    proportion(of.true_positive + of.false_positive, cells.rows())
}
