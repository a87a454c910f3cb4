//! Whether a model's predictions and labels of one id lie in the same partition, measured on ids.
//!
//! Topics may have equal numbers of partitions and yet place the same key differently: clients
//! have different default partitioners. Then no shard ever sees both sides, and every prediction
//! would look unlabelled. What is measured decides nothing about single rows.

use super::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Ids held a side at most; at the limit every other id is no longer looked at.
const SAMPLE_MAX: usize = 4_096;
/// Fewer comparisons say nothing.
const COMPARED_MIN: u64 = 200;
/// From here on older comparisons count half, so that a topic that was mended is seen to be.
const COMPARED_MAX: u64 = 10_000;
/// A greater share of ids in different partitions is no accident.
const MISMATCH_MAX: f64 = 0.01;

/// One model's sample.
#[derive(Clone, Debug)]
pub struct CoPartition {
    predictions: Seen,
    labels: Seen,
    /// Ids whose upper bits under this mask are 0 are looked at.
    mask: u64,
    /// An id that has found nothing for this long is forgotten.
    keep: Span,
    newest: Timestamp,
    same: u64,
    elsewhere: u64,
}

/// Ids that wait for the other side: their partition, and their event time.
type Seen = BTreeMap<u128, (i32, Timestamp)>;

impl CoPartition {
    /// `keep`: how far a label may lie from its prediction.
    pub fn new(keep: Span) -> Self {
        Self {
            predictions: Seen::new(),
            labels: Seen::new(),
            mask: 0,
            keep,
            newest: Timestamp::MIN,
            same: 0,
            elsewhere: 0,
        }
    }

    /// A prediction was read.
    pub fn prediction(&mut self, id: u128, partition: i32, event_time: Timestamp) {
        if self.looks_at(id) {
            let other = self.labels.remove(&id);
            self.compare(partition, other);
            if other.is_none() {
                self.predictions.insert(id, (partition, event_time));
                self.make_room(event_time);
            }
        }
    }

    /// A label was read.
    pub fn label(&mut self, id: u128, partition: i32, event_time: Timestamp) {
        if self.looks_at(id) {
            let other = self.predictions.remove(&id);
            self.compare(partition, other);
            if other.is_none() {
                self.labels.insert(id, (partition, event_time));
                self.make_room(event_time);
            }
        }
    }

    /// The share of ids whose two sides lie in different partitions, and of how many ids; `None`
    /// while too few have been seen.
    pub fn mismatch(&self) -> Option<(f64, u64)> {
        let compared = self.same + self.elsewhere;
        (compared >= COMPARED_MIN).then(|| (self.elsewhere as f64 / compared as f64, compared))
    }

    /// So many ids lie in different partitions that no join is possible.
    pub fn is_mismatched(&self) -> bool {
        self.mismatch().is_some_and(|(share, _)| share > MISMATCH_MAX)
    }

    fn looks_at(&self, id: u128) -> bool {
        (id >> 64) as u64 & self.mask == 0
    }

    fn compare(&mut self, partition: i32, other: Option<(i32, Timestamp)>) {
        let Some((there, _)) = other else { return };
        if partition == there {
            self.same += 1;
        } else {
            self.elsewhere += 1;
        }
        if self.same + self.elsewhere >= COMPARED_MAX {
            self.same /= 2;
            self.elsewhere /= 2;
        }
    }

    fn make_room(&mut self, event_time: Timestamp) {
        self.newest = self.newest.max(event_time);
        if self.predictions.len().max(self.labels.len()) <= SAMPLE_MAX {
            return;
        }
        let oldest = self.newest - self.keep;
        for seen in [&mut self.predictions, &mut self.labels] {
            seen.retain(|_, (_, at)| *at >= oldest);
        }
        let held = self.predictions.len().max(self.labels.len());
        if held > SAMPLE_MAX / 2 {
            self.mask = self.mask << 1 | 1;
            let mask = self.mask;
            for seen in [&mut self.predictions, &mut self.labels] {
                seen.retain(|id, _| (id >> 64) as u64 & mask == 0);
            }
        } else if held < SAMPLE_MAX / 8 {
            self.mask >>= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> u128 {
        u128::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64 | u128::from(n)
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(seconds as i64)
    }

    #[test]
    fn says_nothing_before_it_has_seen_enough() {
        let mut sample = CoPartition::new(Span::from_hours(1));
        for n in 0..199 {
            sample.prediction(id(n), 0, at(n));
            sample.label(id(n), 1, at(n));
        }
        assert_eq!(sample.mismatch(), None);
        sample.label(id(500), 1, at(1));
        sample.prediction(id(500), 0, at(1));
        assert_eq!(sample.mismatch(), Some((1.0, 200)));
        assert!(sample.is_mismatched());
    }

    #[test]
    fn one_id_in_two_hundred_elsewhere_is_an_accident() {
        let mut sample = CoPartition::new(Span::from_hours(1));
        for n in 0..400 {
            sample.prediction(id(n), (n % 4) as i32, at(n));
            sample.label(id(n), if n % 200 == 0 { 9 } else { (n % 4) as i32 }, at(n));
        }
        assert_eq!(sample.mismatch(), Some((0.005, 400)));
        assert!(!sample.is_mismatched());
    }

    #[test]
    fn labels_a_day_late_are_still_compared_and_the_sample_stays_small() {
        let mut sample = CoPartition::new(Span::from_hours(48));
        let rate = 20;
        for n in 0..86_400 * 2 * rate {
            sample.prediction(id(n), 0, at(n / rate));
            assert!(sample.predictions.len() <= SAMPLE_MAX + 1);
            if let Some(then) = n.checked_sub(86_400 * rate) {
                sample.label(id(then), 0, at(n / rate));
            }
        }
        assert!(sample.mismatch().is_some_and(|(share, _)| share == 0.0), "{sample:?}");
    }

    #[test]
    fn a_topic_that_was_mended_is_seen_to_be() {
        let mut sample = CoPartition::new(Span::from_hours(1));
        for n in 0..200_000 {
            sample.prediction(id(n), 0, at(n / 10));
            sample.label(id(n), i32::from(n < 20_000), at(n / 10));
        }
        assert!(!sample.is_mismatched(), "{:?}", sample.mismatch());
    }
}
