//! Probability rows of multiclass predictions that wait for a label.
//!
//! A row of up to `TOP_CLASSES_MAX` classes is kept whole. Of a longer one the most probable
//! classes are kept, and the rest's mass is spread evenly over the others: a true class among them
//! gives a log loss that is right on average and a rank that is only known to be beyond the kept
//! ones.

use super::event::ClassCode;
use super::slab::Slab;
use serde::{Deserialize, Serialize};

/// Classes of a prediction whose probabilities are kept.
pub const TOP_CLASSES_MAX: usize = 16;

/// One prediction's probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// By class if the row is whole, else the most probable first.
    top: Box<[(ClassCode, f64)]>,
    /// Probability of each class that is not listed.
    rest: f64,
}

/// Slots of rows; a prediction holds the number of its own.
#[derive(Clone, Debug, Default)]
pub struct Outputs(Slab<Ranked>);

impl Ranked {
    pub fn new(row: &[f64]) -> Self {
        let mut top: Vec<(ClassCode, f64)> = (0..).zip(row.iter().copied()).collect();
        if row.len() <= TOP_CLASSES_MAX || row.iter().any(|p| p.is_nan()) {
            return Self { top: top.into(), rest: f64::NAN };
        }
        top.sort_by(|(a, p), (b, q)| q.total_cmp(p).then(a.cmp(b)));
        let left = &top[TOP_CLASSES_MAX..];
        let rest = left.iter().map(|(_, p)| p).sum::<f64>() / left.len() as f64;
        Self { top: top[..TOP_CLASSES_MAX].into(), rest }
    }

    /// The row as far as it is known.
    pub fn row(&self, classes: usize) -> Vec<f64> {
        let mut row = vec![self.rest; classes];
        for &(class, p) in &self.top {
            if let Some(slot) = row.get_mut(usize::from(class)) {
                *slot = p;
            }
        }
        row
    }
}

impl Outputs {
    pub fn put(&mut self, ranked: Ranked) -> u64 {
        self.0.put(ranked).into()
    }

    pub fn get(&self, slot: u64) -> Option<&Ranked> {
        self.0.get(u32::try_from(slot).ok()?)
    }

    pub fn free(&mut self, slot: u64) {
        if let Ok(slot) = u32::try_from(slot) {
            self.0.take(slot);
        }
    }
}
