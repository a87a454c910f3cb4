//! Is an AUC lower than the baseline's, by more than a margin?
//!
//! DeLong's variance on the logit scale, one window at a time, at a level of the budget. The bound
//! is the baseline's 99% lower one, less the margin. No answer where the interval would not be
//! honest (`metric::ranking`): fewer than 20 rows of a class, or so near 1 that hardly a pair is
//! out of order. The normal law is approximate in the far tail.

use super::loss::Z_BOUND;
use crate::engine::estimate::Estimate;
use crate::engine::metric::interval::Z;
use crate::engine::metric::{LogitAuc, logit_auc};
use crate::engine::sketch::PerformanceCells;
use statrs::distribution::{ContinuousCDF, Normal};

/// The AUC that is no news; `None` without an honest interval of the baseline.
pub fn bound(baseline: &Estimate, margin: f64, design: f64) -> Option<f64> {
    let interval = baseline.interval?;
    let logit = |auc: f64| (auc / (1.0 - auc)).ln();
    let error = (logit(baseline.value) - logit(interval.lower)) / Z * design.max(1.0).sqrt();
    let lower = 1.0 / (1.0 + (Z_BOUND * error - logit(baseline.value)).exp());
    let bound = lower - margin;
    (bound > 0.0 && bound < 1.0).then_some(bound)
}

/// The chance of an AUC as low at the bound, with the AUC; `None` where no answer is honest.
pub fn p_value(cells: &PerformanceCells, bound: f64, design: f64) -> Option<(f64, f64)> {
    let LogitAuc { auc, logit, error } = logit_auc(cells)?;
    let law = Normal::new(0.0, 1.0).ok()?;
    let distance = ((bound / (1.0 - bound)).ln() - logit) / (error * design.max(1.0).sqrt());
    Some((law.sf(distance), auc))
}
