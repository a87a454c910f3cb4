//! Metrics of a regression model's errors. An error is prediction minus label.

use super::Metric;
use super::interval::{Z, mapped, median_ranks, normal_mean};
use super::loss::mean_loss;
use crate::engine::estimate::{Estimate, Interval};
use crate::engine::sketch::{ErrorBin, Mass, RegressionCells};

/// Values were clipped or squares were: then intervals would be wrong.
fn clipped(cells: &RegressionCells) -> u64 {
    cells.clipped() + cells.clipped_squares()
}

fn scaled(estimate: Estimate, factor: f64) -> Estimate {
    Estimate {
        value: estimate.value * factor,
        interval: estimate.interval.map(|interval| mapped(interval, |x| x * factor)),
        ..estimate
    }
}

/// The mean of |error|.
pub(super) fn mae(cells: &RegressionCells) -> Option<Estimate> {
    let spread = cells.over() + cells.under();
    let mae = mean_loss(cells.rows(), spread, clipped(cells), Metric::Mae.range())?;
    Some(scaled(mae, cells.scale()))
}

/// The mean of error^2.
pub(super) fn mse(cells: &RegressionCells) -> Option<Estimate> {
    let mse = mean_loss(cells.rows(), cells.squared(), clipped(cells), Metric::Mse.range())?;
    Some(scaled(mse, cells.scale() * cells.scale()))
}

/// The square root of the mean squared error; its interval is the root of that one's.
pub(super) fn rmse(cells: &RegressionCells) -> Option<Estimate> {
    let mse = mean_loss(cells.rows(), cells.squared(), clipped(cells), Metric::Mse.range())?;
    let interval = mse.interval.map(|interval| mapped(interval, f64::sqrt));
    Some(scaled(Estimate { value: mse.value.sqrt(), interval, ..mse }, cells.scale()))
}

/// The mean of the errors, with their sign: above 0 the model predicts too high.
pub(super) fn bias(cells: &RegressionCells) -> Option<Estimate> {
    let (over, under) = (cells.over(), cells.under());
    let spread = over - under;
    let value = spread.mean(cells.rows())?;
    let interval = if clipped(cells) == 0 {
        normal_mean(cells.rows(), spread, Metric::Bias.range())
    } else {
        None
    };
    Some(scaled(Estimate::exact(value, interval, cells.rows().support()), cells.scale()))
}

/// 1 - sum of squared errors / sum of squared distances of the labels from their mean. `None` if
/// the labels do not vary, or so little around a value so far from the plan's centre that their
/// variance is lost in rounding. No interval.
pub(super) fn r2(cells: &RegressionCells) -> Option<Estimate> {
    /// Least share of the labels' squares around the centre that must be variance: below it the
    /// difference has fewer than 6 digits.
    const RESOLVED_MIN: f64 = 1e-10;
    let rows = cells.rows();
    let labels = cells.labels();
    if !rows.is_some() {
        return None;
    }
    let variation = labels.squares - labels.total * labels.total / rows.w;
    let value = 1.0 - cells.squared().total / variation;
    let resolved = variation > RESOLVED_MIN * labels.squares && value.is_finite();
    resolved.then(|| Estimate::exact(value, None, rows.support()))
}

/// The mean of |error| / max(|label|, 2^-52), as in scikit-learn: labels of 0 make it huge. No
/// interval: its moments are ruled by the smallest labels.
pub(super) fn mape(cells: &RegressionCells) -> Option<Estimate> {
    let rows = cells.rows();
    rows.is_some().then(|| Estimate::exact(cells.percentage() / rows.w, None, rows.support()))
}

/// The mean of 2 |error| / (|prediction| + |label|), 0 where both are 0; from 0 to 2.
pub(super) fn smape(cells: &RegressionCells) -> Option<Estimate> {
    mean_loss(cells.rows(), cells.symmetric(), clipped(cells), Metric::Smape.range())
}

/// The median of |error|: the middle of the histogram bin that it falls in, so that `error_max` is
/// half the bin's width (at most 1/64 of its lower edge; 1/16 for slices). Of an even number of
/// rows it is the mean of the two in the middle. The interval lies between two order statistics,
/// widened to the outer edges of their bins.
pub(super) fn median_absolute_error(cells: &RegressionCells) -> Option<Estimate> {
    let (bins, rows) = (cells.errors(), cells.rows());
    if !rows.is_some() {
        return None;
    }
    let low = bin_where(&bins, |weight| weight >= rows.w / 2.0)?;
    let high = bin_where(&bins, |weight| weight > rows.w / 2.0)?;
    let center = |bin: ErrorBin| f64::midpoint(bin.lower, bin.upper);
    let half = |bin: ErrorBin| (bin.upper - bin.lower) / 2.0;
    let value = f64::midpoint(center(low), center(high));
    value.is_finite().then(|| Estimate {
        value,
        interval: median_interval(&bins, rows),
        support: rows.support(),
        error_max: f64::midpoint(half(low), half(high)),
    })
}

/// The first bin up to whose end (its rows included) the weight is enough.
fn bin_where(bins: &[ErrorBin], enough: impl Fn(f64) -> bool) -> Option<ErrorBin> {
    let mut weight = 0.0;
    bins.iter().copied().find(|bin| {
        weight += bin.rows.w;
        enough(weight)
    })
}

/// Between order statistics by the binomial distribution; with weights between the quantiles
/// 1/2 -+ 0.98 / sqrt(n), n = (sum w)^2 / sum w^2 (Woodruff 1952). `None` below 6 rows, or if the
/// upper end is beyond the histogram.
fn median_interval(bins: &[ErrorBin], rows: Mass) -> Option<Interval> {
    let n = rows.effective();
    let plain = rows.w == rows.n as f64 && rows.w2 == rows.n as f64;
    let (lower, upper) = if plain {
        let (lower, upper) = median_ranks(rows.support())?;
        (lower as f64, upper as f64)
    } else if n >= 6.0 {
        let reach = Z / 2.0 / n.sqrt();
        (rows.w * (0.5 - reach), rows.w * (0.5 + reach))
    } else {
        return None;
    };
    let lower = bin_where(bins, |weight| weight >= lower)?.lower;
    let upper = bin_where(bins, |weight| weight >= upper)?.upper;
    upper.is_finite().then_some(Interval { lower, upper })
}
