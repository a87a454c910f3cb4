//! Estimates of windows that fire.

use super::{EstimateReport, Monitor, WindowKey};
use crate::engine::cbpe::{Nowcast, WindowSums};
use crate::engine::effect::FiringKind;
use crate::engine::metric::Metric;
use crate::engine::model_shard::Partial;
use crate::engine::nowcasts::Moment;
use crate::engine::sum::{self, Range, SliceSum};
use std::sync::Arc;

impl Monitor {
    /// The newest window of a kind that could be estimated for a version.
    pub(super) fn estimates(&self, version: &str, index: usize) -> Option<EstimateReport> {
        let kind = index as u16;
        let (end, row) = self.nowcasts.newest(kind, version)?;
        let shown = self.history.row(kind, end, version);
        let grades = self.nowcasts.grades(kind, version);
        let metrics = self.nowcasts.metrics().iter().copied();
        Some(EstimateReport {
            size: self.context.windows.specs[index].size,
            end,
            predictions: shown.map_or(0, |row| row.predictions),
            labeled: shown.map_or(0, |row| row.labeled),
            metrics: metrics.zip(row.metrics.iter().copied()).collect(),
            grades: grades
                .filter(|(_, grade)| grade.windows().len() > 0)
                .map(|(metric, grade)| (metric, grade.clone()))
                .collect(),
        })
    }

    /// What a window of one version is estimated to be, before all labels are there. Grades what is
    /// final. Empty where the version has no calibration of its own.
    pub(super) fn nowcast(
        &mut self,
        shards: &[&Partial],
        (index, end): WindowKey,
        kind: FiringKind,
        version: &str,
        whole: &SliceSum,
    ) -> Vec<(Metric, Nowcast)> {
        let context = Arc::clone(&self.context);
        let Some(estimator) = context.layouts.estimator(version) else { return Vec::new() };
        let size = context.windows.specs[usize::from(index)].size;
        let range = Range { version, start: end - size, end };
        let Some(expected) = sum::expected(shards, range) else { return Vec::new() };
        let labels = self.closing(shards).map_or(end, |(_, labels)| labels);
        let moment = Moment {
            index,
            end,
            version,
            kind,
            age: labels.max(end) - end,
            disjoint: end.floor(size, context.windows.origin) == end,
        };
        let sums = WindowSums { expected: &expected, measured: whole.cells.as_ref() };
        self.nowcasts.fired(moment, estimator, sums)
    }
}
