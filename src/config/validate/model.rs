//! Checks of one model: its task, and the parts that the other files here check.

use super::super::bounds::{CLASSES_MAX, TOP_K_MAX};
use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::plan::{Format, Start};
use super::super::tree::{item_path, key_path};
use super::super::value::{List, Number, Share, Text};
use super::super::written::{ModelConfig, TaskConfig};
use super::features::{self, References};
use super::{Check, join, policies, slices, topics, windows};
use crate::decode::spec::{FieldFault, LabelFields, PredictionFields};
use crate::engine::reference::NumericReference;
use crate::engine::spec::{ModelSpec, ShowSpec, Task};
use std::sync::Arc;

/// A model as far as it could be checked alone.
pub struct Draft {
    pub path: String,
    pub name: Option<Arc<str>>,
    pub start: Start,
    pub predictions: Option<Source<PredictionFields>>,
    pub labels: Option<Source<LabelFields>>,
    /// What routes to it, if it is not the name.
    pub route: Option<String>,
    pub spec: Option<ModelSpec>,
}

/// A topic and where things are in its records.
pub struct Source<F> {
    pub topic: Arc<str>,
    pub format: Format,
    pub fields: F,
}

pub fn draft(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    webhooks: &[Arc<str>],
) -> Draft {
    let name = check.name(path, model.name.as_ref());
    let references = features::references(check, path, model, name.as_deref());
    let task = task(check, path, model, &references);
    let start = start(check, path, model);
    let predictions = predictions(check, path, model, task.as_ref());
    let labels = labels(check, path, model);
    let fields = predictions.as_ref().map(|source| &source.fields);
    let features = features::features(check, path, model, fields, &references);
    let slices = slices::slices(check, path, model, &features, &references);
    let time = join::time(check, path, model);
    let join = join::join(check, path, model, task.as_ref(), &time, start);
    let windows = windows::windows(check, path, model, &join);
    let versions: u64 =
        check.bounded(path, "versions_max", model.versions_max, defaults().model.versions_max);
    let versions_max = usize::try_from(versions).unwrap_or(usize::MAX);
    let weighted = fields.is_some_and(|fields| fields.weight.is_some());
    let scene = policies::Scene {
        task: task.as_ref(),
        weighted,
        versions_max,
        windows: &windows,
        join: &join,
        references: &references,
        features: &features,
        webhooks,
    };
    let policies = policies::policies(check, path, model, &scene);
    let show = show(check, path, model);
    let spec = name.clone().zip(task).zip(show).map(|((name, task), show)| ModelSpec {
        name,
        task,
        weighted,
        features,
        slices,
        time,
        join,
        windows,
        reference: references.default,
        version_references: references.versions,
        show,
        policies,
        versions_max,
    });
    let route = model.predictions.as_ref().and_then(|section| section.route.clone());
    let route = route.map(|Text(route)| route);
    Draft { path: path.to_owned(), name, start, predictions, labels, route, spec }
}

fn task(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    references: &References,
) -> Option<Task> {
    let task = *check.required(path, "task", model.task.as_ref())?;
    let name = format!("{task:?}").to_lowercase();
    let used = [
        ("positive_class", model.positive_class.is_some(), TaskConfig::Binary),
        ("negative_class", model.negative_class.is_some(), TaskConfig::Binary),
        ("threshold", model.threshold.is_some(), TaskConfig::Binary),
        ("classes", model.classes.is_some(), TaskConfig::Multiclass),
        ("top_k", model.top_k.is_some(), TaskConfig::Multiclass),
        ("center", model.center.is_some(), TaskConfig::Regression),
        ("scale", model.scale.is_some(), TaskConfig::Regression),
    ];
    for (option, written, wanted) in used {
        if written && wanted != task {
            let wanted = format!("{wanted:?}").to_lowercase();
            let message = format!("is for {wanted} models, and this one is {name}; remove it");
            check.fault(key_path(path, option), message);
        }
    }
    for (at, profile) in references.all() {
        if let Some(profiled) = &profile.task
            && *profiled != name
        {
            let message = format!("this profile is of a {profiled} model, not a {name} one");
            check.fault(at, message);
        }
    }
    match task {
        TaskConfig::Binary => binary(check, path, model, references),
        TaskConfig::Multiclass => multiclass(check, path, model, references),
        TaskConfig::Regression => regression(check, path, model, references),
    }
}

fn binary(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    references: &References,
) -> Option<Task> {
    let mut positive = model.positive_class.clone().map(|Text(class)| class);
    for (at, profile) in references.all() {
        match (&positive, &profile.positive_class) {
            (Some(positive), Some(profiled)) if positive != profiled => {
                let message = format!(
                    "in this profile {} is the positive class, here {}",
                    quoted(profiled),
                    quoted(positive)
                );
                check.fault(at, message);
            }
            (None, Some(profiled)) => positive = Some(profiled.clone()),
            _ => {}
        }
    }
    let positive_class = match positive {
        Some(class) if class.is_empty() => {
            check.fault(key_path(path, "positive_class"), "is empty; name a class");
            return None;
        }
        Some(class) => class,
        None => {
            if !check.is_faulty(&key_path(path, "reference")) {
                let message = "`positive_class` is missing; a binary model needs it (or a profile \
                               that has it)";
                check.fault(path, message);
            }
            return None;
        }
    };
    let negative_class = model.negative_class.clone().map(|Text(class)| class);
    if negative_class.as_ref() == Some(&positive_class) {
        check.fault(key_path(path, "negative_class"), "is the positive class too");
    }
    let Share(threshold) = model.threshold.or(defaults().model.threshold)?;
    Some(Task::Binary { positive_class, negative_class, threshold })
}

fn multiclass(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    references: &References,
) -> Option<Task> {
    let at = key_path(path, "classes");
    let written = model.classes.as_ref();
    let classes: Vec<String> = match written {
        Some(list) => list.iter().map(|(_, Text(class))| class.clone()).collect(),
        None => references.all().next().map(|(_, p)| p.classes.clone()).unwrap_or_default(),
    };
    if classes.len() < 2 {
        if !check.is_faulty(&at) && !check.is_faulty(&key_path(path, "reference")) {
            let message = "`classes` is missing; a multiclass model needs at least 2 (or a profile \
                           that has them)";
            check.fault(if written.is_some() { &at } else { path }, message);
        }
        return None;
    }
    check.at_most(&at, classes.len(), CLASSES_MAX, "classes");
    for (index, class) in classes.iter().enumerate() {
        if class.is_empty() || classes[..index].contains(class) {
            let message = format!("{} is empty or listed twice", quoted(class));
            check.fault(item_path(&at, index), message);
        }
    }
    for (at, profile) in references.all() {
        if let Some(other) = profile.classes.iter().find(|class| !classes.contains(class)) {
            let message = format!("this profile has the class {}, unknown here", quoted(other));
            check.fault(at, message);
        }
    }
    let top_k = top_k(check, path, model.top_k.as_ref(), classes.len());
    Some(Task::Multiclass { classes, top_k })
}

fn top_k(
    check: &mut Check<'_>,
    path: &str,
    written: Option<&List<u16>>,
    classes: usize,
) -> Vec<u16> {
    let at = key_path(path, "top_k");
    let mut top_k = Vec::new();
    for (index, &k) in written.into_iter().flat_map(List::iter) {
        if k == 0 || usize::from(k) > classes || top_k.contains(&k) {
            let message = format!("{k} is not from 1 to the {classes} classes, or is listed twice");
            check.fault(item_path(&at, index), message);
        }
        top_k.push(k);
    }
    check.at_most(&at, top_k.len(), TOP_K_MAX, "values");
    top_k.sort_unstable();
    top_k
}

fn regression(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    references: &References,
) -> Option<Task> {
    let labels: Option<NumericReference> =
        references.all().find_map(|(_, profile)| profile.label_values.clone());
    let center = model.center.map(|Number(center)| center);
    let scale = model.scale.map(|Number(scale)| scale);
    if let Some(scale) = scale
        && !(scale.is_normal() && scale > 0.0)
    {
        check.fault(key_path(path, "scale"), "must be more than 0");
        return None;
    }
    let center = center.or(labels.as_ref().map(|labels| labels.mean));
    let scale = scale.or(labels.as_ref().map(|labels| labels.std));
    let Some((center, scale)) = center.zip(scale) else {
        if ["center", "scale", "reference"]
            .iter()
            .all(|name| !check.is_faulty(&key_path(path, name)))
        {
            let message = "a regression model needs a profile with labels, or `center` and `scale`";
            check.fault(path, message);
        }
        return None;
    };
    Some(Task::Regression { center, scale: power_of_two(scale) })
}

/// The nearest power of two on a logarithmic scale; 1 for labels that never differ.
fn power_of_two(scale: f64) -> f64 {
    if scale.is_normal() && scale > 0.0 { scale.log2().round().exp2() } else { 1.0 }
}

fn start(check: &mut Check<'_>, path: &str, model: &ModelConfig) -> Start {
    let Some(Text(written)) = model.start.as_ref().or(defaults().model.start.as_ref()) else {
        return Start::Latest;
    };
    match written.as_str() {
        "earliest" => Start::Earliest,
        "latest" => Start::Latest,
        time => match time.parse::<jiff::Timestamp>() {
            Ok(time) => Start::At(crate::engine::time::Timestamp(time.as_microsecond())),
            Err(_) => {
                let message = format!(
                    "{} is neither `earliest` nor `latest` nor a time such as 2026-01-31T00:00:00Z",
                    quoted(time)
                );
                check.fault(key_path(path, "start"), message);
                Start::Latest
            }
        },
    }
}

fn predictions(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    task: Option<&Task>,
) -> Option<Source<PredictionFields>> {
    let section = check.required(path, "predictions", model.predictions.as_ref())?;
    let path = key_path(path, "predictions");
    let topic = topics::name(check, &path, section.topic.as_ref());
    let fields = check.required(&path, "fields", section.fields.clone());
    if let Some((fields, task)) = fields.as_ref().zip(task) {
        field_faults(check, &path, fields.faults(task));
    }
    if section.route.as_ref().is_some_and(|Text(route)| route.is_empty()) {
        check.fault(key_path(&path, "route"), "is empty; remove it or give it a value");
    }
    let default = defaults().model.predictions.as_ref()?;
    let format = section.format.or(default.format)?;
    Some(Source { topic: topic?, format, fields: fields? })
}

fn labels(check: &mut Check<'_>, path: &str, model: &ModelConfig) -> Option<Source<LabelFields>> {
    let section = check.required(path, "labels", model.labels.as_ref())?;
    let path = key_path(path, "labels");
    let topic = topics::name(check, &path, section.topic.as_ref());
    let fields = check.required(&path, "fields", section.fields.clone());
    if let Some(fields) = &fields {
        field_faults(check, &path, fields.faults());
    }
    let default = defaults().model.labels.as_ref()?;
    let format = section.format.or(default.format)?;
    Some(Source { topic: topic?, format, fields: fields? })
}

fn field_faults(check: &mut Check<'_>, path: &str, faults: Vec<FieldFault>) {
    for fault in faults {
        check.fault(format!("{path}.fields.{}", fault.field), fault.message);
    }
}

fn show(check: &mut Check<'_>, path: &str, model: &ModelConfig) -> Option<ShowSpec> {
    let path = key_path(path, "show");
    let section = model.show.clone().unwrap_or_default();
    let default = defaults().model.show.as_ref()?;
    let Share(coverage_min) = section.coverage_min.or(default.coverage_min)?;
    let support_min = section.support_min.or(default.support_min)?;
    if support_min == 0 {
        check.fault(key_path(&path, "support_min"), "must be 1 or more");
    }
    let history: u64 =
        check.bounded(&path, "history_windows", section.history_windows, default.history_windows);
    Some(ShowSpec {
        coverage_min,
        support_min,
        history_windows: u32::try_from(history).ok()?,
        revise_every: check.bounded(
            &path,
            "revise_every",
            section.revise_every,
            default.revise_every,
        ),
        version_gone_after: check.bounded(
            &path,
            "version_gone_after",
            section.version_gone_after,
            default.version_gone_after,
        ),
    })
}
