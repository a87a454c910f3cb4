//! One consistent snapshot of everything for a scrape.

mod rows;

use super::held::Held;
use crate::engine::counters::{PairCounters, VersionCounters};
use crate::engine::drift::FeatureDrift;
use crate::engine::event::ClassCode;
use crate::engine::metric::Metric;
use crate::engine::monitor::{EstimateReport, ModelReport, VersionReport, WindowReport};
use crate::engine::outcome::{LabelOutcome, PredictionOutcome};
use crate::engine::policy::Decision;
use crate::engine::slice::SliceKey;
use crate::engine::spec::{Action, ModelSpec, Task};
use crate::engine::time::Timestamp;
use crate::io::kafka::KafkaSource;
use crate::io::telemetry::*;
use std::collections::BTreeMap;

/// What a snapshot is taken of.
pub struct Scene<'a> {
    pub held: &'a mut Held,
    pub source: &'a KafkaSource,
    pub now: Timestamp,
}

pub fn snapshot(scene: &mut Scene<'_>) -> Snapshot {
    let mut builder = SnapshotBuilder::new(scene.now);
    rows::inputs(scene, &mut builder);
    rows::rows(scene.held, &mut builder);
    rows::outboxes(scene.held, &mut builder);
    for model in 0..scene.held.monitors.len() {
        if !scene.held.monitors[model].owned {
            own_share(scene.held, model, &mut builder);
            continue;
        }
        let spec = scene.held.plan.models[model].clone();
        let report = scene.held.report(model);
        builder.model(&spec.name, scene.held.plan.http.series_max);
        Model { held: scene.held, model, spec: &spec, report: &report }.publish(&mut builder);
    }
    builder.finish()
}

/// Of a model that another member looks after: what only we can know.
fn own_share(held: &Held, model: usize, builder: &mut SnapshotBuilder) {
    let spec = &held.plan.models[model];
    builder.model(&spec.name, held.plan.http.series_max);
    let pending: u64 = held.partials(model).iter().map(|partial| partial.pending).sum();
    if pending > 0 {
        builder.sample(&PENDING_PREDICTIONS, &[&*spec.name], pending as f64);
    }
    if let Some(share) = held.copartition_mismatch(model) {
        builder.sample(&COPARTITION_MISMATCH, &[&*spec.name], share);
    }
}

/// One model's part of a snapshot.
struct Model<'a> {
    held: &'a Held,
    model: usize,
    spec: &'a ModelSpec,
    report: &'a ModelReport,
}

impl Model<'_> {
    fn publish(&self, builder: &mut SnapshotBuilder) {
        let name = &*self.spec.name;
        let closing = [
            ("predictions", self.report.predictions_closing),
            ("labels", self.report.labels_closing),
        ];
        for (input, at) in closing {
            if let Some(at) = at {
                builder.sample(&CLOSING_WATERMARK, &[name, input], at.as_secs_f64());
            }
        }
        let pending: u64 =
            self.held.partials(self.model).iter().map(|partial| partial.pending).sum();
        builder.sample(&PENDING_PREDICTIONS, &[name], pending as f64);
        let expected = self.held.monitors[self.model].monitor.expected_shards;
        if expected != usize::MAX {
            let here = self.held.partials(self.model).len();
            builder.sample(&SHARDS_MISSING, &[name], expected.saturating_sub(here) as f64);
        }
        if let Some(share) = self.held.copartition_mismatch(self.model) {
            builder.sample(&COPARTITION_MISMATCH, &[name], share);
        }
        if self.held.is_whole(self.held.monitors[self.model].group) {
            self.counters(builder);
        }
        for version in &self.report.versions {
            self.version(version, builder);
        }
        self.policies(builder);
    }

    fn counters(&self, builder: &mut SnapshotBuilder) {
        let name = &*self.spec.name;
        let counters = self.held.model_counters(self.model);
        let group = &self.held.groups[self.held.monitors[self.model].group];
        let place = group.models.iter().find(|model| *model.context.spec.name == *name);
        let topic = place.map_or("", |model| &group.prediction_topics[model.predictions].topic);
        for outcome in PredictionOutcome::ALL {
            let count = counters.predictions.of(outcome);
            builder.sample(&PREDICTION_ROWS, &[topic, name, outcome.name()], count as f64);
        }
        for outcome in LabelOutcome::ALL {
            let count = counters.labels.of(outcome);
            builder.sample(&MODEL_LABEL_ROWS, &[name, outcome.name()], count as f64);
        }
        let delay = &counters.delay;
        if delay.counts.iter().any(|count| *count > 0) {
            let sum = delay.sum as f64 / 1e6;
            let counts = delay.counts.to_vec();
            builder.histogram(&LABEL_DELAY, &[name], HistogramSample { counts, sum });
        }
        for report in &self.report.versions {
            if let Some(version) = counters.versions.get(&report.version) {
                self.version_counters(&report.version, version, builder);
            }
        }
    }

    fn version_counters(
        &self,
        version: &str,
        counters: &VersionCounters,
        builder: &mut SnapshotBuilder,
    ) {
        let labels = [&*self.spec.name, version];
        builder.sample(&CORRECTIONS, &labels, counters.corrections as f64);
        for (key, pairs) in &counters.slices {
            if key.is_whole() {
                builder.sample(&PREDICTIONS, &labels, pairs.predictions as f64);
                for (outcome, count) in self.outcomes(pairs) {
                    let labels = [labels[0], version, outcome];
                    builder.sample(&LABELED_PREDICTIONS, &labels, count as f64);
                }
                self.losses(&labels, pairs, builder);
            } else {
                self.slice_counters(version, *key, pairs, builder);
            }
        }
    }

    fn slice_counters(
        &self,
        version: &str,
        key: SliceKey,
        pairs: &PairCounters,
        builder: &mut SnapshotBuilder,
    ) {
        let context = &self.held.monitors[self.model].monitor.context;
        let slice = slice_name(&context.slicer.describe(key));
        let labels = [&*self.spec.name, version, &slice];
        let low = Priority::Slice { rank: key.rank() };
        builder.sample_with(low, &SLICE_PREDICTIONS, &labels, pairs.predictions as f64);
        for (outcome, count) in self.outcomes(pairs) {
            let labels = [labels[0], version, &slice, outcome];
            builder.sample_with(low, &SLICE_LABELED_PREDICTIONS, &labels, count as f64);
        }
    }

    fn losses(&self, labels: &[&str; 2], pairs: &PairCounters, builder: &mut SnapshotBuilder) {
        match self.spec.task {
            Task::Binary { .. } => {
                builder.sample(&LOG_LOSS_SUM, labels, pairs.log_loss.to_f64());
                builder.sample(&BRIER_SUM, labels, pairs.brier.to_f64());
            }
            Task::Multiclass { .. } => {}
            Task::Regression { .. } => {
                builder.sample(&ERROR_POSITIVE, labels, pairs.errors.over.to_f64());
                builder.sample(&ERROR_NEGATIVE, labels, pairs.errors.under.to_f64());
                builder.sample(&ERROR_SQUARES, labels, pairs.errors.squares.to_f64());
            }
        }
    }

    /// First labels by outcome; outcomes that have not happened are 0.
    fn outcomes(&self, pairs: &PairCounters) -> Vec<(&'static str, u64)> {
        let count = |decision: ClassCode, label: ClassCode| {
            pairs.classes.get(&(decision, label)).copied().unwrap_or(0)
        };
        match self.spec.task {
            Task::Binary { .. } => vec![
                ("tp", count(1, 1)),
                ("fp", count(1, 0)),
                ("fn", count(0, 1)),
                ("tn", count(0, 0)),
            ],
            Task::Multiclass { .. } => {
                let of = |right: bool| {
                    let chosen = pairs.classes.iter().filter(|((d, l), _)| (d == l) == right);
                    chosen.map(|(_, count)| count).sum()
                };
                vec![("right", of(true)), ("wrong", of(false))]
            }
            Task::Regression { .. } => vec![("measured", pairs.errors.pairs)],
        }
    }

    fn version(&self, version: &VersionReport, builder: &mut SnapshotBuilder) {
        let name = &*self.spec.name;
        let context = &self.held.monitors[self.model].monitor.context;
        let (layout, _) = context.layouts.of(&version.version);
        let hash = layout.profile.as_ref().map_or("", |profile| &profile.content_hash);
        let labels = [name, &version.version, self.spec.task.name(), hash];
        builder.sample(&MODEL_INFO, &labels, 1.0);
        let baselines = layout.profile.iter().flat_map(|profile| &profile.baseline);
        for (metric, estimate) in baselines {
            // A profile may come from a newer tidemark with metrics that this one does not know.
            if let Ok(metric) = metric.parse::<Metric>() {
                builder.baseline(metric, &labels[..2], estimate.value);
            }
        }
        let partials = self.held.partials(self.model);
        let newest = partials.iter().filter_map(|partial| {
            let at = partial.version_index(&version.version)?;
            Some(partial.counters[usize::from(at)].newest)
        });
        if let Some(newest) = newest.max() {
            let labels = [name, version.version.as_str()];
            builder.sample(&LAST_PREDICTION_TIMESTAMP, &labels, newest.as_secs_f64());
        }
        for window in &version.windows {
            self.window(&version.version, window, builder);
        }
        for estimates in &version.estimates {
            self.estimates(&version.version, estimates, builder);
        }
        for drift in &version.drift {
            let size = drift.size.to_string();
            let labels = [name, version.version.as_str(), size.as_str()];
            builder.sample(&DRIFT_WINDOW_END, &labels, drift.drift.end.as_secs_f64());
            let rows = drift.all().map(|feature| feature.current_rows).max();
            if let Some(rows) = rows {
                builder.sample(&DRIFT_WINDOW_PREDICTIONS, &labels, rows as f64);
            }
            let reference = if drift.drift.inherited { "inherited" } else { "own" };
            let mut ranked: Vec<&FeatureDrift> = drift.drift.features.iter().collect();
            ranked.sort_by(|a, b| {
                let rank = |feature: &FeatureDrift| feature.ranking().unwrap_or(0.0);
                rank(b).total_cmp(&rank(a))
            });
            for (rank, feature) in (0..).zip(ranked) {
                self.feature(&labels, feature, reference, Priority::Drift { rank }, builder);
            }
            for output in drift.drift.score.iter().chain(&drift.drift.classes) {
                for (statistic, estimate) in &output.statistics {
                    let family = drift_family(*statistic, DriftOf::Output);
                    let labels =
                        [labels[0], labels[1], labels[2], output.feature.as_str(), reference];
                    builder.sample(family, &labels, estimate.value);
                }
            }
        }
    }

    fn estimates(&self, version: &str, report: &EstimateReport, builder: &mut SnapshotBuilder) {
        let size = report.size.to_string();
        let labels = [&*self.spec.name, version, size.as_str()];
        builder.sample(&ESTIMATE_WINDOW_END, &labels, report.end.as_secs_f64());
        builder.sample(&ESTIMATE_WINDOW_PREDICTIONS, &labels, report.predictions as f64);
        if report.predictions > 0 {
            let coverage = report.labeled as f64 / report.predictions as f64;
            builder.sample(&ESTIMATE_LABEL_COVERAGE, &labels, coverage);
        }
        for (metric, nowcast) in &report.metrics {
            let Some(families) = estimate_families(*metric) else { continue };
            let both =
                [(&families.estimated, nowcast.estimated), (&families.combined, nowcast.combined)];
            for ([value, lower, upper], estimate) in both {
                let Some(estimate) = estimate else { continue };
                builder.sample(value, &labels, estimate.value);
                if let Some(interval) = estimate.interval {
                    builder.sample(lower, &labels, interval.lower);
                    builder.sample(upper, &labels, interval.upper);
                }
            }
        }
        for (metric, grade) in &report.grades {
            let labels = [labels[0], labels[1], labels[2], metric.name()];
            builder.sample(&ESTIMATE_GRADED, &labels, grade.windows().len() as f64);
            if let Some(bias) = grade.bias() {
                builder.sample(&ESTIMATE_BIAS, &labels, bias);
            }
            let (held, banded) = grade.coverage();
            if banded > 0 {
                builder.sample(&ESTIMATE_BAND_HELD, &labels, held as f64 / banded as f64);
            }
            if let Some(trusted) = grade.trust().verdict() {
                builder.sample(&ESTIMATE_TRUSTED, &labels, f64::from(u8::from(trusted)));
            }
        }
    }

    fn window(&self, version: &str, window: &WindowReport, builder: &mut SnapshotBuilder) {
        let size = window.size.to_string();
        let labels = [&*self.spec.name, version, size.as_str()];
        builder.sample(&WINDOW_END, &labels, window.end.as_secs_f64());
        builder.sample(&WINDOW_PREDICTIONS, &labels, window.whole.predictions as f64);
        builder.sample(&WINDOW_LABELED, &labels, window.whole.labeled as f64);
        if window.whole.predictions > 0 {
            let coverage = window.whole.labeled as f64 / window.whole.predictions as f64;
            builder.sample(&LABEL_COVERAGE, &labels, coverage);
        }
        for (metric, estimate) in &window.whole.metrics {
            builder.estimate(Priority::default(), *metric, Scope::Model, &labels, estimate);
        }
        for slice in &window.slices {
            let name = slice_name(&slice.conditions);
            let labels = [labels[0], labels[1], labels[2], name.as_str()];
            let low = Priority::Slice { rank: slice.key.rank() };
            let predictions = slice.predictions as f64;
            builder.sample_with(low, &SLICE_WINDOW_PREDICTIONS, &labels, predictions);
            builder.sample_with(low, &SLICE_WINDOW_LABELED, &labels, slice.labeled as f64);
            if slice.predictions > 0 {
                let coverage = slice.labeled as f64 / predictions;
                builder.sample_with(low, &SLICE_LABEL_COVERAGE, &labels, coverage);
            }
            for (metric, estimate) in &slice.metrics {
                builder.estimate(low, *metric, Scope::Slice, &labels, estimate);
            }
        }
    }

    fn feature(
        &self,
        labels: &[&str; 3],
        feature: &FeatureDrift,
        reference: &str,
        rank: Priority,
        builder: &mut SnapshotBuilder,
    ) {
        let labels = [labels[0], labels[1], labels[2], feature.feature.as_str(), reference];
        for (statistic, estimate) in &feature.statistics {
            let family = drift_family(*statistic, DriftOf::Feature);
            builder.sample_with(rank, family, &labels, estimate.value);
        }
        builder.sample_with(rank, &FEATURE_MISSING, &labels, feature.missing_share);
        builder.sample_with(rank, &FEATURE_INVALID, &labels, feature.invalid_share);
        if let Some(share) = feature.out_of_range_share {
            builder.sample_with(rank, &FEATURE_OUT_OF_RANGE, &labels, share);
        }
        if let Some(share) = feature.new_share {
            builder.sample_with(rank, &FEATURE_NEW, &labels, share);
        }
    }

    fn policies(&self, builder: &mut SnapshotBuilder) {
        let name = &*self.spec.name;
        let durable = self.held.durable.monitors.get(&self.model);
        for (at, policy) in self.report.policies.iter().enumerate() {
            for (version, judged, _) in &policy.last {
                let firing = policy.firing.iter().any(|(firing, _)| firing == version);
                let labels = [name, version.as_str(), policy.name.as_str()];
                builder.sample(&POLICY_FIRING, &labels, f64::from(u8::from(firing)));
                builder.sample(&POLICY_JUDGED, &labels, judged.as_secs_f64());
            }
            let decisions = durable.and_then(|durable| durable.decisions.get(at));
            let mut decisions: BTreeMap<Decision, u64> =
                decisions.into_iter().flatten().map(|(decision, n)| (*decision, *n)).collect();
            // The first time that a policy acts would be no increase if the series began with it.
            let acts = match self.spec.policies.get(at).map(|policy| &policy.action) {
                Some(Action::Retrain { .. }) => Decision::Retrain,
                _ => Decision::Alert,
            };
            decisions.entry(acts).or_insert(0);
            for (decision, count) in decisions {
                let labels = [name, &policy.name, decision.name(), decision.reason()];
                builder.sample(&POLICY_DECISIONS, &labels, count as f64);
            }
        }
        self.alarms(builder);
        let windows = &self.held.monitors[self.model].monitor.context.windows;
        let firings = durable.map(|durable| &durable.firings);
        for ((index, kind), count) in firings.into_iter().flatten() {
            if let Some(spec) = windows.specs.get(usize::from(*index)) {
                let size = spec.size.to_string();
                builder.sample(&WINDOW_FIRINGS, &[name, &size, kind.name()], *count as f64);
            }
        }
    }

    /// Policies whose bound follows from a budget.
    fn alarms(&self, builder: &mut SnapshotBuilder) {
        let name = &*self.spec.name;
        let durable = self.held.durable.monitors.get(&self.model);
        for policy in &self.report.policies {
            let Some(episodes_a_week) = policy.episodes_a_week else { continue };
            let labels = [name, policy.name.as_str()];
            builder.sample(&POLICY_BUDGET, &labels, episodes_a_week);
            let episodes = durable.and_then(|durable| durable.episodes.get(&policy.name));
            builder.sample(&POLICY_EPISODES, &labels, episodes.copied().unwrap_or(0) as f64);
            for (version, evidence) in &policy.evidence {
                let labels = [name, version.as_str(), policy.name.as_str()];
                builder.sample(&POLICY_EVIDENCE, &labels, *evidence);
            }
        }
    }
}

/// `sex=Male,race=OTHER`
fn slice_name(conditions: &[(String, String)]) -> String {
    let parts: Vec<String> =
        conditions.iter().map(|(feature, value)| format!("{feature}={value}")).collect();
    parts.join(",")
}
