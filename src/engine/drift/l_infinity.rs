//! L-infinity distance between the shares of the bins.

use super::Comparison;

/// The greatest |q - p| over bins: from 0 to 1. As in TFDV and NannyML for categories.
pub(super) fn distance(comparison: &Comparison) -> f64 {
    comparison.shares().map(|(p, q)| (q - p).abs()).fold(0.0, f64::max)
}
