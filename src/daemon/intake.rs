//! Records in, rows applied: decodes what the source hands out and gives it to the shards.
//!
//! Every record is counted here in full: its rows are appended, refused, undeclared or a tombstone.
//! What is refused also goes to the dead letters.

use super::setup::{Reader, TopicRole};
use crate::decode::label::LabelOutput;
use crate::decode::prediction::PredictionOutput;
use crate::decode::record::{Record, RecordOutcome, Refusal};
use crate::engine::copartition::CoPartition;
use crate::engine::event::RefusalReason;
use crate::engine::outcome::InputTally;
use crate::engine::shard::{GroupSpec, InputKey, Shard};
use crate::io::clock;
use crate::io::dead_letter::{DeadLetter, DeadLetters};
use crate::io::kafka_partitioner::Placement;
use crate::io::telemetry::{
    BYTES_READ, Counter, DEAD_LETTER_FAILURES, DEAD_LETTERS, DEAD_LETTERS_WITHHELD, RECORDS_READ,
    Telemetry,
};

/// Rows of one partition that have been decoded and not yet applied.
pub struct Intake {
    topics: Vec<TopicRole>,
    outputs: Vec<Output>,
    /// By topic: how its keys are placed, and among how many partitions.
    placements: Vec<(Placement, i32)>,
    /// By topic.
    meters: Vec<Meters>,
    letter_failures: Counter,
    failures_seen: u64,
    /// Topic and partition of the rows at hand.
    current: Option<(usize, i32)>,
    counted: InputTally,
    next_offset: i64,
    /// Records at hand; a batch is applied when it is large enough.
    records: usize,
    bytes: u64,
    pub dead_letters: Option<DeadLetters>,
}

struct Meters {
    records: Counter,
    bytes: Counter,
    letters: Counter,
    withheld: Counter,
    /// Reasons of which the first record has been logged.
    warned: u16,
}

enum Output {
    Predictions(PredictionOutput),
    Labels(LabelOutput),
}

/// Rows are applied when this many records of one partition have been decoded.
const BATCH_RECORDS: usize = 1_024;

impl Intake {
    pub fn new(
        topics: Vec<TopicRole>,
        dead_letters: Option<DeadLetters>,
        telemetry: &Telemetry,
    ) -> Self {
        let meters = topics
            .iter()
            .map(|topic| Meters {
                records: telemetry.counter(&RECORDS_READ, &[&topic.name]),
                bytes: telemetry.counter(&BYTES_READ, &[&topic.name]),
                letters: telemetry.counter(&DEAD_LETTERS, &[&topic.name]),
                withheld: telemetry.counter(&DEAD_LETTERS_WITHHELD, &[&topic.name]),
                warned: 0,
            })
            .collect();
        let outputs = topics
            .iter()
            .map(|topic| match &topic.reader {
                Reader::Predictions(decoder) => Output::Predictions(decoder.output()),
                Reader::Labels(decoder) => Output::Labels(decoder.output()),
            })
            .collect();
        Self {
            placements: vec![(Placement::default(), 0); topics.len()],
            topics,
            outputs,
            meters,
            letter_failures: telemetry.counter(&DEAD_LETTER_FAILURES, &[]),
            failures_seen: 0,
            current: None,
            counted: InputTally::default(),
            next_offset: 0,
            records: 0,
            bytes: 0,
            dead_letters,
        }
    }

    pub fn topic(&self, topic: usize) -> &TopicRole {
        &self.topics[topic]
    }

    pub fn topics(&self) -> &[TopicRole] {
        &self.topics
    }

    /// Whether the rows at hand must be applied before this record can be taken.
    pub fn must_flush(&self, topic: usize, partition: i32) -> bool {
        self.current.is_some_and(|current| current != (topic, partition))
            || self.records >= BATCH_RECORDS
    }

    /// Decodes a record into the rows at hand.
    pub fn take(&mut self, topic: usize, record: &Record<'_>) {
        if self.current.is_none() {
            self.start(topic, record.partition);
        }
        let role = &mut self.topics[topic];
        let (outcome, refusals) = match (&mut role.reader, &mut self.outputs[topic]) {
            (Reader::Predictions(decoder), Output::Predictions(output)) => {
                output.refusals.clear();
                (decoder.decode(record, output), &output.refusals)
            }
            (Reader::Labels(decoder), Output::Labels(output)) => {
                output.refusals.clear();
                (decoder.decode(record, output), &output.refusals)
            }
            _ => unreachable!("a topic's output is made by its reader"),
        };
        let (placement, partitions) = &mut self.placements[topic];
        if let Some(key) = record.key {
            placement.look(key, record.partition, *partitions);
        }
        count(&mut self.counted, &outcome);
        self.next_offset = record.offset + 1;
        self.records += 1;
        self.bytes += record.payload.map_or(0, <[u8]>::len) as u64;
        let meters = &mut self.meters[topic];
        if let Some(first) = refusals.first() {
            refuse(self.dead_letters.as_mut(), role, record, first, refusals.len(), meters);
        }
    }

    /// Takes up what became of dead letters since.
    pub fn count_letters(&mut self) {
        let Some(counts) = self.dead_letters.as_ref().map(DeadLetters::counts) else { return };
        let failures = counts.failed + counts.refused;
        self.letter_failures.add(failures.saturating_sub(self.failures_seen));
        self.failures_seen = failures;
    }

    fn start(&mut self, topic: usize, partition: i32) {
        match &mut self.outputs[topic] {
            Output::Predictions(output) => output.start(partition),
            Output::Labels(output) => output.start(partition),
        }
        self.current = Some((topic, partition));
        self.counted = InputTally::default();
        self.records = 0;
        self.bytes = 0;
    }

    /// Where the rows at hand belong.
    pub fn at_hand(&self) -> Option<(usize, i32)> {
        self.current
    }

    /// How many partitions each topic has, where that is known.
    pub fn expect(&mut self, counts: &[Option<i32>]) {
        for ((_, partitions), count) in self.placements.iter_mut().zip(counts) {
            *partitions = count.unwrap_or(0);
        }
    }

    /// How a topic's keys are placed, in words.
    pub fn placement(&self, topic: usize) -> &'static str {
        self.placements[topic].0.partitioner().map_or("no client's default", |p| p.name())
    }

    /// Shows the ids of the rows at hand to the samples of the group's models.
    pub fn sample(&self, spec: &GroupSpec, samples: &mut [CoPartition]) {
        let Some((topic, partition)) = self.current else { return };
        let place = usize::from(self.topics[topic].topic);
        match &self.outputs[topic] {
            Output::Predictions(output) => {
                for batch in &output.batches {
                    let at = spec.models.iter().position(|model| model.index == batch.model);
                    let Some(at) = at.filter(|&at| spec.models[at].labels.is_some()) else {
                        continue;
                    };
                    for (id, event_time) in batch.ids.iter().zip(&batch.event_times) {
                        samples[at].prediction(*id, partition, *event_time);
                    }
                }
            }
            Output::Labels(output) => {
                for (model, sample) in spec.models.iter().zip(samples) {
                    if model.labels.is_none_or(|labels| labels.topic != place) {
                        continue;
                    }
                    for (id, event_time) in output.batch.ids.iter().zip(&output.batch.event_times) {
                        sample.label(*id, partition, *event_time);
                    }
                }
            }
        }
    }

    /// Gives the rows at hand to their shard.
    pub fn apply(&mut self, shard: &mut Shard) {
        let Some((topic, partition)) = self.current.take() else { return };
        let key: InputKey = self.topics[topic].input(partition);
        self.meters[topic].records.add(self.records as u64);
        self.meters[topic].bytes.add(self.bytes);
        match &self.outputs[topic] {
            Output::Predictions(output) => {
                shard.apply_predictions(key, &output.batches, &self.counted, self.next_offset);
            }
            Output::Labels(output) => {
                shard.apply_labels(key, &output.batch, &self.counted, self.next_offset);
            }
        }
        self.records = 0;
    }

    /// Forgets the rows at hand: their partition is no longer ours, whoever has it reads them
    /// again.
    pub fn discard(&mut self) {
        self.current = None;
        self.records = 0;
    }
}

fn count(counted: &mut InputTally, outcome: &RecordOutcome) {
    counted.read += u64::from(outcome.rows());
    for reason in RefusalReason::ALL {
        counted.refused[reason as usize] += u64::from(outcome.refused.get(reason));
    }
    counted.undeclared_model += u64::from(outcome.undeclared);
    counted.tombstone += u64::from(outcome.tombstone);
}

/// One letter a record, with its first fault: a record of a hundred bad rows is still one record.
fn refuse(
    dead_letters: Option<&mut DeadLetters>,
    role: &TopicRole,
    record: &Record<'_>,
    first: &Refusal,
    rows: usize,
    meters: &mut Meters,
) {
    let (topic, reason) = (&*role.name, first.reason.name());
    let Record { partition, offset, .. } = *record;
    let bit = 1u16 << first.reason as u8;
    if meters.warned & bit == 0 {
        // The first of its kind; the counters tell how many follow.
        meters.warned |= bit;
        tracing::warn!(topic, partition, offset, rows, reason, message = first.message, "refused");
    } else {
        tracing::debug!(topic, partition, offset, rows, reason, message = first.message, "refused");
    }
    let Some(dead_letters) = dead_letters else { return };
    let class = match role.reader {
        Reader::Predictions(_) => "tidemark::decode::prediction",
        Reader::Labels(_) => "tidemark::decode::label",
    };
    let letter = DeadLetter { topic, record: *record, class, reason, message: &first.message };
    if dead_letters.write(&letter, clock::monotonic()) {
        meters.letters.add(1);
    } else {
        meters.withheld.add(1);
    }
}
