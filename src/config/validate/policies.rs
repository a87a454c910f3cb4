//! Checks of policies.

use super::super::bounds::{ALERT_CHARS_MAX, POLICIES_MAX};
use super::super::defaults::defaults;
use super::super::fault::{quoted, suggestion};
use super::super::tree::{item_path, key_path};
use super::super::value::{Form, List, Number, ScalarOrList, Text};
use super::super::written::{
    ActionName, CompareConfig, DriftConfig, LevelConfig, ModelConfig, PolicyConfig, RetrainConfig,
};
use super::features::{References, find, texts};
use super::{Check, budget, limit};
use crate::engine::metric::Metric;
use crate::engine::spec::{
    Action, Bound, Compare, Condition, FeatureKind, FeatureSpec, JoinSpec, Level, PolicySpec, Task,
    WindowSpec,
};
use crate::engine::time::Span;
use std::sync::Arc;

/// What a model's policies refer to.
pub struct Scene<'a> {
    pub task: Option<&'a Task>,
    pub weighted: bool,
    pub versions_max: usize,
    pub windows: &'a [WindowSpec],
    pub join: &'a JoinSpec,
    pub references: &'a References,
    pub features: &'a [FeatureSpec],
    pub webhooks: &'a [Arc<str>],
}

pub fn policies(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    scene: &Scene<'_>,
) -> Vec<PolicySpec> {
    let model_path = path;
    let path = key_path(path, "policies");
    let Some(list) = &model.policies else { return Vec::new() };
    check.at_most(&path, list.len(), POLICIES_MAX, "policies");
    let mut names = Vec::new();
    let mut policies = Vec::new();
    for (index, policy) in list.iter().take(POLICIES_MAX) {
        let path = item_path(&path, index);
        let name = check.name(&path, policy.name.as_ref());
        policies.extend(one(check, &path, name.clone(), policy, scene));
        names.push((path, name));
    }
    check.unique(names.iter().map(|(path, name)| (path.clone(), name.as_ref())), "policy");
    budget::divide(check, model_path, model, scene, &mut policies);
    policies
}

fn one(
    check: &mut Check<'_>,
    path: &str,
    name: Option<Arc<str>>,
    policy: &PolicyConfig,
    scene: &Scene<'_>,
) -> Option<PolicySpec> {
    let condition = match (&policy.metric, &policy.drift, &policy.alertmanager) {
        (Some(Text(metric)), None, None) => performance(check, path, policy, metric, scene),
        (None, Some(section), None) => drift(check, path, policy, section, scene),
        (None, None, Some(Text(alert))) => self::alert(check, path, policy, alert),
        (None, None, None) => {
            let kinds = ["metric", "drift", "alertmanager"];
            if !kinds.iter().any(|kind| check.is_faulty(&key_path(path, kind))) {
                check.fault(path, "has none of `metric`, `drift` and `alertmanager`; add one");
            }
            None
        }
        (metric, drift, _) => {
            let first = if metric.is_some() { "metric" } else { "drift" };
            let second = if metric.is_some() && drift.is_some() { "drift" } else { "alertmanager" };
            let message = format!("has both `{first}` and `{second}`; make two policies of it");
            check.fault(path, message);
            None
        }
    };
    let window = window(check, path, policy, scene);
    let for_windows: u64 =
        check.bounded(path, "for", policy.for_windows, defaults().metric.for_windows);
    let action = action(check, path, policy.action.as_ref(), scene);
    Some(PolicySpec {
        name: name?,
        condition: condition?,
        window: window?,
        for_windows: u32::try_from(for_windows).ok()?,
        action: action?,
    })
}

/// An alert of Alertmanager's; it has no windows, and it fires there and not here.
fn alert(
    check: &mut Check<'_>,
    path: &str,
    policy: &PolicyConfig,
    alert: &str,
) -> Option<Condition> {
    let retrain = match &policy.action {
        Some(Form::Long(section)) => Some(section),
        _ => None,
    };
    let options = [
        ("window", policy.window.is_some()),
        ("below", policy.below.is_some()),
        ("above", policy.above.is_some()),
        ("margin", policy.margin.is_some()),
        ("compare", policy.compare.is_some()),
        ("label_age", policy.label_age.is_some()),
        ("min_labels", policy.min_labels.is_some()),
        ("min_predictions", policy.min_predictions.is_some()),
        ("for", policy.for_windows.is_some()),
        ("action.act_within", retrain.is_some_and(|section| section.act_within.is_some())),
    ];
    for (option, _) in options.iter().filter(|(_, written)| *written) {
        let path = format!("{path}.{option}");
        check.fault(path, "has no effect on a policy on an alert; remove it");
    }
    if retrain.is_none() && !check.is_faulty(&key_path(path, "action")) {
        check.fault(path, "needs `action: { retrain: WEBHOOK }`: the alert is there already");
    }
    if alert.is_empty() || alert.chars().count() > ALERT_CHARS_MAX {
        let message = format!("must have 1 to {ALERT_CHARS_MAX} characters");
        check.fault(key_path(path, "alertmanager"), message);
    }
    Some(Condition::Alert { alert: alert.into() })
}

fn window(
    check: &mut Check<'_>,
    path: &str,
    policy: &PolicyConfig,
    scene: &Scene<'_>,
) -> Option<Span> {
    let largest = scene.windows.last()?.size;
    let Some(written) = policy.window.map(Span::from) else { return Some(largest) };
    if !scene.windows.iter().any(|window| window.size == written) {
        let sizes: Vec<String> = scene.windows.iter().map(|w| w.size.to_string()).collect();
        let message = format!(
            "{written} is not the size of one of the model's windows ({})",
            sizes.join(", ")
        );
        check.fault(key_path(path, "window"), message);
    }
    Some(written)
}

/// Options of the other kind of policy have no effect here.
fn refuse(check: &mut Check<'_>, path: &str, options: &[(&str, bool)], kind: &str) {
    for (option, written) in options {
        if *written {
            let message = format!("has no effect on a policy on {kind}; remove it");
            check.fault(key_path(path, option), message);
        }
    }
}

fn performance(
    check: &mut Check<'_>,
    path: &str,
    policy: &PolicyConfig,
    metric: &str,
    scene: &Scene<'_>,
) -> Option<Condition> {
    refuse(check, path, &[("min_predictions", policy.min_predictions.is_some())], "a metric");
    let default = &defaults().metric;
    let metric = match metric.parse::<Metric>() {
        Ok(metric) => {
            metric_fits(check, path, metric, scene.task);
            Some(metric)
        }
        Err(message) => {
            let near = suggestion(metric, Metric::ALL.iter().map(|metric| metric.name()));
            let message = if near.is_empty() {
                message
            } else {
                format!("{} is not a metric{near}", quoted(metric))
            };
            check.fault(key_path(path, "metric"), message);
            None
        }
    };
    let label_age = label_age(check, path, policy, scene);
    let is_bounded = policy.below.is_some() || policy.above.is_some();
    let is_faulty = ["below", "above"].iter().any(|n| check.is_faulty(&key_path(path, n)));
    if !is_bounded && !is_faulty {
        return budget::performance(check, path, policy, metric, label_age, scene);
    }
    let no_margin = [("margin", policy.margin.is_some())];
    refuse(check, path, &no_margin, "a metric with a bound of its own");
    let bound = match (&policy.below, &policy.above) {
        (Some(level), None) => {
            self::level(check, &key_path(path, "below"), level, metric, scene).map(Bound::Below)
        }
        (None, Some(level)) => {
            self::level(check, &key_path(path, "above"), level, metric, scene).map(Bound::Above)
        }
        (written, _) => {
            if written.is_some() {
                check.fault(path, "has both `below` and `above`; make two policies of it");
            }
            None
        }
    };
    let compare = policy.compare.or(default.compare)?;
    Some(Condition::Performance {
        metric: metric?,
        bound: bound?,
        compare: match compare {
            CompareConfig::Sure => Compare::Sure,
            CompareConfig::Value => Compare::Value,
        },
        label_age,
        min_labels: least_one(check, path, "min_labels", policy.min_labels, default.min_labels)?,
    })
}

fn label_age(check: &mut Check<'_>, path: &str, policy: &PolicyConfig, scene: &Scene<'_>) -> Span {
    // A window that is not kept any more cannot be judged.
    let size = policy.window.map(Span::from);
    let window = match size {
        Some(size) => scene.windows.iter().find(|window| window.size == size),
        None => scene.windows.last(),
    };
    let longest = window.map_or(scene.join.horizon, |window| window.keep);
    let label_age = policy.label_age.map_or(scene.join.horizon.min(longest), Span::from);
    if label_age > longest {
        let message = format!("{label_age} is longer than {longest}, for which the window is kept");
        check.fault(key_path(path, "label_age"), message);
    }
    label_age
}

fn least_one(
    check: &mut Check<'_>,
    path: &str,
    name: &str,
    written: Option<u64>,
    default: Option<u64>,
) -> Option<u64> {
    if written == Some(0) {
        check.fault(key_path(path, name), "must be 1 or more");
    }
    written.or(default)
}

fn metric_fits(check: &mut Check<'_>, path: &str, metric: Metric, task: Option<&Task>) {
    let Some(task) = task else { return };
    let metrics = Metric::of_task(task);
    if !metrics.contains(&metric) {
        let names: Vec<_> = metrics.iter().map(|metric| metric.name()).collect();
        let message = format!(
            "{} is not defined for this {} model; choose one of {}",
            metric.name(),
            task.name(),
            names.join(", ")
        );
        check.fault(key_path(path, "metric"), message);
    }
}

fn level(
    check: &mut Check<'_>,
    path: &str,
    level: &Form<Number, LevelConfig>,
    metric: Option<Metric>,
    scene: &Scene<'_>,
) -> Option<Level> {
    let long = match level {
        Form::Short(value) => {
            return Some(fixed(check, path, *value, metric));
        }
        Form::Long(long) => long,
    };
    let written: Vec<Level> = [
        long.value.map(|Number(value)| Level::Value(value)),
        long.baseline_minus.map(|Number(margin)| Level::BaselineMinus(margin)),
        long.baseline_plus.map(|Number(margin)| Level::BaselinePlus(margin)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let &[level] = written.as_slice() else {
        if !check.is_faulty(path) {
            let message = "needs exactly one of `value`, `baseline_minus` and `baseline_plus`";
            check.fault(path, message);
        }
        return None;
    };
    match level {
        Level::Value(value) => Some(fixed(check, path, Number(value), metric)),
        Level::BaselineMinus(margin) | Level::BaselinePlus(margin) => {
            if margin < 0.0 {
                check.fault(path, "the margin must be 0 or more");
            }
            baseline(check, path, metric, scene.references);
            Some(level)
        }
    }
}

/// A level that the metric can reach; 80 in place of 0.80 would always or never be passed.
fn fixed(
    check: &mut Check<'_>,
    path: &str,
    Number(value): Number,
    metric: Option<Metric>,
) -> Level {
    if let Some(metric) = metric {
        let (least, greatest) = metric.range();
        if !(least..=greatest).contains(&value) {
            let message = format!("{metric} is from {least} to {greatest}; {value} is beyond");
            check.fault(path, message);
        }
    }
    Level::Value(value)
}

/// A level relative to the baseline needs a profile with it.
pub fn baseline(
    check: &mut Check<'_>,
    path: &str,
    metric: Option<Metric>,
    references: &References,
) {
    let Some(metric) = metric else { return };
    if references.is_empty() {
        let section = path.split(".policies").next().unwrap_or_default();
        if !check.is_faulty(&key_path(section, "reference")) {
            let message = "there is no baseline without a `reference`; add a profile, or write a \
                           number";
            check.fault(path, message);
        }
        return;
    }
    let lacking: Vec<String> = references
        .all()
        .filter(|(_, profile)| !profile.baseline.contains_key(metric.name()))
        .map(|(profile_path, _)| profile_path)
        .collect();
    if let Some(first) = lacking.first() {
        let message = format!(
            "the profile at {first} has no baseline for {}; make it from data with labels and \
             predictions, or write a number",
            metric.name()
        );
        check.fault(path, message);
    }
}

fn drift(
    check: &mut Check<'_>,
    path: &str,
    policy: &PolicyConfig,
    section: &DriftConfig,
    scene: &Scene<'_>,
) -> Option<Condition> {
    let options = [
        ("below", policy.below.is_some()),
        ("above", policy.above.is_some()),
        ("margin", policy.margin.is_some()),
        ("compare", policy.compare.is_some()),
        ("label_age", policy.label_age.is_some()),
        ("min_labels", policy.min_labels.is_some()),
    ];
    refuse(check, path, &options, "drift");
    let policy_path = path;
    let min_predictions = least_one(
        check,
        path,
        "min_predictions",
        policy.min_predictions,
        defaults().drift.min_predictions,
    );
    let path = key_path(path, "drift");
    if scene.references.is_empty() {
        let model = path.split(".policies").next().unwrap_or_default();
        if !check.is_faulty(&key_path(model, "reference")) {
            let message = "drift is measured against a `reference`; add a profile to the model";
            check.fault(path.clone(), message);
        }
    } else if scene.features.is_empty() && !check.is_faulty(&path) {
        let message = "the model has no features; add `predictions.fields.features`";
        check.fault(path.clone(), message);
    }
    let features = drift_features(check, &path, section.features.as_ref(), scene);
    let features_min = features_min(check, &path, section, &features, scene)?;
    if section.above.is_none() && !check.is_faulty(&key_path(&path, "above")) {
        return budget::drift(check, policy_path, policy, section, features, features_min);
    }
    let no_budget = [
        ("material", section.material.is_some()),
        ("share_margin", section.share_margin.is_some()),
    ];
    refuse(check, &path, &no_budget, "drift above a threshold");
    let limit = limit::limit(check, &path, section);
    if let Some((statistic, _)) = limit {
        let numeric = |&&index: &&usize| matches!(scene.features[index].kind, FeatureKind::Numeric);
        if statistic.numeric_only()
            && let Some(index) = features.iter().find(|index| !numeric(index))
        {
            let name = quoted(&scene.features[*index].name);
            let message =
                format!("{} is for numeric features, and {name} is not", statistic.name());
            check.fault(key_path(&path, "above"), message);
        }
    }
    let (statistic, above) = limit?;
    Some(Condition::Drift {
        features,
        statistic,
        above,
        features_min,
        min_predictions: min_predictions?,
    })
}

fn features_min(
    check: &mut Check<'_>,
    path: &str,
    section: &DriftConfig,
    features: &[usize],
    scene: &Scene<'_>,
) -> Option<usize> {
    let default = defaults().drift.drift.as_ref()?.features_min;
    let features_min = least_one(check, path, "features_min", section.features_min, default)?;
    let features_min = usize::try_from(features_min).ok()?;
    let watched = if features.is_empty() { scene.features.len() } else { features.len() };
    if features_min > watched.max(1) {
        let message = format!("{features_min} features can never be above: {watched} are watched");
        check.fault(key_path(path, "features_min"), message);
    }
    Some(features_min)
}

/// Positions; empty for all.
fn drift_features(
    check: &mut Check<'_>,
    path: &str,
    written: Option<&ScalarOrList<Text>>,
    scene: &Scene<'_>,
) -> Vec<usize> {
    let at = key_path(path, "features");
    let list: &List<Text> = match written {
        None => return Vec::new(),
        Some(ScalarOrList::Scalar(Text(all))) if all == "all" => return Vec::new(),
        Some(ScalarOrList::Scalar(_)) => {
            check.fault(at, "write `all` or a list of features, such as [age]");
            return Vec::new();
        }
        Some(ScalarOrList::List(list)) => list,
    };
    if list.is_empty() {
        check.fault(at.clone(), "is empty; write `all` or name features");
    }
    if scene.features.is_empty() {
        return Vec::new();
    }
    let mut features = Vec::new();
    for (index, name) in texts(list) {
        match find(scene.features, name) {
            Ok(found) if features.contains(&found) => {
                check.fault(item_path(&at, index), format!("{} is listed twice", quoted(name)));
            }
            Ok(found) => features.push(found),
            Err(message) => check.fault(item_path(&at, index), message),
        }
    }
    features
}

fn action(
    check: &mut Check<'_>,
    path: &str,
    written: Option<&Form<ActionName, RetrainConfig>>,
    scene: &Scene<'_>,
) -> Option<Action> {
    let path = key_path(path, "action");
    let section = match written {
        None | Some(Form::Short(ActionName::Alert)) => return Some(Action::Alert),
        Some(Form::Long(section)) => section,
    };
    let Some(Form::Long(default)) = &defaults().drift.action else { return None };
    let Text(webhook) = check.required(&path, "retrain", section.retrain.as_ref())?;
    let found = scene.webhooks.iter().find(|name| &***name == webhook);
    if found.is_none() && !check.is_faulty("webhooks") {
        let near = suggestion(webhook, scene.webhooks.iter().map(|name| &**name));
        let message = format!("there is no webhook {}{near}", quoted(webhook));
        let message =
            if near.is_empty() { message + "; declare it in `webhooks`" } else { message };
        check.fault(key_path(&path, "retrain"), message);
    }
    Some(Action::Retrain {
        webhook: webhook.as_str().into(),
        cooldown: check.bounded(&path, "cooldown", section.cooldown, default.cooldown),
        act_within: check.bounded(&path, "act_within", section.act_within, default.act_within),
    })
}
