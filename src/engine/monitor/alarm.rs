//! Policies whose bound follows from the model's budget of false alarms.
//!
//! Each disjoint window is looked at once, in the order of event time: the memory that a look
//! leaves is a function of the logs alone, as the look is.

use super::judge::{Finding, WORST_FEATURES, metric_evidence, note};
use super::{FeatureNote, Monitor};
use crate::engine::alarm::design::{Effects, Scale};
use crate::engine::alarm::memory::VersionMemory;
use crate::engine::alarm::watch::{
    Asked, Look, LossTerms, Trial, look_at_drift, look_at_loss, look_at_ranking,
};
use crate::engine::alarm::{loss, ranking};
use crate::engine::layouts::ProfileLayout;
use crate::engine::metric::estimate;
use crate::engine::model_shard::Partial;
use crate::engine::policy::{Hold, Verdict};
use crate::engine::reference::{Distribution, FeatureReference, Profile};
use crate::engine::request::{BudgetEvidence, JsonTime};
use crate::engine::spec::{DriftAlarm, PerformanceAlarm, PolicySpec};
use crate::engine::sum::{self, FeatureSum, Range, SliceSum};
use std::sync::Arc;

/// Said of every number that no design effect is known for.
const INDEPENDENT: &str = "; assumes independent rows";

impl Monitor {
    pub(super) fn find_drift_alarm(
        &mut self,
        shards: &[&Partial],
        policy: &PolicySpec,
        alarm: &DriftAlarm,
        range: Range<'_>,
    ) -> Finding {
        let sum = SliceSum { cells: None, ..sum::whole(shards, range, None) };
        let context = Arc::clone(&self.context);
        let (layout, own) = context.layouts.of(range.version);
        let Some(profile) = &layout.profile else {
            return unknown(Hold::NoReference, sum);
        };
        let features = sum::features(shards, range);
        let trials = self.trials(alarm, policy, layout, profile, &features);
        let setting = format!("drift of {} in windows of {}", profile.content_hash, policy.window);
        let memory = self.alarms.version(&policy.name, &setting, range.version);
        let look = look_at_drift(memory, &trials, &alarm.terms, range.end);
        let budget = budget(alarm.episodes_a_week, memory);
        self.alarms.began(&policy.name, look.began);
        let verdict = match () {
            () if look.asked == 0 => Verdict::Unknown(Hold::NotEnoughPredictions),
            () => verdict(&look),
        };
        let features = match verdict {
            Verdict::Bad => self.listed(shards, range, &look),
            _ => Vec::new(),
        };
        let mut reason = describe_drift(&look, alarm.terms.alpha);
        if profile.design.is_none() {
            reason.push_str(INDEPENDENT);
        }
        Finding {
            verdict,
            metric: None,
            features,
            sum,
            inherited: !own,
            reason,
            budget: Some(budget),
        }
    }

    /// All tests of a window.
    fn trials(
        &self,
        alarm: &DriftAlarm,
        policy: &PolicySpec,
        layout: &ProfileLayout,
        profile: &Profile,
        sum: &FeatureSum,
    ) -> Vec<Trial> {
        let effects = |name: &str, is_output: bool, rows: u64| -> [Effects; 2] {
            let Some(design) = &profile.design else { return [Effects::default(); 2] };
            let of =
                |pick: fn(&Effects) -> f64| move |scale: &Scale| pick(&scale.of(name, is_output));
            [
                Effects::each(|pick| design.in_window(policy.window, rows as f64, of(pick))),
                Effects::each(|pick| design.in_reference(of(pick))),
            ]
        };
        let mut trials = Vec::new();
        let features = self.context.spec.features.iter().zip(&layout.features).zip(&sum.features);
        for (at, ((feature, layout), sketch)) in features.enumerate() {
            let wanted = alarm.features.is_empty() || alarm.features.contains(&at);
            let reference = profile.features.iter().find(|f| *f.name == *feature.name);
            if let (true, Some(layout), Some(reference)) = (wanted, layout, reference) {
                let effects = effects(&feature.name, false, sketch.total());
                trials.extend(Trial::of(reference, layout, sketch, effects[0], effects[1]));
            }
        }
        if !alarm.features.is_empty() {
            return trials;
        }
        let score = profile.score.clone().map(Distribution::Numeric);
        let classes = profile.predicted_classes.clone().map(Distribution::Categorical);
        let outputs = [
            ("score", score, &layout.score, &sum.score),
            ("predicted_class", classes, &layout.classes, &sum.classes),
        ];
        for (name, distribution, layout, sketch) in outputs {
            if let (Some(distribution), Some(layout)) = (distribution, layout) {
                let reference = FeatureReference::complete(name, distribution);
                let effects = effects(name, true, sketch.total());
                trials.extend(Trial::of(&reference, layout, sketch, effects[0], effects[1]));
            }
        }
        trials
    }

    /// What evidence says of the features that an alarm is about.
    fn listed(&self, shards: &[&Partial], range: Range<'_>, look: &Look) -> Vec<FeatureNote> {
        let drift = self.drift(shards, range.version, range.start, range.end);
        let mut notes: Vec<FeatureNote> = Vec::new();
        for Asked { feature, test, p_value, effect } in &look.listed {
            let at = notes.iter().position(|note| note.name == *feature);
            let at = at.unwrap_or_else(|| {
                let features = drift.iter().flat_map(|drift| {
                    drift.features.iter().chain(&drift.score).chain(&drift.classes)
                });
                let found = features.into_iter().find(|known| known.feature == *feature).map(note);
                let bare = || FeatureNote { name: feature.clone(), statistics: Vec::new() };
                notes.push(found.unwrap_or_else(bare));
                notes.len() - 1
            });
            let test = test.name();
            notes[at].statistics.push((format!("{test}_effect"), *effect));
            notes[at].statistics.push((format!("{test}_p_value"), *p_value));
        }
        notes.truncate(WORST_FEATURES);
        notes
    }

    pub(super) fn find_performance_alarm(
        &mut self,
        shards: &[&Partial],
        policy: &PolicySpec,
        alarm: &PerformanceAlarm,
        range: Range<'_>,
        features: Vec<FeatureNote>,
    ) -> Finding {
        let PerformanceAlarm { metric, margin, .. } = *alarm;
        let sum = self.judged_sum(shards, policy.window, alarm.label_age, range);
        let context = Arc::clone(&self.context);
        let (layout, _) = context.layouts.of(range.version);
        let profile = layout.profile.as_deref();
        let baseline = profile.and_then(|profile| profile.baseline.get(metric.name()));
        let (Some(profile), Some(baseline)) = (profile, baseline) else {
            return unknown(Hold::NoBaseline, sum);
        };
        let errors = |scale: &Scale| scale.errors;
        let design = profile.design.as_ref();
        let rows = sum.labelled() as f64;
        let window_design =
            design.map_or(1.0, |design| design.in_window(policy.window, rows, errors));
        let whole_design = design.map_or(1.0, |design| design.in_reference(errors));
        let is_ranking = loss::kind(metric) == Some(loss::Kind::Ranking);
        let null = match is_ranking {
            true => ranking::bound(baseline, margin, whole_design),
            false => loss::null(metric, baseline, margin, whole_design),
        };
        let (Some(null), Some(cells)) = (null, &sum.cells) else {
            let hold = if null.is_none() { Hold::NoBaseline } else { Hold::NotEnoughLabels };
            return unknown(hold, sum);
        };
        let setting = format!("{} {null} in windows of {}", metric.name(), policy.window);
        let memory = self.alarms.version(&policy.name, &setting, range.version);
        let look = if is_ranking {
            let answer = ranking::p_value(cells, null, window_design);
            answer.map(|(p_value, _)| look_at_ranking(memory, p_value, alarm.alpha, range.end))
        } else {
            let run_length = alarm.run_length;
            let terms = LossTerms { null, margin, run_length, design: window_design };
            let evidence = loss::evidence(metric, cells);
            evidence.map(|evidence| look_at_loss(memory, evidence, &terms, range.end))
        };
        let Some(look) = look else {
            memory.evidence = None;
            return unknown(Hold::NotEnoughLabels, sum);
        };
        let budget = budget(alarm.episodes_a_week, memory);
        self.alarms.began(&policy.name, look.began);
        let value = estimate(metric, cells);
        let level = loss::level(metric, null);
        let mut reason =
            super::judge::describe(metric, value, Some(level), sum.labelled(), sum.predictions);
        // Not rounded up to the 1 that it is not.
        let evidence = (budget.evidence.unwrap_or(0.0) * 100.0).floor() / 100.0;
        reason.push_str(&format!("; evidence {evidence:.2} of the 1 that an alarm takes"));
        if profile.design.is_none() {
            reason.push_str(INDEPENDENT);
        }
        let baseline = Some(baseline.value);
        let metric = value.map(|value| metric_evidence(metric, value, baseline, Some(level)));
        let (verdict, budget) = (verdict(&look), Some(budget));
        Finding { verdict, metric, features, sum, inherited: false, reason, budget }
    }
}

fn verdict(look: &Look) -> Verdict {
    match (look.firing, look.set_off) {
        (true, true) => Verdict::Bad,
        (true, false) => Verdict::Unknown(Hold::NotClearYet),
        (false, _) => Verdict::Good,
    }
}

fn budget(episodes_a_week: f64, memory: &VersionMemory) -> BudgetEvidence {
    let since = memory.firing.values().map(|firing| firing.since).min();
    let firing_since = since.map(JsonTime);
    BudgetEvidence { episodes_a_week, evidence: memory.evidence, firing_since }
}

fn unknown(hold: Hold, sum: SliceSum) -> Finding {
    Finding {
        verdict: Verdict::Unknown(hold),
        metric: None,
        features: Vec::new(),
        sum,
        inherited: false,
        reason: hold.name().replace('_', " "),
        budget: None,
    }
}

/// `age, sex fire; least likely: age, distribution, effect 0.31 (p 1e-9, an alarm takes 2e-6)`
fn describe_drift(look: &Look, alpha: f64) -> String {
    /// Names in a sentence.
    const NAMED: usize = 5;
    let mut text = match look.features.len() {
        0 => "nothing differs by more than is material".to_owned(),
        count => {
            let named = look.features.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
            let more = count.saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let differ = if count == 1 { "differs" } else { "differ" };
            match look.set_off {
                true => format!("{named}{more} {differ} by more than is material"),
                false => format!("{named}{more} differed and may not be over yet"),
            }
        }
    };
    if let Some(Asked { feature, test, p_value, effect }) = look.listed.first() {
        let test = test.name().replace('_', " ");
        text.push_str(&format!(
            "; least likely: {feature}, {test}, effect {effect:.4} (p {}, an alarm takes {})",
            chance(*p_value),
            chance(alpha)
        ));
    }
    text
}

fn chance(p: f64) -> String {
    if p >= 0.001 { format!("{p:.3}") } else { format!("{p:.1e}") }
}
