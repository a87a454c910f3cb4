//! Seeded traffic of one model: two topics' logs with everything that goes wrong in real ones.
//!
//! An id's records are all in one partition of each topic, as co-partitioned producers have it. The
//! last record of each partition lies so far ahead that everything before it is settled by the
//! logs alone.

use crate::support::kafka_client::Outgoing;
use serde_json::json;

pub const PARTITIONS: i32 = 3;
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;

/// The rules of the configuration that the traffic is made for, in milliseconds.
pub const OUT_OF_ORDERNESS: i64 = 30_000;
pub const ALLOWED_LATENESS: i64 = 2 * MINUTE;
pub const FUTURE_TOLERANCE: i64 = 10 * MINUTE;
pub const HORIZON: i64 = 30 * MINUTE;
pub const GRACE: i64 = 5 * MINUTE;
pub const LEAD: i64 = 2 * MINUTE;
pub const CORRECTIONS_FOR: i64 = 20 * MINUTE;

/// Of the topic's records each goes at its moment; all moments and times are event time in
/// milliseconds.
#[derive(Clone, Debug)]
pub struct Sent {
    pub moment: i64,
    pub is_label: bool,
    pub record: Outgoing,
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Event time of the first prediction, a whole minute.
    pub start: i64,
    pub minutes: i64,
    pub predictions: usize,
}

/// In the order in which it is sent.
pub fn traffic(seed: u64, extent: Extent) -> Vec<Sent> {
    let mut maker = Maker { random: fastrand::Rng::with_seed(seed), sent: Vec::new() };
    for number in 0..extent.predictions {
        maker.id(number, extent);
    }
    for number in 0..extent.predictions / 100 {
        maker.strays(number, extent);
    }
    // A sort that keeps the order of equals: the same seed gives the same logs.
    maker.sent.sort_by_key(|sent| sent.moment);
    let end = extent.start + extent.minutes * MINUTE;
    for partition in 0..PARTITIONS {
        let time = end + 2 * (HORIZON + GRACE) + HOUR;
        let id = format!("flush-{partition}");
        maker.send(time, false, partition, Some(prediction(&id, time, "v1", 0.9, "FR")));
        // Labels of their own: these must meet nothing.
        let id = format!("flush-label-{partition}");
        maker.send(time, true, partition, Some(label(&id, time, 1)));
    }
    maker.sent
}

struct Maker {
    random: fastrand::Rng,
    sent: Vec<Sent>,
}

impl Maker {
    fn send(&mut self, moment: i64, is_label: bool, partition: i32, payload: Option<String>) {
        let record = Outgoing {
            partition: Some(partition),
            timestamp_ms: Some(moment),
            key: Some(b"k".to_vec()),
            payload: payload.map(String::into_bytes),
            headers: Vec::new(),
        };
        self.sent.push(Sent { moment, is_label, record });
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    /// One id: its predictions, its labels, and what goes wrong with them.
    fn id(&mut self, number: usize, extent: Extent) {
        let id = format!("id-{number}");
        let partition = self.random.i32(0..PARTITIONS);
        let time = extent.start + self.random.i64(0..extent.minutes * MINUTE);
        // A stretch in which the model is wrong, now and then.
        let bad = (time - extent.start) / (7 * MINUTE) % 4 == 3;
        let truth = self.random.bool();
        let right = self.chance(if bad { 55 } else { 92 });
        let score =
            if truth == right { 0.5 + self.random.f64() / 2.0 } else { self.random.f64() / 2.0 };
        let country = ["FR", "DE", "IT"][self.random.usize(0..3)];
        let delay = match self.random.u32(0..100) {
            // Within what is normal, late but accepted, and too late.
            0..90 => self.random.i64(0..OUT_OF_ORDERNESS / 2),
            90..97 => self.random.i64(OUT_OF_ORDERNESS..ALLOWED_LATENESS),
            _ => self.random.i64(2 * ALLOWED_LATENESS..5 * ALLOWED_LATENESS),
        };
        let text = prediction(&id, time, "v1", score, country);
        self.send(time + delay, false, partition, Some(text.clone()));
        if self.chance(4) {
            // A producer that retries.
            let again = self.random.i64(0..2 * MINUTE);
            self.send(time + delay + again, false, partition, Some(text));
        }
        if self.chance(20) {
            let shadow = prediction(&id, time, "v2", self.random.f64(), country);
            self.send(time + delay, false, partition, Some(shadow));
        }
        self.labels(&id, partition, time, truth);
    }

    fn labels(&mut self, id: &str, partition: i32, time: i64, truth: bool) {
        let gap = match self.random.u32(0..100) {
            0..3 => return,
            3..8 => -self.random.i64(0..LEAD),
            8..90 => self.random.i64(0..8 * MINUTE),
            90..96 => self.random.i64(8 * MINUTE..HORIZON),
            _ => self.random.i64(HORIZON..HORIZON + 3 * GRACE),
        };
        let known = time + gap;
        let delay = self.random.i64(0..OUT_OF_ORDERNESS / 2);
        self.send(known + delay, true, partition, Some(label(id, known, truth.into())));
        if self.chance(3) {
            let again = known + self.random.i64(0..3 * MINUTE);
            self.send(again, true, partition, Some(label(id, known, truth.into())));
        }
        if self.chance(8) {
            // Within the time for corrections, and beyond it.
            let corrected = known + self.random.i64(0..CORRECTIONS_FOR + 5 * MINUTE);
            self.send(corrected, true, partition, Some(label(id, corrected, (!truth).into())));
        }
    }

    /// What belongs to nothing, or is nothing.
    fn strays(&mut self, number: usize, extent: Extent) {
        let mut moment = || extent.start + self.random.i64(0..extent.minutes * MINUTE);
        let moments = [moment(), moment(), moment(), moment(), moment()];
        let partition = self.random.i32(0..PARTITIONS);
        self.send(
            moments[0],
            true,
            partition,
            Some(label(&format!("stray-{number}"), moments[0], 1)),
        );
        self.send(moments[1], false, partition, Some("{\"id\": \"cut".to_owned()));
        self.send(moments[2], true, partition, Some("{\"id\": \"no-label\"}".to_owned()));
        self.send(moments[3], number.is_multiple_of(2), partition, None);
        let ahead = moments[4] + FUTURE_TOLERANCE + HOUR;
        let future = prediction(&format!("future-{number}"), ahead, "v1", 0.5, "FR");
        self.send(moments[4], false, partition, Some(future));
    }
}

fn prediction(id: &str, time: i64, version: &str, score: f64, country: &str) -> String {
    json!({ "id": id, "time_ms": time, "version": version, "score": score, "country": country })
        .to_string()
}

fn label(id: &str, time: i64, class: u8) -> String {
    json!({ "id": id, "time_ms": time, "label": class }).to_string()
}
