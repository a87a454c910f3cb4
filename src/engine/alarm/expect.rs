//! Which false-alarm rate a threshold of the user's own is to expect, if nothing is wrong.
//!
//! Approximate, and said so: rows are independent, the window has the law that the reference was
//! drawn from, features do not depend on each other. PSI, 8 ln 2 JS^2 and the two-sample chi-square
//! statistic over 1/n + 1/N then follow about a chi-square law; KS the Kolmogorov one; L-infinity
//! is the greatest of k normal differences. Wasserstein distances depend on the values: no rate.

use crate::engine::drift::Statistic;
use crate::engine::estimate::Interval;
use crate::engine::metric::interval::wilson;
use statrs::distribution::{Binomial, ChiSquared, ContinuousCDF, DiscreteCDF, Normal};
use std::f64::consts::LN_2;

/// The chance that a window of `rows` lies above a threshold of one feature. `reference`: its
/// counts by coarse bin. `None` where it is not known.
pub fn drift(statistic: Statistic, above: f64, reference: &[u64], rows: f64) -> Option<f64> {
    let all = reference.iter().sum::<u64>() as f64;
    let used: Vec<f64> =
        reference.iter().filter(|count| **count > 0).map(|&count| count as f64 / all).collect();
    if used.len() < 2 || rows <= 0.0 {
        return Some(0.0);
    }
    let noise = 1.0 / rows + 1.0 / all;
    let degrees = used.len() as f64 - 1.0;
    let chi_square = |x: f64| ChiSquared::new(degrees).ok().map(|law| law.sf(x.max(0.0)));
    match statistic {
        Statistic::Psi => chi_square(above / noise),
        Statistic::Js => chi_square(8.0 * LN_2 * above * above / noise),
        Statistic::ChiSquare => chi_square(above),
        Statistic::Ks => Some(kolmogorov(above / noise.sqrt())),
        Statistic::LInfinity => {
            let law = Normal::new(0.0, 1.0).ok()?;
            let quiet = |share: &f64| {
                1.0 - 2.0 * law.sf(above / (share * (1.0 - share) * noise).sqrt().max(1e-300))
            };
            Some(1.0 - used.iter().map(quiet).product::<f64>())
        }
        Statistic::Wasserstein => None,
    }
}

/// P(K > x) of Kolmogorov's law.
fn kolmogorov(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0;
    }
    let term = |k: i32| f64::from(k % 2 * 2 - 1) * (-2.0 * f64::from(k * k) * x * x).exp();
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// The chance that at least `least` of these happen, each by itself.
pub fn at_least(least: usize, chances: &[f64]) -> f64 {
    // How likely 0, 1, ... of them are; the last entry holds "at least".
    let mut counts = vec![0.0; least + 1];
    counts[0] = 1.0;
    for chance in chances {
        for at in (0..=least).rev() {
            let stays = if at == least { counts[at] } else { counts[at] * (1.0 - chance) };
            counts[at] = stays + if at > 0 { counts[at - 1] * chance } else { 0.0 };
        }
    }
    counts[least]
}

/// The chance that a share of `rows` rows, which is `share` in truth, lies below (or above)
/// `bound`: its value, or its whole Wilson interval if `sure`. `None` without rows.
pub fn share(share: f64, bound: f64, is_below: bool, sure: bool, rows: u64) -> Option<f64> {
    let law = Binomial::new(share.clamp(0.0, 1.0), rows).ok().filter(|_| rows > 0)?;
    let bad = |hits: u64| {
        let value = hits as f64 / rows as f64;
        let Some(Interval { lower, upper }) = wilson(value, rows as f64) else { return false };
        match (is_below, sure) {
            (true, true) => upper < bound,
            (true, false) => value < bound,
            (false, true) => lower > bound,
            (false, false) => value > bound,
        }
    };
    // Bad hits are the lowest or the highest ones: where they end is found by halving.
    let (mut low, mut high) = (0, rows + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match bad(middle) == is_below {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    Some(match (is_below, low) {
        (true, 0) => 0.0,
        (true, first_good) => law.cdf(first_good - 1),
        (false, 0) => 1.0,
        (false, first_bad) => law.sf(first_bad - 1),
    })
}
