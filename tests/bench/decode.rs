//! How long one message takes: this decoder against `serde_json::Value` in the same run.
//!
//! `cargo bench --bench decode`. The payload is the one that the design measured: 723 bytes, 15
//! numbers and 5 strings. Only the ratios mean something from machine to machine.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // A benchmark reads the clock.

#[allow(dead_code)] // Labels are for the other benchmark.
mod payload;

use payload::{CATEGORIES, CATEGORY_VALUES, NUMBERS, Random, category_name, number_name};
use serde_json::Value;
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
const FIELDS: &str = "{ id: /prediction_id, event_time: { path: /time, unit: rfc3339 }, \
                       version: /model_version, score: /output/score, class: /output/class, \
                       features: /features }";

fn message(random: &mut Random, shuffled: bool) -> String {
    let time =
        format!("2026-01-31T09:30:{:02}.{:06}Z", random.next() % 60, random.next() % 1_000_000);
    let (id, score) = (random.next(), random.unit());
    payload::prediction(random, id, &time, score, shuffled)
}

fn spec() -> ModelSpec {
    let dictionary: Vec<String> = CATEGORY_VALUES.iter().map(|text| (*text).to_owned()).collect();
    let numbers = (0..NUMBERS)
        .map(|i| FeatureSpec { name: number_name(i).into(), kind: FeatureKind::Numeric });
    let categories = (0..CATEGORIES).map(|i| FeatureSpec {
        name: category_name(i).into(),
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
