//! Which partitions wait for others while a backlog is read, so that predictions and their labels
//! are read at about the same event time.
//!
//! Labels are small and would be read long before their predictions, or a day of predictions before
//! the first label: either way as many rows would be held as the backlog is long. Invariant: of the
//! partitions of a group that move, one goes on.

use super::held::Held;
use crate::engine::shard::Side;
use crate::engine::time::{Span, Timestamp};
use crate::io::kafka::{KafkaSource, TopicPartition};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A partition with less than this to read neither waits nor is waited for.
const BACKLOG_MIN: u64 = 1_000;
/// How far ahead of the hindmost another may be: rows of so much event time are held in any case.
const AHEAD_MAX: Span = Span::from_mins(1);
/// A partition that could go on and has shown nothing for so long is not waited for.
const MOVED_WITHIN: Duration = Duration::from_secs(5);
/// Rows that a round may add to what a model holds, about.
const ROOM: u64 = 8_192;

/// How far one partition has been read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub at: TopicPartition,
    pub group: usize,
    /// Records in the log that have not been handed out.
    pub backlog: u64,
    /// Where it is; `None` if it has shown nothing yet.
    pub event_time: Option<Timestamp>,
    /// It has shown something lately, or was not let.
    pub moves: bool,
    /// Its predictions have no room while their labels are silent.
    pub full: bool,
}

/// Those that wait: because they are ahead of the hindmost of their group, or because they would
/// have to drop predictions while nobody knows whether their labels still come.
pub fn waits(readings: &[Reading]) -> Vec<TopicPartition> {
    let mut hindmost: BTreeMap<usize, Timestamp> = BTreeMap::new();
    for one in readings.iter().filter(|one| one.backlog >= BACKLOG_MIN && one.moves && !one.full) {
        let event_time = one.event_time.unwrap_or(Timestamp::MIN);
        let least = hindmost.entry(one.group).or_insert(event_time);
        *least = event_time.min(*least);
    }
    let ahead = |one: &Reading| match (hindmost.get(&one.group), one.event_time) {
        (Some(&least), Some(at)) => one.backlog >= BACKLOG_MIN && at - AHEAD_MAX > least,
        _ => false,
    };
    readings.iter().filter(|one| one.full || ahead(one)).map(|one| one.at).collect()
}

/// When each partition last moved, and whether it waits now.
#[derive(Default)]
pub struct Levels {
    last: BTreeMap<TopicPartition, Last>,
}

#[derive(Clone, Copy)]
struct Last {
    position: i64,
    moved_at: Instant,
    waits: bool,
}

impl Levels {
    /// Decides for the next round.
    pub fn next(&mut self, source: &KafkaSource, held: &Held, now: Instant) -> Vec<TopicPartition> {
        let topics = held.intake.topics().iter();
        let full: Vec<bool> = topics
            .map(|topic| {
                topic.side == Side::Predictions
                    && held.is_full(topic.group, usize::from(topic.topic), ROOM)
            })
            .collect();
        let mut last = BTreeMap::new();
        let mut readings = Vec::new();
        for status in source.partitions() {
            let (at, position) = (status.at, status.position);
            let before = self.last.get(&at);
            let moved_at = match before {
                Some(before) if before.position == position && !before.waits => before.moved_at,
                _ => now,
            };
            last.insert(at, Last { position, moved_at, waits: false });
            readings.push(Reading {
                at,
                group: held.intake.topic(at.topic).group,
                backlog: status.lag(),
                event_time: held.newest(at),
                moves: now.duration_since(moved_at) < MOVED_WITHIN,
                full: full[at.topic],
            });
        }
        let waits = waits(&readings);
        for at in &waits {
            if let Some(last) = last.get_mut(at) {
                last.waits = true;
            }
        }
        self.last = last;
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition with a backlog that has been read up to then.
    fn at(minutes: i64) -> Reading {
        Reading {
            at: TopicPartition { topic: 0, partition: 0 },
            group: 0,
            backlog: BACKLOG_MIN,
            event_time: Some(Timestamp::from_secs(minutes * 60)),
            moves: true,
            full: false,
        }
    }

    fn flags(readings: &[Reading]) -> Vec<bool> {
        let numbered = |(partition, one): (i32, &Reading)| Reading {
            at: TopicPartition { topic: 0, partition },
            ..*one
        };
        let readings: Vec<_> = (0..).zip(readings).map(numbered).collect();
        let waits = waits(&readings);
        readings.iter().map(|one| waits.contains(&one.at)).collect()
    }

    #[test]
    fn what_is_ahead_waits_until_the_other_is_level() {
        assert_eq!(flags(&[at(10), at(20)]), [false, true]);
        assert_eq!(flags(&[at(22), at(20)]), [true, false]);
        assert_eq!(flags(&[at(21), at(20)]), [false, false]);
    }

    #[test]
    fn of_several_only_the_hindmost_goes_on() {
        assert_eq!(flags(&[at(30), at(10), at(20)]), [true, false, true]);
    }

    #[test]
    fn what_has_shown_nothing_yet_is_waited_for() {
        let nothing = Reading { event_time: None, ..at(0) };
        assert_eq!(flags(&[nothing, at(20)]), [false, true]);
        assert_eq!(flags(&[nothing, nothing]), [false, false]);
    }

    #[test]
    fn without_a_backlog_of_both_nobody_waits() {
        let short = |minutes| Reading { backlog: BACKLOG_MIN - 1, ..at(minutes) };
        assert_eq!(flags(&[short(10), at(20)]), [false, false]);
        assert_eq!(flags(&[at(10), short(20)]), [false, false]);
    }

    #[test]
    fn nobody_waits_for_what_does_not_move_or_for_another_group() {
        let stuck = Reading { moves: false, ..at(10) };
        assert_eq!(flags(&[stuck, at(20)]), [false, false]);
        let stranger = Reading { group: 1, ..at(10) };
        assert_eq!(flags(&[stranger, at(20)]), [false, false]);
    }

    #[test]
    fn predictions_without_room_wait_and_hold_nobody_up() {
        let full = Reading { full: true, ..at(10) };
        assert_eq!(flags(&[full, at(20)]), [true, false]);
        assert_eq!(flags(&[Reading { backlog: 0, ..full }, at(20)]), [true, false]);
    }
}
