//! Ten equal-width bins of a stated probability: how often it came true, against how often it said.

use super::moments::Clipped;
use super::weighting::{Count, Mass, Total, Weighting};
use super::{Group, Sign};
use serde::{Deserialize, Serialize};

/// Bins of equal width over [0, 1].
pub const CALIBRATION_BINS: usize = 10;

/// One bin as a metric reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibrationBin {
    pub rows: Mass,
    /// Weight of the rows that came true.
    pub hits: f64,
    /// Sum of weight times the stated probability.
    pub confidence: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct CalibrationSums<W: Weighting> {
    rows: W::Count,
    hits: W::Count,
    confidence: W::Bounded,
}

/// One row: which bin it falls in and what it adds there.
#[derive(Clone, Copy, Debug)]
pub(super) struct CalibrationTerms<W: Weighting> {
    bin: usize,
    sums: CalibrationSums<W>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Calibration<W: Weighting>([CalibrationSums<W>; CALIBRATION_BINS]);

impl<W: Weighting> Default for CalibrationSums<W> {
    fn default() -> Self {
        Self {
            rows: W::Count::default(),
            hits: W::Count::default(),
            confidence: W::Bounded::default(),
        }
    }
}

impl<W: Weighting> Default for Calibration<W> {
    fn default() -> Self {
        Self(Default::default())
    }
}

impl<W: Weighting> CalibrationTerms<W> {
    /// The bin is min(floor(10 p), 9), so that 1 falls into the last. Also what had to be clipped.
    pub fn of(probability: f64, hit: bool, rows: W::Count, weight: f64) -> (Self, Clipped) {
        let bin = ((probability * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        let hits = if hit { rows } else { W::Count::default() };
        let (confidence, clipped) = W::Bounded::of(probability, weight);
        (Self { bin, sums: CalibrationSums { rows, hits, confidence } }, clipped)
    }
}

impl<W: Weighting> Calibration<W> {
    pub fn apply(&mut self, terms: &CalibrationTerms<W>, sign: Sign) {
        self.0[terms.bin].apply(&terms.sums, sign);
    }

    pub fn merge(&mut self, other: &Self) {
        super::merge_arrays(&mut self.0, &other.0);
    }

    pub fn read(&self) -> [CalibrationBin; CALIBRATION_BINS] {
        std::array::from_fn(|bin| {
            let sums = &self.0[bin];
            CalibrationBin {
                rows: sums.rows.mass(),
                hits: sums.hits.mass().w,
                confidence: sums.confidence.read(),
            }
        })
    }
}

impl<W: Weighting> Group for CalibrationSums<W> {
    fn plus(&mut self, other: &Self) {
        self.rows.plus(&other.rows);
        self.hits.plus(&other.hits);
        self.confidence.plus(&other.confidence);
    }

    fn minus(&mut self, other: &Self) {
        self.rows.minus(&other.rows);
        self.hits.minus(&other.hits);
        self.confidence.minus(&other.confidence);
    }
}
