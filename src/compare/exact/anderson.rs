//! The Anderson-Darling test of two samples.

use super::ranks::runs;
use super::table::Test;

/// Scholz and Stephens 1987 with midranks, as `scipy.stats.anderson_ksamp`: p is interpolated
/// between tabulated points and lies between 0.001 and 0.25. `None` where all values are equal or
/// there are fewer than four rows. Both samples ascend.
pub fn test(reference: &[f64], current: &[f64]) -> Option<Test> {
    let runs = runs(reference, current);
    let sizes = [reference.len() as f64, current.len() as f64];
    let all = sizes[0] + sizes[1];
    if runs.len() < 2 || all < 4.0 || sizes.contains(&0.0) {
        return None;
    }
    let mut before = [0.0; 2];
    let mut squares = [0.0; 2];
    for (r, c) in &runs {
        let own = [*r as f64, *c as f64];
        let (tied, lower) = (own[0] + own[1], before[0] + before[1]);
        let middle = lower + tied / 2.0;
        for side in 0..2 {
            let rank = before[side] + own[side] / 2.0;
            squares[side] += tied / all * (all * rank - middle * sizes[side]).powi(2)
                / (middle * (all - middle) - all * tied / 4.0);
            before[side] += own[side];
        }
    }
    let sum = (squares[0] / sizes[0] + squares[1] / sizes[1]) * (all - 1.0) / all;
    let statistic = (sum - 1.0) / variance(sizes, all).sqrt();
    Some(Test { statistic, p_value: p_value(statistic) })
}

/// The variance of the sum without a difference, for two samples.
fn variance(sizes: [f64; 2], all: f64) -> f64 {
    let inverse = 1.0 / sizes[0] + 1.0 / sizes[1];
    let (mut h, mut g) = (0.0, 0.0);
    let count = all as u64;
    for at in 2..count {
        h += 1.0 / (count + 1 - at) as f64;
        g += h / at as f64;
    }
    h += 1.0;
    let k = 2.0;
    let a = (4.0 * g - 6.0) * (k - 1.0) + (10.0 - 6.0 * g) * inverse;
    let b = (2.0 * g - 4.0) * k * k + 8.0 * h * k + (2.0 * g - 14.0 * h - 4.0) * inverse - 8.0 * h
        + 4.0 * g
        - 6.0;
    let c = (6.0 * h + 2.0 * g - 2.0) * k * k
        + (4.0 * h - 4.0 * g + 6.0) * k
        + (2.0 * h - 6.0) * inverse
        + 4.0 * h;
    let d = (2.0 * h + 6.0) * k * k - 4.0 * h * k;
    (a * all.powi(3) + b * all.powi(2) + c * all + d) / ((all - 1.0) * (all - 2.0) * (all - 3.0))
}

/// Quadratic in the statistic, fitted to the logarithms of the tabulated levels.
fn p_value(statistic: f64) -> f64 {
    const LEVELS: [f64; 7] = [0.25, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001];
    const B0: [f64; 7] = [0.675, 1.281, 1.645, 1.96, 2.326, 2.573, 3.085];
    const B1: [f64; 7] = [-0.245, 0.25, 0.678, 1.149, 1.822, 2.364, 3.615];
    const B2: [f64; 7] = [-0.105, -0.305, -0.362, -0.391, -0.396, -0.345, -0.154];
    let critical: Vec<f64> = (0..7).map(|at| B0[at] + B1[at] + B2[at]).collect();
    let least = critical.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = critical.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if statistic < least {
        return LEVELS[0];
    }
    if statistic > greatest {
        return LEVELS[6];
    }
    let [a, b, c] = quadratic(&critical, &LEVELS.map(f64::ln));
    ((a * statistic + b) * statistic + c).exp()
}

/// The least-squares quadratic through points: its coefficients, the highest power first.
fn quadratic(x: &[f64], y: &[f64]) -> [f64; 3] {
    // Around the mean of x the normal equations are well conditioned.
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let moment = |power: i32| x.iter().map(|x| (x - mean).powi(power)).sum::<f64>();
    let with_y = |power: i32| x.iter().zip(y).map(|(x, y)| (x - mean).powi(power) * y).sum::<f64>();
    let m: Vec<f64> = (0..5).map(moment).collect();
    let determinant = |a: [[f64; 3]; 3]| {
        a[0][0] * (a[1][1] * a[2][2] - a[1][2] * a[2][1])
            - a[0][1] * (a[1][0] * a[2][2] - a[1][2] * a[2][0])
            + a[0][2] * (a[1][0] * a[2][1] - a[1][1] * a[2][0])
    };
    let matrix = [[m[4], m[3], m[2]], [m[3], m[2], m[1]], [m[2], m[1], m[0]]];
    let right = [with_y(2), with_y(1), with_y(0)];
    let whole = determinant(matrix);
    let mut solved = [0.0; 3];
    for (column, value) in solved.iter_mut().enumerate() {
        let mut replaced = matrix;
        for row in 0..3 {
            replaced[row][column] = right[row];
        }
        *value = determinant(replaced) / whole;
    }
    let [a, b, c] = solved;
    [a, b - 2.0 * a * mean, a * mean * mean - b * mean + c]
}
