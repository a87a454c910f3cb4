//! What `check` says of a policy's false alarms: what the budget means for it, or what a bound of
//! the user's own is to expect.

use super::check::shown;
use crate::engine::alarm::budget::{TESTS_OF_FEATURE, windows_a_week};
use crate::engine::alarm::loss::{Kind, kind};
use crate::engine::alarm::{expect, loss};
use crate::engine::drift::Statistic;
use crate::engine::policy::threshold;
use crate::engine::reference::Profile;
use crate::engine::sketch::feature::FeatureLayout;
use crate::engine::spec::{Bound, Compare, Condition, FeatureKind, ModelSpec, PolicySpec};

/// Rows of a window for which it is said; rates are not declared.
const ROWS: [u64; 3] = [100, 1_000, 10_000];

/// Lines about one policy; none where nothing is known.
pub fn expectation(model: &ModelSpec, policy: &PolicySpec) -> Vec<String> {
    let windows = windows_a_week(policy.window);
    let chances = |chance: &dyn Fn(u64) -> Option<f64>| -> Option<Vec<f64>> {
        let of = |rows: u64| Some(chance(rows)?.powi(policy.for_windows as i32) * windows);
        ROWS.iter().map(|&rows| of(rows)).collect()
    };
    match &policy.condition {
        Condition::Drift { features, statistic, above, features_min, .. } => {
            let counts = counts(model, features, *statistic);
            let chance = |rows: u64| {
                let each: Option<Vec<f64>> = counts
                    .iter()
                    .map(|counts| expect::drift(*statistic, *above, counts, rows as f64))
                    .collect();
                Some(expect::at_least(*features_min, &each?))
            };
            match chances(&chance) {
                Some(rates) if !counts.is_empty() => vec![line("no drift", "rows", &rates)],
                _ => vec!["false alarms a week: not known for this statistic".to_owned()],
            }
        }
        Condition::Performance { metric, bound, compare, .. } => {
            if kind(*metric) != Some(Kind::Share(*metric)) {
                return vec!["false alarms a week: not known for this metric".to_owned()];
            }
            let profile = any_profile(model);
            let baseline = profile.and_then(|profile| profile.baseline.get(metric.name()));
            let Some(baseline) = baseline.map(|baseline| baseline.value) else {
                let message = "false alarms a week: not known without a baseline in a profile";
                return vec![message.to_owned()];
            };
            let Some(level) = threshold(*bound, Some(baseline)) else { return Vec::new() };
            let below = matches!(bound, Bound::Below(_));
            let sure = *compare == Compare::Sure;
            let rates = chances(&|rows| expect::share(baseline, level, below, sure, rows));
            let truth = format!("{metric} as in the baseline, {baseline:.4}");
            rates.map(|rates| line(&truth, "labels", &rates)).into_iter().collect()
        }
        Condition::DriftAlarm(alarm) => {
            let columns = match alarm.features.len() {
                0 => format!("{} features, score and class", model.features.len()),
                chosen => format!("{chosen} features"),
            };
            vec![format!(
                "at most {} false episodes a week: {TESTS_OF_FEATURE} tests each of {columns}, {} \
                 versions, {} windows a week, each test at {:.1e}",
                rate(alarm.episodes_a_week),
                model.versions_max,
                rate(windows),
                alarm.terms.alpha
            )]
        }
        Condition::PerformanceAlarm(alarm) => {
            let takes = match kind(alarm.metric) {
                Some(Kind::Ranking) => format!("each test at {:.1e}", alarm.alpha),
                _ => format!("an alarm takes evidence of {}", rate(alarm.run_length)),
            };
            let mut lines = vec![format!(
                "at most {} false episodes a week: {} versions, {} windows a week, {takes}",
                rate(alarm.episodes_a_week),
                model.versions_max,
                rate(windows)
            )];
            lines.extend(nulls(model, alarm.metric, alarm.margin));
            lines
        }
        Condition::Alert { .. } => Vec::new(),
    }
}

/// The bound that each profile's baseline leads to.
fn nulls(
    model: &ModelSpec,
    metric: crate::engine::metric::Metric,
    margin: f64,
) -> impl Iterator<Item = String> {
    let own = model.version_references.iter().map(|(name, profile)| (Some(name), profile));
    let all = model.reference.iter().map(|profile| (None, profile)).chain(own);
    all.filter_map(move |(version, profile)| {
        let baseline = profile.baseline.get(metric.name())?;
        let design = profile.design.as_ref();
        let errors = design.map_or(1.0, |design| design.in_reference(|scale| scale.errors));
        let level = match kind(metric)? {
            Kind::Ranking => crate::engine::alarm::ranking::bound(baseline, margin, errors),
            _ => loss::null(metric, baseline, margin, errors).map(|n| loss::level(metric, n)),
        };
        let who = version.map_or(String::new(), |name| format!("version {}: ", shown(name)));
        let base = format!("{who}baseline {:.4} on {} rows", baseline.value, baseline.support);
        Some(match level {
            Some(level) => format!("{base}: {level:.4} is the bound"),
            None => format!("{base}: no bound is left that the metric can pass; it never alarms"),
        })
    })
    .collect::<Vec<_>>()
    .into_iter()
}

fn any_profile(model: &ModelSpec) -> Option<&Profile> {
    let own = model.version_references.values().next();
    model.reference.as_ref().or(own).map(|profile| &**profile)
}

/// The reference's counts by coarse bin of the features that a statistic is defined for.
fn counts(model: &ModelSpec, features: &[usize], statistic: Statistic) -> Vec<Vec<u64>> {
    let Some(profile) = any_profile(model) else { return Vec::new() };
    let all = model.features.iter().enumerate();
    all.filter(|(at, _)| features.is_empty() || features.contains(at))
        .filter(|(_, feature)| {
            !statistic.numeric_only() || matches!(feature.kind, FeatureKind::Numeric)
        })
        .filter_map(|(_, feature)| {
            let reference = profile.features.iter().find(|f| *f.name == *feature.name)?;
            Some(FeatureLayout::new(&feature.kind, reference)?.coarse_reference())
        })
        .collect()
}

fn line(truth: &str, rows: &str, rates: &[f64]) -> String {
    let rates: Vec<String> = rates.iter().map(|&a_week| rate(a_week)).collect();
    format!(
        "false alarms a week with {truth}: {} at 100, 1,000, 10,000 {rows} a window (one version, \
         independent rows)",
        rates.join(", ")
    )
}

/// Two or three digits.
fn rate(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 0.01 => format!("{value:.2}"),
        value if value >= 1e-6 => format!("{value:.0e}"),
        _ => "0".to_owned(),
    }
}
