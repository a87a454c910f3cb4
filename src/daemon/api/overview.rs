//! The overview: one summary a model, worst first.

use super::windows::short;
use super::{ModelView, View, end_of, estimate, name};
use crate::engine::drift::Statistic;
use crate::engine::history::headline;
use crate::engine::outbox::Entry;
use crate::engine::slice::SliceKey;
use crate::engine::time::Timestamp;
use crate::io::http::api::Page;
use crate::io::http::api::dto::{
    Baseline, Headline, LastRequest, ModelSummary, Models, PolicyFiring, Sparkline, VersionInfo,
    WorstFeature, WorstSlice, seconds,
};

/// Points of a sparkline, the newest windows.
const SPARKLINE_MAX: usize = 60;

impl View<'_> {
    pub(super) fn models(&self, page: Page) -> Models {
        let count = self.held.plan.models.len();
        let mut models: Vec<ModelSummary> = (0..count).map(|at| self.at(at).summary()).collect();
        models.sort_by(|a, b| {
            let gravity = |model: &ModelSummary| (model.health, usize::MAX - model.reasons.len());
            gravity(a).cmp(&gravity(b)).then_with(|| a.name.cmp(&b.name))
        });
        Models { total: models.len(), models: page.cut(models) }
    }
}

impl ModelView<'_> {
    pub(super) fn summary(&self) -> ModelSummary {
        let (_, index) = headline(self.spec);
        let version = self.default_version(index);
        let version = version.as_deref();
        let versions: Vec<VersionInfo> =
            self.live_versions().iter().map(|version| self.version(version)).collect();
        let firing = self.firing();
        let (health, reasons) = self.health(version, &firing, &versions);
        let closing = self.monitor.monitor.closing(&self.partials);
        ModelSummary {
            name: self.spec.name.to_string(),
            task: self.spec.task.name().to_owned(),
            health,
            reasons,
            headline: version.and_then(|version| self.headline(version)),
            versions,
            pending_predictions: self.partials.iter().map(|partial| partial.pending).sum(),
            predictions_closing: closing.and_then(|(predictions, _)| seconds(predictions)),
            labels_closing: closing.and_then(|(_, labels)| seconds(labels)),
            labels_silent: self.partials.iter().any(|partial| partial.labels_silent),
            worst_feature: version.and_then(|version| self.worst_feature(version)),
            worst_slice: version.and_then(|version| self.worst_slice(version)),
            firing,
            last_request: self.last_request(),
            sparkline: version.map(|version| self.sparkline(version)).unwrap_or_default(),
        }
    }

    fn headline(&self, version: &str) -> Option<Headline> {
        let (metric, index) = headline(self.spec);
        let enough = |row: &_| self.is_enough(row) && self.value(row, metric).is_some();
        let (end, row) = self.newest_where(index, version, enough)?;
        let value = self.value(row, metric)?;
        let baseline = self.baseline(version, metric);
        Some(Headline {
            metric: metric.name().to_owned(),
            window: self.spec.windows[index].size.to_string(),
            window_end: end_of(end),
            version: name(version),
            estimate: estimate(&value),
            baseline: baseline.map(|value| Baseline { value, source: "profile".to_owned() }),
            coverage: row.coverage(),
        })
    }

    fn worst_feature(&self, version: &str) -> Option<WorstFeature> {
        let (_, index) = headline(self.spec);
        let drift = self.newest_drift(index, version)?;
        let ranked = drift.features.iter().filter_map(|f| Some((f.ranking()?, f)));
        let (value, feature) = ranked
            .max_by(|(a, of_a), (b, of_b)| a.total_cmp(b).then(of_b.feature.cmp(&of_a.feature)))?;
        Some(WorstFeature {
            feature: name(&feature.feature),
            version: name(version),
            window: self.spec.windows[index].size.to_string(),
            statistic: Statistic::RANKING.name().to_owned(),
            value,
            material: self.is_material(version, feature),
        })
    }

    /// The worst slice of the newest window that has slices and enough labels.
    pub(super) fn worst_slice(&self, version: &str) -> Option<WorstSlice> {
        let (metric, index) = headline(self.spec);
        let enough = |row: &_| self.is_enough(row) && row.slices.is_some();
        let (end, row) = self.newest_where(index, version, enough)?;
        let worst = row.slices.as_ref()?.points.first()?;
        Some(WorstSlice {
            slice: self.slice_name(worst.key),
            version: name(version),
            window: self.spec.windows[index].size.to_string(),
            window_end: end_of(end),
            metric: metric.name().to_owned(),
            value: short(worst.value),
            labeled: u64::from(worst.labeled),
            gap: worst.gap.map(short),
            gap_lower: worst.gap_lower.map(short),
        })
    }

    pub(super) fn firing(&self) -> Vec<PolicyFiring> {
        let live = self.live_versions();
        let states = &self.monitor.monitor.state.policies;
        let mut firing = Vec::new();
        for (policy, state) in self.spec.policies.iter().zip(states) {
            for (version, since) in state.firing.iter().filter(|(v, _)| live.contains(v)) {
                firing.push(PolicyFiring {
                    policy: policy.name.to_string(),
                    version: name(version),
                    since: end_of(*since),
                });
            }
        }
        firing
    }

    fn last_request(&self) -> Option<LastRequest> {
        let outbox = &self.monitor.monitor.state.outbox;
        let pending = outbox.pending();
        let newest: &Entry = pending
            .into_iter()
            .chain(outbox.finished().next_back())
            .max_by_key(|entry| entry.sequence)?;
        Some(LastRequest {
            id: newest.request.id.to_string(),
            at: end_of(newest.created_at),
            policy: super::requests::evidence(newest)
                .and_then(|e| super::requests::text(&e, "policy")),
            state: super::requests::state_name(newest).to_owned(),
        })
    }

    fn sparkline(&self, version: &str) -> Sparkline {
        let (metric, index) = headline(self.spec);
        let rows = self.kept().rows(index, version).rev().take(SPARKLINE_MAX);
        let mut rows: Vec<(Timestamp, Option<f64>)> = rows
            .map(|(end, row)| (end, self.value(row, metric).map(|estimate| estimate.value)))
            .collect();
        rows.reverse();
        Sparkline {
            ends: rows.iter().map(|(end, _)| end_of(*end)).collect(),
            values: rows.into_iter().map(|(_, value)| value).collect(),
        }
    }

    /// A version with its counters, as they are now and not as of the last checkpoint.
    pub(super) fn version(&self, version: &str) -> VersionInfo {
        let counters = || {
            self.partials.iter().filter_map(|partial| {
                Some(&partial.counters[usize::from(partial.version_index(version)?)])
            })
        };
        let pairs = || counters().filter_map(|counters| counters.slices.get(&SliceKey::WHOLE));
        let newest = counters().map(|counters| counters.newest).max();
        let (layout, own) = self.context().layouts.of(version);
        let profile = layout.profile.as_ref();
        let labeled = |pairs: &crate::engine::counters::PairCounters| {
            pairs.classes.values().sum::<u64>() + pairs.errors.pairs
        };
        VersionInfo {
            version: name(version),
            first_prediction_at: self.kept().first_seen(version).and_then(seconds),
            last_prediction_at: newest.and_then(seconds),
            predictions: pairs().map(|pairs| pairs.predictions).sum(),
            labeled: pairs().map(labeled).sum(),
            profile_hash: profile.map(|profile| profile.content_hash.clone()),
            reference: profile.map(|_| if own { "own" } else { "inherited" }.to_owned()),
            baseline: self.baselines(version, self.kept().metrics()),
        }
    }
}
