//! What a model shows at one moment: for metrics, the page and the terminal.

use super::{Monitor, WindowDrift};
use crate::engine::cbpe::Nowcast;
use crate::engine::drift::FeatureDrift;
use crate::engine::estimate::Estimate;
use crate::engine::metric::Metric;
use crate::engine::model_shard::Partial;
use crate::engine::nowcasts::Grade;
use crate::engine::policy::Decision;
use crate::engine::slice::SliceKey;
use crate::engine::sum::{self, Range};
use crate::engine::time::{Span, Timestamp};

/// Everything about one model.
#[derive(Clone, Debug, Default)]
pub struct ModelReport {
    pub versions: Vec<VersionReport>,
    pub policies: Vec<PolicyReport>,
    /// The closing watermarks; `None` while a shard is missing or nothing was read.
    pub predictions_closing: Option<Timestamp>,
    pub labels_closing: Option<Timestamp>,
    /// The label topic has been quiet for longer than `silent_after`: its time stands still.
    pub labels_silent: bool,
}

#[derive(Clone, Debug)]
pub struct VersionReport {
    pub version: String,
    pub windows: Vec<WindowReport>,
    /// Of the newest closed window of each size.
    pub drift: Vec<DriftReport>,
    /// Of the newest closed window of each size that could be estimated.
    pub estimates: Vec<EstimateReport>,
}

/// One window before all labels are there, and how estimates like it did.
#[derive(Clone, Debug)]
pub struct EstimateReport {
    pub size: Span,
    pub end: Timestamp,
    pub predictions: u64,
    pub labeled: u64,
    pub metrics: Vec<(Metric, Nowcast)>,
    /// Metrics of which a window was graded.
    pub grades: Vec<(Metric, Grade)>,
}

/// The window that is shown for one size.
#[derive(Clone, Debug)]
pub struct WindowReport {
    pub size: Span,
    pub end: Timestamp,
    pub whole: SliceReport,
    pub slices: Vec<SliceReport>,
}

#[derive(Clone, Debug)]
pub struct SliceReport {
    pub key: SliceKey,
    /// Feature and value of each condition; empty for the whole model.
    pub conditions: Vec<(String, String)>,
    pub predictions: u64,
    pub labeled: u64,
    pub metrics: Vec<(Metric, Estimate)>,
}

#[derive(Clone, Debug)]
pub struct DriftReport {
    pub size: Span,
    pub drift: WindowDrift,
}

#[derive(Clone, Debug)]
pub struct PolicyReport {
    pub name: String,
    /// Versions that call for the policy's action, since which window end. One that has stopped
    /// predicting is not listed: nothing would ever clear it.
    pub firing: Vec<(String, Timestamp)>,
    pub decisions: Vec<(Decision, u64)>,
    /// The last decision about each version.
    pub last: Vec<(String, Timestamp, Decision)>,
    /// Its part of the model's budget of false alarms; `None`: the bound is the user's own.
    pub episodes_a_week: Option<f64>,
    /// Of each version's last window, over what an alarm takes, as logarithms.
    pub evidence: Vec<(String, f64)>,
}

impl DriftReport {
    /// Features, then score and predicted class, that have numbers.
    pub fn all(&self) -> impl Iterator<Item = &FeatureDrift> {
        self.drift.features.iter().chain(&self.drift.score).chain(&self.drift.classes)
    }
}

impl Monitor {
    /// The model as it is now. Chooses the windows that are shown, so it needs `&mut`.
    pub fn report(&mut self, shards: &[&Partial]) -> ModelReport {
        let closing = self.closing(shards);
        let mut report = ModelReport {
            predictions_closing: closing.map(|(p, _)| p).filter(|at| *at > Timestamp::MIN),
            labels_closing: closing.map(|(_, l)| l).filter(|at| *at > Timestamp::MIN),
            labels_silent: shards.iter().any(|shard| shard.labels_silent),
            ..ModelReport::default()
        };
        let live = self.live_versions(shards);
        for version in live.iter().cloned() {
            let mut windows = Vec::new();
            let mut drift = Vec::new();
            let mut estimates = Vec::new();
            for index in 0..self.context.windows.specs.len() {
                windows.extend(self.window(shards, &version, index));
                let size = self.context.windows.specs[index].size;
                let shown = self.state.drift.get(&(version.clone(), index as u16)).cloned();
                drift.extend(shown.map(|drift| DriftReport { size, drift }));
                estimates.extend(self.estimates(shards, &version, index));
            }
            report.versions.push(VersionReport { version, windows, drift, estimates });
        }
        for (policy, state) in self.context.spec.policies.iter().zip(&self.state.policies) {
            report.policies.push(PolicyReport {
                name: policy.name.to_string(),
                firing: state
                    .firing
                    .iter()
                    .filter(|(version, _)| live.contains(version))
                    .map(|(version, since)| (version.clone(), *since))
                    .collect(),
                decisions: state.decisions.iter().map(|(d, n)| (*d, *n)).collect(),
                last: state
                    .last
                    .iter()
                    .filter(|(version, _)| live.contains(version))
                    .map(|(version, (at, decision))| (version.clone(), *at, *decision))
                    .collect(),
                episodes_a_week: policy.condition.episodes_a_week(),
                evidence: self
                    .alarms
                    .policies
                    .get(&*policy.name)
                    .into_iter()
                    .flat_map(|memory| &memory.versions)
                    .filter(|(version, _)| live.contains(version))
                    .filter_map(|(version, memory)| Some((version.clone(), memory.evidence?)))
                    .collect(),
            });
        }
        report
    }

    /// Versions that have predicted lately, sorted.
    pub fn live_versions(&self, shards: &[&Partial]) -> Vec<String> {
        let newest = |version: &str| {
            let of = |shard: &&Partial| {
                let at = shard.version_index(version)?;
                Some(shard.counters[usize::from(at)].newest)
            };
            shards.iter().filter_map(of).max().unwrap_or(Timestamp::MIN)
        };
        let watermark =
            shards.iter().map(|shard| shard.predictions_closing).min().unwrap_or(Timestamp::MIN);
        let gone = watermark - self.context.spec.show.version_gone_after;
        let mut versions: Vec<String> =
            shards.iter().flat_map(|shard| shard.versions.iter().cloned()).collect();
        versions.sort();
        versions.dedup();
        versions.retain(|version| newest(version) >= gone);
        versions
    }

    /// The window that a version's gauges of one size show: the newest closed one with enough
    /// labels, never older than the one before.
    fn window(&mut self, shards: &[&Partial], version: &str, index: usize) -> Option<WindowReport> {
        let spec = self.context.windows.specs[index];
        let show = self.context.spec.show;
        let shown = (version.to_owned(), index as u16);
        let before = self.state.shown.get(&shown).copied().unwrap_or(Timestamp::MIN);
        let oldest = self.state.final_through[index].max(before - spec.every);
        let key = |end| (index as u16, end);
        let candidates: Vec<Timestamp> = self
            .state
            .revisions
            .range(key(Timestamp(oldest.0 + 1))..=key(Timestamp::MAX))
            .rev()
            .map(|((_, end), _)| *end)
            .collect();
        for end in candidates {
            let range = Range { version, start: end - spec.size, end };
            let whole = sum::whole(shards, range, None);
            let enough = whole.coverage().is_some_and(|share| share >= show.coverage_min)
                && whole.labelled() >= show.support_min;
            if enough {
                self.state.shown.insert(shown, end);
                return Some(self.window_report(shards, range, spec.size));
            }
        }
        None
    }

    fn window_report(&self, shards: &[&Partial], range: Range<'_>, size: Span) -> WindowReport {
        let mut reports: Vec<SliceReport> = Vec::new();
        for (key, sum) in sum::slices(shards, range) {
            reports.push(SliceReport {
                key,
                conditions: self.context.slicer.describe(key),
                predictions: sum.predictions,
                labeled: sum.labelled(),
                metrics: self.metrics(&sum),
            });
            debug_assert!(key.is_whole() || reports.len() > 1, "the whole model sorts first");
        }
        let slices = reports.split_off(reports.len().min(1));
        let whole = reports.pop().unwrap_or(SliceReport {
            key: SliceKey::WHOLE,
            conditions: self.context.slicer.describe(SliceKey::WHOLE),
            predictions: 0,
            labeled: 0,
            metrics: Vec::new(),
        });
        WindowReport { size, end: range.end, whole, slices }
    }
}
