//! Metrics of the score's order from groups of expected positives: AUROC and average precision.
//!
//! NannyML orders predictions by the raw score and lets each count as p of a positive and 1 - p of
//! a negative. Predictions of one score need no order, so groups of them give the same number; a
//! group that holds several scores (a bin) leaves an error, whose bound is given.

use crate::engine::estimate::Estimate;
use crate::engine::metric::ratios;

/// Predictions with one score, or of one score bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Group {
    /// Weight.
    pub rows: f64,
    /// Weight of those that are positive, or expected to be.
    pub positives: f64,
    /// Of the positives: the variance of what is expected and not known.
    pub variance: f64,
    /// By how much the calibrated probability can differ within the group; `None`: the labels of
    /// some are known, so any order is possible.
    pub range: Option<f64>,
    /// How far `positives` itself may be wrong.
    pub error: f64,
}

impl Group {
    fn negatives(&self) -> f64 {
        (self.rows - self.positives).max(0.0)
    }
}

/// Area under the ROC curve of groups that ascend by score, and the variance of what is expected.
/// `None` without positives or without negatives.
///
/// Within a group the calibrated probability does not fall with the score, so the curve of its rows
/// lies above its chord by at most rows^2 range / 8 (all of the upper half at the one end and all
/// of the lower half at the other), and never by more than positives * negatives / 2.
pub(super) fn auc(groups: &[Group]) -> Option<(Estimate, f64)> {
    let positives: f64 = groups.iter().map(|group| group.positives).sum();
    let negatives: f64 = groups.iter().map(Group::negatives).sum();
    if !(positives > 0.0 && negatives > 0.0) {
        return None;
    }
    let pairs = positives * negatives;
    let (mut below, mut ordered) = (0.0, 0.0);
    for group in groups {
        ordered += group.positives * (below + group.negatives() / 2.0);
        below += group.negatives();
    }
    let value = (ordered / pairs).clamp(0.0, 1.0);
    let (mut below, mut above) = (0.0, positives);
    let (mut error, mut variance) = (0.0, 0.0);
    for group in groups {
        above -= group.positives;
        // One more positive and one less negative in this group.
        let gained = below + group.negatives() / 2.0 - above - group.positives / 2.0;
        let slope = gained / pairs - value * (1.0 / positives - 1.0 / negatives);
        variance += group.variance * slope * slope;
        let any_order = group.positives * group.negatives() / 2.0;
        let within = group
            .range
            .map_or(any_order, |range| any_order.min(group.rows * group.rows * range / 8.0));
        error += within / pairs + group.error * slope.abs();
        below += group.negatives();
    }
    let rows: f64 = groups.iter().map(|group| group.rows).sum();
    let estimate =
        Estimate { value, interval: None, support: rows.round() as u64, error_max: error };
    Some((estimate, variance))
}

/// Average precision (the step rule, row by row) of groups that ascend by score. `None` without
/// positives.
///
/// The rows of a group count as equally probable. Where the labels are not known, precision cannot
/// rise down the order, so the exact value lies between each group at its last row's precision and
/// at the precision before it; where they are, between all negatives first and all positives first.
pub(super) fn average_precision(groups: &[Group]) -> Option<Estimate> {
    let positives: f64 = groups.iter().map(|group| group.positives).sum();
    if positives <= 0.0 {
        return None;
    }
    let (mut hits, mut rows) = (0.0, 0.0);
    let (mut value, mut worst, mut best) = (0.0, 0.0, 0.0);
    for group in groups.iter().rev().filter(|group| group.rows > 0.0) {
        let p = group.positives;
        if p > 0.0 {
            let each = (p / group.rows).min(1.0);
            let count = (group.rows.round() as i64).max(1);
            value += each * each * ratios(hits / each, rows, 1.0, count);
            match group.range {
                Some(_) => {
                    worst += p * (hits + p) / (rows + group.rows);
                    best += p * if rows > 0.0 { hits / rows } else { 1.0 };
                }
                None => {
                    let before = rows + group.negatives();
                    let misses = before - hits;
                    worst +=
                        if before > 0.0 { p - misses * (p / before).ln_1p() } else { p }.max(0.0);
                    best += p * (hits + p) / (rows + p);
                }
            }
        }
        hits += p;
        rows += group.rows;
    }
    let exact = groups.iter().all(|group| group.range == Some(0.0) && group.error == 0.0);
    let shift: f64 = groups.iter().map(|group| group.error).sum::<f64>() / positives;
    let (value, worst, best) = (value / positives, worst / positives, best / positives);
    let error_max = if exact { 0.0 } else { (best - value).max(value - worst).max(0.0) + shift };
    let support = groups.iter().map(|group| group.rows).sum::<f64>().round() as u64;
    Some(Estimate { value: value.clamp(0.0, 1.0), interval: None, support, error_max })
}
