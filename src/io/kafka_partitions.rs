//! How far each assigned partition has been read, and whether it has stalled.

use std::time::{Duration, Instant};

use super::kafka::{PartitionStatus, TopicPartition};
use crate::engine::time::Timestamp;

pub(super) struct Partition {
    /// One more than the offset of the last record that was handed out.
    pub next: i64,
    /// librdkafka's position. It is further than `next` by the control records of transactions,
    /// which have offsets and are not handed out.
    position: i64,
    pub log_end: i64,
    pub paused: bool,
    /// It has its records, and waits for others: see `KafkaSource::hold_back`.
    pub held: bool,
    pub last_record_time: Option<Timestamp>,
    pub confirmed_at: Option<Timestamp>,
    /// It has more records, but since then hands out none though nothing else is queued.
    starved_since: Option<Instant>,
}

impl Partition {
    pub fn new(next: i64, log_end: i64) -> Self {
        Self {
            next,
            position: next,
            log_end,
            paused: false,
            held: false,
            last_record_time: None,
            confirmed_at: None,
            starved_since: None,
        }
    }

    pub fn advance(&mut self, next: i64, record_time: Timestamp) {
        self.next = next;
        self.position = self.position.max(next);
        self.last_record_time = Some(record_time);
        self.starved_since = None;
    }

    pub fn set_position(&mut self, position: i64) {
        if position > self.position {
            self.position = position;
            self.starved_since = None;
        }
    }

    pub fn position(&self) -> i64 {
        self.position
    }

    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        self.starved_since = None;
    }

    pub fn is_at_end(&self) -> bool {
        !self.paused && self.position >= self.log_end
    }

    /// Called each time `log_end` is fresh from a broker. `drained`: since the last time a poll has
    /// found nothing queued, so records of other partitions are not what it waits behind.
    pub fn is_stalled(&mut self, drained: bool, now: Instant, after: Duration) -> bool {
        if self.paused || self.held || self.position >= self.log_end || !drained {
            self.starved_since = None;
            return false;
        }
        let since = *self.starved_since.get_or_insert(now);
        now.duration_since(since) >= after
    }

    pub fn status(&self, at: TopicPartition) -> PartitionStatus {
        PartitionStatus {
            at,
            position: self.position,
            log_end: self.log_end,
            paused: self.paused || self.held,
            last_record_time: self.last_record_time,
            confirmed_at: self.confirmed_at,
        }
    }
}

/// The assigned partitions, found by number.
pub(super) struct Partitions {
    topics: Vec<Vec<Option<Partition>>>,
}

impl Partitions {
    pub fn new(topics: usize) -> Self {
        Self { topics: (0..topics).map(|_| Vec::new()).collect() }
    }

    /// The state of a partition, if it is assigned.
    pub fn get_mut(&mut self, at: TopicPartition) -> Option<&mut Partition> {
        let partition = usize::try_from(at.partition).ok()?;
        self.topics.get_mut(at.topic)?.get_mut(partition)?.as_mut()
    }

    pub fn insert(&mut self, at: TopicPartition, state: Partition) {
        let partition = usize::try_from(at.partition).expect("partitions are numbered from 0");
        let topic = &mut self.topics[at.topic];
        if topic.len() <= partition {
            topic.resize_with(partition + 1, || None);
        }
        topic[partition] = Some(state);
    }

    pub fn clear(&mut self) {
        self.topics.iter_mut().for_each(Vec::clear);
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (TopicPartition, &mut Partition)> {
        self.topics.iter_mut().enumerate().flat_map(|(topic, partitions)| {
            (0..).zip(partitions).filter_map(move |(partition, state)| {
                state.as_mut().map(|state| (TopicPartition { topic, partition }, state))
            })
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (TopicPartition, &Partition)> {
        self.topics.iter().enumerate().flat_map(|(topic, partitions)| {
            partitions.iter().enumerate().filter_map(move |(partition, state)| {
                let partition = i32::try_from(partition).expect("it was inserted as an i32");
                state.as_ref().map(|state| (TopicPartition { topic, partition }, state))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock::monotonic;

    const AFTER: Duration = Duration::from_secs(60);

    fn starved_for(state: &mut Partition, seconds: u64, drained: bool) -> bool {
        let start = monotonic();
        state.is_stalled(drained, start, AFTER);
        state.is_stalled(drained, start + Duration::from_secs(seconds), AFTER)
    }

    #[test]
    fn a_partition_with_more_records_that_hands_out_none_has_stalled() {
        assert!(starved_for(&mut Partition::new(5, 9), 60, true));
        assert!(!starved_for(&mut Partition::new(5, 9), 59, true));
    }

    #[test]
    fn a_partition_at_its_end_or_paused_or_behind_others_in_the_queue_has_not_stalled() {
        assert!(!starved_for(&mut Partition::new(9, 9), 600, true));
        assert!(!starved_for(&mut Partition::new(5, 9), 600, false));
        let mut paused = Partition::new(5, 9);
        paused.set_paused(true);
        assert!(!starved_for(&mut paused, 600, true));
    }

    #[test]
    fn every_record_winds_the_watch_up_again() {
        let mut state = Partition::new(5, 9);
        let start = monotonic();
        assert!(!state.is_stalled(true, start, AFTER));
        state.advance(6, Timestamp::MIN);
        assert!(!state.is_stalled(true, start + AFTER, AFTER));
        assert!(state.is_stalled(true, start + AFTER * 2, AFTER));
    }

    #[test]
    fn only_assigned_partitions_are_found() {
        let mut partitions = Partitions::new(2);
        partitions.insert(TopicPartition { topic: 1, partition: 2 }, Partition::new(7, 7));
        let mut next = |topic, partition| {
            partitions.get_mut(TopicPartition { topic, partition }).map(|state| state.next)
        };
        assert_eq!(next(1, 2), Some(7));
        for (topic, partition) in [(0, 2), (1, 1), (1, 3), (1, -1), (2, 2), (usize::MAX, 2)] {
            assert_eq!(next(topic, partition), None, "{topic} {partition}");
        }
        let all: Vec<_> = partitions.iter().map(|(at, _)| (at.topic, at.partition)).collect();
        assert_eq!(all, [(1, 2)]);
    }
}
