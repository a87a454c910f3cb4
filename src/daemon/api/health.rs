//! How a model is, and why, in sentences.

use super::{ModelView, name};
use crate::engine::drift::{FeatureDrift, Statistic};
use crate::engine::history::headline;
use crate::engine::monitor::WindowDrift;
use crate::engine::outbox::State;
use crate::engine::spec::{Condition, PolicySpec};
use crate::engine::time::{Span, Timestamp};
use crate::io::http::api::dto::{Health, PolicyFiring, Reason, VersionInfo};

/// Reasons that a summary lists.
const REASONS_MAX: usize = 12;
/// Below it a distance is not called material, however many rows there are.
const EFFECT_MIN: f64 = 0.1;
/// Bins of the statistic for numbers, about.
const BINS: usize = 12;
/// A gap to the rest that is surely this large is worth a warning (of metrics from 0 to 1).
const GAP_MIN: f64 = 0.05;

impl ModelView<'_> {
    /// Reasons to be worried, the gravest first, and what they come to.
    pub(super) fn health(
        &self,
        version: Option<&str>,
        firing: &[PolicyFiring],
        versions: &[VersionInfo],
    ) -> (Health, Vec<Reason>) {
        if self.held.joined && !self.monitor.owned {
            let text = "another member of the group looks after this model; what is shown here \
                        is what was when this one last did";
            return (Health::Unknown, vec![reason("elsewhere", text.to_owned())]);
        }
        let mut bad: Vec<Reason> = firing.iter().map(|firing| self.firing_reason(firing)).collect();
        let mut warnings = Vec::new();
        warnings.extend(self.silence());
        warnings.extend(self.quiet(versions));
        warnings.extend(self.webhooks());
        if let Some(version) = version {
            warnings.extend(self.drifted(version));
        }
        let health = if !bad.is_empty() {
            Health::Bad
        } else if !warnings.is_empty() {
            Health::Warning
        } else if self.kept().is_empty() {
            warnings.push(reason("nothing_closed", self.awaited()));
            Health::Unknown
        } else {
            Health::Ok
        };
        bad.append(&mut warnings);
        // Slices differ on a good day too: where it is worst is of interest when it is bad.
        if health <= Health::Warning {
            bad.extend(version.and_then(|version| self.weak_slice(version)));
        }
        bad.truncate(REASONS_MAX);
        (health, bad)
    }

    fn awaited(&self) -> String {
        let windows = self.spec.windows.iter().map(|window| window.size.to_string());
        let windows = windows.collect::<Vec<_>>().join(", ");
        format!("no window has closed yet; there are windows of {windows}")
    }

    fn firing_reason(&self, firing: &PolicyFiring) -> Reason {
        let marks = self.kept().marks().rev();
        let said = marks
            .filter(|mark| mark.policy.as_deref() == Some(&*firing.policy))
            .find(|mark| name(&mark.version) == firing.version && !mark.text.is_empty())
            .map(|mark| mark.text.clone());
        let (policy, version) = (&firing.policy, &firing.version);
        let text = match said {
            Some(said) => format!("policy {policy} fires for {version}: {said}"),
            None => format!("policy {policy} fires for {version}"),
        };
        Reason {
            version: Some(version.clone()),
            policy: Some(policy.clone()),
            ..reason("policy_firing", text)
        }
    }

    fn silence(&self) -> Option<Reason> {
        let silent = self.partials.iter().any(|partial| partial.labels_silent);
        let text =
            "the label topic has been silent for longer than silent_after: nothing is judged";
        silent.then(|| reason("labels_silent", text.to_owned()))
    }

    /// No predictions while the time of their topic went on.
    fn quiet(&self, versions: &[VersionInfo]) -> Option<Reason> {
        let closing = self.partials.iter().map(|partial| partial.predictions_closing).min()?;
        let newest = versions.iter().filter_map(|version| version.last_prediction_at);
        let newest = newest.fold(f64::NEG_INFINITY, f64::max);
        let (_, index) = headline(self.spec);
        let window = self.spec.windows.get(index)?.size;
        let quiet = closing.as_secs_f64() - newest;
        if closing == Timestamp::MIN || self.kept().is_empty() {
            return None;
        }
        let text = if versions.is_empty() {
            "no version predicts any more".to_owned()
        } else if quiet > 2.0 * window.as_secs_f64() {
            let quiet = Span::from_secs(quiet as i64);
            format!("there has been no prediction for {quiet}")
        } else {
            return None;
        };
        Some(reason("no_predictions", text))
    }

    fn webhooks(&self) -> Vec<Reason> {
        let outbox = &self.monitor.monitor.state.outbox;
        let mut reasons = Vec::new();
        for webhook in &self.held.plan.webhooks {
            if outbox.disabled_since(&webhook.name).is_some() {
                let text = format!("webhook {} answered 410 Gone and is disabled", webhook.name);
                reasons.push(reason("webhook_disabled", text));
            }
        }
        let newest = outbox.finished().next_back();
        if let Some(entry) = newest.filter(|entry| matches!(entry.state, State::GivenUp { .. })) {
            let webhook = &entry.request.webhook;
            let text = format!("the last request to webhook {webhook} was given up");
            reasons.push(reason("request_given_up", text));
        }
        reasons
    }

    fn drifted(&self, version: &str) -> Option<Reason> {
        let (_, index) = headline(self.spec);
        let drift = self.newest_drift(index, version)?;
        let material: Vec<&FeatureDrift> =
            drift.features.iter().filter(|feature| self.is_material(version, feature)).collect();
        let worst = material.iter().max_by(|a, b| {
            let rank = |feature: &FeatureDrift| feature.ranking().unwrap_or(0.0);
            rank(a).total_cmp(&rank(b)).then_with(|| b.feature.cmp(&a.feature))
        })?;
        let feature = name(&worst.feature);
        let effect = worst.ranking().unwrap_or(0.0);
        let text = match material.len() {
            1 => format!("{feature} has drifted from the reference ({effect:.2})"),
            n => format!(
                "{n} features have drifted from the reference, most {feature} ({effect:.2})"
            ),
        };
        Some(Reason {
            version: Some(name(version)),
            feature: Some(feature),
            ..reason("drift", text)
        })
    }

    fn weak_slice(&self, version: &str) -> Option<Reason> {
        let worst = self.worst_slice(version)?;
        let lower = worst.gap_lower.filter(|lower| *lower >= GAP_MIN)?;
        let text = format!(
            "{} of {} is {:.3}, surely {lower:.3} worse than for the rest",
            worst.metric, worst.slice.name, worst.value
        );
        Some(Reason {
            version: Some(worst.version.clone()),
            slice: Some(worst.slice),
            ..reason("slice", text)
        })
    }

    /// Drift of the newest closed window of a kind.
    pub(super) fn newest_drift(&self, index: usize, version: &str) -> Option<&WindowDrift> {
        let drift = &self.monitor.monitor.state.drift;
        drift
            .iter()
            .find(|((of, kind), _)| of == version && usize::from(*kind) == index)
            .map(|d| d.1)
    }

    /// Beyond what a policy's bound, or without one the noise of so many rows, explains.
    pub(super) fn is_material(&self, version: &str, feature: &FeatureDrift) -> bool {
        let bounds: Vec<(Statistic, f64)> = self
            .spec
            .policies
            .iter()
            .filter_map(|policy| self.bound(policy, &feature.feature))
            .collect();
        if !bounds.is_empty() {
            return bounds.iter().any(|(statistic, above)| {
                feature.statistic(*statistic).is_some_and(|value| value.value > *above)
            });
        }
        let Some(effect) = feature.statistic(Statistic::RANKING) else { return false };
        let (layout, _) = self.context().layouts.of(version);
        let at = self.spec.features.iter().position(|spec| *spec.name == *feature.feature);
        let layout = at.and_then(|at| layout.features[at].as_ref());
        let bins = layout.map_or(BINS, |layout| match self.kind_of(at) {
            Some("numeric") => BINS,
            _ => layout.bins() + 1,
        });
        let reference = layout.map_or(u64::MAX, |layout| layout.reference_rows());
        effect.value > EFFECT_MIN.max(noise(bins, effect.support, reference))
    }

    fn kind_of(&self, feature: Option<usize>) -> Option<&'static str> {
        Some(super::model::kind_name(&self.spec.features.get(feature?)?.kind))
    }

    /// What a drift policy allows a feature, if it is about it.
    fn bound(&self, policy: &PolicySpec, feature: &str) -> Option<(Statistic, f64)> {
        let Condition::Drift { features, statistic, above, .. } = &policy.condition else {
            return None;
        };
        let named = features.iter().any(|&at| *self.spec.features[at].name == *feature);
        (features.is_empty() || named).then_some((*statistic, *above))
    }
}

/// The Jensen-Shannon distance that chance alone exceeds one time in a thousand, about, between two
/// samples of the same distribution. To the second order its square is chi-square / (8 ln 2) *
/// (1 / rows + 1 / reference rows), with as many degrees of freedom as there are bins less one; the
/// quantile of chi-square is Wilson and Hilferty's (1931).
fn noise(bins: usize, rows: u64, reference_rows: u64) -> f64 {
    if rows == 0 || reference_rows == 0 {
        return f64::INFINITY;
    }
    const Z: f64 = 3.09;
    let freedom = bins.saturating_sub(1).max(1) as f64;
    let part = 2.0 / (9.0 * freedom);
    let chi_square = freedom * (1.0 - part + Z * part.sqrt()).powi(3);
    let rows = 1.0 / rows as f64 + 1.0 / reference_rows as f64;
    (chi_square * rows / (8.0 * std::f64::consts::LN_2)).sqrt()
}

pub(super) fn reason(kind: &str, text: String) -> Reason {
    let kind = kind.to_owned();
    Reason { kind, text, version: None, policy: None, feature: None, slice: None }
}
