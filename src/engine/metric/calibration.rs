//! Does a stated probability come true as often as it says? Over ten equal-width bins.

use crate::engine::estimate::Estimate;
use crate::engine::sketch::CalibrationBin;

fn rows(bins: &[CalibrationBin]) -> u64 {
    bins.iter().map(|bin| bin.rows.support()).sum()
}

/// Expected calibration error: the mean over the rows of |observed - stated| of their bin. Sampling
/// noise counts as error: a perfect model shows about .027 at 1,000 rows. No interval.
pub(super) fn expected(bins: &[CalibrationBin]) -> Option<Estimate> {
    let weight: f64 = bins.iter().map(|bin| bin.rows.w).sum();
    let error: f64 = bins.iter().map(|bin| (bin.hits - bin.confidence).abs()).sum();
    (weight > 0.0).then(|| Estimate::exact(error / weight, None, rows(bins)))
}

/// Maximum calibration error: the greatest |observed - stated| of a bin, however few rows it has.
/// No interval.
pub(super) fn maximum(bins: &[CalibrationBin]) -> Option<Estimate> {
    let filled = bins.iter().filter(|bin| bin.rows.w > 0.0);
    let errors = filled.map(|bin| ((bin.hits - bin.confidence) / bin.rows.w).abs());
    let value = errors.fold(None, |greatest: Option<f64>, error| {
        Some(greatest.map_or(error, |greatest| greatest.max(error)))
    })?;
    Some(Estimate::exact(value, None, rows(bins)))
}

/// Root mean square calibration error without the part that sampling noise adds: the square root of
/// the mean over the rows of (observed - stated)^2 - observed (1 - observed) / (n - 1), whose
/// expectation is that of the bins' true squared error; 0 where that is negative (Kumar, Liang & Ma
/// 2019, "Verified uncertainty calibration", section 5). With weights n is (sum w)^2 / sum w^2.
///
/// A bin with one row says nothing about its noise and is left out. No coverage is claimed.
pub(super) fn debiased(bins: &[CalibrationBin]) -> Option<Estimate> {
    let (mut weight, mut squares, mut support) = (0.0, 0.0, 0);
    for bin in bins {
        let n = bin.rows.effective();
        if bin.rows.n < 2 || n <= 1.0 {
            continue;
        }
        let observed = bin.hits / bin.rows.w;
        let difference = observed - bin.confidence / bin.rows.w;
        let noise = observed * (1.0 - observed) / (n - 1.0);
        weight += bin.rows.w;
        squares += bin.rows.w * (difference * difference - noise);
        support += bin.rows.support();
    }
    (weight > 0.0).then(|| Estimate::exact((squares / weight).max(0.0).sqrt(), None, support))
}
