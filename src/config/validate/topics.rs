//! Checks of topics: which models they carry, how a row finds its model, and which topics must be
//! read together.

use super::super::fault::quoted;
use super::super::plan::{
    GroupPlan, LabelListener, LabelTopic, PlanHash, PredictionRoute, PredictionTopic,
};
use super::super::tree::key_path;
use super::super::value::Text;
use super::model::Draft;
use super::{Check, model_index};
use crate::decode::spec::LabelFields;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All topics, by name.
pub struct Topics {
    pub predictions: Vec<PredictionTopic>,
    pub labels: Vec<LabelTopic>,
    pub groups: Vec<GroupPlan>,
}

impl Topics {
    pub fn reads(&self, topic: &str) -> bool {
        self.predictions.iter().any(|read| &*read.topic == topic)
            || self.labels.iter().any(|read| &*read.topic == topic)
    }
}

/// A topic's name as Kafka allows it.
pub fn name(check: &mut Check<'_>, parent: &str, written: Option<&Text>) -> Option<Arc<str>> {
    let Text(name) = check.required(parent, "topic", written)?;
    let valid = (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
    if !valid {
        let message = format!(
            "{} is not a topic's name; use 1 to 249 letters, digits, `_`, `-` and `.`",
            quoted(name)
        );
        check.fault(key_path(parent, "topic"), message);
        return None;
    }
    Some(Arc::from(name.as_str()))
}

/// Models by topic, in the order of the models.
type ByTopic<'a> = BTreeMap<Arc<str>, Vec<(usize, &'a Draft)>>;

pub fn topics(check: &mut Check<'_>, drafts: &[Draft]) -> Topics {
    let mut predicting: ByTopic<'_> = BTreeMap::new();
    let mut labelling: ByTopic<'_> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(source) = &draft.predictions {
            predicting.entry(source.topic.clone()).or_default().push((index, draft));
        }
        if let Some(source) = &draft.labels {
            labelling.entry(source.topic.clone()).or_default().push((index, draft));
        }
    }
    for (topic, models) in &labelling {
        if predicting.contains_key(topic) {
            let path = format!("{}.labels.topic", models[0].1.path);
            let message = format!("{} is a topic of predictions too; use two", quoted(topic));
            check.fault(path, message);
        }
    }
    for models in predicting.values() {
        same_start(check, models, "predictions");
        routes(check, models);
    }
    for models in labelling.values() {
        same_start(check, models, "labels");
        same_labels(check, models);
    }
    let groups = groups(&predicting, &labelling);
    let group_of = |topic: &Arc<str>| {
        groups.iter().position(|(topics, _)| topics.contains(topic)).unwrap_or_default()
    };
    let predictions: Vec<_> = predicting
        .iter()
        .map(|(topic, models)| prediction_topic(topic, models, group_of(topic)))
        .collect();
    let labels: Vec<_> = labelling
        .iter()
        .map(|(topic, models)| label_topic(topic, models, group_of(topic)))
        .collect();
    let groups = groups.iter().enumerate().map(|(group, (topics, models))| GroupPlan {
        spread: false,
        name: group_name(topics),
        predictions: positions(predictions.iter().map(|topic| topic.group), group),
        labels: positions(labels.iter().map(|topic| topic.group), group),
        models: models.iter().copied().map(model_index).collect(),
    });
    Topics { groups: groups.collect(), predictions, labels }
}

fn positions(groups: impl Iterator<Item = usize>, group: usize) -> Vec<usize> {
    groups.enumerate().filter(|&(_, of)| of == group).map(|(position, _)| position).collect()
}

fn prediction_topic(topic: &Arc<str>, models: &[(usize, &Draft)], group: usize) -> PredictionTopic {
    let routes = models.iter().filter_map(|(index, draft)| {
        let fields = draft.predictions.as_ref()?.fields.clone();
        let route = fields.model.is_some().then(|| route(draft)).flatten();
        Some(PredictionRoute { model: model_index(*index), fields, route })
    });
    let first = models[0].1;
    PredictionTopic {
        topic: topic.clone(),
        format: first.predictions.as_ref().map_or(super::super::Format::Json, |s| s.format),
        start: first.start,
        group,
        models: routes.collect(),
    }
}

fn label_topic(topic: &Arc<str>, models: &[(usize, &Draft)], group: usize) -> LabelTopic {
    let listeners = models.iter().filter_map(|(index, draft)| {
        let fields = draft.labels.as_ref()?.fields.clone();
        Some(LabelListener { model: model_index(*index), fields })
    });
    let first = models[0].1;
    LabelTopic {
        topic: topic.clone(),
        format: first.labels.as_ref().map_or(super::super::Format::Json, |s| s.format),
        start: first.start,
        group,
        models: listeners.collect(),
    }
}

fn route(draft: &Draft) -> Option<String> {
    draft.route.clone().or_else(|| draft.name.as_ref().map(ToString::to_string))
}

fn same_start(check: &mut Check<'_>, models: &[(usize, &Draft)], section: &str) {
    let (_, first) = models[0];
    for (_, draft) in &models[1..] {
        if draft.start != first.start {
            let message = format!(
                "reads the same {section} topic as {}, but starts elsewhere; give both one start",
                first.path
            );
            check.fault(key_path(&draft.path, "start"), message);
        }
    }
}

/// Models on one topic of predictions must be told apart, in the same way by all.
fn routes(check: &mut Check<'_>, models: &[(usize, &Draft)]) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let shared = models.len() > 1;
    let first = models[0].1.predictions.as_ref().map(|source| &source.fields);
    for (_, draft) in models {
        let fields = draft.predictions.as_ref().map(|source| &source.fields);
        let path = format!("{}.predictions", draft.path);
        let Some(fields) = fields else { continue };
        match &fields.model {
            None if shared => {
                let message = "several models share this topic, so each needs `model`, the place \
                               that says whose a record is";
                check.fault(format!("{path}.fields"), message);
            }
            None if draft.route.is_some() => {
                let message = "has no effect without `fields.model`; add that or remove this";
                check.fault(key_path(&path, "route"), message);
            }
            None => {}
            Some(_) => {
                if let Some(first) = first
                    && (&first.model, &first.rows) != (&fields.model, &fields.rows)
                {
                    let message = format!(
                        "`model` and `rows` differ from those of {}, which shares the topic",
                        models[0].1.path
                    );
                    check.fault(format!("{path}.fields.model"), message);
                }
                let Some(route) = route(draft) else { continue };
                if let Some(other) = seen.get(&route) {
                    let message = format!(
                        "{other} shares the topic and is routed by {} too; write another `route`",
                        quoted(&route)
                    );
                    check.fault(path, message);
                } else {
                    seen.insert(route, &draft.path);
                }
            }
        }
    }
}

/// A label row has one id and one time, whoever listens.
fn same_labels(check: &mut Check<'_>, models: &[(usize, &Draft)]) {
    let place =
        |fields: &LabelFields| (fields.rows.clone(), fields.id.clone(), fields.event_time.clone());
    let Some(first) = models[0].1.labels.as_ref().map(|source| place(&source.fields)) else {
        return;
    };
    for (_, draft) in &models[1..] {
        let Some(source) = &draft.labels else { continue };
        let other = place(&source.fields);
        let parts = [
            ("rows", other.0 != first.0),
            ("id", other.1 != first.1),
            ("event_time", other.2 != first.2),
        ];
        for (part, differs) in parts {
            if differs {
                let message = format!(
                    "differs from that of {}, which shares the topic; models on one label topic \
                     must agree on rows, id and event_time",
                    models[0].1.path
                );
                check.fault(format!("{}.labels.fields.{part}", draft.path), message);
            }
        }
    }
}

/// Connected components of topics linked by models: topics and models of each, by first topic.
fn groups(
    predicting: &ByTopic<'_>,
    labelling: &ByTopic<'_>,
) -> Vec<(BTreeSet<Arc<str>>, BTreeSet<usize>)> {
    let mut groups: Vec<(BTreeSet<Arc<str>>, BTreeSet<usize>)> = Vec::new();
    for (topic, models) in predicting.iter().chain(labelling) {
        let mut joined = (
            BTreeSet::from([topic.clone()]),
            models.iter().map(|(index, _)| *index).collect::<BTreeSet<_>>(),
        );
        // A topic of both kinds is refused elsewhere; here it just joins.
        let (linked, apart): (Vec<_>, Vec<_>) = groups
            .into_iter()
            .partition(|(topics, models)| topics.contains(topic) || !models.is_disjoint(&joined.1));
        for (topics, models) in linked {
            joined.0.extend(topics);
            joined.1.extend(models);
        }
        groups = apart;
        groups.push(joined);
    }
    groups.sort();
    groups
}

/// The first topic, and a hash of all if there are several: safe in a path, independent of models.
fn group_name(topics: &BTreeSet<Arc<str>>) -> String {
    let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, ..] => {
            let hash = PlanHash::of(&names.join("\n")).to_string();
            let first: String = first.chars().take(64).collect();
            format!("{first}-{}", &hash[..8])
        }
    }
}
