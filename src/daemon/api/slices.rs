//! The slices of one window against the rest, the worst first.

use super::windows::short;
use super::{ModelView, Spot, end_of, estimate, name};
use crate::engine::history::{RankedSlice, Row, headline, rank_slices};
use crate::engine::metric::Metric;
use crate::engine::slice::SliceKey;
use crate::engine::sum::{self, Range, SliceSum};
use crate::engine::time::Timestamp;
use crate::io::http::api::dto::{SliceHistory, SliceRow, SliceWhole, SlicesAnswer};
use crate::io::http::api::query::Place;
use crate::io::http::api::{ApiError, Page};

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
        let version = spot.version.as_deref();
        let window = version.and_then(|version| self.sliceable(&spot, version));
        let mut answer = SlicesAnswer {
            window: spot.window.size.to_string(),
            version: version.map(name),
            end: window.map(end_of),
            metric: metric.name().to_owned(),
            whole: None,
            total: 0,
            slices: Vec::new(),
        };
        let (Some(version), Some(end)) = (version, window) else { return Ok(answer) };
        let range = Range { version, start: end - spot.window.size, end };
        let table = sum::slices(&self.partials, range);
        let whole = table.get(&SliceKey::WHOLE).cloned().unwrap_or_default();
        let ranked = rank_slices(metric, &table);
        answer.total = ranked.len();
        answer.whole = Some(self.slice_whole(metric, &whole));
        answer.slices = page
            .cut(ranked)
            .iter()
            .map(|ranked| {
                let mut row = self.slice_row(ranked, whole.predictions);
                if metric == usual {
                    row.history = self.slice_history(&spot, version, ranked.key);
                }
                row
            })
            .collect();
        Ok(answer)
    }

    /// The newest window with enough labels whose panes are all there; without one, the newest.
    fn sliceable(&self, spot: &Spot, version: &str) -> Option<Timestamp> {
        let final_through = self.monitor.monitor.state.final_through.get(spot.index).copied();
        let held = |end: &Timestamp| final_through.is_none_or(|through| *end > through);
        let rows: Vec<(Timestamp, &Row)> = self
            .kept()
            .windows(spot.index)
            .rev()
            .filter_map(|(end, rows)| Some((end, rows.get(version)?)))
            .take_while(|(end, _)| held(end))
            .collect();
        let enough = rows.iter().find(|(_, row)| self.is_enough(row));
        enough.or(rows.first()).map(|(end, _)| *end)
    }

    fn slice_whole(&self, metric: Metric, whole: &SliceSum) -> SliceWhole {
        let value =
            whole.cells.as_ref().and_then(|cells| crate::engine::metric::estimate(metric, cells));
        SliceWhole {
            predictions: whole.predictions,
            labeled: whole.labelled(),
            coverage: whole.coverage(),
            estimate: value.as_ref().map(estimate),
        }
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

    fn slice_history(&self, spot: &Spot, version: &str, key: SliceKey) -> SliceHistory {
        let mut history = SliceHistory::default();
        for (end, rows) in self.kept().windows(spot.index) {
            let slices = rows.get(version).and_then(|row| row.slices.as_ref());
            let Some(slices) = slices else { continue };
            let point = slices.points.iter().find(|point| point.key == key);
            history.ends.push(end_of(end));
            history.values.push(point.map(|point| short(point.value)));
        }
        history
    }
}
