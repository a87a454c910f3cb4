//! Tests on counts of categories.

use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::function::erf::erfc;
use statrs::function::gamma::ln_gamma;

/// A statistic and P(at least as great without a difference).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Test {
    pub statistic: f64,
    pub p_value: f64,
}

/// P(X >= x) of the chi-square law; `None` without degrees of freedom.
pub fn chi_square_survival(x: f64, degrees: usize) -> Option<f64> {
    if x == f64::INFINITY {
        return Some(0.0);
    }
    Some(ChiSquared::new(degrees as f64).ok()?.sf(x))
}

/// P(X <= z) of the standard normal law.
pub fn normal(z: f64) -> f64 {
    0.5 * erfc(-z / std::f64::consts::SQRT_2)
}

/// Counts of (reference, current); categories with neither are left out.
fn used(counts: &[(u64, u64)]) -> Vec<(f64, f64)> {
    let filled = counts.iter().filter(|count| count.0 + count.1 > 0);
    filled.map(|count| (count.0 as f64, count.1 as f64)).collect()
}

fn totals(counts: &[(f64, f64)]) -> (f64, f64) {
    counts.iter().fold((0.0, 0.0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
}

/// What a contingency table is measured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Pearson,
    /// Pearson's with Yates' correction where there are two categories.
    PearsonYates,
    /// Twice the log-likelihood ratio (G).
    LogLikelihood,
}

/// The two-sample test of homogeneity (`scipy.stats.chi2_contingency`). With one category the
/// statistic is 0 and p is 1. `None` where a side has no rows.
pub fn homogeneity(counts: &[(u64, u64)], power: Power) -> Option<Test> {
    let counts = used(counts);
    let (reference, current) = totals(&counts);
    if reference == 0.0 || current == 0.0 {
        return None;
    }
    let rows = reference + current;
    let yates = power == Power::PearsonYates && counts.len() == 2;
    let mut statistic = 0.0;
    for (r, c) in &counts {
        for (observed, side) in [(*r, reference), (*c, current)] {
            let expected = (r + c) * side / rows;
            statistic += match power {
                Power::LogLikelihood if observed > 0.0 => {
                    2.0 * observed * (observed / expected).ln()
                }
                Power::LogLikelihood => 0.0,
                _ => {
                    let difference = (observed - expected).abs();
                    let correction = if yates { difference.min(0.5) } else { 0.0 };
                    (difference - correction).powi(2) / expected
                }
            };
        }
    }
    let p_value = chi_square_survival(statistic, counts.len() - 1).unwrap_or(1.0);
    Some(Test { statistic, p_value })
}

/// Cramer's V of the two-sample table, from 0 to 1: sqrt(chi-square / rows), as one dimension of
/// the table is 2.
pub fn cramers_v(counts: &[(u64, u64)]) -> Option<f64> {
    let test = homogeneity(counts, Power::Pearson)?;
    let rows: u64 = counts.iter().map(|count| count.0 + count.1).sum();
    Some((test.statistic / rows as f64).sqrt().min(1.0))
}

/// The one-sample test of the current counts against the reference's shares, taken for exact
/// (`scipy.stats.chisquare` with the reference scaled to the current total). A category that the
/// reference lacks makes it infinite. `None` with fewer than two categories.
pub fn goodness_of_fit(counts: &[(u64, u64)]) -> Option<Test> {
    let counts = used(counts);
    let (reference, current) = totals(&counts);
    let scale = current / reference;
    let term = |&(r, c): &(f64, f64)| {
        let expected = r * scale;
        if expected > 0.0 { (c - expected).powi(2) / expected } else { f64::INFINITY }
    };
    let statistic = counts.iter().map(term).sum();
    let p_value = chi_square_survival(statistic, counts.len().checked_sub(1)?)?;
    Some(Test { statistic, p_value })
}

/// The one-sample G test against the reference's *counts* as they are
/// (`scipy.stats.power_divergence`, log-likelihood). `None` where scipy refuses: the totals differ.
pub fn g_of_fit(counts: &[(u64, u64)]) -> Option<Test> {
    let counts = used(counts);
    let (reference, current) = totals(&counts);
    if (reference - current).abs() / reference.min(current) > f64::EPSILON.sqrt() {
        return None;
    }
    let term = |&(r, c): &(f64, f64)| match (r, c) {
        (_, 0.0) => 0.0,
        (0.0, _) => f64::INFINITY,
        _ => 2.0 * c * (c / r).ln(),
    };
    let statistic = counts.iter().map(term).sum();
    let p_value = chi_square_survival(statistic, counts.len().checked_sub(1)?)?;
    Some(Test { statistic, p_value })
}

/// Two-sided p of the pooled z test of two shares: `successes` of `rows` in each sample.
pub fn two_shares(successes: (u64, u64), rows: (u64, u64)) -> f64 {
    let (n, m) = (rows.0 as f64, rows.1 as f64);
    let (p, q) = (successes.0 as f64 / n, successes.1 as f64 / m);
    let pooled = (p * n + q * m) / (n + m);
    let z = (p - q) / (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    // As written elsewhere, so that it is 0 where their difference from 1 is lost.
    2.0 * (1.0 - normal(z.abs()))
}

/// Fisher's exact test of a 2 x 2 table, two-sided: the sum of all tables with these margins that
/// are not more likely (`scipy.stats.fisher_exact`).
pub fn fisher(a: u64, b: u64, c: u64, d: u64) -> f64 {
    let (row, column, all) = (a + b, a + c, a + b + c + d);
    let ln_choose = |n: u64, k: u64| {
        ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0)
    };
    let ln_p =
        |x: u64| ln_choose(row, x) + ln_choose(all - row, column - x) - ln_choose(all, column);
    let found = ln_p(a);
    let least = (row + column).saturating_sub(all);
    let tables = (least..=row.min(column)).map(ln_p);
    // scipy's own tolerance for "as likely".
    tables.filter(|p| *p <= found + 1e-7).map(f64::exp).sum::<f64>().min(1.0)
}
