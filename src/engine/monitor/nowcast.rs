//! Estimates of windows that fire, and of those that are shown.

use super::{EstimateReport, Monitor, WindowKey};
use crate::engine::cbpe::{Estimates, Nowcast, Open, WindowSums};
use crate::engine::dle::LossSums;
use crate::engine::effect::FiringKind;
use crate::engine::metric::Metric;
use crate::engine::model_shard::Partial;
use crate::engine::nowcasts::Moment;
use crate::engine::spec::Task;
use crate::engine::sum::{self, Range, SliceSum};

impl Monitor {
    /// The newest window of a kind that could be estimated for a version, with the labels that are
    /// there now.
    pub(super) fn estimates(
        &self,
        shards: &[&Partial],
        version: &str,
        index: usize,
    ) -> Option<EstimateReport> {
        let kind = index as u16;
        let (end, row) = self.nowcasts.newest(kind, version)?;
        let size = self.context.windows.specs[index].size;
        let range = Range { version, start: end - size, end };
        let whole = sum::whole(shards, range, None);
        let moment = self.moment(shards, (kind, end), FiringKind::Late, version);
        let worked_out =
            self.estimate(shards, range, &whole, |from| self.nowcasts.work_out(moment, from));
        let grades = self.nowcasts.grades(kind, version);
        // Where its panes have gone, what it showed last.
        let metrics = worked_out.unwrap_or_else(|| row.metrics.clone());
        Some(EstimateReport {
            size,
            end,
            predictions: whole.predictions,
            labeled: whole.labelled(),
            metrics: self.nowcasts.metrics().iter().copied().zip(metrics).collect(),
            grades: grades
                .filter(|(_, grade)| grade.windows().len() > 0)
                .map(|(metric, grade)| (metric, grade.clone()))
                .collect(),
        })
    }

    /// Makes something of a window's estimates; `None` where there are none: without a calibration
    /// or a model of losses of the version's own, or without predictions.
    fn estimate<T>(
        &self,
        shards: &[&Partial],
        range: Range<'_>,
        whole: &SliceSum,
        make: impl FnOnce(&dyn Estimates) -> T,
    ) -> Option<T> {
        let measured = whole.cells.as_ref();
        let predictions = whole.predictions;
        if predictions == 0 {
            return None;
        }
        if let Some(models) = self.context.layouts.losses(range.version) {
            let predicted = &sum::losses(shards, range)?;
            return Some(make(&LossSums { models, predicted, measured, predictions }));
        }
        let estimator = self.context.layouts.estimator(range.version)?;
        let expected = &sum::expected(shards, range)?;
        let open = self.open(shards, range);
        Some(make(&(estimator, WindowSums { expected, measured, open: open.as_ref() })))
    }

    /// The predictions without a label, weighed by how long labels of each class take; `None` for
    /// other than binary models, or before that is known.
    fn open(&self, shards: &[&Partial], range: Range<'_>) -> Option<Open> {
        let maturity = self.nowcasts.maturity(range.version)?;
        let binary = matches!(self.context.spec.task, Task::Binary { .. });
        let (_, labels) = self.closing(shards).filter(|_| binary)?;
        let horizon = self.context.spec.join.horizon;
        Some(sum::open(shards, range, &|middle| maturity.odds(labels - middle, horizon)))
    }

    fn moment<'a>(
        &self,
        shards: &[&Partial],
        (index, end): WindowKey,
        kind: FiringKind,
        version: &'a str,
    ) -> Moment<'a> {
        let size = self.context.windows.specs[usize::from(index)].size;
        let labels = self.closing(shards).map_or(end, |(_, labels)| labels);
        Moment {
            index,
            end,
            version,
            kind,
            age: labels.max(end) - end,
            disjoint: end.floor(size, self.context.windows.origin) == end,
        }
    }

    /// What a window of one version is estimated to be, before all labels are there. Grades what is
    /// final.
    pub(super) fn nowcast(
        &mut self,
        shards: &[&Partial],
        (index, end): WindowKey,
        kind: FiringKind,
        version: &str,
        whole: &SliceSum,
    ) -> Vec<(Metric, Nowcast)> {
        let size = self.context.windows.specs[usize::from(index)].size;
        let range = Range { version, start: end - size, end };
        let moment = self.moment(shards, (index, end), kind, version);
        let found = self.estimate(shards, range, whole, |from| self.nowcasts.prepare(moment, from));
        found.map(|found| self.nowcasts.take(moment, found)).unwrap_or_default()
    }
}
