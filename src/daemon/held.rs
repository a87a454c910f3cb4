//! What the engine's thread holds: shards, monitors, and where each is in its checkpoints.

use super::durable::{Durable, MonitorCounters};
use super::intake::Intake;
use super::keeper::{Keeper, Kept, RestoreError};
use super::saving::Capture;
use super::setup::Topology;
use crate::config::Plan;
use crate::engine::copartition::CoPartition;
use crate::engine::effect::Effect;
use crate::engine::model_shard::Partial;
use crate::engine::monitor::{Monitor, MonitorState};
use crate::engine::outbox::GIVE_UP_AFTER;
use crate::engine::outcome::LabelTally;
use crate::engine::pane::{PaneKey, Released};
use crate::engine::shard::{GroupModel, GroupSpec, InputKey, Shard, Side, Taken};
use crate::engine::spec::{Action, JoinSpec, PolicySpec};
use crate::engine::state::{Part, SectionName, StateError, read};
use crate::engine::time::Timestamp;
use crate::io::checkpoint::LineagePath;
use crate::io::clock;
use crate::io::kafka::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A shard and its lineage.
pub struct HeldShard {
    pub shard: Shard,
    pub(super) kept: Kept,
    /// Inputs that the source reads for us now; empty while somebody else may have the shard.
    pub assigned: BTreeSet<InputKey>,
    pub(super) changed: bool,
}

/// A monitor and its lineage.
pub struct HeldMonitor {
    pub monitor: Monitor,
    pub(super) kept: Kept,
    pub group: usize,
    /// Position in the group.
    pub(super) at: usize,
    /// What panes may go, once the monitor's state that no longer needs them is durable.
    pub(super) released: Option<Released>,
    pub(super) changed: bool,
}

/// The engine's state.
pub struct Held {
    pub plan: Arc<Plan>,
    pub groups: Vec<Arc<GroupSpec>>,
    pub intake: Intake,
    /// By group and model: whether ids lie in the same partition of both its topics.
    pub samples: Vec<Vec<CoPartition>>,
    pub shards: BTreeMap<(usize, i32), HeldShard>,
    pub monitors: Vec<HeldMonitor>,
    pub keeper: Keeper,
    pub durable: Durable,
    pub(super) capture: Option<Capture>,
    /// Something must be durable soon: a request waits for it.
    pub forced: bool,
    /// The last round of checkpoints did not become durable.
    pub write_failed: bool,
    /// Why the daemon must stop.
    pub fatal: Option<String>,
    /// Offsets that were not in the log, since the start.
    pub out_of_range: u64,
    pub records: u64,
    /// Assignments and revocations that have not been counted yet.
    pub rebalances: u64,
}

impl Held {
    /// Restores the monitors; shards follow when they are assigned.
    pub fn new(
        plan: Arc<Plan>,
        topology: Topology,
        intake: Intake,
        keeper: Keeper,
    ) -> Result<Self, RestoreError> {
        let mut held = Self {
            samples: topology.groups.iter().map(|group| samples(group)).collect(),
            groups: topology.groups,
            intake,
            shards: BTreeMap::new(),
            monitors: Vec::new(),
            keeper,
            durable: Durable::default(),
            capture: None,
            forced: false,
            write_failed: false,
            fatal: None,
            out_of_range: 0,
            records: 0,
            rebalances: 0,
            plan,
        };
        for (model, &(group, at)) in topology.models.iter().enumerate() {
            held.open_monitor(model, group, at)?;
        }
        Ok(held)
    }

    fn open_monitor(&mut self, model: usize, group: usize, at: usize) -> Result<(), RestoreError> {
        let spec = &self.groups[group].models[at];
        let topic = Arc::clone(&self.groups[group].prediction_topics[spec.predictions].topic);
        let mut monitor = Monitor::new(Arc::clone(&spec.context), topic);
        let path = LineagePath::model(&spec.context.spec.name);
        let (kept, chain) = self.keeper.open(path.clone(), self.plan.layouts[model].0)?;
        let mut released = None;
        if let Some(sections) = chain.last() {
            let state_error =
                |error: StateError| RestoreError::State { path: path.to_string(), error };
            let mut state: MonitorState =
                read(sections, Part::Monitor.at(0)).map_err(state_error)?;
            // Checkpoints of before this was written go by position.
            if let Ok(names) = read::<Vec<String>>(sections, POLICY_NAMES) {
                state.arrange_policies(&names, &spec.context.spec.policies);
            }
            released = read(sections, Part::Monitor.at(1)).map_err(state_error)?;
            monitor.restore(state);
            for sections in &chain {
                monitor.history.restore(sections).map_err(state_error)?;
                monitor.nowcasts.restore(sections).map_err(state_error)?;
            }
            let declared = |name: &str| self.plan.webhooks.iter().any(|known| &*known.name == name);
            monitor.state.outbox.retain_webhooks(&declared, clock::now());
        }
        self.durable.monitors.insert(model, MonitorCounters::of(&monitor));
        self.monitors.push(HeldMonitor { monitor, kept, group, at, released, changed: true });
        Ok(())
    }

    /// Gives decoded rows to their shard.
    pub fn flush(&mut self) {
        let Some((topic, partition)) = self.intake.at_hand() else { return };
        let key = self.shard_key(TopicPartition { topic, partition });
        self.share_room(key);
        match self.shards.get_mut(&key) {
            Some(held) => {
                held.changed = true;
                self.intake.sample(&self.groups[key.0], &mut self.samples[key.0]);
                self.intake.apply(&mut held.shard);
            }
            None => self.intake.discard(),
        }
    }

    /// `pending_max` is for all shards of a model together: says what the others hold.
    fn share_room(&mut self, key: (usize, i32)) {
        let spec = Arc::clone(&self.groups[key.0]);
        let all = || self.shards.range((key.0, i32::MIN)..=(key.0, i32::MAX));
        let others = || all().filter(|(other, _)| **other != key).map(|(_, held)| &held.shard);
        let elsewhere = Taken {
            predictions: (0..spec.models.len())
                .map(|at| others().map(|shard| shard.models[at].held() as u64).sum())
                .collect(),
            labels: (0..spec.label_topics.len())
                .map(|at| others().map(|shard| shard.waiting(at) as u64).sum())
                .collect(),
        };
        if let Some(held) = self.shards.get_mut(&key) {
            held.shard.taken_elsewhere(&elsewhere);
        }
    }

    /// Moves shards and monitors on; carries out what can be carried out here.
    pub fn advance(&mut self, now: Timestamp, effects: &mut Vec<(usize, Effect)>) {
        for ((group, _), held) in
            self.shards.iter_mut().filter(|(_, held)| !held.assigned.is_empty())
        {
            if !self.groups[*group].spread {
                for (model, sample) in held.shard.models.iter_mut().zip(&self.samples[*group]) {
                    model.hold_implicit(sample.is_mismatched());
                }
            }
            let ended = held.shard.ended();
            held.shard.advance();
            // Silence alone settles rows too, and their counters must become durable.
            held.changed |= held.shard.ended() != ended;
        }
        let mut all = Vec::new();
        for (model, held) in self.monitors.iter_mut().enumerate() {
            let (group, at) = (held.group, held.at);
            let mut seen: Vec<PaneKey> = Vec::new();
            for shard in assigned_mut(&mut self.shards, group) {
                let panes = &mut shard.shard.models[at].partial.panes;
                if let Some(released) = &held.released {
                    panes.release(released);
                }
                seen.extend(panes.take_unseen());
            }
            held.changed |= !seen.is_empty();
            let partials = partials(&self.shards, group, at);
            let mut own = Vec::new();
            held.monitor.advance(&partials, &seen, now, &mut own);
            held.changed |= !own.is_empty();
            all.push((model, own));
        }
        for (model, own) in all {
            self.carry_out(model, own, now, effects);
        }
    }

    /// Puts a monitor's requests into its outbox, and passes its effects on.
    pub fn carry_out(
        &mut self,
        model: usize,
        own: Vec<Effect>,
        now: Timestamp,
        effects: &mut Vec<(usize, Effect)>,
    ) {
        for effect in own {
            if let Effect::Request { request } = &effect {
                let webhooks = &self.plan.webhooks;
                let give_up = webhooks
                    .iter()
                    .find(|webhook| webhook.name == request.webhook)
                    .map_or(GIVE_UP_AFTER, |webhook| webhook.give_up_after);
                let outbox = &mut self.monitors[model].monitor.state.outbox;
                outbox.enqueue(request.clone(), now, give_up);
                self.forced = true;
            }
            effects.push((model, effect));
        }
    }

    /// How many shards each monitor has to wait for: the partitions of its group's topics.
    pub fn expect(&mut self, counts: &[Option<i32>]) {
        self.intake.expect(counts);
        for held in &mut self.monitors {
            let spread = self.groups[held.group].spread;
            let partitions = self
                .intake
                .topics()
                .iter()
                .zip(counts)
                .filter(|(topic, _)| topic.group == held.group)
                .map(|(_, count)| count.and_then(|count| usize::try_from(count).ok()))
                .try_fold(0, |most: usize, count| Some(most.max(count?)));
            held.monitor.expected_shards = match partitions {
                Some(_) if spread => 1,
                Some(count) if count > 0 => count,
                _ => usize::MAX,
            };
        }
    }

    /// The first model whose labels lie in other partitions than its predictions, in a sentence.
    pub fn mismatched(&self) -> Option<String> {
        for (group, (spec, samples)) in self.groups.iter().zip(&self.samples).enumerate() {
            let wrong = spec.models.iter().zip(samples).find(|(_, s)| s.is_mismatched());
            if let Some((model, sample)) = wrong.filter(|_| !spec.spread) {
                let share = sample.mismatch().map_or(0.0, |(share, _)| share);
                return Some(self.mismatch(group, model, share));
            }
        }
        None
    }

    fn mismatch(&self, group: usize, model: &GroupModel, share: f64) -> String {
        let placed = |side, at: usize| {
            let found = self.intake.topics().iter().position(|topic| {
                topic.group == group && topic.side == side && usize::from(topic.topic) == at
            });
            found.map_or("nobody knows what", |topic| self.intake.placement(topic))
        };
        format!(
            "model {}: {:.0}% of sampled ids have their label in another partition than their \
             prediction (keys of predictions are placed by {}, of labels by {}): produce both with \
             the same key and partitioner, or set kafka.co_partitioned: false to read them in one \
             process",
            model.context.spec.name,
            share * 100.0,
            placed(Side::Predictions, model.predictions),
            placed(Side::Labels, model.labels.map_or(0, |labels| labels.topic)),
        )
    }

    /// The share of sampled ids of a model whose two sides lie in different partitions.
    pub fn copartition_mismatch(&self, model: usize) -> Option<f64> {
        let held = &self.monitors[model];
        self.samples[held.group][held.at].mismatch().map(|(share, _)| share)
    }

    /// Whether all shards of a group have been restored: the counters of a part of them would be
    /// less than what was exported before.
    pub fn is_whole(&self, group: usize) -> bool {
        let expected = self
            .monitors
            .iter()
            .find(|held| held.group == group)
            .map(|h| h.monitor.expected_shards);
        let here = self.durable.shards.range((group, i32::MIN)..=(group, i32::MAX)).count();
        expected.is_some_and(|expected| here >= expected)
    }

    /// The parts of a model that are here.
    pub fn partials(&self, model: usize) -> Vec<&Partial> {
        let held = &self.monitors[model];
        partials(&self.shards, held.group, held.at)
    }

    /// A model's report and what is needed for it.
    pub fn report(&mut self, model: usize) -> crate::engine::monitor::ModelReport {
        let held = &mut self.monitors[model];
        let partials = partials(&self.shards, held.group, held.at);
        held.monitor.report(&partials)
    }

    /// Counters of a model that are durable.
    pub fn model_counters(&self, model: usize) -> super::durable::ModelCounters {
        let held = &self.monitors[model];
        self.durable.model(held.group, held.at)
    }

    /// The policy of a model by name.
    pub fn policy(&self, model: usize, name: &str) -> Option<&PolicySpec> {
        self.plan.models[model].policies.iter().find(|policy| &*policy.name == name)
    }

    /// Inputs of one side of a group, with their topic's name.
    pub fn inputs(
        &self,
    ) -> impl Iterator<Item = (&str, InputKey, &crate::engine::shard::Input, usize)> {
        self.shards.iter().flat_map(|(key, held)| {
            let spec = &self.groups[key.0];
            held.shard.inputs.iter().map(move |(input_key, input)| {
                let at = usize::from(input_key.topic);
                let name: &str = match input_key.side {
                    Side::Predictions => &spec.prediction_topics[at].topic,
                    Side::Labels => &spec.label_topics[at].topic,
                };
                (name, *input_key, input, key.0)
            })
        })
    }

    /// Newest event time of a partition.
    pub fn newest(&self, at: TopicPartition) -> Option<Timestamp> {
        let input = self.intake.topic(at.topic).input(at.partition);
        let held = self.shards.get(&self.shard_key(at))?;
        held.shard.inputs.get(&input)?.progress.newest
    }

    /// Whether a model of a prediction topic has no place for `room` more rows while its labels are
    /// silent.
    pub fn is_full(&self, group: usize, topic: usize, room: u64) -> bool {
        let models = self.groups[group].models.iter().enumerate();
        let mut of_topic = models.filter(|(_, model)| model.predictions == topic);
        of_topic.any(|(at, model)| {
            let most = model.context.spec.join.pending_max;
            let shards = || assigned(&self.shards, group).map(|held| &held.shard.models[at]);
            let held: u64 = shards().map(|shard| shard.held() as u64).sum();
            shards().any(|shard| shard.partial.labels_silent) && held + room.min(most / 2) > most
        })
    }

    /// Label rows of each topic by how they ended, over all shards.
    pub fn label_tallies(&self) -> BTreeMap<String, LabelTally> {
        let mut tallies: BTreeMap<String, LabelTally> = BTreeMap::new();
        for (key, held) in &self.shards {
            let topics = &self.groups[key.0].label_topics;
            for (topic, tally) in topics.iter().zip(&held.shard.label_tallies) {
                tallies.entry(topic.topic.to_string()).or_default().add(tally);
            }
        }
        tallies
    }

    /// Rows that wait for a label or a prediction, over all shards.
    pub fn waiting_of(&self, group: usize, topic: usize) -> usize {
        assigned(&self.shards, group).map(|held| held.shard.waiting(topic)).sum()
    }
}

fn samples(group: &GroupSpec) -> Vec<CoPartition> {
    let reach = |join: &JoinSpec| join.horizon + join.grace + join.lead;
    group.models.iter().map(|m| CoPartition::new(reach(&m.context.spec.join))).collect()
}

/// The names of the policies whose states are in a monitor's section, in that order. The number
/// leaves room for sections before it.
pub(super) const POLICY_NAMES: SectionName = Part::Monitor.at(16);

pub(super) fn policy_names(monitor: &Monitor) -> Vec<String> {
    monitor.context.spec.policies.iter().map(|policy| policy.name.to_string()).collect()
}

/// Whether a policy asks for retraining.
pub fn retrains(policy: &PolicySpec) -> bool {
    matches!(policy.action, Action::Retrain { .. })
}

fn assigned(
    shards: &BTreeMap<(usize, i32), HeldShard>,
    group: usize,
) -> impl Iterator<Item = &HeldShard> {
    shards
        .range((group, i32::MIN)..=(group, i32::MAX))
        .map(|(_, held)| held)
        .filter(|held| !held.assigned.is_empty())
}

fn assigned_mut(
    shards: &mut BTreeMap<(usize, i32), HeldShard>,
    group: usize,
) -> impl Iterator<Item = &mut HeldShard> {
    shards
        .range_mut((group, i32::MIN)..=(group, i32::MAX))
        .map(|(_, held)| held)
        .filter(|held| !held.assigned.is_empty())
}

pub(super) fn partials(
    shards: &BTreeMap<(usize, i32), HeldShard>,
    group: usize,
    at: usize,
) -> Vec<&Partial> {
    assigned(shards, group).map(|held| &held.shard.models[at].partial).collect()
}
