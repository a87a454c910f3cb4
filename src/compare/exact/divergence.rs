//! Distances between two rows of shares over the same bins.

use super::sum;

/// sum of (p - q) ln(p / q); no share is 0.
pub fn psi(p: &[f64], q: &[f64]) -> f64 {
    sum::pairwise_by(0, p.len(), &|at| (p[at] - q[at]) * (p[at] / q[at]).ln())
}

/// sum of p ln(p / q), both sides made to sum to 1 (`scipy.stats.entropy(p, q)`). Infinite where
/// only q is 0.
pub fn kullback_leibler(p: &[f64], q: &[f64]) -> f64 {
    let (of_p, of_q) = (sum::pairwise(p), sum::pairwise(q));
    sum::pairwise_by(0, p.len(), &|at| relative_entropy(p[at] / of_p, q[at] / of_q))
}

/// The Jensen-Shannon *divergence* in natural units, both sides made to sum to 1: the square of
/// `scipy.spatial.distance.jensenshannon(p, q)`. From 0 to ln 2.
pub fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    let (of_p, of_q) = (sum::pairwise(p), sum::pairwise(q));
    let side = |one: &[f64], of_one: f64, other: &[f64], of_other: f64| {
        sum::pairwise_by(0, one.len(), &|at| {
            let share = one[at] / of_one;
            relative_entropy(share, (share + other[at] / of_other) / 2.0)
        })
    };
    let total = side(p, of_p, q, of_q) + side(q, of_q, p, of_p);
    (total / 2.0).max(0.0)
}

/// p ln(p / q), continued to p = 0.
fn relative_entropy(p: f64, q: f64) -> f64 {
    if p > 0.0 { p * (p / q).ln() } else { 0.0 }
}

/// The Hellinger distance from the Bhattacharyya coefficient: from 0 to 1.
pub fn hellinger_of_coefficient(coefficient: f64) -> f64 {
    (1.0 - coefficient.clamp(0.0, 1.0)).sqrt()
}

/// The Hellinger distance as the length of the difference of square roots: from 0 to 1 where both
/// sides sum to 1.
pub fn hellinger(p: &[f64], q: &[f64]) -> f64 {
    let square = |at: usize| (p[at].sqrt() - q[at].sqrt()).powi(2);
    (sum::pairwise_by(0, p.len(), &square)).sqrt() / std::f64::consts::SQRT_2
}

/// The greatest difference of two shares.
pub fn l_infinity(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max)
}

/// Half the sum of the differences.
pub fn total_variation(p: &[f64], q: &[f64]) -> f64 {
    0.5 * sum::pairwise_by(0, p.len(), &|at| (p[at] - q[at]).abs())
}
