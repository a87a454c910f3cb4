//! What labelled predictions of a regression model leave behind.
//!
//! Errors, labels and predictions are counted in units of the plan's scale (a power of two, so the
//! division is exact) and labels around the plan's centre, so that a large offset costs no digits.

use super::moments::{Clipped, Moments, Spread};
use super::sparse::Sparse;
use super::weighting::{Count, Mass, Plain, Total, Weighted, Weighting};
use super::{Group, Sign, Sketch, Sum, merge_arrays};
use crate::engine::score::Resolution;
use serde::{Deserialize, Serialize};

/// A prediction that has met its label. Both numbers are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegressionOutcome {
    pub prediction: f64,
    pub label: f64,
    /// Sampling weight, above 0; not used by cells without weights.
    pub weight: f64,
}

/// An outcome made ready to be added, once, to the whole model and to each of its slices.
#[derive(Clone, Copy, Debug)]
pub struct RegressionTerms(AnyTerms);

#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "made once a row, on the stack, and not kept")]
enum AnyTerms {
    Plain(RowTerms<Plain>),
    Weighted(RowTerms<Weighted>),
}

#[derive(Clone, Copy, Debug)]
struct RowTerms<W: Weighting> {
    count: W::Count,
    /// |error| / scale, for the histogram of either resolution.
    magnitude: f64,
    losses: [W::Wide; LOSSES],
    totals: [Sum; TOTALS],
    clipped: Clipped,
}

const OVER: usize = 0;
const UNDER: usize = 1;
const SQUARED: usize = 2;
const SYMMETRIC: usize = 3;
const LOSSES: usize = 4;

const LABEL: usize = 0;
const LABEL_SQUARED: usize = 1;
const PREDICTION: usize = 2;
const PREDICTION_SQUARED: usize = 3;
const PERCENTAGE: usize = 4;
const TOTALS: usize = 5;

/// Cells of one stretch of event time, one version, one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionCells(AnySums);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum AnySums {
    Plain(Box<Sums<Plain>>),
    Weighted(Box<Sums<Weighted>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Sums<W: Weighting> {
    center: f64,
    scale: f64,
    resolution: Resolution,
    rows: W::Count,
    losses: [W::Wide; LOSSES],
    totals: [Sum; TOTALS],
    /// Histogram of |error| / scale; see `error_bin`.
    errors: Sparse<W::Count>,
    /// Rows of which a value itself had to be clipped: the sums are lower bounds.
    clipped: i64,
    /// Rows of which only a square for an interval had to be clipped.
    clipped_squares: i64,
}

/// Histogram of magnitudes: 0, then (0, 2^-40), then 80 octaves, then 2^40 and more.
const OCTAVES: u16 = 80;
const OCTAVES_FROM: i32 = -40;

/// log2 of the bins in each octave: 64, or 16 for slices.
fn octave_bits(resolution: Resolution) -> u32 {
    match resolution {
        Resolution::Fine => 6,
        Resolution::Coarse => 4,
    }
}

fn error_bins(resolution: Resolution) -> u16 {
    3 + (OCTAVES << octave_bits(resolution))
}

/// The bin of a magnitude in units of the scale; NaN falls into the last.
fn error_bin(magnitude: f64, resolution: Resolution) -> u16 {
    let bits = octave_bits(resolution);
    if magnitude == 0.0 {
        return 0;
    }
    let raw = magnitude.abs().to_bits();
    let octave = (raw >> 52) as i32 - 1023 - OCTAVES_FROM;
    if octave < 0 {
        1
    } else if octave >= i32::from(OCTAVES) {
        error_bins(resolution) - 1
    } else {
        let within = (raw >> (52 - bits)) & ((1 << bits) - 1);
        2 + ((octave as u16) << bits) + within as u16
    }
}

/// Lowest and highest magnitude of a bin; the last is open above.
fn error_edges(bin: u16, resolution: Resolution) -> (f64, f64) {
    let bits = octave_bits(resolution);
    let edge = |index: u16| {
        let octave = 2.0_f64.powi(OCTAVES_FROM + i32::from(index >> bits));
        octave * (1.0 + f64::from(index & ((1 << bits) - 1)) / f64::from(1_u32 << bits))
    };
    match bin {
        0 => (0.0, 0.0),
        1 => (0.0, edge(0)),
        bin if bin >= error_bins(resolution) - 1 => (edge(OCTAVES << bits), f64::INFINITY),
        bin => (edge(bin - 2), edge(bin - 1)),
    }
}

impl<W: Weighting> RowTerms<W> {
    fn of(outcome: &RegressionOutcome, center: f64, scale: f64) -> Self {
        let RegressionOutcome { prediction, label, .. } = *outcome;
        let weight = W::weight(outcome.weight);
        let (count, mut clipped) = W::Count::one(weight);
        let difference = prediction - label;
        let error = difference / scale;
        let size = prediction.abs() + label.abs();
        let mut losses = [W::Wide::default(); LOSSES];
        let symmetric = if size == 0.0 { 0.0 } else { 2.0 * (difference.abs() / size) };
        for (sums, loss) in
            losses.iter_mut().zip([error.max(0.0), (-error).max(0.0), error * error, symmetric])
        {
            let (moments, loss_clipped) = W::Wide::of(loss, weight);
            *sums = moments;
            clipped = clipped.max(loss_clipped);
        }
        let label_scaled = (label - center) / scale;
        let prediction_scaled = (prediction - center) / scale;
        // The denominator that scikit-learn uses: a label of 0 gives a huge value, not infinity.
        let percentage = difference.abs() / label.abs().max(f64::EPSILON);
        let mut totals = [Sum::default(); TOTALS];
        for (sum, value) in totals.iter_mut().zip([
            label_scaled,
            label_scaled * label_scaled,
            prediction_scaled,
            prediction_scaled * prediction_scaled,
            percentage,
        ]) {
            let (total, total_clipped) = <Sum as Total>::of(value, weight);
            *sum = total;
            clipped = clipped.max(total_clipped);
        }
        Self { count, magnitude: error.abs(), losses, totals, clipped }
    }
}

impl<W: Weighting> Sums<W> {
    fn new(center: f64, scale: f64, resolution: Resolution) -> Self {
        Self {
            center,
            scale,
            resolution,
            rows: W::Count::default(),
            losses: [W::Wide::default(); LOSSES],
            totals: [Sum::default(); TOTALS],
            errors: Sparse::new(error_bins(resolution)),
            clipped: 0,
            clipped_squares: 0,
        }
    }

    fn add(&mut self, terms: &RowTerms<W>, sign: Sign) {
        self.rows.apply(&terms.count, sign);
        for (sums, loss) in self.losses.iter_mut().zip(&terms.losses) {
            sums.apply(loss, sign);
        }
        for (sum, total) in self.totals.iter_mut().zip(&terms.totals) {
            Group::apply(sum, total, sign);
        }
        self.errors.apply(error_bin(terms.magnitude, self.resolution), &terms.count, sign);
        self.clipped.apply(&i64::from(terms.clipped == Clipped::Value), sign);
        self.clipped_squares.apply(&i64::from(terms.clipped == Clipped::Squares), sign);
    }

    fn merge(&mut self, other: &Self) {
        assert!(
            self.center.to_bits() == other.center.to_bits()
                && self.scale.to_bits() == other.scale.to_bits()
                && self.resolution == other.resolution,
            "only cells that were made alike merge"
        );
        self.rows.plus(&other.rows);
        merge_arrays(&mut self.losses, &other.losses);
        merge_arrays(&mut self.totals, &other.totals);
        self.errors.merge(&other.errors);
        self.clipped.plus(&other.clipped);
        self.clipped_squares.plus(&other.clipped_squares);
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

/// Rows whose absolute error lies between two values, in the label's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorBin {
    pub lower: f64,
    /// Infinite for the last bin.
    pub upper: f64,
    pub rows: Mass,
}

/// Moments of the labels or the predictions around the centre, in units of the scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Sum of w (x - center) / scale.
    pub total: f64,
    /// Sum of w ((x - center) / scale)^2.
    pub squares: f64,
}

impl RegressionCells {
    /// Empty cells. `center` and `scale` are the plan's; a scale that is not a positive number
    /// counts as 1. With `weighted`, outcomes count by their weights.
    pub fn new(center: f64, scale: f64, weighted: bool, resolution: Resolution) -> Self {
        let center = if center.is_finite() { center } else { 0.0 };
        let scale = if scale.is_normal() && scale > 0.0 { scale } else { 1.0 };
        Self(if weighted {
            AnySums::Weighted(Box::new(Sums::new(center, scale, resolution)))
        } else {
            AnySums::Plain(Box::new(Sums::new(center, scale, resolution)))
        })
    }

    /// Makes an outcome ready for these cells and for all others with the same centre, scale and
    /// weighting.
    pub fn terms(&self, outcome: &RegressionOutcome) -> RegressionTerms {
        RegressionTerms(match &self.0 {
            AnySums::Plain(sums) => AnyTerms::Plain(RowTerms::of(outcome, sums.center, sums.scale)),
            AnySums::Weighted(sums) => {
                AnyTerms::Weighted(RowTerms::of(outcome, sums.center, sums.scale))
            }
        })
    }

    /// Adds or removes a prepared outcome.
    pub fn add_terms(&mut self, terms: &RegressionTerms, sign: Sign) {
        match (&mut self.0, &terms.0) {
            (AnySums::Plain(sums), AnyTerms::Plain(terms)) => sums.add(terms, sign),
            (AnySums::Weighted(sums), AnyTerms::Weighted(terms)) => sums.add(terms, sign),
            _ => panic!("terms were made for cells with another weighting"),
        }
    }

    pub fn center(&self) -> f64 {
        sums!(&self.0, sums => sums.center)
    }

    pub fn scale(&self) -> f64 {
        sums!(&self.0, sums => sums.scale)
    }

    /// All rows.
    pub fn rows(&self) -> Mass {
        sums!(&self.0, sums => sums.rows.mass())
    }

    fn loss(&self, index: usize) -> Spread {
        sums!(&self.0, sums => sums.losses[index].spread())
    }

    fn total(&self, index: usize) -> f64 {
        sums!(&self.0, sums => sums.totals[index].to_f64())
    }

    /// max(prediction - label, 0) / scale: how much was predicted too high.
    pub fn over(&self) -> Spread {
        self.loss(OVER)
    }

    /// max(label - prediction, 0) / scale: how much was predicted too low.
    pub fn under(&self) -> Spread {
        self.loss(UNDER)
    }

    /// ((prediction - label) / scale)^2.
    pub fn squared(&self) -> Spread {
        self.loss(SQUARED)
    }

    /// 2 |prediction - label| / (|prediction| + |label|), 0 where both are 0.
    pub fn symmetric(&self) -> Spread {
        self.loss(SYMMETRIC)
    }

    /// Sum of w |prediction - label| / max(|label|, 2^-52).
    pub fn percentage(&self) -> f64 {
        self.total(PERCENTAGE)
    }

    pub fn labels(&self) -> Levels {
        Levels { total: self.total(LABEL), squares: self.total(LABEL_SQUARED) }
    }

    pub fn predictions(&self) -> Levels {
        Levels { total: self.total(PREDICTION), squares: self.total(PREDICTION_SQUARED) }
    }

    /// Histogram of |prediction - label|, ascending, without empty bins.
    pub fn errors(&self) -> Vec<ErrorBin> {
        sums!(&self.0, sums => {
            let bin = |(key, count): (u16, &_)| {
                let (lower, upper) = error_edges(key, sums.resolution);
                let rows = Count::mass(count);
                ErrorBin { lower: lower * sums.scale, upper: upper * sums.scale, rows }
            };
            sums.errors.iter().map(bin).collect()
        })
    }

    /// Rows of which a value was beyond what the sums hold: the metrics are lower bounds.
    pub fn clipped(&self) -> u64 {
        sums!(&self.0, sums => sums.clipped.max(0) as u64)
    }

    /// Rows of which only a square was: there are no intervals.
    pub fn clipped_squares(&self) -> u64 {
        sums!(&self.0, sums => sums.clipped_squares.max(0) as u64)
    }
}

impl Sketch for RegressionCells {
    type Row = RegressionOutcome;

    fn add(&mut self, outcome: &RegressionOutcome, sign: Sign) {
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
        sums!(&self.0, sums => sums.rows.is_zero() && sums.errors.is_empty())
    }
}
