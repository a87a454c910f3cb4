//! What a model's shards share and never change.

use super::event::{CLASS_NONE, ClassCode, LabelValue, PredictionBatch};
use super::join::Pending;
use super::layouts::Layouts;
use super::outputs::Outputs;
use super::pane::PaneShape;
use super::score::Resolution;
use super::sketch::{
    BinaryOutcome, MulticlassOutcome, Outcome, PerformanceCells, RegressionOutcome, Terms,
    probability_terms,
};
use super::slice::Slicer;
use super::spec::{ModelSpec, Task};
use super::window::Windows;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct ModelContext {
    pub spec: Arc<ModelSpec>,
    pub windows: Arc<Windows>,
    pub slicer: Slicer,
    pub layouts: Layouts,
    pub shape: Arc<PaneShape>,
    /// Makes outcomes ready for the model's cells.
    empty: PerformanceCells,
}

impl ModelContext {
    pub fn new(spec: Arc<ModelSpec>) -> Self {
        let windows = Arc::new(Windows::new(&spec));
        Self {
            empty: PerformanceCells::new(&spec.task, spec.weighted, Resolution::Fine),
            slicer: Slicer::new(&spec),
            layouts: Layouts::new(&spec),
            shape: Arc::new(PaneShape {
                windows: Arc::clone(&windows),
                task: spec.task.clone(),
                weighted: spec.weighted,
            }),
            windows,
            spec,
        }
    }

    /// The decision of a row: the class that the record gives, or what the score says.
    pub(super) fn decision(&self, batch: &PredictionBatch, row: usize) -> ClassCode {
        let class = batch.classes.get(row).copied().unwrap_or(CLASS_NONE);
        if class != CLASS_NONE {
            return class;
        }
        match &self.spec.task {
            Task::Binary { threshold, .. } => ClassCode::from(batch.scores[row] >= *threshold),
            Task::Multiclass { classes, .. } => {
                let row = probabilities(batch, row, classes.len());
                probability_terms(row, 0).top_class.unwrap_or(CLASS_NONE)
            }
            Task::Regression { .. } => CLASS_NONE,
        }
    }

    /// What a prediction with this label adds to its cells.
    pub(super) fn terms(
        &self,
        outputs: &Outputs,
        prediction: &Pending,
        label: LabelValue,
    ) -> Terms {
        let weight = prediction.weight;
        let outcome = match (&self.spec.task, label) {
            (Task::Multiclass { classes, .. }, LabelValue::Class(label)) => {
                let known = outputs
                    .get(prediction.output)
                    .map(|ranked| probability_terms(&ranked.row(classes.len()), label))
                    .unwrap_or_default();
                Outcome::Multiclass(MulticlassOutcome {
                    decision: prediction.class,
                    label,
                    log_loss: known.log_loss,
                    rank: known.rank,
                    top: known.top,
                    weight,
                })
            }
            (_, LabelValue::Class(label)) => Outcome::Binary(BinaryOutcome {
                score: Some(f64::from_bits(prediction.output)).filter(|score| !score.is_nan()),
                decision: prediction.class == 1,
                label: label == 1,
                weight,
            }),
            (_, LabelValue::Number(label)) => Outcome::Regression(RegressionOutcome {
                prediction: f64::from_bits(prediction.output),
                label,
                weight,
            }),
        };
        self.empty.terms(&outcome)
    }
}

/// A row's probabilities; empty where none are given.
pub(super) fn probabilities(batch: &PredictionBatch, row: usize, classes: usize) -> &[f64] {
    batch.probabilities.get(row * classes..(row + 1) * classes).unwrap_or(&[])
}
