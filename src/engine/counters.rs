//! Counters of what a model's predictions turned out to be, and of how long their labels took.
//!
//! They only grow: a pair counts once, at its first label; corrections have a counter of their own;
//! signed sums are split in two. What is exported is their value in the last durable checkpoint.

use super::event::{ClassCode, LabelValue};
use super::fixed::Sum;
use super::slice::SliceKey;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Upper bounds of the label delay's buckets, in seconds: 1s, 10s, 1m, 5m, 30m, 1h, 3h, 6h, 12h,
/// 1d, 2d, 3d, 7d, 14d, 30d.
pub const DELAY_BUCKETS: [f64; 15] = [
    1.0,
    10.0,
    60.0,
    300.0,
    1_800.0,
    3_600.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    259_200.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
];

/// Pairs of one slice of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PairCounters {
    pub predictions: u64,
    /// (decision, label) -> pairs. Binary: 0 and 1.
    pub classes: BTreeMap<(ClassCode, ClassCode), u64>,
    /// Binary, of the pairs with a score: sums of log losses in nats and of squared differences.
    pub log_loss: Sum,
    pub brier: Sum,
    /// Regression.
    pub errors: ErrorSums,
}

/// Sums over pairs of prediction minus label, in the label's unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ErrorSums {
    pub pairs: u64,
    /// Over the pairs predicted too high, and (positive too) too low.
    pub over: Sum,
    pub under: Sum,
    pub squares: Sum,
}

/// All counters of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionCounters {
    pub slices: BTreeMap<SliceKey, PairCounters>,
    pub corrections: u64,
    /// Labels that the plan gave because none came.
    pub implicit: u64,
    /// Newest event time of a prediction.
    pub newest: Timestamp,
}

/// How long labels took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DelayHistogram {
    /// One a bucket, and one for what is beyond the last; not cumulated.
    pub counts: [u64; DELAY_BUCKETS.len() + 1],
    /// Microseconds; labels that came before their prediction count 0.
    pub sum: i128,
}

/// The bucket of a delay; the last one is beyond all bounds.
pub fn delay_bucket(delay: Span) -> usize {
    let seconds = delay.max(Span::ZERO).as_secs_f64();
    DELAY_BUCKETS.partition_point(|&bound| bound < seconds)
}

impl DelayHistogram {
    pub fn observe(&mut self, delay: Span) {
        let delay = delay.max(Span::ZERO);
        self.counts[delay_bucket(delay)] += 1;
        self.sum += i128::from(delay.0);
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts) {
            *mine += theirs;
        }
        self.sum += other.sum;
    }
}

/// A pair made ready to be counted, once, for the whole model and for each of its slices.
#[derive(Clone, Copy, Debug)]
pub enum PairTerms {
    Class {
        /// (decision, label)
        cell: (ClassCode, ClassCode),
        /// Log loss and Brier loss; `None` without a probability.
        losses: Option<(Sum, Sum)>,
    },
    Number {
        /// The prediction is not below the true value.
        over: bool,
        error: Sum,
        square: Sum,
    },
}

impl PairTerms {
    /// `predicted`: the positive class's probability (NaN: unknown) or the predicted value.
    pub fn of(decision: ClassCode, predicted: f64, label: LabelValue) -> Self {
        match label {
            LabelValue::Class(class) => {
                let p = if class == 1 { predicted } else { 1.0 - predicted };
                let losses = (0.0..=1.0).contains(&p).then(|| {
                    let log_loss = -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln();
                    (Sum::of(log_loss).0, Sum::of((1.0 - p) * (1.0 - p)).0)
                });
                Self::Class { cell: (decision, class), losses }
            }
            LabelValue::Number(actual) => {
                let error = predicted - actual;
                Self::Number {
                    over: error.is_nan() || error >= 0.0,
                    error: Sum::of(error.abs()).0,
                    square: Sum::of(error * error).0,
                }
            }
        }
    }
}

impl PairCounters {
    /// Counts a pair.
    pub fn pair(&mut self, pair: &PairTerms) {
        match pair {
            PairTerms::Class { cell, losses } => {
                *self.classes.entry(*cell).or_default() += 1;
                if let Some((log_loss, brier)) = losses {
                    self.log_loss.plus(log_loss);
                    self.brier.plus(brier);
                }
            }
            PairTerms::Number { over, error, square } => {
                self.errors.pairs += 1;
                let side = if *over { &mut self.errors.over } else { &mut self.errors.under };
                side.plus(error);
                self.errors.squares.plus(square);
            }
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.predictions += other.predictions;
        for (key, count) in &other.classes {
            *self.classes.entry(*key).or_default() += count;
        }
        self.log_loss.plus(&other.log_loss);
        self.brier.plus(&other.brier);
        self.errors.pairs += other.errors.pairs;
        self.errors.over.plus(&other.errors.over);
        self.errors.under.plus(&other.errors.under);
        self.errors.squares.plus(&other.errors.squares);
    }
}

impl VersionCounters {
    pub fn add(&mut self, other: &Self) {
        for (key, counters) in &other.slices {
            self.slices.entry(*key).or_default().add(counters);
        }
        self.corrections += other.corrections;
        self.implicit += other.implicit;
        self.newest = self.newest.max(other.newest);
    }
}
