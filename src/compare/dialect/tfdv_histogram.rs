//! The histograms of TensorFlow Data Validation: how its statistics make one of a column
//! (`utils/quantiles_util.py`), and how it lays two of them over each other
//! (`anomalies/metrics.cc`).

use super::gk_sketch;
use std::collections::BTreeMap;

/// Buckets of the standard histogram, of equal width.
const BUCKETS: usize = 10;
/// Quantiles from which the buckets' counts are interpolated.
const QUANTILES: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub low: f64,
    pub high: f64,
    pub count: f64,
}

/// The standard histogram of a column: `values` in the order of the rows, without NaN, not empty.
/// `None` where the range is too wide for a double.
pub fn standard(values: &[f64]) -> Option<Vec<Bucket>> {
    let (mut quantiles, mut cumulative) = gk_sketch::quantiles(values, QUANTILES);
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let min = finite().fold(f64::INFINITY, f64::min);
    let max = finite().fold(f64::NEG_INFINITY, f64::max);
    if min > max {
        return Some(vec![Bucket { low: min, high: max, count: *cumulative.last()? }]);
    }
    let above = values.iter().filter(|value| **value == f64::INFINITY).count() as f64;
    let below = strip_infinities(&mut quantiles, &mut cumulative, max, above);
    let fine = with_weights(&quantiles, &cumulative);
    let edges = match min == max {
        true => vec![min, max],
        false => {
            let step = (max - min) / BUCKETS as f64;
            let mut edges: Vec<f64> = (0..=BUCKETS).map(|at| at as f64 * step + min).collect();
            edges[BUCKETS] = max;
            edges
        }
    };
    if edges.iter().any(|edge| !edge.is_finite()) {
        return None;
    }
    let point = |value: f64, count: f64| Bucket { low: value, high: value, count };
    let mut buckets = Vec::new();
    if below > 0.0 {
        buckets.push(point(f64::NEG_INFINITY, below));
    }
    for (at, pair) in edges.windows(2).enumerate() {
        let (low, high) = (pair[0], pair[1]);
        let count = fine.iter().map(|bucket| overlap(bucket, low, high, at == 0) * bucket.count);
        buckets.push(Bucket { low, high, count: count.sum() });
    }
    if above > 0.0 {
        buckets.push(point(f64::INFINITY, above));
    }
    Some(buckets)
}

/// Takes the infinite ends away; returns how many values are minus infinity.
fn strip_infinities(
    quantiles: &mut Vec<f64>,
    cumulative: &mut Vec<f64>,
    max: f64,
    above: f64,
) -> f64 {
    let infinite = quantiles.iter().take_while(|value| **value == f64::NEG_INFINITY).count();
    let mut below = 0.0;
    if infinite > 0 {
        below = cumulative[infinite - 1];
        quantiles.drain(..infinite);
        cumulative.drain(..infinite);
        cumulative.iter_mut().for_each(|count| *count -= below);
    }
    if above > 0.0 {
        let of_max = cumulative.last().copied().unwrap_or(0.0) - above;
        let finite = quantiles.iter().take_while(|value| **value < f64::INFINITY).count();
        quantiles.truncate(finite);
        cumulative.truncate(finite);
        quantiles.push(max);
        cumulative.push(of_max);
    }
    below
}

/// Buckets between the quantiles; what falls in several with the same upper end is spread evenly.
fn with_weights(quantiles: &[f64], cumulative: &[f64]) -> Vec<Bucket> {
    let pair = |(ends, counts): (&[f64], &[f64])| Bucket {
        low: ends[0],
        high: ends[1],
        count: counts[1] - counts[0],
    };
    let mut buckets: Vec<Bucket> =
        quantiles.windows(2).zip(cumulative.windows(2)).map(pair).collect();
    let mut at = 0;
    while at < buckets.len() {
        let same = buckets[at..].iter().take_while(|b| b.high == buckets[at].high).count();
        if same > 1 {
            let even = buckets[at..at + same].iter().map(|b| b.count).sum::<f64>() / same as f64;
            buckets[at..at + same].iter_mut().for_each(|bucket| bucket.count = even);
        }
        at += same;
    }
    let first = buckets.first().copied();
    if let (Some(first), Some(least)) = (first, cumulative.first()) {
        let is_first = |b: &&mut Bucket| b.low == first.low && b.high == first.high;
        let same = buckets.iter().take_while(|b| b.low == first.low && b.high == first.high);
        let each = least / same.count() as f64;
        buckets.iter_mut().take_while(is_first).for_each(|bucket| bucket.count += each);
    }
    buckets
}

/// The share of a bucket's values that lie in an interval, evenly spread.
fn overlap(bucket: &Bucket, low: f64, high: f64, first: bool) -> f64 {
    if bucket.high == bucket.low && bucket.low == low {
        return if first { 1.0 } else { 0.0 };
    }
    if bucket.high < low || bucket.low > high {
        return 0.0;
    }
    let width = bucket.high - bucket.low;
    match (low <= bucket.low, high >= bucket.high) {
        (true, true) => 1.0,
        (true, false) => (high - bucket.low) / width,
        (false, true) => (bucket.high - low) / width,
        (false, false) => (high - low) / width,
    }
}

/// Both histograms over the same buckets: each one's counts there.
pub fn aligned(one: &[Bucket], other: &[Bucket]) -> (Vec<f64>, Vec<f64>) {
    let (one, other) = (Parts::new(one), Parts::new(other));
    let mut edges: Vec<f64> =
        one.buckets.iter().chain(&other.buckets).flat_map(|b| [b.low, b.high]).collect();
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    let (mut p, mut q) = (one.over(&edges), other.over(&edges));
    let points: BTreeMap<u64, f64> = [&one, &other]
        .into_iter()
        .flat_map(|parts| parts.points.iter().map(|(value, _)| (ordered(*value), *value)))
        .collect();
    for value in points.values() {
        p.push(one.at(*value));
        q.push(other.at(*value));
    }
    // Infinite values never match.
    p.extend([one.infinite, 0.0]);
    q.extend([0.0, other.infinite]);
    (p, q)
}

/// A key that orders as the numbers do.
fn ordered(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Buckets with a width, single values, and what is infinite.
struct Parts {
    buckets: Vec<Bucket>,
    points: Vec<(f64, f64)>,
    infinite: f64,
}

impl Parts {
    fn new(histogram: &[Bucket]) -> Self {
        let mut parts = Self { buckets: Vec::new(), points: Vec::new(), infinite: 0.0 };
        for bucket in histogram {
            if !bucket.low.is_finite() || !bucket.high.is_finite() {
                parts.infinite += bucket.count;
            } else if bucket.low == bucket.high {
                parts.points.push((bucket.low, bucket.count));
            } else {
                parts.buckets.push(*bucket);
            }
        }
        parts
    }

    fn at(&self, value: f64) -> f64 {
        let same = self.points.iter().filter(|point| point.0 == value);
        same.fold(0.0, |sum, point| sum + point.1)
    }

    /// The counts between each two edges; all of our own edges are among them.
    fn over(&self, edges: &[f64]) -> Vec<f64> {
        let mut counts = Vec::with_capacity(edges.len());
        let mut at = 0;
        for pair in edges.windows(2) {
            while self.buckets.get(at).is_some_and(|bucket| bucket.high <= pair[0]) {
                at += 1;
            }
            counts.push(match self.buckets.get(at) {
                Some(bucket) if bucket.low <= pair[0] => {
                    (pair[1] - pair[0]) / (bucket.high - bucket.low) * bucket.count
                }
                _ => 0.0,
            });
        }
        counts
    }
}
