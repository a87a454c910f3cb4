//! What a user configures of a topic's payload: where each field is.
//!
//! With `rows`, one record carries several rows (an array), and `./a` is read within the row, `/a`
//! from the top of the payload. An id that takes nothing from the row becomes `id#0`, `id#1`, ...

use super::selector::{JsonPointer, Selector, TimeSelector};
use crate::engine::spec::Task;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Where the fields of a prediction are. A configured field must be in every row and not be null;
/// only features may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictionFields {
    /// An array of rows in one record; absent: a record is one row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<JsonPointer>,
    /// What the label will carry too.
    pub id: Selector,
    /// Absent: the record's Kafka timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<TimeSelector>,
    /// Which model predicted, on a topic that several models share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Selector>,
    /// Absent: one version with the empty name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Selector>,
    /// Binary: probability of the positive class. Regression: the predicted value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Selector>,
    /// The predicted class. Binary, absent: positive iff the score reaches the threshold.
    /// Multiclass, absent: the most probable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Selector>,
    /// Multiclass: an object of class -> probability, or an array in the order of the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probabilities: Option<Selector>,
    /// A sampling weight, a positive number; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Selector>,
    /// An object with a member for every feature, or a list of `{ name, path, type }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeatureFields>,
}

/// Where the fields of a label are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelFields {
    /// An array of rows in one record; absent: a record is one row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<JsonPointer>,
    /// The id of the prediction that it belongs to.
    pub id: Selector,
    /// Absent: the record's Kafka timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<TimeSelector>,
    /// The true class or value.
    pub label: Selector,
}

/// Where a model's features are.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureFields {
    /// Members of one object, named like the features.
    Object(JsonPointer),
    /// Each has a place of its own.
    List(Vec<FeatureField>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureField {
    pub name: String,
    pub path: Selector,
    /// Absent: as in the model's profile.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<FeatureType>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeatureType {
    Numeric,
    Categorical,
}

/// A fault of a field's configuration: which field of the block, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {message}")]
pub struct FieldFault {
    pub field: String,
    pub message: String,
}

impl FieldFault {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl PredictionFields {
    /// Fields with nothing but an id.
    pub fn with_id(id: Selector) -> Self {
        Self {
            rows: None,
            id,
            event_time: None,
            model: None,
            version: None,
            score: None,
            class: None,
            probabilities: None,
            weight: None,
            features: None,
        }
    }

    /// Everything that is wrong with these fields for a model with this task.
    pub fn faults(&self, task: &Task) -> Vec<FieldFault> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, message: &str| faults.push(FieldFault::new(field, message));
        let (score, class) = (self.score.is_some(), self.class.is_some());
        let probabilities = self.probabilities.is_some();
        match task {
            Task::Binary { .. } => {
                if !score && !class {
                    fault("score", "a binary model needs a score, a class, or both");
                }
                if probabilities {
                    fault(
                        "probabilities",
                        "are for multiclass; give a binary model a `score`, such as \
                         `/probabilities/1`",
                    );
                }
            }
            Task::Multiclass { .. } => {
                if !class && !probabilities {
                    fault("class", "a multiclass model needs a class, probabilities, or both");
                }
                if score {
                    fault("score", "a multiclass model has `probabilities` instead");
                }
            }
            Task::Regression { .. } => {
                if !score {
                    fault("score", "a regression model needs its predicted value as `score`");
                }
                if class {
                    fault("class", "a regression model has none");
                }
                if probabilities {
                    fault("probabilities", "a regression model has none");
                }
            }
        }
        self.place_faults(&mut faults);
        faults
    }

    fn place_faults(&self, faults: &mut Vec<FieldFault>) {
        let rows = self.rows.as_ref();
        let time = self.event_time.as_ref().map(|time| &time.path);
        let fields = [
            ("id", Some(&self.id), true),
            ("event_time", time, false),
            ("model", self.model.as_ref(), true),
            ("version", self.version.as_ref(), true),
            ("score", self.score.as_ref(), false),
            ("class", self.class.as_ref(), false),
            ("probabilities", self.probabilities.as_ref(), false),
            ("weight", self.weight.as_ref(), false),
        ];
        rows_faults(rows, faults);
        for (field, selector, may_join) in fields {
            if let Some(selector) = selector {
                selector_faults(field, selector, may_join, rows, faults);
            }
        }
        if let Some(Selector::Key | Selector::Header(_)) = self.probabilities {
            faults.push(FieldFault::new("probabilities", "must be in the payload"));
        }
        match &self.features {
            Some(FeatureFields::Object(pointer)) => {
                let selector = Selector::Pointer(pointer.clone());
                selector_faults("features", &selector, false, rows, faults);
            }
            Some(FeatureFields::List(list)) => {
                for (i, feature) in list.iter().enumerate() {
                    let field = format!("features[{i}].path");
                    selector_faults(&field, &feature.path, false, rows, faults);
                    if list[..i].iter().any(|earlier| earlier.name == feature.name) {
                        let message = format!("`{}` is listed twice", feature.name);
                        faults.push(FieldFault::new(format!("features[{i}].name"), message));
                    }
                }
            }
            None => {}
        }
    }
}

impl LabelFields {
    /// Everything that is wrong with these fields.
    pub fn faults(&self) -> Vec<FieldFault> {
        let mut faults = Vec::new();
        let rows = self.rows.as_ref();
        rows_faults(rows, &mut faults);
        selector_faults("id", &self.id, true, rows, &mut faults);
        if let Some(time) = &self.event_time {
            selector_faults("event_time", &time.path, false, rows, &mut faults);
        }
        selector_faults("label", &self.label, false, rows, &mut faults);
        faults
    }
}

fn rows_faults(rows: Option<&JsonPointer>, faults: &mut Vec<FieldFault>) {
    if rows.is_some_and(JsonPointer::is_from_row) {
        let message = "must start at the top of the payload, with `/` (or be empty: the payload \
                       is the array)";
        faults.push(FieldFault::new("rows", message));
    }
}

fn selector_faults(
    field: &str,
    selector: &Selector,
    may_join: bool,
    rows: Option<&JsonPointer>,
    faults: &mut Vec<FieldFault>,
) {
    if matches!(selector, Selector::Joined(_)) && !may_join {
        faults.push(FieldFault::new(field, "cannot be joined from several selectors"));
    }
    for part in selector.singles() {
        if matches!(part, Selector::Joined(_)) {
            faults.push(FieldFault::new(field, "joined selectors cannot be nested"));
        }
        if let (Selector::Pointer(pointer), Some(rows)) = (part, rows)
            && pointer.starts_with(rows)
        {
            let inside: String = pointer.parts()[rows.parts().len()..]
                .iter()
                .map(|part| format!("/{part}"))
                .collect();
            let message = format!(
                "`{pointer}` points into the array of rows; a place in the row is written \
                 `.{inside}`"
            );
            faults.push(FieldFault::new(field, message));
        }
    }
}

impl Serialize for FeatureFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Object(pointer) => pointer.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FeatureFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FeatureFieldsVisitor)
    }
}

struct FeatureFieldsVisitor;

impl<'de> Visitor<'de> for FeatureFieldsVisitor {
    type Value = FeatureFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Pointer such as `/features`, or a list of `{ name, path, type }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FeatureFields, E> {
        text.parse().map(FeatureFields::Object).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<FeatureFields, A::Error> {
        let mut list = Vec::new();
        while let Some(feature) = sequence.next_element()? {
            list.push(feature);
        }
        Ok(FeatureFields::List(list))
    }
}

impl JsonSchema for FeatureFields {
    fn schema_name() -> Cow<'static, str> {
        "FeatureFields".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pointer = generator.subschema_for::<JsonPointer>();
        let list = generator.subschema_for::<Vec<FeatureField>>();
        json_schema!({ "anyOf": [pointer, list] })
    }
}
