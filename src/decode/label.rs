//! Labels of one topic: one row for all models that listen.

use super::class::Classes;
use super::field::{Field, IdField, Refuse, Row, TimeField};
use super::read::Reader;
use super::record::{Record, RecordOutcome, Refusal};
use super::rows::{accept, place, refuse};
use super::selector::Selector;
use super::shape::Shape;
use super::spec::{FieldFault, LabelFields};
use crate::engine::event::{LabelBatch, LabelColumn, LabelValue, ModelIndex};
use crate::engine::spec::Task;

/// A model that listens to a label topic.
#[derive(Clone, Copy)]
pub struct LabelListener<'a> {
    pub model: ModelIndex,
    pub task: &'a Task,
    pub fields: &'a LabelFields,
}

/// Reads the records of one topic.
pub struct LabelDecoder {
    reader: Reader,
    with_rows: bool,
    id: IdField,
    time: TimeField,
    readings: Vec<Reading>,
    columns: Vec<(ModelIndex, usize)>,
    /// The row's label as each reading has it.
    values: Vec<Option<LabelValue>>,
    scratch: String,
}

/// Rows of one partition, reused from poll to poll.
#[derive(Clone, Debug)]
pub struct LabelOutput {
    pub batch: LabelBatch,
    pub refusals: Vec<Refusal>,
}

/// One way to read the label: a place, and what the text there means.
struct Reading {
    selector: Selector,
    field: Field,
    /// `None`: a number.
    classes: Option<Classes>,
}

impl LabelDecoder {
    /// A decoder for all models that listen to one topic.
    ///
    /// # Errors
    /// The first fault of the fields; listeners that disagree on `rows`, `id` or `event_time`.
    pub fn new(listeners: &[LabelListener<'_>]) -> Result<Self, FieldFault> {
        let Some(first) = listeners.first().map(|listener| listener.fields) else {
            return Err(FieldFault::new("models", "a topic needs at least one"));
        };
        let with_rows = first.rows.is_some();
        let mut shape = Shape::new(first.rows.as_ref());
        let id = IdField::new(&first.id, with_rows, &mut shape);
        let time = TimeField::new(first.event_time.as_ref(), &mut shape);
        let (mut readings, mut columns) = (Vec::<Reading>::new(), Vec::new());
        for LabelListener { model, task, fields } in listeners {
            if let Some(fault) = fields.faults().into_iter().next() {
                return Err(fault);
            }
            check_shared(fields, first)?;
            let classes = Classes::new(task);
            let known = readings
                .iter()
                .position(|reading| reading.selector == fields.label && reading.classes == classes);
            let column = known.unwrap_or_else(|| {
                let field = Field::new("label", &fields.label, &mut shape);
                readings.push(Reading { selector: fields.label.clone(), field, classes });
                readings.len() - 1
            });
            columns.push((*model, column));
        }
        let (reader, scratch) = (Reader::new(shape), String::new());
        let values = Vec::with_capacity(readings.len());
        Ok(Self { reader, with_rows, id, time, readings, columns, values, scratch })
    }

    /// Which column of `LabelBatch::values` a model reads; `None` if it does not listen.
    pub fn column(&self, model: ModelIndex) -> Option<usize> {
        self.columns.iter().find(|(listener, _)| *listener == model).map(|(_, column)| *column)
    }

    /// An empty batch with the right columns.
    pub fn output(&self) -> LabelOutput {
        let values = self.readings.iter().map(|_| LabelColumn { values: Vec::new() }).collect();
        let batch = LabelBatch { values, ..LabelBatch::default() };
        LabelOutput { batch, refusals: Vec::new() }
    }

    /// Appends every good row of the record, and a refusal for every other. A row that some
    /// listener can read is good; the others have `None` there. `out` is one that `output` made,
    /// started for the record's partition.
    pub fn decode(&mut self, record: &Record<'_>, out: &mut LabelOutput) -> RecordOutcome {
        let mut outcome = RecordOutcome::default();
        let Some(payload) = record.payload else {
            outcome.tombstone = 1;
            return outcome;
        };
        let Self { reader, with_rows, id, time, readings, values, scratch, .. } = self;
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
            match append(&row, (id, time, readings), values, scratch, &mut out.batch) {
                Ok(()) => outcome.appended += 1,
                Err(why) => refuse(record, row.row, why, &mut out.refusals, &mut outcome),
            }
        }
        outcome
    }
}

/// Appends one row; what may refuse it comes first, so that columns never differ in length.
fn append(
    row: &Row<'_>,
    (id, time, readings): (&IdField, &TimeField, &[Reading]),
    values: &mut Vec<Option<LabelValue>>,
    scratch: &mut String,
    batch: &mut LabelBatch,
) -> Result<(), Refuse> {
    let id = id.read(row, scratch)?;
    let event_time = time.read(row, scratch)?;
    let mut first_refusal = None;
    values.clear();
    for reading in readings {
        match reading.read(row, scratch) {
            Ok(value) => values.push(Some(value)),
            Err(why) => {
                first_refusal.get_or_insert(why);
                values.push(None);
            }
        }
    }
    if let Some(why) = first_refusal
        && values.iter().all(Option::is_none)
    {
        return Err(why);
    }
    let position = place(row.record, row.row);
    batch.offsets.push(position.offset);
    batch.rows.push(position.row);
    batch.record_times.push(row.record.timestamp);
    batch.event_times.push(event_time);
    batch.ids.push(id);
    for (column, value) in batch.values.iter_mut().zip(values) {
        column.values.push(*value);
    }
    Ok(())
}

impl Reading {
    #[inline]
    fn read(&self, row: &Row<'_>, scratch: &mut String) -> Result<LabelValue, Refuse> {
        match &self.classes {
            Some(classes) => classes.read(&self.field, row, scratch).map(LabelValue::Class),
            None => self.field.number(row).map(LabelValue::Number),
        }
    }
}

impl LabelOutput {
    /// Empties the batch; the following records are of this partition.
    pub fn start(&mut self, partition: i32) {
        self.refusals.clear();
        let batch = &mut self.batch;
        batch.partition = partition;
        batch.offsets.clear();
        batch.rows.clear();
        batch.record_times.clear();
        batch.event_times.clear();
        batch.ids.clear();
        batch.values.iter_mut().for_each(|column| column.values.clear());
    }
}

/// One row has one id and one event time, whoever listens.
fn check_shared(fields: &LabelFields, first: &LabelFields) -> Result<(), FieldFault> {
    let message = "models that share a label topic must agree on it";
    let differs = [
        ("rows", fields.rows != first.rows),
        ("id", fields.id != first.id),
        ("event_time", fields.event_time != first.event_time),
    ];
    match differs.into_iter().find(|(_, differs)| *differs) {
        Some((field, _)) => Err(FieldFault::new(field, message)),
        None => Ok(()),
    }
}
