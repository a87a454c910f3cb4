//! What the source takes and hands out: records of several topics, on the caller's thread.
//!
//! One consumer and one queue, drained by [`KafkaSource::poll`]. Three rules:
//! - Offsets come from the caller, not from Kafka: every partition starts at an explicit offset,
//!   which the caller is asked for when it is assigned. What retention has taken away is reported.
//! - Nothing here waits for a broker but `poll` for records. Questions go to `kafka_lookup.rs`.
//! - That a partition has been read to its end is *confirmed* again and again, each time by asking
//!   the broker where the log ends: silence alone proves nothing.

use std::time::Duration;

pub use super::kafka_settings::{KafkaSettings, SettingsError};
pub use super::kafka_source::{KafkaSource, partition_counts};
use crate::decode::record::Record;
use crate::engine::time::Timestamp;

/// A partition of one of the source's topics; `topic` is its position in the source's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: usize,
    pub partition: i32,
}

/// Where reading a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOffset {
    /// The offset of the next record to read, from a checkpoint.
    At(i64),
    /// What is there of the log.
    Earliest,
    /// What comes from now on.
    Latest,
    /// The first record whose Kafka timestamp is not before this; the end if there is none.
    Time(Timestamp),
    /// Nobody can say yet: nothing is read, and the handler is asked again in a second.
    NotYet,
}

/// The offset to continue from is not in the log: records were lost, or the topic is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    pub at: TopicPartition,
    pub wanted: i64,
    pub log_start: i64,
    pub log_end: i64,
}

impl OutOfRange {
    /// The log is shorter than it was: truncated, or the topic was made anew.
    pub fn beyond_end(&self) -> bool {
        self.wanted > self.log_end
    }
}

/// Where to go on after [`OutOfRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    LogStart,
    LogEnd,
}

/// What `poll` hands out.
pub enum SourceEvent<'a> {
    Record {
        topic: usize,
        record: Record<'a>,
    },
    /// Everything that could be read of the partition at `confirmed_at` (not what an open
    /// transaction hides) has been handed out, and the partition is not paused. Repeated about
    /// every second for as long as it holds.
    EndReached {
        at: TopicPartition,
        offset: i64,
        confirmed_at: Timestamp,
    },
    /// Records of these follow, from these offsets on.
    Assigned(&'a [(TopicPartition, i64)]),
    /// No more records of these follow. The partitions are given up when the handler returns: a
    /// last checkpoint can be written here, within `max.poll.interval.ms`.
    Revoked {
        partitions: &'a [TopicPartition],
        /// Somebody else may read them already.
        lost: bool,
    },
    /// The source must be made anew.
    Fatal {
        message: String,
    },
}

/// The one who polls.
pub trait SourceHandler {
    /// Asked for each partition when it is assigned: the next offset to process, wherever that is
    /// known from.
    fn start_offset(&mut self, at: TopicPartition) -> StartOffset;
    /// Told, never skipped in silence.
    fn out_of_range(&mut self, lost: OutOfRange) -> Resume;
    fn event(&mut self, event: SourceEvent<'_>);
}

/// Who decides which partitions are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// The consumer group, with `range`: the same partitions of all topics go to one member.
    Group,
    /// Nobody: all partitions of all topics are read, without joining a group.
    All,
}

#[derive(Clone, Copy, Debug)]
pub struct SourceOptions {
    pub membership: Membership,
    /// How often the ends of the logs are asked for.
    pub log_ends_every: Duration,
    /// A partition that has more records, and hands out none for so long though nothing else is
    /// queued, makes the source start a new consumer.
    pub stalled_after: Duration,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            membership: Membership::Group,
            log_ends_every: Duration::from_secs(1),
            stalled_after: Duration::from_secs(60),
        }
    }
}

/// The source could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("cannot start the kafka consumer: {0}")]
    Client(String),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("kafka does not answer: {0}")]
    Unavailable(String),
}

/// How the source is doing, for telemetry and readiness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// `None` until a broker has answered, or failed to.
    pub connected: Option<bool>,
    /// All partitions we are to read are being read from known offsets.
    pub assigned: bool,
    /// Partitions of each topic; `None`: the topic does not exist, or nobody knows yet.
    pub partition_counts: Vec<Option<i32>>,
    /// Topics of which a broker said that they do not exist.
    pub missing: Vec<usize>,
    /// New consumers that were started because the old one stalled.
    pub recreated: u64,
    /// Offsets that Kafka did not take; of no consequence but to lag tools.
    pub commit_failures: u64,
    /// Records that librdkafka delivered for partitions we do not have, or twice.
    pub discarded: u64,
    pub last_error: Option<String>,
}

/// How far one partition has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    pub at: TopicPartition,
    /// Of the next record that we expect.
    pub position: i64,
    /// As of about a second ago.
    pub log_end: i64,
    pub paused: bool,
    /// Kafka's timestamp of the last record that was handed out.
    pub last_record_time: Option<Timestamp>,
    pub confirmed_at: Option<Timestamp>,
}

impl PartitionStatus {
    /// Records that are in the log and were not handed out yet.
    pub fn lag(&self) -> u64 {
        u64::try_from(self.log_end - self.position).unwrap_or(0)
    }
}
