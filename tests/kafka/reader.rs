//! A handler that remembers everything.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::support::kafka_broker::{KafkaBroker, shared};
use crate::support::kafka_client::{Outgoing, PATIENCE, unique};
use tidemark::engine::time::Timestamp;
use tidemark::io::clock;
use tidemark::io::kafka::{
    KafkaSettings, KafkaSource, OutOfRange, Resume, SourceEvent, SourceHandler, SourceOptions,
    SourceStatus, StartOffset, TopicPartition,
};

/// Settings for tests: like a user's, with quicker retries.
pub fn settings(broker: &KafkaBroker, group: &str) -> KafkaSettings {
    let quick = [("reconnect.backoff.ms", "20"), ("reconnect.backoff.max.ms", "200")];
    KafkaSettings {
        bootstrap_servers: broker.bootstrap(),
        group_id: group.to_owned(),
        properties: quick.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
    }
}

/// A source on the shared broker, alone in its group.
pub fn source(topics: &[String]) -> KafkaSource {
    source_with(topics, SourceOptions::default())
}

pub fn source_with(topics: &[String], options: SourceOptions) -> KafkaSource {
    let settings = settings(shared(), &unique("group"));
    KafkaSource::new(settings, topics.to_vec(), options).unwrap()
}

/// `count` records for each partition, whose payloads count from 0.
pub fn numbered(partitions: Range<i32>, count: i64) -> Vec<Outgoing> {
    let one = |partition| (0..count).map(move |i| Outgoing::new(i.to_string()).to(partition));
    partitions.flat_map(one).collect()
}

pub struct Seen {
    pub at: TopicPartition,
    pub offset: i64,
    pub timestamp: Timestamp,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

pub struct Reader {
    /// Where to start a partition that nobody has read.
    first: fn(TopicPartition) -> StartOffset,
    /// Next offsets: what a checkpoint would hold.
    pub starts: BTreeMap<TopicPartition, i64>,
    pub resume: fn(TopicPartition) -> Resume,
    pub records: Vec<Seen>,
    pub ends: Vec<(TopicPartition, i64, Timestamp)>,
    pub assigned: Vec<Vec<(TopicPartition, i64)>>,
    pub revoked: Vec<Vec<TopicPartition>>,
    pub lost: Vec<OutOfRange>,
}

impl Reader {
    pub fn new(first: fn(TopicPartition) -> StartOffset) -> Self {
        Self {
            first,
            starts: BTreeMap::new(),
            resume: |_| Resume::LogStart,
            records: Vec::new(),
            ends: Vec::new(),
            assigned: Vec::new(),
            revoked: Vec::new(),
            lost: Vec::new(),
        }
    }

    pub fn earliest() -> Self {
        Self::new(|_| StartOffset::Earliest)
    }

    pub fn poll(&mut self, source: &mut KafkaSource) {
        source.poll(Duration::from_millis(20), 50, self);
    }

    /// Polls until it is so.
    pub fn drive(&mut self, source: &mut KafkaSource, mut until: impl FnMut(&Self) -> bool) {
        let deadline = clock::monotonic() + PATIENCE;
        while !until(self) {
            self.poll(source);
            assert!(
                clock::monotonic() < deadline,
                "still not so: {} records, {:?}, {:?}",
                self.records.len(),
                source.status(),
                source.partitions().collect::<Vec<_>>()
            );
        }
    }

    pub fn drive_status(
        &mut self,
        source: &mut KafkaSource,
        until: impl Fn(&SourceStatus) -> bool,
    ) {
        let deadline = clock::monotonic() + PATIENCE;
        while !until(source.status()) {
            self.poll(source);
            assert!(clock::monotonic() < deadline, "still not so: {:?}", source.status());
        }
    }

    /// The payloads of a partition's records, as numbers, in the order they came.
    pub fn payloads(&self, at: TopicPartition) -> Vec<i64> {
        let number = |seen: &Seen| {
            std::str::from_utf8(seen.payload.as_deref().unwrap()).unwrap().parse().unwrap()
        };
        self.records.iter().filter(|seen| seen.at == at).map(number).collect()
    }

    /// How many partitions have been read to their end.
    pub fn ends_of(&self) -> usize {
        self.ends.iter().map(|(at, ..)| at).collect::<std::collections::BTreeSet<_>>().len()
    }

    pub fn ends_at(&self, at: TopicPartition) -> Vec<(i64, Timestamp)> {
        let ends = self.ends.iter().filter(|(found, ..)| *found == at);
        ends.map(|&(_, offset, confirmed)| (offset, confirmed)).collect()
    }

    /// How far this reader and another have come together.
    pub fn merged_positions(&self, other: &Self) -> BTreeMap<TopicPartition, i64> {
        let mut merged = self.starts.clone();
        for (&at, &offset) in &other.starts {
            let known = merged.entry(at).or_insert(offset);
            *known = offset.max(*known);
        }
        merged
    }
}

impl SourceHandler for Reader {
    fn start_offset(&mut self, at: TopicPartition) -> StartOffset {
        self.starts.get(&at).map_or_else(|| (self.first)(at), |&offset| StartOffset::At(offset))
    }

    fn out_of_range(&mut self, lost: OutOfRange) -> Resume {
        self.lost.push(lost);
        (self.resume)(lost.at)
    }

    fn event(&mut self, event: SourceEvent<'_>) {
        match event {
            SourceEvent::Record { topic, record } => {
                let at = TopicPartition { topic, partition: record.partition };
                let mut headers = Vec::new();
                record.headers.visit(&mut |name, value| {
                    headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
                });
                self.starts.insert(at, record.offset + 1);
                self.records.push(Seen {
                    at,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    payload: record.payload.map(<[u8]>::to_vec),
                    headers,
                });
            }
            SourceEvent::EndReached { at, offset, confirmed_at } => {
                self.ends.push((at, offset, confirmed_at));
            }
            SourceEvent::Assigned(offsets) => {
                self.starts.extend(offsets.iter().copied());
                self.assigned.push(offsets.to_vec());
            }
            SourceEvent::Revoked { partitions, .. } => self.revoked.push(partitions.to_vec()),
            SourceEvent::Fatal { message } => panic!("{message}"),
        }
    }
}
