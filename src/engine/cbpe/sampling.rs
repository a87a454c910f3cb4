//! How far a metric of n rows strays by chance alone: NannyML's sampling error (0.13,
//! `sampling_error/`), from the held-out rows of the reference.
//!
//! The error of n rows is deviation / sqrt(n * share): the standard deviation of what a row
//! contributes, over the rows that enter the metric. Deviations are divided by n, as there.

use crate::engine::metric::Metric;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the sampling error of one metric is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Of what one row contributes.
    pub deviation: f64,
    /// Of the rows that enter the metric.
    pub share: f64,
}

/// A labelled row of a binary model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    pub score: f64,
    pub decision: bool,
    pub label: bool,
}

/// By metric's name.
pub type Components = BTreeMap<String, Component>;

impl Component {
    /// The standard error over so many rows; `None` for none.
    pub fn error(&self, rows: f64) -> Option<f64> {
        let error = self.deviation / (rows * self.share).sqrt();
        error.is_finite().then_some(error)
    }
}

/// Of a share of ones among `relevant` of `rows` rows, each counting `factor`.
fn of_share(ones: f64, relevant: f64, rows: f64, factor: f64) -> Option<Component> {
    if relevant <= 0.0 {
        return None;
    }
    let share = ones / relevant;
    let deviation = factor * (share * (1.0 - share)).sqrt();
    Some(Component { deviation, share: relevant / rows })
}

/// The components of a binary model's metrics. Average precision has none: NannyML draws resamples
/// for it.
pub fn binary(rows: &[Judged]) -> Components {
    let n = rows.len() as f64;
    let count = |decision: bool, label: bool| {
        rows.iter().filter(|row| row.decision == decision && row.label == label).count() as f64
    };
    let (tp, fp) = (count(true, true), count(true, false));
    let (missed, tn) = (count(false, true), count(false, false));
    let either = tp + fp + missed;
    let found = [
        (Metric::Accuracy, of_share(tp + tn, n, n, 1.0)),
        (Metric::Precision, of_share(tp, tp + fp, n, 1.0)),
        (Metric::Recall, of_share(tp, tp + missed, n, 1.0)),
        (Metric::Specificity, of_share(tn, tn + fp, n, 1.0)),
        (Metric::F1, of_share(tp, either, n, either / (tp + 0.5 * (fp + missed)))),
        (Metric::RocAuc, auc(rows)),
    ];
    let named = found.into_iter().filter_map(|(metric, c)| Some((metric.name().to_owned(), c?)));
    named.filter(|(_, component)| component.deviation.is_finite()).collect()
}

/// The deviation over the rarer class of the share of the other one that a row outranks, ties
/// counting half. (NannyML takes tied rows in whatever order its sort leaves them.)
fn auc(rows: &[Judged]) -> Option<Component> {
    let positives = rows.iter().filter(|row| row.label).count();
    let flipped = positives * 2 > rows.len();
    let (rare, common) = match flipped {
        true => (rows.len() - positives, positives),
        false => (positives, rows.len() - positives),
    };
    if rare == 0 || common == 0 {
        return None;
    }
    let mut sorted: Vec<(f64, bool)> = rows
        .iter()
        .map(|row| if flipped { (1.0 - row.score, !row.label) } else { (row.score, row.label) })
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut first, mut second) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, rare)| *rare).count() as f64;
        let others = tied.len() as f64 - hits;
        let share = (below + others / 2.0) / common as f64;
        first += hits * share;
        second += hits * share * share;
        below += others;
    }
    let mean = first / rare as f64;
    let deviation = (second / rare as f64 - mean * mean).max(0.0).sqrt();
    Some(Component { deviation, share: rare as f64 / rows.len() as f64 })
}

/// The components of a multiclass model's accuracy: of the share of right rows.
pub fn multiclass(right: u64, rows: u64) -> Components {
    let accuracy = of_share(right as f64, rows as f64, rows as f64, 1.0);
    accuracy.into_iter().map(|c| (Metric::Accuracy.name().to_owned(), c)).collect()
}
