//! The model's performance on the data, and the classes that it predicts there.

use super::build::TargetColumns;
use super::calibrate::{CalibrationRows, Fitted};
use super::cell::Cell;
use super::column::ColumnScan;
use super::task::Targets;
use crate::engine::estimate::Estimate;
use crate::engine::event::{CLASS_OTHER, ClassCode};
use crate::engine::metric::{Metric, estimate};
use crate::engine::reference::{CategoricalReference, Category, Distribution};
use crate::engine::score::Resolution;
use crate::engine::sketch::{
    BinaryOutcome, MulticlassOutcome, Outcome, PerformanceCells, RegressionOutcome, Sign, Sketch,
};
use crate::engine::spec::Task;
use std::collections::BTreeMap;

/// Counts rows that have both a prediction and a label, as the daemon does live.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    task: Task,
    cells: PerformanceCells,
    weighted: bool,
    /// Untyped predictions and labels are all numbers, so that 1.0 is the class 1.
    predictions_are_numbers: bool,
    labels_are_numbers: bool,
    /// Binary: rows decided by the threshold alone, as negative and as positive.
    by_threshold: [u64; 2],
    /// Labelled rows without a prediction that could be compared.
    pub left_out: u64,
    scored: CalibrationRows,
    /// Multiclass: the columns of the classes' probabilities.
    probabilities: Vec<usize>,
}

impl Baseline {
    pub(super) fn new(task: &Task, targets: Targets, weighted: bool) -> Self {
        let only_numbers = |scan: Option<&ColumnScan>| scan.is_some_and(ColumnScan::only_numbers);
        Self {
            cells: PerformanceCells::new(task, weighted, Resolution::Fine),
            task: task.clone(),
            weighted,
            predictions_are_numbers: only_numbers(targets.prediction),
            labels_are_numbers: only_numbers(targets.label),
            by_threshold: [0, 0],
            left_out: 0,
            scored: CalibrationRows::default(),
            probabilities: Vec::new(),
        }
    }

    pub(super) fn with_probabilities(self, probabilities: Vec<usize>) -> Self {
        Self { probabilities, ..self }
    }

    /// Counts one row, given as its cells by the columns' positions.
    pub(super) fn add<'c>(&mut self, cell: &dyn Fn(usize) -> Cell<'c>, targets: TargetColumns) {
        let said = |at: &usize| cell(*at).number().filter(|p| (0.0..=1.0).contains(p));
        let probabilities: Option<Vec<f64>> = self.probabilities.iter().map(said).collect();
        let cell = |at: Option<usize>| at.map_or(Cell::Missing, cell);
        let score = cell(targets.score).number().filter(|score| score.is_finite());
        let prediction = cell(targets.prediction);
        let label = cell(targets.label);
        let weight = match self.weighted {
            true => cell(targets.weight).number().filter(|weight| *weight > 0.0),
            false => Some(1.0),
        };
        if let (Task::Binary { threshold, .. }, Some(score)) = (&self.task, score) {
            self.by_threshold[usize::from(score >= *threshold)] += 1;
        }
        if matches!(label, Cell::Missing | Cell::Null) {
            return;
        }
        match self.outcome(score, prediction, label, weight) {
            Some(outcome) => {
                self.scored.add(&outcome, probabilities.as_deref());
                self.cells.add(&outcome, Sign::Add);
            }
            None => self.left_out += 1,
        }
    }

    /// Whether the predicted class of a labelled row is wrong; `None` for a regression, and without
    /// a label or a prediction.
    pub(super) fn is_wrong<'c>(
        &self,
        cell: &dyn Fn(usize) -> Cell<'c>,
        targets: TargetColumns,
    ) -> Option<bool> {
        let cell = |at: Option<usize>| at.map_or(Cell::Missing, cell);
        let score = cell(targets.score).number().filter(|score| score.is_finite());
        let label = cell(targets.label);
        if matches!(label, Cell::Missing | Cell::Null) {
            return None;
        }
        match self.outcome(score, cell(targets.prediction), label, Some(1.0))? {
            Outcome::Binary(outcome) => Some(outcome.decision != outcome.label),
            Outcome::Multiclass(outcome) => Some(outcome.decision != outcome.label),
            Outcome::Regression(_) => None,
        }
    }

    fn outcome(
        &self,
        score: Option<f64>,
        prediction: Cell,
        label: Cell,
        weight: Option<f64>,
    ) -> Option<Outcome> {
        let weight = weight.filter(|weight| weight.is_finite())?;
        let predicted = prediction.category(self.predictions_are_numbers);
        let label_class = label.category(self.labels_are_numbers);
        match &self.task {
            Task::Binary { positive_class, threshold, .. } => {
                let probability = |score: &f64| (0.0..=1.0).contains(score);
                let score = score.filter(probability);
                let decision = match predicted {
                    Some(class) => class == *positive_class,
                    None => score? >= *threshold,
                };
                let label = label_class? == *positive_class;
                Some(Outcome::Binary(BinaryOutcome { score, decision, label, weight }))
            }
            Task::Multiclass { classes, .. } => {
                let code = |class: String| match classes.binary_search(&class) {
                    Ok(at) => at as ClassCode,
                    Err(_) => CLASS_OTHER,
                };
                let (decision, label) = (code(predicted?), code(label_class?));
                Some(Outcome::Multiclass(MulticlassOutcome {
                    decision,
                    label,
                    log_loss: None,
                    rank: None,
                    top: None,
                    weight,
                }))
            }
            Task::Regression { .. } => {
                let prediction = score.or_else(|| prediction.number())?;
                let label = label.number()?;
                let finite = prediction.is_finite() && label.is_finite();
                let outcome = RegressionOutcome { prediction, label, weight };
                finite.then_some(Outcome::Regression(outcome))
            }
        }
    }

    /// The predicted classes where only scores are given.
    pub(super) fn classes_by_threshold(&self) -> Option<Distribution> {
        let Task::Binary { positive_class, negative_class, .. } = &self.task else { return None };
        let [negative, positive] = self.by_threshold;
        let category = |value: &str, count| Category { value: value.to_owned(), count };
        let negative_class = negative_class.as_deref()?;
        let mut categories =
            vec![category(negative_class, negative), category(positive_class, positive)];
        categories.retain(|category| category.count > 0);
        categories.sort_by(|a, b| b.count.cmp(&a.count).then(a.value.cmp(&b.value)));
        (!categories.is_empty())
            .then_some(Distribution::Categorical(CategoricalReference { categories, other: 0 }))
    }

    /// How scores came true.
    pub(super) fn calibration(&mut self) -> Fitted {
        std::mem::take(&mut self.scored).finish(&self.task)
    }

    /// Every metric of the task that is defined on the rows.
    pub(super) fn finish(&self) -> BTreeMap<String, Estimate> {
        let of = |metric: Metric| Some((metric.name().to_owned(), estimate(metric, &self.cells)?));
        Metric::of_task(&self.task).into_iter().filter_map(of).collect()
    }
}
