//! Topics that are no longer what the state was made from: older records gone, made anew, grown,
//! shrunk. Each is logged, counted, and said by `/-/ready` for as long as the process runs; what is
//! done about it stands in the table of ARCHITECTURE.md.

use super::intake::Intake;
use crate::engine::state::{Part, SectionName};
use crate::io::clock;
use crate::io::kafka::{OutOfRange, TopicPartition};
use crate::io::telemetry::{Counter, OFFSETS_LOST, PARTITIONS_CHANGED, RECORDS_LOST, Telemetry};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Where a model's checkpoint keeps how many partitions its topics had. The number leaves room for
/// sections before it.
pub(super) const PARTITIONS: SectionName = Part::Monitor.at(18);

/// The client notices by itself that a topic has grown while it runs; this is longer than it takes.
const REJOIN_AFTER: Duration = Duration::from_secs(5);
/// Sentences that are told at once; the others are in the log.
const TOLD_MAX: usize = 3;
/// Sentences that are kept, one a topic and kind.
const NOTES_MAX: usize = 1_000;

/// Partitions by topic.
pub(super) type Partitions = BTreeMap<String, i32>;

/// What is known of the topics, by their position in the source's list.
pub struct Replaced {
    topics: Vec<Topic>,
    notes: BTreeMap<(usize, Change), String>,
}

struct Topic {
    name: String,
    group: usize,
    /// The most partitions that were ever read; `None` before the first time.
    known: Option<i32>,
    growth: Option<Growth>,
    records_lost: Counter,
    retention: Counter,
    recreated: Counter,
    added: Counter,
    removed: Counter,
}

/// More partitions than were ever read.
struct Growth {
    partitions: i32,
    since: Instant,
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    Retention,
    Recreated,
    Grown,
    Shrunk,
}

impl Replaced {
    pub fn new(intake: &Intake, telemetry: &Telemetry) -> Self {
        let topic = |role: &super::setup::TopicRole| {
            let name = role.name.to_string();
            let lost = |reason| telemetry.counter(&OFFSETS_LOST, &[&name, reason]);
            let changed = |change| telemetry.counter(&PARTITIONS_CHANGED, &[&name, change]);
            Topic {
                group: role.group,
                known: None,
                growth: None,
                records_lost: telemetry.counter(&RECORDS_LOST, &[&name]),
                retention: lost("retention"),
                recreated: lost("recreated"),
                added: changed("added"),
                removed: changed("removed"),
                name,
            }
        };
        Self { topics: intake.topics().iter().map(topic).collect(), notes: BTreeMap::new() }
    }

    /// Takes up what a model's checkpoint says.
    pub(super) fn restore(&mut self, partitions: &Partitions) {
        for topic in &mut self.topics {
            topic.known = topic.known.max(partitions.get(&topic.name).copied());
        }
    }

    /// For the checkpoint of a model of this group.
    pub(super) fn of_group(&self, group: usize) -> Partitions {
        let topics = self.topics.iter().filter(|topic| topic.group == group);
        topics.filter_map(|topic| Some((topic.name.clone(), topic.known?))).collect()
    }

    /// Whether a partition came to a topic that had been read without it. Then what is in it is
    /// new to us from its first record on, wherever the configuration says to begin.
    pub fn is_added(&self, topic: usize, partition: i32) -> bool {
        self.topics[topic].known.is_some_and(|known| partition >= known)
    }

    /// These partitions are read from here on. True if that is news to the checkpoint.
    pub fn assigned(&mut self, partitions: &[(TopicPartition, i64)]) -> bool {
        let mut news = false;
        let added: Vec<TopicPartition> = partitions
            .iter()
            .map(|(at, _)| *at)
            .filter(|at| self.is_added(at.topic, at.partition))
            .collect();
        for at in added {
            self.grown(at);
        }
        for (at, _) in partitions {
            let topic = &mut self.topics[at.topic];
            let known = topic.known.map(|known| known.max(at.partition + 1));
            news |= topic.known != known;
            topic.known = known;
        }
        news
    }

    fn grown(&mut self, at: TopicPartition) {
        let topic = &self.topics[at.topic];
        let name = topic.name.clone();
        topic.added.add(1);
        tracing::warn!(
            topic = name,
            partition = at.partition,
            "the topic has grown: its new partition is read from its first record on; keys move \
             when a topic grows, so labels of older predictions may come in another partition than \
             these and then meet nothing"
        );
        let partitions = at.partition + 1;
        let note = format!(
            "topic {name} has grown to {partitions} partitions: labels of predictions made before \
             may lie in another partition and meet nothing"
        );
        self.note(at.topic, Change::Grown, note);
    }

    /// Whether the group should be asked for a new assignment: Kafka gives a static member that
    /// comes back what it had, and nobody looks whether topics have grown meanwhile. True once for
    /// each number of partitions.
    pub fn should_rejoin(&mut self, now: Instant) -> bool {
        let mut due = false;
        for topic in &mut self.topics {
            let Some(growth) = &mut topic.growth else { continue };
            if !growth.asked && now.duration_since(growth.since) >= REJOIN_AFTER {
                let partitions = growth.partitions;
                tracing::warn!(topic = topic.name, partitions, "the topic has grown: joining anew");
                growth.asked = true;
                due = true;
            }
        }
        due
    }

    /// How many partitions the topics have now. True if that is news to the checkpoint.
    pub fn counts(&mut self, counts: &[Option<i32>]) -> bool {
        let mut news = false;
        for (at, count) in counts.iter().enumerate().take(self.topics.len()) {
            let topic = &mut self.topics[at];
            let Some(count) = *count else { continue };
            // All that a new topic has is no news; what others read counts as well as what we do.
            let known = *topic.known.get_or_insert_with(|| {
                news = true;
                count
            });
            if count <= known {
                topic.growth = None;
            } else if topic.growth.as_ref().is_none_or(|growth| growth.partitions != count) {
                let since = clock::monotonic();
                topic.growth = Some(Growth { partitions: count, since, asked: false });
            }
            if count >= known || self.notes.contains_key(&(at, Change::Shrunk)) {
                continue;
            }
            topic.removed.add(u64::from(known.abs_diff(count)));
            let name = topic.name.clone();
            tracing::error!(
                topic = name,
                before = known,
                now = count,
                "the topic has fewer partitions than its state: it was made anew; what the \
                 partitions that are gone had counted is in no number any more"
            );
            let note = format!(
                "topic {name} had {known} partitions and has {count}: what the others had counted \
                 is missing"
            );
            self.note(at, Change::Shrunk, note);
        }
        news
    }

    /// The offset to continue from is not in the log.
    pub fn lost(&mut self, lost: OutOfRange) {
        let OutOfRange { at, wanted, log_start, log_end } = lost;
        let topic = &self.topics[at.topic];
        let (name, partition) = (topic.name.clone(), at.partition);
        if lost.beyond_end() {
            topic.recreated.add(1);
            tracing::error!(
                topic = name,
                partition,
                wanted,
                log_start,
                log_end,
                "the log ends before the checkpoint's offset: the topic was truncated or made \
                 anew; reading it from its start"
            );
            let note = format!(
                "topic {name} was truncated or made anew: partition {partition} ended at \
                 {log_end}, before the checkpoint's offset {wanted}, and was read from its start"
            );
            self.note(at.topic, Change::Recreated, note);
        } else {
            let missing = u64::try_from(log_start - wanted).unwrap_or(0);
            topic.retention.add(1);
            topic.records_lost.add(missing);
            tracing::error!(
                topic = name,
                partition,
                wanted,
                log_start,
                log_end,
                missing,
                "records between the checkpoint and the log's start are gone (retention): they are \
                 missing from all numbers"
            );
            let note = format!(
                "records of topic {name} were gone before they were read: {missing} of partition \
                 {partition}, from offset {wanted} on"
            );
            self.note(at.topic, Change::Retention, note);
        }
    }

    /// What people should know, in a line.
    pub fn sentence(&self) -> Option<String> {
        if self.notes.is_empty() {
            return None;
        }
        let told: Vec<&str> = self.notes.values().take(TOLD_MAX).map(String::as_str).collect();
        let mut text = told.join("; ");
        if self.notes.len() > TOLD_MAX {
            text.push_str(&format!("; and {} more in the log", self.notes.len() - TOLD_MAX));
        }
        Some(text)
    }

    /// The newest of a topic and kind stays.
    fn note(&mut self, topic: usize, change: Change, note: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.insert((topic, change), note);
        }
    }
}
