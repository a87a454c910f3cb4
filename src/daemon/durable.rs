//! The part of the state that is exported only once it is durable: counters.
//!
//! A counter that fell back after a crash would read as a reset, and `increase()` would count
//! twice.

use crate::engine::counters::{DelayHistogram, VersionCounters};
use crate::engine::effect::FiringKind;
use crate::engine::monitor::Monitor;
use crate::engine::outcome::{InputTally, LabelTally, PredictionTally};
use crate::engine::policy::Decision;
use crate::engine::shard::{InputKey, Shard};
use crate::engine::time::Timestamp;
use std::collections::BTreeMap;

/// Counters of one shard.
#[derive(Clone, Debug, Default)]
pub struct ShardCounters {
    pub inputs: Vec<(InputKey, InputTally, Option<i64>)>,
    pub labels: Vec<LabelTally>,
    pub models: Vec<ModelCounters>,
}

/// Counters of one model, of one shard or of all.
#[derive(Clone, Debug, Default)]
pub struct ModelCounters {
    pub predictions: PredictionTally,
    pub labels: LabelTally,
    pub delay: DelayHistogram,
    pub versions: BTreeMap<String, VersionCounters>,
    pub predictions_closing: Timestamp,
}

/// Counters of one monitor.
#[derive(Clone, Debug, Default)]
pub struct MonitorCounters {
    /// By policy.
    pub decisions: Vec<BTreeMap<Decision, u64>>,
    /// Alarm episodes, by the policy's name.
    pub episodes: BTreeMap<String, u64>,
    pub firings: BTreeMap<(u16, FiringKind), u64>,
    /// Delivered and given up, by webhook.
    pub outbox: Vec<(String, u64, u64)>,
}

/// Everything durable.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    pub shards: BTreeMap<(usize, i32), ShardCounters>,
    pub monitors: BTreeMap<usize, MonitorCounters>,
}

impl ShardCounters {
    pub fn of(shard: &Shard) -> Self {
        Self {
            inputs: shard
                .inputs
                .iter()
                .map(|(key, input)| (*key, input.tally.clone(), input.next_offset))
                .collect(),
            labels: shard.label_tallies.clone(),
            models: shard
                .models
                .iter()
                .map(|model| {
                    let partial = &model.partial;
                    let versions = partial.versions.iter().cloned();
                    ModelCounters {
                        predictions: partial.tally.clone(),
                        labels: partial.label_tally.clone(),
                        delay: partial.delay.clone(),
                        versions: versions.zip(partial.counters.iter().cloned()).collect(),
                        predictions_closing: partial.predictions_closing,
                    }
                })
                .collect(),
        }
    }
}

impl ModelCounters {
    pub fn add(&mut self, other: &Self) {
        self.predictions.add(&other.predictions);
        self.labels.add(&other.labels);
        self.delay.add(&other.delay);
        for (version, counters) in &other.versions {
            self.versions.entry(version.clone()).or_default().add(counters);
        }
    }
}

impl MonitorCounters {
    pub fn of(monitor: &Monitor) -> Self {
        let state = &monitor.state;
        Self {
            decisions: state.policies.iter().map(|policy| policy.decisions.clone()).collect(),
            episodes: monitor
                .alarms
                .policies
                .iter()
                .map(|(policy, memory)| (policy.clone(), memory.episodes))
                .collect(),
            firings: state.firings.clone(),
            outbox: state
                .outbox
                .totals()
                .map(|(webhook, totals)| (webhook.to_owned(), totals.delivered, totals.given_up))
                .collect(),
        }
    }
}

impl Durable {
    /// Counters of one model over all shards of its group.
    pub fn model(&self, group: usize, at: usize) -> ModelCounters {
        let mut sum = ModelCounters::default();
        for ((_, _), shard) in self.shards.range((group, i32::MIN)..=(group, i32::MAX)) {
            if let Some(model) = shard.models.get(at) {
                sum.add(model);
            }
        }
        sum
    }
}
