//! Judging disjoint windows, each once, and asking for a retraining with the evidence.

use super::firing::worst;
use super::{FeatureNote, Monitor};
use crate::engine::drift::Statistic;
use crate::engine::effect::{Effect, Judged};
use crate::engine::estimate::Estimate;
use crate::engine::history::MarkKind;
use crate::engine::metric::{Metric, estimate};
use crate::engine::model_shard::Partial;
use crate::engine::policy::{Circumstances, Decision, Hold, Verdict, compare, threshold};
use crate::engine::request::{
    BudgetEvidence, Evidence, JsonTime, MetricEvidence, PartitionOffsets, TopicOffsets,
    WindowEvidence,
};
use crate::engine::spec::{Action, Condition, PerformanceAlarm, PolicySpec};
use crate::engine::sum::{self, Range, SliceSum};
use crate::engine::time::{Span, Timestamp};
use crate::engine::window::Judgement;
use std::collections::BTreeSet;

/// Features that a request names.
pub(super) const WORST_FEATURES: usize = 5;

/// What a window's judgement rests on.
pub(super) struct Finding {
    pub verdict: Verdict,
    pub metric: Option<MetricEvidence>,
    pub features: Vec<FeatureNote>,
    pub sum: SliceSum,
    pub inherited: bool,
    pub reason: String,
    /// Of a policy from the budget.
    pub budget: Option<BudgetEvidence>,
}

impl Monitor {
    /// Keeps the worst features of windows that are judged later, while their sketches are there.
    pub(super) fn note_drift(&mut self, shards: &[&Partial], predictions: Timestamp) {
        let lateness = self.context.spec.time.allowed_lateness;
        for at in 0..self.context.spec.policies.len() {
            let policy = self.context.spec.policies[at].clone();
            let until = self.last_tile(policy.window, predictions - lateness);
            let from = self.state.policies[at].noted_through;
            if until <= from {
                continue;
            }
            let keep = is_performance(&policy.condition)
                && matches!(policy.action, Action::Retrain { .. });
            if keep {
                for (end, version) in self.tiles(shards, policy.window, from, until) {
                    let Some(drift) = self.drift(shards, &version, end - policy.window, end) else {
                        continue;
                    };
                    let notes = worst(&drift.features).into_iter().take(WORST_FEATURES);
                    let notes: Vec<_> = notes.map(note).collect();
                    self.state.notes.insert((at as u16, end, version), notes);
                }
            }
            self.state.policies[at].noted_through = until;
        }
    }

    /// The last end of a disjoint window of this size before a watermark.
    fn last_tile(&self, size: Span, watermark: Timestamp) -> Timestamp {
        Timestamp(watermark.0 - 1).floor(size, self.context.windows.origin)
    }

    /// Ends in (from, until] of disjoint windows that hold predictions, with the versions in each.
    fn tiles(
        &self,
        shards: &[&Partial],
        size: Span,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<(Timestamp, String)> {
        let mut tiles = BTreeSet::new();
        for shard in shards {
            for (key, pane) in shard.panes.range(from, until) {
                let end = self.context.windows.tile_end(size, key.start);
                for (version, _) in pane.versions.iter().filter(|(_, pane)| pane.has_predictions())
                {
                    tiles.insert((end, shard.versions[usize::from(*version)].clone()));
                }
            }
        }
        tiles.into_iter().collect()
    }

    pub(super) fn judge(
        &mut self,
        shards: &[&Partial],
        predictions: Timestamp,
        labels: Timestamp,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let lateness = self.context.spec.time.allowed_lateness;
        for at in 0..self.context.spec.policies.len() {
            let policy = self.context.spec.policies[at].clone();
            let (age, passed) = match &policy.condition {
                Condition::Performance { label_age, .. }
                | Condition::PerformanceAlarm(PerformanceAlarm { label_age, .. }) => {
                    (*label_age, (predictions - lateness).min(labels - *label_age))
                }
                Condition::Drift { .. } | Condition::DriftAlarm(_) | Condition::Alert { .. } => {
                    (lateness, predictions - lateness)
                }
            };
            let until = self.last_tile(policy.window, passed);
            let from = self.state.policies[at].judged_through;
            if until <= from {
                continue;
            }
            // An alert is not judged by windows; that there is nothing to wait for lets panes go.
            let waits = !matches!(policy.condition, Condition::Alert { .. });
            let tiles = waits.then(|| self.tiles(shards, policy.window, from, until));
            for (end, version) in tiles.into_iter().flatten() {
                let range = Range { version: &version, start: end - policy.window, end };
                let finding = self.find(shards, at, &policy, range);
                let circumstances = Circumstances {
                    window_end: end,
                    due: end + age,
                    now,
                    inherited: finding.inherited,
                };
                self.conclude(shards, at, &policy, range, finding, circumstances, effects);
                self.state.notes.remove(&(at as u16, end, version.clone()));
            }
            self.state.policies[at].judged_through = until;
        }
    }

    #[allow(clippy::too_many_arguments)] // one judgement in one place
    fn conclude(
        &mut self,
        shards: &[&Partial],
        at: usize,
        policy: &PolicySpec,
        range: Range<'_>,
        finding: Finding,
        circumstances: Circumstances,
        effects: &mut Vec<Effect>,
    ) {
        let state = &mut self.state.policies[at];
        let firing_before = state.firing.contains_key(range.version);
        let decision = state.decide(policy, range.version, finding.verdict, circumstances);
        let firing = state.firing.contains_key(range.version);
        let reason = finding.reason.clone();
        if firing != firing_before {
            let kind = if firing { MarkKind::Firing } else { MarkKind::Cleared };
            self.mark(kind, policy, range, circumstances.now, &reason);
        }
        let state = &self.state.policies[at];
        if let (Decision::Retrain, Action::Retrain { webhook, .. }) = (decision, &policy.action) {
            let streak = state.streak(range.version);
            self.mark(MarkKind::Request, policy, range, circumstances.now, &reason);
            let evidence = self.evidence(shards, policy, range, finding, streak);
            let request = evidence.into_request(webhook.clone(), circumstances.due);
            effects.push(Effect::Request { request });
        }
        effects.push(Effect::Judged(Judged {
            policy: policy.name.clone(),
            version: range.version.to_owned(),
            window_end: range.end,
            decision,
            reason,
        }));
    }

    fn find(
        &mut self,
        shards: &[&Partial],
        at: usize,
        policy: &PolicySpec,
        range: Range<'_>,
    ) -> Finding {
        match &policy.condition {
            Condition::Performance { .. } => self.find_performance(shards, at, policy, range),
            Condition::Drift { .. } => self.find_drift(shards, policy, range),
            Condition::PerformanceAlarm(alarm) => {
                let features = self.noted(at, range);
                self.find_performance_alarm(shards, policy, alarm, range, features)
            }
            Condition::DriftAlarm(alarm) => self.find_drift_alarm(shards, policy, alarm, range),
            Condition::Alert { .. } => unreachable!("no window is judged for an alert"),
        }
    }

    fn find_performance(
        &self,
        shards: &[&Partial],
        at: usize,
        policy: &PolicySpec,
        range: Range<'_>,
    ) -> Finding {
        let Condition::Performance { metric, bound, compare: how, label_age, min_labels } =
            &policy.condition
        else {
            unreachable!("the caller matched the condition");
        };
        let sum = self.judged_sum(shards, policy.window, *label_age, range);
        let features = self.noted(at, range);
        let (layout, _) = self.context.layouts.of(range.version);
        let baseline = layout
            .profile
            .as_ref()
            .and_then(|profile| profile.baseline.get(metric.name()).map(|estimate| estimate.value));
        let level = threshold(*bound, baseline);
        let value = sum.cells.as_ref().and_then(|cells| estimate(*metric, cells));
        let labelled = sum.labelled();
        let verdict = match (level, value) {
            _ if labelled < *min_labels => Verdict::Unknown(Hold::NotEnoughLabels),
            (None, _) => Verdict::Unknown(Hold::NoBaseline),
            (_, None) => Verdict::Unknown(Hold::Undefined),
            (Some(level), Some(value)) => compare(&value, *bound, *how, level),
        };
        let reason = describe(*metric, value, level, labelled, sum.predictions);
        let metric = value.map(|value| metric_evidence(*metric, value, baseline, level));
        Finding { verdict, metric, features, sum, inherited: false, reason, budget: None }
    }

    /// A window as a judgement at this label age sees it.
    pub(super) fn judged_sum(
        &self,
        shards: &[&Partial],
        window: Span,
        label_age: Span,
        range: Range<'_>,
    ) -> SliceSum {
        let judgement = Judgement { window, label_age };
        let judgements = &self.context.windows.judgements;
        let judgement = judgements.iter().position(|known| *known == judgement);
        sum::whole(shards, range, judgement)
    }

    /// The worst features of a window, noted when it closed.
    fn noted(&self, at: usize, range: Range<'_>) -> Vec<FeatureNote> {
        let notes = self.state.notes.get(&(at as u16, range.end, range.version.to_owned()));
        notes.cloned().unwrap_or_default()
    }

    fn find_drift(&self, shards: &[&Partial], policy: &PolicySpec, range: Range<'_>) -> Finding {
        let Condition::Drift { features, statistic, above, features_min, min_predictions } =
            &policy.condition
        else {
            unreachable!("the caller matched the condition");
        };
        let sum = SliceSum { cells: None, ..sum::whole(shards, range, None) };
        let unknown = |hold| Finding {
            verdict: Verdict::Unknown(hold),
            metric: None,
            features: Vec::new(),
            sum: sum.clone(),
            inherited: false,
            reason: hold.name().replace('_', " "),
            budget: None,
        };
        let Some(drift) = self.drift(shards, range.version, range.start, range.end) else {
            return unknown(Hold::NoReference);
        };
        if sum.predictions < *min_predictions {
            return unknown(Hold::NotEnoughPredictions);
        }
        let names: Vec<&str> =
            features.iter().map(|&at| &*self.context.spec.features[at].name).collect();
        let chosen: Vec<_> = worst(&drift.features)
            .into_iter()
            .filter(|feature| names.is_empty() || names.contains(&feature.feature.as_str()))
            .filter(|feature| exceeds(feature.statistic(*statistic), *above))
            .collect();
        let bad = chosen.len() >= *features_min;
        let reason = format!(
            "{} of {} features have {} above {above}",
            chosen.len(),
            if names.is_empty() { drift.features.len() } else { names.len() },
            statistic.name(),
        );
        Finding {
            verdict: if bad { Verdict::Bad } else { Verdict::Good },
            metric: None,
            features: chosen.into_iter().take(WORST_FEATURES).map(note).collect(),
            inherited: drift.inherited,
            reason,
            sum,
            budget: None,
        }
    }

    fn evidence(
        &self,
        shards: &[&Partial],
        policy: &PolicySpec,
        range: Range<'_>,
        finding: Finding,
        streak: u32,
    ) -> Evidence {
        let (layout, _) = self.context.layouts.of(range.version);
        let partitions = sum::offsets(shards, range)
            .into_iter()
            .map(|(partition, (from, last))| PartitionOffsets { partition, from, to: last + 1 })
            .collect();
        let performance = is_performance(&policy.condition);
        Evidence {
            model: self.context.spec.name.to_string(),
            version: range.version.to_owned(),
            task: self.context.spec.task.name().to_owned(),
            policy: policy.name.to_string(),
            reason: finding.reason,
            window: WindowEvidence {
                start: JsonTime(range.start),
                end: JsonTime(range.end),
                size_seconds: policy.window.as_secs_f64(),
                bad_in_a_row: streak,
            },
            metric: finding.metric,
            predictions: finding.sum.predictions,
            labeled_predictions: performance.then(|| finding.sum.labelled()),
            label_coverage: finding.sum.coverage().filter(|_| performance),
            reference: layout.profile.as_ref().map(|profile| profile.content_hash.clone()),
            drifting_features: finding.features.iter().map(FeatureNote::evidence).collect(),
            offsets: vec![TopicOffsets { topic: self.topic.to_string(), partitions }],
            alert: None,
            budget: finding.budget,
        }
    }
}

fn is_performance(condition: &Condition) -> bool {
    matches!(condition, Condition::Performance { .. } | Condition::PerformanceAlarm(_))
}

fn exceeds(estimate: Option<Estimate>, above: f64) -> bool {
    estimate.is_some_and(|estimate| estimate.value > above)
}

pub(super) fn note(feature: &crate::engine::drift::FeatureDrift) -> FeatureNote {
    let named = |(statistic, estimate): &(Statistic, Estimate)| {
        (statistic.name().to_owned(), estimate.value)
    };
    FeatureNote {
        name: feature.feature.clone(),
        statistics: feature.statistics.iter().map(named).collect(),
    }
}

pub(super) fn metric_evidence(
    metric: Metric,
    value: Estimate,
    baseline: Option<f64>,
    level: Option<f64>,
) -> MetricEvidence {
    MetricEvidence {
        name: metric.name().to_string(),
        value: value.value,
        lower: value.interval.map(|interval| interval.lower),
        upper: value.interval.map(|interval| interval.upper),
        support: value.support,
        baseline,
        bound: level,
    }
}

pub(super) fn describe(
    metric: Metric,
    value: Option<Estimate>,
    level: Option<f64>,
    labelled: u64,
    predictions: u64,
) -> String {
    let rows = format!("on {labelled} labeled of {predictions} predictions");
    let level = level.map_or("no baseline".to_owned(), |level| format!("bound {level:.4}"));
    match value {
        None => format!("{} is not defined {rows} ({level})", metric.name()),
        Some(Estimate { value, interval: Some(interval), .. }) => format!(
            "{} {value:.4} [{:.4}, {:.4}] {rows} ({level})",
            metric.name(),
            interval.lower,
            interval.upper
        ),
        Some(Estimate { value, .. }) => format!("{} {value:.4} {rows} ({level})", metric.name()),
    }
}
