//! Policies: what they ask for, what they said last and why.

use super::{ModelView, end_of, name};
use crate::engine::alarm::loss::{Kind, kind};
use crate::engine::history::MarkKind;
use crate::engine::policy::{Decision, PolicyState};
use crate::engine::spec::{Action, Bound, Compare, Condition, Level, PolicySpec};
use crate::engine::time::Timestamp;
use crate::io::http::api::dto::{
    DecisionCount, FiringSince, FiringTest, LastDecision, PoliciesAnswer, Policy, PolicyBudget,
    PolicyEvidence, seconds, stretch,
};

impl ModelView<'_> {
    pub(super) fn policies(&self) -> PoliciesAnswer {
        let states = &self.monitor.monitor.state.policies;
        let policies = self.spec.policies.iter().zip(states);
        PoliciesAnswer {
            policies: policies.map(|(policy, state)| self.policy(policy, state)).collect(),
        }
    }

    fn policy(&self, policy: &PolicySpec, state: &PolicyState) -> Policy {
        let live = self.live_versions();
        let (webhook, cooldown) = match &policy.action {
            Action::Alert => (None, None),
            Action::Retrain { webhook, cooldown, .. } => {
                (Some(webhook.to_string()), Some(*cooldown))
            }
        };
        let (measure, label_age) = match &policy.condition {
            Condition::Performance { metric, label_age, .. } => (metric.name(), Some(*label_age)),
            Condition::Drift { statistic, .. } => (statistic.name(), None),
            Condition::PerformanceAlarm(alarm) => (alarm.metric.name(), Some(alarm.label_age)),
            Condition::DriftAlarm(_) => ("drift", None),
            Condition::Alert { alert } => (&**alert, None),
        };
        let until = state.requested_at.zip(cooldown).map(|(at, cooldown)| at + cooldown);
        let passed = state.judged_through;
        Policy {
            name: policy.name.to_string(),
            window: policy.window.to_string(),
            measure: measure.to_owned(),
            condition: condition(policy),
            action: if webhook.is_some() { "retrain" } else { "alert" }.to_owned(),
            webhook,
            cooldown: cooldown.map(stretch),
            for_windows: policy.for_windows,
            label_age: label_age.map(stretch),
            firing: state
                .firing
                .iter()
                .filter(|(version, _)| live.contains(version))
                .map(|(version, since)| FiringSince {
                    version: name(version),
                    since: end_of(*since),
                })
                .collect(),
            budget: self.budget(policy),
            cooldown_until: until.filter(|until| *until > passed).and_then(seconds),
            judged_through: Some(passed).filter(|at| *at > Timestamp::MIN).and_then(seconds),
            last: state
                .last
                .iter()
                .filter(|(version, _)| live.contains(version))
                .map(|(version, (end, decision))| LastDecision {
                    version: name(version),
                    window_end: end_of(*end),
                    decision: decision.name().to_owned(),
                    reason: decision.reason().to_owned(),
                    text: self.sentence(policy, version, *decision),
                    streak: state.streak(version),
                })
                .collect(),
            decisions: state
                .decisions
                .iter()
                .map(|(decision, count)| DecisionCount {
                    decision: decision.name().to_owned(),
                    reason: decision.reason().to_owned(),
                    count: *count,
                })
                .collect(),
        }
    }

    fn budget(&self, policy: &PolicySpec) -> Option<PolicyBudget> {
        let (alpha, run_length) = match &policy.condition {
            Condition::DriftAlarm(alarm) => (Some(alarm.terms.alpha), None),
            Condition::PerformanceAlarm(alarm) if kind(alarm.metric) == Some(Kind::Ranking) => {
                (Some(alarm.alpha), None)
            }
            Condition::PerformanceAlarm(alarm) => (None, Some(alarm.run_length)),
            Condition::Performance { .. } | Condition::Drift { .. } | Condition::Alert { .. } => {
                return None;
            }
        };
        let live = self.live_versions();
        let memory = self.monitor.monitor.alarms.policies.get(&*policy.name);
        let versions = memory.into_iter().flat_map(|memory| &memory.versions);
        let versions = versions.filter(|(version, _)| live.contains(version));
        Some(PolicyBudget {
            episodes_per_week: policy.condition.episodes_a_week()?,
            alpha,
            run_length,
            episodes: memory.map_or(0, |memory| memory.episodes),
            versions: versions
                .map(|(version, memory)| PolicyEvidence {
                    version: name(version),
                    evidence: memory.evidence,
                    tests: memory
                        .firing
                        .iter()
                        .map(|((feature, test), firing)| FiringTest {
                            feature: (!feature.is_empty()).then(|| name(feature)),
                            test: test.name().to_owned(),
                            since: end_of(firing.since),
                            calm: firing.calm,
                        })
                        .collect(),
                })
                .collect(),
        })
    }

    /// What the last judgement said, with the words of the mark that it left, if it left one.
    fn sentence(&self, policy: &PolicySpec, version: &str, decision: Decision) -> String {
        let why = decision.reason().replace('_', " ");
        let newest =
            self.kept().marks().rev().find(|mark| {
                mark.policy.as_deref() == Some(&*policy.name) && mark.version == version
            });
        match newest {
            Some(mark) if matches!(mark.kind, MarkKind::Firing | MarkKind::Request) => {
                format!("{why}; since {}: {}", mark.at, mark.text)
            }
            _ => why,
        }
    }
}

/// `accuracy surely below 0.8, from 100 labels, for 2 windows`
fn condition(policy: &PolicySpec) -> String {
    let mut text = match &policy.condition {
        Condition::Performance { metric, bound, compare, min_labels, .. } => {
            let (side, level) = match bound {
                Bound::Below(level) => ("below", level),
                Bound::Above(level) => ("above", level),
            };
            let level = match level {
                Level::Value(value) => format!("{value}"),
                Level::BaselineMinus(margin) => format!("baseline - {margin}"),
                Level::BaselinePlus(margin) => format!("baseline + {margin}"),
            };
            let sure = if *compare == Compare::Sure { "surely " } else { "" };
            format!("{} {sure}{side} {level}, from {min_labels} labels", metric.name())
        }
        Condition::Drift { features, statistic, above, features_min, min_predictions } => {
            let of = match features.len() {
                0 => "all features".to_owned(),
                n => format!("{n} features"),
            };
            format!(
                "{} above {above} for {features_min} of {of}, from {min_predictions} predictions",
                statistic.name()
            )
        }
        Condition::PerformanceAlarm(alarm) => format!(
            "{} worse than its baseline by more than {}, at {} false alarms a week at most",
            alarm.metric.name(),
            alarm.margin,
            alarm.episodes_a_week
        ),
        Condition::DriftAlarm(alarm) => format!(
            "inputs moved by more than is material (phi^2 {}, shares {}), at {} false alarms a \
            week at most",
            alarm.terms.material, alarm.terms.share_margin, alarm.episodes_a_week
        ),
        Condition::Alert { alert } => format!("Alertmanager's alert {alert} fires"),
    };
    if policy.for_windows > 1 {
        text.push_str(&format!(", for {} windows in a row", policy.for_windows));
    }
    text
}
