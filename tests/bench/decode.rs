//! How long one message takes: this decoder against `serde_json::Value` in the same run.
//!
//! `cargo bench --bench decode`. The payload is the one that the design measured: 723 bytes, 15
//! numbers and 5 strings. Only the ratios mean something from machine to machine.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // A benchmark reads the clock.

use serde_json::Value;
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;
use tidemark::decode::spec::PredictionFields;
use tidemark::decode::{NoHeaders, PredictionDecoder, PredictionOutput, PredictionSource, Record};
use tidemark::engine::event::ModelIndex;
use tidemark::engine::spec::{
    FeatureKind, FeatureSpec, JoinSpec, ModelSpec, ShowSpec, Task, TimeSpec,
};
use tidemark::engine::time::{Span, Timestamp};

const MESSAGES: usize = 1_000;
const BATCH: usize = 500;
const ROUNDS: usize = 200;
const CATEGORIES: [&str; 4] = ["married", "private", "sales", "united-states"];
const FIELDS: &str = "{ id: /prediction_id, event_time: { path: /time, unit: rfc3339 }, \
                       version: /model_version, score: /output/score, class: /output/class, \
                       features: /features }";

/// A small generator, so that every run sees the same messages.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn number_name(i: usize) -> String {
    format!("number_{i:02}")
}

/// One message; the members of `features` in their order, or shuffled.
fn message(random: &mut Random, shuffled: bool) -> String {
    let mut members = Vec::new();
    for i in 0..15 {
        let value = match i % 3 {
            0 => format!("{}", random.next() % 100),
            1 => format!("{:.4}", random.unit() * 1000.0),
            _ => format!("{:.15}", random.unit()),
        };
        members.push(format!("\"{}\":{value}", number_name(i)));
    }
    for i in 0..5 {
        let value = CATEGORIES[random.next() as usize % 4];
        members.push(format!("\"category_{i}\":\"{value}\""));
    }
    if shuffled {
        for i in (1..members.len()).rev() {
            members.swap(i, random.next() as usize % (i + 1));
        }
    }
    let mut text = format!(
        "{{\"prediction_id\":\"{:016x}\",\"time\":\"2026-01-31T09:30:{:02}.{:06}Z\",\
         \"model_version\":\"v7\",\"features\":{{{}}},\"output\":{{\"score\":{:.4},\"class\":1}}",
        random.next(),
        random.next() % 60,
        random.next() % 1_000_000,
        members.join(","),
        random.unit(),
    );
    let padding = 723usize.saturating_sub(text.len() + 10);
    write!(text, ",\"pad\":\"{}\"}}", "x".repeat(padding)).unwrap();
    text
}

fn spec() -> ModelSpec {
    let dictionary: Vec<String> = CATEGORIES.iter().map(|text| (*text).to_owned()).collect();
    let numbers =
        (0..15).map(|i| FeatureSpec { name: number_name(i).into(), kind: FeatureKind::Numeric });
    let categories = (0..5).map(|i| FeatureSpec {
        name: format!("category_{i}").into(),
        kind: FeatureKind::Categorical { dictionary: dictionary.clone().into() },
    });
    let zero = Span::ZERO;
    ModelSpec {
        name: "bench".into(),
        task: Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 },
        weighted: false,
        features: numbers.chain(categories).collect(),
        slices: Vec::new(),
        time: TimeSpec {
            out_of_orderness: zero,
            allowed_lateness: zero,
            idle_after: zero,
            future_tolerance: zero,
            origin: Timestamp(0),
        },
        join: JoinSpec {
            horizon: zero,
            lead: zero,
            grace: zero,
            corrections_for: zero,
            silent_after: None,
            absent_after: None,
            pending_max: 1,
            start: None,
        },
        windows: Vec::new(),
        reference: None,
        version_references: Default::default(),
        show: ShowSpec {
            coverage_min: 0.0,
            support_min: 0,
            history_windows: 0,
            revise_every: zero,
            version_gone_after: zero,
        },
        policies: Vec::new(),
        versions_max: 8,
    }
}

/// The least time of a round, in nanoseconds a message.
fn nanos(messages: &[String], mut each: impl FnMut(usize, &str)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for (i, message) in messages.iter().enumerate() {
            each(i, message);
        }
        best = best.min(start.elapsed().as_nanos() as f64 / messages.len() as f64);
    }
    best
}

fn decode(decoder: &mut PredictionDecoder, out: &mut PredictionOutput, messages: &[String]) -> f64 {
    nanos(messages, |i, message| {
        if i % BATCH == 0 {
            out.start(0);
        }
        let record = Record {
            partition: 0,
            offset: i as i64,
            timestamp: Timestamp(0),
            key: None,
            payload: Some(message.as_bytes()),
            headers: &NoHeaders,
        };
        assert_eq!(decoder.decode(black_box(&record), out).appended, 1);
    })
}

fn main() {
    let mut random = Random(0x5eed);
    let ordered: Vec<_> = (0..MESSAGES).map(|_| message(&mut random, false)).collect();
    let shuffled: Vec<_> = (0..MESSAGES).map(|_| message(&mut random, true)).collect();
    let bytes = ordered.iter().map(String::len).sum::<usize>() as f64 / MESSAGES as f64;
    let spec = spec();
    let fields: PredictionFields = serde_saphyr::from_str(FIELDS).unwrap();
    let source =
        PredictionSource { model: ModelIndex(0), spec: &spec, fields: &fields, route: None };
    let mut decoder = PredictionDecoder::new(&[source]).unwrap();
    let mut out = decoder.output();
    let in_order = decode(&mut decoder, &mut out, &ordered);
    let in_disorder = decode(&mut decoder, &mut out, &shuffled);
    let utf8 = nanos(&ordered, |_, message| {
        black_box(std::str::from_utf8(black_box(message.as_bytes())).unwrap());
    });
    let value = nanos(&ordered, |_, message| {
        black_box(serde_json::from_slice::<Value>(black_box(message.as_bytes())).unwrap());
    });
    println!("payload of {bytes:.0} bytes, 15 numbers and 5 strings, nanoseconds a message:");
    println!("  tidemark, members in order   {in_order:7.0}   {:.1} x", value / in_order);
    println!("  tidemark, members shuffled   {in_disorder:7.0}   {:.1} x", value / in_disorder);
    println!("  serde_json::Value, no fields {value:7.0}   1.0 x");
    println!("  (of which checking UTF-8     {utf8:7.0})");
}
