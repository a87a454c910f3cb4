//! Sums of a loss over rows, with what the standard error of its mean needs.

use super::weighting::Mass;
use super::{Fixed, Group, Sum};
use serde::{Deserialize, Serialize};
use std::iter::Sum as IterSum;
use std::ops::{Add, Sub};

/// Sums of x over rows as a metric reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Sum of w x: the mean's numerator.
    pub total: f64,
    /// Sum of w^2 x.
    pub first: f64,
    /// Sum of w^2 x^2.
    pub second: f64,
}

impl Spread {
    /// Mean of x over these rows; `None` if there are none.
    pub fn mean(&self, mass: Mass) -> Option<f64> {
        mass.is_some().then(|| self.total / mass.w)
    }

    /// Standard error of that mean: sqrt(sum w^2 (x - mean)^2) / sum w, times sqrt(n / (n - 1))
    /// with n = (sum w)^2 / sum w^2; without weights the usual s / sqrt(n). (Cochran 1977, section
    /// 6.8: a ratio estimator.) `None` below two rows or if all of x is alike, where it says
    /// nothing.
    pub fn standard_error(&self, mass: Mass) -> Option<f64> {
        let n = mass.effective();
        let mean = self.mean(mass).filter(|_| mass.n >= 2 && n > 1.0)?;
        let squares = self.second - 2.0 * mean * self.first + mean * mean * mass.w2;
        // Below this the difference is rounding, not variation.
        let resolved = squares > 1e-12 * self.second;
        resolved.then(|| (squares * n / (n - 1.0)).sqrt() / mass.w)
    }
}

impl Add for Spread {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            first: self.first + other.first,
            second: self.second + other.second,
        }
    }
}

/// The sums of x - y, where in each row x or y is 0.
impl Sub for Spread {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            total: self.total - other.total,
            first: self.first - other.first,
            second: self.second + other.second,
        }
    }
}

impl IterSum for Spread {
    fn sum<I: Iterator<Item = Self>>(spreads: I) -> Self {
        spreads.fold(Self::default(), Add::add)
    }
}

/// What of a row was beyond the sums' limit and was clipped to it. The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Clipped {
    Nothing,
    /// Only squares, which intervals need.
    Squares,
    /// A value itself: sums are lower bounds.
    Value,
}

impl Clipped {
    pub fn of(value: bool, squares: bool) -> Self {
        match (value, squares) {
            (true, _) => Self::Value,
            (false, true) => Self::Squares,
            (false, false) => Self::Nothing,
        }
    }
}

pub(super) trait Moments: Group {
    /// One row's x with its weight, and what had to be clipped.
    fn of(x: f64, weight: f64) -> (Self, Clipped);
    fn spread(&self) -> Spread;
}

/// For 0 <= x < 2^7 without weights: the squares stay under 2^14, so 2^32 rows fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BoundedMoments {
    sum: Fixed<80>,
    squares: Fixed<80>,
}

/// For x of any size without weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WideMoments {
    sum: Sum,
    squares: Sum,
}

/// For x of any size with weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightedMoments {
    total: Sum,
    first: Sum,
    second: Sum,
}

impl Group for BoundedMoments {
    fn plus(&mut self, other: &Self) {
        self.sum.plus(&other.sum);
        self.squares.plus(&other.squares);
    }

    fn minus(&mut self, other: &Self) {
        self.sum.minus(&other.sum);
        self.squares.minus(&other.squares);
    }
}

impl Group for WideMoments {
    fn plus(&mut self, other: &Self) {
        self.sum.plus(&other.sum);
        self.squares.plus(&other.squares);
    }

    fn minus(&mut self, other: &Self) {
        self.sum.minus(&other.sum);
        self.squares.minus(&other.squares);
    }
}

impl Group for WeightedMoments {
    fn plus(&mut self, other: &Self) {
        self.total.plus(&other.total);
        self.first.plus(&other.first);
        self.second.plus(&other.second);
    }

    fn minus(&mut self, other: &Self) {
        self.total.minus(&other.total);
        self.first.minus(&other.first);
        self.second.minus(&other.second);
    }
}

impl Moments for BoundedMoments {
    fn of(x: f64, _weight: f64) -> (Self, Clipped) {
        (Self { sum: Fixed::of(x), squares: Fixed::of(x * x) }, Clipped::Nothing)
    }

    fn spread(&self) -> Spread {
        let total = self.sum.to_f64();
        Spread { total, first: total, second: self.squares.to_f64() }
    }
}

impl Moments for WideMoments {
    fn of(x: f64, _weight: f64) -> (Self, Clipped) {
        let (sum, clipped) = Sum::of(x);
        let (squares, clipped_square) = Sum::of(x * x);
        (Self { sum, squares }, Clipped::of(clipped, clipped_square))
    }

    fn spread(&self) -> Spread {
        let total = self.sum.to_f64();
        Spread { total, first: total, second: self.squares.to_f64() }
    }
}

impl Moments for WeightedMoments {
    fn of(x: f64, weight: f64) -> (Self, Clipped) {
        let weighted = weight * x;
        let (total, clipped) = Sum::of(weighted);
        let (first, clipped_first) = Sum::of(weight * weighted);
        let (second, clipped_second) = Sum::of(weighted * weighted);
        (Self { total, first, second }, Clipped::of(clipped, clipped_first || clipped_second))
    }

    fn spread(&self) -> Spread {
        Spread {
            total: self.total.to_f64(),
            first: self.first.to_f64(),
            second: self.second.to_f64(),
        }
    }
}
