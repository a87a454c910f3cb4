//! Which topics wait for others while a backlog is read, so that predictions and their labels are
//! read at about the same event time.
//!
//! Labels are small and would be read long before their predictions, or a day of predictions before
//! the first label: either way as many rows would be held as the backlog is long. Invariant: of the
//! topics of a group that move, one goes on.

use super::held::Held;
use crate::engine::shard::Side;
use crate::engine::time::Timestamp;
use crate::io::kafka::KafkaSource;
use std::time::{Duration, Instant};

/// A topic with less than this to read neither waits nor is waited for.
const BACKLOG_MIN: u64 = 1_000;
/// A topic that could go on and has shown nothing for so long is not waited for.
const MOVED_WITHIN: Duration = Duration::from_secs(5);
/// Rows that a round may add to what a model holds, about.
const ROOM: u64 = 8_192;

/// How far one topic has been read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub group: usize,
    /// Records in the log that have not been handed out.
    pub backlog: u64,
    /// Where the hindmost of its partitions with a backlog is; `None` if one has shown nothing yet.
    pub event_time: Option<Timestamp>,
    /// It has shown something lately, or was not let.
    pub moves: bool,
    /// Its predictions have no room while their labels are silent.
    pub full: bool,
}

/// Which of the topics wait: those that are ahead, and those that would have to drop predictions
/// while nobody knows whether their labels still come.
pub fn waits(topics: &[Reading]) -> Vec<bool> {
    let ahead = |topic: &Reading| {
        topic.backlog >= BACKLOG_MIN
            && topics.iter().any(|other| {
                other.group == topic.group
                    && other.backlog >= BACKLOG_MIN
                    && other.moves
                    && !other.full
                    && other.event_time < topic.event_time
            })
    };
    topics.iter().map(|topic| topic.full || ahead(topic)).collect()
}

/// When each topic last moved, and whether it waits now.
#[derive(Default)]
pub struct Levels {
    topics: Vec<Last>,
}

#[derive(Clone, Copy)]
struct Last {
    /// Sum of the positions of the topic's partitions.
    position: i64,
    moved_at: Instant,
    waits: bool,
}

impl Levels {
    /// Decides for the next round. One flag a topic of the source.
    pub fn next(&mut self, source: &KafkaSource, held: &Held, now: Instant) -> Vec<bool> {
        let mut readings: Vec<Reading> = held
            .intake
            .topics()
            .iter()
            .map(|topic| Reading {
                group: topic.group,
                backlog: 0,
                event_time: Some(Timestamp::MAX),
                moves: true,
                full: topic.side == Side::Predictions
                    && held.is_full(topic.group, usize::from(topic.topic), ROOM),
            })
            .collect();
        let mut positions = vec![0i64; readings.len()];
        for status in source.partitions() {
            let reading = &mut readings[status.at.topic];
            positions[status.at.topic] += status.position;
            if status.lag() > 0 {
                reading.backlog += status.lag();
                reading.event_time = reading.event_time.min(held.newest(status.at));
            }
        }
        self.topics.resize(readings.len(), Last { position: -1, moved_at: now, waits: false });
        for ((last, reading), position) in self.topics.iter_mut().zip(&mut readings).zip(positions)
        {
            if last.waits || last.position != position {
                *last = Last { position, moved_at: now, ..*last };
            }
            reading.moves = now.duration_since(last.moved_at) < MOVED_WITHIN;
        }
        let waits = waits(&readings);
        for (last, waits) in self.topics.iter_mut().zip(&waits) {
            last.waits = *waits;
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Reading {
        Reading {
            group: 0,
            backlog: BACKLOG_MIN,
            event_time: Some(Timestamp::from_secs(seconds)),
            moves: true,
            full: false,
        }
    }

    #[test]
    fn the_topic_that_is_ahead_waits_until_the_other_is_level() {
        assert_eq!(waits(&[at(10), at(20)]), [false, true]);
        assert_eq!(waits(&[at(21), at(20)]), [true, false]);
        assert_eq!(waits(&[at(20), at(20)]), [false, false]);
    }

    #[test]
    fn of_several_topics_only_the_hindmost_goes_on() {
        assert_eq!(waits(&[at(30), at(10), at(20)]), [true, false, true]);
    }

    #[test]
    fn a_topic_that_has_shown_nothing_yet_is_waited_for() {
        let nothing = Reading { event_time: None, ..at(0) };
        assert_eq!(waits(&[nothing, at(20)]), [false, true]);
        assert_eq!(waits(&[nothing, nothing]), [false, false]);
    }

    #[test]
    fn without_a_backlog_of_both_nobody_waits() {
        let short = |seconds| Reading { backlog: BACKLOG_MIN - 1, ..at(seconds) };
        assert_eq!(waits(&[short(10), at(20)]), [false, false]);
        assert_eq!(waits(&[at(10), short(20)]), [false, false]);
    }

    #[test]
    fn nobody_waits_for_a_topic_that_does_not_move_or_for_another_group() {
        let stuck = Reading { moves: false, ..at(10) };
        assert_eq!(waits(&[stuck, at(20)]), [false, false]);
        let stranger = Reading { group: 1, ..at(10) };
        assert_eq!(waits(&[stranger, at(20)]), [false, false]);
    }

    #[test]
    fn predictions_without_room_wait_and_hold_nobody_up() {
        let full = Reading { full: true, ..at(10) };
        assert_eq!(waits(&[full, at(20)]), [true, false]);
        assert_eq!(waits(&[Reading { backlog: 0, ..full }, at(20)]), [true, false]);
    }
}
