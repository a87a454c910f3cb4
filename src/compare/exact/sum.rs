//! Sums as numpy makes them.

/// The sum of `values` in numpy's order (`np.add.reduce` on contiguous doubles): pairwise in blocks
/// of 128, with eight running sums in a block. The same bits, so that a bin count that is rounded
/// up from it is the same too.
pub fn pairwise(values: &[f64]) -> f64 {
    pairwise_by(0, values.len(), &|at| values[at])
}

/// The mean in numpy's order. `values` is not empty.
pub fn mean(values: &[f64]) -> f64 {
    pairwise(values) / values.len() as f64
}

/// The standard deviation with divisor n, as `np.std`. `values` is not empty.
pub fn std(values: &[f64]) -> f64 {
    let mean = mean(values);
    let square = |at: usize| {
        let deviation = values[at] - mean;
        deviation * deviation
    };
    (pairwise_by(0, values.len(), &square) / values.len() as f64).sqrt()
}

/// The sum of `term(from)` to `term(from + count - 1)` in the same order.
pub fn pairwise_by(from: usize, count: usize, term: &dyn Fn(usize) -> f64) -> f64 {
    const BLOCK: usize = 128;
    if count < 8 {
        return (from..from + count).map(term).fold(0.0, |sum, value| sum + value);
    }
    if count > BLOCK {
        let half = count / 2;
        let half = half - half % 8;
        return pairwise_by(from, half, term) + pairwise_by(from + half, count - half, term);
    }
    let mut sums = [0.0; 8];
    for (lane, sum) in sums.iter_mut().enumerate() {
        *sum = term(from + lane);
    }
    let whole = count - count % 8;
    for at in (8..whole).step_by(8) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(from + at + lane);
        }
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let total = ((a + b) + (c + d)) + ((e + f) + (g + h));
    (from + whole..from + count).map(term).fold(total, |sum, value| sum + value)
}
