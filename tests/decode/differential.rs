//! Seeded payloads, right and wrong, decoded and judged by `serde_json`: whether a payload is
//! JSON, what every column holds, and why a row is refused must agree. A failure prints the
//! payload.
//!
//! Differences to `serde_json`, both deliberate: numbers beyond a double and Python's `NaN`,
//! `Infinity` and `-Infinity` are read, as values that are not finite.

use super::generate::{Random, Template, Writer, mutate};
use super::judge::{self, Expected, Source, Verdict};
use super::support::{
    binary, categorical, fields, model, multiclass, numeric, record, regression, started,
};
use tidemark::decode::spec::LabelFields;
use tidemark::decode::{
    LabelDecoder, LabelListener, LabelOutput, NoHeaders, PredictionDecoder, PredictionOutput,
    PredictionSource, Record, RecordOutcome, Refusal,
};
use tidemark::engine::event::{CellState, FeatureColumn, ModelIndex, RefusalReason};
use tidemark::engine::spec::Task;

const CATEGORIES: &[&str] = &["a", "größe", "1", "true", "日本", "a\"b", ""];

/// A topic of predictions, and what its payloads look like.
struct Case {
    sources: Vec<Source>,
    template: Template,
}

fn source(yaml: &str, route: Option<&str>, task: Task, spec: &[(&str, bool)]) -> Source {
    let features = spec.iter().map(|&(name, is_number)| match is_number {
        true => numeric(name),
        false => categorical(name, CATEGORIES),
    });
    let spec = model("m", task, features.collect());
    Source { spec, fields: fields(yaml), route: route.map(str::to_owned) }
}

/// Two models on a topic, features in an object.
fn routed() -> Case {
    use Template::{Id, Number, Object, OneOf, Probability, Rfc3339};
    let first = "{ id: /prediction_id, event_time: /time, model: /model, version: /version, \
                  score: /output/score, class: /output/class, features: /features }";
    let second = "{ id: [key, /prediction_id], event_time: /time, model: /model, \
                   class: /output/class, probabilities: /output/all, features: /features }";
    let features = [("age", true), ("größe", true), ("job", false), ("a/b~c", false)];
    let classes = multiclass(&["a", "b", "3"]);
    let output = Object(vec![
        ("score", Probability),
        ("class", OneOf(&["a", "b", "1", "0"])),
        ("all", Object(vec![("a", Probability), ("b", Probability), ("3", Probability)])),
    ]);
    Case {
        sources: vec![
            source(first, Some("income"), binary("1", Some("0")), &features),
            source(second, Some("7"), classes, &features[1..]),
        ],
        template: Object(vec![
            ("prediction_id", Id),
            ("time", Rfc3339),
            ("model", OneOf(&["income", "7", "nobody"])),
            ("version", OneOf(&["v1", "v2"])),
            ("noise", Object(vec![("age", Number), ("prediction_id", Id)])),
            (
                "features",
                Object(vec![
                    ("age", Number),
                    ("größe", Number),
                    ("job", OneOf(CATEGORIES)),
                    ("a/b~c", OneOf(CATEGORIES)),
                    ("other", Number),
                ]),
            ),
            ("output", output),
        ]),
    }
}

/// Rows in one record; features by position.
fn batched() -> Case {
    use Template::{Array, Id, Number, Object, OneOf, Probability, Rows, Seconds};
    let yaml = "{ rows: /data/instances, id: /id, event_time: { path: /at, unit: s }, \
                 version: ./version, probabilities: ./p, weight: ./w, features: \
                 [{ name: x0, path: ./x/0 }, { name: x2, path: ./x/2 }, { name: k, path: ./k }, \
                 { name: top, path: /data/top }, { name: key, path: key }] }";
    let features = [("x0", true), ("x2", true), ("k", false), ("top", true), ("key", true)];
    let row = Object(vec![
        ("x", Array(vec![Number, Number, Number])),
        ("k", OneOf(CATEGORIES)),
        ("p", Array(vec![Probability, Probability])),
        ("w", Probability),
        ("version", OneOf(&["v1", "v2"])),
    ]);
    let data = Object(vec![("instances", Rows(Box::new(row))), ("top", Number)]);
    Case {
        sources: vec![source(yaml, None, multiclass(&["a", "b"]), &features)],
        template: Object(vec![("data", data), ("id", Id), ("at", Seconds)]),
    }
}

/// A payload that is an array of arrays, for regression.
fn bare() -> Case {
    use Template::{Array, Id, Number, OneOf, Rows, Seconds};
    let yaml = "{ rows: \"\", id: ./0, score: ./1, event_time: { path: ./2, unit: ms }, \
                 features: [{ name: a, path: ./3/deep }, { name: b, path: ./3 }] }";
    let row = Array(vec![Id, Number, Seconds, OneOf(CATEGORIES)]);
    Case {
        sources: vec![source(yaml, None, regression(), &[("a", true), ("b", false)])],
        template: Rows(Box::new(row)),
    }
}

/// Every payload is decoded by the same decoder, so that what it learned of earlier ones is at
/// work.
struct Tested {
    case: Case,
    decoder: PredictionDecoder,
    out: PredictionOutput,
    accepted: usize,
    appended: usize,
    refused: usize,
    abstained: usize,
}

impl Tested {
    fn new(case: Case) -> Self {
        let sources: Vec<_> = case
            .sources
            .iter()
            .zip(0..)
            .map(|(source, i)| PredictionSource {
                model: ModelIndex(i),
                spec: &source.spec,
                fields: &source.fields,
                route: source.route.as_deref(),
            })
            .collect();
        let decoder = PredictionDecoder::new(&sources).expect("the test's fields fit");
        let out = started(&decoder);
        Self { case, decoder, out, accepted: 0, appended: 0, refused: 0, abstained: 0 }
    }

    fn check(&mut self, record: &Record<'_>) {
        let payload = record.payload.expect("no tombstones here");
        let shown = String::from_utf8_lossy(payload).into_owned();
        self.out.start(3);
        let outcome = self.decoder.decode(record, &mut self.out);
        let Some(top) = judge::parse(payload) else {
            assert_no_json(&outcome, &self.out.refusals, &shown);
            return;
        };
        self.accepted += 1;
        let verdicts = judge::predictions(&self.case.sources, record, &top);
        assert_eq!(outcome.rows() as usize, verdicts.len(), "{shown}");
        if verdicts.contains(&Verdict::Unknown) {
            self.abstained += 1;
            return;
        }
        check_counts(&outcome, &verdicts, &self.out.refusals, &shown);
        self.appended += outcome.appended as usize;
        self.refused += outcome.refused.total() as usize;
        let mut next = vec![0; self.case.sources.len()];
        for expected in verdicts.iter().filter_map(row) {
            let at = next[expected.model];
            next[expected.model] += 1;
            self.check_row(expected, at, &shown);
        }
    }

    fn check_row(&self, expected: &Expected, at: usize, shown: &str) {
        let batch = &self.out.batches[expected.model];
        assert_eq!(batch.ids[at], expected.id, "id of {shown}");
        assert_eq!(batch.rows[at], expected.row, "{shown}");
        assert_eq!(batch.event_times[at], expected.event_time, "time of {shown}");
        assert_eq!(batch.versions.get(at), expected.version, "{shown}");
        assert_eq!(
            batch.scores[at].to_bits(),
            expected.score.unwrap_or(f64::NAN).to_bits(),
            "score of {shown}"
        );
        assert_eq!(batch.classes[at], expected.class, "class of {shown}");
        assert_eq!(batch.weights[at].to_bits(), expected.weight.to_bits(), "{shown}");
        let count = expected.probabilities.len();
        let bits = |list: &[f64]| list.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            bits(&batch.probabilities[at * count..(at + 1) * count]),
            bits(&expected.probabilities),
            "probabilities of {shown}"
        );
        for (i, (state, value)) in expected.cells.iter().enumerate() {
            let (found, number) = match &batch.features[i] {
                FeatureColumn::Numeric(column) => (column.states[at], column.values[at]),
                FeatureColumn::Categorical(column) => {
                    (column.states[at], f64::from(column.codes[at]))
                }
            };
            assert_eq!(found, *state, "feature {i} of {shown}");
            if found == CellState::Present {
                assert_eq!(Some(number.to_bits()), value.map(f64::to_bits), "{i} of {shown}");
            }
        }
    }
}

fn row(verdict: &Verdict) -> Option<&Expected> {
    match verdict {
        Verdict::Row(expected) => Some(expected),
        _ => None,
    }
}

/// The judge says that the payload is no JSON: it must be refused whole, for that reason.
fn assert_no_json(outcome: &RecordOutcome, refusals: &[Refusal], shown: &str) {
    let reason = refusals.first().map(|refusal| refusal.reason);
    let reasons = [RefusalReason::Malformed, RefusalReason::TooDeep];
    assert!(reason.is_some_and(|reason| reasons.contains(&reason)), "accepted: {shown}");
    assert_eq!((outcome.rows(), refusals.len()), (1, 1), "{shown}");
}

fn check_counts(outcome: &RecordOutcome, verdicts: &[Verdict], refusals: &[Refusal], shown: &str) {
    let expected: Vec<_> = verdicts
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Refused(reason) => Some(*reason),
            _ => None,
        })
        .collect();
    let found: Vec<_> = refusals.iter().map(|refusal| refusal.reason).collect();
    assert_eq!(found, expected, "{refusals:?} {shown}");
    for reason in RefusalReason::ALL {
        let count = expected.iter().filter(|other| **other == reason).count();
        assert_eq!(outcome.refused.get(reason) as usize, count, "{shown}");
    }
    let undeclared = verdicts.iter().filter(|verdict| **verdict == Verdict::Undeclared).count();
    assert_eq!(outcome.undeclared as usize, undeclared, "{shown}");
    assert_eq!(outcome.appended as usize, verdicts.iter().filter_map(row).count(), "{shown}");
}

fn payload(random: &mut Random, template: &Template, chaos: usize) -> Vec<u8> {
    let mut writer = Writer { random, chaos, text: String::new() };
    writer.template(template);
    writer.text.into_bytes()
}

/// Most payloads get chaos in one place or two; some are right, some wholly wild.
fn chaos(random: &mut Random) -> usize {
    [8, 40, 200, 100_000][random.below(4)]
}

fn run(case: Case, seed: u64, count: usize) -> Tested {
    let mut random = Random(seed);
    let mut tested = Tested::new(case);
    let keys: [Option<&[u8]>; 4] = [Some(b"k"), Some(b"12.5"), Some(b"\xff"), None];
    for i in 0..count {
        let level = chaos(&mut random);
        let mut bytes = payload(&mut random, &tested.case.template, level);
        if i % 3 == 2 {
            mutate(&mut random, &mut bytes);
        }
        let key = keys[random.below(2 + i % 3)];
        tested.check(&Record { key, headers: &NoHeaders, ..record(&bytes) });
    }
    tested
}

/// The comparison means something only if every kind of outcome was common.
fn assert_all_kinds(tested: &Tested, count: usize) {
    assert!(tested.accepted > count / 2, "accepted {}", tested.accepted);
    assert!(tested.accepted < count, "nothing was malformed");
    assert!(tested.appended > count / 10, "appended {}", tested.appended);
    assert!(tested.refused > count / 10, "refused {}", tested.refused);
    assert!(tested.abstained < count / 20, "abstained {}", tested.abstained);
}

#[test]
fn routed_predictions_agree_with_serde_json() {
    let count = 30_000;
    assert_all_kinds(&run(routed(), 1, count), count);
}

#[test]
fn batched_predictions_agree_with_serde_json() {
    let count = 30_000;
    assert_all_kinds(&run(batched(), 2, count), count);
}

#[test]
fn bare_predictions_agree_with_serde_json() {
    let count = 30_000;
    assert_all_kinds(&run(bare(), 3, count), count);
}

#[test]
fn labels_agree_with_serde_json() {
    use Template::{Id, Object, OneOf, Rows, Seconds};
    let yaml = |label: &str| {
        format!("{{ rows: /l, id: ./i, event_time: {{ path: ./t, unit: us }}, label: {label} }}")
    };
    let read = |label: &str| -> LabelFields { serde_saphyr::from_str(&yaml(label)).unwrap() };
    let listeners = [
        (binary("1", None), read("./y")),
        (multiclass(&["a", "1"]), read("./y")),
        (regression(), read("./z")),
    ];
    let sources: Vec<_> = listeners
        .iter()
        .zip(0..)
        .map(|((task, fields), i)| LabelListener { model: ModelIndex(i), task, fields })
        .collect();
    let mut decoder = LabelDecoder::new(&sources).unwrap();
    let mut out: LabelOutput = decoder.output();
    let y = OneOf(&["a", "1", "0", "b"]);
    let row = Object(vec![("i", Id), ("t", Seconds), ("y", y), ("z", Template::Number)]);
    let template = Object(vec![("l", Rows(Box::new(row)))]);
    let mut random = Random(4);
    for i in 0..20_000 {
        let level = chaos(&mut random);
        let mut bytes = payload(&mut random, &template, level);
        if i % 3 == 2 {
            mutate(&mut random, &mut bytes);
        }
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let record = record(&bytes);
        out.start(3);
        let outcome = decoder.decode(&record, &mut out);
        let Some(top) = judge::parse(&bytes) else {
            assert_no_json(&outcome, &out.refusals, &shown);
            continue;
        };
        let verdicts = judge::labels(&listeners, &record, &top);
        if verdicts.contains(&Verdict::Unknown) {
            continue;
        }
        check_counts(&outcome, &verdicts, &out.refusals, &shown);
        for (at, expected) in verdicts.iter().filter_map(self::row).enumerate() {
            assert_eq!(out.batch.ids[at], expected.id, "{shown}");
            assert_eq!(out.batch.rows[at], expected.row, "{shown}");
            assert_eq!(out.batch.event_times[at], expected.event_time, "{shown}");
            let values: Vec<_> = out.batch.values.iter().map(|column| column.values[at]).collect();
            assert_eq!(values, expected.labels, "{shown}");
        }
    }
}

#[test]
fn a_payload_cut_at_any_byte_agrees_with_serde_json() {
    let mut random = Random(5);
    for case in [routed(), batched(), bare()] {
        let mut tested = Tested::new(case);
        for chaos in [100_000, 30, 30, 10, 10] {
            let whole = payload(&mut random, &tested.case.template, chaos);
            for end in 0..=whole.len() {
                tested.check(&record(&whole[..end]));
            }
        }
    }
}

#[test]
fn every_byte_in_every_place_agrees_with_serde_json() {
    let mut tested = Tested::new(bare());
    let whole = br#"[["\u00e9",-1.5e3,0,{"deep":null}], [true,"x"] ]"#;
    for at in 0..whole.len() {
        for byte in 0..=255 {
            let mut changed = whole.to_vec();
            changed[at] = byte;
            tested.check(&record(&changed));
            changed.insert(at, whole[at]);
            tested.check(&record(&changed));
        }
    }
    assert!(tested.appended > 1000);
}

#[test]
fn every_escaped_unit_alone_and_in_pairs_agrees_with_serde_json() {
    let mut tested = Tested::new(bare());
    for unit in 0..=0xFFFFu32 {
        tested.check(&record(format!(r#"[["\u{unit:04x}",1,1]]"#).as_bytes()));
        // Skipped, not read; and followed by another one.
        tested.check(&record(format!(r#"[["a",1,1,0,"\u{unit:04X}"]]"#).as_bytes()));
        for second in ["\\ud800", "\\uDBFF", "\\udc00", "\\uDFFF", "\\u0041", "\\n", "x"] {
            if unit % 17 == 0 || unit >> 10 == 0x36 || unit >> 10 == 0x37 {
                tested.check(&record(format!(r#"[["\u{unit:04x}{second}",1,1]]"#).as_bytes()));
            }
        }
    }
    assert!(tested.appended > 100_000 && tested.accepted < 200_000);
}

#[test]
fn numbers_are_read_exactly_as_the_standard_library_reads_them() {
    let spec = model("m", regression(), vec![]);
    let mut decoder = super::support::decoder(&spec, "{ id: /i, score: /s }");
    let mut out = started(&decoder);
    let mut random = Random(6);
    let mut check = |text: &str| {
        let wanted: f64 = text.parse().unwrap();
        out.start(3);
        let payload = format!(r#"{{"i":1,"s":{text}}}"#);
        decoder.decode(&record(payload.as_bytes()), &mut out);
        match out.batches[0].scores.first() {
            Some(found) => assert_eq!(found.to_bits(), wanted.to_bits(), "{text}"),
            None => assert!(wanted.is_infinite(), "{text} was refused"),
        }
    };
    for _ in 0..40_000 {
        let value = f64::from_bits(random.next());
        if value.is_finite() {
            check(&format!("{value:e}"));
            check(&format!("{value:?}"));
        }
        // Digits around the limits of the short way: 19 of them, 2^53, 10^22.
        let digits = 1 + random.below(22);
        let mantissa = random.next() % 10u64.saturating_pow(digits as u32).max(1);
        check(&format!("{mantissa}e{}", random.below(50) as i64 - 25));
        check(&format!("-{}.{mantissa:0digits$}", random.below(100)));
        let near = (1u64 << 53) - 2 + random.below(5) as u64;
        check(&format!("{near}e{}", random.below(48) as i64 - 24));
    }
}
