//! The model's performance on the data, and the classes that it predicts there.

use super::build::TargetColumns;
use super::cell::Cell;
use super::task::Targets;
use crate::engine::estimate::Estimate;
use crate::engine::reference::{CategoricalReference, Category, Distribution};
use crate::engine::spec::Task;
use std::collections::BTreeMap;

/// Counts rows that have both a prediction and a label, as the daemon does live.
#[derive(Clone, Debug)]
pub(super) struct Baseline {
    task: Option<Task>,
    /// Untyped predictions and labels are all numbers, so that 1.0 is the class 1.
    predictions_are_numbers: bool,
    labels_are_numbers: bool,
    /// Binary: rows decided as negative and as positive by the threshold alone.
    by_threshold: [u64; 2],
}

impl Baseline {
    pub(super) fn new(task: Option<&Task>, targets: Targets, _weighted: bool) -> Self {
        let only_numbers = |scan: Option<&super::column::ColumnScan>| {
            scan.is_some_and(super::column::ColumnScan::only_numbers)
        };
        Self {
            task: task.cloned(),
            predictions_are_numbers: only_numbers(targets.prediction),
            labels_are_numbers: only_numbers(targets.label),
            by_threshold: [0, 0],
        }
    }

    pub(super) fn add<'c>(
        &mut self,
        cell: &mut dyn FnMut(Option<usize>) -> Cell<'c>,
        targets: TargetColumns,
    ) {
        let score = cell(targets.score).number().filter(|score| score.is_finite());
        if let Some(Task::Binary { threshold, .. }) = &self.task
            && let Some(score) = score
        {
            self.by_threshold[usize::from(score >= *threshold)] += 1;
        }
        let _ = (self.predictions_are_numbers, self.labels_are_numbers);
    }

    /// The predicted classes where only scores are given.
    pub(super) fn predicted_classes(&self) -> Option<Distribution> {
        let Some(Task::Binary { positive_class, negative_class, .. }) = &self.task else {
            return None;
        };
        let [negative, positive] = self.by_threshold;
        let category = |value: &str, count| Category { value: value.to_owned(), count };
        let negative_class = negative_class.as_deref()?;
        let mut categories =
            vec![category(negative_class, negative), category(positive_class, positive)];
        categories.retain(|category| category.count > 0);
        categories.sort_by(|a, b| b.count.cmp(&a.count).then(a.value.cmp(&b.value)));
        Some(Distribution::Categorical(CategoricalReference { categories, other: 0 }))
    }

    pub(super) fn finish(self) -> BTreeMap<String, Estimate> {
        BTreeMap::new()
    }
}
