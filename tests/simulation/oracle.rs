//! The batch answer: whole logs in, outcomes, windows and judgements out. No state, no watermarks
//! but those of the definition, nested loops; nothing of the engine's join, panes or monitor is
//! used.

use super::world::{LabelRecord, PredictionRecord, RUN_LENGTH, World};
use std::collections::BTreeMap;
use tidemark::engine::event::LabelValue;
use tidemark::engine::outcome::{LabelOutcome, PredictionOutcome};
use tidemark::engine::spec::{Action, Bound, Condition, Level, ModelSpec, PolicySpec};
use tidemark::engine::time::{Span, Timestamp};

/// (tn, fp, fn, tp) and the predictions, labelled or not. Of the whole model: how many of the
/// predictions, and of those without a label, are expected to be right, in 1,024ths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    pub predictions: u64,
    pub confusion: [u64; 4],
    pub expected: [u64; 2],
}

/// (model, version, slice's category or none, window size, window end)
pub type WindowId = (usize, u8, Option<u32>, Span, Timestamp);
/// (model, policy, version, window end)
pub type JudgementId = (usize, usize, u8, Timestamp);

#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    pub predictions: BTreeMap<(usize, PredictionOutcome), u64>,
    pub labels: BTreeMap<LabelOutcome, u64>,
    /// By model.
    pub model_labels: BTreeMap<(usize, LabelOutcome), u64>,
    pub windows: BTreeMap<WindowId, Cells>,
    pub judgements: BTreeMap<JudgementId, String>,
    pub requests: Vec<(usize, usize, u8, Timestamp)>,
}

struct Accepted {
    model: usize,
    record: PredictionRecord,
}

struct Label {
    partition: usize,
    offset: usize,
    record: LabelRecord,
    newest_before: Option<Timestamp>,
}

#[derive(Clone, Copy)]
struct Met {
    partition: usize,
    offset: usize,
    event_time: Timestamp,
    key: Timestamp,
    class: u16,
}

pub fn answer(world: &World) -> Answer {
    let mut answer = Answer::default();
    let accepted = accept(world, &mut answer);
    let labels = readable(world, &mut answer);
    let models = world.group.models.len();
    let mut best = vec![vec![LabelOutcome::NoPrediction; models]; labels.len()];
    let mut met_by: Vec<Vec<Met>> = Vec::new();
    for prediction in &accepted {
        met_by.push(meet(world, prediction, &labels, &mut best, &mut answer));
    }
    for outcomes in best {
        let row = outcomes.iter().min().expect("there is a model");
        *answer.labels.entry(*row).or_default() += 1;
        for (model, outcome) in outcomes.into_iter().enumerate() {
            *answer.model_labels.entry((model, outcome)).or_default() += 1;
        }
    }
    for (prediction, met) in accepted.iter().zip(&met_by) {
        show(world, prediction, met, &mut answer);
    }
    judge(world, &accepted, &met_by, &mut answer);
    answer
}

fn spec(world: &World, model: usize) -> &ModelSpec {
    &world.group.models[model].context.spec
}

/// Rows that are accepted: in time, and the first of their id.
fn accept(world: &World, answer: &mut Answer) -> Vec<Accepted> {
    let mut count = |model: usize, outcome| {
        *answer.predictions.entry((model, outcome)).or_default() += 1;
    };
    // (model, partition, offset, record) of each partition's first of an id
    let mut firsts: Vec<(usize, usize, usize, PredictionRecord)> = Vec::new();
    for (partition, log) in world.predictions.iter().enumerate() {
        let mut newest: Option<Timestamp> = None;
        for (offset, record) in log.iter().enumerate() {
            let model = usize::from(record.model);
            let (time, join) = (spec(world, model).time, spec(world, model).join);
            if record.event_time > record.record_time + time.future_tolerance {
                count(model, PredictionOutcome::TooFarInFuture);
                continue;
            }
            let own = newest.map_or(Timestamp::MIN, |newest| newest - time.out_of_orderness);
            newest = newest.max(Some(record.event_time));
            if join.start.is_some_and(|start| record.event_time < start) {
                count(model, PredictionOutcome::BeforeStart);
                continue;
            }
            if own > record.event_time + time.allowed_lateness {
                count(model, PredictionOutcome::Late);
                continue;
            }
            let taken = firsts.iter().any(|(m, p, _, held)| {
                *m == model && *p == partition && is_same(held, record, join.corrections_for)
            });
            if taken {
                count(model, PredictionOutcome::Duplicate);
            } else {
                firsts.push((model, partition, offset, *record));
            }
        }
    }
    // Across partitions the smallest (event time, partition, offset) stays.
    firsts.sort_by_key(|(_, partition, offset, record)| (record.event_time, *partition, *offset));
    let mut accepted: Vec<Accepted> = Vec::new();
    for (model, _, _, record) in firsts {
        let hold = spec(world, model).join.corrections_for;
        let taken = accepted.iter().any(|a| a.model == model && is_same(&a.record, &record, hold));
        if taken {
            count(model, PredictionOutcome::Duplicate);
        } else {
            accepted.push(Accepted { model, record });
        }
    }
    accepted
}

fn is_same(held: &PredictionRecord, record: &PredictionRecord, hold: Span) -> bool {
    held.id == record.id
        && held.version == record.version
        && (held.event_time.0 - record.event_time.0).abs() <= hold.0
}

fn readable(world: &World, answer: &mut Answer) -> Vec<Label> {
    let mut labels = Vec::new();
    for (partition, log) in world.labels.iter().enumerate() {
        let mut newest: Option<Timestamp> = None;
        for (offset, record) in log.iter().enumerate() {
            let tolerance = world.group.label_topics[0].future_tolerance;
            if record.event_time > record.record_time + tolerance {
                *answer.labels.entry(LabelOutcome::TooFarInFuture).or_default() += 1;
                continue;
            }
            let newest_before = newest;
            newest = newest.max(Some(record.event_time));
            labels.push(Label { partition, offset, record: *record, newest_before });
        }
    }
    labels
}

/// The labels that a prediction meets, in log order; counts what became of it.
fn meet(
    world: &World,
    prediction: &Accepted,
    labels: &[Label],
    best: &mut [Vec<LabelOutcome>],
    answer: &mut Answer,
) -> Vec<Met> {
    let model = prediction.model;
    let spec = spec(world, model);
    let column = world.group.models[model].labels.expect("all have labels").column;
    let join = spec.join;
    let at = prediction.record.event_time;
    let absent = join.absent_after;
    let mut met: Vec<Met> = Vec::new();
    let mut implicit_first = false;
    for (position, label) in labels.iter().enumerate() {
        if label.record.id != prediction.record.id {
            continue;
        }
        let Some(class) = label.record.classes[column] else { continue };
        let own = label
            .newest_before
            .map_or(Timestamp::MIN, |newest| newest - spec.time.out_of_orderness);
        let gap = label.record.event_time - at;
        let readable = own <= at + join.horizon + join.grace;
        if !readable || gap < -join.lead || gap > join.horizon + join.grace {
            continue;
        }
        let key = label.record.event_time.max(own);
        let late_for_absent = absent.is_some_and(|absent| key > at + absent.delay);
        // All but the first label are corrections, and come within their time; after an implicit
        // label every real one is.
        if (!met.is_empty() || late_for_absent) && own > at + join.corrections_for {
            continue;
        }
        if gap > join.horizon {
            best[position][model] = best[position][model].min(LabelOutcome::BeyondHorizon);
            continue;
        }
        let current = winner(&met, Timestamp::MAX).map(|met| met.class);
        let outcome = match current {
            None if late_for_absent => {
                implicit_first = true;
                LabelOutcome::Corrected
            }
            None => LabelOutcome::Matched,
            Some(before) => {
                let mut with = met.clone();
                with.push(of(label, key, class));
                let differs = winner(&with, Timestamp::MAX).map(|met| met.class) != Some(before);
                if differs { LabelOutcome::Corrected } else { LabelOutcome::Duplicate }
            }
        };
        best[position][model] = best[position][model].min(outcome);
        met.push(of(label, key, class));
    }
    let outcome = match (met.is_empty(), absent.is_some()) {
        (true, true) => PredictionOutcome::Implicit,
        (true, false) => PredictionOutcome::ExpiredUnlabelled,
        (false, _) if implicit_first => PredictionOutcome::Implicit,
        (false, _) => PredictionOutcome::Matched,
    };
    *answer.predictions.entry((prediction.model, outcome)).or_default() += 1;
    met
}

fn of(label: &Label, key: Timestamp, class: u16) -> Met {
    Met {
        partition: label.partition,
        offset: label.offset,
        event_time: label.record.event_time,
        key,
        class,
    }
}

/// Of each partition the last in the log, of those the greatest (event time, partition, offset).
fn winner(met: &[Met], deadline: Timestamp) -> Option<Met> {
    let mut last: BTreeMap<usize, Met> = BTreeMap::new();
    for label in met.iter().filter(|label| label.key <= deadline) {
        let held = last.entry(label.partition).or_insert(*label);
        if label.offset > held.offset {
            *held = *label;
        }
    }
    last.into_values().max_by_key(|label| (label.event_time, label.partition, label.offset))
}

/// The class that counts at a deadline.
fn class_at(spec: &ModelSpec, at: Timestamp, met: &[Met], deadline: Timestamp) -> Option<u16> {
    winner(met, deadline).map(|met| met.class).or_else(|| {
        let absent = spec.join.absent_after?;
        let LabelValue::Class(class) = absent.value else { return None };
        (at + absent.delay <= deadline).then_some(class)
    })
}

fn show(world: &World, prediction: &Accepted, met: &[Met], answer: &mut Answer) {
    let spec = spec(world, prediction.model);
    let record = &prediction.record;
    let class = class_at(spec, record.event_time, met, Timestamp::MAX);
    for window in &spec.windows {
        let mut end = Timestamp(
            record.event_time.0 - record.event_time.0.rem_euclid(window.every.0) + window.every.0,
        );
        while end - window.size <= record.event_time {
            for slice in [None, Some(record.category)] {
                let id = (prediction.model, record.version, slice, window.size, end);
                let cells = answer.windows.entry(id).or_default();
                cells.predictions += 1;
                if slice.is_none() {
                    let score = (record.score * 1024.0) as u64;
                    let right = if record.score >= 0.5 { score } else { 1024 - score };
                    cells.expected[0] += right;
                    cells.expected[1] += if class.is_none() { right } else { 0 };
                }
                if let Some(class) = class {
                    let decision = usize::from(record.score >= 0.5);
                    cells.confusion[[[0, 2], [1, 3]][decision][usize::from(class)]] += 1;
                }
            }
            end = end + window.every;
        }
    }
}

/// (window end, version) -> labelled, right
type Tiles = BTreeMap<(Timestamp, u8), (u64, u64)>;

fn tiles(
    world: &World,
    model: usize,
    window: Span,
    label_age: Span,
    accepted: &[Accepted],
    met_by: &[Vec<Met>],
) -> Tiles {
    let mut tiles = Tiles::new();
    for (prediction, met) in accepted.iter().zip(met_by) {
        if prediction.model != model {
            continue;
        }
        let time = prediction.record.event_time;
        let end = Timestamp(time.0 - time.0.rem_euclid(window.0)) + window;
        let tile = tiles.entry((end, prediction.record.version)).or_default();
        if let Some(class) = class_at(spec(world, model), time, met, end + label_age) {
            tile.0 += 1;
            tile.1 += u64::from(class == u16::from(prediction.record.score >= 0.5));
        }
    }
    tiles
}

/// Shiryaev and Roberts' sums as they are written in books, without logarithms. There are never
/// enough rows for an alarm to become clear again.
fn judge_alarm(id: (usize, usize), policy: &PolicySpec, tiles: Tiles, answer: &mut Answer) {
    // scipy.stats.beta.ppf(.99, 101, 900) + .02
    const NULL: f64 = 0.144_185_817_670_186_1;
    let Action::Retrain { cooldown, .. } = policy.action else { return };
    let mut sums: BTreeMap<u8, [f64; 8]> = BTreeMap::new();
    let mut firing: Vec<u8> = Vec::new();
    let mut requested: Option<Timestamp> = None;
    for ((end, version), (labelled, right)) in tiles {
        let sums = sums.entry(version).or_default();
        let (right, wrong) = (right as i32, (labelled - right) as i32);
        let decision = if labelled == 0 {
            "not_enough_labels"
        } else {
            for (sum, share) in sums.iter_mut().zip((1..=8).map(|at| 0.5f64.powi(at))) {
                let rate = share / NULL;
                let e = (1.0 + rate * (1.0 - NULL)).powi(wrong) * (1.0 - share).powi(right);
                *sum = e * (1.0 + *sum);
            }
            if sums.iter().sum::<f64>() / 8.0 >= RUN_LENGTH {
                *sums = [0.0; 8];
                if !firing.contains(&version) {
                    firing.push(version);
                }
                if requested.is_some_and(|last| end - last < cooldown) {
                    "in_cooldown"
                } else {
                    requested = Some(end);
                    answer.requests.push((id.0, id.1, version, end));
                    "bad_window"
                }
            } else if firing.contains(&version) {
                "not_clear_yet"
            } else {
                "healthy"
            }
        };
        answer.judgements.insert((id.0, id.1, version, end), decision.to_owned());
    }
}

fn judge(world: &World, accepted: &[Accepted], met_by: &[Vec<Met>], answer: &mut Answer) {
    for model in 0..world.group.models.len() {
        let spec = spec(world, model);
        for (at, policy) in spec.policies.iter().enumerate() {
            if let Condition::PerformanceAlarm(alarm) = &policy.condition {
                let tiles = tiles(world, model, policy.window, alarm.label_age, accepted, met_by);
                judge_alarm((model, at), policy, tiles, answer);
                continue;
            }
            let Condition::Performance { bound, label_age, min_labels, .. } = &policy.condition
            else {
                continue;
            };
            let Bound::Below(Level::Value(level)) = bound else { continue };
            let Action::Retrain { cooldown, .. } = policy.action else { continue };
            let tiles = tiles(world, model, policy.window, *label_age, accepted, met_by);
            let mut streaks: BTreeMap<u8, u32> = BTreeMap::new();
            let mut requested: Option<Timestamp> = None;
            for ((end, version), (labelled, right)) in tiles {
                let streak = streaks.entry(version).or_default();
                let decision = if labelled < *min_labels {
                    "not_enough_labels"
                } else if right as f64 / labelled as f64 >= *level {
                    *streak = 0;
                    "healthy"
                } else {
                    *streak += 1;
                    if *streak < policy.for_windows {
                        "too_few_in_a_row"
                    } else if requested.is_some_and(|last| end - last < cooldown) {
                        "in_cooldown"
                    } else {
                        requested = Some(end);
                        answer.requests.push((model, at, version, end));
                        "bad_window"
                    }
                };
                answer.judgements.insert((model, at, version, end), decision.to_owned());
            }
        }
    }
}
