//! Panes: disjoint stretches of event time whose sketches are merged into windows.
//!
//! Every prediction and every label updates exactly one pane. Panes shrink with age: when the finer
//! windows over them are final they roll up into the next level's, feature sketches go when the
//! last window over them has closed, and a pane goes when its last window is final.

mod changes;

use super::cbpe::Estimator;
use super::event::{ClassCode, PredictionBatch};
use super::expecting::Expecting;
use super::labels::Contribution;
use super::layouts::ProfileLayout;
use super::score::Resolution;
use super::sketch::feature::{FeatureSketch, merge_features};
use super::sketch::{ExpectedCells, ExpectedRow, PerformanceCells, PredictedLosses, Sign, Sketch};
use super::sketch::{ScoreCells, ScoredPrediction, Terms};
use super::slice::SliceKey;
use super::spec::Task;
use super::stages::{Scratch, stages, stages_into};
use super::time::Timestamp;
use super::window::Windows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What shapes a model's panes; fixed for the life of a plan.
#[derive(Clone, Debug)]
pub struct PaneShape {
    pub windows: Arc<Windows>,
    pub task: Task,
    pub weighted: bool,
}

/// Level and start of a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaneKey {
    pub level: u8,
    pub start: Timestamp,
}

/// One slice of one version within a pane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlicePane {
    pub predictions: u64,
    /// Binary: scores at arrival.
    pub scores: Option<ScoreCells>,
    /// Labelled predictions by the deadline that still saw the label; see `labels::contributions`.
    pub stages: Vec<Option<PerformanceCells>>,
}

/// One version within a pane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VersionPane {
    /// One a feature, in the model's order; empty when there is no profile or when they are gone.
    pub features: Vec<FeatureSketch>,
    pub score: FeatureSketch,
    pub classes: FeatureSketch,
    /// Sorted; the whole model first.
    pub slices: Vec<(SliceKey, SlicePane)>,
    /// First and last Kafka offset of the predictions, by partition.
    pub offsets: Vec<(i32, i64, i64)>,
    /// The whole model's predictions as they are expected to turn out; `None` without a
    /// calibration. A section of its own in the checkpoint.
    #[serde(skip)]
    pub expected: Option<Box<ExpectedCells>>,
    /// Regression: the losses that a model of losses expects; in the same section.
    #[serde(skip)]
    pub losses: Option<Box<PredictedLosses>>,
}

/// What a checkpoint holds of the expectations of one version.
pub type SavedExpected = (u16, Option<Box<ExpectedCells>>, Option<Box<PredictedLosses>>);

/// All versions of a model within a stretch of event time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pane {
    /// Position in the shard's list of versions; sorted.
    pub versions: Vec<(u16, VersionPane)>,
    /// Grows with every change; only for noticing that something changed.
    pub revision: u64,
}

/// Up to where panes have been rolled up or dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// For each level: panes that start before this are in the next level, or gone after the last.
    pub rolled: Vec<Timestamp>,
    /// Feature sketches of panes that start before this are gone.
    pub features: Timestamp,
}

/// A model's panes in one shard.
#[derive(Clone, Debug)]
pub struct PaneStore {
    shape: Arc<PaneShape>,
    panes: BTreeMap<PaneKey, Slot>,
    released: Released,
    /// Panes changed since the last checkpoint, and since the monitor last looked.
    unsaved: Vec<PaneKey>,
    unseen: Vec<PaneKey>,
    scratch: Scratch,
}

/// A pane and the lists that it is already in.
#[derive(Clone, Debug, Default)]
struct Slot {
    pane: Pane,
    unsaved: bool,
    unseen: bool,
}

impl SlicePane {
    fn new(shape: &PaneShape, key: SliceKey) -> Self {
        let scores = matches!(shape.task, Task::Binary { .. })
            .then(|| ScoreCells::new(shape.weighted, resolution(key)));
        Self { predictions: 0, scores, stages: Vec::new() }
    }

    fn stage(&mut self, shape: &PaneShape, key: SliceKey, stage: usize) -> &mut PerformanceCells {
        if self.stages.len() <= stage {
            self.stages.resize(stage + 1, None);
        }
        self.stages[stage].get_or_insert_with(|| {
            PerformanceCells::new(&shape.task, shape.weighted, resolution(key))
        })
    }

    /// Adds another pane's slice, with its stages mapped to those of this pane's level.
    fn merge(&mut self, shape: &PaneShape, key: SliceKey, other: &Self, stages: &[usize]) {
        self.predictions += other.predictions;
        if let (Some(mine), Some(theirs)) = (&mut self.scores, &other.scores) {
            mine.merge(theirs);
        }
        for (stage, cells) in other.stages.iter().enumerate() {
            if let Some(cells) = cells {
                self.stage(shape, key, stages[stage]).merge(cells);
            }
        }
    }
}

/// The whole model has fine score bins, a slice coarse ones.
fn resolution(key: SliceKey) -> Resolution {
    if key.is_whole() { Resolution::Fine } else { Resolution::Coarse }
}

impl VersionPane {
    pub fn slice(&self, key: SliceKey) -> Option<&SlicePane> {
        let at = self.slices.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(&self.slices[at].1)
    }

    /// A version whose only prediction gave way to one of another partition has none.
    pub fn has_predictions(&self) -> bool {
        self.slice(SliceKey::WHOLE).is_some_and(|slice| slice.predictions > 0)
    }

    fn slice_mut(&mut self, shape: &PaneShape, key: SliceKey) -> &mut SlicePane {
        let at = match self.slices.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => at,
            Err(at) => {
                self.slices.insert(at, (key, SlicePane::new(shape, key)));
                at
            }
        };
        &mut self.slices[at].1
    }

    fn merge(&mut self, shape: &PaneShape, other: &Self, stages: &[usize]) {
        if let Some(theirs) = &other.expected {
            self.merge_expected(theirs);
        }
        if let Some(theirs) = &other.losses {
            self.losses.get_or_insert_default().merge(theirs);
        }
        merge_features(&mut self.features, &other.features);
        self.score.merge(&other.score);
        self.classes.merge(&other.classes);
        for (key, slice) in &other.slices {
            self.slice_mut(shape, *key).merge(shape, *key, slice, stages);
        }
        for (partition, first, last) in &other.offsets {
            self.note_offset(*partition, *first);
            self.note_offset(*partition, *last);
        }
    }

    fn note_offset(&mut self, partition: i32, offset: i64) {
        match self.offsets.iter_mut().find(|(known, ..)| *known == partition) {
            Some((_, first, last)) => (*first, *last) = ((*first).min(offset), (*last).max(offset)),
            None => {
                self.offsets.push((partition, offset, offset));
                self.offsets.sort_unstable();
            }
        }
    }

    fn drop_features(&mut self) {
        self.features = Vec::new();
        self.score = FeatureSketch::default();
        self.classes = FeatureSketch::default();
    }
}

impl Pane {
    pub fn version(&self, version: u16) -> Option<&VersionPane> {
        let at = self.versions.binary_search_by_key(&version, |(version, _)| *version).ok()?;
        Some(&self.versions[at].1)
    }

    fn version_mut(&mut self, version: u16) -> &mut VersionPane {
        let at = match self.versions.binary_search_by_key(&version, |(version, _)| *version) {
            Ok(at) => at,
            Err(at) => {
                self.versions.insert(at, (version, VersionPane::default()));
                at
            }
        };
        &mut self.versions[at].1
    }
}

impl PaneStore {
    pub fn new(shape: Arc<PaneShape>) -> Self {
        let released = Released {
            rolled: vec![Timestamp::MIN; shape.windows.levels.len()],
            features: Timestamp::MIN,
        };
        Self {
            shape,
            panes: BTreeMap::new(),
            released,
            unsaved: Vec::new(),
            unseen: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    pub fn shape(&self) -> &Arc<PaneShape> {
        &self.shape
    }

    pub fn released(&self) -> &Released {
        &self.released
    }

    /// The pane that holds a point of event time; `None` if its windows are all final.
    pub fn locate(&self, event_time: Timestamp) -> Option<PaneKey> {
        let windows = &self.shape.windows;
        windows.levels.iter().zip(&self.released.rolled).zip(0u8..).find_map(
            |((level, &rolled), index)| {
                let start = event_time.floor(level.width, windows.origin);
                (start >= rolled).then_some(PaneKey { level: index, start })
            },
        )
    }

    /// Panes that start in [from, to), finest level first.
    pub fn range(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (PaneKey, &Pane)> {
        (0..self.shape.windows.levels.len() as u8).flat_map(move |level| {
            self.panes
                .range(PaneKey { level, start: from }..PaneKey { level, start: to })
                .map(|(key, slot)| (*key, &slot.pane))
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (PaneKey, &Pane)> {
        self.panes.iter().map(|(key, slot)| (*key, &slot.pane))
    }

    pub fn len(&self) -> usize {
        self.panes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }

    /// For a change; `shown` if a window shows it.
    fn touch(&mut self, key: PaneKey, shown: bool) -> (&PaneShape, &mut Pane) {
        let slot = self.panes.entry(key).or_default();
        slot.pane.revision += 1;
        if shown && !slot.unseen {
            slot.unseen = true;
            self.unseen.push(key);
        }
        if !slot.unsaved {
            slot.unsaved = true;
            self.unsaved.push(key);
        }
        (&self.shape, &mut slot.pane)
    }

    /// Counts predictions in their slices, or takes them out again.
    pub fn count_predictions<'a, S: Iterator<Item = SliceKey>>(
        &mut self,
        key: PaneKey,
        version: u16,
        predictions: impl ExactSizeIterator<Item = (S, &'a ScoredPrediction, Sign)>,
    ) {
        if predictions.len() == 0 {
            return;
        }
        let (shape, pane) = self.touch(key, true);
        let pane = pane.version_mut(version);
        for (slices, prediction, sign) in predictions {
            for slice in std::iter::once(SliceKey::WHOLE).chain(slices) {
                let slice = pane.slice_mut(shape, slice);
                match sign {
                    Sign::Add => slice.predictions += 1,
                    Sign::Remove => slice.predictions = slice.predictions.saturating_sub(1),
                }
                if let Some(scores) = &mut slice.scores {
                    scores.add(prediction, sign);
                }
            }
        }
    }

    /// Takes up predictions as they are expected to turn out, or takes them out again.
    pub fn expect(
        &mut self,
        key: PaneKey,
        version: u16,
        estimator: &Estimator,
        rows: &[(ExpectedRow, Sign)],
    ) {
        if !rows.is_empty() {
            let (shape, pane) = self.touch(key, true);
            pane.version_mut(version).expect(shape, estimator, rows);
        }
    }

    /// Folds the features, scores and classes of some rows of a batch into a pane.
    pub fn fold(
        &mut self,
        key: PaneKey,
        version: u16,
        layout: &ProfileLayout,
        batch: &PredictionBatch,
        classes: &[ClassCode],
        rows: &[u32],
    ) {
        if rows.is_empty() || key.start < self.released.features {
            return;
        }
        let pane = self.touch(key, true).1.version_mut(version);
        if pane.features.len() < batch.features.len() {
            pane.features.resize_with(batch.features.len(), FeatureSketch::default);
        }
        for ((sketch, layout), column) in
            pane.features.iter_mut().zip(&layout.features).zip(&batch.features)
        {
            if let Some(layout) = layout {
                sketch.fold(layout, column, rows);
            }
        }
        for &row in rows {
            pane.note_offset(batch.partition, batch.offsets[row as usize]);
        }
        if let Some(models) = &layout.losses {
            pane.expect_losses(models, batch, rows);
        }
        if let Some(layout) = &layout.score {
            pane.score.fold_numbers(layout, &batch.scores, rows);
        }
        if let Some(layout) = &layout.classes {
            pane.classes.fold_classes(layout, classes, rows);
        }
    }

    /// Adds a label's contributions to the slices of its prediction.
    pub fn apply(
        &mut self,
        key: PaneKey,
        version: u16,
        slices: impl Iterator<Item = SliceKey> + Clone,
        event_time: Timestamp,
        expecting: Option<&Expecting<'_>>,
        contributions: impl Iterator<Item = (Contribution, Terms)>,
    ) {
        let mut scratch = std::mem::take(&mut self.scratch);
        stages_into(&self.shape.windows, key.level, event_time, &mut scratch);
        let (shape, pane) = self.touch(key, true);
        let pane = pane.version_mut(version);
        if let Some(expecting) = expecting {
            pane.delayed(shape, expecting);
        }
        for (contribution, terms) in contributions {
            let stage = scratch.stages.get(contribution.stage).copied().unwrap_or(0);
            let sign = if contribution.add { Sign::Add } else { Sign::Remove };
            if let Some(expecting) = expecting {
                pane.settle(shape, expecting, sign);
            }
            for slice in std::iter::once(SliceKey::WHOLE).chain(slices.clone()) {
                pane.slice_mut(shape, slice).stage(shape, slice, stage).add_terms(&terms, sign);
            }
        }
        self.scratch = scratch;
    }

    /// Rolls up, drops features and drops panes as far as given, never back.
    pub fn release(&mut self, to: &Released) {
        for level in 0..self.released.rolled.len() {
            let (from, until) = (self.released.rolled[level], to.rolled[level]);
            if until <= from {
                continue;
            }
            self.released.rolled[level] = until;
            let level = level as u8;
            let keys: Vec<PaneKey> = self
                .panes
                .range(PaneKey { level, start: Timestamp::MIN }..PaneKey { level, start: until })
                .map(|(key, _)| *key)
                .collect();
            for key in keys {
                self.roll_up(key);
            }
        }
        if to.features > self.released.features {
            self.released.features = to.features;
            for (key, slot) in &mut self.panes {
                let versions = &mut slot.pane.versions;
                if key.start >= to.features
                    || versions.iter().all(|(_, version)| version.features.is_empty())
                {
                    continue;
                }
                versions.iter_mut().for_each(|(_, version)| version.drop_features());
                if !slot.unsaved {
                    slot.unsaved = true;
                    self.unsaved.push(*key);
                }
            }
        }
    }

    fn roll_up(&mut self, key: PaneKey) {
        let Some(Slot { pane, unsaved, .. }) = self.panes.remove(&key) else { return };
        if !unsaved {
            self.unsaved.push(key);
        }
        let shape = Arc::clone(&self.shape);
        let windows = &shape.windows;
        let next = usize::from(key.level) + 1;
        let Some(level) = windows.levels.get(next) else { return };
        let start = key.start.floor(level.width, windows.origin);
        let above = PaneKey { level: next as u8, start };
        let mine = stages(windows, key.level, key.start);
        let theirs = stages(windows, above.level, key.start);
        // Stage i of this pane came from the first full stage that maps to it.
        let map: Vec<usize> = (0..=mine.last().copied().unwrap_or(0))
            .map(|stage| {
                let full = mine.iter().position(|&mapped| mapped == stage).unwrap_or(0);
                theirs[full]
            })
            .collect();
        let (_, target) = self.touch(above, false);
        for (version, from) in &pane.versions {
            target.version_mut(*version).merge(&shape, from, &map);
        }
    }

    pub fn get(&self, key: PaneKey) -> Option<&Pane> {
        self.panes.get(&key).map(|slot| &slot.pane)
    }

    /// Puts back what a checkpoint holds of a pane.
    pub fn restore(&mut self, key: PaneKey, pane: Option<Pane>) {
        match pane {
            Some(pane) => {
                self.unseen.push(key);
                self.panes.insert(key, Slot { pane, unsaved: false, unseen: true });
            }
            None => {
                self.panes.remove(&key);
            }
        }
    }

    /// Puts back the expectations of a pane that has just been put back.
    pub fn restore_expected(&mut self, key: PaneKey, expected: Vec<SavedExpected>) {
        let Some(slot) = self.panes.get_mut(&key) else { return };
        for (version, cells, losses) in expected {
            let pane = slot.pane.version_mut(version);
            (pane.expected, pane.losses) = (cells, losses);
        }
    }

    pub fn restore_released(&mut self, released: Released) {
        self.released = released;
    }
}
