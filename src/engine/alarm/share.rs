//! Is a share greater than in the reference, by more than a margin?
//!
//! Exact: the chance of as many hits by the binomial law, at the one-sided 99% Clopper-Pearson
//! upper bound of the reference's share plus the margin. With a design effect both sides count as
//! n / d rows; the laws are continued by the incomplete beta function. Assumes independent rows but
//! for that.

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};
use statrs::function::beta::beta_reg;

/// The confidence of the bound.
pub const BOUND_LEVEL: f64 = 0.99;

/// Hits among rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hits {
    pub hits: f64,
    pub rows: f64,
}

/// How a window's share compares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub share: f64,
    /// The greatest share that is not news.
    pub bound: f64,
    /// The chance of as many hits at the bound.
    pub p_value: f64,
}

impl Hits {
    pub fn new(hits: u64, rows: u64) -> Self {
        Self { hits: hits as f64, rows: rows as f64 }
    }

    /// As informative as so many independent rows.
    pub fn over(self, design: f64) -> Self {
        let design = design.max(1.0);
        Self { hits: self.hits / design, rows: self.rows / design }
    }

    fn is_valid(self) -> bool {
        self.rows > 0.0 && self.hits >= 0.0 && self.hits <= self.rows && self.rows.is_finite()
    }
}

/// The one-sided 99% Clopper-Pearson upper bound of a share. `None` without rows.
pub fn upper_bound(of: Hits) -> Option<f64> {
    if !of.is_valid() {
        return None;
    }
    if of.hits >= of.rows {
        return Some(1.0);
    }
    let law = Beta::new(of.hits + 1.0, of.rows - of.hits).ok()?;
    Some(law.inverse_cdf(BOUND_LEVEL).clamp(of.hits / of.rows, 1.0))
}

/// P(at least as many hits), each with probability `share`. `None` without rows.
pub fn upper_tail(of: Hits, share: f64) -> Option<f64> {
    if !of.is_valid() {
        return None;
    }
    Some(match (of.hits, share) {
        (hits, _) if hits <= 0.0 => 1.0,
        (_, share) if share >= 1.0 => 1.0,
        (_, share) if share <= 0.0 => 0.0,
        (hits, share) => beta_reg(hits, of.rows - hits + 1.0, share),
    })
}

/// Compares a window's share with the reference's. `None` without rows on either side.
pub fn compare(current: Hits, reference: Hits, margin: f64) -> Option<Share> {
    let bound = (upper_bound(reference)? + margin.max(0.0)).min(1.0);
    Some(Share { share: current.hits / current.rows, bound, p_value: upper_tail(current, bound)? })
}
