//! The pipeline: what is read, where it stands, what is saved.

use super::View;
use crate::engine::event::RefusalReason;
use crate::engine::outcome::PredictionTally;
use crate::engine::outcome::{InputTally, LabelOutcome, LabelTally, PredictionOutcome};
use crate::engine::shard::Side;
use crate::engine::time::Timestamp;
use crate::io::http::api::dto::{
    Checkpoints, DeadLetterCount, Memory, ModelWatermarks, Partition, PipelineAnswer, RowCount,
    Topic, seconds, stretch,
};
use crate::io::kafka::PartitionStatus;
use std::collections::BTreeMap;

impl View<'_> {
    pub(super) fn pipeline(&self) -> PipelineAnswer {
        let status = self.source.status();
        PipelineAnswer {
            connected: status.connected,
            last_error: status.last_error.clone(),
            topics: self.topics(),
            watermarks: (0..self.held.monitors.len()).map(|at| self.watermarks(at)).collect(),
            dead_letters: self.dead_letters(),
            rows: self.rows(),
            checkpoints: self.checkpoints(),
            memory: Memory { resident_bytes: resident_bytes() },
        }
    }

    fn topics(&self) -> Vec<Topic> {
        let missing = &self.source.status().missing;
        let mut own: BTreeMap<(&str, i32), Timestamp> = BTreeMap::new();
        for (topic, key, input, group) in self.held.inputs() {
            let models = &self.held.groups[group].models;
            let behind = models.iter().map(|model| model.context.spec.time.out_of_orderness).min();
            if let (Some(newest), Some(behind)) = (input.progress.newest, behind) {
                own.insert((topic, key.partition), newest - behind);
            }
        }
        let partitions: Vec<PartitionStatus> = self.source.partitions().collect();
        let roles = self.held.intake.topics();
        let topic = |(at, role): (usize, &crate::daemon::setup::TopicRole)| Topic {
            topic: role.name.to_string(),
            role: match role.side {
                Side::Predictions => "predictions".to_owned(),
                Side::Labels => "labels".to_owned(),
            },
            group: self.held.plan.kafka.group_id.clone(),
            missing: missing.contains(&at),
            partitions: partitions
                .iter()
                .filter(|status| status.at.topic == at)
                .map(|status| {
                    let watermark = own.get(&(&*role.name, status.at.partition)).copied();
                    self.partition(status, watermark)
                })
                .collect(),
        };
        roles.iter().enumerate().map(topic).collect()
    }

    fn partition(&self, status: &PartitionStatus, watermark: Option<Timestamp>) -> Partition {
        let lag = status.lag();
        let behind = status.last_record_time.map(|last| (self.now - last).as_secs_f64().max(0.0));
        Partition {
            partition: status.at.partition,
            assigned: true,
            position: status.position,
            end: status.log_end,
            lag_records: lag,
            lag_seconds: if lag == 0 { Some(0.0) } else { behind },
            watermark: watermark.and_then(seconds),
            paused: status.paused,
        }
    }

    fn watermarks(&self, index: usize) -> ModelWatermarks {
        let model = self.at(index);
        let closing = model.monitor.monitor.closing(&model.partials);
        let group = &self.held.groups[model.monitor.group];
        let place = group.models.iter().find(|place| place.context.spec.name == model.spec.name);
        let labels = place.and_then(|place| place.labels);
        let waiting = labels.map_or(0, |l| self.held.waiting_of(model.monitor.group, l.topic));
        ModelWatermarks {
            model: model.spec.name.to_string(),
            predictions_closing: closing.and_then(|(predictions, _)| seconds(predictions)),
            labels_closing: closing.and_then(|(_, labels)| seconds(labels)),
            labels_silent: model.partials.iter().any(|partial| partial.labels_silent),
            pending: model.partials.iter().map(|partial| partial.pending).sum(),
            waiting_labels: waiting as u64,
        }
    }

    /// Rows of each topic that were read and could not be used, or ended before a model had them.
    fn inputs(&self) -> BTreeMap<&str, InputTally> {
        let mut tallies: BTreeMap<&str, InputTally> = BTreeMap::new();
        for (topic, _, input, _) in self.held.inputs() {
            tallies.entry(topic).or_default().add(&input.tally);
        }
        tallies
    }

    fn dead_letters(&self) -> Vec<DeadLetterCount> {
        let mut letters = Vec::new();
        for (topic, tally) in self.inputs() {
            for reason in RefusalReason::ALL {
                let count = tally.refused[reason as usize];
                if count > 0 {
                    letters.push(DeadLetterCount {
                        topic: topic.to_owned(),
                        reason: reason.name().to_owned(),
                        count,
                    });
                }
            }
        }
        letters
    }

    fn rows(&self) -> Vec<RowCount> {
        let mut rows: BTreeMap<(String, &str), u64> = BTreeMap::new();
        let mut count = |topic: &str, outcome: &'static str, count: u64| {
            *rows.entry((topic.to_owned(), outcome)).or_default() += count;
        };
        for (topic, tally) in self.inputs() {
            count(topic, "read", tally.read);
            count(topic, "refused", tally.refused.iter().sum());
            count(topic, "undeclared_model", tally.undeclared_model);
            count(topic, "tombstone", tally.tombstone);
        }
        for index in 0..self.held.monitors.len() {
            let model = self.at(index);
            let mut tally = PredictionTally::default();
            model.partials.iter().for_each(|partial| tally.add(&partial.tally));
            for outcome in PredictionOutcome::ALL {
                count(&model.monitor.monitor.topic, outcome.name(), tally.of(outcome));
            }
        }
        for (topic, tally) in self.held.label_tallies() {
            for outcome in LabelOutcome::ALL {
                count(&topic, outcome.name(), LabelTally::of(&tally, outcome));
            }
        }
        rows.into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|((topic, outcome), count)| RowCount { topic, outcome: outcome.to_owned(), count })
            .collect()
    }

    fn checkpoints(&self) -> Checkpoints {
        let facts = &self.held.keeper.facts;
        Checkpoints {
            last_durable_at: facts.last_durable_at.and_then(seconds),
            last_duration: facts.last_duration.map(|duration| duration.as_secs_f64()),
            last_bytes: facts.last_bytes,
            failures: facts.failures,
            last_error: facts.last_error.clone(),
            every: stretch(self.held.plan.state.checkpoint_every),
        }
    }
}

/// What the process holds, as Linux says; elsewhere it is not known.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}
