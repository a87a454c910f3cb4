//! The engine behind a scenario: logs, shards, monitors, and what of them is durable.

use super::header::{Setup, class, label_value};
use super::words::Words;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemark::engine::alarm::memory::Memory;
use tidemark::engine::effect::Effect;
use tidemark::engine::event::*;
use tidemark::engine::model_shard::Partial;
use tidemark::engine::monitor::{Monitor, MonitorState};
use tidemark::engine::outcome::InputTally;
use tidemark::engine::shard::{InputKey, Shard, Side};
use tidemark::engine::spec::{FeatureKind, Task};
use tidemark::engine::state::{Section, SnapshotKind};
use tidemark::engine::time::Timestamp;

#[derive(Clone)]
enum Record {
    Prediction(PredictionBatch),
    Label(LabelBatch),
}

pub struct Play {
    pub setup: Setup,
    pub shards: Vec<Shard>,
    pub monitors: Vec<Monitor>,
    logs: BTreeMap<InputKey, Vec<Record>>,
    /// By shard: a whole snapshot and the deltas after it.
    saved_shards: Vec<Vec<Vec<Section>>>,
    saved_monitors: Vec<(MonitorState, Memory)>,
    now: Timestamp,
}

impl Play {
    pub fn new(setup: Setup) -> Self {
        let shards = (0..shard_count(&setup)).map(|at| shard(&setup, at)).collect::<Vec<_>>();
        let monitors: Vec<Monitor> = setup
            .group
            .models
            .iter()
            .map(|model| {
                let topic = &setup.group.prediction_topics[model.predictions].topic;
                let mut monitor = Monitor::new(Arc::clone(&model.context), Arc::clone(topic));
                monitor.expected_shards = shards.len();
                monitor
            })
            .collect();
        Self {
            saved_shards: vec![Vec::new(); shards.len()],
            saved_monitors: monitors.iter().map(memories).collect(),
            setup,
            shards,
            monitors,
            logs: BTreeMap::new(),
            now: Timestamp(0),
        }
    }

    /// Carries out one line; the answer's lines.
    pub fn step(&mut self, line: &str) -> Result<Vec<String>, String> {
        let mut words = Words::new(line);
        let mut answer = Vec::new();
        match words.need("a word")? {
            "predict" => self.predict(&mut words)?,
            "label" => self.label(&mut words)?,
            "confirm" => self.confirm(&mut words)?,
            "now" => self.now = words.time("time")?,
            "advance" => answer = self.advance(),
            "checkpoint" => self.checkpoint(),
            "crash" => self.crash()?,
            "tally" => answer = self.tally(),
            "gauges" => answer = self.gauges(),
            "grades" => answer = self.grades(),
            "watermarks" => answer = self.watermarks(),
            other => return Err(format!("`{other}` is neither a setting nor a step")),
        }
        words.end()?;
        self.shards.iter().try_for_each(Shard::audit)?;
        Ok(answer)
    }

    pub fn partials(&self, model: usize) -> Vec<&Partial> {
        self.shards.iter().map(|shard| &shard.models[model].partial).collect()
    }

    fn model(&self, name: &str) -> Result<usize, String> {
        let models = &self.setup.group.models;
        models
            .iter()
            .position(|model| &*model.context.spec.name == name)
            .ok_or_else(|| format!("there is no model `{name}`"))
    }

    fn predict(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let id = id(words)?;
        words.expect("at")?;
        let at = words.time("time")?;
        let line: Vec<&str> = std::iter::from_fn(|| words.next()).collect();
        // The model decides how the rest reads.
        let name = line.iter().position(|word| *word == "model").and_then(|at| line.get(at + 1));
        let model = name.map_or(Ok(0), |name| self.model(name))?;
        let group = Arc::clone(&self.setup.group);
        let spec = &group.models[model].context.spec;
        let mut batch = empty_prediction(group.models[model].index, id, at);
        let mut version = "v1";
        let mut features: Vec<Option<u32>> = vec![None; spec.features.len()];
        let rest = line.join(" ");
        let mut words = Words::new(&rest);
        while let Some(word) = words.next() {
            match word {
                "model" => drop(words.next()),
                "class" => batch.classes[0] = class(&spec.task, words.need(word)?)?,
                "score" | "value" => batch.scores[0] = words.number(word)?,
                "probabilities" => {
                    for _ in 0..spec.task.class_count() {
                        batch.probabilities.push(words.number(word)?);
                    }
                }
                "version" => version = words.need(word)?,
                "partition" => batch.partition = words.number(word)?,
                "recorded" => batch.record_times[0] = words.time(word)?,
                "weight" => batch.weights[0] = words.number(word)?,
                name => {
                    let feature = spec.features.iter().position(|f| &*f.name == name);
                    let feature = feature.ok_or_else(|| format!("`{name}` is not understood"))?;
                    let FeatureKind::Categorical { dictionary } = &spec.features[feature].kind
                    else {
                        return Err("only categories are written here".into());
                    };
                    let value = words.need(name)?;
                    let code = dictionary.iter().position(|known| known == value);
                    // Beyond the dictionary: a new one.
                    features[feature] = Some(code.map_or(u32::MAX, |code| code as u32));
                }
            }
        }
        if matches!(spec.task, Task::Multiclass { .. }) && batch.probabilities.is_empty() {
            batch.probabilities = vec![f64::NAN; spec.task.class_count()];
        }
        batch.versions.push(if version == "-" { "" } else { version });
        batch.features = features.into_iter().map(category).collect();
        let topic = group.models[model].predictions as u16;
        let key = InputKey { side: Side::Predictions, topic, partition: batch.partition };
        self.append(key, Record::Prediction(batch))
    }

    fn label(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let id = id(words)?;
        words.expect("at")?;
        let at = words.time("time")?;
        let group = Arc::clone(&self.setup.group);
        let line: Vec<&str> = std::iter::from_fn(|| words.next()).collect();
        let after = |key: &str| {
            line.iter().position(|word| *word == key).and_then(|at| line.get(at + 1)).copied()
        };
        let topic = after("topic").map_or(Some(0), |name| {
            group.label_topics.iter().position(|topic| &*topic.topic == name)
        });
        let topic = topic.ok_or("there is no such topic")?;
        let only = after("only").map(|name| self.model(name)).transpose()?;
        let rest = line.join(" ");
        let value = line.iter().position(|word| matches!(*word, "class" | "value")).unwrap_or(0);
        let value = line[value..].join(" ");
        let mut values = Vec::new();
        for (position, model) in group.models.iter().enumerate() {
            if model.labels.is_some_and(|labels| labels.topic == topic) {
                let value = label_value(&model.context.spec.task, &mut Words::new(&value))?;
                let read = only.is_none_or(|only| only == position);
                values.push(LabelColumn { values: vec![read.then_some(value)] });
            }
        }
        let mut batch = LabelBatch {
            partition: 0,
            offsets: vec![0],
            rows: vec![0],
            record_times: vec![at],
            event_times: vec![at],
            ids: vec![id],
            values,
        };
        let mut words = Words::new(&rest);
        while let Some(word) = words.next() {
            match word {
                "class" | "value" | "topic" | "only" => drop(words.next()),
                "partition" => batch.partition = words.number(word)?,
                "recorded" => batch.record_times[0] = words.time(word)?,
                _ => return Err(format!("`{word}` is not understood here")),
            }
        }
        let partition = batch.partition;
        let key = InputKey { side: Side::Labels, topic: topic as u16, partition };
        self.append(key, Record::Label(batch))
    }

    /// Writes a record to its log, and reads it.
    fn append(&mut self, key: InputKey, mut record: Record) -> Result<(), String> {
        if key.partition >= self.setup.partitions {
            return Err(format!("there is no partition {}", key.partition));
        }
        let log = self.logs.entry(key).or_default();
        match &mut record {
            Record::Prediction(batch) => batch.offsets[0] = log.len() as i64,
            Record::Label(batch) => batch.offsets[0] = log.len() as i64,
        }
        log.push(record);
        self.read(key, log_end(&self.logs, key) - 1);
        Ok(())
    }

    fn read(&mut self, key: InputKey, offset: i64) {
        let at = if self.setup.group.spread { 0 } else { key.partition as usize };
        let counted = InputTally { read: 1, ..InputTally::default() };
        match &self.logs[&key][offset as usize] {
            Record::Prediction(batch) => {
                let batches = std::slice::from_ref(batch);
                self.shards[at].apply_predictions(key, batches, &counted, offset + 1);
            }
            Record::Label(batch) => {
                self.shards[at].apply_labels(key, batch, &counted, offset + 1);
            }
        }
    }

    fn confirm(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        let side = match words.need("side")? {
            "predictions" => Side::Predictions,
            "labels" => Side::Labels,
            other => return Err(format!("`{other}` is neither predictions nor labels")),
        };
        words.expect("at")?;
        let at = words.time("time")?;
        let (mut partition, mut topic) = (None, None);
        while let Some(word) = words.next() {
            match word {
                "partition" => partition = Some(words.number::<i32>(word)?),
                "topic" => topic = Some(self.topic(side, words.need(word)?)?),
                _ => return Err(format!("`{word}` is not understood here")),
            }
        }
        for shard in &mut self.shards {
            let keys: Vec<InputKey> = shard.inputs.keys().copied().collect();
            for key in keys {
                if key.side == side
                    && partition.is_none_or(|partition| partition == key.partition)
                    && topic.is_none_or(|topic| topic == key.topic)
                {
                    shard.confirm(key, at);
                }
            }
        }
        Ok(())
    }

    fn topic(&self, side: Side, name: &str) -> Result<u16, String> {
        let group = &self.setup.group;
        let found = match side {
            Side::Predictions => group.prediction_topics.iter().position(|t| &*t.topic == name),
            Side::Labels => group.label_topics.iter().position(|t| &*t.topic == name),
        };
        found.map(|at| at as u16).ok_or_else(|| format!("there is no topic `{name}`"))
    }

    fn advance(&mut self) -> Vec<String> {
        self.shards.iter_mut().for_each(Shard::advance);
        let mut lines = Vec::new();
        for model in 0..self.monitors.len() {
            let mut seen = Vec::new();
            for shard in &mut self.shards {
                seen.extend(shard.models[model].partial.panes.take_unseen());
            }
            let partials: Vec<&Partial> =
                self.shards.iter().map(|shard| &shard.models[model].partial).collect();
            let mut effects: Vec<Effect> = Vec::new();
            self.monitors[model].advance(&partials, &seen, self.now, &mut effects);
            for effect in effects {
                lines.extend(self.effect(model, &effect));
            }
        }
        lines
    }

    fn checkpoint(&mut self) {
        for (shard, saved) in self.shards.iter_mut().zip(&mut self.saved_shards) {
            let kind = if saved.is_empty() { SnapshotKind::Full } else { SnapshotKind::Delta };
            saved.push(shard.snapshot(kind));
        }
        for model in 0..self.monitors.len() {
            self.saved_monitors[model] = memories(&self.monitors[model]);
            let released = self.monitors[model].releasable(&self.partials(model));
            if let Some(released) = released {
                for shard in &mut self.shards {
                    shard.models[model].partial.panes.release(&released);
                }
            }
        }
    }

    fn crash(&mut self) -> Result<(), String> {
        for at in 0..self.shards.len() {
            let mut restored = shard(&self.setup, at);
            for sections in &self.saved_shards[at] {
                restored.restore(sections).map_err(|error| error.to_string())?;
            }
            // What follows is written as a whole again.
            self.saved_shards[at] = match self.saved_shards[at].is_empty() {
                true => Vec::new(),
                false => vec![restored.snapshot(SnapshotKind::Full)],
            };
            self.shards[at] = restored;
        }
        for (monitor, (saved, alarms)) in self.monitors.iter_mut().zip(&self.saved_monitors) {
            monitor.restore(saved.clone());
            monitor.restore_alarms(alarms.clone());
        }
        let keys: Vec<InputKey> = self.logs.keys().copied().collect();
        for key in keys {
            let at = if self.setup.group.spread { 0 } else { key.partition as usize };
            let next = self.shards[at].input(key).next_offset.unwrap_or(0);
            for offset in next..log_end(&self.logs, key) {
                self.read(key, offset);
            }
        }
        Ok(())
    }
}

/// What a monitor must not forget.
fn memories(monitor: &Monitor) -> (MonitorState, Memory) {
    (monitor.state.clone(), monitor.alarms.clone())
}

fn log_end(logs: &BTreeMap<InputKey, Vec<Record>>, key: InputKey) -> i64 {
    logs.get(&key).map_or(0, Vec::len) as i64
}

fn shard_count(setup: &Setup) -> usize {
    if setup.group.spread { 1 } else { setup.partitions as usize }
}

/// A shard of one partition, or of all.
fn shard(setup: &Setup, at: usize) -> Shard {
    let group = &setup.group;
    let partitions = match group.spread {
        true => 0..setup.partitions,
        false => at as i32..at as i32 + 1,
    };
    let keys = partitions.flat_map(|partition| {
        let of = move |side, topics: usize| {
            (0..topics as u16).map(move |topic| InputKey { side, topic, partition })
        };
        of(Side::Predictions, group.prediction_topics.len())
            .chain(of(Side::Labels, group.label_topics.len()))
    });
    Shard::new(Arc::clone(group), keys)
}

fn id(words: &mut Words<'_>) -> Result<u128, String> {
    let id: u64 = words.number("id")?;
    Ok(u128::from(id) << 64 | u128::from(id))
}

fn empty_prediction(model: ModelIndex, id: u128, at: Timestamp) -> PredictionBatch {
    PredictionBatch {
        model,
        partition: 0,
        offsets: vec![0],
        rows: vec![0],
        record_times: vec![at],
        event_times: vec![at],
        ids: vec![id],
        versions: TextColumn::default(),
        scores: vec![f64::NAN],
        classes: vec![CLASS_NONE],
        probabilities: Vec::new(),
        weights: vec![1.0],
        features: Vec::new(),
    }
}

fn category(code: Option<u32>) -> FeatureColumn {
    let state = match code {
        None => CellState::Missing,
        Some(u32::MAX) => CellState::New,
        Some(_) => CellState::Present,
    };
    let codes = vec![code.unwrap_or(0)];
    FeatureColumn::Categorical(CategoricalColumn { codes, states: vec![state] })
}
