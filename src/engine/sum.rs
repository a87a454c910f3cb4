//! A window of one version: the sum of its panes over all shards.

use super::cbpe::Open;
use super::metric::Metric;
use super::model_shard::Partial;
use super::pane::{Pane, PaneKey, VersionPane};
use super::sketch::feature::{FeatureSketch, merge_features};
use super::sketch::{ExpectedCells, PerformanceCells, PredictedLosses, Sketch};
use super::slice::SliceKey;
use super::stages::stages_seen;
use super::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// One slice of a window.
#[derive(Clone, Debug, Default)]
pub struct SliceSum {
    pub predictions: u64,
    /// `None` without a labelled prediction.
    pub cells: Option<PerformanceCells>,
}

/// Features, scores and classes of a window.
#[derive(Clone, Debug, Default)]
pub struct FeatureSum {
    pub features: Vec<FeatureSketch>,
    pub score: FeatureSketch,
    pub classes: FeatureSketch,
}

/// First and last Kafka offset of a window's predictions, by partition.
pub type OffsetSpans = BTreeMap<i32, (i64, i64)>;

/// Predictions without a score may be one in so many where a window is estimated.
const UNSCORED_PART: u64 = 100;

/// What to read of a window.
#[derive(Clone, Copy, Debug)]
pub struct Range<'a> {
    pub version: &'a str,
    pub start: Timestamp,
    pub end: Timestamp,
}

impl SliceSum {
    /// Labelled predictions.
    pub fn labelled(&self) -> u64 {
        self.cells.as_ref().map_or(0, PerformanceCells::rows)
    }

    /// Labelled share of the predictions; `None` without predictions.
    pub fn coverage(&self) -> Option<f64> {
        (self.predictions > 0).then(|| self.labelled() as f64 / self.predictions as f64)
    }

    fn add(&mut self, cells: &PerformanceCells) {
        match &mut self.cells {
            Some(mine) => mine.merge(cells),
            None => self.cells = Some(cells.clone()),
        }
    }
}

/// The panes of a version in a range, over all shards.
fn panes<'a>(
    shards: &'a [&'a Partial],
    range: Range<'a>,
) -> impl Iterator<Item = (PaneKey, &'a Pane, &'a VersionPane, &'a Partial)> {
    shards
        .iter()
        .filter_map(move |shard| Some((shard, shard.version_index(range.version)?)))
        .flat_map(move |(shard, version)| {
            shard
                .panes
                .range(range.start, range.end)
                .filter_map(move |(key, pane)| Some((key, pane, pane.version(version)?, *shard)))
        })
}

/// The whole model in a window: with every label known so far, or as a judgement sees it.
pub fn whole(shards: &[&Partial], range: Range<'_>, judgement: Option<usize>) -> SliceSum {
    let mut sum = SliceSum::default();
    for (key, _, pane, shard) in panes(shards, range) {
        let Some(slice) = pane.slice(SliceKey::WHOLE) else { continue };
        sum.predictions += slice.predictions;
        let windows = &shard.panes.shape().windows;
        let seen =
            judgement.map_or(slice.stages.len(), |judgement| stages_seen(windows, key, judgement));
        slice.stages.iter().take(seen).flatten().for_each(|cells| sum.add(cells));
    }
    sum.cells = sum.cells.filter(|cells| !cells.is_empty());
    sum
}

/// A window's predictions as they are expected to turn out. `None` if that is not known of nearly
/// all of them: without a calibration, without scores, or from before there were estimates.
pub fn expected(shards: &[&Partial], range: Range<'_>) -> Option<ExpectedCells> {
    let mut sum = VersionPane::default();
    let mut predictions = 0;
    for (_, _, pane, _) in panes(shards, range) {
        predictions += pane.slice(SliceKey::WHOLE).map_or(0, |slice| slice.predictions);
        if let Some(expected) = &pane.expected {
            sum.merge_expected(expected);
        }
    }
    let complete = |sum: &ExpectedCells| {
        let (scored, unscored) = sum.rows();
        scored + unscored == predictions && unscored <= predictions / UNSCORED_PART
    };
    sum.expected.map(|sum| *sum).filter(complete)
}

/// The losses that are expected of a window's predictions; `None` without a model of losses.
pub fn losses(shards: &[&Partial], range: Range<'_>) -> Option<PredictedLosses> {
    let mut sum = PredictedLosses::default();
    for (_, _, pane, _) in panes(shards, range) {
        if let Some(losses) = &pane.losses {
            sum.merge(losses);
        }
    }
    (sum.rows() > 0).then_some(sum)
}

/// The predictions of a window that have no label, as they are expected to turn out, pane by pane.
/// `odds` says for the middle of a pane how much likelier a positive than a negative is still open.
pub fn open(shards: &[&Partial], range: Range<'_>, odds: &dyn Fn(Timestamp) -> f64) -> Open {
    let mut open = Open::default();
    for (key, _, pane, shard) in panes(shards, range) {
        let Some(expected) = &pane.expected else { continue };
        let width = shard.panes.shape().windows.levels[usize::from(key.level)].width;
        let odds = odds(key.start + Span(width.0 / 2));
        let of_pane = expected.open(odds);
        let (before, more) = (open.expected.mass().w, of_pane.mass().w);
        if before + more > 0.0 {
            open.odds = (open.odds * before + odds * more) / (before + more);
        }
        open.expected.add(&of_pane);
    }
    open
}

/// Every slice of a window, with every label known so far; the whole model first.
pub fn slices(shards: &[&Partial], range: Range<'_>) -> BTreeMap<SliceKey, SliceSum> {
    let mut sums: BTreeMap<SliceKey, SliceSum> = BTreeMap::new();
    for (_, _, pane, _) in panes(shards, range) {
        for (key, slice) in &pane.slices {
            let sum = sums.entry(*key).or_default();
            sum.predictions += slice.predictions;
            slice.stages.iter().flatten().for_each(|cells| sum.add(cells));
        }
    }
    for sum in sums.values_mut() {
        sum.cells = sum.cells.take().filter(|cells| !cells.is_empty());
    }
    sums
}

/// The same, with what one metric needs.
pub fn slices_for(
    metric: Metric,
    shards: &[&Partial],
    range: Range<'_>,
) -> BTreeMap<SliceKey, SliceSum> {
    if !metric.is_of_counts() {
        return slices(shards, range);
    }
    let mut sums: BTreeMap<SliceKey, SliceSum> = BTreeMap::new();
    for (_, _, pane, _) in panes(shards, range) {
        for (key, slice) in &pane.slices {
            let sum = sums.entry(*key).or_default();
            sum.predictions += slice.predictions;
            for cells in slice.stages.iter().flatten() {
                match &mut sum.cells {
                    Some(mine) => mine.merge_counts(cells),
                    None => sum.cells = Some(cells.counts()),
                }
            }
        }
    }
    for sum in sums.values_mut() {
        sum.cells = sum.cells.take().filter(|cells| !cells.is_empty());
    }
    sums
}

/// How many slices of panes `slices` would add up.
pub fn slices_work(shards: &[&Partial], range: Range<'_>) -> usize {
    panes(shards, range).map(|(_, _, pane, _)| pane.slices.len()).sum()
}

/// The distributions of a window.
pub fn features(shards: &[&Partial], range: Range<'_>) -> FeatureSum {
    let mut sum = FeatureSum::default();
    for (_, _, pane, _) in panes(shards, range) {
        merge_features(&mut sum.features, &pane.features);
        sum.score.merge(&pane.score);
        sum.classes.merge(&pane.classes);
    }
    sum
}

/// Where a window's predictions stand in their topic.
pub fn offsets(shards: &[&Partial], range: Range<'_>) -> OffsetSpans {
    let mut spans = OffsetSpans::new();
    for (_, _, pane, _) in panes(shards, range) {
        for (partition, first, last) in &pane.offsets {
            let span = spans.entry(*partition).or_insert((*first, *last));
            *span = (span.0.min(*first), span.1.max(*last));
        }
    }
    spans
}

/// Versions with a pane in a range, sorted.
pub fn versions(shards: &[&Partial], start: Timestamp, end: Timestamp) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for shard in shards {
        for (_, pane) in shard.panes.range(start, end) {
            for (version, _) in pane.versions.iter().filter(|(_, pane)| pane.has_predictions()) {
                let name = &shard.versions[usize::from(*version)];
                if !found.contains(name) {
                    found.push(name.clone());
                }
            }
        }
    }
    found.sort();
    found
}
