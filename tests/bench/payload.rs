//! The records that the design measured: predictions of 723 bytes with 15 numbers and 5 strings,
//! labels of 92 bytes.

use std::fmt::Write;

pub const NUMBERS: usize = 15;
pub const CATEGORIES: usize = 5;
pub const CATEGORY_VALUES: [&str; 4] = ["married", "private", "sales", "united-states"];
pub const PREDICTION_BYTES: usize = 723;
const LABEL_BYTES: usize = 92;

/// A small generator, so that every run sees the same records.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

pub fn number_name(i: usize) -> String {
    format!("number_{i:02}")
}

pub fn category_name(i: usize) -> String {
    format!("category_{i}")
}

/// The text of number `i`: whole numbers, short fractions and long ones take turns.
pub fn number(random: &mut Random, i: usize) -> String {
    match i % 3 {
        0 => format!("{}", random.next() % 100),
        1 => format!("{:.4}", random.unit() * 1000.0),
        _ => format!("{:.15}", random.unit()),
    }
}

pub fn category(random: &mut Random) -> &'static str {
    CATEGORY_VALUES[random.next() as usize % CATEGORY_VALUES.len()]
}

/// A prediction; the members of `features` in their order, or shuffled.
pub fn prediction(random: &mut Random, id: u64, time: &str, score: f64, shuffled: bool) -> String {
    let mut members = Vec::new();
    for i in 0..NUMBERS {
        members.push(format!("\"{}\":{}", number_name(i), number(random, i)));
    }
    for i in 0..CATEGORIES {
        members.push(format!("\"{}\":\"{}\"", category_name(i), category(random)));
    }
    if shuffled {
        for i in (1..members.len()).rev() {
            members.swap(i, random.next() as usize % (i + 1));
        }
    }
    let text = format!(
        "{{\"prediction_id\":\"{id:016x}\",\"time\":\"{time}\",\"model_version\":\"v7\",\
         \"features\":{{{}}},\"output\":{{\"score\":{score:.4},\"class\":{}}}",
        members.join(","),
        u8::from(score >= 0.5),
    );
    padded(text, PREDICTION_BYTES)
}

/// A label; its time is in milliseconds since the epoch.
pub fn label(id: u64, time_ms: i64, positive: bool) -> String {
    let class = u8::from(positive);
    padded(
        format!("{{\"prediction_id\":\"{id:016x}\",\"time\":{time_ms},\"label\":{class}"),
        LABEL_BYTES,
    )
}

/// Closes an object, filled up to a length.
fn padded(mut text: String, bytes: usize) -> String {
    let padding = bytes.saturating_sub(text.len() + ",\"pad\":\"\"}".len());
    write!(text, ",\"pad\":\"{}\"}}", "x".repeat(padding)).expect("a string takes every text");
    text
}
