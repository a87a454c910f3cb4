//! Tests on ranks in the pooled samples.

use super::table::normal;

/// The exact law is counted up to this many rows on the larger side.
const EXACT_ROWS_MAX: usize = 20_000;

/// The pooled samples as runs of equal values, ascending: how many rows of each side have it.
pub fn runs(reference: &[f64], current: &[f64]) -> Vec<(u64, u64)> {
    let (mut r, mut c) = (0, 0);
    let mut runs = Vec::new();
    loop {
        let value = match (reference.get(r), current.get(c)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(only), None) | (None, Some(only)) => *only,
            (None, None) => return runs,
        };
        let of_reference = reference[r..].iter().take_while(|v| **v <= value).count();
        let of_current = current[c..].iter().take_while(|v| **v <= value).count();
        runs.push((of_reference as u64, of_current as u64));
        (r, c) = (r + of_reference, c + of_current);
    }
}

/// P that the reference is stochastically *less* than the current sample
/// (`scipy.stats.mannwhitneyu(reference, current, alternative="less")`): exact where a side has at
/// most 8 rows (the other at most 20,000) and no two values are equal, else normal with corrections
/// for ties and continuity.
pub fn mann_whitney_less(reference: &[f64], current: &[f64]) -> f64 {
    let (n, m) = (reference.len(), current.len());
    let (n_f, m_f) = (n as f64, m as f64);
    let (mut before, mut rank_sum, mut ties) = (0.0, 0.0, 0.0);
    for (r, c) in runs(reference, current) {
        let size = (r + c) as f64;
        rank_sum += r as f64 * (before + (size + 1.0) / 2.0);
        ties += size.powi(3) - size;
        before += size;
    }
    let of_reference = rank_sum - n_f * (n_f + 1.0) / 2.0;
    let of_current = n_f * m_f - of_reference;
    if n.min(m) <= 8 && n.max(m) <= EXACT_ROWS_MAX && ties == 0.0 {
        return exact_survival(of_current as usize, n.min(m), n.max(m));
    }
    let rows = n_f + m_f;
    let spread = (n_f * m_f / 12.0 * ((rows + 1.0) - ties / (rows * (rows - 1.0)))).sqrt();
    let z = (of_current - n_f * m_f / 2.0 - 0.5) / spread;
    if z.is_nan() { 1.0 } else { normal(-z).clamp(0.0, 1.0) }
}

/// P(U >= u) without ties: the coefficients of the Gaussian binomial, which count the orders of the
/// pooled rows by U (Mann and Whitney 1947). In whole numbers: what is added and taken away again
/// leaves nothing behind.
fn exact_survival(u: usize, small: usize, large: usize) -> f64 {
    let top = small * large;
    let mut counts = vec![0i128; top + 1];
    counts[0] = 1;
    for i in 1..=small {
        for at in (large + i..=top).rev() {
            counts[at] -= counts[at - large - i];
        }
        for at in i..=top {
            counts[at] += counts[at - i];
        }
    }
    let all: i128 = counts.iter().sum();
    // The law is symmetric: the upper tail is the lower one.
    let tail: i128 = counts.iter().take((top + 1).saturating_sub(u)).sum();
    tail as f64 / all as f64
}
