//! A number with its interval and its support; without data there is none.

use serde::{Deserialize, Serialize};

/// The value of a metric over some rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    pub value: f64,
    /// 95% confidence interval; `None` where no honest one is known.
    pub interval: Option<Interval>,
    /// How many rows the value rests on (of the metric's own denominator).
    pub support: u64,
    /// How far the value may be from the exact one because of binning; 0 if it is exact.
    pub error_max: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub lower: f64,
    pub upper: f64,
}

impl Estimate {
    pub fn exact(value: f64, interval: Option<Interval>, support: u64) -> Self {
        Self { value, interval, support, error_max: 0.0 }
    }
}
