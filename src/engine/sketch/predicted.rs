//! Losses that a model of losses predicts, summed over predictions as they come.

use super::{Group, Sum};
use serde::{Deserialize, Serialize};

/// Sums of one stretch of event time and one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PredictedLosses {
    rows: u64,
    /// One a loss.
    sums: Vec<Sum>,
}

impl PredictedLosses {
    /// One prediction's losses, each not negative.
    pub fn add(&mut self, losses: &[f64]) {
        self.sums.resize(self.sums.len().max(losses.len()), Sum::default());
        for (sum, loss) in self.sums.iter_mut().zip(losses) {
            sum.plus(&Sum::of(*loss).0);
        }
        self.rows += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        self.sums.resize(self.sums.len().max(other.sums.len()), Sum::default());
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            Group::plus(sum, other);
        }
        self.rows += other.rows;
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The mean of a loss; `None` without rows.
    pub fn mean(&self, loss: usize) -> Option<f64> {
        let sum = self.sums.get(loss).filter(|_| self.rows > 0)?;
        Some(sum.to_f64() / self.rows as f64)
    }
}
