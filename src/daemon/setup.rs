//! From a plan to what the engine runs on: groups, the role of each topic, settings of the edges.

use crate::config::{GroupPlan, Plan, Start};
use crate::decode::label::{LabelDecoder, LabelListener};
use crate::decode::prediction::{PredictionDecoder, PredictionSource};
use crate::decode::spec::FieldFault;
use crate::engine::event::ModelIndex;
use crate::engine::model_shard::ModelContext;
use crate::engine::shard::{
    GroupModel, GroupSpec, InputKey, LabelTopicSpec, LabelsOf, PredictionTopicSpec, Side,
};
use crate::engine::time::Span;
use crate::io::checkpoint::LineagePath;
use crate::io::kafka::{KafkaSettings, StartOffset};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

/// How the source's topics map to groups and models.
pub struct Topology {
    pub groups: Vec<Arc<GroupSpec>>,
    /// By position in the source's list of topics.
    pub topics: Vec<TopicRole>,
    /// Where each model is: its group, and its position there.
    pub models: Vec<(usize, usize)>,
}

/// What a topic is to us.
pub struct TopicRole {
    pub name: Arc<str>,
    pub group: usize,
    pub side: Side,
    /// Position in the group's list of topics of that side.
    pub topic: u16,
    pub start: StartOffset,
    pub reader: Reader,
}

/// Reads a topic's records.
pub enum Reader {
    Predictions(Box<PredictionDecoder>),
    Labels(Box<LabelDecoder>),
}

impl TopicRole {
    pub fn input(&self, partition: i32) -> InputKey {
        InputKey { side: self.side, topic: self.topic, partition }
    }
}

impl Topology {
    /// # Errors
    /// Fields that no decoder can be made of; the plan's own checks should have found them.
    pub fn new(plan: &Plan) -> Result<Self, FieldFault> {
        let contexts: Vec<Arc<ModelContext>> =
            plan.models.iter().map(|spec| Arc::new(ModelContext::new(Arc::clone(spec)))).collect();
        let mut topology = Self {
            groups: Vec::new(),
            topics: Vec::new(),
            models: vec![(0, 0); plan.models.len()],
        };
        for group in 0..plan.groups.len() {
            topology.add_group(plan, group, &contexts)?;
        }
        Ok(topology)
    }

    fn add_group(
        &mut self,
        plan: &Plan,
        group: usize,
        contexts: &[Arc<ModelContext>],
    ) -> Result<(), FieldFault> {
        let planned = &plan.groups[group];
        for (at, &topic) in planned.predictions.iter().enumerate() {
            let topic = &plan.prediction_topics[topic];
            let sources: Vec<PredictionSource<'_>> = topic
                .models
                .iter()
                .map(|route| PredictionSource {
                    model: route.model,
                    spec: plan.model(route.model),
                    fields: &route.fields,
                    route: route.route.as_deref(),
                })
                .collect();
            self.topics.push(TopicRole {
                name: Arc::clone(&topic.topic),
                group,
                side: Side::Predictions,
                topic: at as u16,
                start: start_offset(topic.start),
                reader: Reader::Predictions(Box::new(PredictionDecoder::new(&sources)?)),
            });
        }
        let mut columns: Vec<(ModelIndex, LabelsOf)> = Vec::new();
        for (at, &topic) in planned.labels.iter().enumerate() {
            let topic = &plan.label_topics[topic];
            let listeners: Vec<LabelListener<'_>> = topic
                .models
                .iter()
                .map(|listener| LabelListener {
                    model: listener.model,
                    task: &plan.model(listener.model).task,
                    fields: &listener.fields,
                })
                .collect();
            let decoder = LabelDecoder::new(&listeners)?;
            for (listener, model) in topic.models.iter().enumerate() {
                let column = decoder.column(model.model).unwrap_or(0);
                columns.push((model.model, LabelsOf { topic: at, column, listener }));
            }
            self.topics.push(TopicRole {
                name: Arc::clone(&topic.topic),
                group,
                side: Side::Labels,
                topic: at as u16,
                start: start_offset(topic.start),
                reader: Reader::Labels(Box::new(decoder)),
            });
        }
        for (at, model) in planned.models.iter().enumerate() {
            self.models[usize::from(model.0)] = (group, at);
        }
        self.groups.push(Arc::new(group_spec(plan, group, contexts, &columns)));
        Ok(())
    }
}

fn group_spec(
    plan: &Plan,
    group: usize,
    contexts: &[Arc<ModelContext>],
    columns: &[(ModelIndex, LabelsOf)],
) -> GroupSpec {
    let planned = &plan.groups[group];
    let reads = |model: ModelIndex| columns.iter().find(|(m, _)| *m == model).map(|(_, l)| *l);
    GroupSpec {
        name: planned.name.as_str().into(),
        models: planned
            .models
            .iter()
            .map(|&index| GroupModel {
                index,
                context: Arc::clone(&contexts[usize::from(index.0)]),
                predictions: planned
                    .predictions
                    .iter()
                    .position(|&topic| {
                        plan.prediction_topics[topic].models.iter().any(|r| r.model == index)
                    })
                    .unwrap_or(0),
                labels: reads(index),
            })
            .collect(),
        prediction_topics: planned
            .predictions
            .iter()
            .map(|&topic| PredictionTopicSpec {
                topic: Arc::clone(&plan.prediction_topics[topic].topic),
            })
            .collect(),
        label_topics: planned
            .labels
            .iter()
            .map(|&topic| {
                let topic = &plan.label_topics[topic];
                let models = || topic.models.iter().map(|listener| plan.model(listener.model));
                LabelTopicSpec {
                    topic: Arc::clone(&topic.topic),
                    future_tolerance: models()
                        .map(|model| model.time.future_tolerance)
                        .max()
                        .unwrap_or(Span::ZERO),
                    waiting_max: models().map(|m| m.join.pending_max).max().unwrap_or(0),
                }
            })
            .collect(),
        spread: planned.spread,
    }
}

fn start_offset(start: Start) -> StartOffset {
    match start {
        Start::Earliest => StartOffset::Earliest,
        Start::Latest => StartOffset::Latest,
        Start::At(time) => StartOffset::Time(time),
    }
}

/// Connection settings for the source and the dead letters.
pub fn kafka_settings(plan: &Plan) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: plan.kafka.bootstrap.clone(),
        group_id: plan.kafka.group_id.clone(),
        properties: plan
            .kafka
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect(),
    }
}

/// The layout that a lineage must have been written with to fit a plan. `None`: the plan has no
/// such model or group.
pub fn expected_layout(plan: &Plan, path: &LineagePath) -> Option<u128> {
    if path.is_model() {
        let at = plan.models.iter().position(|model| LineagePath::model(&model.name) == *path)?;
        return Some(plan.layouts[at].0);
    }
    let partition: i32 = path.to_string().rsplit('/').next()?.parse().ok()?;
    let ours = |group: &GroupPlan| LineagePath::shard(&group.name, partition) == *path;
    let group = plan.groups.iter().position(ours)?;
    Some(group_layout(plan, group))
}

/// Changes when a group's state no longer fits: the layouts of its models.
pub fn group_layout(plan: &Plan, group: usize) -> u128 {
    let mut text = format!("spread={}\n", plan.groups[group].spread);
    for model in &plan.groups[group].models {
        text.push_str(&plan.model(*model).name);
        text.push('=');
        text.push_str(&plan.layouts[usize::from(model.0)].to_string());
        text.push('\n');
    }
    xxh3_128(text.as_bytes())
}
