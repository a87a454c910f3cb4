//! Models, records and rows for the tests.

use std::sync::Arc;
use tidemark::decode::spec::PredictionFields;
use tidemark::decode::{NoHeaders, PredictionDecoder, PredictionOutput, PredictionSource, Record};
use tidemark::engine::event::{CellState, FeatureColumn, ModelIndex, RefusalReason};
use tidemark::engine::spec::{
    FeatureKind, FeatureSpec, JoinSpec, ModelSpec, ShowSpec, Task, TimeSpec,
};
use tidemark::engine::time::{Span, Timestamp};

pub const RECORD_TIME: Timestamp = Timestamp::from_secs(1_700_000_000);

pub fn binary(positive: &str, negative: Option<&str>) -> Task {
    Task::Binary {
        positive_class: positive.to_owned(),
        negative_class: negative.map(str::to_owned),
        threshold: 0.5,
    }
}

pub fn multiclass(classes: &[&str]) -> Task {
    let classes = classes.iter().map(|class| (*class).to_owned()).collect();
    Task::Multiclass { classes, top_k: Vec::new() }
}

pub fn regression() -> Task {
    Task::Regression { center: 0.0, scale: 1.0 }
}

pub fn numeric(name: &str) -> FeatureSpec {
    FeatureSpec { name: name.into(), kind: FeatureKind::Numeric }
}

pub fn categorical(name: &str, dictionary: &[&str]) -> FeatureSpec {
    let dictionary: Arc<[String]> = dictionary.iter().map(|text| (*text).to_owned()).collect();
    FeatureSpec { name: name.into(), kind: FeatureKind::Categorical { dictionary } }
}

pub fn model(name: &str, task: Task, features: Vec<FeatureSpec>) -> ModelSpec {
    ModelSpec {
        name: name.into(),
        task,
        weighted: false,
        features,
        slices: Vec::new(),
        time: TimeSpec {
            out_of_orderness: Span::ZERO,
            allowed_lateness: Span::ZERO,
            idle_after: Span::ZERO,
            future_tolerance: Span::ZERO,
            origin: Timestamp(0),
        },
        join: JoinSpec {
            horizon: Span::from_hours(1),
            lead: Span::ZERO,
            grace: Span::ZERO,
            corrections_for: Span::ZERO,
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
            revise_every: Span::ZERO,
            version_gone_after: Span::ZERO,
        },
        policies: Vec::new(),
        versions_max: 8,
    }
}

pub fn record(payload: &[u8]) -> Record<'_> {
    Record {
        partition: 3,
        offset: 7,
        timestamp: RECORD_TIME,
        key: None,
        payload: Some(payload),
        headers: &NoHeaders,
    }
}

/// Fields as a user writes them.
pub fn fields(yaml: &str) -> PredictionFields {
    serde_saphyr::from_str(yaml).expect("the test's fields are valid")
}

/// A decoder of one model that has a topic of its own.
pub fn decoder(spec: &ModelSpec, yaml: &str) -> PredictionDecoder {
    let fields = fields(yaml);
    let source = PredictionSource { model: ModelIndex(0), spec, fields: &fields, route: None };
    PredictionDecoder::new(&[source]).expect("the test's fields fit")
}

pub fn started(decoder: &PredictionDecoder) -> PredictionOutput {
    let mut out = decoder.output();
    out.start(3);
    out
}

/// Decodes one payload; the rows are in the output.
pub fn decode(decoder: &mut PredictionDecoder, payload: &str) -> PredictionOutput {
    let mut out = started(decoder);
    let outcome = decoder.decode(&record(payload.as_bytes()), &mut out);
    assert!(outcome.rows() > 0);
    assert_eq!(outcome.refused.total() as usize, out.refusals.len());
    out
}

/// Why a payload of one row is refused.
pub fn refusal(decoder: &mut PredictionDecoder, payload: &str) -> (RefusalReason, String) {
    let out = decode(decoder, payload);
    assert!(out.batches.iter().all(|batch| batch.is_empty()), "not refused: {payload}");
    (out.refusals[0].reason, out.refusals[0].message.clone())
}

/// The last row's cell of a feature: its state, and number or code.
pub fn last_cell(out: &PredictionOutput, feature: usize) -> (CellState, f64) {
    match &out.batches[0].features[feature] {
        FeatureColumn::Numeric(column) => {
            (*column.states.last().unwrap(), *column.values.last().unwrap())
        }
        FeatureColumn::Categorical(column) => {
            (*column.states.last().unwrap(), f64::from(*column.codes.last().unwrap()))
        }
    }
}
