//! The hash of a model's layout: of everything that gives panes and pending entries their shape.
//!
//! State of another layout cannot be merged with new state: codes would mean other values, bins
//! other ranges, panes other stretches of time. Gauges, URLs, topics and the places of fields in
//! records do not count: they may change without losing state. Of policies only the moments at
//! which they judge do.

use super::plan::PlanHash;
use crate::engine::event::LabelValue;
use crate::engine::reference::Profile;
use crate::engine::spec::{FeatureKind, FeatureSpec, ModelSpec, SliceSpec, SliceValues, Task};
use crate::engine::window::Windows;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// The version of the shapes themselves: to be raised when the meaning of panes or entries changes
/// in the code.
const LAYOUT_VERSION: u32 = 1;

/// Equal for equal layouts, on every machine and in every build with the same shapes.
pub fn hash(model: &ModelSpec) -> PlanHash {
    PlanHash::of(&describe(model).to_string())
}

/// What the layout is made of: the name of each part and its hash, so that a change can be named.
pub fn parts(model: &ModelSpec) -> BTreeMap<String, u64> {
    let mut parts = BTreeMap::new();
    let Value::Object(fields) = describe(model) else { return parts };
    for (name, value) in fields {
        match value {
            Value::Object(inner) if name == "time" || name == "join" => {
                for (inner_name, value) in inner {
                    parts.insert(format!("{name}.{inner_name}"), part_hash(&value));
                }
            }
            value => {
                parts.insert(name, part_hash(&value));
            }
        }
    }
    parts
}

fn part_hash(value: &Value) -> u64 {
    xxh3_64(value.to_string().as_bytes())
}

fn describe(model: &ModelSpec) -> Value {
    let (time, join) = (&model.time, &model.join);
    let windows: Vec<_> = model.windows.iter().map(|w| (w.size.0, w.every.0, w.keep.0)).collect();
    let judgements: Vec<_> = Windows::new(model)
        .judgements
        .iter()
        .map(|judgement| (judgement.window.0, judgement.label_age.0))
        .collect();
    let versions: Vec<_> = model
        .version_references
        .iter()
        .map(|(version, profile)| (version, profile_hash(profile)))
        .collect();
    let absent = join.absent_after.map(|absent| {
        let value = match absent.value {
            LabelValue::Class(class) => json!(class),
            LabelValue::Number(number) => json!(number),
        };
        json!([absent.delay.0, value])
    });
    json!({
        "layout_version": LAYOUT_VERSION,
        "model": &*model.name,
        "task": task(&model.task),
        "weighted": model.weighted,
        "features": model.features.iter().map(feature).collect::<Vec<_>>(),
        "reference": model.reference.as_deref().map(profile_hash),
        "versions": versions,
        "versions_max": model.versions_max,
        "slices": model.slices.iter().map(slice).collect::<Vec<_>>(),
        "windows": windows,
        // Panes keep labels apart by these moments.
        "judgements": judgements,
        "time": {
            "origin": time.origin.0,
            "out_of_orderness": time.out_of_orderness.0,
            "allowed_lateness": time.allowed_lateness.0,
        },
        "join": {
            "horizon": join.horizon.0,
            "lead": join.lead.0,
            "grace": join.grace.0,
            "corrections_for": join.corrections_for.0,
            "absent_after": absent,
            "start": join.start.map(|start| start.0),
        },
    })
}

fn profile_hash(profile: &Profile) -> &str {
    &profile.content_hash
}

fn task(task: &Task) -> Value {
    match task {
        Task::Binary { positive_class, negative_class, threshold } => {
            json!({ "binary": [positive_class, negative_class, threshold] })
        }
        Task::Multiclass { classes, top_k } => json!({ "multiclass": [classes, top_k] }),
        Task::Regression { center, scale } => json!({ "regression": [center, scale] }),
    }
}

fn feature(feature: &FeatureSpec) -> Value {
    match &feature.kind {
        FeatureKind::Numeric => json!([&*feature.name, "numeric"]),
        FeatureKind::Categorical { dictionary } => {
            json!([&*feature.name, "categorical", &**dictionary])
        }
    }
}

fn slice(slice: &SliceSpec) -> Value {
    let features = slice.features.iter().map(|feature| {
        let values = match &feature.values {
            SliceValues::Categories(values) => {
                json!(values.iter().map(|(code, text)| (code, &**text)).collect::<Vec<_>>())
            }
            SliceValues::Edges(edges) => json!(edges),
        };
        json!([&*feature.name, values])
    });
    features.collect()
}
