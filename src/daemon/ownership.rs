//! Which models this member looks after, and whose state it follows for that.

use super::assignment::REVOKE_WITHIN;
use super::durable::{MonitorCounters, ShardCounters};
use super::fleet::{CLAIM_PAUSE, FENCED_WITHIN, Followee, Want, owners_partition};
use super::held::Held;
use super::keeper::RestoreError;
use super::setup::group_layout;
use crate::engine::monitor::Monitor;
use crate::engine::shard::Side;
use crate::io::checkpoint::LineagePath;
use crate::io::clock;
use crate::io::kafka::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Held {
    /// Owns what the assignment says, follows the lineages that matter, and takes up what they
    /// brought. To be called in each round.
    pub fn settle_ownership(&mut self) {
        if let Some((since, what)) = &self.fleet.fenced {
            if clock::monotonic().duration_since(*since) > FENCED_WITHIN {
                self.fatal = Some(format!(
                    "{what}: somebody else writes this state although our group has not lost the \
                     partition; does another daemon have the same state.url?"
                ));
            }
            return;
        }
        let now = clock::monotonic();
        for model in 0..self.monitors.len() {
            let Some(should) = self.should_own(model) else { continue };
            let owned = self.monitors[model].owned;
            if owned && !should {
                self.disown(model);
            } else if should && !owned && self.fleet.claim_after.is_none_or(|at| at <= now) {
                match self.own(model) {
                    Ok(()) => self.store_fault = None,
                    Err(error) if error.may_pass() => {
                        self.store_fault = Some(error.to_string());
                        self.fleet.claim_after = Some(clock::monotonic() + CLAIM_PAUSE);
                    }
                    Err(error) => self.fatal = Some(error.to_string()),
                }
            }
        }
        self.follow();
        for key in self.fleet.take(&self.groups) {
            if let Some(shard) = self.fleet.shards.get(&key) {
                self.durable.shards.insert(key, ShardCounters::of(shard));
            }
        }
    }

    /// Whether the assignment makes us a model's owner; `None` while that is not known.
    fn should_own(&self, model: usize) -> Option<bool> {
        let held = &self.monitors[model];
        let spec = &self.groups[held.group].models[held.at];
        let topic = self.intake.topics().iter().position(|topic| {
            topic.group == held.group
                && topic.side == Side::Predictions
                && usize::from(topic.topic) == spec.predictions
        })?;
        let partitions = self.partition_counts.get(topic).copied().flatten()?;
        let partition = owners_partition(&spec.context.spec.name, partitions);
        let key = self.shard_key(TopicPartition { topic, partition });
        let input = self.intake.topic(topic).input(partition);
        Some(self.shards.get(&key).is_some_and(|held| held.assigned.contains(&input)))
    }

    /// Whether we own what we should, and know what that is.
    pub fn is_settled(&self) -> bool {
        let settled = |model| self.should_own(model) == Some(self.monitors[model].owned);
        self.joined && (0..self.monitors.len()).all(settled)
    }

    /// Claims a model's lineage and goes on from what it holds.
    fn own(&mut self, model: usize) -> Result<(), RestoreError> {
        if self.monitors[model].kept.lineage.is_none() {
            // A lineage that is away with a write must not come back later.
            self.finish_write(REVOKE_WITHIN);
        }
        let held = &mut self.monitors[model];
        let warm = held.kept.lineage.is_some() && self.keeper.still_ours(&mut held.kept);
        if !warm {
            let (kept, chain) = self
                .keeper
                .open(held.kept.path.clone(), held.kept.layout)
                .map_err(|error| error.compared_with(&held.layout_parts))?;
            let known = std::mem::replace(&mut held.kept, kept).restored;
            if held.kept.restored != known {
                held.released = None;
                let (context, topic) = (&held.monitor.context, &held.monitor.topic);
                let new = Monitor::new(Arc::clone(context), Arc::clone(topic));
                let in_flight = std::mem::replace(&mut held.monitor, new).state.outbox;
                self.restore_monitor(model, &chain)?;
                let outbox = &mut self.monitors[model].monitor.state.outbox;
                outbox.resume(in_flight.in_flight().clone());
            }
        }
        let held = &mut self.monitors[model];
        (held.owned, held.changed) = (true, true);
        self.durable.monitors.insert(model, MonitorCounters::of(&held.monitor));
        tracing::debug!(model = &*self.plan.models[model].name, "this member owns the model");
        Ok(())
    }

    /// Somebody else looks after a model from now on. What is here of it stays: nobody may come.
    pub(super) fn disown(&mut self, model: usize) {
        let held = &mut self.monitors[model];
        (held.owned, held.changed) = (false, false);
        self.durable.monitors.remove(&model);
        tracing::debug!(model = &*self.plan.models[model].name, "the model is not ours any more");
    }

    /// Gives up what the assignment no longer says. With `lost` nothing of it could be saved.
    pub(super) fn disown_unassigned(&mut self, lost: bool) {
        for model in 0..self.monitors.len() {
            if self.monitors[model].owned && self.should_own(model) == Some(false) {
                self.disown(model);
                if lost {
                    let kept = &mut self.monitors[model].kept;
                    (kept.lineage, kept.restored) = (None, None);
                }
            }
        }
    }

    /// Says whose lineages matter: of the groups whose models we own the shards that others have,
    /// and the models of others whose shards we have.
    fn follow(&mut self) {
        let mut wanted = BTreeMap::new();
        for (model, held) in self.monitors.iter().enumerate() {
            let group = held.group;
            let assigned = |partition: i32| {
                let held = self.shards.get(&(group, partition));
                held.is_some_and(|held| !held.assigned.is_empty())
            };
            let partitions = i32::try_from(held.monitor.expected_shards).unwrap_or(0);
            if held.owned {
                for partition in (0..partitions).filter(|partition| !assigned(*partition)) {
                    let path = LineagePath::shard(&self.groups[group].name, partition);
                    let want = Want::new(path, group_layout(&self.plan, group));
                    wanted.insert(Followee::Shard { group, partition }, want);
                }
            } else if (0..partitions).any(assigned) {
                let want = Want::new(held.kept.path.clone(), held.kept.layout);
                wanted.insert(Followee::Model(model), want);
            }
        }
        self.fleet.want(wanted);
    }

    /// Whether others look after models of a group: then they wait for our checkpoints.
    pub(super) fn is_followed(&self, group: usize) -> bool {
        self.monitors.iter().any(|held| held.group == group && !held.owned)
    }

    /// Whether we tell what rows of a group's topics became: one member does, for all of them.
    pub fn tells(&self, group: usize) -> bool {
        self.monitors.iter().find(|held| held.group == group).is_some_and(|held| held.owned)
    }
}
