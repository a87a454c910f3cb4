//! How shards come and go with the assignment of partitions, and what the source tells.

use super::durable::ShardCounters;
use super::held::{Held, HeldShard};
use super::keeper::{RestoreError, restore_shard};
use super::setup::group_layout;
use crate::io::checkpoint::LineagePath;
use crate::io::kafka::{
    OutOfRange, Resume, SourceEvent, SourceHandler, StartOffset, TopicPartition,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Giving partitions up waits this long for the last checkpoint.
pub(super) const REVOKE_WITHIN: Duration = Duration::from_secs(20);

impl SourceHandler for Held {
    fn start_offset(&mut self, at: TopicPartition) -> StartOffset {
        let key = self.shard_key(at);
        match self.open_shard(key) {
            Ok(()) => self.store_fault = None,
            Err(error) if error.may_pass() => {
                if self.store_fault.is_none() {
                    tracing::error!(%error, "a shard cannot be restored now; trying again");
                }
                self.store_fault = Some(error.to_string());
                return StartOffset::NotYet;
            }
            Err(error) => {
                self.fatal = Some(error.to_string());
                return StartOffset::NotYet;
            }
        }
        let added = self.replaced.is_added(at.topic, at.partition);
        let role = self.intake.topic(at.topic);
        let start = if added { StartOffset::Earliest } else { role.start };
        let input = role.input(at.partition);
        let Some(held) = self.shards.get_mut(&key) else { return start };
        held.shard.input(input).next_offset.map_or(start, StartOffset::At)
    }

    fn out_of_range(&mut self, lost: OutOfRange) -> Resume {
        self.replaced.lost(lost);
        Resume::LogStart
    }

    fn event(&mut self, event: SourceEvent<'_>) {
        match event {
            SourceEvent::Record { topic, record } => {
                if self.intake.must_flush(topic, record.partition) {
                    self.flush();
                }
                self.records += 1;
                self.intake.take(topic, &record);
            }
            SourceEvent::EndReached { at, confirmed_at, .. } => {
                self.flush();
                let key = self.shard_key(at);
                let input = self.intake.topic(at.topic).input(at.partition);
                if let Some(held) = self.shards.get_mut(&key) {
                    held.shard.confirm(input, confirmed_at);
                }
            }
            SourceEvent::Assigned(partitions) => {
                self.rebalances += 1;
                self.fleet.fenced = None;
                self.joined = true;
                if self.replaced.assigned(partitions) {
                    self.monitors.iter_mut().for_each(|held| held.changed |= held.owned);
                }
                for &(at, offset) in partitions {
                    let key = self.shard_key(at);
                    let input = self.intake.topic(at.topic).input(at.partition);
                    if let Some(held) = self.shards.get_mut(&key) {
                        held.shard.input(input).next_offset = Some(offset);
                        held.assigned.insert(input);
                        held.changed = true;
                    }
                }
            }
            SourceEvent::Revoked { partitions, lost } => self.revoke(partitions, lost),
            SourceEvent::Fatal { message } => self.fatal = Some(message),
        }
    }
}

impl Held {
    /// The shard that a partition of a topic belongs to.
    pub fn shard_key(&self, at: TopicPartition) -> (usize, i32) {
        let group = self.intake.topic(at.topic).group;
        (group, if self.groups[group].spread { 0 } else { at.partition })
    }

    fn open_shard(&mut self, key: (usize, i32)) -> Result<(), RestoreError> {
        if self.shards.get(&key).is_some_and(|held| held.kept.lineage.is_none()) {
            self.finish_write(REVOKE_WITHIN);
        }
        if let Some(held) = self.shards.get_mut(&key) {
            // It stayed warm while somebody else might have had it.
            let warm = !held.assigned.is_empty() || self.keeper.still_ours(&mut held.kept);
            if warm {
                return Ok(());
            }
            self.shards.remove(&key);
        }
        let spec = &self.groups[key.0];
        let path = LineagePath::shard(&spec.name, key.1);
        let (kept, chain) = self.keeper.open(path.clone(), group_layout(&self.plan, key.0))?;
        let shard = restore_shard(spec, &path, &chain)?;
        self.durable.shards.insert(key, ShardCounters::of(&shard));
        let assigned = BTreeSet::new();
        self.shards.insert(key, HeldShard { shard, kept, assigned, changed: true });
        Ok(())
    }

    /// Saves what is given up, while it is still ours.
    fn revoke(&mut self, partitions: &[TopicPartition], lost: bool) {
        self.rebalances += 1;
        if lost {
            self.intake.discard();
        } else {
            self.flush();
            self.save_within(REVOKE_WITHIN);
        }
        for &at in partitions {
            let key = self.shard_key(at);
            let input = self.intake.topic(at.topic).input(at.partition);
            if let Some(held) = self.shards.get_mut(&key) {
                held.assigned.remove(&input);
            }
        }
        self.fleet.fenced = None;
        if lost {
            // The lineage that is away with a write must not come back to what is read anew.
            self.finish_write(REVOKE_WITHIN);
        }
        self.disown_unassigned(lost);
        if lost {
            for &at in partitions {
                let key = self.shard_key(at);
                self.shards.remove(&key);
            }
        }
    }

    /// Waits for the write that is on its way, if there is one, and takes up what became of it.
    pub(super) fn finish_write(&mut self, within: Duration) {
        if let Some(report) = self.keeper.wait(within) {
            self.take_report(report);
        }
    }

    /// Writes everything that is not durable, and waits for it. False if it did not get there.
    pub fn save_within(&mut self, within: Duration) -> bool {
        self.finish_write(within);
        self.checkpoint();
        self.finish_write(within);
        !self.is_dirty() && !self.keeper.writing
    }
}
