//! Our state for one co-partition: the inputs' progress, the join, the panes, the tally.
//!
//! A batch goes in; the models' partials come out. Every row that enters ends in exactly one
//! counted outcome or is still pending or waiting: `audit` checks it.

use super::event::{LabelBatch, ModelIndex, Position, PredictionBatch};
use super::join::Arriving;
use super::model_shard::{ModelContext, ModelShard, Reads};
use super::outcome::{InputTally, LabelOutcome, LabelTally};
use super::spec::TimeSpec;
use super::time::{Span, Timestamp};
use super::waiting::{Outcomes, Values, Waiting, WaitingLabel};
use super::watermark::{Confirmed, Progress, closing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Topics that models link, and the models: one co-partition group.
#[derive(Debug)]
pub struct GroupSpec {
    pub name: Arc<str>,
    pub models: Vec<GroupModel>,
    pub prediction_topics: Vec<PredictionTopicSpec>,
    pub label_topics: Vec<LabelTopicSpec>,
    /// One shard holds all partitions, because ids are not in the same partition of all topics.
    pub spread: bool,
}

/// A model of a group.
#[derive(Debug)]
pub struct GroupModel {
    pub index: ModelIndex,
    pub context: Arc<ModelContext>,
    /// Position in `prediction_topics`.
    pub predictions: usize,
    pub labels: Option<LabelsOf>,
}

/// Where a model's labels come from.
#[derive(Clone, Copy, Debug)]
pub struct LabelsOf {
    /// Position in `label_topics`.
    pub topic: usize,
    /// The column of its batches that this model reads.
    pub column: usize,
    /// The model's position among those that read the topic.
    pub listener: usize,
}

#[derive(Debug)]
pub struct PredictionTopicSpec {
    pub topic: Arc<str>,
}

#[derive(Debug)]
pub struct LabelTopicSpec {
    pub topic: Arc<str>,
    /// The greatest of its models'.
    pub future_tolerance: Span,
    /// Labels waiting beyond this many are shed.
    pub waiting_max: u64,
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InputKey {
    pub side: Side,
    /// Position in the group's list of topics of that side.
    pub topic: u16,
    pub partition: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Side {
    Predictions,
    Labels,
}

/// How far one partition has been read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// The first offset that has not been read.
    pub next_offset: Option<i64>,
    /// Over all records of the partition.
    pub progress: Progress,
    /// Predictions: of each model by position in the group.
    pub models: Vec<Progress>,
    pub confirmed: Confirmed,
    pub tally: InputTally,
}

/// One co-partition's state.
#[derive(Clone)]
pub struct Shard {
    pub spec: Arc<GroupSpec>,
    pub inputs: BTreeMap<InputKey, Input>,
    pub models: Vec<ModelShard>,
    /// By label topic.
    pub(super) waiting: Vec<Waiting>,
    pub label_tallies: Vec<LabelTally>,
    newest_before: Vec<Vec<Progress>>,
    /// By label topic: labels that wait in the process's other shards.
    waiting_elsewhere: Vec<u64>,
}

/// What the other shards of the process hold: the limits are for all of them together.
#[derive(Clone, Debug)]
pub struct Taken {
    /// By model: predictions.
    pub predictions: Vec<u64>,
    /// By label topic: waiting labels.
    pub labels: Vec<u64>,
}

impl Shard {
    /// A shard that has read nothing of these partitions.
    pub fn new(spec: Arc<GroupSpec>, inputs: impl IntoIterator<Item = InputKey>) -> Self {
        let models = spec
            .models
            .iter()
            .map(|model| {
                ModelShard::new(Arc::clone(&model.context), model.labels.is_some(), spec.spread)
            })
            .collect();
        let mut shard = Self {
            models,
            inputs: BTreeMap::new(),
            waiting: spec.label_topics.iter().map(|_| Waiting::default()).collect(),
            label_tallies: spec.label_topics.iter().map(|_| LabelTally::default()).collect(),
            newest_before: Vec::new(),
            waiting_elsewhere: vec![0; spec.label_topics.len()],
            spec,
        };
        for key in inputs {
            shard.input(key);
        }
        shard
    }

    /// The state of an input; a new one if it was not there.
    pub fn input(&mut self, key: InputKey) -> &mut Input {
        let models = self.spec.models.len();
        self.inputs.entry(key).or_insert_with(|| Input {
            models: vec![Progress::default(); models],
            ..Input::default()
        })
    }

    /// Labels waiting for predictions, of one label topic.
    pub fn waiting(&self, topic: usize) -> usize {
        self.waiting[topic].len()
    }

    /// Leaves less room, as the limits count what the process's other shards hold too.
    pub fn taken_elsewhere(&mut self, taken: &Taken) {
        for (model, held) in self.models.iter_mut().zip(&taken.predictions) {
            model.held_elsewhere = *held;
        }
        self.waiting_elsewhere.clone_from(&taken.labels);
    }

    /// Takes up rows of one partition of a prediction topic, one batch a model.
    pub fn apply_predictions(
        &mut self,
        key: InputKey,
        batches: &[PredictionBatch],
        counted: &InputTally,
        next_offset: i64,
    ) {
        self.input(key);
        let Some(input) = self.inputs.get_mut(&key) else { return };
        input.next_offset = Some(next_offset);
        input.tally.add(counted);
        let models: Vec<Option<usize>> = batches
            .iter()
            .map(|batch| self.spec.models.iter().position(|model| model.index == batch.model))
            .collect();
        observe(&self.spec, input, batches, &models, &mut self.newest_before);
        for ((batch, at), newest_before) in batches.iter().zip(models).zip(&self.newest_before) {
            let Some(at) = at else { continue };
            let waiting = self.spec.models[at].labels.map(|labels| Reads {
                waiting: &mut self.waiting[labels.topic],
                column: labels.column,
                listener: labels.listener,
            });
            self.models[at].apply(batch, newest_before, waiting);
        }
    }

    /// Takes up rows of one partition of a label topic, in log order.
    pub fn apply_labels(
        &mut self,
        key: InputKey,
        batch: &LabelBatch,
        counted: &InputTally,
        next_offset: i64,
    ) {
        let input = self.input(key);
        input.next_offset = Some(next_offset);
        input.tally.add(counted);
        let mut progress = input.progress;
        let topic = usize::from(key.topic);
        self.waiting[topic].fetch(&batch.ids);
        for (model, shard) in self.spec.models.iter().zip(&self.models) {
            if model.labels.is_some_and(|labels| labels.topic == topic) {
                shard.join.fetch(&batch.ids);
            }
        }
        for row in 0..batch.len() {
            self.apply_label(topic, batch, row, &mut progress);
        }
        self.input(key).progress = progress;
    }

    fn apply_label(
        &mut self,
        topic: usize,
        batch: &LabelBatch,
        row: usize,
        progress: &mut Progress,
    ) {
        let spec = Arc::clone(&self.spec);
        let event_time = batch.event_times[row];
        let tolerance = spec.label_topics[topic].future_tolerance;
        if event_time > batch.record_times[row] + tolerance {
            self.label_tallies[topic].count(LabelOutcome::TooFarInFuture);
            return;
        }
        let newest_before = progress.newest;
        progress.observe(event_time);
        let position = Position {
            partition: batch.partition,
            offset: batch.offsets[row],
            row: batch.rows[row],
        };
        let mut outcomes = Outcomes::new(spec.listeners(topic));
        for (model, shard) in spec.models.iter().zip(&mut self.models) {
            let Some(labels) = model.labels.filter(|labels| labels.topic == topic) else {
                continue;
            };
            let Some(value) = batch.values[labels.column].values[row] else { continue };
            let out_of_orderness = model.context.spec.time.out_of_orderness;
            let outcome = shard.meet(&Arriving {
                id: batch.ids[row],
                value,
                event_time,
                own: Progress { newest: newest_before }.own(out_of_orderness),
                position,
            });
            outcomes.note(labels.listener, outcome);
        }
        let waiting = self.waiting[topic].len() as u64 + self.waiting_elsewhere[topic];
        let full = waiting >= spec.label_topics[topic].waiting_max;
        if event_time < self.waiting_limit(topic) {
            self.count_label(topic, outcomes.best(), &outcomes);
        } else if full {
            let best = outcomes.best();
            let shed = best == LabelOutcome::NoPrediction;
            self.count_label(topic, if shed { LabelOutcome::Shed } else { best }, &outcomes);
        } else {
            self.waiting[topic].insert(WaitingLabel {
                id: batch.ids[row],
                event_time,
                newest_before,
                position,
                values: Values::new(batch.values.iter().map(|column| column.values[row])),
                outcomes,
            });
        }
    }

    /// A label's row has ended, for its topic and for each of the topic's models.
    fn count_label(&mut self, topic: usize, outcome: LabelOutcome, outcomes: &Outcomes) {
        self.label_tallies[topic].count(outcome);
        count_for_models(&self.spec, &mut self.models, topic, outcomes);
    }

    /// Labels with an event time before this can meet no later prediction.
    fn waiting_limit(&self, topic: usize) -> Timestamp {
        self.spec
            .models
            .iter()
            .zip(&self.models)
            .filter(|(model, _)| model.labels.is_some_and(|labels| labels.topic == topic))
            .map(|(model, shard)| {
                let spec = &model.context.spec;
                shard.partial.predictions_closing - spec.join.lead - spec.time.allowed_lateness
            })
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// The broker said that we stand at the end of a partition that was not paused.
    pub fn confirm(&mut self, key: InputKey, at: Timestamp) {
        self.input(key).confirmed.at(at);
    }

    /// Moves the closing watermarks on, settles what they settle.
    pub fn advance(&mut self) {
        let spec = Arc::clone(&self.spec);
        for (at, model) in spec.models.iter().enumerate() {
            let predictions = self.predictions_closing(at, model);
            let (labels, silent_to) = match model.labels {
                Some(labels) => self.labels_closing(labels.topic, model),
                None => (predictions, None),
            };
            self.models[at].advance(predictions, labels, silent_to);
        }
        for topic in 0..self.waiting.len() {
            let limit = self.waiting_limit(topic);
            let (tally, models) = (&mut self.label_tallies[topic], &mut self.models);
            self.waiting[topic].advance(limit, |outcomes| {
                tally.count(outcomes.best());
                count_for_models(&spec, models, topic, outcomes);
            });
        }
    }

    fn inputs_of(&self, side: Side, topic: usize) -> impl Iterator<Item = &Input> {
        self.inputs
            .iter()
            .filter(move |(key, _)| key.side == side && usize::from(key.topic) == topic)
            .map(|(_, input)| input)
    }

    fn predictions_closing(&self, at: usize, model: &GroupModel) -> Timestamp {
        let time = &model.context.spec.time;
        let shared =
            self.spec.models.iter().filter(|other| other.predictions == model.predictions).count()
                > 1;
        self.inputs_of(Side::Predictions, model.predictions)
            .map(|input| {
                let partition = shared.then_some(&input.progress);
                closing(&input.models[at], partition, &input.confirmed, time)
            })
            .min()
            .unwrap_or(Timestamp::MIN)
    }

    /// The labels' closing watermark. A silent partition's stands still; then also up to where all
    /// partitions are known to hold no more labels: there predictions may be let go.
    fn labels_closing(&self, topic: usize, model: &GroupModel) -> (Timestamp, Option<Timestamp>) {
        let spec = &model.context.spec;
        let (mut least, mut known) = (Timestamp::MAX, Timestamp::MAX);
        let (mut inputs, mut silent) = (0, false);
        for input in self.inputs_of(Side::Labels, topic) {
            let confirmed = closing(&input.progress, None, &input.confirmed, &spec.time);
            let quiet =
                spec.join.silent_after.is_some_and(|after| is_silent(input, after, &spec.time));
            let frozen = input.progress.own(spec.time.out_of_orderness);
            least = least.min(if quiet { frozen } else { confirmed });
            known = known.min(confirmed);
            silent |= quiet;
            inputs += 1;
        }
        if inputs == 0 {
            return (Timestamp::MIN, None);
        }
        (least, silent.then_some(known))
    }

    /// Rows that have ended, of all models and label topics: it grows when an advance settles some.
    pub fn ended(&self) -> u64 {
        let predictions = self.models.iter().map(|model| model.partial.tally.terminal());
        let labels = self.label_tallies.iter().map(LabelTally::terminal);
        predictions.chain(labels).sum()
    }

    /// Checks that every row read is accounted for; says where it is not.
    pub fn audit(&self) -> Result<(), String> {
        for topic in 0..self.spec.prediction_topics.len() {
            let read: u64 =
                self.inputs_of(Side::Predictions, topic).map(|input| input.tally.read).sum();
            let mut ended: u64 =
                self.inputs_of(Side::Predictions, topic).map(|input| input.tally.terminal()).sum();
            let mut pending = 0;
            for (model, shard) in self.spec.models.iter().zip(&self.models) {
                if model.predictions == topic {
                    ended += shard.partial.tally.terminal();
                    pending += shard.join.pending() as u64;
                }
            }
            if read != ended + pending {
                let topic = &self.spec.prediction_topics[topic].topic;
                return Err(format!("{topic}: read {read} != ended {ended} + pending {pending}"));
            }
        }
        for (topic, tally) in self.label_tallies.iter().enumerate() {
            let read: u64 = self.inputs_of(Side::Labels, topic).map(|input| input.tally.read).sum();
            let ended: u64 = tally.terminal()
                + self.inputs_of(Side::Labels, topic).map(|i| i.tally.terminal()).sum::<u64>();
            let waiting = self.waiting[topic].len() as u64;
            if read != ended + waiting {
                let topic = &self.spec.label_topics[topic].topic;
                return Err(format!("{topic}: read {read} != ended {ended} + waiting {waiting}"));
            }
        }
        Ok(())
    }
}

impl GroupSpec {
    /// How many models read a label topic.
    fn listeners(&self, topic: usize) -> usize {
        self.models.iter().filter(|m| m.labels.is_some_and(|l| l.topic == topic)).count()
    }
}

fn count_for_models(
    spec: &GroupSpec,
    models: &mut [ModelShard],
    topic: usize,
    outcomes: &Outcomes,
) {
    for (model, shard) in spec.models.iter().zip(models) {
        if let Some(labels) = model.labels.filter(|labels| labels.topic == topic) {
            shard.partial.label_tally.count(outcomes.as_slice()[labels.listener]);
        }
    }
}

/// Moves a partition's progress on over the rows of all its models in log order, and notes for each
/// row how far the partition had come just before it: that alone decides lateness.
fn observe(
    spec: &GroupSpec,
    input: &mut Input,
    batches: &[PredictionBatch],
    models: &[Option<usize>],
    newest_before: &mut Vec<Vec<Progress>>,
) {
    newest_before.resize_with(batches.len(), Vec::new);
    newest_before.iter_mut().for_each(Vec::clear);
    let position = |batch: usize, row: usize| {
        let batch: &PredictionBatch = &batches[batch];
        Some((*batch.offsets.get(row)?, *batch.rows.get(row)?))
    };
    let next = |newest_before: &[Vec<Progress>]| match batches.len() {
        1 => Some(0).filter(|_| newest_before[0].len() < batches[0].len()),
        count => (0..count)
            .filter_map(|batch| Some((position(batch, newest_before[batch].len())?, batch)))
            .min()
            .map(|(_, batch)| batch),
    };
    while let Some(batch) = next(newest_before) {
        let row = newest_before[batch].len();
        newest_before[batch].push(input.progress);
        let Some(model) = models[batch] else { continue };
        let tolerance = spec.models[model].context.spec.time.future_tolerance;
        let (batch, event_time) = (&batches[batch], batches[batch].event_times[row]);
        if event_time <= batch.record_times[row] + tolerance {
            input.progress.observe(event_time);
            input.models[model].observe(event_time);
        }
    }
}

/// A label partition is silent if its newest label lies too far behind the confirmed log end.
fn is_silent(input: &Input, after: Span, time: &TimeSpec) -> bool {
    let Some(confirmed) = input.confirmed.0 else { return false };
    input.progress.newest.is_none_or(|newest| confirmed - time.out_of_orderness - newest > after)
}
