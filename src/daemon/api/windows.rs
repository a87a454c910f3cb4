//! History of windows, in columns.

use super::{ModelView, end_of};
use crate::engine::estimate::Estimate;
use crate::engine::history::{Mark, MarkKind, Row, SlicePoint};
use crate::engine::metric::Metric;
use crate::engine::nowcasts::Grade;
use crate::engine::slice::SliceKey;
use crate::engine::time::Timestamp;
use crate::io::http::api::ApiError;
use crate::io::http::api::dto::{
    EstimateGrade, EstimateSeries, HistoryAnswer, HistoryMark, MetricSeries, Series, name, stretch,
};
use crate::io::http::api::query::HistoryQuery;
use std::collections::BTreeMap;

impl ModelView<'_> {
    pub(super) fn history(&self, query: &HistoryQuery) -> Result<HistoryAnswer, ApiError> {
        let spot = self.spot(&query.at)?;
        let metrics = self.chosen(&query.metrics)?;
        let slice = query.slice.as_deref().map(|slice| self.slice_key(slice)).transpose()?;
        let versions = match (&query.at.version, &spot.version) {
            (Some(_), Some(version)) => vec![version.clone()],
            _ => self.known_versions(),
        };
        let (from, to) = (query.from.unwrap_or(Timestamp::MIN), query.to.unwrap_or(Timestamp::MAX));
        let series = versions
            .iter()
            .map(|version| {
                let rows = self.kept().rows(spot.index, version);
                let rows: Vec<(Timestamp, &Row)> =
                    rows.filter(|(end, _)| (from..=to).contains(end)).collect();
                self.series((spot.index, version), &rows, &metrics, slice)
            })
            .filter(|series| !series.ends.is_empty())
            .collect();
        let marks = self
            .kept()
            .marks()
            .filter(|mark| (from..=to).contains(&mark.at))
            .filter(|mark| query.at.version.is_none() || versions.contains(&mark.version))
            .map(mark)
            .collect();
        Ok(HistoryAnswer {
            window: spot.window.size.to_string(),
            size: stretch(spot.window.size),
            every: stretch(spot.window.every),
            series,
            marks,
        })
    }

    /// The metrics that were asked for, which must be the task's; without any, all.
    fn chosen(&self, asked: &[Metric]) -> Result<Vec<Metric>, ApiError> {
        let known = self.kept().metrics();
        if let Some(other) = asked.iter().find(|metric| !known.contains(metric)) {
            return Err(self.no_such_metric(*other));
        }
        Ok(if asked.is_empty() { known.to_vec() } else { asked.to_vec() })
    }

    pub(super) fn no_such_metric(&self, metric: Metric) -> ApiError {
        let names: Vec<&str> = self.kept().metrics().iter().map(|metric| metric.name()).collect();
        let task = self.spec.task.name();
        let names = names.join(", ");
        ApiError::bad_request(format!("metric: a {task} model has no {metric}; there are {names}"))
    }

    /// The slice of this name among those that the history or the newest panes hold.
    fn slice_key(&self, asked: &str) -> Result<SliceKey, ApiError> {
        let mut keys: Vec<SliceKey> = Vec::new();
        for index in 0..self.spec.windows.len() {
            let rows = self.kept().windows(index).flat_map(|(_, rows)| rows.values());
            keys.extend(
                rows.filter_map(|row| row.slices.as_ref())
                    .flat_map(|slices| slices.points.iter().map(|point| point.key)),
            );
            keys.sort_unstable();
            keys.dedup();
        }
        let found = keys.into_iter().find(|key| self.slice_name(*key).name == asked);
        found.ok_or_else(|| {
            let asked = super::quoted(asked);
            ApiError::not_found(format!(
                "no window holds a slice {asked}; slices are named as /slices lists them"
            ))
        })
    }

    fn series(
        &self,
        (index, version): (usize, &str),
        rows: &[(Timestamp, &Row)],
        metrics: &[Metric],
        slice: Option<SliceKey>,
    ) -> Series {
        let point = |row: &Row| -> Option<SlicePoint> {
            let points = &row.slices.as_ref()?.points;
            points.iter().find(|point| Some(point.key) == slice).copied()
        };
        // A slice's history has the headline's metric alone, and not of every window.
        let rows: Vec<(Timestamp, &Row, Option<SlicePoint>)> = rows
            .iter()
            .map(|(end, row)| (*end, *row, point(row)))
            .filter(|(_, _, point)| slice.is_none() || point.is_some())
            .collect();
        let counts = |(_, row, point): &(Timestamp, &Row, Option<SlicePoint>)| match point {
            Some(point) => (u64::from(point.predictions), u64::from(point.labeled)),
            None => (row.predictions, row.labeled),
        };
        let (headline, _) = crate::engine::history::headline(self.spec);
        let mut columns = BTreeMap::new();
        for &metric in metrics {
            if slice.is_some() && metric != headline {
                continue;
            }
            let mut column = MetricSeries::default();
            for (_, row, point) in &rows {
                let estimate = self.value(row, metric).filter(|_| point.is_none());
                let of_slice = point.map(|point| short(point.value));
                column.value.push(of_slice.or(estimate.map(|estimate| estimate.value)));
                let interval = estimate.and_then(|estimate| estimate.interval);
                column.lower.push(interval.map(|interval| interval.lower));
                column.upper.push(interval.map(|interval| interval.upper));
            }
            columns.insert(metric.name().to_owned(), column);
        }
        let coverage = |row: &_| {
            let (predictions, labeled) = counts(row);
            (predictions > 0).then(|| labeled as f64 / predictions as f64)
        };
        Series {
            version: name(version),
            slice: slice.map(|key| self.slice_name(key)),
            ends: rows.iter().map(|(end, ..)| end_of(*end)).collect(),
            predictions: rows.iter().map(|row| Some(counts(row).0)).collect(),
            labeled: rows.iter().map(|row| Some(counts(row).1)).collect(),
            coverage: rows.iter().map(coverage).collect(),
            state: rows.iter().map(|(_, row, _)| row.kind.name().to_owned()).collect(),
            metrics: columns,
            baseline: self.baselines(version, if slice.is_some() { &[] } else { metrics }),
            estimates: match slice {
                Some(_) => BTreeMap::new(),
                None => self.estimates((index, version), &rows, metrics),
            },
        }
    }

    /// What the same windows were before all labels were there.
    fn estimates(
        &self,
        (index, version): (usize, &str),
        rows: &[(Timestamp, &Row, Option<SlicePoint>)],
        metrics: &[Metric],
    ) -> BTreeMap<String, EstimateSeries> {
        let nowcasts = &self.monitor.monitor.nowcasts;
        let index = index as u16;
        let mut all = BTreeMap::new();
        for (at, metric) in nowcasts.metrics().iter().enumerate() {
            if !metrics.contains(metric) {
                continue;
            }
            let mut series = EstimateSeries::default();
            for (end, ..) in rows {
                let row = nowcasts.row(index, *end, version);
                let estimated = row.and_then(|row| row.estimated(at));
                let combined = row.and_then(|row| row.combined(at));
                let lower = |e: Option<&Estimate>| Some(e?.interval?.lower);
                let upper = |e: Option<&Estimate>| Some(e?.interval?.upper);
                series.estimated.push(estimated.map(|estimate| estimate.value));
                series.estimated_lower.push(lower(estimated));
                series.estimated_upper.push(upper(estimated));
                series.combined.push(combined.map(|estimate| estimate.value));
                series.combined_lower.push(lower(combined));
                series.combined_upper.push(upper(combined));
            }
            if series.combined.iter().chain(&series.estimated).all(Option::is_none) {
                continue;
            }
            let grade = nowcasts.grades(index, version).nth(at).map(|(_, grade)| grade);
            series.grade = grade.filter(|grade| grade.windows().len() > 0).map(grade_answer);
            all.insert(metric.name().to_owned(), series);
        }
        all
    }

    pub(super) fn baselines(&self, version: &str, metrics: &[Metric]) -> BTreeMap<String, f64> {
        let value =
            |metric: &Metric| Some((metric.name().to_owned(), self.baseline(version, *metric)?));
        metrics.iter().filter_map(value).collect()
    }
}

/// A number as history keeps it, without digits that it does not have.
pub(super) fn short(value: f32) -> f64 {
    let value = f64::from(value);
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // Seven digits in all.
    let digits = 6 - value.abs().log10().floor() as i32;
    let scale = 10f64.powi(digits.clamp(-300, 300));
    (value * scale).round() / scale
}

fn grade_answer(grade: &Grade) -> EstimateGrade {
    let (band_held, band_windows) = grade.coverage();
    EstimateGrade {
        windows: grade.windows().len(),
        bias: grade.bias(),
        band_held,
        band_windows,
        trusted: grade.trust().verdict(),
        reason: grade.trust().to_string(),
    }
}

fn mark(mark: &Mark) -> HistoryMark {
    let version = (!mark.version.is_empty()).then(|| name(&mark.version));
    let text = match mark.kind {
        MarkKind::Version => format!("version {} appears", version.as_deref().unwrap_or_default()),
        _ => mark.text.clone(),
    };
    HistoryMark {
        at: end_of(mark.at),
        happened_at: end_of(mark.happened_at),
        kind: mark.kind.name().to_owned(),
        version,
        policy: mark.policy.as_deref().map(str::to_owned),
        text,
    }
}
