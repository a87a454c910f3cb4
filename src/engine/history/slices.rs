//! Which slices of a window are worse than the rest, and how surely.
//!
//! The rest of a slice is every other slice of the same definition: together they are the whole
//! model, in bins of the same width.

use super::SlicePoint;
use crate::engine::estimate::{Estimate, Interval};
use crate::engine::metric::{Metric, estimate};
use crate::engine::sketch::{PerformanceCells, Sketch};
use crate::engine::slice::SliceKey;
use crate::engine::sum::SliceSum;
use std::collections::BTreeMap;

/// One slice against the rest of its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedSlice {
    pub key: SliceKey,
    pub predictions: u64,
    pub labeled: u64,
    pub value: Option<Estimate>,
    pub rest: Option<Estimate>,
    /// How far the slice lies on the bad side of the rest; for a metric where neither side is bad,
    /// how far it lies from it.
    pub gap: Option<f64>,
    /// 95% interval of the gap, where both have one.
    pub gap_interval: Option<Interval>,
}

/// All slices of a window with what lies in them.
pub type SliceTable = BTreeMap<SliceKey, SliceSum>;

impl RankedSlice {
    /// What history keeps; `None` without a value.
    pub fn point(&self) -> Option<SlicePoint> {
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Some(SlicePoint {
            key: self.key,
            predictions: small(self.predictions),
            labeled: small(self.labeled),
            value: self.value?.value as f32,
            gap: self.gap.map(|gap| gap as f32),
            gap_lower: self.gap_interval.map(|interval| interval.lower as f32),
        })
    }
}

/// All slices of a table, the one that lies surest below the rest first: by the lower end of the
/// gap's interval, then by the gap, then in the order of the configuration. Those without a gap
/// come last.
pub fn rank_slices(metric: Metric, table: &SliceTable) -> Vec<RankedSlice> {
    let slices: Vec<(&SliceKey, &SliceSum)> =
        table.iter().filter(|(key, _)| !key.is_whole()).collect();
    let mut ranked = Vec::with_capacity(slices.len());
    for definition in slices.chunk_by(|(a, _), (b, _)| a.definition() == b.definition()) {
        let rests = rests(metric, definition);
        for ((key, sum), rest) in definition.iter().zip(rests) {
            let value = sum.cells.as_ref().and_then(|cells| estimate(metric, cells));
            let gap = value.zip(rest).map(|(value, rest)| gap(metric, &value, &rest));
            ranked.push(RankedSlice {
                key: **key,
                predictions: sum.predictions,
                labeled: sum.labelled(),
                value,
                rest,
                gap: gap.map(|(gap, _)| gap),
                gap_interval: gap.and_then(|(_, interval)| interval),
            });
        }
    }
    let order = |slice: &RankedSlice| {
        let lower = slice.gap_interval.map_or(f64::NEG_INFINITY, |interval| interval.lower);
        (lower, slice.gap.unwrap_or(f64::NEG_INFINITY))
    };
    ranked.sort_by(|a, b| {
        let ((a_lower, a_gap), (b_lower, b_gap)) = (order(a), order(b));
        let by_gap = b_lower.total_cmp(&a_lower).then(b_gap.total_cmp(&a_gap));
        by_gap.then_with(|| a.key.cmp(&b.key))
    });
    ranked
}

/// For each slice of a definition the metric over all the others: what comes before it and what
/// comes after it, so that a definition of n slices costs 3 n merges.
fn rests(metric: Metric, slices: &[(&SliceKey, &SliceSum)]) -> Vec<Option<Estimate>> {
    let mut after: Vec<Option<PerformanceCells>> = vec![None; slices.len() + 1];
    for at in (0..slices.len()).rev() {
        after[at] = with(after[at + 1].clone(), slices[at].1.cells.as_ref());
    }
    let mut before: Option<PerformanceCells> = None;
    let mut rests = Vec::with_capacity(slices.len());
    for (at, (_, sum)) in slices.iter().enumerate() {
        let rest = with(before.clone(), after[at + 1].as_ref());
        rests.push(rest.and_then(|cells| estimate(metric, &cells)));
        before = with(before, sum.cells.as_ref());
    }
    rests
}

fn with(
    sum: Option<PerformanceCells>,
    more: Option<&PerformanceCells>,
) -> Option<PerformanceCells> {
    match (sum, more) {
        (Some(mut sum), Some(more)) => {
            sum.merge(more);
            Some(sum)
        }
        (sum, more) => sum.or_else(|| more.cloned()),
    }
}

fn gap(metric: Metric, value: &Estimate, rest: &Estimate) -> (f64, Option<Interval>) {
    let below = rest.value - value.value;
    let higher_is_better = metric.higher_is_better().unwrap_or(below >= 0.0);
    let (better, worse) = if higher_is_better { (rest, value) } else { (value, rest) };
    (better.value - worse.value, gap_bound(better, worse))
}

/// 95% interval of the difference of two independent estimates, from their own: the square-and-add
/// method (MOVER). Sources: Newcombe 1998, method 10, for proportions; Zou and Donner 2008.
pub fn gap_bound(better: &Estimate, worse: &Estimate) -> Option<Interval> {
    let (one, other) = (better.interval?, worse.interval?);
    let difference = better.value - worse.value;
    let down = (better.value - one.lower).hypot(other.upper - worse.value);
    let up = (one.upper - better.value).hypot(worse.value - other.lower);
    let interval = Interval { lower: difference - down, upper: difference + up };
    (interval.lower.is_finite() && interval.upper.is_finite()).then_some(interval)
}
