//! What labelled predictions of a binary model leave behind.
//!
//! Counts by (decision, label), losses by the same, counts by (score bin, decision, label), and ten
//! equal-width bins of the score for calibration. Everything is exact: see `fixed.rs`.

use super::calibration::{CALIBRATION_BINS, Calibration, CalibrationBin, CalibrationTerms};
use super::moments::{Clipped, Moments, Spread};
use super::sparse::Sparse;
use super::weighting::{Count, Mass, Plain, Weighted, Weighting};
use super::{Group, Sign, Sketch, merge_arrays};
use crate::engine::score::{Resolution, fine_bin};
use serde::{Deserialize, Serialize};

/// A prediction that has met its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryOutcome {
    /// Probability of the positive class; `None` if the model gives none.
    pub score: Option<f64>,
    /// The model said positive.
    pub decision: bool,
    /// It is positive.
    pub label: bool,
    /// Sampling weight, above 0; not used by cells without weights.
    pub weight: f64,
}

impl BinaryOutcome {
    /// Log loss with the probability of the true class kept within [eps, 1 - eps], eps = 2^-52, as
    /// scikit-learn does. `None` without a score.
    pub fn log_loss(&self) -> Option<f64> {
        let score = self.score?;
        let p = if self.label { score } else { 1.0 - score };
        Some(-p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln())
    }

    /// (score - label)^2. `None` without a score.
    pub fn brier(&self) -> Option<f64> {
        let error = self.score? - f64::from(u8::from(self.label));
        Some(error * error)
    }
}

/// An outcome made ready to be added, once, to the whole model and to each of its slices.
#[derive(Clone, Copy, Debug)]
pub struct BinaryTerms(AnyTerms);

#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "made once a row, on the stack, and not kept")]
enum AnyTerms {
    Plain(RowTerms<Plain>),
    Weighted(RowTerms<Weighted>),
}

#[derive(Clone, Copy, Debug)]
struct RowTerms<W: Weighting> {
    /// decision * 2 + label.
    cell: usize,
    count: W::Count,
    scored: Option<ScoredTerms<W>>,
    clipped: Clipped,
}

#[derive(Clone, Copy, Debug)]
struct ScoredTerms<W: Weighting> {
    fine_bin: u16,
    log_loss: W::Loss,
    brier: W::Loss,
    calibration: CalibrationTerms<W>,
}

/// Cells of one stretch of event time, one version, one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BinaryCells(AnySums);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum AnySums {
    Plain(Box<Sums<Plain>>),
    Weighted(Box<Sums<Weighted>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Sums<W: Weighting> {
    resolution: Resolution,
    /// By decision * 2 + label, like the losses.
    confusion: [W::Count; 4],
    log_loss: [W::Loss; 4],
    brier: [W::Loss; 4],
    calibration: Calibration<W>,
    /// Key: bin * 4 + decision * 2 + label.
    bins: Sparse<W::Count>,
    /// Rows with a number that had to be clipped.
    clipped: i64,
}

impl<W: Weighting> RowTerms<W> {
    fn of(outcome: &BinaryOutcome) -> Self {
        let weight = W::weight(outcome.weight);
        let (count, mut clipped) = W::Count::one(weight);
        let score = outcome.score.filter(|score| !score.is_nan()).map(|p| p.clamp(0.0, 1.0));
        let outcome = BinaryOutcome { score, ..*outcome };
        let scored = score.zip(outcome.log_loss().zip(outcome.brier()));
        let scored = scored.map(|(score, (log_loss, brier))| {
            let (log_loss, clipped_log_loss) = W::Loss::of(log_loss, weight);
            let (brier, clipped_brier) = W::Loss::of(brier, weight);
            let (calibration, clipped_calibration) =
                CalibrationTerms::of(score, outcome.label, count, weight);
            clipped = clipped.max(clipped_log_loss).max(clipped_brier).max(clipped_calibration);
            ScoredTerms { fine_bin: fine_bin(score), log_loss, brier, calibration }
        });
        let cell = usize::from(outcome.decision) * 2 + usize::from(outcome.label);
        Self { cell, count, scored, clipped }
    }
}

impl<W: Weighting> Sums<W> {
    fn new(resolution: Resolution) -> Self {
        Self {
            resolution,
            confusion: Default::default(),
            log_loss: Default::default(),
            brier: Default::default(),
            calibration: Calibration::default(),
            bins: Sparse::new(resolution.bins() as u16 * 4),
            clipped: 0,
        }
    }

    fn add(&mut self, terms: &RowTerms<W>, sign: Sign) {
        self.confusion[terms.cell].apply(&terms.count, sign);
        if let Some(scored) = &terms.scored {
            self.log_loss[terms.cell].apply(&scored.log_loss, sign);
            self.brier[terms.cell].apply(&scored.brier, sign);
            self.calibration.apply(&scored.calibration, sign);
            let key = self.resolution.bin(scored.fine_bin) * 4 + terms.cell as u16;
            self.bins.apply(key, &terms.count, sign);
        }
        self.clipped.apply(&i64::from(terms.clipped != Clipped::Nothing), sign);
    }

    fn merge(&mut self, other: &Self) {
        assert_eq!(self.resolution, other.resolution, "only cells that were made alike merge");
        merge_arrays(&mut self.confusion, &other.confusion);
        merge_arrays(&mut self.log_loss, &other.log_loss);
        merge_arrays(&mut self.brier, &other.brier);
        self.calibration.merge(&other.calibration);
        self.bins.merge(&other.bins);
        self.clipped.plus(&other.clipped);
    }

    /// The counts by decision and label, without losses and bins.
    fn counts(&self) -> Self {
        Self { confusion: self.confusion, ..Self::new(self.resolution) }
    }

    fn merge_counts(&mut self, other: &Self) {
        merge_arrays(&mut self.confusion, &other.confusion);
    }

    fn is_empty(&self) -> bool {
        self.bins.is_empty() && self.confusion.iter().all(Group::is_zero)
    }
}

/// Runs an expression on the sums, whichever weighting they have.
macro_rules! sums {
    ($cells:expr, $sums:ident => $body:expr) => {
        match $cells {
            AnySums::Plain($sums) => $body,
            AnySums::Weighted($sums) => $body,
        }
    };
}

fn cell(decision: bool, label: bool) -> usize {
    usize::from(decision) * 2 + usize::from(label)
}

impl BinaryCells {
    /// Empty cells; with `weighted`, outcomes count by their weights.
    pub fn new(weighted: bool, resolution: Resolution) -> Self {
        Self(if weighted {
            AnySums::Weighted(Box::new(Sums::new(resolution)))
        } else {
            AnySums::Plain(Box::new(Sums::new(resolution)))
        })
    }

    /// Makes an outcome ready for these cells and for all others with the same weighting.
    pub fn terms(&self, outcome: &BinaryOutcome) -> BinaryTerms {
        BinaryTerms(match &self.0 {
            AnySums::Plain(_) => AnyTerms::Plain(RowTerms::of(outcome)),
            AnySums::Weighted(_) => AnyTerms::Weighted(RowTerms::of(outcome)),
        })
    }

    /// Adds or removes a prepared outcome.
    pub fn add_terms(&mut self, terms: &BinaryTerms, sign: Sign) {
        match (&mut self.0, &terms.0) {
            (AnySums::Plain(sums), AnyTerms::Plain(terms)) => sums.add(terms, sign),
            (AnySums::Weighted(sums), AnyTerms::Weighted(terms)) => sums.add(terms, sign),
            _ => panic!("terms were made for cells with another weighting"),
        }
    }

    /// A copy with nothing but the counts by decision and label.
    pub fn counts(&self) -> Self {
        Self(match &self.0 {
            AnySums::Plain(sums) => AnySums::Plain(Box::new(sums.counts())),
            AnySums::Weighted(sums) => AnySums::Weighted(Box::new(sums.counts())),
        })
    }

    /// Adds nothing but these.
    pub fn merge_counts(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (AnySums::Plain(sums), AnySums::Plain(other)) => sums.merge_counts(other),
            (AnySums::Weighted(sums), AnySums::Weighted(other)) => sums.merge_counts(other),
            _ => panic!("only cells with the same weighting merge"),
        }
    }

    pub fn resolution(&self) -> Resolution {
        sums!(&self.0, sums => sums.resolution)
    }

    /// Rows that were decided and labelled so.
    pub fn confusion(&self, decision: bool, label: bool) -> Mass {
        sums!(&self.0, sums => sums.confusion[cell(decision, label)].mass())
    }

    /// All rows.
    pub fn rows(&self) -> Mass {
        sums!(&self.0, sums => sums.confusion.iter().map(Count::mass).sum())
    }

    /// Log losses of the rows that were decided and labelled so and have a score.
    pub fn log_loss(&self, decision: bool, label: bool) -> Spread {
        sums!(&self.0, sums => sums.log_loss[cell(decision, label)].spread())
    }

    /// Brier losses of the same rows.
    pub fn brier(&self, decision: bool, label: bool) -> Spread {
        sums!(&self.0, sums => sums.brier[cell(decision, label)].spread())
    }

    /// Rows with a score, by bin of the score, ascending, without empty bins.
    pub fn bins(&self) -> Vec<ScoreBin> {
        sums!(&self.0, sums => {
            let mut bins: Vec<ScoreBin> = Vec::new();
            for (key, count) in sums.bins.iter() {
                let bin = key / 4;
                if bins.last().is_none_or(|last| last.bin != bin) {
                    bins.push(ScoreBin { bin, cells: Default::default() });
                }
                if let Some(last) = bins.last_mut() {
                    last.cells[usize::from(key % 4)] = count.mass();
                }
            }
            bins
        })
    }

    /// Rows with a score.
    pub fn scored(&self) -> Mass {
        self.calibration().iter().map(|bin| bin.rows).sum()
    }

    /// Calibration of the score as the probability of a positive label.
    pub fn calibration(&self) -> [CalibrationBin; CALIBRATION_BINS] {
        sums!(&self.0, sums => sums.calibration.read())
    }

    /// Rows with a weight or a loss beyond what the sums hold.
    pub fn clipped(&self) -> u64 {
        sums!(&self.0, sums => sums.clipped.max(0) as u64)
    }
}

/// Rows of one score bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBin {
    /// Of the cells' resolution.
    pub bin: u16,
    cells: [Mass; 4],
}

impl ScoreBin {
    pub fn cell(&self, decision: bool, label: bool) -> Mass {
        self.cells[cell(decision, label)]
    }

    /// Rows with this label, whatever was decided.
    pub fn label(&self, label: bool) -> Mass {
        self.cell(false, label) + self.cell(true, label)
    }
}

impl Sketch for BinaryCells {
    type Row = BinaryOutcome;

    fn add(&mut self, outcome: &BinaryOutcome, sign: Sign) {
        let terms = self.terms(outcome);
        self.add_terms(&terms, sign);
    }

    fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (AnySums::Plain(sums), AnySums::Plain(other)) => sums.merge(other),
            (AnySums::Weighted(sums), AnySums::Weighted(other)) => sums.merge(other),
            _ => panic!("only cells with the same weighting merge"),
        }
    }

    fn is_empty(&self) -> bool {
        sums!(&self.0, sums => sums.is_empty())
    }
}
