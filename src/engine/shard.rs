//! Our state for one co-partition: the inputs' progress, the join, the panes, the tally.
//!
//! A batch goes in; the models' partials come out. Every row that enters ends in exactly one counted
//! outcome or is still pending or waiting: `audit` checks it.

use super::event::{LabelBatch, ModelIndex, Position, PredictionBatch};
use super::join::Arriving;
use super::model_shard::{ModelContext, ModelShard};
use super::outcome::{InputTally, LabelOutcome, LabelTally};
use super::spec::TimeSpec;
use super::time::{Span, Timestamp};
use super::waiting::{Values, Waiting, WaitingLabel};
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
    /// Position in `label_topics`, and the column of its batches that this model reads.
    pub labels: Option<(usize, usize)>,
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

    /// Takes up rows of one partition of a prediction topic, model by model, in log order.
    pub fn apply_predictions<'a>(
        &mut self,
        key: InputKey,
        batches: impl IntoIterator<Item = &'a PredictionBatch>,
        counted: &InputTally,
        next_offset: i64,
    ) {
        self.input(key);
        let Some(input) = self.inputs.get_mut(&key) else { return };
        input.next_offset = Some(next_offset);
        input.tally.add(counted);
        for batch in batches {
            let Some(at) = self.spec.models.iter().position(|model| model.index == batch.model)
            else {
                continue;
            };
            let (model, own) = (&mut self.models[at], &mut input.models[at]);
            let waiting = self.spec.models[at]
                .labels
                .map(|(topic, column)| (&mut self.waiting[topic], column));
            model.apply(batch, own, waiting);
            if let Some(newest) = own.newest {
                input.progress.observe(newest);
            }
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
        for row in 0..batch.len() {
            self.apply_label(usize::from(key.topic), batch, row, &mut progress);
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
        let mut best = LabelOutcome::NoPrediction;
        for (model, shard) in spec.models.iter().zip(&mut self.models) {
            let Some(column) = model.labels.filter(|(own, _)| *own == topic).map(|(_, c)| c) else {
                continue;
            };
            let Some(value) = batch.values[column].values[row] else { continue };
            let out_of_orderness = model.context.spec.time.out_of_orderness;
            best = best.min(shard.meet(&Arriving {
                id: batch.ids[row],
                value,
                event_time,
                own: Progress { newest: newest_before }.own(out_of_orderness),
                position,
            }));
        }
        if event_time < self.waiting_limit(topic) {
            self.label_tallies[topic].count(best);
        } else if self.waiting[topic].len() as u64 >= spec.label_topics[topic].waiting_max {
            let shed = best == LabelOutcome::NoPrediction;
            self.label_tallies[topic].count(if shed { LabelOutcome::Shed } else { best });
        } else {
            self.waiting[topic].insert(WaitingLabel {
                id: batch.ids[row],
                event_time,
                newest_before,
                position,
                values: Values::new(batch.values.iter().map(|column| column.values[row])),
                best,
            });
        }
    }

    /// Labels with an event time before this can meet no later prediction.
    fn waiting_limit(&self, topic: usize) -> Timestamp {
        self.spec
            .models
            .iter()
            .zip(&self.models)
            .filter(|(model, _)| model.labels.is_some_and(|(own, _)| own == topic))
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
            let (labels, silent) = match model.labels {
                Some((topic, _)) => self.labels_closing(topic, model),
                None => (predictions, false),
            };
            self.models[at].advance(predictions, labels, silent);
        }
        for topic in 0..self.waiting.len() {
            let limit = self.waiting_limit(topic);
            self.waiting[topic].advance(limit, &mut self.label_tallies[topic]);
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

    /// The labels' closing watermark, and whether they are silent and confirmed at their end.
    fn labels_closing(&self, topic: usize, model: &GroupModel) -> (Timestamp, bool) {
        let spec = &model.context.spec;
        let mut silent = false;
        let closing = self
            .inputs_of(Side::Labels, topic)
            .map(|input| match spec.join.silent_after {
                Some(after) if is_silent(input, after, &spec.time) => {
                    silent = true;
                    input.progress.own(spec.time.out_of_orderness)
                }
                _ => closing(&input.progress, None, &input.confirmed, &spec.time),
            })
            .min()
            .unwrap_or(Timestamp::MIN);
        (closing, silent)
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

/// A label partition is silent if its newest label lies too far behind the confirmed log end.
fn is_silent(input: &Input, after: Span, time: &TimeSpec) -> bool {
    let Some(confirmed) = input.confirmed.0 else { return false };
    input.progress.newest.is_none_or(|newest| confirmed - time.out_of_orderness - newest > after)
}
