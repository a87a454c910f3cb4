//! Sketches: bounded summaries of rows that merge to the same bits in any split and any order.
//!
//! Counts are integers and sums are fixed point, so a row can also be taken away exactly: that is
//! how a corrected label leaves. Nothing here divides; metrics do, when they read.

mod binary;
mod calibration;
mod expected;
pub mod feature;
mod moments;
mod multiclass;
mod performance;
mod predicted;
mod regression;
mod scores;
mod sparse;
mod weighting;

pub use binary::{BinaryCells, BinaryOutcome, BinaryTerms, ScoreBin};
pub use calibration::{CALIBRATION_BINS, CalibrationBin};
pub use expected::{Expected, ExpectedBin, ExpectedCells, ExpectedRow, Probabilities};
pub use moments::Spread;
pub use multiclass::{
    CLASSES_MAX, MulticlassCells, MulticlassOutcome, MulticlassTerms, ProbabilityTerms,
    probability_terms,
};
pub use performance::{Outcome, PerformanceCells, Terms};
pub use predicted::PredictedLosses;
pub use regression::{ErrorBin, Levels, RegressionCells, RegressionOutcome, RegressionTerms};
pub use scores::{ScoreCells, ScoredPrediction};
pub use weighting::{Mass, Weight};

use super::fixed::{Fixed, Sum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// A row comes in, or leaves because its label was corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Add,
    Remove,
}

/// What every sketch can do, and the laws that `tests/laws.rs` checks: rows added in any order, in
/// any split that is then merged, give equal sketches with equal bytes; adding and removing the
/// same rows gives the empty sketch back.
pub trait Sketch: Clone + Debug + PartialEq {
    type Row;

    fn add(&mut self, row: &Self::Row, sign: Sign);

    /// Adds all that `other` holds. Both must have been made alike.
    fn merge(&mut self, other: &Self);

    /// Holds nothing: no row, or as many removed as added.
    fn is_empty(&self) -> bool;
}

/// A number or a tuple of numbers that adds exactly and can be taken away again.
trait Group:
    Copy + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    fn plus(&mut self, other: &Self);
    fn minus(&mut self, other: &Self);

    fn apply(&mut self, other: &Self, sign: Sign) {
        match sign {
            Sign::Add => self.plus(other),
            Sign::Remove => self.minus(other),
        }
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl Group for i64 {
    fn plus(&mut self, other: &Self) {
        *self = self.wrapping_add(*other);
    }

    fn minus(&mut self, other: &Self) {
        *self = self.wrapping_sub(*other);
    }
}

impl<const F: u32> Group for Fixed<F> {
    fn plus(&mut self, other: &Self) {
        Self::plus(self, other);
    }

    fn minus(&mut self, other: &Self) {
        Self::minus(self, other);
    }
}

impl Group for Sum {
    fn plus(&mut self, other: &Self) {
        Self::plus(self, other);
    }

    fn minus(&mut self, other: &Self) {
        Self::minus(self, other);
    }
}

fn merge_arrays<T: Group, const N: usize>(into: &mut [T; N], from: &[T; N]) {
    for (into, from) in into.iter_mut().zip(from) {
        into.plus(from);
    }
}
