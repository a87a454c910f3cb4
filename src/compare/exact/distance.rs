//! Distances between two cumulative distributions.

/// The first Wasserstein distance: the area between the cumulative distributions
/// (`scipy.stats.wasserstein_distance`). Both samples ascend and have a value.
pub fn wasserstein(reference: &[f64], current: &[f64]) -> f64 {
    let mut area = 0.0;
    steps(reference, current, |difference, width| area += difference.abs() * width);
    area
}

/// Szekely's energy distance, sqrt(2 * integral of the squared difference)
/// (`scipy.stats.energy_distance`). Both samples ascend and have a value.
pub fn energy(reference: &[f64], current: &[f64]) -> f64 {
    let mut area = 0.0;
    steps(reference, current, |difference, width| area += difference * difference * width);
    (2.0f64).sqrt() * area.sqrt()
}

/// The greatest difference of the cumulative shares (`scipy.stats.ks_2samp`, two-sided).
pub fn kolmogorov_smirnov(reference: &[f64], current: &[f64]) -> f64 {
    let mut greatest = 0.0f64;
    steps(reference, current, |difference, _| greatest = greatest.max(difference.abs()));
    greatest
}

/// Visits what lies between each two values that follow one another in the pooled samples: the
/// difference of the cumulative shares there, and the distance of the values.
fn steps(reference: &[f64], current: &[f64], mut visit: impl FnMut(f64, f64)) {
    let (mut r, mut c) = (0, 0);
    let (of_r, of_c) = (reference.len() as f64, current.len() as f64);
    let next_of = |r: usize, c: usize| match (reference.get(r), current.get(c)) {
        (Some(a), Some(b)) => Some(a.min(*b)),
        (a, b) => a.or(b).copied(),
    };
    while let Some(value) = next_of(r, c) {
        while reference.get(r).is_some_and(|v| *v <= value) {
            r += 1;
        }
        while current.get(c).is_some_and(|v| *v <= value) {
            c += 1;
        }
        if let Some(next) = next_of(r, c) {
            visit(r as f64 / of_r - c as f64 / of_c, next - value);
        }
    }
}
