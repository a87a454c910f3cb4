//! Settings at the head of a scenario: one a line, each with a default that makes it short.
//!
//! ```text
//! partitions 2               spread              (one shard for all partitions)
//! show accuracy log_loss     (the metrics to print)
//! waiting_max 5              (labels that wait, beyond which they are shed)
//! model NAME                 (what follows is about this one; without it there is one, `m`)
//!   predictions TOPIC        labels TOPIC | none
//!   task binary | task regression | task multiclass CLASS ...      top_k 2      weighted
//!   horizon 1h   lead 0s   grace 0s   corrections_for 1h   absent_after 30m class 0
//!   out_of_orderness 0s   allowed_lateness 0s   idle_after 1m   future_tolerance 5m
//!   silent_after 2h   start 10m   pending_max 5   zone_offset 2h   (how far local time is ahead)
//!   windows 5m, 1h every 5m keep 2h
//!   feature NAME VALUE ...   slice NAME VALUE ...   (of that feature, with a slice of their own)
//!   reference [version V] FEATURE VALUE COUNT ... [baseline METRIC NUMBER]
//!     [calibrated SCORE PROBABILITY ...]       (how often scores come true, linear in between)
//!   coverage_min 0   support_min 1   revise_every 0s   history_windows 100
//!   version_gone_after 1d   versions_max 16
//!   policy NAME METRIC below|above NUMBER|baseline-N|baseline+N window 5m [age 10m]
//!     [min_labels 1] [sure] [for 1] [retrain [cooldown 0s] [act_within 4h]]
//!   policy NAME drift STATISTIC above NUMBER window 5m [min_predictions 1] [for 1] [retrain ...]
//!   policy NAME METRIC margin NUMBER budget EPISODES window 5m [age 10m] [retrain ...]
//!   policy NAME drift budget EPISODES window 5m [retrain ...]    (a week; of one version)
//! ```

use super::policies::policy;
use super::words::Words;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemark::engine::cbpe::{CalibrationReference, Component};
use tidemark::engine::estimate::Estimate;
use tidemark::engine::event::{LabelValue, ModelIndex};
use tidemark::engine::metric::Metric;
use tidemark::engine::model_shard::ModelContext;
use tidemark::engine::reference::*;
use tidemark::engine::shard::{
    GroupModel, GroupSpec, LabelTopicSpec, LabelsOf, PredictionTopicSpec,
};
use tidemark::engine::spec::*;
use tidemark::engine::time::{Span, Timestamp};

/// What a scenario sets up.
pub struct Setup {
    pub group: Arc<GroupSpec>,
    pub partitions: i32,
    pub metrics: Vec<Metric>,
}

pub struct Draft {
    partitions: i32,
    spread: bool,
    waiting_max: u64,
    metrics: Vec<Metric>,
    models: Vec<ModelDraft>,
}

struct ModelDraft {
    spec: ModelSpec,
    predictions: String,
    labels: Option<String>,
    corrections_for: Option<Span>,
    /// Size, every, keep.
    windows: Vec<(Span, Span, Option<Span>)>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            partitions: 1,
            spread: false,
            waiting_max: u64::MAX,
            metrics: Vec::new(),
            models: Vec::new(),
        }
    }
}

impl ModelDraft {
    fn new(name: &str) -> Self {
        Self {
            spec: ModelSpec {
                name: name.into(),
                task: Task::Binary {
                    positive_class: "1".into(),
                    negative_class: Some("0".into()),
                    threshold: 0.5,
                },
                weighted: false,
                features: Vec::new(),
                slices: Vec::new(),
                time: TimeSpec {
                    out_of_orderness: Span::ZERO,
                    allowed_lateness: Span::ZERO,
                    idle_after: Span::from_mins(1),
                    future_tolerance: Span::from_mins(5),
                    origin: Timestamp(0),
                },
                join: JoinSpec {
                    horizon: Span::from_hours(1),
                    lead: Span::ZERO,
                    grace: Span::ZERO,
                    corrections_for: Span::ZERO,
                    silent_after: None,
                    absent_after: None,
                    pending_max: u64::MAX,
                    start: None,
                },
                windows: Vec::new(),
                reference: None,
                version_references: BTreeMap::new(),
                show: ShowSpec {
                    coverage_min: 0.0,
                    support_min: 1,
                    revise_every: Span::ZERO,
                    history_windows: 100,
                    version_gone_after: Span::from_hours(24),
                },
                policies: Vec::new(),
                versions_max: 16,
            },
            predictions: "p".into(),
            labels: Some("l".into()),
            corrections_for: None,
            windows: vec![(Span::from_mins(5), Span::from_mins(5), None)],
        }
    }

    fn take(&mut self, key: &str, words: &mut Words<'_>) -> Result<bool, String> {
        if self.take_time(key, words)? || self.take_show(key, words)? {
            return Ok(true);
        }
        let spec = &mut self.spec;
        match key {
            "predictions" => self.predictions = words.need("topic")?.into(),
            "labels" => self.labels = Some(words.need("topic")?.into()).filter(|t| t != "none"),
            "task" => spec.task = task(words)?,
            "top_k" => match &mut spec.task {
                Task::Multiclass { top_k, .. } => top_k.push(words.number("k")?),
                _ => return Err("top_k is for multiclass models".into()),
            },
            "weighted" => spec.weighted = true,
            "pending_max" => spec.join.pending_max = words.number(key)?,
            "versions_max" => spec.versions_max = words.number(key)?,
            "absent_after" => {
                let delay = words.span(key)?;
                let value = label_value(&spec.task, words)?;
                spec.join.absent_after = Some(AbsentLabel { delay, value });
            }
            "windows" => self.windows = windows(words)?,
            "feature" => {
                let name = words.need("name")?.into();
                let dictionary: Vec<String> = rest(words);
                let kind = FeatureKind::Categorical { dictionary: dictionary.into() };
                spec.features.push(FeatureSpec { name, kind });
            }
            "slice" => spec.slices.push(slice(&spec.features, words)?),
            "reference" => reference(spec, words)?,
            "policy" => spec.policies.push(policy(words)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_time(&mut self, key: &str, words: &mut Words<'_>) -> Result<bool, String> {
        let (time, join) = (&mut self.spec.time, &mut self.spec.join);
        let slot = match key {
            "horizon" => &mut join.horizon,
            "lead" => &mut join.lead,
            "grace" => &mut join.grace,
            "out_of_orderness" => &mut time.out_of_orderness,
            "allowed_lateness" => &mut time.allowed_lateness,
            "idle_after" => &mut time.idle_after,
            "future_tolerance" => &mut time.future_tolerance,
            "corrections_for" => self.corrections_for.insert(Span::ZERO),
            "silent_after" => join.silent_after.insert(Span::ZERO),
            "zone_offset" => {
                time.origin = Timestamp(0) - words.span(key)?;
                return Ok(true);
            }
            "start" => {
                join.start = Some(words.time(key)?);
                return Ok(true);
            }
            _ => return Ok(false),
        };
        *slot = words.span(key)?;
        Ok(true)
    }

    fn take_show(&mut self, key: &str, words: &mut Words<'_>) -> Result<bool, String> {
        let show = &mut self.spec.show;
        match key {
            "coverage_min" => show.coverage_min = words.number(key)?,
            "support_min" => show.support_min = words.number(key)?,
            "revise_every" => show.revise_every = words.span(key)?,
            "history_windows" => show.history_windows = words.number(key)?,
            "version_gone_after" => show.version_gone_after = words.span(key)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(mut self) -> (ModelSpec, String, Option<String>) {
        let hold = self.spec.join.horizon + self.spec.join.grace;
        self.spec.join.corrections_for = self.corrections_for.unwrap_or(hold);
        self.spec.windows = self
            .windows
            .iter()
            .map(|&(size, every, keep)| WindowSpec { size, every, keep: keep.unwrap_or(hold) })
            .collect();
        (self.spec, self.predictions, self.labels)
    }
}

impl Draft {
    /// Takes up a line if it is a setting.
    pub fn take(&mut self, line: &str) -> Result<bool, String> {
        let mut words = Words::new(line);
        let key = words.need("a word")?;
        match key {
            "partitions" => self.partitions = words.number(key)?,
            "spread" => self.spread = true,
            "waiting_max" => self.waiting_max = words.number(key)?,
            "show" => {
                for name in rest(&mut words) {
                    self.metrics.push(name.parse()?);
                }
            }
            "model" => self.models.push(ModelDraft::new(words.need("name")?)),
            _ => {
                if self.models.is_empty() {
                    self.models.push(ModelDraft::new("m"));
                }
                let model = self.models.last_mut().expect("just made");
                if !model.take(key, &mut words)? {
                    return Ok(false);
                }
            }
        }
        words.end()?;
        Ok(true)
    }

    pub fn build(mut self) -> Result<Setup, String> {
        if self.models.is_empty() {
            self.models.push(ModelDraft::new("m"));
        }
        if self.metrics.is_empty() {
            self.metrics = vec![Metric::Accuracy, Metric::Mae];
        }
        let mut group = GroupSpec {
            name: "g".into(),
            models: Vec::new(),
            prediction_topics: Vec::new(),
            label_topics: Vec::new(),
            spread: self.spread,
        };
        let mut listeners: Vec<usize> = Vec::new();
        for (draft, index) in self.models.into_iter().zip(0..) {
            let (spec, predictions, labels) = draft.finish();
            let topic = group.prediction_topics.iter().position(|p| *p.topic == *predictions);
            let predictions = topic.unwrap_or_else(|| {
                let topic = predictions.into();
                group.prediction_topics.push(PredictionTopicSpec { topic });
                group.prediction_topics.len() - 1
            });
            let tolerance = spec.time.future_tolerance;
            let labels = labels.map(|topic| {
                let known = group.label_topics.iter().position(|l| *l.topic == *topic);
                let topic = known.unwrap_or_else(|| {
                    group.label_topics.push(LabelTopicSpec {
                        topic: topic.into(),
                        future_tolerance: tolerance,
                        waiting_max: self.waiting_max,
                    });
                    listeners.push(0);
                    group.label_topics.len() - 1
                });
                let shared = &mut group.label_topics[topic].future_tolerance;
                *shared = (*shared).max(tolerance);
                listeners[topic] += 1;
                // Each model reads a column of its own.
                let listener = listeners[topic] - 1;
                LabelsOf { topic, column: listener, listener }
            });
            let context = Arc::new(ModelContext::new(Arc::new(spec)));
            group.models.push(GroupModel {
                index: ModelIndex(index),
                context,
                predictions,
                labels,
            });
        }
        let group = Arc::new(group);
        Ok(Setup { group, partitions: self.partitions, metrics: self.metrics })
    }
}

fn rest(words: &mut Words<'_>) -> Vec<String> {
    std::iter::from_fn(|| words.next().map(str::to_owned)).collect()
}

fn task(words: &mut Words<'_>) -> Result<Task, String> {
    match words.need("task")? {
        "binary" => Ok(ModelDraft::new("m").spec.task),
        "regression" => Ok(Task::Regression { center: 0.0, scale: 1.0 }),
        "multiclass" => Ok(Task::Multiclass { classes: rest(words), top_k: Vec::new() }),
        other => Err(format!("`{other}` is not a task")),
    }
}

/// `class C` or `value V`.
pub fn label_value(task: &Task, words: &mut Words<'_>) -> Result<LabelValue, String> {
    match words.need("`class` or `value`")? {
        "class" => class(task, words.need("class")?).map(LabelValue::Class),
        "value" => words.number("value").map(LabelValue::Number),
        other => Err(format!("`{other}` instead of `class` or `value`")),
    }
}

pub fn class(task: &Task, name: &str) -> Result<u16, String> {
    (0..task.class_count() as u16)
        .find(|code| task.class_name(*code) == name)
        .ok_or_else(|| format!("`{name}` is not a class of this model"))
}

fn windows(words: &mut Words<'_>) -> Result<Vec<(Span, Span, Option<Span>)>, String> {
    let line = rest(words).join(" ");
    line.split(',')
        .map(|window| {
            let mut words = Words::new(window);
            let size = words.span("size")?;
            let (mut every, mut keep) = (size, None);
            while let Some(word) = words.next() {
                match word {
                    "every" => every = words.span(word)?,
                    "keep" => keep = Some(words.span(word)?),
                    _ => return Err(format!("`{word}` is not understood here")),
                }
            }
            Ok((size, every, keep))
        })
        .collect()
}

fn slice(features: &[FeatureSpec], words: &mut Words<'_>) -> Result<SliceSpec, String> {
    let name = words.need("feature")?;
    let feature = features
        .iter()
        .position(|feature| &*feature.name == name)
        .ok_or_else(|| format!("there is no feature `{name}`"))?;
    let FeatureKind::Categorical { dictionary } = &features[feature].kind else {
        return Err("only categories are sliced here".into());
    };
    let mut values = Vec::new();
    for value in rest(words) {
        let code = dictionary.iter().position(|known| *known == value);
        let code = code.ok_or_else(|| format!("`{name}` has no value `{value}`"))?;
        values.push((code as u32, value.into()));
    }
    let values = SliceValues::Categories(values);
    Ok(SliceSpec { features: vec![SliceFeature { feature, name: name.into(), values }] })
}

fn reference(spec: &mut ModelSpec, words: &mut Words<'_>) -> Result<(), String> {
    let version = if words.eat("version") { Some(words.need("version")?) } else { None };
    let feature = words.need("feature")?;
    let mut categories = Vec::new();
    let ends = ["baseline", "calibrated"];
    while let Some(value) = words.peek().filter(|word| !ends.contains(word)) {
        words.next();
        categories.push(Category { value: value.to_owned(), count: words.number("count")? });
    }
    let mut baseline = BTreeMap::new();
    if words.eat("baseline") {
        let metric: Metric = words.need("metric")?.parse()?;
        let value = Estimate::exact(words.number("baseline")?, None, 1_000);
        baseline.insert(metric.name().to_string(), value);
    }
    let calibration = if words.eat("calibrated") { Some(calibration(words)?) } else { None };
    let reference = CategoricalReference { categories, other: 0 };
    let profile = Arc::new(Profile {
        format: "tidemark/profile".into(),
        version: PROFILE_VERSION,
        model: None,
        task: None,
        rows: reference.rows(),
        sources: Vec::new(),
        trained_on: false,
        classes: Vec::new(),
        positive_class: None,
        features: vec![FeatureReference::complete(feature, Distribution::Categorical(reference))],
        score: None,
        predicted_classes: None,
        label_classes: None,
        label_values: None,
        baseline,
        design: None,
        calibration,
        losses: Vec::new(),
        content_hash: "sha256:0".into(),
    });
    match version {
        Some(version) => {
            spec.version_references.insert(version.to_owned(), profile);
        }
        None => spec.reference = Some(profile),
    }
    Ok(())
}

/// A map through these scores and probabilities, and the sampling error of an accuracy of 0.8.
fn calibration(words: &mut Words<'_>) -> Result<CalibrationReference, String> {
    let (mut scores, mut probabilities) = (Vec::<f64>::new(), Vec::<f64>::new());
    while words.peek().is_some() {
        scores.push(words.number("score")?);
        probabilities.push(words.number("probability")?);
    }
    let map = serde_json::json!({ "scores": scores, "probabilities": probabilities });
    let calibration = CalibrationReference {
        rows: 1_000,
        classes: vec!["1".into()],
        maps: vec![Some(serde_json::from_value(map).map_err(|error| error.to_string())?)],
        sampling: [("accuracy".to_owned(), Component { deviation: 0.4, share: 1.0 })].into(),
    };
    calibration.validate().map(|()| calibration)
}
