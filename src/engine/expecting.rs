//! From predictions and their labels to the sums of expectations in their pane.

use super::cbpe::Estimator;
use super::counters::delay_bucket;
use super::dle::LossModels;
use super::event::{LabelValue, PredictionBatch};
use super::join::{Change, Pending};
use super::model_shard::ModelContext;
use super::pane::{PaneShape, VersionPane};
use super::sketch::{ExpectedCells, ExpectedRow, Sign, Sketch};
use super::spec::Task;

/// A prediction made ready for the sums.
#[derive(Clone, Debug)]
pub struct Expecting<'a> {
    estimator: &'a Estimator,
    row: ExpectedRow,
    /// The class and the delay's bucket of its first label, when this is it.
    first: Option<(usize, usize)>,
}

impl ModelContext {
    /// A prediction as it is expected to turn out; `None` where its version has no calibration.
    /// `probabilities` gives a multiclass prediction's.
    pub(super) fn expecting<'a>(
        &'a self,
        version: &str,
        prediction: &Pending,
        probabilities: impl FnOnce(usize) -> Option<Vec<f64>>,
    ) -> Option<Expecting<'a>> {
        let estimator = self.layouts.estimator(version)?;
        let Pending { class, weight, .. } = *prediction;
        let row = match &self.spec.task {
            Task::Multiclass { classes, .. } => {
                let row = probabilities(classes.len()).unwrap_or_default();
                estimator.multiclass(&row, class, weight)
            }
            _ => estimator.binary(f64::from_bits(prediction.output), class == 1, weight),
        };
        Some(Expecting { estimator, row, first: None })
    }
}

impl Expecting<'_> {
    pub(super) fn into_row(self) -> ExpectedRow {
        self.row
    }

    /// Notes how long the label took, if it is the prediction's first.
    pub(super) fn with_label(mut self, change: &Change<'_>) -> Self {
        let first = change.first.filter(|_| !change.prediction.place.is_counted());
        self.first = first.and_then(|first| match first.value {
            LabelValue::Class(class) => Some((usize::from(class), delay_bucket(first.delay))),
            LabelValue::Number(_) => None,
        });
        self
    }
}

impl VersionPane {
    fn expected_mut(&mut self, shape: &PaneShape, estimator: &Estimator) -> &mut ExpectedCells {
        self.expected.get_or_insert_with(|| Box::new(estimator.cells(shape.weighted)))
    }

    /// Predictions came, or gave way to others.
    pub(super) fn expect(
        &mut self,
        shape: &PaneShape,
        estimator: &Estimator,
        rows: &[(ExpectedRow, Sign)],
    ) {
        let cells = self.expected_mut(shape, estimator);
        rows.iter().for_each(|(row, sign)| cells.add(row, *sign));
    }

    /// It has a label, or has none after all.
    pub(super) fn settle(&mut self, shape: &PaneShape, expecting: &Expecting<'_>, sign: Sign) {
        self.expected_mut(shape, expecting.estimator).label(&expecting.row, sign);
    }

    /// Its first label took so long.
    pub(super) fn delayed(&mut self, shape: &PaneShape, expecting: &Expecting<'_>) {
        if let Some((class, bucket)) = expecting.first {
            self.expected_mut(shape, expecting.estimator).delayed(class, bucket);
        }
    }

    /// Adds the losses that are expected of some rows of a batch.
    pub(super) fn expect_losses(
        &mut self,
        models: &LossModels,
        batch: &PredictionBatch,
        rows: &[u32],
    ) {
        let sums = self.losses.get_or_insert_default();
        let mut losses = Vec::new();
        for &row in rows {
            models.losses(batch, row as usize, &mut losses);
            sums.add(&losses);
        }
    }

    /// Adds the expectations of other panes.
    pub(super) fn merge_expected(&mut self, other: &ExpectedCells) {
        match &mut self.expected {
            Some(mine) => mine.merge(other),
            None => self.expected = Some(Box::new(other.clone())),
        }
    }
}
