//! Wasserstein distance on the fine grid, in standard deviations of the reference.

use super::{Comparison, Fine, FineBin};
use crate::engine::estimate::Estimate;

/// The area between the two cumulative distributions (the first Wasserstein distance,
/// `scipy.stats.wasserstein_distance`) divided by the reference's population standard deviation.
/// `None` for categories and for a reference without spread.
///
/// The tails beyond the reference's range are exact. Within a bin the rows are taken as evenly
/// spread around their mean: the reference's is known, the window's is known in the first and the
/// last bin and taken to be the reference's in the others; the middle is taken where a small sample
/// has one value in a bin. `error_max` holds for any placement of rows in their bins.
pub(super) fn normed(comparison: &Comparison) -> Option<Estimate> {
    let fine = comparison.fine()?;
    let std = fine.layout.std;
    if std <= 0.0 {
        return None;
    }
    let (mut area, mut error) = (tails(&fine), 0.0);
    fine.for_each(|bin| {
        let within = within(&fine, bin);
        area += area_within(bin, &within);
        error += error_within(bin, &within);
    });
    let (value, error_max) = (area / std, error / std);
    let support = comparison.current_rows;
    let finite = value.is_finite() && error_max.is_finite();
    finite.then_some(Estimate { value, interval: None, support, error_max })
}

/// Beyond its range the reference is 0 or 1, so the area is the window's mean distance from the
/// range.
fn tails(fine: &Fine) -> f64 {
    let current = fine.comparison.current;
    let distance = current.below_distance.to_f64() + current.above_distance.to_f64();
    distance * fine.layout.unit / fine.comparison.current_rows as f64
}

/// Where in a bin the rows are taken to be.
struct Within {
    /// Means of the reference's and of the window's rows: 0 lower edge, 1 upper.
    reference: f64,
    current: f64,
    /// How far the rows' own distribution can be from the assumed one, in widths of the bin.
    reference_error: f64,
    current_error: f64,
}

/// Two distributions on [0, 1] with the same mean u are at most 2u(1 - u) apart: the mean of
/// `|X - Y|` for independent ones is convex in each, so greatest with all mass at 0 and 1.
fn error_of_known_mean(mean: f64) -> f64 {
    2.0 * mean * (1.0 - mean)
}

fn within(fine: &Fine, bin: &FineBin) -> Within {
    let (layout, current) = (fine.layout, fine.comparison.current);
    let count = current.counts.as_slice().get(bin.index).copied().unwrap_or(0);
    let mean_of =
        |distance: f64| (distance * layout.unit / count as f64 / bin.width).clamp(0.0, 1.0);
    let reference = layout.mean_within[bin.index].unwrap_or(0.5);
    let reference_error = error_of_known_mean(reference);
    let known = match bin.index {
        _ if count == 0 => None,
        0 => Some(mean_of(current.first_distance.to_f64())),
        last if last == layout.reference.len() - 1 => Some(mean_of(current.last_distance.to_f64())),
        _ => None,
    };
    if let Some(current) = known {
        let current_error = error_of_known_mean(current);
        return Within { reference, current, reference_error, current_error };
    }
    if bin.at_lower_edge && !layout.discrete {
        // A small sample of a continuous feature: that its one value is at the edge says nothing.
        return Within { reference: 0.5, current: 0.5, reference_error: 0.5, current_error: 0.5 };
    }
    // At worst all rows of the window lie at the edge that is farther from the assumed mean.
    let current_error = reference.max(1.0 - reference);
    Within { reference, current: reference, reference_error, current_error }
}

/// The share of a bin's rows that lie in its first `at` (0 to 1), the rows being evenly spread over
/// as much of the bin, from its lower or upper edge on, as gives them the mean `mean`.
fn rise(at: f64, mean: f64) -> f64 {
    match mean {
        mean if mean <= 0.0 => 1.0,
        mean if mean >= 1.0 => 0.0,
        mean if mean <= 0.5 => (at / (2.0 * mean)).min(1.0),
        mean => ((at - (2.0 * mean - 1.0)) / (2.0 * (1.0 - mean))).max(0.0),
    }
}

/// Where `rise` has its bend.
fn bend(mean: f64) -> f64 {
    if mean <= 0.5 { 2.0 * mean } else { 2.0 * mean - 1.0 }
}

fn area_within(bin: &FineBin, within: &Within) -> f64 {
    let difference = |at: f64| {
        let reference = (bin.reference.1 - bin.reference.0) * rise(at, within.reference);
        let current = (bin.current.1 - bin.current.0) * rise(at, within.current);
        bin.reference.0 + reference - bin.current.0 - current
    };
    let (one, other) = (bend(within.reference), bend(within.current));
    let stops = [0.0, one.min(other), one.max(other), 1.0];
    let between = |stops: &[f64]| {
        let (from, to) = (stops[0], stops[1]);
        if from < to { trapezoid(difference(from), difference(to)) * (to - from) } else { 0.0 }
    };
    stops.windows(2).map(between).sum::<f64>() * bin.width
}

/// The mean distance from 0 along a straight line from `start` to `end`.
fn trapezoid(start: f64, end: f64) -> f64 {
    if start * end >= 0.0 {
        return (start + end).abs() / 2.0;
    }
    // It changes its sign: two triangles.
    (start * start + end * end) / (start - end).abs() / 2.0
}

fn error_within(bin: &FineBin, within: &Within) -> f64 {
    if bin.point {
        return 0.0;
    }
    let reference = (bin.reference.1 - bin.reference.0) * within.reference_error;
    let current = (bin.current.1 - bin.current.0) * within.current_error;
    (reference + current) * bin.width
}
