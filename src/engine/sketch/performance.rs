//! The cells of a model's task, whichever it is.

use super::{
    BinaryCells, BinaryOutcome, BinaryTerms, MulticlassCells, MulticlassOutcome, MulticlassTerms,
    RegressionCells, RegressionOutcome, RegressionTerms, Sign, Sketch,
};
use crate::engine::score::Resolution;
use crate::engine::spec::Task;
use serde::{Deserialize, Serialize};

/// A prediction that has met its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Binary(BinaryOutcome),
    Multiclass(MulticlassOutcome),
    Regression(RegressionOutcome),
}

/// An outcome made ready to be added, once, to the whole model and to each of its slices: the
/// logarithms, divisions and conversions are behind it.
#[derive(Clone, Copy, Debug)]
pub enum Terms {
    Binary(BinaryTerms),
    Multiclass(MulticlassTerms),
    Regression(RegressionTerms),
}

/// Everything that the performance metrics of one task are computed from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PerformanceCells {
    Binary(BinaryCells),
    Multiclass(MulticlassCells),
    Regression(RegressionCells),
}

impl PerformanceCells {
    /// Empty cells for a task; with `weighted`, outcomes count by their weights.
    pub fn new(task: &Task, weighted: bool, resolution: Resolution) -> Self {
        match task {
            Task::Binary { .. } => Self::Binary(BinaryCells::new(weighted, resolution)),
            Task::Multiclass { classes, top_k } => {
                Self::Multiclass(MulticlassCells::new(classes.len(), top_k, weighted))
            }
            Task::Regression { center, scale } => {
                Self::Regression(RegressionCells::new(*center, *scale, weighted, resolution))
            }
        }
    }

    /// Makes an outcome ready for these cells and for all others of the same model. Panics if the
    /// outcome is of another task.
    pub fn terms(&self, outcome: &Outcome) -> Terms {
        match (self, outcome) {
            (Self::Binary(cells), Outcome::Binary(outcome)) => Terms::Binary(cells.terms(outcome)),
            (Self::Multiclass(cells), Outcome::Multiclass(outcome)) => {
                Terms::Multiclass(cells.terms(outcome))
            }
            (Self::Regression(cells), Outcome::Regression(outcome)) => {
                Terms::Regression(cells.terms(outcome))
            }
            _ => panic!("the outcome is of another task than the cells"),
        }
    }

    /// Adds or removes a prepared outcome. Panics if it was prepared for another model.
    pub fn add_terms(&mut self, terms: &Terms, sign: Sign) {
        match (self, terms) {
            (Self::Binary(cells), Terms::Binary(terms)) => cells.add_terms(terms, sign),
            (Self::Multiclass(cells), Terms::Multiclass(terms)) => cells.add_terms(terms, sign),
            (Self::Regression(cells), Terms::Regression(terms)) => cells.add_terms(terms, sign),
            _ => panic!("the outcome is of another task than the cells"),
        }
    }

    /// A copy with what the metrics need that are `Metric::is_of_counts`: much smaller for a model
    /// with scores.
    pub fn counts(&self) -> Self {
        match self {
            Self::Binary(cells) => Self::Binary(cells.counts()),
            Self::Multiclass(_) | Self::Regression(_) => self.clone(),
        }
    }

    /// Adds that part of other cells.
    pub fn merge_counts(&mut self, other: &Self) {
        match (self, other) {
            (Self::Binary(cells), Self::Binary(other)) => cells.merge_counts(other),
            (cells, other) => cells.merge(other),
        }
    }

    /// Labelled predictions.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Binary(cells) => cells.rows().support(),
            Self::Multiclass(cells) => cells.rows().support(),
            Self::Regression(cells) => cells.rows().support(),
        }
    }

    /// Rows of which a number was beyond what the sums hold and was clipped to it.
    pub fn clipped(&self) -> u64 {
        match self {
            Self::Binary(cells) => cells.clipped(),
            Self::Multiclass(cells) => cells.clipped(),
            Self::Regression(cells) => cells.clipped() + cells.clipped_squares(),
        }
    }
}

impl Sketch for PerformanceCells {
    type Row = Outcome;

    fn add(&mut self, outcome: &Outcome, sign: Sign) {
        let terms = self.terms(outcome);
        self.add_terms(&terms, sign);
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Binary(cells), Self::Binary(other)) => cells.merge(other),
            (Self::Multiclass(cells), Self::Multiclass(other)) => cells.merge(other),
            (Self::Regression(cells), Self::Regression(other)) => cells.merge(other),
            _ => panic!("only cells of the same task merge"),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Binary(cells) => cells.is_empty(),
            Self::Multiclass(cells) => cells.is_empty(),
            Self::Regression(cells) => cells.is_empty(),
        }
    }
}
