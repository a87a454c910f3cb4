//! Confidence intervals at 95%.
//!
//! Where no honest one is known there is none. Sources: Wilson 1927; Clopper & Pearson 1934;
//! DeLong, DeLong & Clarke-Pearson 1988; Woodruff 1952.

use crate::engine::estimate::Interval;
use crate::engine::sketch::{Mass, Spread};
use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF};

/// The normal distribution's 97.5% quantile.
pub const Z: f64 = 1.959_963_984_540_054;
/// Rows (effective ones, with weights) below which a normal interval for a mean is not given.
const MEAN_ROWS_MIN: f64 = 20.0;

/// Wilson's score interval for a proportion of `n` rows; `n` may be an effective number. `None`
/// without rows.
pub fn wilson(proportion: f64, n: f64) -> Option<Interval> {
    if !(n > 0.0 && (0.0..=1.0).contains(&proportion)) {
        return None;
    }
    let z2 = Z * Z;
    let center = (proportion + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let variance = proportion * (1.0 - proportion) / n + z2 / (4.0 * n * n);
    let half = Z / (1.0 + z2 / n) * variance.sqrt();
    // At the ends the bound is the end itself; rounding must not leave it a hair inside.
    let lower = if proportion == 0.0 { 0.0 } else { (center - half).max(0.0) };
    let upper = if proportion == 1.0 { 1.0 } else { (center + half).min(1.0) };
    Some(Interval { lower, upper })
}

/// The exact interval of Clopper and Pearson for `hits` of `rows`: at least 95% everywhere. `None`
/// without rows.
pub fn clopper_pearson(hits: u64, rows: u64) -> Option<Interval> {
    if rows == 0 || hits > rows {
        return None;
    }
    let (hits, misses) = (hits as f64, (rows - hits) as f64);
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(p));
    let lower = if hits == 0.0 { 0.0 } else { quantile(hits, misses + 1.0, 0.025)? };
    let upper = if misses == 0.0 { 1.0 } else { quantile(hits + 1.0, misses, 0.975)? };
    Some(Interval { lower, upper })
}

/// A mean plus and minus 1.96 standard errors, within `range`. `None` below 20 (effective) rows, or
/// if the values do not vary.
pub fn normal_mean(mass: Mass, spread: Spread, range: (f64, f64)) -> Option<Interval> {
    if mass.effective() < MEAN_ROWS_MIN {
        return None;
    }
    let (mean, error) = (spread.mean(mass)?, spread.standard_error(mass)?);
    let interval =
        Interval { lower: (mean - Z * error).max(range.0), upper: (mean + Z * error).min(range.1) };
    (interval.lower.is_finite() && interval.upper.is_finite()).then_some(interval)
}

/// The interval of an increasing function of what `interval` is about.
pub fn mapped(interval: Interval, increasing: impl Fn(f64) -> f64) -> Interval {
    Interval { lower: increasing(interval.lower), upper: increasing(interval.upper) }
}

/// Ranks, counted from 1, of the order statistics of `n` rows between which the median lies with at
/// least 95% probability, whatever the distribution. `None` below 6 rows.
///
/// Below 1,000 rows exact, by the binomial distribution; from there on by its normal approximation,
/// rounded outwards.
pub fn median_ranks(n: u64) -> Option<(u64, u64)> {
    if n < 6 {
        return None;
    }
    // The largest rank whose chance of lying above the median is at most 2.5%.
    let lower = if n < 1000 {
        // inverse_cdf gives the least k with P(X <= k) >= 2.5%.
        Binomial::new(0.5, n).ok()?.inverse_cdf(0.025)
    } else {
        (n as f64 / 2.0 - Z * (n as f64).sqrt() / 2.0).floor() as u64
    };
    let lower = lower.max(1);
    Some((lower, n + 1 - lower))
}
