//! Jensen-Shannon distance.

use super::Comparison;

/// The square root of the Jensen-Shannon divergence in base 2: from 0 (equal) to 1 (disjoint).
/// As in NannyML and `scipy.spatial.distance.jensenshannon(p, q, base=2)`.
pub(super) fn distance(comparison: &Comparison) -> f64 {
    let part = |share: f64, middle: f64| match share > 0.0 {
        true => share * (share / middle).log2(),
        false => 0.0,
    };
    let term = |(p, q): (f64, f64)| {
        let middle = (p + q) / 2.0;
        (part(p, middle) + part(q, middle)) / 2.0
    };
    let divergence: f64 = comparison.shares().map(term).sum();
    divergence.clamp(0.0, 1.0).sqrt()
}
