//! Histograms as numpy makes them.

use super::sum;

/// More bins than this are refused: a rule that asks for them has met a lone far value.
pub const BINS_MAX: usize = 1_000_000;

/// `np.linspace(first, last, bins + 1)`; a range without width is half a unit wide on either side,
/// as in `np.histogram`. `None` where the edges cannot be told apart or are too many.
pub fn uniform_edges(first: f64, last: f64, bins: usize) -> Option<Vec<f64>> {
    let (first, last) = if first == last { (first - 0.5, last + 0.5) } else { (first, last) };
    let width = last - first;
    if bins == 0 || bins > BINS_MAX || !width.is_finite() {
        return None;
    }
    let step = width / bins as f64;
    let mut edges: Vec<f64> = (0..=bins).map(|at| at as f64 * step + first).collect();
    edges[bins] = last;
    edges.windows(2).all(|pair| pair[0] < pair[1]).then_some(edges)
}

/// What a rule for the number of bins needs to know of the values.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub min: f64,
    pub max: f64,
    pub count: usize,
    /// The values are whole numbers by type: numpy makes no bin of them narrower than 1.
    pub whole: bool,
}

/// `np.histogram_bin_edges(values, bins="sturges")`.
pub fn sturges_edges(extent: Extent) -> Option<Vec<f64>> {
    let width = (extent.max - extent.min) / ((extent.count as f64).log2() + 1.0);
    edges_of_width(extent, width)
}

/// `np.histogram_bin_edges(values, bins="doane")`. `values` in the order of the rows: numpy's sums
/// depend on it.
pub fn doane_edges(values: &[f64]) -> Option<Vec<f64>> {
    let (min, max) = range(values)?;
    let extent = Extent { min, max, count: values.len(), whole: false };
    let count = values.len() as f64;
    let mut width = 0.0;
    if values.len() > 2 {
        let deviation_of_skew = (6.0 * (count - 2.0) / ((count + 1.0) * (count + 3.0))).sqrt();
        let std = sum::std(values);
        if std > 0.0 {
            let mean = sum::mean(values);
            let cube = |at: usize| ((values[at] - mean) / std).powi(3);
            let skew = sum::pairwise_by(0, values.len(), &cube) / count;
            width =
                (max - min) / (1.0 + count.log2() + (1.0 + skew.abs() / deviation_of_skew).log2());
        }
    }
    edges_of_width(extent, width)
}

fn edges_of_width(extent: Extent, width: f64) -> Option<Vec<f64>> {
    let Extent { min, max, whole, .. } = extent;
    // As numpy: the outer edges of values without spread are half a unit away.
    let (first, last) = if min == max { (min - 0.5, max + 0.5) } else { (min, max) };
    let width = if whole && width > 0.0 && width < 1.0 { 1.0 } else { width };
    let bins = if width > 0.0 { ((last - first) / width).ceil() } else { 1.0 };
    let allowed = bins.is_finite() && bins <= BINS_MAX as f64;
    if allowed { uniform_edges(first, last, bins as usize) } else { None }
}

/// Least and greatest value; `None` of nothing.
pub fn range(values: &[f64]) -> Option<(f64, f64)> {
    let first = *values.first()?;
    Some(values.iter().fold((first, first), |(min, max), &v| (min.min(v), max.max(v))))
}

/// `np.histogram(values, edges)`: bins [a, b), the last one [a, b]. `sorted` ascends.
pub fn counts(sorted: &[f64], edges: &[f64]) -> Vec<u64> {
    let last = edges.len() - 1;
    let below = |(at, edge): (usize, &f64)| match at == last {
        true => sorted.partition_point(|value| value <= edge),
        false => sorted.partition_point(|value| value < edge),
    };
    let below: Vec<usize> = edges.iter().enumerate().map(below).collect();
    below.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
}

/// Each count over `of`.
pub fn shares(counts: &[u64], of: usize) -> Vec<f64> {
    counts.iter().map(|&count| count as f64 / of as f64).collect()
}
