//! What the engine's thread holds: shards, monitors, and where each is in its checkpoints.

use super::durable::Durable;
use super::fleet::Fleet;
use super::intake::Intake;
use super::keeper::{Keeper, Kept, LayoutParts, RestoreError};
use super::replaced::{PARTITIONS, Partitions, Replaced};
use super::saving::Capture;
use super::setup::Topology;
use crate::config::{Plan, layout_parts};
use crate::engine::copartition::CoPartition;
use crate::engine::effect::Effect;
use crate::engine::model_shard::Partial;
use crate::engine::monitor::{Monitor, MonitorState};
use crate::engine::outbox::GIVE_UP_AFTER;
use crate::engine::outcome::LabelTally;
use crate::engine::pane::{PaneKey, Released};
use crate::engine::shard::{GroupModel, GroupSpec, InputKey, Shard, Side, Taken};
use crate::engine::spec::{Action, JoinSpec, PolicySpec};
use crate::engine::state::{Part, Section, SectionName, StateError, read};
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
    /// What its layout is made of, for those who change it.
    pub(super) layout_parts: LayoutParts,
    /// We look after this model: nobody else merges, decides and delivers. What is here of a model
    /// that is not ours is what was when it last was, or at the start.
    pub owned: bool,
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
    pub fleet: Fleet,
    /// The group has given us partitions, or none, at least once.
    pub joined: bool,
    /// By topic, where it is known.
    pub(super) partition_counts: Vec<Option<i32>>,
    pub monitors: Vec<HeldMonitor>,
    pub keeper: Keeper,
    pub durable: Durable,
    pub(super) capture: Option<Capture>,
    /// Something must be durable soon: a request waits for it.
    pub forced: bool,
    /// Rounds of checkpoints in a row that did not become durable.
    pub failed_rounds: u32,
    /// Why no shard can be restored now; it is tried again.
    pub store_fault: Option<String>,
    /// Why the daemon must stop.
    pub fatal: Option<String>,
    pub replaced: Replaced,
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
        replaced: Replaced,
        fleet: Fleet,
    ) -> Result<Self, RestoreError> {
        let mut held = Self {
            samples: topology.groups.iter().map(|group| samples(group)).collect(),
            groups: topology.groups,
            intake,
            shards: BTreeMap::new(),
            fleet,
            joined: false,
            partition_counts: Vec::new(),
            monitors: Vec::new(),
            keeper,
            durable: Durable::default(),
            capture: None,
            forced: false,
            failed_rounds: 0,
            store_fault: None,
            replaced,
            fatal: None,
            records: 0,
            rebalances: 0,
            plan,
        };
        for (model, &(group, at)) in topology.models.iter().enumerate() {
            let spec = &held.groups[group].models[at];
            let topic = Arc::clone(&held.groups[group].prediction_topics[spec.predictions].topic);
            let path = LineagePath::model(&spec.context.spec.name);
            let layout_parts = layout_parts(&spec.context.spec);
            // What is there must be readable, whoever comes to own it.
            let (kept, chain) = held
                .keeper
                .read(path, held.plan.layouts[model].0)
                .map_err(|error| error.compared_with(&layout_parts))?;
            held.monitors.push(HeldMonitor {
                monitor: Monitor::new(Arc::clone(&spec.context), topic),
                kept,
                group,
                at,
                released: None,
                layout_parts,
                owned: false,
                changed: false,
            });
            held.restore_monitor(model, &chain)?;
        }
        Ok(held)
    }

    pub(super) fn restore_monitor(
        &mut self,
        model: usize,
        chain: &[Vec<Section>],
    ) -> Result<(), RestoreError> {
        let Some(sections) = chain.last() else { return Ok(()) };
        let HeldMonitor { monitor, released, kept, .. } = &mut self.monitors[model];
        let path = &kept.path;
        let state_error = |error: StateError| RestoreError::State { path: path.to_string(), error };
        let mut state: MonitorState = read(sections, Part::Monitor.at(0)).map_err(state_error)?;
        // Checkpoints of before this was written go by position.
        if let Ok(names) = read::<Vec<String>>(sections, POLICY_NAMES) {
            state.arrange_policies(&names, &monitor.context.spec.policies);
        }
        *released = read(sections, Part::Monitor.at(1)).map_err(state_error)?;
        // Older checkpoints do not say.
        if let Ok(partitions) = read::<Partitions>(sections, PARTITIONS) {
            self.replaced.restore(&partitions);
        }
        monitor.restore(state);
        // Checkpoints of before there were alarms from a budget have no such section.
        if sections.iter().any(|section| section.id == ALARMS) {
            monitor.restore_alarms(read(sections, ALARMS).map_err(state_error)?);
        }
        for sections in chain {
            monitor.history.restore(sections).map_err(state_error)?;
            monitor.nowcasts.restore(sections).map_err(state_error)?;
        }
        let declared = |name: &str| self.plan.webhooks.iter().any(|known| &*known.name == name);
        monitor.state.outbox.retain_webhooks(&declared, clock::now());
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
        let followed: Vec<bool> = (0..self.groups.len()).map(|at| self.is_followed(at)).collect();
        for ((group, _), held) in
            self.shards.iter_mut().filter(|(_, held)| !held.assigned.is_empty())
        {
            if !self.groups[*group].spread {
                for (model, sample) in held.shard.models.iter_mut().zip(&self.samples[*group]) {
                    model.hold_implicit(sample.is_mismatched());
                }
            }
            let ended = held.shard.ended();
            let before = followed[*group].then(|| closing(&held.shard));
            held.shard.advance();
            // Silence alone settles rows too, and their counters must become durable.
            held.changed |= held.shard.ended() != ended;
            // Owners of models elsewhere know our time from our checkpoints only.
            held.changed |= before.is_some_and(|before| before != closing(&held.shard));
        }
        let mut all = Vec::new();
        for (model, held) in self.monitors.iter_mut().enumerate() {
            let (group, at) = (held.group, held.at);
            let released = held.released.as_ref().filter(|_| held.owned);
            if let Some(released) = released.or_else(|| self.fleet.released.get(&model)) {
                for shard in assigned_mut(&mut self.shards, group) {
                    shard.shard.models[at].partial.panes.release(released);
                }
            }
            if !held.owned {
                continue;
            }
            let mut seen: Vec<PaneKey> = Vec::new();
            for shard in assigned_mut(&mut self.shards, group) {
                seen.extend(shard.shard.models[at].partial.panes.take_unseen());
            }
            for shard in of_group_mut(&mut self.fleet.shards, group) {
                seen.extend(shard.models[at].partial.panes.take_unseen());
            }
            held.changed |= !seen.is_empty();
            let partials = partials(&self.shards, &self.fleet.shards, group, at);
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
        self.partition_counts = counts.to_vec();
        self.intake.expect(counts);
        if self.replaced.counts(counts) {
            self.monitors.iter_mut().for_each(|held| held.changed |= held.owned);
        }
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
        partials(&self.shards, &self.fleet.shards, held.group, held.at)
    }

    /// A model's report and what is needed for it.
    pub fn report(&mut self, model: usize) -> crate::engine::monitor::ModelReport {
        let held = &mut self.monitors[model];
        let partials = partials(&self.shards, &self.fleet.shards, held.group, held.at);
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

    /// Whether any shard of a group is ours to read.
    pub fn has_shards(&self, group: usize) -> bool {
        assigned(&self.shards, group).next().is_some()
    }

    /// Rows that wait for a label or a prediction, over all shards.
    pub fn waiting_of(&self, group: usize, topic: usize) -> usize {
        assigned(&self.shards, group).map(|held| held.shard.waiting(topic)).sum()
    }
}

/// Closing watermarks of each model.
fn closing(shard: &Shard) -> Vec<(Timestamp, Timestamp)> {
    let of = |partial: &Partial| (partial.predictions_closing, partial.labels_closing);
    shard.models.iter().map(|model| of(&model.partial)).collect()
}

fn samples(group: &GroupSpec) -> Vec<CoPartition> {
    let reach = |join: &JoinSpec| join.horizon + join.grace + join.lead;
    group.models.iter().map(|m| CoPartition::new(reach(&m.context.spec.join))).collect()
}

/// The names of the policies whose states are in a monitor's section, in that order. The number
/// leaves room for sections before it.
pub(super) const POLICY_NAMES: SectionName = Part::Monitor.at(16);
/// What alarms from a budget remember, by the policy's name.
pub(super) const ALARMS: SectionName = Part::Monitor.at(26);

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

/// Of all shards that are known: those we read, and those that others do.
pub(super) fn partials<'a>(
    shards: &'a BTreeMap<(usize, i32), HeldShard>,
    others: &'a BTreeMap<(usize, i32), Shard>,
    group: usize,
    at: usize,
) -> Vec<&'a Partial> {
    let ours = assigned(shards, group).map(|held| &held.shard);
    let others = others.range((group, i32::MIN)..=(group, i32::MAX)).map(|(_, shard)| shard);
    ours.chain(others).map(|shard| &shard.models[at].partial).collect()
}

fn of_group_mut(
    shards: &mut BTreeMap<(usize, i32), Shard>,
    group: usize,
) -> impl Iterator<Item = &mut Shard> {
    shards.range_mut((group, i32::MIN)..=(group, i32::MAX)).map(|(_, shard)| shard)
}
