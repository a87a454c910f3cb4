//! Policies: what a disjoint window's evidence means, and what follows from it.
//!
//! A window is judged once, on the labels that were known at its deadline. Every answer carries its
//! reason, above all when it is no.

use super::estimate::Estimate;
use super::spec::{Action, Bound, Compare, Level, PolicySpec};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a judgement of one window of one version comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    Hold(Hold),
    Alert,
    Retrain,
}

/// Why nothing is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hold {
    /// The window is fine.
    Healthy,
    /// Too few labels at the deadline; it stays so for good.
    NotEnoughLabels,
    /// Too few predictions.
    NotEnoughPredictions,
    /// The metric is not defined on this window.
    Undefined,
    /// The value is beyond the bound, its interval is not, or it has none.
    NotSure,
    /// The version's profile has no such baseline.
    NoBaseline,
    /// There is no profile to measure drift against.
    NoReference,
    /// Bad, but not yet in enough windows in a row.
    TooFew,
    /// A retraining was asked for not long before.
    InCooldown,
    /// The judgement fell due too long ago to act on.
    Historical,
    /// Drift against another version's profile does not ask for a retraining.
    InheritedReference,
    /// An alarm fires, and this window did not set it off; it is not clear yet either.
    NotClearYet,
}

impl Hold {
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NotEnoughLabels => "not_enough_labels",
            Self::NotEnoughPredictions => "not_enough_predictions",
            Self::Undefined => "undefined",
            Self::NotSure => "not_sure",
            Self::NoBaseline => "no_baseline",
            Self::NoReference => "no_reference",
            Self::TooFew => "too_few_in_a_row",
            Self::InCooldown => "in_cooldown",
            Self::Historical => "historical",
            Self::InheritedReference => "inherited_reference",
            Self::NotClearYet => "not_clear_yet",
        }
    }
}

impl Decision {
    /// `hold`, `alert` or `retrain`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Alert => "alert",
            Self::Retrain => "retrain",
        }
    }

    /// The reason of a hold; `bad_window` otherwise.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Hold(hold) => hold.name(),
            Self::Alert | Self::Retrain => "bad_window",
        }
    }
}

/// What a window's evidence says, before anything is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Bad,
    Good,
    /// Neither: a streak of bad windows goes on, and does not grow.
    Unknown(Hold),
}

/// Versions of alerts from outside that a policy remembers.
pub const ALERT_VERSIONS_MAX: usize = 256;

/// What a policy remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyState {
    /// Windows that end at or before this have been judged.
    pub judged_through: Timestamp,
    /// Windows that end at or before this have had their drift noted for later evidence.
    pub noted_through: Timestamp,
    /// Bad windows in a row, by version.
    pub streaks: BTreeMap<String, u32>,
    /// Window end of the last request.
    pub requested_at: Option<Timestamp>,
    /// How often each decision was taken.
    pub decisions: BTreeMap<Decision, u64>,
    /// The last decision about each version, with its window's end.
    pub last: BTreeMap<String, (Timestamp, Decision)>,
    /// Versions whose last judged window with a verdict called for the action.
    pub firing: BTreeMap<String, Timestamp>,
}

impl Default for PolicyState {
    fn default() -> Self {
        Self {
            judged_through: Timestamp::MIN,
            noted_through: Timestamp::MIN,
            streaks: BTreeMap::new(),
            requested_at: None,
            decisions: BTreeMap::new(),
            last: BTreeMap::new(),
            firing: BTreeMap::new(),
        }
    }
}

/// The level that a bound means, given the baseline.
pub fn threshold(bound: Bound, baseline: Option<f64>) -> Option<f64> {
    let level = match bound {
        Bound::Below(level) | Bound::Above(level) => level,
    };
    match level {
        Level::Value(value) => Some(value),
        Level::BaselineMinus(margin) => baseline.map(|baseline| baseline - margin),
        Level::BaselinePlus(margin) => baseline.map(|baseline| baseline + margin),
    }
}

/// Whether an estimate lies beyond a bound. `Sure` asks for the whole interval to lie there.
pub fn compare(estimate: &Estimate, bound: Bound, compare: Compare, threshold: f64) -> Verdict {
    let beyond = |value: f64| match bound {
        Bound::Below(_) => value < threshold,
        Bound::Above(_) => value > threshold,
    };
    if !beyond(estimate.value) {
        return Verdict::Good;
    }
    match (compare, estimate.interval) {
        (Compare::Value, _) => Verdict::Bad,
        (Compare::Sure, None) => Verdict::Unknown(Hold::NotSure),
        (Compare::Sure, Some(interval)) => {
            let nearest = match bound {
                Bound::Below(_) => interval.upper,
                Bound::Above(_) => interval.lower,
            };
            // A value beyond the bound that may be chance is not bad news, and not good news
            // either.
            if beyond(nearest) { Verdict::Bad } else { Verdict::Unknown(Hold::NotSure) }
        }
    }
}

/// What decides beside the verdict.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub window_end: Timestamp,
    /// When the judgement fell due.
    pub due: Timestamp,
    pub now: Timestamp,
    /// The evidence is drift against another version's profile.
    pub inherited: bool,
}

impl PolicyState {
    /// Takes up a verdict about a version's window and decides.
    pub fn decide(
        &mut self,
        policy: &PolicySpec,
        version: &str,
        verdict: Verdict,
        circumstances: Circumstances,
    ) -> Decision {
        let decision = self.weigh(policy, version, verdict, &circumstances);
        if decision == Decision::Retrain {
            self.requested_at = Some(circumstances.window_end);
        }
        *self.decisions.entry(decision).or_default() += 1;
        self.last.insert(version.to_owned(), (circumstances.window_end, decision));
        decision
    }

    /// Decides on an alert that fires, by our clock: the cooldown runs from the last request, and
    /// nothing is historical, since the alert fires now.
    pub fn decide_alert(
        &mut self,
        policy: &PolicySpec,
        version: &str,
        starts_at: Timestamp,
        now: Timestamp,
    ) -> Decision {
        self.make_room(version);
        self.firing.entry(version.to_owned()).or_insert(starts_at);
        let cools = |cooldown| self.requested_at.is_some_and(|last| now - last < cooldown);
        let decision = match &policy.action {
            Action::Alert => Decision::Alert,
            Action::Retrain { cooldown, .. } if cools(*cooldown) => {
                Decision::Hold(Hold::InCooldown)
            }
            Action::Retrain { .. } => Decision::Retrain,
        };
        if decision == Decision::Retrain {
            self.requested_at = Some(now);
        }
        *self.decisions.entry(decision).or_default() += 1;
        self.last.insert(version.to_owned(), (starts_at, decision));
        decision
    }

    /// Alerts name versions that nothing else bounds: the first by name are forgotten.
    fn make_room(&mut self, version: &str) {
        while self.last.len() >= ALERT_VERSIONS_MAX && !self.last.contains_key(version) {
            self.last.pop_first();
        }
        while self.firing.len() >= ALERT_VERSIONS_MAX && !self.firing.contains_key(version) {
            self.firing.pop_first();
        }
    }

    pub fn resolve_alert(&mut self, version: &str) {
        self.firing.remove(version);
    }

    fn weigh(
        &mut self,
        policy: &PolicySpec,
        version: &str,
        verdict: Verdict,
        at: &Circumstances,
    ) -> Decision {
        match verdict {
            Verdict::Good => {
                self.streaks.remove(version);
                self.firing.remove(version);
                return Decision::Hold(Hold::Healthy);
            }
            Verdict::Unknown(hold) => return Decision::Hold(hold),
            Verdict::Bad => {}
        }
        let streak = self.streaks.entry(version.to_owned()).or_default();
        *streak = streak.saturating_add(1);
        if *streak < policy.for_windows {
            return Decision::Hold(Hold::TooFew);
        }
        self.firing.entry(version.to_owned()).or_insert(at.window_end);
        match &policy.action {
            Action::Alert => Decision::Alert,
            Action::Retrain { .. } if at.inherited => Decision::Hold(Hold::InheritedReference),
            Action::Retrain { cooldown, act_within, .. } => self.ask(*cooldown, *act_within, at),
        }
    }

    fn ask(&self, cooldown: Span, act_within: Span, at: &Circumstances) -> Decision {
        if self.requested_at.is_some_and(|last| at.window_end - last < cooldown) {
            return Decision::Hold(Hold::InCooldown);
        }
        if at.due + act_within < at.now {
            return Decision::Hold(Hold::Historical);
        }
        Decision::Retrain
    }

    /// Bad windows in a row of a version.
    pub fn streak(&self, version: &str) -> u32 {
        self.streaks.get(version).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::spec::Condition;

    #[test]
    fn an_alert_asks_again_only_after_the_cooldown_and_versions_are_bounded() {
        let action = Action::Retrain {
            webhook: "trainer".into(),
            cooldown: Span::from_hours(6),
            act_within: Span::from_hours(4),
        };
        let policy = PolicySpec {
            name: "on-alert".into(),
            condition: Condition::Alert { alert: "low".into() },
            window: Span::from_hours(1),
            for_windows: 1,
            action,
        };
        let hour = |hours| Timestamp(0) + Span::from_hours(hours);
        let mut state = PolicyState::default();
        let mut at =
            |version: &str, hours| state.decide_alert(&policy, version, hour(0), hour(hours));
        // It began long ago and fires now.
        assert_eq!(at("v1", 100), Decision::Retrain);
        assert_eq!(at("v1", 105), Decision::Hold(Hold::InCooldown));
        assert_eq!(at("v2", 105), Decision::Hold(Hold::InCooldown));
        assert_eq!(at("v2", 106), Decision::Retrain);
        assert_eq!(state.firing.len(), 2);
        state.resolve_alert("v1");
        assert_eq!(state.firing.keys().collect::<Vec<_>>(), ["v2"]);
        for number in 0..2 * ALERT_VERSIONS_MAX {
            state.decide_alert(&policy, &format!("x{number}"), hour(0), hour(106));
        }
        assert_eq!((state.last.len(), state.firing.len()), (256, 256));
    }
}
