//! One model: merges the shards' partials into windows, shows them, and asks the policies.
//!
//! A window closes only when every expected shard has passed it. Judging is a function of the logs
//! alone; showing follows whatever labels have come.

mod alarm;
mod alert;
mod firing;
mod judge;
mod nowcast;
mod record;
mod report;

pub use alert::{AlertOutcome, ExternalAlert};
pub use report::{
    DriftReport, EstimateReport, ModelReport, SliceReport, VersionReport, WindowReport,
};

use super::alarm::memory::Memory;
use super::drift::FeatureDrift;
use super::effect::{Effect, FiringKind};
use super::history::History;
use super::model_shard::{ModelContext, Partial};
use super::nowcasts::Nowcasts;
use super::outbox::Outbox;
use super::pane::{PaneKey, Released};
use super::policy::PolicyState;
use super::request::FeatureEvidence;
use super::spec::PolicySpec;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A window of the model: position of its kind in the specification, and its end.
type WindowKey = (u16, Timestamp);

/// What a monitor remembers across restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MonitorState {
    /// By kind of window: those that end at or before this have fired OnTime, and Final.
    pub closed_through: Vec<Timestamp>,
    pub final_through: Vec<Timestamp>,
    /// Revisions of windows that have fired and are not final.
    pub revisions: BTreeMap<WindowKey, u32>,
    /// How often windows of each kind fired.
    pub firings: BTreeMap<(u16, FiringKind), u64>,
    /// One a policy, in the order of the specification.
    pub policies: Vec<PolicyState>,
    /// The worst features of windows that will be judged later: by (policy, window end, version).
    pub notes: BTreeMap<(u16, Timestamp, String), Vec<FeatureNote>>,
    /// The window shown for each version and kind; it never moves to an older one.
    pub shown: BTreeMap<(String, u16), Timestamp>,
    /// Drift of the newest closed window of each version and kind.
    pub drift: BTreeMap<(String, u16), WindowDrift>,
    pub outbox: Outbox,
}

impl MonitorState {
    /// Gives each policy the state that it had under its name in another order of them. A policy
    /// that is new begins anew; what belonged to one that is gone is forgotten.
    pub fn arrange_policies(&mut self, names: &[String], policies: &[PolicySpec]) {
        let place = |name: &str| policies.iter().position(|policy| &*policy.name == name);
        let mut arranged = vec![PolicyState::default(); policies.len()];
        for (name, state) in names.iter().zip(std::mem::take(&mut self.policies)) {
            if let Some(at) = place(name) {
                arranged[at] = state;
            }
        }
        self.policies = arranged;
        let notes = std::mem::take(&mut self.notes).into_iter();
        self.notes = notes
            .filter_map(|((at, end, version), notes)| {
                let at = place(names.get(usize::from(at))?)?;
                Some(((u16::try_from(at).ok()?, end, version), notes))
            })
            .collect();
    }
}

/// One drifting feature, as evidence keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureNote {
    pub name: String,
    pub statistics: Vec<(String, f64)>,
}

/// Drift of one closed window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowDrift {
    pub end: Timestamp,
    /// The profile was another version's.
    pub inherited: bool,
    /// Features in the model's order, then `score` and `predicted_class` under those names.
    pub features: Vec<FeatureDrift>,
    pub score: Option<FeatureDrift>,
    pub classes: Option<FeatureDrift>,
}

/// One model's monitor.
#[derive(Clone, Debug)]
pub struct Monitor {
    pub context: Arc<ModelContext>,
    /// Topic of the model's predictions, for the evidence.
    pub topic: Arc<str>,
    /// How many shards must have reported before a window closes.
    pub expected_shards: usize,
    pub state: MonitorState,
    /// What the newest windows looked like; a section of its own in the checkpoint.
    pub history: History,
    /// What alarms from a budget remember; a section of its own, too.
    pub alarms: Memory,
    /// What its windows were estimated to be, and how that did; another section.
    pub nowcasts: Nowcasts,
    /// Fired windows that changed since, and when they last fired by our clock.
    changed: BTreeSet<WindowKey>,
    fired_at: BTreeMap<WindowKey, Timestamp>,
}

impl Monitor {
    pub fn new(context: Arc<ModelContext>, topic: Arc<str>) -> Self {
        let mut monitor = Self {
            history: History::new(&context.spec),
            alarms: Memory::default(),
            nowcasts: Nowcasts::new(&context.spec),
            context,
            topic,
            expected_shards: usize::MAX,
            state: MonitorState::default(),
            changed: BTreeSet::new(),
            fired_at: BTreeMap::new(),
        };
        monitor.restore(MonitorState::default());
        monitor
    }

    /// Goes on from a checkpoint, whatever it lacks.
    pub fn restore(&mut self, state: MonitorState) {
        self.state = state;
        let kinds = self.context.windows.specs.len();
        self.state.closed_through.resize(kinds, Timestamp::MIN);
        self.state.final_through.resize(kinds, Timestamp::MIN);
        self.state.policies.resize_with(self.context.spec.policies.len(), PolicyState::default);
        self.changed = self.state.revisions.keys().copied().collect();
        self.fired_at.clear();
    }

    /// Goes on with the alarms of a checkpoint, which may be of another configuration.
    pub fn restore_alarms(&mut self, alarms: Memory) {
        let policies = &self.context.spec.policies;
        self.alarms = alarms;
        self.alarms.retain(|name| policies.iter().any(|policy| &*policy.name == name));
    }

    /// The predictions' and the labels' closing watermark: the least over the shards; `None` while
    /// a shard is missing.
    pub fn closing(&self, shards: &[&Partial]) -> Option<(Timestamp, Timestamp)> {
        if shards.is_empty() || shards.len() < self.expected_shards {
            return None;
        }
        let predictions = shards.iter().map(|shard| shard.predictions_closing).min()?;
        let labels = shards.iter().map(|shard| shard.labels_closing).min()?;
        Some((predictions, labels))
    }

    /// Fires what is due, judges what is due. `seen` are the panes that changed since the last
    /// call.
    pub fn advance(
        &mut self,
        shards: &[&Partial],
        seen: &[PaneKey],
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.note_changes(seen);
        let Some((predictions, labels)) = self.closing(shards) else { return };
        self.fire_on_time(shards, predictions, now, effects);
        self.fire_late(shards, predictions, now, effects);
        self.note_drift(shards, predictions);
        self.judge(shards, predictions, labels, now, effects);
        self.fire_final(shards, predictions, labels, effects);
    }

    /// Up to where the shards may roll up and drop panes.
    pub fn releasable(&self, shards: &[&Partial]) -> Option<Released> {
        let (predictions, labels) = self.closing(shards)?;
        let windows = &self.context.windows;
        let lateness = self.context.spec.time.allowed_lateness;
        let mut rolled = Vec::new();
        for (at, level) in windows.levels.iter().enumerate() {
            let next = windows.levels.get(at + 1);
            let done = |index: &&usize| next.is_none_or(|next| !next.windows.contains(*index));
            let mut until = Timestamp::MAX;
            for &index in level.windows.iter().filter(done) {
                let spec = &windows.specs[index];
                let last = self.state.final_through[index].min(labels - spec.keep);
                until = until.min(last - spec.size).min(predictions - lateness - spec.size);
                until = until.min(self.judged(spec.size));
            }
            let width = next.unwrap_or(level).width;
            rolled.push(until.floor(width, windows.origin).max(Timestamp::MIN));
        }
        // A level cannot be ahead of the finer ones.
        for at in (1..rolled.len()).rev() {
            rolled[at - 1] = rolled[at - 1].max(Timestamp::MIN);
            rolled[at] = rolled[at].min(rolled[at - 1]);
        }
        let widest = windows.specs.iter().map(|spec| spec.size).max().unwrap_or(Span::ZERO);
        let noted = self.state.policies.iter().map(|policy| policy.noted_through).min();
        let features = (predictions - lateness - widest).min(noted.unwrap_or(Timestamp::MAX));
        Some(Released { rolled, features: features.floor(windows.levels[0].width, windows.origin) })
    }

    /// Up to where windows of this size have been judged by every policy that has it.
    fn judged(&self, size: Span) -> Timestamp {
        self.context
            .spec
            .policies
            .iter()
            .zip(&self.state.policies)
            .filter(|(policy, _)| policy.window == size)
            .map(|(_, state)| state.judged_through)
            .min()
            .unwrap_or(Timestamp::MAX)
    }

    /// Fired windows over changed panes have to fire again.
    fn note_changes(&mut self, seen: &[PaneKey]) {
        let windows = &self.context.windows;
        for key in seen {
            for &index in &windows.levels[usize::from(key.level)].windows {
                let spec = &windows.specs[index];
                for end in windows.ends(spec, key.start) {
                    if end <= self.state.closed_through[index]
                        && end > self.state.final_through[index]
                    {
                        self.changed.insert((index as u16, end));
                    }
                }
            }
        }
    }
}

impl FeatureNote {
    pub fn evidence(&self) -> FeatureEvidence {
        FeatureEvidence {
            name: self.name.clone(),
            statistics: self
                .statistics
                .iter()
                .map(|(name, value)| super::request::StatisticEvidence {
                    name: name.clone(),
                    value: *value,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::spec::{Action, Condition};

    fn policy(name: &str) -> PolicySpec {
        PolicySpec {
            name: name.into(),
            condition: Condition::Alert { alert: "low".into() },
            window: Span::from_hours(1),
            for_windows: 1,
            action: Action::Alert,
        }
    }

    #[test]
    fn policies_keep_what_they_remember_when_their_order_changes() {
        let judged = |hours| PolicyState {
            judged_through: Timestamp(0) + Span::from_hours(hours),
            ..PolicyState::default()
        };
        let note = |at: u16| ((at, Timestamp(0), "v1".to_owned()), Vec::new());
        let mut state = MonitorState {
            policies: vec![judged(1), judged(2), judged(3)],
            notes: [note(0), note(1), note(2)].into(),
            ..MonitorState::default()
        };
        let names = ["a", "b", "c"].map(str::to_owned);
        state.arrange_policies(&names, &[policy("c"), policy("new"), policy("a")]);
        assert_eq!(state.policies, [judged(3), PolicyState::default(), judged(1)]);
        assert_eq!(state.notes, [note(2), note(0)].into());
        state.arrange_policies(&[], &[]);
        assert!(state.policies.is_empty() && state.notes.is_empty());
    }
}
