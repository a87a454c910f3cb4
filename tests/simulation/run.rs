//! One run of the engine over a world, as an impatient and accident-prone daemon would drive it.

use super::compare::Shown;
use super::fault::Fault;
use super::oracle::{JudgementId, WindowId};
use super::world::World;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidemark::engine::alarm::memory::Memory;
use tidemark::engine::effect::{Effect, FiringKind};
use tidemark::engine::event::*;
use tidemark::engine::history::History;
use tidemark::engine::metric::Metric;
use tidemark::engine::model_shard::Partial;
use tidemark::engine::monitor::{Monitor, MonitorState};
use tidemark::engine::nowcasts::Nowcasts;
use tidemark::engine::outcome::InputTally;
use tidemark::engine::pane::Released;
use tidemark::engine::shard::{GroupModel, InputKey, Shard, Side};
use tidemark::engine::state::{Part, Section, SnapshotKind};
use tidemark::engine::time::{Span, Timestamp};
use tidemark::engine::watermark::Progress;

/// One shard's last checkpoint: a whole snapshot and the deltas after it.
#[derive(Clone, Default)]
struct Saved {
    chain: Vec<Vec<Section>>,
}

pub struct Run<'a> {
    pub(super) world: &'a World,
    rng: fastrand::Rng,
    fault: Fault,
    pub(super) shards: Vec<Shard>,
    pub(super) monitors: Vec<Monitor>,
    saved_shards: Vec<Option<Saved>>,
    saved_monitors: Vec<(MonitorState, Memory, Option<Released>)>,
    /// A whole history and the changes after it, by model.
    saved_histories: Vec<Saved>,
    pub(super) releases: bool,
    /// By (side, partition): the next record to read.
    positions: BTreeMap<InputKey, usize>,
    pub(super) judged: BTreeMap<JudgementId, String>,
    /// What the monitors that live now, and those that are saved, have judged.
    judged_once: BTreeSet<JudgementId>,
    judged_durably: BTreeSet<JudgementId>,
    pub(super) requests: Vec<(usize, usize, u8, Timestamp)>,
    pub(super) finals: BTreeMap<WindowId, Shown>,
    now: Timestamp,
}

/// What a monitor keeps for charts and tables.
fn history(monitor: &mut Monitor, kind: SnapshotKind) -> Vec<Section> {
    vec![monitor.history.save(kind), monitor.nowcasts.save(kind)]
}

fn inputs(world: &World) -> Vec<Vec<InputKey>> {
    let key = |side, partition: usize| InputKey { side, topic: 0, partition: partition as i32 };
    let both = |partition| [key(Side::Predictions, partition), key(Side::Labels, partition)];
    if world.group.spread {
        vec![(0..world.partitions).flat_map(both).collect()]
    } else {
        (0..world.partitions).map(|partition| both(partition).to_vec()).collect()
    }
}

impl<'a> Run<'a> {
    pub fn new(world: &'a World, seed: u64, fault: Fault) -> Self {
        let mut rng = fastrand::Rng::with_seed(!seed);
        let shards: Vec<Shard> = inputs(world)
            .into_iter()
            .map(|keys| Shard::new(Arc::clone(&world.group), keys))
            .collect();
        let monitors: Vec<Monitor> = (0..world.group.models.len())
            .map(|model| {
                let context = Arc::clone(&world.group.models[model].context);
                let mut monitor = Monitor::new(context, "p".into());
                monitor.expected_shards = shards.len();
                monitor
            })
            .collect();
        Self {
            saved_shards: vec![None; shards.len()],
            saved_histories: vec![Saved::default(); monitors.len()],
            saved_monitors: monitors
                .iter()
                .map(|m| (m.state.clone(), Memory::default(), None))
                .collect(),
            positions: inputs(world).into_iter().flatten().map(|key| (key, 0)).collect(),
            releases: rng.bool(),
            world,
            rng,
            fault,
            shards,
            monitors,
            judged: BTreeMap::new(),
            judged_once: BTreeSet::new(),
            judged_durably: BTreeSet::new(),
            requests: Vec::new(),
            finals: BTreeMap::new(),
            now: Timestamp(0),
        }
    }

    /// Reads everything, with crashes on the way, confirms the log ends, and crashes again.
    pub fn finish(mut self) -> Result<Self, String> {
        let mut crashes = self.rng.usize(0..6);
        self.drain(&mut crashes)?;
        self.close()?;
        if self.rng.bool() {
            self.checkpoint_shards();
            self.crash()?;
            self.drain(&mut crashes)?;
            self.close()?;
        }
        Ok(self)
    }

    fn drain(&mut self, crashes: &mut usize) -> Result<(), String> {
        while !self.all_read() {
            match self.rng.u8(0..12) {
                0 => self.checkpoint_shards(),
                1 => self.checkpoint_monitors(),
                2 => self.advance()?,
                3 if *crashes > 0 => {
                    *crashes -= 1;
                    self.crash()?;
                }
                4 if self.world.confirms => {
                    let at = self.rng.i64(0..400) * super::world::MINUTE;
                    self.confirm(Timestamp(at), 1);
                }
                5 if self.fault == Fault::ConfirmsTooEarly => self.confirm(Timestamp::MAX, 4),
                _ => self.read(),
            }
            self.audit()?;
        }
        Ok(())
    }

    /// The broker confirms all log ends, so that everything closes.
    fn close(&mut self) -> Result<(), String> {
        self.confirm(Timestamp(1_000_000 * super::world::MINUTE), 4);
        for _ in 0..3 {
            self.advance()?;
            self.checkpoint_monitors();
        }
        self.audit()
    }

    /// The broker confirms that we stand at the end of `of_4` in four partitions.
    fn confirm(&mut self, at: Timestamp, of_4: u8) {
        for shard in &mut self.shards {
            let keys: Vec<InputKey> = shard.inputs.keys().copied().collect();
            for key in keys {
                if self.rng.u8(0..4) < of_4 {
                    shard.confirm(key, at);
                }
            }
        }
    }

    fn all_read(&self) -> bool {
        self.positions.iter().all(|(key, at)| *at == self.log_len(*key))
    }

    fn log_len(&self, key: InputKey) -> usize {
        match key.side {
            Side::Predictions => self.world.predictions[key.partition as usize].len(),
            Side::Labels => self.world.labels[key.partition as usize].len(),
        }
    }

    fn read(&mut self) {
        let keys: Vec<InputKey> = self.positions.keys().copied().collect();
        let key = keys[self.rng.usize(0..keys.len())];
        let from = self.positions[&key];
        let to = (from + self.rng.usize(1..8)).min(self.log_len(key));
        if from == to {
            return;
        }
        if self.fault == Fault::ReadsOutOfOrder && self.rng.bool() {
            let middle = from + (to - from) / 2;
            self.apply(key, middle, to);
            self.apply(key, from, middle);
        } else {
            self.apply(key, from, to);
        }
        self.positions.insert(key, to);
    }

    fn apply(&mut self, key: InputKey, from: usize, to: usize) {
        let spread = self.world.group.spread;
        let shard = if spread { 0 } else { key.partition as usize };
        let tally = InputTally { read: (to - from) as u64, ..InputTally::default() };
        match key.side {
            Side::Predictions => {
                let batches = self.prediction_batches(key.partition, from, to);
                self.shards[shard].apply_predictions(key, &batches, &tally, to as i64);
            }
            Side::Labels => {
                let batch = self.label_batch(key.partition, from, to);
                self.shards[shard].apply_labels(key, &batch, &tally, to as i64);
            }
        }
    }

    fn prediction_batches(
        &mut self,
        partition: i32,
        from: usize,
        to: usize,
    ) -> Vec<PredictionBatch> {
        let mut log = self.world.predictions[partition as usize].clone();
        if self.fault == Fault::MistakesAVersion && self.rng.u8(0..10) == 0 {
            log[from].version = 1 - log[from].version;
        }
        (0..self.world.group.models.len() as u16)
            .map(|model| {
                let rows: Vec<usize> = (from..to).filter(|at| log[*at].model == model).collect();
                let mut versions = TextColumn::default();
                rows.iter().for_each(|at| versions.push(&format!("v{}", log[*at].version)));
                let states = rows
                    .iter()
                    .map(|at| match log[*at].category {
                        2 => CellState::New,
                        _ => CellState::Present,
                    })
                    .collect();
                PredictionBatch {
                    model: ModelIndex(model),
                    partition,
                    offsets: rows.iter().map(|at| *at as i64).collect(),
                    rows: vec![0; rows.len()],
                    record_times: rows.iter().map(|at| log[*at].record_time).collect(),
                    event_times: rows.iter().map(|at| log[*at].event_time).collect(),
                    ids: rows.iter().map(|at| log[*at].id).collect(),
                    versions,
                    scores: rows.iter().map(|at| log[*at].score).collect(),
                    classes: vec![CLASS_NONE; rows.len()],
                    probabilities: Vec::new(),
                    weights: vec![1.0; rows.len()],
                    features: vec![FeatureColumn::Categorical(CategoricalColumn {
                        codes: rows.iter().map(|at| log[*at].category).collect(),
                        states,
                    })],
                }
            })
            .collect()
    }

    fn label_batch(&self, partition: i32, from: usize, to: usize) -> LabelBatch {
        let log = &self.world.labels[partition as usize][from..to];
        let second = |model: &GroupModel| model.labels.is_some_and(|labels| labels.column == 1);
        let swapped =
            self.fault == Fault::SwapsColumns && self.world.group.models.iter().any(second);
        LabelBatch {
            partition,
            offsets: (from as i64..to as i64).collect(),
            rows: vec![0; log.len()],
            record_times: log.iter().map(|record| record.record_time).collect(),
            event_times: log.iter().map(|record| record.event_time).collect(),
            ids: log.iter().map(|record| record.id).collect(),
            values: (0..2)
                .map(|column| {
                    let column = if swapped { 1 - column } else { column };
                    let values = log.iter().map(|r| r.classes[column].map(LabelValue::Class));
                    LabelColumn { values: values.collect() }
                })
                .collect(),
        }
    }

    fn audit(&self) -> Result<(), String> {
        self.shards.iter().try_for_each(Shard::audit)
    }

    fn advance(&mut self) -> Result<(), String> {
        self.shards.iter_mut().for_each(Shard::advance);
        self.now = self.now + Span(1);
        for model in 0..self.monitors.len() {
            let mut seen = Vec::new();
            for shard in &mut self.shards {
                seen.extend(shard.models[model].partial.panes.take_unseen());
            }
            let reported = match self.fault {
                Fault::ClosesWithoutAShard => 1,
                _ => self.shards.len(),
            };
            self.monitors[model].expected_shards = reported;
            let partials: Vec<&Partial> =
                self.shards[..reported].iter().map(|shard| &shard.models[model].partial).collect();
            let mut effects = Vec::new();
            self.monitors[model].advance(&partials, &seen, self.now, &mut effects);
            let released = match self.fault {
                Fault::ReleasesTooEarly => self.monitors[model].releasable(&partials),
                _ => self.saved_monitors[model].2.clone(),
            };
            self.take(model, effects)?;
            if let Some(released) = released.filter(|_| self.releases) {
                for shard in &mut self.shards {
                    shard.models[model].partial.panes.release(&released);
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, model: usize, effects: Vec<Effect>) -> Result<(), String> {
        let version = |name: &str| name[1..].parse::<u8>().expect("versions are v0 and v1");
        for effect in effects {
            match effect {
                Effect::Judged(judged) => {
                    let spec = &self.world.group.models[model].context.spec;
                    let policy =
                        spec.policies.iter().position(|p| p.name == judged.policy).expect("known");
                    let id = (model, policy, version(&judged.version), judged.window_end);
                    if !self.judged_once.insert(id) {
                        return Err(format!("{id:?} judged again"));
                    }
                    let reason = judged.decision.reason().to_owned();
                    if reason == "bad_window" && !self.requests.contains(&id) {
                        self.requests.push(id);
                    }
                    let before = self.judged.insert(id, reason.clone());
                    let differs = before.as_ref().is_some_and(|before| *before != reason);
                    if differs && !self.world.confirms {
                        return Err(format!("{id:?} judged {before:?}, then {reason}"));
                    }
                }
                Effect::Fired(firing) if firing.kind == FiringKind::Final && !firing.truncated => {
                    for fired in firing.versions {
                        let id = (model, version(&fired.version), None, firing.size, firing.end);
                        let accuracy =
                            fired.metrics.iter().find(|(metric, _)| *metric == Metric::Accuracy);
                        let nowcast =
                            fired.nowcasts.iter().find(|(metric, _)| *metric == Metric::Accuracy);
                        let nowcast = nowcast.map_or([None; 2], |(_, n)| [n.estimated, n.combined]);
                        let nowcast = nowcast.map(|estimate| estimate.map(|e| e.value));
                        let accuracy = accuracy.map(|(_, e)| e.value);
                        let shown = (fired.predictions, fired.labeled, accuracy, nowcast);
                        self.finals.insert(id, shown);
                    }
                }
                Effect::Fired(_) | Effect::Request { .. } => {}
            }
        }
        Ok(())
    }

    fn checkpoint_shards(&mut self) {
        for (shard, saved) in self.shards.iter_mut().zip(&mut self.saved_shards) {
            if self.rng.u8(0..4) == 0 {
                continue;
            }
            match saved {
                Some(saved) if self.rng.u8(0..4) > 0 => {
                    saved.chain.push(shard.snapshot(SnapshotKind::Delta));
                }
                _ => {
                    *saved = Some(Saved { chain: vec![shard.snapshot(SnapshotKind::Full)] });
                }
            }
        }
    }

    fn checkpoint_monitors(&mut self) {
        for (monitor, saved) in self.monitors.iter_mut().zip(&mut self.saved_histories) {
            if saved.chain.is_empty() || self.rng.u8(0..4) == 0 {
                saved.chain = vec![history(monitor, SnapshotKind::Full)];
            } else {
                saved.chain.push(history(monitor, SnapshotKind::Delta));
            }
        }
        for (model, monitor) in self.monitors.iter().enumerate() {
            let both = (&monitor.state, &monitor.alarms);
            let bytes = postcard::to_allocvec(&both).expect("a state can be encoded");
            let (state, alarms) = postcard::from_bytes(&bytes).expect("and decoded");
            let partials: Vec<&Partial> =
                self.shards.iter().map(|shard| &shard.models[model].partial).collect();
            self.saved_monitors[model] = (state, alarms, monitor.releasable(&partials));
        }
        self.judged_durably.clone_from(&self.judged_once);
    }

    fn crash(&mut self) -> Result<(), String> {
        for (at, keys) in inputs(self.world).into_iter().enumerate() {
            let mut shard = Shard::new(Arc::clone(&self.world.group), keys.clone());
            if let Some(saved) = &self.saved_shards[at] {
                let kept = match self.fault {
                    Fault::LosesADelta => 1,
                    _ => saved.chain.len(),
                };
                for sections in &saved.chain[..kept] {
                    let lost = self.fault == Fault::LosesExpectations;
                    let kept = |section: &&Section| !(lost && section.id.part == Part::Expected);
                    let sections: Vec<Section> = sections.iter().filter(kept).cloned().collect();
                    shard.restore(&sections).map_err(|error| error.to_string())?;
                }
                if kept < saved.chain.len() {
                    // Offsets of the newest delta with the state of the oldest.
                    let mut newest = Shard::new(Arc::clone(&self.world.group), keys.clone());
                    for sections in &saved.chain {
                        newest.restore(sections).map_err(|error| error.to_string())?;
                    }
                    for (key, input) in newest.inputs {
                        shard.input(key).next_offset = input.next_offset;
                    }
                }
            }
            for key in keys {
                let mut next = shard.inputs.get(&key).and_then(|i| i.next_offset).unwrap_or(0);
                match self.fault {
                    Fault::SkipsARecordAfterARestore if next < self.log_len(key) as i64 => {
                        next += 1
                    }
                    Fault::AppliesARecordTwice if next > 0 => next -= 1,
                    _ => {}
                }
                self.positions.insert(key, next as usize);
            }
            if self.fault == Fault::ForgetsWatermarks {
                for input in shard.inputs.values_mut() {
                    input.progress = Progress::default();
                    input.models.fill(Progress::default());
                }
            }
            self.shards[at] = shard;
        }
        self.judged_once.clone_from(&self.judged_durably);
        for (monitor, (saved, alarms, _)) in self.monitors.iter_mut().zip(&self.saved_monitors) {
            monitor.restore(match self.fault {
                Fault::LosesTheMonitor => MonitorState::default(),
                _ => saved.clone(),
            });
            monitor.restore_alarms(match self.fault {
                Fault::ForgetsEvidence => Memory::default(),
                _ => alarms.clone(),
            });
        }
        self.restore_histories()?;
        self.rewind()
    }

    fn restore_histories(&mut self) -> Result<(), String> {
        for (monitor, saved) in self.monitors.iter_mut().zip(&mut self.saved_histories) {
            if self.fault == Fault::LosesAHistoryDelta && saved.chain.len() > 1 {
                saved.chain.pop();
            }
            monitor.history = History::new(&monitor.context.spec);
            monitor.nowcasts = Nowcasts::new(&monitor.context.spec);
            for sections in &saved.chain {
                monitor.history.restore(sections).map_err(|error| error.to_string())?;
                monitor.nowcasts.restore(sections).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// After a crash the next checkpoint is a whole one, or tells what changed since the last.
    fn rewind(&mut self) -> Result<(), String> {
        for (shard, saved) in self.shards.iter_mut().zip(&mut self.saved_shards) {
            if saved.is_some() && (self.fault == Fault::LosesADelta || self.rng.bool()) {
                *saved = Some(Saved { chain: vec![shard.snapshot(SnapshotKind::Full)] });
            }
        }
        Ok(())
    }
}
