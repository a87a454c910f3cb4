//! When windows are shown: on time, again after changes, and for good.

use super::{Monitor, WindowDrift, WindowKey};
use crate::engine::drift::{FeatureDrift, feature_drift};
use crate::engine::effect::{Effect, FiredVersion, Firing, FiringKind};
use crate::engine::metric::{Metric, estimate};
use crate::engine::model_shard::Partial;
use crate::engine::reference::{Distribution, FeatureReference};
use crate::engine::spec::WindowSpec;
use crate::engine::sum::{self, FeatureSum, Range, SliceSum};
use crate::engine::time::Timestamp;
use std::collections::BTreeSet;

impl Monitor {
    pub(super) fn fire_on_time(
        &mut self,
        shards: &[&Partial],
        predictions: Timestamp,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let lateness = self.context.spec.time.allowed_lateness;
        for index in 0..self.context.windows.specs.len() {
            let spec = self.context.windows.specs[index];
            let from = self.state.closed_through[index];
            let until = self.last_passed(&spec, predictions - lateness);
            if until <= from {
                continue;
            }
            for end in self.ends_with_data(shards, &spec, from, until) {
                let key = (index as u16, end);
                let firing = self.firing(shards, key, FiringKind::OnTime, 0);
                self.note_versions(shards, &firing, now);
                effects.push(Effect::Fired(firing));
                self.state.revisions.insert(key, 0);
                self.fired_at.insert(key, now);
                self.changed.remove(&key);
                self.show_drift(shards, key);
            }
            self.state.closed_through[index] = until;
        }
    }

    /// The last end of a window of this kind that lies before a watermark.
    fn last_passed(&self, spec: &WindowSpec, watermark: Timestamp) -> Timestamp {
        Timestamp(watermark.0 - 1).floor(spec.every, self.context.windows.origin)
    }

    /// Ends in (from, until] of windows that hold a pane, ascending.
    fn ends_with_data(
        &self,
        shards: &[&Partial],
        spec: &WindowSpec,
        from: Timestamp,
        until: Timestamp,
    ) -> BTreeSet<Timestamp> {
        let mut ends = BTreeSet::new();
        for shard in shards {
            for (key, _) in shard.panes.range(from - spec.size, until) {
                let all = self.context.windows.ends(spec, key.start);
                ends.extend(all.filter(|end| *end > from && *end <= until));
            }
        }
        ends
    }

    pub(super) fn fire_late(
        &mut self,
        shards: &[&Partial],
        predictions: Timestamp,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let show = self.context.spec.show;
        let passed = predictions - self.context.spec.time.allowed_lateness;
        let due: Vec<WindowKey> = self
            .changed
            .iter()
            // After a restart a shard may be behind what this monitor has seen: it reads again
            // first.
            .filter(|(_, end)| *end < passed)
            .filter(|key| {
                self.fired_at.get(key).is_none_or(|last| now - *last >= show.revise_every)
            })
            .copied()
            .collect();
        for key in due {
            // A window that had nothing in it when it closed has not fired yet.
            let revision = self.state.revisions.get(&key).map_or(0, |revision| revision + 1);
            if !self.is_recent(key) {
                self.state.revisions.entry(key).or_insert(0);
                continue;
            }
            self.changed.remove(&key);
            self.state.revisions.insert(key, revision);
            self.fired_at.insert(key, now);
            let firing = self.firing(shards, key, FiringKind::Late, revision);
            effects.push(Effect::Fired(firing));
        }
    }

    /// Only the newest windows fire again when they change: those that a gauge or the history
    /// shows.
    fn is_recent(&self, (index, end): WindowKey) -> bool {
        let spec = &self.context.windows.specs[usize::from(index)];
        let kept = i64::from(self.context.spec.show.history_windows);
        end.0 > self.state.closed_through[usize::from(index)].0 - kept * spec.every.0
    }

    pub(super) fn fire_final(
        &mut self,
        shards: &[&Partial],
        predictions: Timestamp,
        labels: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let lateness = self.context.spec.time.allowed_lateness;
        for index in 0..self.context.windows.specs.len() {
            let spec = self.context.windows.specs[index];
            // After a restart a shard may be behind what this monitor has seen: it reads again
            // first.
            let until = self
                .last_passed(&spec, (labels - spec.keep).min(predictions - lateness))
                .min(self.state.closed_through[index]);
            let from = self.state.final_through[index];
            if until <= from {
                continue;
            }
            let key = |end| (index as u16, end);
            let done: Vec<(WindowKey, u32)> = self
                .state
                .revisions
                .range(key(Timestamp(from.0 + 1))..=key(until))
                .map(|(key, revision)| (*key, *revision))
                .collect();
            for (key, revision) in done {
                let firing = self.firing(shards, key, FiringKind::Final, revision + 1);
                effects.push(Effect::Fired(firing));
                self.state.revisions.remove(&key);
                self.changed.remove(&key);
                self.fired_at.remove(&key);
            }
            self.state.final_through[index] = until;
        }
    }

    fn firing(
        &mut self,
        shards: &[&Partial],
        (index, end): WindowKey,
        kind: FiringKind,
        revision: u32,
    ) -> Firing {
        let WindowSpec { size, keep, .. } = self.context.windows.specs[usize::from(index)];
        let join = self.context.spec.join;
        let truncated = kind == FiringKind::Final && keep < join.horizon + join.grace;
        let start = end - size;
        let mut versions = Vec::new();
        for version in sum::versions(shards, start, end) {
            let whole = sum::whole(shards, Range { version: &version, start, end }, None);
            versions.push(FiredVersion {
                predictions: whole.predictions,
                labeled: whole.labelled(),
                metrics: self.metrics(&whole),
                nowcasts: self.nowcast(shards, (index, end), kind, &version, &whole),
                version,
            });
        }
        *self.state.firings.entry((index, kind)).or_default() += 1;
        let firing = Firing { kind, truncated, size, start, end, revision, versions };
        self.record(shards, index, &firing);
        firing
    }

    /// All metrics of the model's task that are defined on these rows.
    pub(super) fn metrics(
        &self,
        sum: &SliceSum,
    ) -> Vec<(Metric, crate::engine::estimate::Estimate)> {
        let Some(cells) = &sum.cells else { return Vec::new() };
        Metric::of_task(&self.context.spec.task)
            .into_iter()
            .filter_map(|metric| Some((metric, estimate(metric, cells)?)))
            .collect()
    }

    /// Works out the drift of a window that has just closed, for each version in it.
    fn show_drift(&mut self, shards: &[&Partial], (index, end): WindowKey) {
        let size = self.context.windows.specs[usize::from(index)].size;
        for version in sum::versions(shards, end - size, end) {
            let sum = sum::features(shards, Range { version: &version, start: end - size, end });
            if let Some(drift) = self.drift_of(&version, end, &sum) {
                let features = &self.context.spec.features;
                self.history.drifted((index, &version), features, &drift, &sum);
                self.state.drift.insert((version, index), drift);
            }
        }
    }

    /// Drift of one version over a stretch of time; `None` without a profile.
    pub(super) fn drift(
        &self,
        shards: &[&Partial],
        version: &str,
        start: Timestamp,
        end: Timestamp,
    ) -> Option<WindowDrift> {
        self.context.layouts.of(version).0.profile.as_ref()?;
        let sum = sum::features(shards, Range { version, start, end });
        self.drift_of(version, end, &sum)
    }

    /// Drift of a window whose distributions are known.
    fn drift_of(&self, version: &str, end: Timestamp, sum: &FeatureSum) -> Option<WindowDrift> {
        let (layout, own) = self.context.layouts.of(version);
        let profile = layout.profile.as_ref()?;
        let mut features = Vec::new();
        for ((feature, layout), sketch) in
            self.context.spec.features.iter().zip(&layout.features).zip(&sum.features)
        {
            let reference = profile.features.iter().find(|f| *f.name == *feature.name);
            if let (Some(layout), Some(reference)) = (layout, reference) {
                features.extend(feature_drift(reference, layout, sketch));
            }
        }
        let of_output = |name: &str, distribution: Distribution, layout, sketch| {
            feature_drift(&FeatureReference::complete(name, distribution), layout, sketch)
        };
        let score = layout.score.as_ref().zip(profile.score.clone()).and_then(|(layout, own)| {
            of_output("score", Distribution::Numeric(own), layout, &sum.score)
        });
        let classes = layout.classes.as_ref().zip(profile.predicted_classes.clone()).and_then(
            |(layout, own)| {
                let distribution = Distribution::Categorical(own);
                of_output("predicted_class", distribution, layout, &sum.classes)
            },
        );
        Some(WindowDrift { end, inherited: !own, features, score, classes })
    }
}

/// Features by how far they have drifted, the farthest first; ties by name.
pub(super) fn worst(features: &[FeatureDrift]) -> Vec<&FeatureDrift> {
    let mut ranked: Vec<&FeatureDrift> =
        features.iter().filter(|feature| feature.ranking().is_some()).collect();
    ranked.sort_by(|a, b| {
        let (a_rank, b_rank) = (a.ranking().unwrap_or(0.0), b.ranking().unwrap_or(0.0));
        b_rank.total_cmp(&a_rank).then_with(|| a.feature.cmp(&b.feature))
    });
    ranked
}
