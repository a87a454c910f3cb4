//! Predictions by what they are expected to turn out as: sums of calibrated probabilities, from
//! which confidence-based estimates follow before labels come.
//!
//! Each prediction is calibrated by itself, on arrival, and then summed in fixed point; nothing is
//! binned before that. A second set of the same sums is of those predictions that have their label,
//! so that what is still open is the difference, exactly.

use super::sparse::Sparse;
use super::weighting::{Count, Mass, Plain, Total, Weighted, Weighting};
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
    sums: AnySums,
    /// Binary: all predictions by bin of the raw score.
    bins: Bins,
    /// Predictions without probabilities: they are in no sum.
    unscored: i64,
    /// First labels by class and by the bucket of their delay.
    delays: Vec<[i64; DELAYS]>,
}

/// Of all predictions, and of those that have their label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum AnySums {
    Plain(Sums<Plain>, Sums<Plain>),
    Weighted(Sums<Weighted>, Sums<Weighted>),
}

/// Predictions whose labels may be missing for reasons of their own are told apart by decision and,
/// binary, by a tenth of the probability: a decision's strata follow one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Sums<W: Weighting> {
    /// By stratum.
    rows: Vec<W::Count>,
    /// Sum of w p, by stratum and class.
    expected: Vec<W::Bounded>,
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

/// Strata of a decision of a binary model.
const TENTHS: usize = 10;
/// Buckets of label delays.
const DELAYS: usize = crate::engine::counters::DELAY_BUCKETS.len() + 1;

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
    /// Sum of w^2 p (1 - p), by decision.
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

impl<W: Weighting> Sums<W> {
    fn new(decisions: usize, classes: usize) -> Self {
        let strata = if classes == 1 { decisions * TENTHS } else { decisions };
        Self {
            rows: vec![W::Count::default(); strata],
            expected: vec![W::Bounded::default(); strata * classes],
        }
    }

    fn apply(&mut self, row: &ExpectedRow, probabilities: &Probabilities, sign: Sign) {
        let weight = W::weight(row.weight);
        let count = W::Count::one(weight).0;
        match probabilities {
            Probabilities::One(p) => {
                let tenth = ((p * TENTHS as f64) as usize).min(TENTHS - 1);
                let stratum = row.decision.min(1) * TENTHS + tenth;
                self.rows[stratum].apply(&count, sign);
                self.expected[stratum].apply(&W::Bounded::of(*p, weight).0, sign);
            }
            Probabilities::Each(all) => {
                let decision = row.decision.min(self.rows.len() - 1);
                let classes = self.expected.len() / self.rows.len();
                self.rows[decision].apply(&count, sign);
                let cells = &mut self.expected[decision * classes..];
                for (cell, p) in cells.iter_mut().zip(all) {
                    cell.apply(&W::Bounded::of(*p, weight).0, sign);
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        fn add<T: Group>(into: &mut [T], from: &[T]) {
            into.iter_mut().zip(from).for_each(|(into, from)| into.plus(from));
        }
        add(&mut self.rows, &other.rows);
        add(&mut self.expected, &other.expected);
    }

    fn is_empty(&self) -> bool {
        self.rows.iter().all(Group::is_zero) && self.expected.iter().all(Group::is_zero)
    }

    /// Rows in all strata.
    fn count(&self) -> i64 {
        self.rows.iter().map(|count| count.mass().n).sum()
    }

    /// The sums, less others; `odds` above 1 if the positives among them are likelier than they
    /// were when they came.
    fn read(&self, minus: Option<&Self>, odds: f64) -> Expected {
        fn difference<T: Group>(from: &[T], minus: Option<&Vec<T>>) -> Vec<T> {
            let mut left = from.to_vec();
            for (left, minus) in left.iter_mut().zip(minus.into_iter().flatten()) {
                left.minus(minus);
            }
            left
        }
        let rows = difference(&self.rows, minus.map(|minus| &minus.rows));
        let expected = difference(&self.expected, minus.map(|minus| &minus.expected));
        let mut all = Expected {
            classes: self.expected.len() / self.rows.len().max(1),
            rows: rows.iter().map(Count::mass).collect(),
            expected: expected.iter().map(Total::read).collect(),
            variance: Vec::new(),
        };
        if all.classes == 1 {
            all.shift(odds);
        }
        all.vary();
        if all.classes == 1 {
            all.fold(TENTHS);
        }
        all
    }
}

impl Bins {
    fn apply(&mut self, bin: u16, p: f64, weight: f64, sign: Sign) {
        match self {
            Self::Plain(bins) => {
                // Rounded by hand: p is not negative, and the call of a library would cost more.
                bins.apply(bin, &PlainBin(1, (p * PLAIN_ONE + 0.5) as i64), sign);
            }
            Self::Weighted(bins) => {
                let row = WeightedBin(Sum::of(weight).0, Sum::of(weight * p).0);
                bins.apply(bin, &row, sign);
            }
        }
    }
}

/// Runs an expression on the sums, whichever weighting they have.
macro_rules! sums {
    ($sums:expr, $all:ident, $labelled:ident => $body:expr) => {
        match $sums {
            AnySums::Plain($all, $labelled) => $body,
            AnySums::Weighted($all, $labelled) => $body,
        }
    };
}

impl ExpectedCells {
    /// For a binary model (`classes` absent), or one with so many classes.
    pub fn new(classes: Option<usize>, weighted: bool) -> Self {
        let (decisions, outputs) = classes.map_or((2, 1), |classes| (classes + 1, classes));
        let universe = FINE_BINS as u16;
        Self {
            classes: outputs as u16,
            sums: match weighted {
                true => {
                    AnySums::Weighted(Sums::new(decisions, outputs), Sums::new(decisions, outputs))
                }
                false => {
                    AnySums::Plain(Sums::new(decisions, outputs), Sums::new(decisions, outputs))
                }
            },
            bins: match weighted {
                true => Bins::Weighted(Sparse::new(universe)),
                false => Bins::Plain(Sparse::new(universe)),
            },
            unscored: 0,
            delays: vec![[0; DELAYS]; outputs.max(2)],
        }
    }

    /// Notes that a prediction has its label, or, with `Remove`, that it has none after all.
    pub fn label(&mut self, row: &ExpectedRow, sign: Sign) {
        if let Some(probabilities) = &row.probabilities {
            sums!(&mut self.sums, _all, labelled => labelled.apply(row, probabilities, sign));
        }
    }

    /// Notes how long a first label took.
    pub fn delayed(&mut self, class: usize, bucket: usize) {
        let counts = self.delays.get_mut(class);
        if let Some(count) = counts.and_then(|counts| counts.get_mut(bucket)) {
            *count += 1;
        }
    }

    /// First labels of a class by the bucket of their delay.
    pub fn delays(&self, class: usize) -> &[i64] {
        self.delays.get(class).map_or(&[], |counts| counts)
    }

    /// Predictions with probabilities, and without.
    pub fn rows(&self) -> (u64, u64) {
        let rows = sums!(&self.sums, all, _labelled => all.count());
        (rows.max(0) as u64, self.unscored.max(0) as u64)
    }

    pub fn all(&self) -> Expected {
        sums!(&self.sums, all, _labelled => all.read(None, 1.0))
    }

    pub fn labelled(&self) -> Expected {
        sums!(&self.sums, _all, labelled => labelled.read(None, 1.0))
    }

    /// The predictions that have no label. `odds` is how much likelier a positive than a negative
    /// still has none (binary): 1 where labels are missing at random.
    pub fn open(&self, odds: f64) -> Expected {
        sums!(&self.sums, all, labelled => all.read(Some(labelled), odds))
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
    /// Bayes' rule in each stratum: p becomes odds p / (1 + (odds - 1) p).
    fn shift(&mut self, odds: f64) {
        if odds == 1.0 {
            return;
        }
        for (rows, expected) in self.rows.iter().zip(&mut self.expected) {
            if rows.w <= 0.0 {
                continue;
            }
            let p = (*expected / rows.w).clamp(0.0, 1.0);
            *expected = rows.w * odds * p / (1.0 + (odds - 1.0) * p);
        }
    }

    /// Sum of w^2 p (1 - p) of the decided class (binary: of the positive one), with the mean of p
    /// in each stratum: never less than row by row, and hardly more within a tenth.
    fn vary(&mut self) {
        let of_stratum = |(at, rows): (usize, &Mass)| {
            let decided = match self.classes {
                1 => Some(at),
                classes => (at < classes).then_some(at * classes + at),
            };
            let expected = decided.and_then(|at| self.expected.get(at)).copied().unwrap_or(0.0);
            let p = if rows.w > 0.0 { (expected / rows.w).clamp(0.0, 1.0) } else { 0.0 };
            rows.w2.max(0.0) * p * (1.0 - p)
        };
        self.variance = self.rows.iter().enumerate().map(of_stratum).collect();
    }

    /// Adds up each decision's strata.
    fn fold(&mut self, strata: usize) {
        let add = |sums: &[f64]| sums.chunks(strata).map(|part| part.iter().sum()).collect();
        self.rows = self.rows.chunks(strata).map(|part| part.iter().copied().sum()).collect();
        self.expected = add(&self.expected);
        self.variance = add(&self.variance);
    }

    /// Adds what is expected of other predictions.
    pub fn add(&mut self, other: &Self) {
        if self.classes == 0 {
            *self = other.clone();
            return;
        }
        let add = |into: &mut [f64], from: &[f64]| {
            into.iter_mut().zip(from).for_each(|(into, from)| *into += from);
        };
        add(&mut self.expected, &other.expected);
        add(&mut self.variance, &other.variance);
        for (into, from) in self.rows.iter_mut().zip(&other.rows) {
            *into = *into + *from;
        }
    }

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
        sums!(&mut self.sums, all, _labelled => all.apply(row, probabilities, sign));
        if let (Some(bin), Probabilities::One(p)) = (row.bin, probabilities) {
            self.bins.apply(bin, *p, row.weight, sign);
        }
    }

    fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes, other.classes, "only cells that were made alike merge");
        match (&mut self.sums, &other.sums) {
            (AnySums::Plain(all, labelled), AnySums::Plain(more, settled)) => {
                all.merge(more);
                labelled.merge(settled);
            }
            (AnySums::Weighted(all, labelled), AnySums::Weighted(more, settled)) => {
                all.merge(more);
                labelled.merge(settled);
            }
            _ => panic!("only cells with the same weighting merge"),
        }
        match (&mut self.bins, &other.bins) {
            (Bins::Plain(bins), Bins::Plain(other)) => bins.merge(other),
            (Bins::Weighted(bins), Bins::Weighted(other)) => bins.merge(other),
            _ => panic!("only cells with the same weighting merge"),
        }
        self.unscored.plus(&other.unscored);
        for (into, from) in self.delays.iter_mut().zip(&other.delays) {
            super::merge_arrays(into, from);
        }
    }

    fn is_empty(&self) -> bool {
        let none = sums!(&self.sums, all, labelled => all.is_empty() && labelled.is_empty());
        none && self.unscored == 0
    }
}
