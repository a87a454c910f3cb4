//! Predictions by what they are expected to turn out as: sums of calibrated probabilities, from
//! which confidence-based estimates follow before labels come.
//!
//! Each prediction is calibrated by itself, on arrival, and then summed in fixed point; nothing is
//! binned before that. A second set of the same sums is of those predictions that have their label,
//! so that what is still open is the difference, exactly.

use super::sparse::Sparse;
use super::weighting::{Count, Mass, Weight};
use super::{Group, Sign, Sketch, Sum};
use crate::engine::score::FINE_BINS;
use serde::{Deserialize, Serialize};

/// A prediction made ready to be summed.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedRow {
    /// The decision: 0 or 1 (binary), the class, or the number of classes for any other.
    pub decision: usize,
    /// Binary: the fine bin of the raw score.
    pub bin: Option<u16>,
    /// Calibrated: of the positive class alone (binary), or of each class. `None` if the model gave
    /// none.
    pub probabilities: Option<Probabilities>,
    pub weight: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Probabilities {
    One(f64),
    Each(Vec<f64>),
}

/// Sums over predictions of one stretch of event time and one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectedCells {
    /// Probabilities a row: 1 (binary) or the number of classes.
    classes: u16,
    all: Sums,
    labelled: Sums,
    /// Binary: all predictions by bin of the raw score.
    bins: Bins,
    /// Predictions without probabilities: they are in no sum.
    unscored: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sums {
    /// By decision.
    rows: Vec<Weight>,
    /// Sum of w p, by decision and class.
    expected: Vec<Sum>,
    /// Sum of w^2 p (1 - p), by decision: of the positive class (binary), of the decided one.
    variance: Vec<Sum>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Bins {
    Plain(Sparse<PlainBin>),
    Weighted(Sparse<WeightedBin>),
}

/// Rows, and the sum of p in multiples of 2^-31: what the score's order needs, in 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct PlainBin(i64, i64);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct WeightedBin(Sum, Sum);

const PLAIN_ONE: f64 = (1_u64 << 31) as f64;

/// One bin of the score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpectedBin {
    pub bin: u16,
    /// Weight of the rows.
    pub rows: f64,
    /// Expected weight of the positives among them.
    pub positives: f64,
}

/// The sums as estimates read them: of all, of the labelled, or of the open predictions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected {
    /// By decision.
    pub rows: Vec<Mass>,
    /// By decision and class.
    expected: Vec<f64>,
    /// By decision.
    pub variance: Vec<f64>,
    classes: usize,
}

impl Group for PlainBin {
    fn plus(&mut self, other: &Self) {
        self.0.plus(&other.0);
        self.1.plus(&other.1);
    }

    fn minus(&mut self, other: &Self) {
        self.0.minus(&other.0);
        self.1.minus(&other.1);
    }
}

impl Group for WeightedBin {
    fn plus(&mut self, other: &Self) {
        self.0.plus(&other.0);
        self.1.plus(&other.1);
    }

    fn minus(&mut self, other: &Self) {
        self.0.minus(&other.0);
        self.1.minus(&other.1);
    }
}

impl Sums {
    fn new(decisions: usize, classes: usize) -> Self {
        Self {
            rows: vec![Weight::default(); decisions],
            expected: vec![Sum::default(); decisions * classes],
            variance: vec![Sum::default(); decisions],
        }
    }

    fn apply(&mut self, row: &ExpectedRow, probabilities: &Probabilities, sign: Sign) {
        let weight = row.weight;
        let decision = row.decision.min(self.rows.len() - 1);
        self.rows[decision].apply(&Weight::one(weight).0, sign);
        let of = |value: f64| Sum::of(value).0;
        let decided = match probabilities {
            Probabilities::One(p) => {
                self.expected[decision].apply(&of(weight * p), sign);
                *p
            }
            Probabilities::Each(all) => {
                let classes = self.expected.len() / self.rows.len();
                let cells = &mut self.expected[decision * classes..];
                for (cell, p) in cells.iter_mut().zip(all) {
                    cell.apply(&of(weight * p), sign);
                }
                all.get(decision).copied().unwrap_or(0.0)
            }
        };
        let variance = weight * weight * decided * (1.0 - decided);
        self.variance[decision].apply(&of(variance), sign);
    }

    fn merge(&mut self, other: &Self) {
        fn add<T: Group>(into: &mut [T], from: &[T]) {
            into.iter_mut().zip(from).for_each(|(into, from)| into.plus(from));
        }
        add(&mut self.rows, &other.rows);
        add(&mut self.expected, &other.expected);
        add(&mut self.variance, &other.variance);
    }

    fn is_empty(&self) -> bool {
        self.rows.iter().all(Group::is_zero) && self.expected.iter().all(Group::is_zero)
    }

    fn read(&self, minus: Option<&Self>) -> Expected {
        fn difference<T: Group>(from: &[T], minus: Option<&Vec<T>>) -> Vec<T> {
            let mut left = from.to_vec();
            for (left, minus) in left.iter_mut().zip(minus.into_iter().flatten()) {
                left.minus(minus);
            }
            left
        }
        let read = |sums: Vec<Sum>| sums.into_iter().map(Sum::to_f64).collect::<Vec<f64>>();
        let rows = difference(&self.rows, minus.map(|minus| &minus.rows));
        Expected {
            classes: self.expected.len() / self.rows.len().max(1),
            rows: rows.iter().map(Count::mass).collect(),
            expected: read(difference(&self.expected, minus.map(|minus| &minus.expected))),
            variance: read(difference(&self.variance, minus.map(|minus| &minus.variance))),
        }
    }
}

impl Bins {
    fn apply(&mut self, bin: u16, p: f64, weight: f64, sign: Sign) {
        match self {
            Self::Plain(bins) => {
                bins.apply(bin, &PlainBin(1, (p * PLAIN_ONE).round() as i64), sign);
            }
            Self::Weighted(bins) => {
                let row = WeightedBin(Sum::of(weight).0, Sum::of(weight * p).0);
                bins.apply(bin, &row, sign);
            }
        }
    }
}

impl ExpectedCells {
    /// For a binary model (`classes` absent), or one with so many classes.
    pub fn new(classes: Option<usize>, weighted: bool) -> Self {
        let (decisions, outputs) = classes.map_or((2, 1), |classes| (classes + 1, classes));
        let universe = FINE_BINS as u16;
        Self {
            classes: outputs as u16,
            all: Sums::new(decisions, outputs),
            labelled: Sums::new(decisions, outputs),
            bins: match weighted {
                true => Bins::Weighted(Sparse::new(universe)),
                false => Bins::Plain(Sparse::new(universe)),
            },
            unscored: 0,
        }
    }

    /// Notes that a prediction has its label, or, with `Remove`, that it has none after all.
    pub fn label(&mut self, row: &ExpectedRow, sign: Sign) {
        if let Some(probabilities) = &row.probabilities {
            self.labelled.apply(row, probabilities, sign);
        }
    }

    /// Predictions with probabilities, and without.
    pub fn rows(&self) -> (u64, u64) {
        let rows: i64 = self.all.rows.iter().map(|weight| weight.n).sum();
        (rows.max(0) as u64, self.unscored.max(0) as u64)
    }

    pub fn all(&self) -> Expected {
        self.all.read(None)
    }

    pub fn labelled(&self) -> Expected {
        self.labelled.read(None)
    }

    /// The predictions that have no label.
    pub fn open(&self) -> Expected {
        self.all.read(Some(&self.labelled))
    }

    /// All predictions by bin of the score, ascending, without empty bins.
    pub fn bins(&self) -> Vec<ExpectedBin> {
        match &self.bins {
            Bins::Plain(bins) => {
                let read = |(bin, PlainBin(rows, p)): (u16, &PlainBin)| ExpectedBin {
                    bin,
                    rows: *rows as f64,
                    positives: *p as f64 / PLAIN_ONE,
                };
                bins.iter().map(read).collect()
            }
            Bins::Weighted(bins) => {
                let read = |(bin, WeightedBin(w, wp)): (u16, &WeightedBin)| ExpectedBin {
                    bin,
                    rows: w.to_f64(),
                    positives: wp.to_f64(),
                };
                bins.iter().map(read).collect()
            }
        }
    }
}

impl Expected {
    /// Expected weight of this class among the predictions decided so. Binary: 1 is the positive
    /// class, 0 the other.
    pub fn of(&self, decision: usize, class: usize) -> f64 {
        if self.classes == 1 {
            let positives = self.expected[decision];
            return if class == 1 { positives } else { self.rows[decision].w - positives };
        }
        self.expected[decision * self.classes + class]
    }

    /// Classes with probabilities; 1 for a binary model, of which only the positive one's is kept.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All rows.
    pub fn mass(&self) -> Mass {
        self.rows.iter().copied().sum()
    }
}

impl Sketch for ExpectedCells {
    type Row = ExpectedRow;

    fn add(&mut self, row: &ExpectedRow, sign: Sign) {
        let Some(probabilities) = &row.probabilities else {
            self.unscored.apply(&1, sign);
            return;
        };
        self.all.apply(row, probabilities, sign);
        if let (Some(bin), Probabilities::One(p)) = (row.bin, probabilities) {
            self.bins.apply(bin, *p, row.weight, sign);
        }
    }

    fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes, other.classes, "only cells that were made alike merge");
        self.all.merge(&other.all);
        self.labelled.merge(&other.labelled);
        match (&mut self.bins, &other.bins) {
            (Bins::Plain(bins), Bins::Plain(other)) => bins.merge(other),
            (Bins::Weighted(bins), Bins::Weighted(other)) => bins.merge(other),
            _ => panic!("only cells with the same weighting merge"),
        }
        self.unscored.plus(&other.unscored);
    }

    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.labelled.is_empty() && self.unscored == 0
    }
}
