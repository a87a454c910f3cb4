//! Scores of predictions, counted when they arrive: their labels are not known yet.

use super::sparse::Sparse;
use super::weighting::{Count, Mass, Weight};
use super::{Sign, Sketch};
use crate::engine::score::{Resolution, fine_bin};
use serde::{Deserialize, Serialize};

/// Predictions by (score bin, decision), in the same bins as `BinaryCells`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreCells {
    resolution: Resolution,
    counts: Counts,
}

/// Key: bin * 2 + decision; after the last bin, the predictions without a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Counts {
    Plain(Sparse<i64>),
    Weighted(Sparse<Weight>),
}

/// A prediction as it arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredPrediction {
    pub score: Option<f64>,
    pub decision: bool,
    pub weight: f64,
}

impl ScoreCells {
    pub fn new(weighted: bool, resolution: Resolution) -> Self {
        let universe = resolution.bins() as u16 * 2 + 2;
        let counts = if weighted {
            Counts::Weighted(Sparse::new(universe))
        } else {
            Counts::Plain(Sparse::new(universe))
        };
        Self { resolution, counts }
    }

    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// (bin, decision, predictions), ascending; the bin is `None` for predictions without a score.
    pub fn bins(&self) -> Vec<(Option<u16>, bool, Mass)> {
        let entry = |key: u16, mass: Mass| {
            let bin = Some(key / 2).filter(|&bin| usize::from(bin) < self.resolution.bins());
            (bin, key % 2 == 1, mass)
        };
        match &self.counts {
            Counts::Plain(counts) => {
                counts.iter().map(|(key, count)| entry(key, count.mass())).collect()
            }
            Counts::Weighted(counts) => {
                counts.iter().map(|(key, count)| entry(key, count.mass())).collect()
            }
        }
    }

    /// All predictions.
    pub fn rows(&self) -> Mass {
        self.bins().into_iter().map(|(_, _, mass)| mass).sum()
    }
}

impl Sketch for ScoreCells {
    type Row = ScoredPrediction;

    fn add(&mut self, row: &ScoredPrediction, sign: Sign) {
        let bin = match row.score.filter(|score| !score.is_nan()) {
            Some(score) => self.resolution.bin(fine_bin(score)),
            None => self.resolution.bins() as u16,
        };
        let key = bin * 2 + u16::from(row.decision);
        match &mut self.counts {
            Counts::Plain(counts) => counts.apply(key, &1, sign),
            Counts::Weighted(counts) => counts.apply(key, &Weight::one(row.weight).0, sign),
        }
    }

    fn merge(&mut self, other: &Self) {
        assert_eq!(self.resolution, other.resolution, "only cells that were made alike merge");
        match (&mut self.counts, &other.counts) {
            (Counts::Plain(counts), Counts::Plain(other)) => counts.merge(other),
            (Counts::Weighted(counts), Counts::Weighted(other)) => counts.merge(other),
            _ => panic!("only cells with the same weighting merge"),
        }
    }

    fn is_empty(&self) -> bool {
        match &self.counts {
            Counts::Plain(counts) => counts.is_empty(),
            Counts::Weighted(counts) => counts.is_empty(),
        }
    }
}
