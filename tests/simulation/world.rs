//! Seeded logs: what two topics might hold, with everything that goes wrong in real ones.

use std::sync::Arc;
use tidemark::engine::cbpe::CalibrationReference;
use tidemark::engine::estimate::Estimate;
use tidemark::engine::event::{ClassCode, LabelValue, ModelIndex};
use tidemark::engine::metric::Metric;
use tidemark::engine::model_shard::ModelContext;
use tidemark::engine::reference::Profile;
use tidemark::engine::shard::{
    GroupModel, GroupSpec, LabelTopicSpec, LabelsOf, PredictionTopicSpec,
};
use tidemark::engine::spec::*;
use tidemark::engine::time::{Span, Timestamp};

pub const MINUTE: i64 = 60_000_000;
pub const RUN_LENGTH: f64 = 20.0;

/// One prediction record.
#[derive(Clone, Copy, Debug)]
pub struct PredictionRecord {
    pub model: u16,
    pub id: u128,
    pub event_time: Timestamp,
    pub record_time: Timestamp,
    pub version: u8,
    pub score: f64,
    pub category: u32,
}

/// One label record.
#[derive(Clone, Copy, Debug)]
pub struct LabelRecord {
    pub id: u128,
    pub event_time: Timestamp,
    pub record_time: Timestamp,
    /// One a column: what the models that read it find there.
    pub classes: [Option<ClassCode>; 2],
}

/// Two topics of a group, partition by partition, and the models that read them.
pub struct World {
    pub group: Arc<GroupSpec>,
    pub partitions: usize,
    /// The broker confirms log ends at random times, so that what follows depends on when: only
    /// what holds at all times can be checked.
    pub confirms: bool,
    pub predictions: Vec<Vec<PredictionRecord>>,
    pub labels: Vec<Vec<LabelRecord>>,
}

/// `spread`: ids in any partition; then all that shares an id must lie within the horizon.
fn spec(name: &str, spread: bool, confirms: bool, rng: &mut fastrand::Rng) -> ModelSpec {
    let horizon = Span(if spread { 300 } else { rng.i64(5..60) } * MINUTE);
    let grace = Span(rng.i64(0..10) * MINUTE);
    let lateness = Span(rng.i64(0..6) * MINUTE);
    let out_of_orderness = Span(rng.i64(0..3) * MINUTE);
    let hold = horizon + grace;
    let corrections_for = if spread || rng.bool() {
        hold
    } else {
        (out_of_orderness + lateness).max(Span(MINUTE)).min(hold)
    };
    let absent = rng.bool().then(|| AbsentLabel {
        delay: Span(rng.i64(1..20) * MINUTE).min(hold),
        value: LabelValue::Class(0),
    });
    let silent_after = (confirms && rng.bool()).then(|| Span(rng.i64(1..120) * MINUTE));
    let short_keeps = rng.u8(0..3) == 0;
    let mut window = |size: i64, every: i64| WindowSpec {
        size: Span(size * MINUTE),
        every: Span(every * MINUTE),
        keep: match short_keeps && rng.bool() {
            true => Span(rng.i64(0..40) * MINUTE).min(hold),
            false => hold,
        },
    };
    let windows = vec![window(5, 5), window(20, 5), window(60, 20)];
    ModelSpec {
        name: name.into(),
        task: Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 },
        weighted: false,
        features: vec![FeatureSpec {
            name: "kind".into(),
            kind: FeatureKind::Categorical { dictionary: Arc::from(["a".into(), "b".into()]) },
        }],
        slices: vec![SliceSpec {
            features: vec![SliceFeature {
                feature: 0,
                name: "kind".into(),
                values: SliceValues::Categories(vec![(0, "a".into()), (1, "b".into())]),
            }],
        }],
        time: TimeSpec {
            out_of_orderness,
            allowed_lateness: lateness,
            idle_after: Span(MINUTE),
            future_tolerance: Span(10 * MINUTE),
            origin: Timestamp(0),
        },
        join: JoinSpec {
            horizon,
            lead: Span(rng.i64(0..5) * MINUTE),
            grace,
            corrections_for,
            silent_after,
            absent_after: absent,
            // Never reached.
            pending_max: 10_000,
            start: rng.bool().then_some(Timestamp(3 * MINUTE)),
        },
        windows,
        reference: Some(Arc::new(profile())),
        version_references: Default::default(),
        show: ShowSpec {
            coverage_min: 0.0,
            support_min: 1,
            history_windows: 10,
            revise_every: Span::ZERO,
            version_gone_after: Span::MAX,
        },
        policies: [(5, 0), (20, 7), (60, 30)]
            .into_iter()
            .map(|(size, age)| PolicySpec {
                name: format!("below-{size}").into(),
                condition: Condition::Performance {
                    metric: Metric::Accuracy,
                    bound: Bound::Below(Level::Value(0.6)),
                    compare: Compare::Value,
                    label_age: Span(age * MINUTE).min(hold),
                    min_labels: 2,
                },
                window: Span(size * MINUTE),
                for_windows: 2,
                action: Action::Retrain {
                    webhook: "trainer".into(),
                    cooldown: Span(60 * MINUTE),
                    act_within: Span::MAX,
                },
            })
            .chain([alarm(Span(7 * MINUTE).min(hold))])
            .collect(),
        versions_max: 16,
    }
}

/// 900 of 1,000 were right, and scores mean what they say.
fn profile() -> Profile {
    let calibration = CalibrationReference {
        rows: 100,
        classes: vec!["1".into()],
        maps: vec![None],
        sampling: Default::default(),
    };
    Profile {
        baseline: [("accuracy".to_owned(), Estimate::exact(0.9, None, 1_000))].into(),
        calibration: Some(calibration),
        ..crate::cbpe::empty_profile()
    }
}

/// Worse than the baseline by more than 0.02: evidence of 20 windows.
fn alarm(label_age: Span) -> PolicySpec {
    PolicySpec {
        name: "alarm".into(),
        condition: Condition::PerformanceAlarm(PerformanceAlarm {
            metric: Metric::Accuracy,
            margin: 0.02,
            label_age,
            episodes_a_week: 1.0,
            alpha: 0.05,
            run_length: RUN_LENGTH,
        }),
        window: Span(20 * MINUTE),
        for_windows: 1,
        action: Action::Retrain {
            webhook: "trainer".into(),
            cooldown: Span(60 * MINUTE),
            act_within: Span::MAX,
        },
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let models = rng.usize(1..3);
        let spread = rng.u8(0..4) == 0;
        let confirms = rng.u8(0..6) == 0;
        // Models read the same field of a label, or each its own.
        let columns = rng.usize(1..models + 1);
        let specs: Vec<Arc<ModelSpec>> = (0..models)
            .map(|at| Arc::new(spec(&format!("m{at}"), spread, confirms, &mut rng)))
            .collect();
        let group = Arc::new(GroupSpec {
            name: "g".into(),
            models: specs
                .iter()
                .zip(0..)
                .map(|(spec, at)| GroupModel {
                    index: ModelIndex(at),
                    context: Arc::new(ModelContext::new(Arc::clone(spec))),
                    predictions: 0,
                    labels: Some(LabelsOf {
                        topic: 0,
                        column: usize::from(at) % columns,
                        listener: usize::from(at),
                    }),
                })
                .collect(),
            prediction_topics: vec![PredictionTopicSpec { topic: "p".into() }],
            label_topics: vec![LabelTopicSpec {
                topic: "l".into(),
                future_tolerance: Span(10 * MINUTE),
                waiting_max: u64::MAX,
            }],
            spread,
        });
        let partitions = rng.usize(1..4);
        let mut world = Self {
            group,
            partitions,
            confirms,
            predictions: vec![Vec::new(); partitions],
            labels: vec![Vec::new(); partitions],
        };
        world.fill(&mut rng, spread, columns);
        world
    }

    fn fill(&mut self, rng: &mut fastrand::Rng, spread: bool, columns: usize) {
        let count = rng.usize(5..60);
        let end = rng.i64(10..180) * MINUTE;
        let mut predictions = Vec::new();
        let mut labels = Vec::new();
        for _ in 0..count {
            let id =
                u128::from(rng.u64(0..count as u64 * 2)) << 64 | u128::from(rng.u64(0..8)) << 40;
            let at = rng.i64(0..end);
            let record = PredictionRecord {
                model: rng.u16(0..self.group.models.len() as u16),
                id,
                event_time: Timestamp(at),
                record_time: Timestamp(at + rng.i64(0..2 * MINUTE)),
                version: rng.u8(0..2),
                score: score(rng),
                category: rng.u32(0..3),
            };
            predictions.push((at + jitter(rng), record));
            self.again(rng, at, record, &mut predictions);
            for _ in 0..[0, 1, 1, 1, 2, 3][rng.usize(0..6)] {
                let label_at = at + delay(rng);
                let label = LabelRecord {
                    id,
                    event_time: Timestamp(label_at),
                    record_time: Timestamp(label_at + rng.i64(0..2 * MINUTE)),
                    classes: classes(rng, columns),
                };
                labels.push((label_at + jitter(rng), label));
            }
        }
        predictions.sort_by_key(|(at, _)| *at);
        labels.sort_by_key(|(at, _)| *at);
        for (_, mut record) in predictions {
            if rng.u8(0..50) == 0 {
                record.event_time = record.record_time + Span(11 * MINUTE);
            }
            let partition = self.partition(rng, spread, record.id);
            self.predictions[partition].push(record);
        }
        for (_, mut record) in labels {
            if rng.u8(0..50) == 0 {
                record.event_time = record.record_time + Span(11 * MINUTE);
            }
            let partition = self.partition(rng, spread, record.id);
            self.labels[partition].push(record);
        }
    }

    /// The same prediction again, in another version, or a bit later.
    fn again(
        &self,
        rng: &mut fastrand::Rng,
        at: i64,
        record: PredictionRecord,
        predictions: &mut Vec<(i64, PredictionRecord)>,
    ) {
        match rng.u8(0..6) {
            0 => predictions.push((at + jitter(rng), record)),
            1 => predictions.push((
                at + jitter(rng),
                PredictionRecord { version: 1 - record.version, score: score(rng), ..record },
            )),
            2 => {
                let later = Timestamp(at + rng.i64(0..40 * MINUTE));
                let again = PredictionRecord {
                    event_time: later,
                    record_time: later,
                    score: score(rng),
                    ..record
                };
                predictions.push((later.0 + jitter(rng), again));
            }
            _ => {}
        }
    }

    fn partition(&self, rng: &mut fastrand::Rng, spread: bool, id: u128) -> usize {
        if spread { rng.usize(0..self.partitions) } else { (id >> 40) as usize % self.partitions }
    }
}

/// A multiple of 1/1024, so that sums of scores are exact in any order.
fn score(rng: &mut fastrand::Rng) -> f64 {
    f64::from(rng.u32(0..=1024)) / 1024.0
}

/// A label's columns; one of them at least can be read.
fn classes(rng: &mut fastrand::Rng, columns: usize) -> [Option<ClassCode>; 2] {
    let classes = [Some(rng.u16(0..2)), Some(rng.u16(0..2)).filter(|_| columns > 1)];
    match rng.u8(0..8) {
        0 if columns > 1 => [None, classes[1]],
        1 => [classes[0], None],
        _ => classes,
    }
}

/// How late a record is written: mostly in order, sometimes much too late.
fn jitter(rng: &mut fastrand::Rng) -> i64 {
    match rng.u8(0..10) {
        0 => rng.i64(0..30 * MINUTE),
        1..4 => rng.i64(0..3 * MINUTE),
        _ => rng.i64(0..MINUTE / 2),
    }
}

/// From before the prediction to beyond any horizon.
fn delay(rng: &mut fastrand::Rng) -> i64 {
    match rng.u8(0..10) {
        0 => -rng.i64(0..8 * MINUTE),
        1 => rng.i64(0..90 * MINUTE),
        _ => rng.i64(0..25 * MINUTE),
    }
}
