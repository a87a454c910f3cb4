//! What is of topics and webhooks, not of a model.

use super::Scene;
use crate::daemon::held::Held;
use crate::engine::event::RefusalReason;
use crate::engine::outcome::{InputTally, LabelOutcome, LabelTally};
use crate::engine::shard::Side;
use crate::engine::time::Timestamp;
use crate::io::telemetry::*;
use std::collections::BTreeMap;

pub(super) fn inputs(scene: &Scene<'_>, builder: &mut SnapshotBuilder) {
    let topics = scene.source.topics();
    for status in scene.source.partitions() {
        let partition = status.at.partition.to_string();
        let labels = [topics[status.at.topic].as_str(), partition.as_str()];
        let lag = status.lag();
        builder.sample(&CONSUMER_OFFSET, &labels, status.position as f64);
        builder.sample(&CONSUMER_LAG, &labels, lag as f64);
        builder.sample(&CONSUMER_PAUSED, &labels, f64::from(u8::from(status.paused)));
        match status.last_record_time {
            _ if lag == 0 => builder.sample(&CONSUMER_LAG_SECONDS, &labels, 0.0),
            Some(last) => {
                let behind = (scene.now - last).as_secs_f64().max(0.0);
                builder.sample(&CONSUMER_LAG_SECONDS, &labels, behind);
            }
            None => {}
        }
    }
    for (topic, key, input, group) in scene.held.inputs() {
        let Some(newest) = input.progress.newest else { continue };
        let models = &scene.held.groups[group].models;
        let out_of_orderness =
            models.iter().map(|model| model.context.spec.time.out_of_orderness).min();
        let Some(out_of_orderness) = out_of_orderness else { continue };
        let partition = key.partition.to_string();
        let own = newest - out_of_orderness;
        builder.sample(&OWN_WATERMARK, &[topic, &partition], own.as_secs_f64());
    }
}

/// Rows by how they ended: values of the last durable checkpoint.
pub(super) fn rows(held: &Held, builder: &mut SnapshotBuilder) {
    let mut inputs: BTreeMap<(usize, Side, u16), InputTally> = BTreeMap::new();
    let mut labels: BTreeMap<(usize, usize), LabelTally> = BTreeMap::new();
    for ((group, _), shard) in &held.durable.shards {
        for (key, tally, _) in &shard.inputs {
            inputs.entry((*group, key.side, key.topic)).or_default().add(tally);
        }
        for (topic, tally) in shard.labels.iter().enumerate() {
            labels.entry((*group, topic)).or_default().add(tally);
        }
    }
    for topic in held.intake.topics() {
        let name = &*topic.name;
        if topic.side == Side::Labels && held.has_shards(topic.group) {
            let waiting = held.waiting_of(topic.group, usize::from(topic.topic));
            builder.sample(&WAITING_LABELS, &[name], waiting as f64);
        }
        if !held.tells(topic.group) || !held.is_whole(topic.group) {
            continue;
        }
        let tally =
            inputs.get(&(topic.group, topic.side, topic.topic)).cloned().unwrap_or_default();
        builder.sample(&ROWS_READ, &[name], tally.read as f64);
        for reason in RefusalReason::ALL {
            let count = tally.refused[reason as usize];
            builder.sample(&ROWS_REFUSED, &[name, reason.name()], count as f64);
        }
        let refused: u64 = tally.refused.iter().sum();
        let early = [
            ("refused", refused),
            ("undeclared_model", tally.undeclared_model),
            ("tombstone", tally.tombstone),
        ];
        match topic.side {
            Side::Predictions => {
                for (outcome, count) in early {
                    builder.sample(&PREDICTION_ROWS, &[name, "", outcome], count as f64);
                }
            }
            Side::Labels => {
                for (outcome, count) in early {
                    if outcome != "undeclared_model" {
                        builder.sample(&LABEL_ROWS, &[name, outcome], count as f64);
                    }
                }
                let at = usize::from(topic.topic);
                let tally = labels.get(&(topic.group, at)).cloned().unwrap_or_default();
                for outcome in LabelOutcome::ALL {
                    let count = tally.of(outcome);
                    builder.sample(&LABEL_ROWS, &[name, outcome.name()], count as f64);
                }
            }
        }
    }
}

pub(super) fn outboxes(held: &Held, builder: &mut SnapshotBuilder) {
    for webhook in &held.plan.webhooks {
        let name = &*webhook.name;
        let outboxes = || held.monitors.iter().map(|held| &held.monitor.state.outbox);
        let pending: Vec<Timestamp> = outboxes()
            .flat_map(|outbox| outbox.pending())
            .filter(|entry| &*entry.request.webhook == name)
            .map(|entry| entry.created_at)
            .collect();
        builder.sample(&OUTBOX_PENDING, &[name], pending.len() as f64);
        if let Some(oldest) = pending.iter().min() {
            builder.sample(&OUTBOX_OLDEST_TIMESTAMP, &[name], oldest.as_secs_f64());
        }
        let disabled = outboxes().any(|outbox| outbox.disabled_since(name).is_some());
        builder.sample(&WEBHOOK_DISABLED, &[name], f64::from(u8::from(disabled)));
        let totals = held.durable.monitors.values().flat_map(|monitor| &monitor.outbox);
        let (mut delivered, mut given_up) = (0, 0);
        for (_, one, other) in totals.filter(|(webhook, ..)| webhook == name) {
            delivered += one;
            given_up += other;
        }
        builder.sample(&OUTBOX_DELIVERED, &[name], delivered as f64);
        builder.sample(&OUTBOX_GIVEN_UP, &[name], given_up as f64);
    }
}
