//! The records of the demo, in the order of their event times: predictions at a steady pace, and
//! the truth about each of them some time later.

use super::people::Person;
use super::story::{Beat, LIVE_BEFORE, Story};
use crate::engine::time::{Span, Timestamp};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// From one prediction to the next: 20 a second of event time.
const EVERY: Span = Span::from_micros(50_000);
/// Records a second of event time, predictions and labels, about.
pub const RECORDS_PER_SECOND: f64 = 40.0;
/// Labels take at least this long, on average `LABEL_MEAN` longer, and at most `LABEL_MAX`.
const LABEL_MIN: Span = Span::from_secs(5);
const LABEL_MEAN: f64 = 12.0;
const LABEL_MAX: Span = Span::from_secs(50);
/// Of a hundred predictions so many never get a label.
const UNLABELED: u64 = 3;

/// One of the demo's two topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Predictions,
    Labels,
}

/// A record to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    pub topic: Topic,
    /// Also Kafka's timestamp, in milliseconds.
    pub event_time: Timestamp,
    /// The prediction's id.
    pub key: String,
    pub payload: String,
}

/// A label on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Timestamp,
    number: u64,
    over: bool,
}

/// Makes the records. The same seed and requests make the same records.
pub struct Stream {
    people: Vec<Person>,
    pub story: Story,
    random: Random,
    next_at: Timestamp,
    number: u64,
    labels: BinaryHeap<Reverse<Due>>,
}

impl Stream {
    /// `begins_at`: when the audience comes in, a whole minute; records begin before. There must be
    /// people.
    pub fn new(people: Vec<Person>, begins_at: Timestamp, seed: u64) -> Self {
        Self {
            people,
            story: Story::new(begins_at),
            random: Random(seed),
            next_at: begins_at - LIVE_BEFORE,
            number: 0,
            labels: BinaryHeap::new(),
        }
    }

    /// The next record up to this time, and the beats of the story up to the record.
    pub fn next(
        &mut self,
        until: Timestamp,
        beats: &mut Vec<(Timestamp, Beat)>,
    ) -> Option<Outgoing> {
        let label = self.labels.peek().map(|due| due.0.at);
        let at = label.map_or(self.next_at, |label| label.min(self.next_at));
        if at > until {
            return None;
        }
        while let Some(beat) = self.story.advance(at) {
            beats.push(beat);
        }
        if label == Some(at) {
            let Reverse(due) = self.labels.pop()?;
            return Some(due.record());
        }
        Some(self.predict())
    }

    fn predict(&mut self) -> Outgoing {
        let at = self.next_at;
        self.next_at = at + EVERY;
        self.number += 1;
        let person = self.random.below(self.people.len() as u64) as usize;
        let person = &self.people[person];
        let changed = self.random.share() < self.story.risen(at);
        let state = if changed { &person.after } else { &person.before };
        let version = self.story.version();
        if self.random.below(100) >= UNLABELED {
            let delay = -(1.0 - self.random.share()).ln() * LABEL_MEAN;
            let delay = LABEL_MIN + Span::from_micros((delay * 1e3) as i64 * 1_000);
            let at = at + delay.min(LABEL_MAX);
            self.labels.push(Reverse(Due { at, number: self.number, over: state.over }));
        }
        let key = key(self.number);
        let (time, score, features) = (millis(at), state.score(version), &state.features);
        let payload = format!(
            "{{\"prediction_id\":\"{key}\",\"time\":{time},\"model_version\":\"{version}\",\
             \"score\":{score},\"features\":{features}}}"
        );
        Outgoing { topic: Topic::Predictions, event_time: at, key, payload }
    }
}

impl Due {
    fn record(self) -> Outgoing {
        let key = key(self.number);
        let payload = format!(
            r#"{{"prediction_id":"{key}","time":{},"over_50k":{}}}"#,
            millis(self.at),
            u8::from(self.over)
        );
        Outgoing { topic: Topic::Labels, event_time: self.at, key, payload }
    }
}

fn key(number: u64) -> String {
    format!("census-{number:07}")
}

pub fn millis(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

/// SplitMix64: small, and good enough to draw people. Source: Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", OOPSLA 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `bound`, 0 if that is 0.
    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::people::people;
    use super::*;

    #[test]
    fn records_come_in_the_order_of_event_time_and_most_predictions_get_a_label() {
        let begins_at = Timestamp::from_secs(3_600);
        let mut stream = Stream::new(people().unwrap(), begins_at, 1);
        let mut beats = Vec::new();
        let until = begins_at + Span::from_mins(10);
        let mut counts = [0_u32; 2];
        let mut last = Timestamp::MIN;
        while let Some(record) = stream.next(until, &mut beats) {
            assert!(record.event_time >= last);
            last = record.event_time;
            counts[usize::from(record.topic == Topic::Labels)] += 1;
            let value: serde_json::Value = serde_json::from_str(&record.payload).unwrap();
            assert_eq!(value["prediction_id"], record.key);
            assert_eq!(value["time"], millis(record.event_time));
        }
        assert_eq!(counts[0], 13 * 60 * 20 + 1);
        let labeled = f64::from(counts[1]) / f64::from(counts[0]);
        assert!((0.94..0.97).contains(&labeled), "{labeled}");
        assert_eq!(beats.len(), 1);
        assert!(matches!(beats[0].1, Beat::Turned { rising: true }));
    }
}
