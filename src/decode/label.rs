//! Labels of one topic: one row for all models that listen.

use super::record::{Record, RecordOutcome, Refusal};
use super::spec::{FieldFault, LabelFields};
use crate::engine::event::{LabelBatch, ModelIndex};
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
    columns: Vec<(ModelIndex, usize)>,
}

/// Rows of one partition, reused from poll to poll.
pub struct LabelOutput {
    pub batch: LabelBatch,
    pub refusals: Vec<Refusal>,
}

impl LabelDecoder {
    /// # Errors
    /// The first fault of the fields; listeners that disagree on rows, id or event time.
    pub fn new(listeners: &[LabelListener<'_>]) -> Result<Self, FieldFault> {
        Ok(Self { columns: listeners.iter().map(|listener| (listener.model, 0)).collect() })
    }

    /// Which column of `LabelBatch::values` a model reads.
    pub fn column(&self, model: ModelIndex) -> Option<usize> {
        self.columns.iter().find(|(listener, _)| *listener == model).map(|(_, column)| *column)
    }

    /// An empty batch with the right columns.
    pub fn output(&self) -> LabelOutput {
        LabelOutput { batch: LabelBatch::default(), refusals: Vec::new() }
    }

    /// Appends every good row of the record and reports every other. A row that some listener can read
    /// is good; the others have `None` there.
    pub fn decode(&mut self, record: &Record<'_>, out: &mut LabelOutput) -> RecordOutcome {
        let _ = (record, out);
        RecordOutcome::default()
    }
}

impl LabelOutput {
    /// Empties the batch; the following records are of this partition.
    pub fn start(&mut self, partition: i32) {
        self.refusals.clear();
        self.batch.partition = partition;
    }
}
