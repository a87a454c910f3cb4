//! Drift of one window, feature by feature, and over the windows before it.

use super::model::kind_name;
use super::windows::short;
use super::{ModelView, Spot, end_of, name};
use crate::engine::drift::{FeatureDrift, Statistic};
use crate::engine::history::{FeaturePoint, Row};
use crate::engine::spec::Task;
use crate::engine::time::Timestamp;
use crate::io::http::api::dto::{
    DriftAnswer, DriftFeature, FeatureAnswer, FeatureHistory, Heat, HeatRow,
};
use crate::io::http::api::query::Place;
use crate::io::http::api::{ApiError, Page};

/// A column of the drift: a feature, or one of the two outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Feature(usize),
    Score,
    Class,
}

/// What the outputs are called.
const SCORE: &str = "score";
const CLASS: &str = "predicted_class";

impl ModelView<'_> {
    pub(super) fn drift(&self, at: &Place, page: Page) -> Result<DriftAnswer, ApiError> {
        let spot = self.spot(at)?;
        let drift = spot.version.as_ref().and_then(|v| self.newest_drift(spot.index, v));
        let mut columns: Vec<(Column, &FeatureDrift)> = Vec::new();
        if let Some(drift) = drift {
            for feature in &drift.features {
                columns.extend(self.column(&feature.feature).map(|column| (column, feature)));
            }
            columns.extend(drift.score.as_ref().map(|score| (Column::Score, score)));
            columns.extend(drift.classes.as_ref().map(|classes| (Column::Class, classes)));
        }
        columns.sort_by(|(_, a), (_, b)| {
            let effect = |feature: &FeatureDrift| feature.ranking().unwrap_or(-1.0);
            effect(b).total_cmp(&effect(a)).then_with(|| a.feature.cmp(&b.feature))
        });
        let total = columns.len();
        let ranked: Vec<(usize, (Column, &FeatureDrift))> = (1..).zip(columns).collect();
        let shown = page.cut(ranked);
        let rows = self.rows(&spot);
        let newest = drift.map(|drift| drift.end);
        let row = newest.and_then(|end| rows.iter().rev().find(|(at, _)| *at == end));
        Ok(DriftAnswer {
            window: spot.window.size.to_string(),
            version: spot.version.as_deref().map(name),
            reference: drift.map(|drift| reference_name(drift.inherited).to_owned()),
            end: newest.map(end_of),
            predictions: row.map(|(_, row)| row.predictions),
            statistic: Statistic::RANKING.name().to_owned(),
            total,
            heat: Heat {
                ends: rows.iter().map(|(end, _)| end_of(*end)).collect(),
                features: shown
                    .iter()
                    .map(|(_, (column, feature))| self.heat_row(*column, feature, &rows))
                    .collect(),
            },
            features: shown
                .into_iter()
                .map(|(rank, (column, feature))| {
                    let version = spot.version.as_deref().unwrap_or_default();
                    self.drift_feature(rank, version, column, feature)
                })
                .collect(),
        })
    }

    /// The windows of a spot's version, oldest first.
    fn rows(&self, spot: &Spot) -> Vec<(Timestamp, &Row)> {
        match &spot.version {
            Some(version) => {
                let windows = self.kept().windows(spot.index);
                windows.filter_map(|(end, rows)| Some((end, rows.get(version)?))).collect()
            }
            None => Vec::new(),
        }
    }

    fn column(&self, feature: &str) -> Option<Column> {
        self.spec.features.iter().position(|spec| *spec.name == *feature).map(Column::Feature)
    }

    /// What a row keeps of a column.
    fn point(&self, row: &Row, column: Column) -> Option<FeaturePoint> {
        let features = self.spec.features.len();
        let at = match column {
            Column::Feature(at) => at,
            Column::Score => features,
            Column::Class => features + 1,
        };
        row.features.get(at).copied().flatten()
    }

    fn heat_row(
        &self,
        column: Column,
        feature: &FeatureDrift,
        rows: &[(Timestamp, &Row)],
    ) -> HeatRow {
        let points = || rows.iter().map(|(_, row)| self.point(row, column));
        HeatRow {
            feature: name(&feature.feature),
            effect: points().map(|point| point.and_then(|point| point.effect).map(short)).collect(),
            missing: points().map(|point| point.map(|point| short(point.missing))).collect(),
        }
    }

    fn column_kind(&self, column: Column) -> &'static str {
        match column {
            Column::Feature(at) => kind_name(&self.spec.features[at].kind),
            Column::Score => "numeric",
            Column::Class => "categorical",
        }
    }

    fn drift_feature(
        &self,
        rank: usize,
        version: &str,
        column: Column,
        drift: &FeatureDrift,
    ) -> DriftFeature {
        DriftFeature {
            feature: name(&drift.feature),
            kind: self.column_kind(column).to_owned(),
            output: !matches!(column, Column::Feature(_)),
            rank,
            effect: drift.ranking(),
            material: self.is_material(version, drift),
            statistics: statistics(drift),
            missing_share: Some(drift.missing_share),
            invalid_share: Some(drift.invalid_share),
            out_of_range_share: drift.out_of_range_share,
            new_share: drift.new_share,
            reference_missing_share: drift.reference_missing_share,
            reference_invalid_share: drift.reference_invalid_share,
            reference_new_share: drift.reference_new_share,
        }
    }

    pub(super) fn feature(&self, at: &Place, asked: &str) -> Result<FeatureAnswer, ApiError> {
        let spot = self.spot(at)?;
        let column = self.find_column(asked)?;
        let version = spot.version.as_deref();
        let drift = version.and_then(|version| self.newest_drift(spot.index, version));
        let drift = drift.and_then(|drift| {
            let of = match column {
                Column::Feature(at) => {
                    let name = &*self.spec.features[at].name;
                    drift.features.iter().find(|feature| *feature.feature == *name)
                }
                Column::Score => drift.score.as_ref(),
                Column::Class => drift.classes.as_ref(),
            };
            of.map(|of| (drift.end, of))
        });
        let of = drift.map(|(_, drift)| drift);
        let (reference, current) = match version {
            Some(version) => self.distributions(spot.index, version, column),
            None => (None, None),
        };
        Ok(FeatureAnswer {
            feature: name(self.column_name(column)),
            kind: self.column_kind(column).to_owned(),
            output: !matches!(column, Column::Feature(_)),
            window: spot.window.size.to_string(),
            version: version.map(name),
            end: drift.map(|(end, _)| end_of(end)),
            show_values: self.held.plan.http.show_values,
            statistics: of.map(statistics).unwrap_or_default(),
            missing_share: of.map(|drift| drift.missing_share),
            invalid_share: of.map(|drift| drift.invalid_share),
            out_of_range_share: of.and_then(|drift| drift.out_of_range_share),
            new_share: of.and_then(|drift| drift.new_share),
            reference_missing_share: of.and_then(|drift| drift.reference_missing_share),
            reference_invalid_share: of.and_then(|drift| drift.reference_invalid_share),
            reference_new_share: of.and_then(|drift| drift.reference_new_share),
            reference,
            current,
            history: self.feature_history(&spot, column),
        })
    }

    fn find_column(&self, asked: &str) -> Result<Column, ApiError> {
        let features = &self.spec.features;
        let known =
            features.iter().position(|spec| *spec.name == *asked || name(&spec.name) == asked);
        if let Some(at) = known {
            return Ok(Column::Feature(at));
        }
        match (asked, &self.spec.task) {
            (SCORE, Task::Binary { .. } | Task::Regression { .. }) => Ok(Column::Score),
            (CLASS, Task::Binary { .. } | Task::Multiclass { .. }) => Ok(Column::Class),
            _ => {
                let known = super::listed(features.iter().map(|feature| feature.name.to_string()));
                let asked = super::quoted(asked);
                Err(ApiError::not_found(format!(
                    "model `{}` has no feature {asked}; there are {known}",
                    self.spec.name
                )))
            }
        }
    }

    fn column_name(&self, column: Column) -> &str {
        match column {
            Column::Feature(at) => &self.spec.features[at].name,
            Column::Score => SCORE,
            Column::Class => CLASS,
        }
    }

    fn feature_history(&self, spot: &Spot, column: Column) -> FeatureHistory {
        let numeric = self.column_kind(column) == "numeric";
        let mut history = FeatureHistory::default();
        for (end, row) in self.rows(spot) {
            let point = self.point(row, column);
            let unseen = point.and_then(|point| point.unseen).map(short);
            history.ends.push(end_of(end));
            history.effect.push(point.and_then(|point| point.effect).map(short));
            history.missing.push(point.map(|point| short(point.missing)));
            history.invalid.push(point.map(|point| short(point.invalid)));
            history.new.push(unseen.filter(|_| !numeric));
            history.out_of_range.push(unseen.filter(|_| numeric));
        }
        history
    }
}

fn reference_name(inherited: bool) -> &'static str {
    if inherited { "inherited" } else { "own" }
}

fn statistics(drift: &FeatureDrift) -> std::collections::BTreeMap<String, f64> {
    let named = |(statistic, estimate): &(Statistic, crate::engine::estimate::Estimate)| {
        (statistic.name().to_owned(), estimate.value)
    };
    drift.statistics.iter().map(named).collect()
}
