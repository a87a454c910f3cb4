//! What a model's newest windows looked like: for charts, for tables, and for "since when".
//!
//! Filled from the firings, so that it says what was shown at that moment, and what a later firing
//! revised. Bounded: the newest [`History::limit`] windows of each size, [`MARKS_MAX`] marks,
//! [`SLICES_MAX`] slices a window. Bytes of one version of one window, in memory and (about half
//! of that) in a checkpoint:
//!
//! ```text
//! row = ROW + metrics * METRIC + (features + 2) * FEATURE + min(slices, SLICES_MAX) * SLICE
//! ```
//!
//! It decides nothing. Late firings are coalesced by our clock, so which of them it saw is outside
//! the promise that every result is a function of the logs; what it says of a final window is
//! inside.

mod save;
mod slices;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use save::{Restoring, SavedHistory};
pub use slices::{RankedSlice, SliceTable, gap_bound, rank_slices};

use super::effect::{FiredVersion, Firing, FiringKind};
use super::estimate::Estimate;
use super::metric::Metric;
use super::monitor::WindowDrift;
use super::slice::SliceKey;
use super::spec::{Condition, FeatureSpec, ModelSpec, Task};
use super::sum::FeatureSum;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Marks that are remembered, the newest.
pub const MARKS_MAX: usize = 500;
/// Slices of one window, the worst.
pub const SLICES_MAX: usize = 100;
/// Versions whose first sight is remembered; beyond it the first to come are forgotten.
const VERSIONS_MAX: usize = 1_000;
/// Of sliding windows, this many that overlap have slices: each costs a sum over all slices.
const SLICE_OVERLAP: i64 = 4;
/// The slices of a window are worked out again when its labels have grown by this part of them.
const SLICES_AGAIN_PART: u64 = 4;

/// Bytes in memory, for `config::size`.
pub const ROW_BYTES: u64 = size_of::<Row>() as u64 + 64;
pub const METRIC_BYTES: u64 = size_of::<Option<Estimate>>() as u64;
pub const FEATURE_BYTES: u64 = size_of::<Option<FeaturePoint>>() as u64;
pub const SLICE_BYTES: u64 = size_of::<SlicePoint>() as u64;

/// One version in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The newest firing.
    pub kind: FiringKind,
    pub truncated: bool,
    pub revision: u32,
    pub predictions: u64,
    pub labeled: u64,
    /// In the order of `Metric::of_task`.
    pub metrics: Vec<Option<Estimate>>,
    /// Features in the model's order, then the score and the predicted class, as of the first
    /// firing: what drifted does not wait for labels. Empty without a reference.
    pub features: Vec<Option<FeaturePoint>>,
    pub slices: Option<SlicePoints>,
}

/// One feature of one window against the reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturePoint {
    /// `Statistic::RANKING`.
    pub effect: Option<f32>,
    /// Shares of the rows: without a value; of another type or not finite.
    pub missing: f32,
    pub invalid: f32,
    /// Of the rows with a value: out of the reference's range, or not among its categories.
    pub unseen: Option<f32>,
}

/// The worst slices of a window by the headline metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicePoints {
    /// Labelled predictions of the window when this was worked out.
    pub labeled: u64,
    /// The worst first.
    pub points: Vec<SlicePoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicePoint {
    pub key: SliceKey,
    pub predictions: u32,
    pub labeled: u32,
    pub value: f32,
    /// How far it lies below the rest (above it, where lower is better): the value, and the lower
    /// end of its 95% interval, where there is one.
    pub gap: Option<f32>,
    pub gap_lower: Option<f32>,
}

/// Something that happened, to be drawn over the windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Where it belongs in event time: a version's first prediction, else the end of the window
    /// that was judged.
    pub at: Timestamp,
    pub kind: MarkKind,
    pub version: String,
    pub policy: Option<Arc<str>>,
    /// By our clock.
    pub happened_at: Timestamp,
    /// One sentence for a person.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MarkKind {
    /// A version was seen for the first time.
    Version,
    /// A policy calls for its action about a version, and no longer.
    Firing,
    Cleared,
    /// A retraining was asked for; the webhook took it; it was given up.
    Request,
    Delivered,
    GivenUp,
}

impl MarkKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Firing => "firing",
            Self::Cleared => "cleared",
            Self::Request => "request",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// The distributions of the newest window of one kind and version, packed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Current {
    pub end: Timestamp,
    packed: Vec<u8>,
}

type Ends = BTreeMap<Timestamp, BTreeMap<String, Row>>;
/// A window: position of its kind in the specification, and its end.
type WindowKey = (u16, Timestamp);

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Windows of each kind that stay.
    limit: usize,
    metrics: Vec<Metric>,
    features: usize,
    /// By kind of window.
    kinds: Vec<Ends>,
    current: BTreeMap<(u16, String), Current>,
    /// When each version was seen first, in event time.
    versions: BTreeMap<String, Timestamp>,
    marks: VecDeque<Mark>,
    /// Marks ever.
    marked: u64,
    unsaved: BTreeSet<WindowKey>,
    unsaved_current: BTreeSet<(u16, String)>,
    saved_marks: u64,
}

impl History {
    pub fn new(spec: &ModelSpec) -> Self {
        Self {
            limit: (spec.show.history_windows as usize).max(1),
            metrics: Metric::of_task(&spec.task),
            features: spec.features.len() + 2,
            kinds: vec![Ends::new(); spec.windows.len()],
            current: BTreeMap::new(),
            versions: BTreeMap::new(),
            marks: VecDeque::new(),
            marked: 0,
            unsaved: BTreeSet::new(),
            unsaved_current: BTreeSet::new(),
            saved_marks: 0,
        }
    }

    /// Windows of each kind that are held at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// The metrics of a row, in order.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Takes up what a firing shows of a window. False if the window is too old to be held.
    pub fn fired(&mut self, index: u16, firing: &Firing) -> bool {
        let Some(ends) = self.kinds.get_mut(usize::from(index)) else { return false };
        let held = ends.contains_key(&firing.end);
        let oldest = ends.keys().next().copied();
        if !held && ends.len() >= self.limit && oldest.is_some_and(|oldest| firing.end < oldest) {
            return false;
        }
        let before = ends.remove(&firing.end).unwrap_or_default();
        if firing.versions.is_empty() {
            // Its only predictions gave way to those of another partition.
            if held {
                self.unsaved.insert((index, firing.end));
            }
            return false;
        }
        let rows = firing.versions.iter().map(|version| {
            let before = before.get(&version.version);
            (version.version.clone(), Row::of(&self.metrics, firing, version, before))
        });
        ends.insert(firing.end, rows.collect());
        while ends.len() > self.limit {
            ends.pop_first();
        }
        self.unsaved.insert((index, firing.end));
        true
    }

    /// Takes up the drift of a window that has just closed, and its distributions.
    pub fn drifted(
        &mut self,
        (index, version): (u16, &str),
        features: &[FeatureSpec],
        drift: &WindowDrift,
        sum: &FeatureSum,
    ) {
        let Some(row) = self.row_mut((index, drift.end), version) else { return };
        row.features = feature_points(features, drift);
        let key = (index, version.to_owned());
        self.current.insert(key.clone(), Current::pack(drift.end, sum));
        self.unsaved_current.insert(key);
        self.forget_gone();
    }

    /// Of versions that no window shows any more no distributions stay.
    fn forget_gone(&mut self) {
        let kinds = &self.kinds;
        self.current.retain(|(index, version), current| {
            let rows = kinds.get(usize::from(*index)).and_then(|ends| ends.get(&current.end));
            rows.is_some_and(|rows| rows.contains_key(version))
        });
    }

    /// Whether a window's slices should be worked out (again).
    pub fn wants_slices(&self, (index, end): WindowKey, step: Step, version: &str) -> bool {
        let Some(row) = self.row(index, end, version) else { return false };
        if row.labeled == 0 || !step.has_slices(end) {
            return false;
        }
        let again = |slices: &SlicePoints| {
            let grown = slices.labeled / SLICES_AGAIN_PART + 1;
            row.labeled >= slices.labeled + grown
                || (row.kind == FiringKind::Final && row.labeled != slices.labeled)
        };
        row.slices.as_ref().is_none_or(again)
    }

    /// Takes up the slices of a window, the worst first.
    pub fn sliced(&mut self, key: WindowKey, version: &str, ranked: &[RankedSlice]) {
        let Some(row) = self.row_mut(key, version) else { return };
        let points = ranked.iter().filter_map(RankedSlice::point).take(SLICES_MAX).collect();
        row.slices = Some(SlicePoints { labeled: row.labeled, points });
    }

    /// Notes a version at its first sight.
    pub fn saw_version(&mut self, version: &str, first: Timestamp, now: Timestamp) {
        if self.versions.contains_key(version) {
            return;
        }
        self.versions.insert(version.to_owned(), first);
        while self.versions.len() > VERSIONS_MAX {
            let oldest = self.versions.iter().min_by_key(|(name, at)| (**at, (*name).clone()));
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
            self.versions.remove(&oldest);
        }
        self.mark(Mark {
            at: first,
            kind: MarkKind::Version,
            version: version.to_owned(),
            policy: None,
            happened_at: now,
            text: format!("version {} was seen for the first time", super::text::clip(version, 60)),
        });
    }

    pub fn knows_version(&self, version: &str) -> bool {
        self.versions.contains_key(version)
    }

    pub fn mark(&mut self, mark: Mark) {
        self.marks.push_back(mark);
        self.marked += 1;
        while self.marks.len() > MARKS_MAX {
            self.marks.pop_front();
        }
    }

    /// Oldest first.
    pub fn marks(&self) -> impl DoubleEndedIterator<Item = &Mark> {
        self.marks.iter()
    }

    /// When a version was seen first, in event time.
    pub fn first_seen(&self, version: &str) -> Option<Timestamp> {
        self.versions.get(version).copied()
    }

    /// Windows of one kind, oldest first, with what each version showed in them.
    pub fn windows(
        &self,
        index: usize,
    ) -> impl DoubleEndedIterator<Item = (Timestamp, &BTreeMap<String, Row>)> {
        self.kinds.get(index).into_iter().flatten().map(|(end, rows)| (*end, rows))
    }

    /// One version in the windows of one kind, oldest first.
    pub fn rows<'a>(
        &'a self,
        index: usize,
        version: &'a str,
    ) -> impl DoubleEndedIterator<Item = (Timestamp, &'a Row)> {
        self.windows(index).filter_map(move |(end, rows)| Some((end, rows.get(version)?)))
    }

    pub fn row(&self, index: u16, end: Timestamp, version: &str) -> Option<&Row> {
        self.kinds.get(usize::from(index))?.get(&end)?.get(version)
    }

    fn row_mut(&mut self, (index, end): WindowKey, version: &str) -> Option<&mut Row> {
        let row = self.kinds.get_mut(usize::from(index))?.get_mut(&end)?.get_mut(version)?;
        self.unsaved.insert((index, end));
        Some(row)
    }

    /// The distributions of the newest window of a kind in which a version predicted.
    pub fn current(&self, index: usize, version: &str) -> Option<(Timestamp, FeatureSum)> {
        let current = self.current.get(&(index as u16, version.to_owned()))?;
        Some((current.end, current.unpack()?))
    }

    /// Windows that are held, over all kinds.
    pub fn len(&self) -> usize {
        self.kinds.iter().map(BTreeMap::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Which windows of a kind have slices.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub size: Span,
    pub every: Span,
    pub origin: Timestamp,
}

impl Step {
    /// All, or as many as `SLICE_OVERLAP` of those that overlap, always the same ones.
    fn has_slices(self, end: Timestamp) -> bool {
        let overlap = (self.size.0 / self.every.0).max(1);
        let stride = Span(self.every.0 * ((overlap + SLICE_OVERLAP - 1) / SLICE_OVERLAP));
        end.floor(stride, self.origin) == end
    }
}

impl Row {
    fn of(
        metrics: &[Metric],
        firing: &Firing,
        fired: &FiredVersion,
        before: Option<&Self>,
    ) -> Self {
        let value = |metric: &Metric| {
            fired.metrics.iter().find(|(which, _)| which == metric).map(|(_, estimate)| *estimate)
        };
        Self {
            kind: firing.kind,
            truncated: firing.truncated,
            revision: firing.revision,
            predictions: fired.predictions,
            labeled: fired.labeled,
            metrics: metrics.iter().map(value).collect(),
            features: before.map(|row| row.features.clone()).unwrap_or_default(),
            slices: before.and_then(|row| row.slices.clone()),
        }
    }

    /// Labelled share of the predictions; `None` without predictions.
    pub fn coverage(&self) -> Option<f64> {
        (self.predictions > 0).then(|| self.labeled as f64 / self.predictions as f64)
    }
}

fn feature_points(features: &[FeatureSpec], drift: &WindowDrift) -> Vec<Option<FeaturePoint>> {
    let point = |feature: &super::drift::FeatureDrift| FeaturePoint {
        effect: feature.ranking().map(|value| value as f32),
        missing: feature.missing_share as f32,
        invalid: feature.invalid_share as f32,
        unseen: feature.out_of_range_share.or(feature.new_share).map(|share| share as f32),
    };
    // Both are in the model's order; the drift lacks those without a reference.
    let mut found = drift.features.iter().peekable();
    let mut points: Vec<Option<FeaturePoint>> = features
        .iter()
        .map(|spec| found.next_if(|feature| *feature.feature == *spec.name).map(point))
        .collect();
    points.push(drift.score.as_ref().map(point));
    points.push(drift.classes.as_ref().map(point));
    points
}

impl Current {
    fn pack(end: Timestamp, sum: &FeatureSum) -> Self {
        let whole = (&sum.features, &sum.score, &sum.classes);
        let packed =
            postcard::to_allocvec(&whole).expect("counts have no type that cannot be encoded");
        Self { end, packed }
    }

    fn unpack(&self) -> Option<FeatureSum> {
        let (features, score, classes) = postcard::from_bytes(&self.packed).ok()?;
        Some(FeatureSum { features, score, classes })
    }

    pub fn bytes(&self) -> usize {
        self.packed.len()
    }
}

/// What the overview shows of a model: the metric and the kind of window that its first policy
/// about performance judges, else the task's usual metric over the smallest window of an hour or
/// more.
pub fn headline(spec: &ModelSpec) -> (Metric, usize) {
    let size = |window: Span| spec.windows.iter().position(|spec| spec.size == window);
    let judged = spec.policies.iter().find_map(|policy| match &policy.condition {
        Condition::Performance { metric, .. } => Some((*metric, size(policy.window)?)),
        Condition::PerformanceAlarm(alarm) => Some((alarm.metric, size(policy.window)?)),
        Condition::Drift { .. } | Condition::DriftAlarm(_) | Condition::Alert { .. } => None,
    });
    judged.unwrap_or_else(|| {
        let metric = match spec.task {
            Task::Regression { .. } => Metric::Mae,
            Task::Binary { .. } | Task::Multiclass { .. } => Metric::Accuracy,
        };
        let hour = spec.windows.iter().position(|window| window.size >= Span::from_hours(1));
        (metric, hour.unwrap_or(spec.windows.len().saturating_sub(1)))
    })
}
