//! Metrics of a multiclass model's decisions.
//!
//! The classes of an average are those that were predicted or are true, as in scikit-learn; a class
//! whose own value is undefined (never predicted: precision; never true: recall) enters as 0, also
//! as there. `OTHER`, the classes that the model does not list, counts as one more class.

use super::agreement::Confusion;
use super::confusion::proportion;
use crate::engine::estimate::Estimate;
use crate::engine::sketch::{Mass, MulticlassCells};

/// One class: rows that were predicted so, that are so, and both.
struct Class {
    predicted: Mass,
    labelled: Mass,
    both: Mass,
}

fn ratio(hits: f64, of: f64) -> f64 {
    if of > 0.0 { hits / of } else { 0.0 }
}

impl Class {
    fn precision(&self) -> f64 {
        ratio(self.both.w, self.predicted.w)
    }

    fn recall(&self) -> f64 {
        ratio(self.both.w, self.labelled.w)
    }

    fn f1(&self) -> f64 {
        ratio(2.0 * self.both.w, self.predicted.w + self.labelled.w)
    }
}

/// The classes that were predicted or are true.
fn present(matrix: &Confusion) -> impl Iterator<Item = Class> {
    let sides = matrix.predicted.iter().zip(&matrix.labelled).zip(&matrix.both);
    let classes = sides.map(|((&predicted, &labelled), &both)| Class { predicted, labelled, both });
    classes.filter(|class| class.predicted.n > 0 || class.labelled.n > 0)
}

fn mean(matrix: &Confusion, value: impl Fn(&Class) -> f64) -> Option<Estimate> {
    let values: Vec<f64> = present(matrix).map(|class| value(&class)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    matrix.rows.is_some().then(|| Estimate::exact(mean, None, matrix.rows.support()))
}

fn mean_by_label(matrix: &Confusion, value: impl Fn(&Class) -> f64) -> Option<Estimate> {
    let total: f64 = present(matrix).map(|class| class.labelled.w * value(&class)).sum();
    let mean = total / matrix.rows.w;
    matrix.rows.is_some().then(|| Estimate::exact(mean, None, matrix.rows.support()))
}

/// The share of rows whose predicted class is the true one.
pub(super) fn accuracy(matrix: &Confusion) -> Option<Estimate> {
    proportion(matrix.right, matrix.rows)
}

/// The mean of recall over the classes that are true. No interval.
pub(super) fn balanced_accuracy(matrix: &Confusion) -> Option<Estimate> {
    let classes = present(matrix).filter(|class| class.labelled.n > 0);
    let recalls: Vec<f64> = classes.map(|class| class.recall()).collect();
    let mean = recalls.iter().sum::<f64>() / recalls.len() as f64;
    matrix.rows.is_some().then(|| Estimate::exact(mean, None, matrix.rows.support()))
}

pub(super) fn precision_macro(matrix: &Confusion) -> Option<Estimate> {
    mean(matrix, Class::precision)
}

pub(super) fn recall_macro(matrix: &Confusion) -> Option<Estimate> {
    mean(matrix, Class::recall)
}

pub(super) fn f1_macro(matrix: &Confusion) -> Option<Estimate> {
    mean(matrix, Class::f1)
}

pub(super) fn precision_weighted(matrix: &Confusion) -> Option<Estimate> {
    mean_by_label(matrix, Class::precision)
}

pub(super) fn f1_weighted(matrix: &Confusion) -> Option<Estimate> {
    mean_by_label(matrix, Class::f1)
}

/// The share of rows with known probabilities whose true class is among the k most probable. `None`
/// if the cells do not count this k.
pub(super) fn top_k_accuracy(cells: &MulticlassCells, k: u16) -> Option<Estimate> {
    let (ranked, hits) = cells.top_k(k)?;
    proportion(hits, ranked)
}
