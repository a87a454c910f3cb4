//! The answers to queries, from an engine that is fed by hand: no broker, no HTTP.

use super::View;
use crate::config::{self, Plan};
use crate::daemon::fleet::Fleet;
use crate::daemon::held::Held;
use crate::daemon::intake::Intake;
use crate::daemon::keeper::Keeper;
use crate::daemon::replaced::Replaced;
use crate::daemon::setup::{Topology, kafka_settings};
use crate::decode::record::{NoHeaders, Record};
use crate::engine::reference::{
    CategoricalReference, Category, Distribution, FeatureReference, NumericReference, Profile,
};
use crate::engine::state::SnapshotKind;
use crate::engine::time::{Span, Timestamp};
use crate::io::checkpoint::{Store, StoreOptions};
use crate::io::clock;
use crate::io::http::api::dto::{Answer, Health, ModelSummary};
use crate::io::http::api::query::{HistoryQuery, Place};
use crate::io::http::api::{Code, Page, Query};
use crate::io::kafka::{
    KafkaSource, Membership, SourceEvent, SourceHandler, SourceOptions, TopicPartition,
};
use crate::io::telemetry::Telemetry;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the rig is made of.
#[derive(Clone, Copy)]
struct Size {
    models: usize,
    /// Numeric ones; there is one categorical feature for each sliced one besides.
    features: usize,
    sliced: usize,
    values: usize,
    /// Panes of five minutes, and rows in each.
    panes: usize,
    rows: usize,
}

const SMALL: Size = Size { models: 3, features: 4, sliced: 2, values: 5, panes: 20, rows: 120 };
const PANE: Span = Span::from_mins(5);
/// Just after midnight.
const BEGIN: Timestamp = Timestamp::from_secs(1_800_057_600);

struct Rig {
    held: Held,
    source: KafkaSource,
    /// Feeds and answers need the runtime to write checkpoints.
    _runtime: tokio::runtime::Runtime,
    size: Size,
    offsets: [i64; 2],
}

fn profile(size: Size) -> Profile {
    let rows = 10_000;
    let numeric = |name: String| {
        FeatureReference::complete(
            &name,
            Distribution::Numeric(NumericReference {
                edges: (0..=200).map(|edge| f64::from(edge) / 200.0).collect(),
                counts: vec![rows / 200; 200],
                sums: (0..200).map(|bin| 50.0 * (f64::from(bin) + 0.5) / 200.0).collect(),
                coarse: (0..10).map(|bin| bin * 20).collect(),
                mean: 0.5,
                std: 0.29,
                min: 0.0,
                max: 1.0,
            }),
        )
    };
    let values = size.values as u64;
    let category = |at: u64| Category { value: format!("value-{at:03}"), count: rows / values };
    let categorical = |name: String| {
        FeatureReference::complete(
            &name,
            Distribution::Categorical(CategoricalReference {
                categories: (0..values).map(category).collect(),
                other: rows - values * (rows / values),
            }),
        )
    };
    let numbers = (0..size.features).map(|at| numeric(format!("number-{at:03}")));
    let categories = (0..size.sliced).map(|at| categorical(format!("category-{at}")));
    Profile {
        format: "tidemark/profile".into(),
        version: 1,
        model: None,
        task: Some("binary".into()),
        rows,
        sources: Vec::new(),
        trained_on: false,
        classes: vec!["0".into(), "1".into()],
        positive_class: Some("1".into()),
        features: numbers.chain(categories).collect(),
        score: None,
        predicted_classes: None,
        label_classes: None,
        label_values: None,
        baseline: std::collections::BTreeMap::new(),
        design: None,
        calibration: None,
        losses: Vec::new(),
        content_hash: "sha256:0".into(),
    }
}

const MODEL: &str = "
  - name: @NAME
    task: binary
    positive_class: '1'
    start: earliest
    slice_values_max: 100
    predictions:
      topic: p
      format: json
      fields:
        id: /id
        event_time: { path: /t, unit: s }
        model: /m
        version: /v
        score: /s
        features: /f
    labels:
      topic: l
      format: json
      fields: { id: /id, event_time: { path: /t, unit: s }, label: /y }
      horizon: 2d
      pending_max: 1000000
    time: { out_of_orderness: 0s, allowed_lateness: 0s, future_tolerance: 7d }
    windows: [5m, { size: 1h, every: 5m }, { size: 1d, every: 1h }]
    reference: { default: profile.json }
    slices: [@SLICES]
    show: { support_min: 1, coverage_min: 0 }
    policies:
      - name: fell
        metric: accuracy
        window: 1h
        below: 0.85
        label_age: 5m
        min_labels: 10
        action: { retrain: trainer, act_within: 400d }
";

fn plan(size: Size, state: &Path) -> Plan {
    let mut yaml = format!(
        "kafka: {{ bootstrap_servers: \"127.0.0.1:1\", group_id: g }}\n\
         state: {{ url: \"file://{}\", memory_max: 16TiB }}\n\
         webhooks: [{{ name: trainer, url: \"http://127.0.0.1:1/\" }}]\nmodels:\n",
        state.display()
    );
    for model in 0..size.models {
        let slices: Vec<String> = (0..size.sliced).map(|at| format!("category-{at}")).collect();
        let model = MODEL.replace("@NAME", &format!("m{model}"));
        yaml.push_str(&model.replace("@SLICES", &slices.join(", ")));
    }
    let read = |_: &Path| Ok(profile(size));
    config::load_bytes(Path::new("/nowhere/t.yaml"), yaml.as_bytes(), &|_| None, &read).unwrap()
}

impl Rig {
    fn new(size: Size, state: &Path) -> Self {
        let plan = Arc::new(plan(size, state));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let telemetry = Telemetry::new();
        let store = Store::open(&plan.state.url, StoreOptions::default()).unwrap();
        let fleet = Fleet::new(store.clone(), runtime.handle(), Duration::from_secs(1));
        let keeper = Keeper::new(store, runtime.handle().clone(), &telemetry);
        let mut topology = Topology::new(&plan).unwrap();
        let topics = std::mem::take(&mut topology.topics);
        let names = topics.iter().map(|topic| topic.name.to_string()).collect();
        let intake = Intake::new(topics, None, &telemetry);
        let replaced = Replaced::new(&intake, &telemetry);
        let held = Held::new(Arc::clone(&plan), topology, intake, keeper, replaced, fleet).unwrap();
        let options = SourceOptions { membership: Membership::All, ..SourceOptions::default() };
        let source = KafkaSource::new(kafka_settings(&plan), names, options).unwrap();
        let mut rig = Self { held, source, _runtime: runtime, size, offsets: [0; 2] };
        let at = |topic| TopicPartition { topic, partition: 0 };
        for topic in 0..2 {
            rig.held.start_offset(at(topic));
        }
        rig.held.event(SourceEvent::Assigned(&[(at(0), 0), (at(1), 0)]));
        rig.held.expect(&[Some(1), Some(1)]);
        rig.held.settle_ownership();
        rig
    }

    fn topic(&self, name: &str) -> usize {
        self.held.intake.topics().iter().position(|topic| &*topic.name == name).unwrap()
    }

    fn record(&mut self, topic: &str, time: Timestamp, payload: &str) {
        let topic = self.topic(topic);
        let record = Record {
            partition: 0,
            offset: self.offsets[topic],
            timestamp: time,
            key: None,
            payload: Some(payload.as_bytes()),
            headers: &NoHeaders,
        };
        self.offsets[topic] += 1;
        self.held.event(SourceEvent::Record { topic, record });
    }

    /// A pane of every model: its predictions and labels. With `bad`, slice 0 of the first category
    /// is wrong, and the first number has moved.
    fn pane(&mut self, pane: usize, version: &str, bad: bool) {
        let size = self.size;
        let start = BEGIN + Span(PANE.0 * pane as i64);
        let version = serde_json::to_string(version).unwrap();
        for row in 0..size.rows {
            let time = start + Span(PANE.0 * row as i64 / size.rows as i64);
            let seconds = time.0 / 1_000_000;
            for model in 0..size.models {
                let mut features = String::new();
                for at in 0..size.features {
                    let x = ((row * 7919 + at * 104_729) % 997) as f64 / 997.0;
                    let x = if bad && at == 0 { x * x } else { x };
                    write!(features, "\"number-{at:03}\":{x},").unwrap();
                }
                for at in 0..size.sliced {
                    let value = (row / (at + 1)) % size.values;
                    write!(features, "\"category-{at}\":\"value-{value:03}\",").unwrap();
                }
                features.pop();
                let id = format!("{model}-{pane}-{row}");
                let payload = format!(
                    "{{\"id\":\"{id}\",\"m\":\"m{model}\",\"t\":{seconds},\"v\":{version},\
                     \"s\":0.9,\"f\":{{{features}}}}}"
                );
                self.record("p", time, &payload);
                let wrong = row % 10 == 0 || bad && row % size.values == 0;
                let label =
                    format!("{{\"id\":\"{id}\",\"t\":{seconds},\"y\":{}}}", u8::from(!wrong));
                self.record("l", time, &label);
            }
        }
        self.held.flush();
        self.held.advance(start + PANE, &mut Vec::new());
    }

    fn run(&mut self) {
        for pane in 0..self.size.panes {
            self.pane(pane, "v1", pane >= self.size.panes / 2);
        }
    }

    fn ask(&self, query: &Query) -> Result<Answer, crate::io::http::api::ApiError> {
        let now = BEGIN + Span(PANE.0 * self.size.panes as i64);
        View { held: &self.held, source: &self.source, now }.answer(query)
    }

    fn json(&self, query: &Query) -> serde_json::Value {
        serde_json::to_value(self.ask(query).unwrap()).unwrap()
    }

    fn summaries(&self) -> Vec<ModelSummary> {
        match self.ask(&Query::Models(Page::default())).unwrap() {
            Answer::Models(models) => models.models,
            other => panic!("{other:?}"),
        }
    }
}

fn place(window: &str) -> Place {
    Place { model: "m0".into(), window: Some(window.parse().unwrap()), version: None }
}

fn history(window: &str) -> Query {
    let (metrics, slice, from, to) = (Vec::new(), None, None, None);
    Query::History(HistoryQuery { at: place(window), metrics, slice, from, to })
}

/// Everything that can be asked about the first model.
fn all() -> Vec<Query> {
    let model = || "m0".to_owned();
    vec![
        Query::Models(Page::default()),
        Query::Model { model: model() },
        history("5m"),
        history("1h"),
        history("1d"),
        Query::Drift { at: place("1h"), page: Page::default() },
        Query::Feature { at: place("1h"), feature: "number-000".into() },
        Query::Slices { at: place("5m"), metric: None, page: Page::default() },
        Query::Slices { at: place("1h"), metric: None, page: Page::default() },
        Query::Slices { at: place("1d"), metric: None, page: Page::default() },
        Query::Labels { model: model() },
        Query::Policies { model: model() },
        Query::Requests { model: None, page: Page::default() },
        Query::Pipeline,
    ]
}

#[test]
fn what_is_wrong_is_said_first_and_where_and_why() {
    let home = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(Size { panes: 40, ..SMALL }, home.path());
    rig.run();
    let summaries = rig.summaries();
    assert_eq!(summaries.len(), 3);
    let worst = &summaries[0];
    assert_eq!(worst.health, Health::Bad, "{:#?}", worst.reasons);
    assert_eq!(worst.reasons[0].policy.as_deref(), Some("fell"));
    assert_eq!(worst.worst_slice.as_ref().unwrap().slice.name, "category-0=value-000");
    assert_eq!(worst.worst_feature.as_ref().unwrap().feature, "number-000");
    assert!(worst.worst_feature.as_ref().unwrap().material);
    let drift = rig.json(&Query::Drift { at: place("5m"), page: Page { limit: 2, offset: 0 } });
    assert_eq!(drift["total"], 6);
    assert_eq!(drift["features"].as_array().unwrap().len(), 2);
    assert_eq!(drift["features"][0]["feature"], "number-000");
    assert_eq!(drift["heat"]["features"][0]["feature"], "number-000");
    let effect = |at: usize| drift["heat"]["features"][0]["effect"][at].as_f64().unwrap();
    assert!(effect(0) < 0.2 && effect(34) > effect(0) + 0.1, "{} {}", effect(0), effect(34));
    let slices = rig.json(&Query::Slices { at: place("5m"), metric: None, page: Page::default() });
    assert_eq!(slices["slices"][0]["slice"]["name"], "category-0=value-000");
    assert_eq!(slices["slices"][0]["estimate"]["value"], 0.0);
    assert!(slices["slices"][0]["gap_lower"].as_f64().unwrap() > 0.5, "{}", slices["slices"][0]);
    let shown = rig.json(&Query::Feature { at: place("5m"), feature: "category-0".into() });
    // Nobody said that values may be shown.
    assert_eq!(shown["reference"]["values"][0]["value"], "#1");
    assert!(!shown.to_string().contains("value-"), "{shown}");
}

#[test]
fn history_outlives_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(SMALL, home.path());
    for pane in 0..8 {
        rig.pane(pane, "v1", false);
        // A whole one, then changes.
        assert!(rig.held.save_within(Duration::from_secs(30)));
    }
    let before = [history("5m"), history("1h"), Query::Model { model: "m0".into() }];
    let before: Vec<_> = before.iter().map(|query| (query, rig.json(query))).collect();
    assert_eq!(before[0].1["series"][0]["ends"].as_array().unwrap().len(), 7);
    let current = rig.held.monitors[0].monitor.history.clone();
    drop(rig);
    let again = Rig::new(SMALL, home.path());
    for (query, before) in &before {
        let after = again.json(query);
        assert_eq!(&after, before, "{query:?}");
    }
    assert_eq!(again.held.monitors[0].monitor.history.marks().count(), current.marks().count());
}

#[test]
fn a_question_about_nothing_is_answered_with_what_there_is() {
    let home = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(SMALL, home.path());
    for query in all() {
        assert!(rig.ask(&query).is_ok(), "before anything was read: {query:?}");
    }
    assert_eq!(rig.summaries()[0].health, Health::Unknown);
    rig.pane(0, "v1", false);
    rig.pane(1, "v1", false);
    let wrong = |query: Query, code: Code, part: &str| {
        let error = rig.ask(&query).unwrap_err();
        assert!(error.code == code && error.message.contains(part), "{error:?}");
    };
    wrong(Query::Model { model: "\n<b>".repeat(999) }, Code::NotFound, "m0, m1, m2");
    wrong(history("2h"), Code::BadRequest, "5m, 1h, 1d");
    let at = Place { version: Some("v9".into()), ..place("1h") };
    wrong(Query::Drift { at, page: Page::default() }, Code::NotFound, "known: v1");
    let feature = "nothing".to_owned();
    wrong(Query::Feature { at: place("1h"), feature }, Code::NotFound, "number-000");
    let metric = Some(crate::engine::metric::Metric::Mae);
    let page = Page::default();
    wrong(Query::Slices { at: place("1h"), metric, page }, Code::BadRequest, "accuracy");
}

#[test]
fn names_from_the_stream_come_back_as_they_are_or_cut_and_can_be_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(Size { models: 1, panes: 3, ..SMALL }, home.path());
    let hostile = ["<script>alert(1)</script>", "a\"b\nc\u{202e}'", &"é".repeat(128)[..]];
    for (pane, version) in hostile.iter().enumerate() {
        rig.pane(pane, version, false);
    }
    rig.pane(3, "v1", false);
    let answer = rig.json(&history("5m"));
    for version in hostile {
        let shown = crate::io::http::api::dto::name(version);
        let series = answer["series"].as_array().unwrap();
        assert!(series.iter().any(|series| series["version"] == *shown), "{shown:?}");
        let at = Place { version: Some(shown), ..place("5m") };
        let drift = rig.json(&Query::Drift { at, page: Page::default() });
        assert_eq!(drift["predictions"], 120);
    }
}

/// Not a bound that a busy machine could break: how long each answer took is printed.
#[test]
fn every_answer_is_there_for_large_models_too() {
    let home = tempfile::tempdir().unwrap();
    let size = Size { models: 2, features: 20, sliced: 3, values: 50, panes: 4, rows: 150 };
    let mut rig = Rig::new(size, home.path());
    rig.run();
    let history = &mut rig.held.monitors[0].monitor.history;
    let bytes = history.save(SnapshotKind::Full).bytes.len();
    println!("{bytes} bytes of history for {} windows", history.len());
    for query in all() {
        let begun = clock::monotonic();
        let answer = rig.ask(&query).unwrap();
        let took = clock::monotonic().duration_since(begun);
        let bytes = serde_json::to_vec(&answer).unwrap().len();
        println!("{took:>12?} {bytes:>9} bytes {query:?}");
    }
}
