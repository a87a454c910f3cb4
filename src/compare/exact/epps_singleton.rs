//! The Epps-Singleton test of two samples, on their characteristic functions.

use super::sum;
use super::table::{Test, chi_square_survival};

const POINTS: [f64; 2] = [0.4, 0.8];
type Matrix = [[f64; 4]; 4];

/// As `scipy.stats.epps_singleton_2samp`. `None` with fewer than five rows on a side, or where the
/// middle half of the pooled values has no spread. Both samples ascend.
pub fn test(reference: &[f64], current: &[f64]) -> Option<Test> {
    let (n, m) = (reference.len() as f64, current.len() as f64);
    if reference.len() < 5 || current.len() < 5 {
        return None;
    }
    let mut pooled = [reference, current].concat();
    pooled.sort_unstable_by(f64::total_cmp);
    let sigma = (quantile(&pooled, 0.75) - quantile(&pooled, 0.25)) / 2.0;
    if sigma <= 0.0 {
        return None;
    }
    let (of_reference, means_of_reference) = covariance(reference, sigma);
    let (of_current, means_of_current) = covariance(current, sigma);
    let rows = n + m;
    let mut estimate = [[0.0; 4]; 4];
    for i in 0..4 {
        for j in 0..4 {
            estimate[i][j] = rows / n * of_reference[i][j] + rows / m * of_current[i][j];
        }
    }
    let (inverse, rank) = pseudo_inverse(estimate);
    let difference: Vec<f64> =
        (0..4).map(|at| means_of_reference[at] - means_of_current[at]).collect();
    let mut statistic = 0.0;
    for i in 0..4 {
        for j in 0..4 {
            statistic += difference[i] * inverse[i][j] * difference[j];
        }
    }
    statistic *= rows;
    if reference.len().max(current.len()) < 25 {
        let small = n.powf(-1.7) + m.powf(-1.7);
        statistic *= 1.0 / (1.0 + rows.powf(-0.45) + 10.1 * small);
    }
    Some(Test { statistic, p_value: chi_square_survival(statistic, rank)? })
}

/// Between the closest ranks, as `np.percentile`.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, part) = (at.floor(), at.fract());
    let (a, b) = (sorted[low as usize], sorted[at.ceil() as usize]);
    a + (b - a) * part
}

/// Covariances (divisor n) and means of cos and sin of the scaled values.
fn covariance(values: &[f64], sigma: f64) -> (Matrix, [f64; 4]) {
    let count = values.len();
    let wave = |at: usize, row: usize| {
        let angle = POINTS[at % 2] / sigma * values[row];
        if at < 2 { angle.cos() } else { angle.sin() }
    };
    let waves: Vec<Vec<f64>> =
        (0..4).map(|at| (0..count).map(|row| wave(at, row)).collect()).collect();
    let means: [f64; 4] = std::array::from_fn(|at| sum::mean(&waves[at]));
    let cell = |i: usize, j: usize| {
        let product = |row: usize| (waves[i][row] - means[i]) * (waves[j][row] - means[j]);
        sum::pairwise_by(0, count, &product) / count as f64
    };
    (std::array::from_fn(|i| std::array::from_fn(|j| cell(i, j))), means)
}

/// The pseudo-inverse of a symmetric matrix and its rank, by Jacobi's rotations; singular values
/// up to 1e-15 of the greatest count as 0, as in `np.linalg.pinv`.
fn pseudo_inverse(mut a: Matrix) -> (Matrix, usize) {
    let mut vectors: Matrix =
        std::array::from_fn(|i| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 }));
    for _ in 0..60 {
        for p in 0..3 {
            for q in p + 1..4 {
                rotate(&mut a, &mut vectors, p, q);
            }
        }
    }
    let greatest = (0..4).map(|at| a[at][at].abs()).fold(0.0, f64::max);
    let kept: Vec<usize> = (0..4).filter(|&at| a[at][at].abs() > 1e-15 * greatest).collect();
    let cell = |i: usize, j: usize| {
        kept.iter().map(|&at| vectors[i][at] * vectors[j][at] / a[at][at]).sum()
    };
    (std::array::from_fn(|i| std::array::from_fn(|j| cell(i, j))), kept.len())
}

fn rotate(a: &mut Matrix, vectors: &mut Matrix, p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for row in a.iter_mut() {
        let (x, y) = (row[p], row[q]);
        (row[p], row[q]) = (c * x - s * y, s * x + c * y);
    }
    let (row_p, row_q) = (a[p], a[q]);
    a[p] = std::array::from_fn(|at| c * row_p[at] - s * row_q[at]);
    a[q] = std::array::from_fn(|at| s * row_p[at] + c * row_q[at]);
    for row in vectors.iter_mut() {
        let (x, y) = (row[p], row[q]);
        (row[p], row[q]) = (c * x - s * y, s * x + c * y);
    }
}
