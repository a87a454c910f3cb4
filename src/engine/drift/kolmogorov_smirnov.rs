//! Kolmogorov-Smirnov statistic on the fine grid.

use super::Comparison;
use crate::engine::estimate::Estimate;

/// The greatest difference between the two cumulative shares, looked for at the bins' ends; from 0
/// to 1. `None` for categories.
///
/// The rows' own statistic (`scipy.stats.ks_2samp`) lies between the value and value + `error_max`.
/// Between the ends of a bin it can be greater only where both sides have rows in it and the bin is
/// more than one value; so `error_max` is 0 where each distinct value has a bin of its own.
pub(super) fn statistic(comparison: &Comparison) -> Option<Estimate> {
    let fine = comparison.fine()?;
    let (mut at_ends, mut at_most) = (0f64, 0f64);
    // The reference has nothing below its range: the difference there is greatest at the first
    // edge.
    at_ends = at_ends.max(comparison.current.below as f64 / comparison.current_rows as f64);
    fine.for_each(|bin| {
        at_ends = at_ends.max((bin.reference.1 - bin.current.1).abs());
        if !bin.point && bin.current.0 < bin.current.1 {
            let reference_start = if bin.at_lower_edge { bin.reference.1 } else { bin.reference.0 };
            at_most = at_most.max((bin.reference.1 - bin.current.0).abs());
            at_most = at_most.max((reference_start - bin.current.1).abs());
        }
    });
    let error_max = (at_most - at_ends).max(0.0);
    Some(Estimate { value: at_ends, interval: None, support: comparison.current_rows, error_max })
}
