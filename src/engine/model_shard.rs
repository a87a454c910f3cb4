//! One model within one shard: its join, its panes, its tally.

use super::counters::{DelayHistogram, PairTerms, VersionCounters};
use super::event::{ClassCode, Position, PredictionBatch};
use super::expecting::Expecting;
use super::join::{Arriving, Change, Insert, Join, Pending, Place, Release};
pub use super::model_context::ModelContext;
use super::model_context::probabilities;
use super::outcome::{LabelOutcome, LabelTally, PredictionOutcome, PredictionTally};
use super::outputs::{Outputs, Ranked};
use super::pane::{PaneKey, PaneShape, PaneStore};
use super::sketch::{ExpectedRow, ScoredPrediction, Sign};
use super::slice::{Codes, SliceKey};
use super::spec::Task;
use super::time::Timestamp;
use super::waiting::Waiting;
use super::watermark::Progress;
use std::sync::Arc;

/// Versions beyond the model's maximum count as this one.
pub const OTHER_VERSION: &str = "OTHER";
/// Shown for predictions without a version.
pub const NO_VERSION: &str = "unversioned";

/// What one shard knows of a model: the part that the monitor merges.
#[derive(Clone, Debug)]
pub struct Partial {
    /// In order of first appearance in this shard.
    pub versions: Vec<String>,
    pub panes: PaneStore,
    pub tally: PredictionTally,
    /// Label rows by how they ended for this model.
    pub label_tally: LabelTally,
    /// One a version.
    pub counters: Vec<VersionCounters>,
    pub delay: DelayHistogram,
    /// Closing watermarks; they never go back.
    pub predictions_closing: Timestamp,
    pub labels_closing: Timestamp,
    /// A label partition has been quiet for longer than `silent_after`, as of the last advance.
    pub labels_silent: bool,
    /// Unlabelled predictions held.
    pub pending: u64,
}

/// One model's state in one shard.
#[derive(Clone)]
pub struct ModelShard {
    pub context: Arc<ModelContext>,
    pub partial: Partial,
    pub(super) join: Join,
    pub(super) outputs: Outputs,
    /// Whether there is a label topic to join with.
    joined: bool,
    /// Predictions held in the process's other shards: `pending_max` is for all of them.
    pub(super) held_elsewhere: u64,
    groups: Vec<Group>,
    classes: Vec<ClassCode>,
}

/// How a model reads the labels that wait.
pub struct Reads<'a> {
    pub waiting: &'a mut Waiting,
    /// Which of a label's values.
    pub column: usize,
    /// The model's position among those of the label topic.
    pub listener: usize,
}

/// Rows of a batch that fall into the same pane and version.
#[derive(Clone, Debug)]
struct Group {
    key: PaneKey,
    version: u16,
    /// Whose features are folded.
    rows: Vec<u32>,
    /// Predictions that enter the pane or leave it, in the order of the log.
    counted: Vec<(Codes, ScoredPrediction, Sign)>,
    /// The same as they are expected to turn out; empty without a calibration.
    expected: Vec<(ExpectedRow, Sign)>,
}

impl Partial {
    pub fn new(shape: Arc<PaneShape>) -> Self {
        Self {
            versions: Vec::new(),
            panes: PaneStore::new(shape),
            tally: PredictionTally::default(),
            label_tally: LabelTally::default(),
            counters: Vec::new(),
            delay: DelayHistogram::default(),
            predictions_closing: Timestamp::MIN,
            labels_closing: Timestamp::MIN,
            labels_silent: false,
            pending: 0,
        }
    }

    pub fn version_index(&self, version: &str) -> Option<u16> {
        self.versions.iter().position(|known| known == version).map(|at| at as u16)
    }

    fn intern(&mut self, version: &str, versions_max: usize) -> u16 {
        let version = if version.is_empty() { NO_VERSION } else { version };
        if let Some(index) = self.version_index(version) {
            return index;
        }
        if self.versions.len() >= versions_max && version != OTHER_VERSION {
            return self.intern(OTHER_VERSION, versions_max);
        }
        self.versions.push(version.to_owned());
        self.counters.push(VersionCounters::default());
        self.versions.len() as u16 - 1
    }

    /// Takes up what a label changed.
    fn settle(&mut self, context: &ModelContext, outputs: &Outputs, change: &Change<'_>) {
        let prediction = change.prediction;
        let keys = context.slicer.keys(prediction.codes);
        if let Some(key) = self.panes.locate(prediction.event_time) {
            let version = &self.versions[usize::from(prediction.version)];
            let row = |classes| outputs.get(prediction.output).map(|ranked| ranked.row(classes));
            let expecting = context.expecting(version, prediction, row);
            let expecting = expecting.map(|expecting| expecting.with_label(change));
            let terms = change
                .contributions
                .iter()
                .map(|change| (*change, context.terms(outputs, prediction, change.value)));
            let (version, at) = (prediction.version, prediction.event_time);
            self.panes.apply(key, version, keys.clone(), at, expecting.as_ref(), terms);
        }
        let counters = &mut self.counters[usize::from(prediction.version)];
        counters.corrections += u64::from(change.corrected);
        let Some(first) = change.first.filter(|_| !prediction.place.is_counted()) else { return };
        self.tally.count(if first.implicit {
            counters.implicit += 1;
            PredictionOutcome::Implicit
        } else {
            self.delay.observe(first.delay);
            PredictionOutcome::Matched
        });
        let predicted = match context.spec.task {
            Task::Multiclass { .. } => f64::NAN,
            _ => f64::from_bits(prediction.output),
        };
        let pair = PairTerms::of(prediction.class, predicted, first.value);
        for key in std::iter::once(SliceKey::WHOLE).chain(keys) {
            counters.slices.entry(key).or_default().pair(&pair);
        }
    }
}

impl ModelShard {
    pub fn new(context: Arc<ModelContext>, joined: bool, spread: bool) -> Self {
        let spec = &context.spec;
        Self {
            partial: Partial::new(Arc::clone(&context.shape)),
            join: Join::new(spec.join, spec.time, Arc::clone(&context.windows), spread),
            outputs: Outputs::default(),
            joined,
            held_elsewhere: 0,
            groups: Vec::new(),
            classes: Vec::new(),
            context,
        }
    }

    /// Predictions held, with or without a label.
    pub fn held(&self) -> usize {
        self.join.held()
    }

    /// Takes up a batch of predictions. `newest_before` says how far the partition had come before
    /// each row; `waiting` are the labels that came first.
    pub fn apply(
        &mut self,
        batch: &PredictionBatch,
        newest_before: &[Progress],
        waiting: Option<Reads<'_>>,
    ) {
        assert_eq!(newest_before.len(), batch.len(), "one for each row");
        let mut waiting = waiting;
        self.groups.clear();
        self.classes.clear();
        self.join.fetch(&batch.ids);
        if let Some(reads) = &waiting {
            reads.waiting.fetch(&batch.ids);
        }
        for (row, &newest_before) in (0..batch.len()).zip(newest_before) {
            let class = self.context.decision(batch, row);
            self.classes.push(class);
            let outcome = self.accept(batch, row, newest_before, waiting.as_mut());
            if let Some(outcome) = outcome {
                self.partial.tally.count(outcome);
            }
        }
        for group in &self.groups {
            let version = &self.partial.versions[usize::from(group.version)];
            let (layout, _) = self.context.layouts.of(version);
            let counted = group
                .counted
                .iter()
                .map(|(codes, scored, sign)| (self.context.slicer.keys(*codes), scored, *sign));
            self.partial.panes.count_predictions(group.key, group.version, counted);
            if let Some(estimator) = self.context.layouts.estimator(version) {
                let (key, version) = (group.key, group.version);
                self.partial.panes.expect(key, version, estimator, &group.expected);
            }
            self.partial.panes.fold(
                group.key,
                group.version,
                layout,
                batch,
                &self.classes,
                &group.rows,
            );
        }
        self.partial.pending = self.join.pending() as u64;
    }

    /// Takes up one row; `None` if it is held and its outcome comes later.
    fn accept(
        &mut self,
        batch: &PredictionBatch,
        row: usize,
        newest_before: Progress,
        waiting: Option<&mut Reads<'_>>,
    ) -> Option<PredictionOutcome> {
        let event_time = batch.event_times[row];
        let (time, join) = (self.context.spec.time, self.context.spec.join);
        if event_time > batch.record_times[row] + time.future_tolerance {
            return Some(PredictionOutcome::TooFarInFuture);
        }
        if join.start.is_some_and(|start| event_time < start) {
            return Some(PredictionOutcome::BeforeStart);
        }
        if newest_before.own(time.out_of_orderness) > event_time + time.allowed_lateness {
            return Some(PredictionOutcome::Late);
        }
        let version = self.partial.intern(batch.versions.get(row), self.context.spec.versions_max);
        let mut prediction = self.pending(batch, row, version);
        let full = self.join.held() as u64 + self.held_elsewhere >= join.pending_max;
        // What is held already takes no more room.
        if !self.joined || (full && self.join.holder(&prediction).is_none()) {
            self.count(batch, row, &prediction);
            self.free(&prediction);
            let joined = self.joined;
            return Some(if joined {
                PredictionOutcome::Shed
            } else {
                PredictionOutcome::NotJoined
            });
        }
        if matches!(self.context.spec.task, Task::Multiclass { .. }) {
            let classes = self.context.spec.task.class_count();
            prediction.output = self.outputs.put(Ranked::new(probabilities(batch, row, classes)));
        }
        let position = Position {
            partition: batch.partition,
            offset: batch.offsets[row],
            row: batch.rows[row],
        };
        let (context, partial, outputs) = (&self.context, &mut self.partial, &self.outputs);
        let inserted = self.join.insert(prediction, position, &mut |change| {
            partial.settle(context, outputs, &change);
        });
        match inserted {
            Insert::Duplicate => {
                self.free(&prediction);
                return Some(PredictionOutcome::Duplicate);
            }
            Insert::DuplicateElsewhere => {
                // Features are not kept, so they cannot be taken back: every partition's first is
                // folded.
                if let Some(group) = self.group(&prediction) {
                    group.rows.push(row as u32);
                }
                self.free(&prediction);
                return Some(PredictionOutcome::Duplicate);
            }
            Insert::Replaces(old) => self.uncount(&old),
            Insert::Accepted => {}
        }
        self.count(batch, row, &prediction);
        if let Some(reads) = waiting {
            self.offer(reads, prediction.id);
        }
        matches!(inserted, Insert::Replaces(_)).then_some(PredictionOutcome::Duplicate)
    }

    fn pending(&self, batch: &PredictionBatch, row: usize, version: u16) -> Pending {
        Pending {
            id: batch.ids[row],
            codes: self.context.slicer.codes(batch, row),
            event_time: batch.event_times[row],
            output: batch.scores.get(row).map_or(0, |score| score.to_bits()),
            weight: batch.weights.get(row).copied().unwrap_or(1.0),
            version,
            class: self.classes[row],
            place: Place::default(),
        }
    }

    fn free(&mut self, prediction: &Pending) {
        if matches!(self.context.spec.task, Task::Multiclass { .. }) {
            self.outputs.free(prediction.output);
        }
    }

    fn scored(&self, prediction: &Pending) -> ScoredPrediction {
        ScoredPrediction {
            score: Some(f64::from_bits(prediction.output)),
            decision: prediction.class == 1,
            weight: prediction.weight,
        }
    }

    /// A prediction enters its pane at the end of the batch, and the counters at once.
    fn count(&mut self, batch: &PredictionBatch, row: usize, prediction: &Pending) {
        let scored = self.scored(prediction);
        let version = &self.partial.versions[usize::from(prediction.version)];
        let probabilities = |classes| Some(probabilities(batch, row, classes).to_vec());
        let expected = self.context.expecting(version, prediction, probabilities);
        let expected = expected.map(Expecting::into_row);
        if let Some(group) = self.group(prediction) {
            group.rows.push(row as u32);
            group.counted.push((prediction.codes, scored, Sign::Add));
            group.expected.extend(expected.map(|row| (row, Sign::Add)));
        }
        let keys = self.context.slicer.keys(prediction.codes);
        let counters = &mut self.partial.counters[usize::from(prediction.version)];
        counters.newest = counters.newest.max(prediction.event_time);
        for key in std::iter::once(SliceKey::WHOLE).chain(keys) {
            counters.slices.entry(key).or_default().predictions += 1;
        }
    }

    /// A prediction gave way to one of another partition: it leaves its pane, not the counters.
    fn uncount(&mut self, old: &Pending) {
        let scored = self.scored(old);
        let version = &self.partial.versions[usize::from(old.version)];
        let probabilities = |classes| Some(self.outputs.get(old.output)?.row(classes));
        let expected = self.context.expecting(version, old, probabilities);
        let expected = expected.map(Expecting::into_row);
        if let Some(group) = self.group(old) {
            group.counted.push((old.codes, scored, Sign::Remove));
            group.expected.extend(expected.map(|row| (row, Sign::Remove)));
        }
        self.free(old);
    }

    /// What the batch changes in a prediction's pane; `None` if that is gone.
    fn group(&mut self, prediction: &Pending) -> Option<&mut Group> {
        let key = self.partial.panes.locate(prediction.event_time)?;
        let version = prediction.version;
        let ours = |group: &Group| group.key == key && group.version == version;
        // The newest first: most rows fall where the one before them fell.
        let at = self.groups.iter().rposition(ours).unwrap_or_else(|| {
            self.groups.push(Group {
                key,
                version,
                rows: Vec::new(),
                counted: Vec::new(),
                expected: Vec::new(),
            });
            self.groups.len() - 1
        });
        Some(&mut self.groups[at])
    }

    /// Lets the labels that came first meet a new prediction.
    fn offer(&mut self, reads: &mut Reads<'_>, id: u128) {
        let out_of_orderness = self.context.spec.time.out_of_orderness;
        let column = reads.column;
        reads.waiting.offer(id, reads.listener, |label| {
            let Some(value) = label.values.get(column) else { return LabelOutcome::NoPrediction };
            let own = Progress { newest: label.newest_before }.own(out_of_orderness);
            self.meet(&Arriving {
                id,
                value,
                event_time: label.event_time,
                own,
                position: label.position,
            })
        });
    }

    /// Lets a label meet this model's predictions.
    pub fn meet(&mut self, label: &Arriving) -> LabelOutcome {
        let (context, partial, outputs) = (&self.context, &mut self.partial, &self.outputs);
        let outcome =
            self.join.meet(label, &mut |change| partial.settle(context, outputs, &change));
        self.partial.pending = self.join.pending() as u64;
        outcome
    }

    /// Gives no implicit labels while this is so.
    pub fn hold_implicit(&mut self, held: bool) {
        self.join.hold_implicit(held);
    }

    /// Moves the closing watermarks on and lets go of what they settle. While labels are silent
    /// `silent_to` is up to where it is known that none came.
    pub fn advance(
        &mut self,
        predictions: Timestamp,
        labels: Timestamp,
        silent_to: Option<Timestamp>,
    ) {
        let partial = &mut self.partial;
        partial.predictions_closing = partial.predictions_closing.max(predictions);
        partial.labels_closing = partial.labels_closing.max(labels);
        let (predictions, labels) = (partial.predictions_closing, partial.labels_closing);
        let (context, outputs) = (&self.context, &self.outputs);
        let (mut freed, mut expired) = (Vec::new(), 0u64);
        let multiclass = matches!(context.spec.task, Task::Multiclass { .. });
        let mut released = |prediction: &Pending, release: Release| {
            expired += u64::from(release == Release::Unlabelled && !prediction.place.is_counted());
            if multiclass {
                freed.push(prediction.output);
            }
        };
        self.join.advance(
            predictions,
            labels,
            &mut |change| partial.settle(context, outputs, &change),
            &mut released,
        );
        let mut in_silence = 0;
        partial.labels_silent = silent_to.is_some();
        if let Some(silent_to) = silent_to {
            self.join.expire_silent(predictions, silent_to, &mut |prediction, _| {
                in_silence += u64::from(!prediction.place.is_counted());
                if multiclass {
                    freed.push(prediction.output);
                }
            });
        }
        partial.tally.0[PredictionOutcome::ExpiredUnlabelled as usize] += expired;
        partial.tally.0[PredictionOutcome::ExpiredLabelsSilent as usize] += in_silence;
        partial.pending = self.join.pending() as u64;
        for slot in freed {
            self.outputs.free(slot);
        }
    }
}
