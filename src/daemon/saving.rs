//! Checkpoints of what is held: what goes into a round, and what a durable one allows.

use super::durable::{MonitorCounters, ShardCounters};
use super::held::{ALARMS, Held, HeldMonitor, POLICY_NAMES, partials, policy_names};
use super::keeper::{Key, LAYOUT_PARTS, Report, WriteError};
use super::replaced::PARTITIONS;
use crate::engine::outbox::Mark;
use crate::engine::pane::Released;
use crate::engine::shard::InputKey;
use crate::engine::state::{Part, section};
use crate::io::checkpoint::CommitError;
use crate::io::clock;
use crate::io::kafka::TopicPartition;
use std::collections::BTreeMap;

/// What a round of checkpoints, once durable, allows.
#[derive(Default)]
pub(super) struct Capture {
    shards: BTreeMap<(usize, i32), ShardCounters>,
    monitors: BTreeMap<usize, (MonitorCounters, Mark, Option<Released>)>,
}

impl Held {
    /// Snapshots what changed and hands it to the writer, shards first: a monitor that is behind
    /// its shards asks again, one that is ahead of them would show less than before.
    pub fn checkpoint(&mut self) {
        if self.keeper.writing {
            return;
        }
        let mut capture = Capture::default();
        let mut round = Vec::new();
        for (key, held) in self.shards.iter_mut().filter(|(_, held)| held.changed) {
            let kind = held.kept.next_kind();
            if held.kept.lineage.is_none() {
                continue;
            }
            capture.shards.insert(*key, ShardCounters::of(&held.shard));
            let sections = held.shard.snapshot(kind);
            let name = Key::Shard { group: key.0, partition: key.1 };
            round.extend(held.kept.write(name, kind, sections));
            held.changed = false;
        }
        for (model, held) in self.monitors.iter_mut().enumerate().filter(|(_, h)| h.changed) {
            if held.kept.lineage.is_none() {
                continue;
            }
            let partials = partials(&self.shards, &self.fleet.shards, held.group, held.at);
            let released = held.monitor.releasable(&partials).or_else(|| held.released.clone());
            // All of it is small but the history, of which a delta has what changed.
            let kind = held.kept.next_kind();
            let sections = vec![
                section(Part::Monitor.at(0), &held.monitor.state),
                section(Part::Monitor.at(1), &released),
                held.monitor.history.save(kind),
                held.monitor.nowcasts.save(kind),
                section(POLICY_NAMES, &policy_names(&held.monitor)),
                section(ALARMS, &held.monitor.alarms),
                section(LAYOUT_PARTS, &held.layout_parts),
                section(PARTITIONS, &self.replaced.of_group(held.group)),
            ];
            let mark = held.monitor.state.outbox.mark();
            capture.monitors.insert(model, (MonitorCounters::of(&held.monitor), mark, released));
            round.extend(held.kept.write(Key::Model(model), kind, sections));
            held.changed = false;
        }
        self.forced = false;
        if !round.is_empty() {
            self.capture = Some(capture);
            self.keeper.write(round);
        }
    }

    /// Takes up the writer's report. Returns the offsets that are durable now.
    pub fn take_report(&mut self, report: Report) -> Vec<(TopicPartition, i64)> {
        let mut capture = self.capture.take().unwrap_or_default();
        let mut offsets = Vec::new();
        let failed = report.done.iter().any(|(.., result)| result.is_err());
        self.failed_rounds = if failed { self.failed_rounds.saturating_add(1) } else { 0 };
        for (key, lineage, result) in report.done {
            let kept = match key {
                Key::Shard { group, partition } => {
                    self.shards.get_mut(&(group, partition)).map(|h| (&mut h.kept, &mut h.changed))
                }
                Key::Model(model) => {
                    self.monitors.get_mut(model).map(|h| (&mut h.kept, &mut h.changed))
                }
            };
            let Some((kept, changed)) = kept else { continue };
            kept.lineage = Some(lineage);
            match result {
                Ok(()) => kept.full_due = false,
                Err(error) => {
                    *changed = true;
                    self.failed(key, &error);
                    continue;
                }
            }
            match key {
                Key::Shard { group, partition } => {
                    if let Some(counters) = capture.shards.remove(&(group, partition)) {
                        offsets.extend(self.offsets(group, &counters));
                        self.durable.shards.insert((group, partition), counters);
                    }
                }
                Key::Model(model) => {
                    if let Some((counters, mark, released)) = capture.monitors.remove(&model) {
                        self.durable.monitors.insert(model, counters);
                        let held = &mut self.monitors[model];
                        held.monitor.state.outbox.confirm(mark);
                        held.released = released;
                    }
                }
            }
        }
        let outbox = |held: &HeldMonitor| held.monitor.state.outbox.needs_checkpoint();
        self.forced |= failed && self.monitors.iter().any(outbox);
        offsets
    }

    fn failed(&mut self, key: Key, error: &WriteError) {
        let given_up = match key {
            Key::Shard { group, partition } => {
                let held = self.shards.get(&(group, partition));
                held.is_none_or(|held| held.assigned.is_empty())
            }
            Key::Model(model) => !self.monitors[model].owned,
        };
        match error {
            WriteError::NotTried => {}
            WriteError::Commit(CommitError::Fenced { .. }) => {
                if given_up {
                    tracing::info!(?key, "a checkpoint came too late: it was given up already");
                } else {
                    // We may have slept: the group will say so. If it does not, it is fatal.
                    tracing::error!(?key, %error, "somebody else has taken over");
                    let what = format!("checkpoint of {key:?}: {error}");
                    self.fleet.fenced.get_or_insert((clock::monotonic(), what));
                }
                match key {
                    Key::Shard { group, partition } => {
                        self.shards.remove(&(group, partition));
                    }
                    Key::Model(model) => {
                        self.disown(model);
                        let kept = &mut self.monitors[model].kept;
                        (kept.lineage, kept.restored) = (None, None);
                    }
                }
            }
            WriteError::Commit(error) => {
                tracing::error!(?key, %error, "checkpoint failed; it will be tried again");
            }
        }
    }

    fn offsets(&self, group: usize, counters: &ShardCounters) -> Vec<(TopicPartition, i64)> {
        let topics = self.intake.topics();
        let topic_of = |key: &InputKey| {
            topics.iter().position(|topic| {
                topic.group == group && topic.side == key.side && topic.topic == key.topic
            })
        };
        counters
            .inputs
            .iter()
            .filter_map(|(key, _, next)| {
                let at = TopicPartition { topic: topic_of(key)?, partition: key.partition };
                Some((at, (*next)?))
            })
            .collect()
    }

    /// Whether anything is not yet durable.
    pub fn is_dirty(&self) -> bool {
        self.shards.values().any(|held| held.changed)
            || self.monitors.iter().any(|held| held.changed)
    }

    /// Delivery changed an outbox, so its monitor must be saved again.
    pub fn touch(&mut self, model: usize) {
        let held = &mut self.monitors[model];
        held.changed |= held.owned;
    }
}
