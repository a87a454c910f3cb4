//! Predictions of one topic: each row goes to its model's batch.

use super::class::{Classes, Probabilities};
use super::feature::FeatureReader;
use super::field::{Field, IdField, Refuse, Row, TimeField, VERSION_BYTES_MAX};
use super::read::Reader;
use super::record::{Record, RecordOutcome, Refusal};
use super::rows::{accept, place, refuse};
use super::scan::Kind;
use super::selector::Selector;
use super::shape::Shape;
use super::spec::{FeatureFields, FieldFault, PredictionFields};
use crate::engine::event::{
    CLASS_NONE, FeatureColumn, ModelIndex, PredictionBatch, RefusalReason, TextColumn,
};
use crate::engine::spec::{FeatureKind, FeatureSpec, ModelSpec, Task};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// A model whose predictions a topic carries.
#[derive(Clone, Copy)]
pub struct PredictionSource<'a> {
    pub model: ModelIndex,
    pub spec: &'a ModelSpec,
    pub fields: &'a PredictionFields,
    /// Canonical text of the `model` field in this model's rows; `None` where it has none.
    pub route: Option<&'a str>,
}

/// Reads the records of one topic.
pub struct PredictionDecoder {
    reader: Reader,
    with_rows: bool,
    router: Option<Router>,
    models: Vec<ModelReader>,
    scratch: Scratch,
}

/// Rows of one partition, a batch for each model of the topic, reused from poll to poll.
#[derive(Clone, Debug)]
pub struct PredictionOutput {
    /// In the order of the decoder's models.
    pub batches: Vec<PredictionBatch>,
    pub refusals: Vec<Refusal>,
}

struct Router {
    field: Field,
    /// Canonical text -> position of the model.
    routes: HashMap<Box<str>, usize, FixedState>,
}

#[derive(Default)]
struct Scratch {
    text: String,
    version: String,
}

struct ModelReader {
    model: ModelIndex,
    /// Classes with a probability of their own; 0 unless multiclass.
    probability_count: usize,
    scores_in_unit: bool,
    id: IdField,
    time: TimeField,
    version: Option<Field>,
    score: Option<Field>,
    class: Option<(Field, Classes)>,
    probabilities: Option<Probabilities>,
    weight: Option<Field>,
    /// The object that has the features as members.
    features_object: Option<Field>,
    features: Vec<FeatureReader>,
}

impl PredictionDecoder {
    /// A decoder for all models whose predictions one topic carries.
    ///
    /// # Errors
    /// The first fault of the fields, or of their combination: several models on a topic must
    /// agree on `rows` and on a `model` selector, and each needs a route of its own.
    pub fn new(sources: &[PredictionSource<'_>]) -> Result<Self, FieldFault> {
        for source in sources {
            if let Some(fault) = source.fields.faults(&source.spec.task).into_iter().next() {
                return Err(fault);
            }
        }
        let rows = sources.first().and_then(|source| source.fields.rows.as_ref());
        let selector = sources.first().and_then(|source| source.fields.model.as_ref());
        check_shared(sources)?;
        let mut shape = Shape::new(rows);
        let router = selector.map(|selector| Router {
            field: Field::new("model", selector, &mut shape),
            routes: sources
                .iter()
                .enumerate()
                .filter_map(|(i, source)| Some((source.route?.into(), i)))
                .collect(),
        });
        let models = sources.iter().map(|source| ModelReader::new(source, &mut shape));
        let models = models.collect::<Result<Vec<_>, _>>()?;
        let (reader, scratch) = (Reader::new(shape), Scratch::default());
        Ok(Self { reader, with_rows: rows.is_some(), router, models, scratch })
    }

    /// Empty batches with the right columns.
    pub fn output(&self) -> PredictionOutput {
        let batches = self.models.iter().map(ModelReader::batch).collect();
        PredictionOutput { batches, refusals: Vec::new() }
    }

    /// Appends every good row of the record to its model's batch, and a refusal for every other.
    /// `out` is one that `output` made, started for the record's partition.
    pub fn decode(&mut self, record: &Record<'_>, out: &mut PredictionOutput) -> RecordOutcome {
        let mut outcome = RecordOutcome::default();
        let Some(payload) = record.payload else {
            outcome.tombstone = 1;
            return outcome;
        };
        let Self { reader, with_rows, router, models, scratch } = self;
        let document = match accept(reader, payload, *with_rows) {
            Ok(document) => document,
            Err(why) => {
                refuse(record, 0, why, &mut out.refusals, &mut outcome);
                return outcome;
            }
        };
        let rows = if *with_rows { document.rows } else { 1 };
        for row in 0..rows {
            let row = Row { document, record, row };
            let model = match router {
                None => Ok(Some(0)),
                Some(router) => router.find(&row, &mut scratch.text),
            };
            let read = model.and_then(|model| match model {
                Some(model) => {
                    models[model].read(&row, scratch, &mut out.batches[model]).map(|()| true)
                }
                None => Ok(false),
            });
            match read {
                Ok(true) => outcome.appended += 1,
                Ok(false) => outcome.undeclared += 1,
                Err(why) => refuse(record, row.row, why, &mut out.refusals, &mut outcome),
            }
        }
        outcome
    }
}

impl PredictionOutput {
    /// Empties all batches; the following records are of this partition.
    pub fn start(&mut self, partition: i32) {
        self.refusals.clear();
        for batch in &mut self.batches {
            batch.partition = partition;
            batch.offsets.clear();
            batch.rows.clear();
            batch.record_times.clear();
            batch.event_times.clear();
            batch.ids.clear();
            batch.versions.clear();
            batch.scores.clear();
            batch.classes.clear();
            batch.probabilities.clear();
            batch.weights.clear();
            batch.features.iter_mut().for_each(FeatureColumn::clear);
        }
    }
}

/// What several models on one topic must have in common.
fn check_shared(sources: &[PredictionSource<'_>]) -> Result<(), FieldFault> {
    let Some(first) = sources.first() else {
        return Err(FieldFault::new("models", "a topic needs at least one"));
    };
    for (i, source) in sources.iter().enumerate() {
        let name = &source.spec.name;
        let fault = |field: &str, message: String| Err(FieldFault::new(field, message));
        if source.fields.rows != first.fields.rows {
            let message =
                format!("`{name}` must have the same as `{}`: they share a topic", first.spec.name);
            return fault("rows", message);
        }
        if source.fields.model != first.fields.model {
            let message =
                format!("`{name}` must have the same as `{}`: they share a topic", first.spec.name);
            return fault("model", message);
        }
        match (&source.fields.model, source.route) {
            (None, None) if sources.len() > 1 => {
                let message = "several models share this topic: say which field names the model";
                return fault("model", message.to_owned());
            }
            (None, Some(_)) => {
                return fault("model", format!("`{name}` has a route but no `model` selector"));
            }
            (Some(_), None) => {
                return fault("model", format!("`{name}` needs the text that its rows have there"));
            }
            _ => {}
        }
        let twin =
            sources[..i].iter().find(|other| source.route.is_some() && other.route == source.route);
        if let Some(twin) = twin {
            let message = format!("`{name}` and `{}` have the same text there", twin.spec.name);
            return fault("model", message);
        }
    }
    Ok(())
}

impl Router {
    /// The model of a row; `None` for one that nobody declared.
    fn find(&self, row: &Row<'_>, scratch: &mut String) -> Result<Option<usize>, Refuse> {
        let text = self.field.text(row, scratch)?;
        Ok(self.routes.get(text).copied())
    }
}

impl ModelReader {
    fn new(source: &PredictionSource<'_>, shape: &mut Shape) -> Result<Self, FieldFault> {
        let PredictionFields {
            rows,
            id,
            event_time,
            model: _,
            version,
            score,
            class,
            probabilities,
            weight,
            features,
        } = source.fields;
        let task = &source.spec.task;
        let (probability_count, probabilities) = match (task, probabilities) {
            (Task::Multiclass { classes, .. }, Some(selector)) => {
                (classes.len(), Some(Probabilities::new(selector, classes, shape)))
            }
            (Task::Multiclass { classes, .. }, None) => (classes.len(), None),
            _ => (0, None),
        };
        let mut field = |name: &'static str, selector: &Option<Selector>| {
            selector.as_ref().map(|selector| Field::new(name, selector, shape))
        };
        let (version, score, weight) =
            (field("version", version), field("score", score), field("weight", weight));
        let class = field("class", class).zip(Classes::new(task));
        let features_object = match features {
            Some(FeatureFields::Object(pointer)) => {
                field("features", &Some(Selector::Pointer(pointer.clone())))
            }
            _ => None,
        };
        Ok(Self {
            model: source.model,
            probability_count,
            scores_in_unit: matches!(task, Task::Binary { .. }),
            id: IdField::new(id, rows.is_some(), shape),
            time: TimeField::new(event_time.as_ref(), shape),
            version,
            score,
            class,
            probabilities,
            weight,
            features_object,
            features: feature_readers(&source.spec.features, features.as_ref(), shape)?,
        })
    }

    fn batch(&self) -> PredictionBatch {
        PredictionBatch {
            model: self.model,
            partition: 0,
            offsets: Vec::new(),
            rows: Vec::new(),
            record_times: Vec::new(),
            event_times: Vec::new(),
            ids: Vec::new(),
            versions: TextColumn::default(),
            scores: Vec::new(),
            classes: Vec::new(),
            probabilities: Vec::new(),
            weights: Vec::new(),
            features: self.features.iter().map(FeatureReader::column).collect(),
        }
    }

    /// Appends the row. Whatever may refuse it is read before anything is appended, so that
    /// columns never differ in length.
    fn read(
        &mut self,
        row: &Row<'_>,
        scratch: &mut Scratch,
        batch: &mut PredictionBatch,
    ) -> Result<(), Refuse> {
        let id = self.id.read(row, &mut scratch.text)?;
        let event_time = self.time.read(row, &mut scratch.text)?;
        let score = self.score(row)?;
        let class = match &self.class {
            Some((field, classes)) => classes.read(field, row, &mut scratch.text)?,
            None => CLASS_NONE,
        };
        let weight = self.weight(row)?;
        if let Some(object) = &self.features_object {
            check_object(object, row)?;
        }
        let version = match &self.version {
            Some(field) => version(field, row, &mut scratch.version)?,
            None => "",
        };
        match &mut self.probabilities {
            Some(field) => batch.probabilities.extend(field.read(row, &mut scratch.text)?),
            None => {
                batch.probabilities.extend(std::iter::repeat_n(f64::NAN, self.probability_count))
            }
        }
        // Nothing refuses the row from here on.
        let (position, record_time) = (place(row.record, row.row), row.record.timestamp);
        batch.offsets.push(position.offset);
        batch.rows.push(position.row);
        batch.record_times.push(record_time);
        batch.event_times.push(event_time);
        batch.ids.push(id);
        batch.versions.push(version);
        batch.scores.push(score);
        batch.classes.push(class);
        batch.weights.push(weight);
        for (reader, column) in self.features.iter().zip(&mut batch.features) {
            reader.read(row, &mut scratch.text, column);
        }
        Ok(())
    }

    #[inline]
    fn score(&self, row: &Row<'_>) -> Result<f64, Refuse> {
        let Some(field) = &self.score else { return Ok(f64::NAN) };
        let score = field.number(row)?;
        if self.scores_in_unit && !(0.0..=1.0).contains(&score) {
            let what = format!("is no probability: {score}");
            return Err(field.refuse(RefusalReason::OutOfRange, &what));
        }
        Ok(score)
    }

    #[inline]
    fn weight(&self, row: &Row<'_>) -> Result<f64, Refuse> {
        let Some(field) = &self.weight else { return Ok(1.0) };
        let weight = field.number(row)?;
        if weight <= 0.0 {
            let what = format!("is not positive: {weight}");
            return Err(field.refuse(RefusalReason::OutOfRange, &what));
        }
        Ok(weight)
    }
}

fn version<'s>(field: &Field, row: &Row<'s>, scratch: &'s mut String) -> Result<&'s str, Refuse> {
    let text = field.text(row, scratch)?;
    if text.len() > VERSION_BYTES_MAX {
        return Err(field.refuse(RefusalReason::TooLarge, "is longer than 256 bytes"));
    }
    Ok(text)
}

/// The features' object may be missing or null (then every feature is `Missing`), but nothing
/// else.
#[inline]
fn check_object(object: &Field, row: &Row<'_>) -> Result<(), Refuse> {
    match object.value(row)?.kind {
        Kind::Object | Kind::Missing | Kind::Null => Ok(()),
        other => Err(object.refuse_scalar(other)),
    }
}

fn feature_readers(
    specs: &[FeatureSpec],
    fields: Option<&FeatureFields>,
    shape: &mut Shape,
) -> Result<Vec<FeatureReader>, FieldFault> {
    let reader = |spec: &FeatureSpec| {
        let selector = match fields {
            Some(FeatureFields::Object(pointer)) => Selector::Pointer(pointer.child(&spec.name)),
            Some(FeatureFields::List(list)) => {
                let found = list.iter().find(|field| field.name == *spec.name);
                let message = || format!("`{}` is not in the list", spec.name);
                found.ok_or_else(|| FieldFault::new("features", message()))?.path.clone()
            }
            None => {
                let message = "the model has features, but the fields do not say where";
                return Err(FieldFault::new("features", message));
            }
        };
        Ok(match &spec.kind {
            FeatureKind::Numeric => FeatureReader::numeric(&selector, shape),
            FeatureKind::Categorical { dictionary } => {
                FeatureReader::categorical(&selector, dictionary, shape)
            }
        })
    };
    specs.iter().map(reader).collect()
}
