//! Probabilities of the two-sample Kolmogorov-Smirnov statistic, as `scipy.stats.ks_2samp` chooses
//! them.

use crate::engine::detector::equal_size_p;
use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// Up to as many rows on the larger side the distribution is exact.
const EXACT_ROWS_MAX: usize = 10_000;

/// P(D >= d) for samples of n and m rows, two-sided. Exact by counting lattice paths (Hodges 1958)
/// where both sides have at most 10,000 rows, else the one-sample law of round(nm / (n + m)) rows.
pub fn p_value(d: f64, n: usize, m: usize) -> f64 {
    if n.max(m) <= EXACT_ROWS_MAX
        && let Some(p) = exact(d, n, m)
    {
        return p;
    }
    let (n, m) = (n as f64, m as f64);
    one_sample(d, (n * m / (n + m)).round_ties_even())
}

fn exact(d: f64, n: usize, m: usize) -> Option<f64> {
    let divisor = greatest_common_divisor(n, m);
    let common = (n / divisor) as f64 * m as f64;
    let h = (d * common).round_ties_even();
    if h == 0.0 {
        return Some(1.0);
    }
    let p = match n == m {
        true => equal_size_p(n as f64, h),
        false => outside_band(n.max(m), n.min(m), divisor, h),
    };
    (0.0..=1.0).contains(&p).then_some(p)
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Sizes m > n: the probability that a path leaves the band of half width h, column by column.
fn outside_band(m: usize, n: usize, divisor: usize, h: f64) -> f64 {
    let (mg, ng) = ((m / divisor) as f64, (n / divisor) as f64);
    let end = n + 1;
    let last_of = |bound: f64| (bound.max(0.0) as usize).min(end);
    let (mut least, mut most) = (0, last_of((h / mg).ceil()));
    let mut outside = vec![1.0; (2 * most + 2).min(end).max(1)];
    outside[least..most].fill(0.0);
    for i in 1..=m {
        let (before, length_before) = (least, most - least);
        let step = ng * i as f64;
        least = (((step - h) / mg).floor() + 1.0).max(0.0) as usize;
        least = least.min(n);
        most = last_of(((step + h) / mg).ceil());
        if most <= least {
            return 1.0;
        }
        let mut value = if least == 0 { 0.0 } else { 1.0 };
        for at in 0..most - least {
            let j = at + least;
            let left = outside.get(j - before).copied().unwrap_or(1.0);
            value = (left * i as f64 + value * j as f64) / (i + j) as f64;
            outside[at] = value;
        }
        let length = most - least;
        for stale in outside.iter_mut().take(length_before).skip(length) {
            *stale = 1.0;
        }
    }
    outside[most - least - 1]
}

/// P(D_n >= d) of the one-sample statistic of n rows (`scipy.stats.kstwo.sf`; Simard and L'Ecuyer
/// 2011 choose among the methods).
pub fn one_sample(d: f64, n: f64) -> f64 {
    if n < 1.0 || d <= 0.0 {
        return 1.0;
    }
    if d >= 1.0 {
        return 0.0;
    }
    let t = n * d;
    if t <= 0.5 {
        return 1.0;
    }
    let squared = t * d;
    let survival = if squared >= 370.0 {
        0.0
    } else if t >= n - 1.0 {
        2.0 * (1.0 - d).powf(n)
    } else if d >= 0.5 || squared >= if n <= 140.0 { 4.0 } else { 2.2 } {
        2.0 * one_sided(d, n)
    } else if n <= 140.0 || (n <= 100_000.0 && n * d.powf(1.5) <= 1.4) {
        1.0 - durbin_matrix(d, n)
    } else {
        1.0 - pelz_good(d, n)
    };
    survival.clamp(0.0, 1.0)
}

/// P(D+_n >= d), Smirnov's sum; all its terms are positive.
fn one_sided(d: f64, n: f64) -> f64 {
    let last = (n * (1.0 - d)).floor();
    let mut total = 0.0;
    let mut j = 0.0;
    while j <= last {
        let share = d + j / n;
        let rest = 1.0 - share;
        if rest > 0.0 {
            let binomial = ln_gamma(n + 1.0) - ln_gamma(j + 1.0) - ln_gamma(n - j + 1.0);
            total += (binomial + (j - 1.0) * share.ln() + (n - j) * rest.ln()).exp();
        }
        j += 1.0;
    }
    total * d
}

/// P(D_n < d) by Durbin's matrix (Marsaglia, Tsang and Wang 2003).
fn durbin_matrix(d: f64, n: f64) -> f64 {
    let k = (n * d).ceil();
    let h = k - n * d;
    let size = 2 * k as usize - 1;
    let mut matrix = vec![vec![0.0; size]; size];
    for (i, row) in matrix.iter_mut().enumerate() {
        for (j, cell) in row.iter_mut().enumerate() {
            *cell = if j <= i + 1 { 1.0 } else { 0.0 };
        }
    }
    for i in 0..size {
        let power = h.powi(i as i32 + 1);
        matrix[i][0] -= power;
        matrix[size - 1][size - 1 - i] -= power;
    }
    if 2.0 * h - 1.0 > 0.0 {
        matrix[size - 1][0] += (2.0 * h - 1.0).powi(size as i32);
    }
    for (i, row) in matrix.iter_mut().enumerate() {
        for (j, cell) in row.iter_mut().enumerate() {
            for factor in 1..=(i + 1).saturating_sub(j) {
                *cell /= factor as f64;
            }
        }
    }
    let (power, mut exponent) = matrix_power(&matrix, n as u64);
    let mut value = power[k as usize - 1][k as usize - 1];
    for i in 1..=n as u64 {
        value *= i as f64 / n;
        if value < 1e-140 {
            value *= 1e140;
            exponent -= 140;
        }
    }
    value * 10f64.powi(exponent)
}

/// `matrix` to the `power`, as a matrix and a power of ten to multiply it by.
fn matrix_power(matrix: &[Vec<f64>], power: u64) -> (Vec<Vec<f64>>, i32) {
    if power <= 1 {
        return (matrix.to_vec(), 0);
    }
    let (half, exponent) = matrix_power(matrix, power / 2);
    let mut result = product(&half, &half);
    let mut exponent = 2 * exponent;
    if power % 2 == 1 {
        result = product(matrix, &result);
    }
    let middle = matrix.len() / 2;
    if result[middle][middle] > 1e140 {
        result.iter_mut().flatten().for_each(|cell| *cell *= 1e-140);
        exponent += 140;
    }
    (result, exponent)
}

fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let size = a.len();
    let cell = |i: usize, j: usize| (0..size).map(|k| a[i][k] * b[k][j]).sum();
    (0..size).map(|i| (0..size).map(|j| cell(i, j)).collect()).collect()
}

/// P(D_n < d), the series of Pelz and Good 1976.
fn pelz_good(d: f64, n: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, z3, z4, z6) = (z.powi(2), z.powi(3), z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI.powi(2), PI.powi(4), PI.powi(6));
    let log = -pi2 / 8.0 / z2;
    if log < -708.0 {
        return 0.0;
    }
    let q = log.exp();
    let root = (2.0 * PI).sqrt();
    let terms = (16.0 * z / PI).ceil() as i32;
    let mut k = [0.0; 4];
    for at in (1..=terms).rev() {
        let m2 = f64::from(2 * at - 1).powi(2);
        let (m4, m6) = (m2 * m2, m2 * m2 * m2);
        let coefficients = [
            1.0,
            -z2 + pi2 / 4.0 * m2,
            6.0 * z6
                + 2.0 * z4
                + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2
                + pi4 * (1.0 - 2.0 * z2) / 16.0 * m4,
            -30.0 * z6 - 90.0 * z.powi(8)
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
                + pi4 * (-60.0 * z2 + 212.0 * z4) / 16.0 * m4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * m6,
        ];
        let power = q.powf(8.0 * f64::from(at));
        for (sum, coefficient) in k.iter_mut().zip(coefficients) {
            *sum = *sum * power + coefficient;
        }
    }
    for (sum, divisor) in k.iter_mut().zip([z, 6.0 * z4, 72.0 * z.powi(7), 6480.0 * z.powi(10)]) {
        *sum *= q * root / divisor;
    }
    let q = (-pi2 / 2.0 / z2).exp();
    let (mut second, mut third) = (0.0, 0.0);
    for at in (1..=terms).rev() {
        let at2 = f64::from(at).powi(2);
        let power = q.powf(at2);
        second += at2 * power;
        third += (3.0 * z2 - pi2 * at2) * at2 * power;
    }
    k[2] += second * pi2 * root / (-36.0 * z3);
    k[3] += third * pi2 * root / (216.0 * z6);
    k[0] + k[1] / n.sqrt() + k[2] / n + k[3] / n.powf(1.5)
}
