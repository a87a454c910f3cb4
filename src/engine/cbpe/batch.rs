//! Estimates over rows that are all at hand: exact, without bins.

use super::Calibration;
use super::order::{Group, auc, average_precision};
use crate::engine::metric::Metric;
use std::collections::BTreeMap;

/// A prediction of a binary model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchRow {
    /// From 0 to 1.
    pub score: f64,
    pub positive: bool,
}

/// NannyML's estimate of each metric of a binary model. Metrics whose denominator is 0 are absent.
pub fn batch(rows: &[BatchRow], calibration: &Calibration) -> BTreeMap<Metric, f64> {
    let mut sums = [[0.0; 2]; 2];
    for row in rows {
        let p = calibration.at(row.score);
        sums[usize::from(row.positive)][1] += p;
        sums[usize::from(row.positive)][0] += 1.0 - p;
    }
    let [[tn, missed], [fp, tp]] = sums;
    let mut sorted: Vec<f64> = rows.iter().map(|row| row.score).collect();
    sorted.sort_by(f64::total_cmp);
    let group = |tied: &[f64]| {
        let (rows, p) = (tied.len() as f64, calibration.at(tied[0]));
        Group { rows, positives: rows * p, variance: 0.0, range: Some(0.0), error: 0.0 }
    };
    let groups: Vec<Group> = sorted.chunk_by(|a, b| a == b).map(group).collect();
    let found = [
        (Metric::Accuracy, (tp + tn) / rows.len() as f64),
        (Metric::Precision, tp / (tp + fp)),
        (Metric::Recall, tp / (tp + missed)),
        (Metric::Specificity, tn / (tn + fp)),
        (Metric::F1, tp / (tp + 0.5 * (fp + missed))),
        (Metric::RocAuc, auc(&groups).map_or(f64::NAN, |(auc, _)| auc.value)),
        (Metric::AveragePrecision, average_precision(&groups).map_or(f64::NAN, |ap| ap.value)),
    ];
    found.into_iter().filter(|(_, value)| value.is_finite()).collect()
}
