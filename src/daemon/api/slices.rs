//! The slices of one window against the rest, the worst first.

use super::windows::short;
use super::{ModelView, Spot, end_of, estimate, name};
use crate::engine::estimate::Estimate;
use crate::engine::history::{RankedSlice, Row, SlicePoint, SlicePoints, headline, rank_slices};
use crate::engine::metric::Metric;
use crate::engine::slice::SliceKey;
use crate::engine::sum::{self, Range, SliceSum};
use crate::engine::time::Timestamp;
use crate::io::http::api::dto::{SliceHistory, SliceRow, SliceWhole, SlicesAnswer};
use crate::io::http::api::query::Place;
use crate::io::http::api::{ApiError, Page};
use std::collections::BTreeMap;

/// Slices of panes, with their bins of scores, that one query adds up: about 40 ms.
const WORK_MAX: usize = 50_000;

impl ModelView<'_> {
    pub(super) fn slices(
        &self,
        at: &Place,
        metric: Option<Metric>,
        page: Page,
    ) -> Result<SlicesAnswer, ApiError> {
        let spot = self.spot(at)?;
        let (usual, _) = headline(self.spec);
        let metric = metric.unwrap_or(usual);
        if !self.kept().metrics().contains(&metric) {
            return Err(self.no_such_metric(metric));
        }
        let mut answer = SlicesAnswer {
            window: spot.window.size.to_string(),
            version: spot.version.as_deref().map(name),
            end: None,
            metric: metric.name().to_owned(),
            whole: None,
            total: 0,
            slices: Vec::new(),
        };
        let Some(version) = spot.version.as_deref() else { return Ok(answer) };
        let keys: Vec<SliceKey> = match self.sliceable(&spot, version) {
            Some(end) => {
                let range = Range { version, start: end - spot.window.size, end };
                self.bound_work(metric, range)?;
                let table = sum::slices_for(metric, &self.partials, range);
                let whole = table.get(&SliceKey::WHOLE).cloned().unwrap_or_default();
                let ranked = rank_slices(metric, &table);
                answer.end = Some(end_of(end));
                answer.total = ranked.len();
                answer.whole = Some(slice_whole(metric, &whole));
                let rows = page.cut(ranked);
                let row = |ranked: &RankedSlice| self.slice_row(ranked, whole.predictions);
                answer.slices = rows.iter().map(row).collect();
                rows.iter().map(|ranked| ranked.key).collect()
            }
            None if metric == usual => self.remembered(&spot, version, page, &mut answer),
            None => Vec::new(),
        };
        if metric == usual {
            self.add_history(&spot, version, &keys, &mut answer.slices);
        }
        Ok(answer)
    }

    /// Refuses what would keep the engine from its work for too long.
    fn bound_work(&self, metric: Metric, range: Range<'_>) -> Result<(), ApiError> {
        if metric.is_of_counts() || sum::slices_work(&self.partials, range) <= WORK_MAX {
            return Ok(());
        }
        Err(ApiError::unavailable(format!(
            "{metric} of so many slices over {} is too much work at once; ask for a smaller \
             window, or for a metric of counts, such as accuracy",
            range.end - range.start
        )))
    }

    /// The newest window with enough labels whose panes are all there; without one, the newest with
    /// all panes.
    fn sliceable(&self, spot: &Spot, version: &str) -> Option<Timestamp> {
        let windows = &self.context().windows;
        let level = windows.levels.iter().rposition(|level| level.windows.contains(&spot.index))?;
        let gone = self.partials.iter().map(|partial| partial.panes.released().rolled[level]);
        let gone = gone.max().unwrap_or(Timestamp::MAX);
        let rows: Vec<(Timestamp, &Row)> = self
            .kept()
            .windows(spot.index)
            .rev()
            .filter_map(|(end, rows)| Some((end, rows.get(version)?)))
            .take_while(|(end, _)| *end - spot.window.size >= gone)
            .collect();
        let enough = rows.iter().find(|(_, row)| self.is_enough(row));
        enough.or(rows.first()).map(|(end, _)| *end)
    }

    /// The slices that history has of the newest window with enough labels: the worst ones, without
    /// the rest that they were compared with.
    fn remembered(
        &self,
        spot: &Spot,
        version: &str,
        page: Page,
        answer: &mut SlicesAnswer,
    ) -> Vec<SliceKey> {
        let enough = |row: &Row| self.is_enough(row) && row.slices.is_some();
        let newest = self.newest_where(spot.index, version, enough);
        let Some((end, row)) = newest else { return Vec::new() };
        let Some(slices) = &row.slices else { return Vec::new() };
        let (metric, _) = headline(self.spec);
        answer.end = Some(end_of(end));
        answer.total = slices.points.len();
        answer.whole = Some(SliceWhole {
            predictions: row.predictions,
            labeled: row.labeled,
            coverage: row.coverage(),
            estimate: self.value(row, metric).as_ref().map(estimate),
        });
        let of = |point: &SlicePoint| RankedSlice {
            key: point.key,
            predictions: u64::from(point.predictions),
            labeled: u64::from(point.labeled),
            value: Some(Estimate::exact(short(point.value), None, u64::from(point.labeled))),
            rest: None,
            gap: point.gap.map(short),
            gap_interval: None,
        };
        let points = page.cut(slices.points.clone());
        answer.slices = points
            .iter()
            .map(|point| {
                let row = self.slice_row(&of(point), row.predictions);
                SliceRow { gap_lower: point.gap_lower.map(short), ..row }
            })
            .collect();
        points.iter().map(|point| point.key).collect()
    }

    fn slice_row(&self, ranked: &RankedSlice, predictions: u64) -> SliceRow {
        let part = |count: u64, of: u64| (of > 0).then(|| count as f64 / of as f64);
        SliceRow {
            slice: self.slice_name(ranked.key),
            predictions: ranked.predictions,
            labeled: ranked.labeled,
            coverage: part(ranked.labeled, ranked.predictions),
            estimate: ranked.value.as_ref().map(estimate),
            rest: ranked.rest.as_ref().map(estimate),
            gap: ranked.gap,
            gap_lower: ranked.gap_interval.map(|interval| interval.lower),
            gap_upper: ranked.gap_interval.map(|interval| interval.upper),
            share: part(ranked.predictions, predictions),
            history: SliceHistory::default(),
        }
    }

    /// What each of the slices was in the windows that have them.
    fn add_history(&self, spot: &Spot, version: &str, keys: &[SliceKey], rows: &mut [SliceRow]) {
        let at: BTreeMap<SliceKey, usize> = keys.iter().copied().zip(0..).collect();
        let windows = self.kept().windows(spot.index);
        let with_slices: Vec<(Timestamp, &SlicePoints)> = windows
            .filter_map(|(end, rows)| Some((end, rows.get(version)?.slices.as_ref()?)))
            .collect();
        for row in rows.iter_mut() {
            row.history.ends = with_slices.iter().map(|(end, _)| end_of(*end)).collect();
            row.history.values = vec![None; with_slices.len()];
        }
        for (window, (_, slices)) in with_slices.iter().enumerate() {
            for point in &slices.points {
                if let Some(row) = at.get(&point.key).and_then(|&at| rows.get_mut(at)) {
                    row.history.values[window] = Some(short(point.value));
                }
            }
        }
    }
}

fn slice_whole(metric: Metric, whole: &SliceSum) -> SliceWhole {
    let value =
        whole.cells.as_ref().and_then(|cells| crate::engine::metric::estimate(metric, cells));
    SliceWhole {
        predictions: whole.predictions,
        labeled: whole.labelled(),
        coverage: whole.coverage(),
        estimate: value.as_ref().map(estimate),
    }
}
