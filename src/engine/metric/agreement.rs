//! Agreement between predicted and true class beyond chance, for any number of classes.

use crate::engine::estimate::Estimate;
use crate::engine::sketch::{BinaryCells, Mass, MulticlassCells};

/// A confusion matrix with its margins. Classes by code; `OTHER` is the last one.
pub(super) struct Confusion {
    pub rows: Mass,
    pub right: Mass,
    /// By class.
    pub predicted: Vec<Mass>,
    pub labelled: Vec<Mass>,
    pub both: Vec<Mass>,
}

impl Confusion {
    fn of(classes: usize, cells: impl Iterator<Item = (usize, usize, Mass)>) -> Self {
        let none = vec![Mass::default(); classes];
        let mut matrix = Self {
            rows: Mass::default(),
            right: Mass::default(),
            predicted: none.clone(),
            labelled: none.clone(),
            both: none,
        };
        for (decision, label, mass) in cells {
            matrix.rows = matrix.rows + mass;
            matrix.predicted[decision] = matrix.predicted[decision] + mass;
            matrix.labelled[label] = matrix.labelled[label] + mass;
            if decision == label {
                matrix.right = matrix.right + mass;
                matrix.both[label] = mass;
            }
        }
        matrix
    }

    pub fn of_binary(cells: &BinaryCells) -> Self {
        let all = [(false, false), (false, true), (true, false), (true, true)];
        let cell = |(decision, label)| {
            (usize::from(decision), usize::from(label), cells.confusion(decision, label))
        };
        Self::of(2, all.into_iter().map(cell))
    }

    pub fn of_multiclass(cells: &MulticlassCells) -> Self {
        let entries = cells.confusion().into_iter();
        let entries = entries
            .map(|(decision, label, mass)| (usize::from(decision), usize::from(label), mass));
        Self::of(usize::from(cells.classes()) + 1, entries)
    }

    /// Sum over the classes of (share predicted) times (share labelled): agreement by chance.
    fn chance(&self, left: &[Mass], right: &[Mass]) -> f64 {
        left.iter().zip(right).map(|(l, r)| l.w / self.rows.w * (r.w / self.rows.w)).sum()
    }
}

/// Matthews' correlation coefficient (Gorodkin 2004 for several classes). `None` if only one class
/// was predicted or only one is true. No interval.
pub(super) fn mcc(matrix: &Confusion) -> Option<Estimate> {
    if !matrix.rows.is_some() {
        return None;
    }
    let covariance =
        matrix.right.w / matrix.rows.w - matrix.chance(&matrix.predicted, &matrix.labelled);
    let predicted = 1.0 - matrix.chance(&matrix.predicted, &matrix.predicted);
    let labelled = 1.0 - matrix.chance(&matrix.labelled, &matrix.labelled);
    let several = |classes: &[Mass]| classes.iter().filter(|mass| mass.n > 0).count() > 1;
    if !(several(&matrix.predicted) && several(&matrix.labelled)) {
        return None;
    }
    let value = covariance / (predicted * labelled).sqrt();
    let value = value.is_finite().then(|| value.clamp(-1.0, 1.0))?;
    Some(Estimate::exact(value, None, matrix.rows.support()))
}

/// Cohen's kappa: (agreement - chance) / (1 - chance). `None` if chance alone agrees always. No
/// interval.
pub(super) fn cohen_kappa(matrix: &Confusion) -> Option<Estimate> {
    if !matrix.rows.is_some() {
        return None;
    }
    // Chance agrees always only if one class is the only one on both sides.
    if matrix
        .predicted
        .iter()
        .zip(&matrix.labelled)
        .any(|(predicted, labelled)| predicted.n == matrix.rows.n && labelled.n == matrix.rows.n)
    {
        return None;
    }
    let chance = matrix.chance(&matrix.predicted, &matrix.labelled);
    let value = (matrix.right.w / matrix.rows.w - chance) / (1.0 - chance);
    value.is_finite().then(|| Estimate::exact(value, None, matrix.rows.support()))
}
