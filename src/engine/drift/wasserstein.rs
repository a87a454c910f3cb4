//! Wasserstein distance on the fine grid, in standard deviations of the reference.

use super::{Comparison, Fine, FineBin};
use crate::engine::estimate::Estimate;

/// The area between the two cumulative distributions (the first Wasserstein distance,
/// `scipy.stats.wasserstein_distance`) divided by the reference's population standard deviation.
/// `None` for categories and for a reference without spread.
///
/// Within a bin rows of both sides are taken as evenly spread, or as all at the lower edge if the
/// reference's are and its values repeat. The tails beyond the reference's range are exact. `error_max`
/// holds for any placement of the rows within their bins.
pub(super) fn normed(comparison: &Comparison) -> Option<Estimate> {
    let fine = comparison.fine()?;
    let std = fine.layout.std;
    if std <= 0.0 {
        return None;
    }
    let (mut area, mut error) = (tails(&fine), 0.0);
    fine.for_each(|bin| {
        let step = bin.at_lower_edge && fine.layout.discrete;
        area += area_within(bin, step);
        error += error_within(bin, step);
    });
    let support = comparison.current_rows;
    Some(Estimate { value: area / std, interval: None, support, error_max: error / std })
}

/// Beyond its range the reference is 0 or 1, so the area is the window's mean distance from the range.
fn tails(fine: &Fine) -> f64 {
    let (below, above) = fine.comparison.current.distances(fine.layout);
    (below + above) / fine.comparison.current_rows as f64
}

fn area_within(bin: &FineBin, step: bool) -> f64 {
    let at_end = bin.reference.1 - bin.current.1;
    if step {
        return at_end.abs() * bin.width;
    }
    let at_start = bin.reference.0 - bin.current.0;
    if at_start * at_end >= 0.0 {
        return (at_start + at_end).abs() / 2.0 * bin.width;
    }
    // The difference is linear and changes its sign: two triangles.
    (at_start * at_start + at_end * at_end) / (at_start - at_end).abs() / 2.0 * bin.width
}

/// A cumulative share that rises by d over a bin stays within a triangle of the straight line, and
/// within the rectangle under a step at the lower edge.
fn error_within(bin: &FineBin, step: bool) -> f64 {
    let current = bin.current.1 - bin.current.0;
    let height = match step {
        _ if bin.point => 0.0,
        true => current,
        false => (bin.reference.1 - bin.reference.0 + current) / 2.0,
    };
    height * bin.width
}
