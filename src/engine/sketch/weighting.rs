//! Rows with and without sampling weights: the same sums, but a model without weights does not pay
//! for them in memory.

use super::moments::{BoundedMoments, Clipped, Moments, WeightedMoments, WideMoments};
use super::{Fixed, Group, Sum};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::iter::Sum as IterSum;
use std::ops::Add;

/// A count of rows with their weights, exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    pub n: i64,
    pub w: Sum,
    pub w2: Sum,
}

impl Group for Weight {
    fn plus(&mut self, other: &Self) {
        self.n.plus(&other.n);
        self.w.plus(&other.w);
        self.w2.plus(&other.w2);
    }

    fn minus(&mut self, other: &Self) {
        self.n.minus(&other.n);
        self.w.minus(&other.w);
        self.w2.minus(&other.w2);
    }
}

/// A count of rows as a metric reads it. Without weights `w` and `w2` equal `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mass {
    /// Rows.
    pub n: i64,
    /// Sum of their weights.
    pub w: f64,
    /// Sum of the squares of their weights.
    pub w2: f64,
}

impl Mass {
    /// How many equally weighted rows would be as informative: (sum w)^2 / sum w^2 (Kish 1965).
    /// 0 if there are none.
    pub fn effective(&self) -> f64 {
        if self.w2 > 0.0 { self.w * self.w / self.w2 } else { 0.0 }
    }

    /// Rows, as a metric's support; never negative.
    pub fn support(&self) -> u64 {
        self.n.max(0) as u64
    }

    /// There are rows and they weigh something.
    pub fn is_some(&self) -> bool {
        self.n > 0 && self.w > 0.0
    }
}

impl Add for Mass {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { n: self.n + other.n, w: self.w + other.w, w2: self.w2 + other.w2 }
    }
}

impl IterSum for Mass {
    fn sum<I: Iterator<Item = Self>>(masses: I) -> Self {
        masses.fold(Self::default(), Add::add)
    }
}

/// A count of rows, with weights or without.
pub(super) trait Count: Group {
    /// One row of this weight, and what had to be clipped.
    fn one(weight: f64) -> (Self, Clipped);
    fn mass(&self) -> Mass;
}

impl Count for i64 {
    fn one(_weight: f64) -> (Self, Clipped) {
        (1, Clipped::Nothing)
    }

    fn mass(&self) -> Mass {
        Mass { n: *self, w: *self as f64, w2: *self as f64 }
    }
}

impl Count for Weight {
    fn one(weight: f64) -> (Self, Clipped) {
        let (w, clipped) = Sum::of(weight);
        let (w2, clipped_square) = Sum::of(weight * weight);
        (Self { n: 1, w, w2 }, Clipped::of(clipped, clipped_square))
    }

    fn mass(&self) -> Mass {
        Mass { n: self.n, w: self.w.to_f64(), w2: self.w2.to_f64() }
    }
}

/// The sum of weight * x over rows.
pub(super) trait Total: Group {
    fn of(value: f64, weight: f64) -> (Self, Clipped);
    fn read(&self) -> f64;
}

impl Total for Fixed<80> {
    /// For values under 2^14; the weight is 1.
    fn of(value: f64, _weight: f64) -> (Self, Clipped) {
        (Self::of(value), Clipped::Nothing)
    }

    fn read(&self) -> f64 {
        self.to_f64()
    }
}

/// For values of any size.
impl Total for Sum {
    fn of(value: f64, weight: f64) -> (Self, Clipped) {
        let (sum, clipped) = Self::of(value * weight);
        (sum, Clipped::of(clipped, false))
    }

    fn read(&self) -> f64 {
        self.to_f64()
    }
}

/// Which numbers a row leaves behind.
pub(super) trait Weighting:
    Clone + Copy + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static
{
    const WEIGHTED: bool;
    type Count: Count;
    /// Sums of values under 2^14.
    type Bounded: Total;
    /// Sums of losses under 2^7, and what their standard error needs.
    type Loss: Moments;
    /// The same for values of any size.
    type Wide: Moments;

    /// The weight to use: 1 where there are none.
    fn weight(weight: f64) -> f64 {
        if Self::WEIGHTED { weight } else { 1.0 }
    }
}

/// Every row counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plain;

/// Every row has a weight of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Weighted;

impl Weighting for Plain {
    const WEIGHTED: bool = false;
    type Count = i64;
    type Bounded = Fixed<80>;
    type Loss = BoundedMoments;
    type Wide = WideMoments;
}

impl Weighting for Weighted {
    const WEIGHTED: bool = true;
    type Count = Weight;
    type Bounded = Sum;
    type Loss = WeightedMoments;
    type Wide = WeightedMoments;
}
