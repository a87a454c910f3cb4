//! The Cramer-von Mises test of two samples.

use super::ranks::runs;
use super::table::Test;
use statrs::function::gamma::ln_gamma;
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// Up to as many rows on the larger side p is exact.
const EXACT_ROWS_MAX: usize = 20;

/// As `scipy.stats.cramervonmises_2samp`, midranks for ties: exact up to 20 rows a side, else the
/// limiting law with the exact mean and variance. `None` with fewer than two rows on a side. Both
/// samples ascend.
pub fn test(reference: &[f64], current: &[f64]) -> Option<Test> {
    let (n, m) = (reference.len(), current.len());
    if n < 2 || m < 2 {
        return None;
    }
    let (n_f, m_f) = (n as f64, m as f64);
    let (product, rows) = (n_f * m_f, n_f + m_f);
    let (mut of_reference, mut of_current) = (0.0, 0.0);
    let (mut r, mut c) = (0.0, 0.0);
    for (own, other) in runs(reference, current) {
        let rank = r + c + ((own + other) as f64 + 1.0) / 2.0;
        for _ in 0..own {
            r += 1.0;
            of_reference += (rank - r).powi(2);
        }
        for _ in 0..other {
            c += 1.0;
            of_current += (rank - c).powi(2);
        }
    }
    let u = n_f * of_reference + m_f * of_current;
    let statistic = u / (product * rows) - (4.0 * product - 1.0) / (6.0 * rows);
    if n.max(m) <= EXACT_ROWS_MAX {
        return Some(Test { statistic, p_value: exact(u, n as i64, m as i64) });
    }
    let mean = (1.0 + 1.0 / rows) / 6.0;
    let spread = (rows + 1.0)
        * (4.0 * product * rows - 3.0 * (n_f * n_f + m_f * m_f) - 2.0 * product)
        / (45.0 * rows * rows * 4.0 * product);
    let normed = 1.0 / 6.0 + (statistic - mean) / (45.0 * spread).sqrt();
    let p_value = if normed < 0.003 { 1.0 } else { (1.0 - limit(normed)).max(0.0) };
    Some(Test { statistic, p_value })
}

/// P(W <= x) of the limiting law (Csorgo and Faraway 1996, 1.2).
fn limit(x: f64) -> f64 {
    let mut total = 0.0;
    let mut k = 0.0;
    loop {
        let scale = (ln_gamma(k + 0.5) - ln_gamma(k + 1.0)).exp() / (PI.powf(1.5) * x.sqrt());
        let y = 4.0 * k + 1.0;
        let q = y * y / (16.0 * x);
        let term = scale * y.sqrt() * (-q).exp() * bessel_quarter(q);
        total += term;
        k += 1.0;
        // The terms fall fast; the bound on their number only guards the loop.
        if term.abs() < 1e-7 || term.is_nan() || k > 10_000.0 {
            return total;
        }
    }
}

/// The modified Bessel function K of order 1/4: the integral of exp(-x cosh t) cosh(t / 4), by the
/// trapezoid rule, which converges faster than any power of the step here.
fn bessel_quarter(x: f64) -> f64 {
    const STEP: f64 = 1.0 / 64.0;
    let value = |t: f64| (-x * t.cosh()).exp() * (t / 4.0).cosh();
    let mut total = value(0.0) / 2.0;
    let mut t = STEP;
    loop {
        let term = value(t);
        total += term;
        t += STEP;
        if term <= total * 1e-18 || t > 40.0 {
            return total * STEP;
        }
    }
}

/// The exact law of the statistic (Xiao, Gordon and Yakovlev 2006), by counting paths.
fn exact(u: f64, m: i64, n: i64) -> f64 {
    let divisor = {
        let (mut a, mut b) = (m, n);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let common = m / divisor * n;
    let (a, b) = (common / m, common / n);
    let product = (m * n) as f64;
    let scale = (common * common * (m + n)) as f64;
    let bound =
        (scale * (6.0 * u - product * (4.0 * product - 1.0)) / (6.0 * product * product)).floor();
    // How many paths have each sum so far, for each v.
    let mut paths: Vec<BTreeMap<i64, f64>> = vec![BTreeMap::new(); m as usize + 1];
    paths[0].insert(0, 1.0);
    for at_n in 0..=n {
        let mut before: BTreeMap<i64, f64> = BTreeMap::new();
        for (at_m, own) in (0..).zip(paths.iter_mut()) {
            let mut merged = before;
            for (sum, count) in own.iter() {
                *merged.entry(*sum).or_default() += count;
            }
            let step = (a * at_m - b * at_n).pow(2);
            before = merged.into_iter().map(|(sum, count)| (sum + step, count)).collect();
            own.clone_from(&before);
        }
    }
    let last = &paths[m as usize];
    let all: f64 = last.values().sum();
    last.iter().filter(|(sum, _)| **sum as f64 >= bound).map(|(_, count)| count).sum::<f64>() / all
}
