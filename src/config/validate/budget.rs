//! Checks of policies whose bound follows from the model's budget of false alarms, and the division
//! of that budget.

use super::super::defaults::defaults;
use super::super::tree::key_path;
use super::super::value::Number;
use super::super::written::{DriftConfig, ModelConfig, PolicyConfig};
use super::Check;
use super::policies::Scene;
use crate::engine::alarm::budget::{self, TESTS_OF_FEATURE};
use crate::engine::alarm::loss;
use crate::engine::alarm::watch::DriftTerms;
use crate::engine::metric::Metric;
use crate::engine::spec::{Condition, DriftAlarm, PerformanceAlarm, PolicySpec};
use crate::engine::time::Span;

/// What a model may expect of false alarm episodes in a week.
const EPISODES: (f64, f64) = (1e-6, 1_000.0);

/// A policy on a metric without a bound of its own.
pub fn performance(
    check: &mut Check<'_>,
    path: &str,
    policy: &PolicyConfig,
    metric: Option<Metric>,
    label_age: Span,
    scene: &Scene<'_>,
) -> Option<Condition> {
    let options = [
        ("compare", policy.compare.is_some()),
        ("min_labels", policy.min_labels.is_some()),
        ("for", policy.for_windows.is_some()),
    ];
    refuse(check, path, &options);
    let default = defaults().metric_alarm.margin.map(|Number(margin)| margin)?;
    let margin = policy.margin.map_or(default, |Number(margin)| margin);
    if margin <= 0.0 {
        check.fault(key_path(path, "margin"), "must be more than 0: else trifles are alarms");
    }
    let metric = metric?;
    let at = key_path(path, "metric");
    if loss::kind(metric).is_none() && !check.is_faulty(&at) {
        let message = format!(
            "no alarm from the budget is known for {metric}: its losses have no upper bound, or \
            its evidence cannot be added up. Write a bound of your own (`below` or `above`), or \
            watch one of accuracy, precision, recall, specificity, f1, jaccard, brier, roc_auc"
        );
        check.fault(at, message);
        return None;
    }
    if scene.weighted {
        let message = "the budget does not know sampling weights, and these predictions have them; \
                       write a bound of your own (`below` or `above`)";
        check.fault(path, message);
    }
    super::policies::baseline(check, path, Some(metric), scene.references);
    Some(Condition::PerformanceAlarm(PerformanceAlarm {
        metric,
        margin,
        label_age,
        episodes_a_week: 0.0,
        alpha: 0.0,
        run_length: f64::INFINITY,
    }))
}

/// A policy on drift without `above`.
pub fn drift(
    check: &mut Check<'_>,
    path: &str,
    policy: &PolicyConfig,
    section: &DriftConfig,
    features: Vec<usize>,
    features_min: usize,
) -> Option<Condition> {
    let options = [
        ("min_predictions", policy.min_predictions.is_some()),
        ("for", policy.for_windows.is_some()),
    ];
    refuse(check, path, &options);
    let path = key_path(path, "drift");
    let default = defaults().drift_alarm.drift.as_ref()?;
    let number = |written: Option<Number>, default: Option<Number>| {
        written.or(default).map(|Number(number)| number)
    };
    let material = number(section.material, default.material)?;
    let share_margin = number(section.share_margin, default.share_margin)?;
    if !(0.0..=100.0).contains(&material) {
        check.fault(key_path(&path, "material"), "must be from 0 to 100");
    }
    if !(0.0..=1.0).contains(&share_margin) {
        check.fault(key_path(&path, "share_margin"), "must be a share, from 0 to 1");
    }
    let terms = DriftTerms { material, share_margin, alpha: 0.0, features_min };
    Some(Condition::DriftAlarm(DriftAlarm { features, terms, episodes_a_week: 0.0 }))
}

fn refuse(check: &mut Check<'_>, path: &str, options: &[(&str, bool)]) {
    for (option, _) in options.iter().filter(|(_, written)| *written) {
        let message = "has no effect on a policy whose bound follows from the budget; remove it";
        check.fault(key_path(path, option), message);
    }
}

/// Divides the model's budget between its policies, and says what each test may use of it.
pub fn divide(
    check: &mut Check<'_>,
    path: &str,
    model: &ModelConfig,
    scene: &Scene<'_>,
    policies: &mut [PolicySpec],
) {
    let path = key_path(&key_path(path, "alerts"), "episodes_per_week");
    let written = model.alerts.as_ref().and_then(|section| section.episodes_per_week);
    let default = defaults().model.alerts.as_ref().and_then(|section| section.episodes_per_week);
    let Some(Number(episodes)) = written.or(default) else { return };
    if !(EPISODES.0..=EPISODES.1).contains(&episodes) {
        check.fault(path, format!("must be from {} to {}", EPISODES.0, EPISODES.1));
        return;
    }
    let count = |of: fn(&Condition) -> bool| policies.iter().filter(|p| of(&p.condition)).count();
    let drift = count(|condition| matches!(condition, Condition::DriftAlarm(_)));
    let performance = count(|condition| matches!(condition, Condition::PerformanceAlarm(_)));
    for policy in policies {
        let window = policy.window;
        match &mut policy.condition {
            Condition::DriftAlarm(alarm) => {
                alarm.episodes_a_week = budget::part(episodes, drift, performance);
                // Score and predicted class are columns too.
                let columns = match alarm.features.len() {
                    0 => scene.features.len() + 2,
                    chosen => chosen,
                };
                let tests = columns * TESTS_OF_FEATURE * scene.versions_max;
                alarm.terms.alpha = budget::alpha(alarm.episodes_a_week, window, tests);
            }
            Condition::PerformanceAlarm(alarm) => {
                alarm.episodes_a_week = budget::part(episodes, performance, drift);
                let monitors = scene.versions_max;
                alarm.alpha = budget::alpha(alarm.episodes_a_week, window, monitors);
                alarm.run_length = budget::run_length(alarm.episodes_a_week, window, monitors);
            }
            Condition::Performance { .. } | Condition::Drift { .. } | Condition::Alert { .. } => {}
        }
    }
}
