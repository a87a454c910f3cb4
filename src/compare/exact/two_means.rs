//! Student's t test of two means.

use super::sum;
use statrs::function::beta::beta_reg;

/// Two-sided p with equal variances assumed (`scipy.stats.ttest_ind`). `None` where neither side
/// has spread and the means agree, or with fewer than three rows.
pub fn p_value(reference: &[f64], current: &[f64]) -> Option<f64> {
    let (n, m) = (reference.len() as f64, current.len() as f64);
    let degrees = n + m - 2.0;
    if reference.is_empty() || current.is_empty() || degrees < 1.0 {
        return None;
    }
    let difference = sum::mean(reference) - sum::mean(current);
    let squares = |values: &[f64], count: f64| sum::std(values).powi(2) * count;
    let pooled = (squares(reference, n) + squares(current, m)) / degrees;
    let t = difference / (pooled * (1.0 / n + 1.0 / m)).sqrt();
    if t.is_nan() {
        return None;
    }
    if t.is_infinite() {
        return Some(0.0);
    }
    Some(beta_reg(degrees / 2.0, 0.5, degrees / (degrees + t * t)))
}
