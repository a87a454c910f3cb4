//! What `tidemark check` says about a plan: what will be read, joined, watched and how much it can
//! take. For a person; not a format.

use super::expect::expectation;
use super::plan::{HttpPlan, LabelTopic, Plan, PredictionTopic, Start, WebhookPlan};
use super::size::{ModelSize, code_bits, model_size, pane_size, show_bytes, slice_cells};
use crate::decode::selector::Selector;
use crate::engine::reference::Profile;
use crate::engine::spec::{
    Action, Bound, Compare, Condition, FeatureKind, Level, ModelSpec, PolicySpec, SliceFeature,
    SliceValues, Task, WindowSpec,
};
use std::fmt::{self, Write};

/// How many values of a slice are listed before "and n more".
const VALUES_SHOWN_MAX: usize = 8;

/// The summary, without secrets.
pub fn check(plan: &Plan) -> String {
    let mut out = String::new();
    write_plan(&mut out, plan).expect("writing to a string does not fail");
    out
}

fn write_plan(out: &mut String, plan: &Plan) -> fmt::Result {
    writeln!(out, "kafka     {} as group {}", plan.kafka.bootstrap, plan.kafka.group_id)?;
    for (name, value) in &plan.kafka.properties {
        writeln!(out, "          {name} = {value}")?;
    }
    let (state, http) = (&plan.state, &plan.http);
    writeln!(out, "state     {}, every {}", state.url, state.checkpoint_every)?;
    writeln!(out, "http      {}{}", http.listen, protection(http))?;
    if let Some(address) = http.metrics_listen {
        writeln!(out, "metrics   {address}, besides")?;
    }
    match &plan.dead_letters {
        Some(dead) => writeln!(out, "refused   to topic {}, {}/s", dead.topic, dead.rate_max)?,
        None => writeln!(out, "refused   counted only")?,
    }
    for webhook in &plan.webhooks {
        let signed = match webhook.secrets.len() {
            0 => "not signed".to_owned(),
            1 => "signed".to_owned(),
            count => format!("signed by {count} keys"),
        };
        writeln!(out, "webhook   {}: {}, {signed}{}", webhook.name, webhook.url, how(webhook))?;
    }
    for group in &plan.groups {
        write_group(out, plan, group)?;
    }
    for (model, layout) in plan.models.iter().zip(&plan.layouts) {
        writeln!(out)?;
        write_model(out, model)?;
        writeln!(out, "  layout    {layout}")?;
    }
    writeln!(out)?;
    write_memory(out, plan)?;
    writeln!(out, "plan      {}", plan.hash)
}

fn protection(http: &HttpPlan) -> &'static str {
    let open = [Some(http.listen), http.metrics_listen]
        .iter()
        .flatten()
        .any(|address| !address.ip().to_canonical().is_loopback());
    match &http.web_config {
        Some(_) => ", TLS and passwords as in web_config",
        None if open => ", readable by everyone who can reach it",
        None => "",
    }
}

/// What is not usual about a webhook.
fn how(webhook: &WebhookPlan) -> String {
    let mut how = String::new();
    if webhook.template.is_some() {
        how.push_str(", body by a template");
    }
    if let Some(proxy) = &webhook.proxy {
        how.push_str(&format!(", through {proxy}"));
    }
    if webhook.tls.ca.is_some() {
        how.push_str(", certificate by an authority of its own");
    }
    if webhook.tls.identity.is_some() {
        how.push_str(", with our certificate");
    }
    how
}

fn write_group(out: &mut String, plan: &Plan, group: &super::GroupPlan) -> fmt::Result {
    let how = if group.spread {
        "one process reads all partitions"
    } else {
        "topics with equal partition counts and keys"
    };
    writeln!(out, "\ngroup {} ({how})", group.name)?;
    for &position in &group.predictions {
        write_predictions(out, plan, &plan.prediction_topics[position])?;
    }
    for &position in &group.labels {
        write_labels(out, plan, &plan.label_topics[position])?;
    }
    Ok(())
}

fn write_predictions(out: &mut String, plan: &Plan, topic: &PredictionTopic) -> fmt::Result {
    let start = start(topic.start);
    writeln!(out, "  predictions {} (first start: {start})", topic.topic)?;
    for route in &topic.models {
        let name = &plan.model(route.model).name;
        match (&route.route, &route.fields.model) {
            (Some(route), Some(selector)) => {
                writeln!(out, "    {name} where {selector} is {}", shown(route))?;
            }
            _ => writeln!(out, "    {name}")?,
        }
        write_id(out, &route.fields.id, route.fields.rows.is_some())?;
        let time = route.fields.event_time.as_ref();
        let time = time.map(|time| format!("{} ({})", time.path, time.unit));
        let time = time.unwrap_or_else(|| "Kafka's record timestamp".to_owned());
        writeln!(out, "      event time {time}")?;
    }
    Ok(())
}

fn write_labels(out: &mut String, plan: &Plan, topic: &LabelTopic) -> fmt::Result {
    let start = start(topic.start);
    writeln!(out, "  labels {} (first start: {start})", topic.topic)?;
    for listener in &topic.models {
        let name = &plan.model(listener.model).name;
        writeln!(out, "    {name}, label {}", listener.fields.label)?;
        write_id(out, &listener.fields.id, listener.fields.rows.is_some())?;
    }
    Ok(())
}

/// Which ids are the same: the first thing to look at when nothing joins.
fn write_id(out: &mut String, id: &Selector, rows: bool) -> fmt::Result {
    let batch = if rows && !id.is_from_row() { ", in a batch ID#0, ID#1, ..." } else { "" };
    let examples = match id {
        Selector::Joined(_) => "the parts' texts, joined",
        Selector::Key | Selector::Header(_) => "its text as it is",
        Selector::Pointer(_) => "123, 123.0 and \"123\" are one id, \"0123\" and \"123.0\" others",
    };
    writeln!(out, "      id {id} ({examples}{batch})")
}

fn start(start: Start) -> String {
    match start {
        Start::Earliest => "earliest".to_owned(),
        Start::Latest => "latest".to_owned(),
        Start::At(time) => time.to_string(),
    }
}

fn write_model(out: &mut String, model: &ModelSpec) -> fmt::Result {
    writeln!(out, "model {} ({})", model.name, task(&model.task))?;
    write_reference(out, model)?;
    let (time, join) = (&model.time, &model.join);
    writeln!(
        out,
        "  time      out of order {}, late after {}, idle after {}, windows from {}",
        time.out_of_orderness, time.allowed_lateness, time.idle_after, time.origin
    )?;
    writeln!(
        out,
        "  labels    from {} before to {} after the prediction, grace {}, corrected for {}",
        join.lead, join.horizon, join.grace, join.corrections_for
    )?;
    if let Some(absent) = &join.absent_after {
        writeln!(out, "            none after {}: {:?}", absent.delay, absent.value)?;
    }
    let pane = pane_size(&model.windows).map_or_else(String::new, |pane| pane.to_string());
    for window in &model.windows {
        writeln!(out, "  window    {}", self::window(window))?;
    }
    writeln!(out, "  panes     of {pane}")?;
    for slice in &model.slices {
        let features: Vec<String> = slice.features.iter().map(slice_feature).collect();
        let cells = slice_cells(slice);
        writeln!(out, "  slice     {} ({cells} cells)", features.join(" x "))?;
    }
    for policy in &model.policies {
        writeln!(out, "  policy    {}", self::policy(model, policy))?;
        for line in expectation(model, policy) {
            writeln!(out, "            {line}")?;
        }
    }
    let size = model_size(model);
    write_size(out, model, &size)
}

fn task(task: &Task) -> String {
    match task {
        Task::Binary { positive_class, negative_class, threshold } => {
            let negative = negative_class.as_deref().map_or("anything else".to_owned(), shown);
            let positive = shown(positive_class);
            format!("binary, {positive} against {negative}, threshold {threshold}")
        }
        Task::Multiclass { classes, .. } => format!("multiclass, {} classes", classes.len()),
        Task::Regression { center, scale } => {
            format!("regression, around {center} in units of {scale}")
        }
    }
}

fn write_reference(out: &mut String, model: &ModelSpec) -> fmt::Result {
    let numeric = model.features.iter().filter(|f| matches!(f.kind, FeatureKind::Numeric)).count();
    let categorical = model.features.len() - numeric;
    writeln!(out, "  features  {numeric} numeric, {categorical} categorical")?;
    let profile = |profile: &Profile| {
        let hash: String = profile.content_hash.chars().take(19).collect();
        let seen =
            if profile.trained_on { ", the data it was trained on: expect less" } else { "" };
        format!("{} rows, {hash}{seen}", profile.rows)
    };
    match &model.reference {
        Some(default) => writeln!(out, "  reference {}", profile(default))?,
        None => writeln!(out, "  reference none: no drift")?,
    }
    for (version, own) in &model.version_references {
        writeln!(out, "            version {}: {}", shown(version), profile(own))?;
    }
    Ok(())
}

fn window(window: &WindowSpec) -> String {
    let WindowSpec { size, every, keep } = window;
    if size == every {
        format!("{size}, revised for {keep}")
    } else {
        format!("{size} every {every}, revised for {keep}")
    }
}

fn slice_feature(feature: &SliceFeature) -> String {
    let values: Vec<String> = match &feature.values {
        SliceValues::Categories(values) => values.iter().map(|(_, text)| shown(text)).collect(),
        SliceValues::Edges(edges) => edges.iter().map(f64::to_string).collect(),
    };
    let mut list = values[..values.len().min(VALUES_SHOWN_MAX)].join(", ");
    if values.len() > VALUES_SHOWN_MAX {
        list.push_str(", ...");
    }
    let count = feature.value_count();
    let how = match &feature.values {
        SliceValues::Categories(_) => "values",
        SliceValues::Edges(_) => "ranges by edges",
    };
    format!("{} [{count} {how}: {list}]", shown(&feature.name))
}

fn policy(model: &ModelSpec, policy: &PolicySpec) -> String {
    let condition = match &policy.condition {
        Condition::Performance { metric, bound, compare, label_age, min_labels } => {
            let (beyond, level) = match bound {
                Bound::Below(level) => ("below", level),
                Bound::Above(level) => ("above", level),
            };
            let level = match level {
                Level::Value(value) => value.to_string(),
                Level::BaselineMinus(margin) => format!("the baseline - {margin}"),
                Level::BaselinePlus(margin) => format!("the baseline + {margin}"),
            };
            let compare = match compare {
                Compare::Sure => "surely ",
                Compare::Value => "",
            };
            format!(
                "{metric} {compare}{beyond} {level}, judged {label_age} after the window, from \
                 {min_labels} labels"
            )
        }
        Condition::Drift { features, statistic, above, features_min, min_predictions } => {
            let names: Vec<String> =
                features.iter().map(|&index| shown(&model.features[index].name)).collect();
            let names = if names.is_empty() { "any".to_owned() } else { names.join(", ") };
            format!(
                "{} above {above} of {features_min} of the features ({names}), from \
                 {min_predictions} predictions",
                statistic.name()
            )
        }
        Condition::PerformanceAlarm(alarm) => format!(
            "{} worse than the baseline by more than {}, judged {} after the window",
            alarm.metric, alarm.margin, alarm.label_age
        ),
        Condition::DriftAlarm(alarm) => {
            let names: Vec<String> =
                alarm.features.iter().map(|&at| shown(&model.features[at].name)).collect();
            let names = if names.is_empty() { "any".to_owned() } else { names.join(", ") };
            format!(
                "{} of the features ({names}) moved by more than phi^2 {} or shares by {}",
                alarm.terms.features_min, alarm.terms.material, alarm.terms.share_margin
            )
        }
        Condition::Alert { alert } => {
            let Action::Retrain { webhook, cooldown, .. } = &policy.action else {
                return format!("{}: alert {}", policy.name, shown(alert));
            };
            let name = &policy.name;
            let alert = shown(alert);
            return format!(
                "{name}: alert {alert} of Alertmanager: retrain by {webhook}, cooldown {cooldown}"
            );
        }
    };
    let action = match &policy.action {
        Action::Alert => "alert".to_owned(),
        Action::Retrain { webhook, cooldown, act_within } => {
            format!("retrain by {webhook}, cooldown {cooldown}, within {act_within}")
        }
    };
    let PolicySpec { name, window, for_windows, .. } = policy;
    format!("{name}: {condition}; {for_windows} windows of {window}: {action}")
}

fn write_size(out: &mut String, model: &ModelSpec, size: &ModelSize) -> fmt::Result {
    writeln!(
        out,
        "  at most   {} for {} panes with {} slice cells each",
        show_bytes(size.pane_bytes),
        size.panes,
        size.slice_cells
    )?;
    writeln!(out, "            {} for drift in open windows", show_bytes(size.drift_bytes))?;
    let windows = model.show.history_windows.max(1);
    let history = show_bytes(size.history_bytes);
    writeln!(out, "            {history} for {windows} windows of each size, for charts")?;
    let bits = code_bits(&model.slices);
    writeln!(
        out,
        "            {} for {} held predictions of {} bytes ({bits} of 128 bits of slice codes)",
        show_bytes(size.pending_bytes),
        model.join.pending_max,
        size.pending_entry_bytes,
    )
}

fn write_memory(out: &mut String, plan: &Plan) -> fmt::Result {
    let total = plan
        .models
        .iter()
        .map(|model| model_size(model).total_bytes())
        .fold(0_u64, u64::saturating_add);
    let max = plan.state.memory_max_bytes;
    writeln!(out, "memory    {} at most, of {} allowed", show_bytes(total), show_bytes(max))
}

/// A text from outside, safe on a terminal and shortened.
pub(super) fn shown(text: &str) -> String {
    super::fault::quoted(text)
}
