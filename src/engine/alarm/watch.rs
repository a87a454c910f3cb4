//! One policy's look at one window: tests asked, memory brought up to date, and what it comes to.

use super::design::Effects;
use super::detector::{Detector, Evidence};
use super::memory::{Calming, Firing, Test, VersionMemory};
use super::share::{self, Hits};
use super::shift::{self, Order, Terms};
use crate::engine::drift::Comparison;
use crate::engine::reference::FeatureReference;
use crate::engine::sketch::feature::{FeatureLayout, FeatureSketch, LayoutBins};
use crate::engine::time::Timestamp;

/// Effective rows of a pool that are enough to call a distribution or a share calm: with ten bins
/// an upper bound of phi^2 below .01 cannot be had from fewer.
const POOL_ROWS_MIN: f64 = 1_400.0;
/// The same for a loss lies between these, by its margin.
const LOSS_POOL_ROWS: (f64, f64) = (100.0, 10_000.0);
/// Level of the list of features inside an alarm (Benjamini & Hochberg 1995).
const LISTED_LEVEL: f64 = 0.05;

/// One test of one feature in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub feature: String,
    pub test: Test,
    pub sample: Sample,
    /// Design effects of the window and of the reference.
    pub design: f64,
    pub reference_design: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// Counts by group.
    Shift {
        order: Order,
        reference: Vec<u64>,
        current: Vec<u64>,
    },
    Share {
        reference: Hits,
        current: Hits,
    },
}

/// What drift is asked under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DriftTerms {
    /// phi^2, and the difference of shares, up to which nothing is news.
    pub material: f64,
    pub share_margin: f64,
    /// The level of each test.
    pub alpha: f64,
    /// Features that must fire.
    pub features_min: usize,
}

/// A test's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub feature: String,
    pub test: Test,
    pub p_value: f64,
    /// phi^2, or the share.
    pub effect: f64,
}

/// What a window comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// A test was set off in this window, also one that fires already.
    pub set_off: bool,
    /// As many features as it takes fire.
    pub firing: bool,
    /// There was enough for at least one test.
    pub asked: usize,
    /// Tests that went from quiet to firing.
    pub began: u64,
    /// Features of which a test fires.
    pub features: Vec<String>,
    /// The answers that count inside an alarm, the least likely first; without any, the least
    /// likely one.
    pub listed: Vec<Asked>,
}

impl Trial {
    /// All tests of one feature, or of an output.
    pub fn of(
        reference: &FeatureReference,
        layout: &FeatureLayout,
        sketch: &FeatureSketch,
        window: Effects,
        whole: Effects,
    ) -> Vec<Self> {
        let trial = |test, sample, design, reference_design| Self {
            feature: reference.name.clone(),
            test,
            sample,
            design,
            reference_design,
        };
        let mut trials = Vec::new();
        if let Some(compared) = Comparison::new(layout, sketch) {
            let order = match &layout.bins {
                LayoutBins::Numeric(_) => Order::Ordered,
                LayoutBins::Categorical(_) => Order::Unordered,
            };
            let counts: Vec<u64> = compared.bins.iter().map(|bin| bin.0).collect();
            let group = shift::groups(&counts, order);
            let reference = shift::grouped(counts, &group);
            let current = shift::grouped(compared.bins.iter().map(|bin| bin.1), &group);
            let sample = Sample::Shift { order, reference, current };
            trials.push(trial(Test::Shift, sample, window.values, whole.values));
        }
        let (rows, all) = (sketch.total(), reference.rows());
        let mut share = |test, current: (u64, u64), reference: (u64, u64), designs: (f64, f64)| {
            let current = Hits::new(current.0, current.1);
            let reference = Hits::new(reference.0, reference.1);
            trials.push(trial(test, Sample::Share { reference, current }, designs.0, designs.1));
        };
        let missing = (sketch.missing + sketch.null, rows);
        let designs = (window.missing, whole.missing);
        share(Test::Missing, missing, (reference.missing + reference.null, all), designs);
        let invalid = (sketch.invalid + sketch.non_finite, rows);
        let designs = (window.invalid, whole.invalid);
        share(Test::Invalid, invalid, (reference.invalid + reference.non_finite, all), designs);
        let (unknown, known) = match &layout.bins {
            LayoutBins::Numeric(_) => (sketch.below + sketch.above, 0),
            LayoutBins::Categorical(categories) => {
                let unlisted = categories.reference.len() - 1;
                let codes = categories.bin_of_code.iter().zip(sketch.counts.as_slice());
                let codes = codes.filter(|(bin, _)| **bin as usize == unlisted);
                let new = codes.map(|(_, count)| count).sum::<u64>() + sketch.new;
                (new, categories.reference[unlisted])
            }
        };
        let designs = (window.values, whole.values);
        let values = layout.reference_rows();
        share(Test::Unknown, (unknown, sketch.values()), (known, values), designs);
        trials
    }

    /// The chance of such a window under the null's worst case, with the effect; `None` where there
    /// are too few rows to ask.
    pub fn ask(&self, terms: &DriftTerms) -> Option<(f64, f64)> {
        match &self.sample {
            Sample::Shift { order, reference, current } => {
                let terms = Terms {
                    design: self.design,
                    reference_design: self.reference_design,
                    material: terms.material,
                };
                let shift = shift::compare(reference, current, *order, &terms)?;
                Some((shift.p_value(), shift.effect))
            }
            Sample::Share { reference, current } => {
                let reference = reference.over(self.reference_design);
                let current = current.over(self.design);
                let share = share::compare(current, reference, terms.share_margin)?;
                Some((share.p_value, share.share))
            }
        }
    }

    fn counts(&self) -> Vec<f64> {
        match &self.sample {
            Sample::Shift { current, .. } => current.iter().map(|&count| count as f64).collect(),
            Sample::Share { current, .. } => vec![current.hits, current.rows - current.hits],
        }
    }

    /// The same with the counts of a pool; `None` while these are not enough.
    fn pooled(&self, pool: &[f64]) -> Option<Self> {
        if pool.iter().sum::<f64>() / self.design.max(1.0) < POOL_ROWS_MIN {
            return None;
        }
        let mut pooled = self.clone();
        match &mut pooled.sample {
            Sample::Shift { current, .. } => {
                *current = pool.iter().map(|&count| count as u64).collect();
            }
            Sample::Share { current, .. } => {
                *current = Hits { hits: pool[0], rows: pool[0] + pool[1] };
            }
        }
        Some(pooled)
    }
}

/// Asks all tests of a window.
pub fn look_at_drift(
    memory: &mut VersionMemory,
    trials: &[Trial],
    terms: &DriftTerms,
    window_end: Timestamp,
) -> Look {
    let mut look = Look::default();
    let mut asked: Vec<Asked> = Vec::new();
    for trial in trials {
        let answer = trial.ask(terms);
        let set_off = answer.is_some_and(|(p_value, _)| p_value <= terms.alpha);
        let key = (trial.feature.clone(), trial.test);
        if set_off {
            look.set_off = true;
            memory.firing.entry(key).and_modify(Firing::again).or_insert_with(|| {
                look.began += 1;
                Firing::new(window_end)
            });
        } else if let Some(firing) = memory.firing.get_mut(&key) {
            let calm = firing.calm(&trial.counts(), |pool| {
                Some(trial.pooled(pool)?.ask(terms).map_or(1.0, |(p_value, _)| p_value))
            });
            if calm == Calming::Cleared {
                memory.firing.remove(&key);
            }
        }
        if let Some((p_value, effect)) = answer {
            asked.push(Asked { feature: trial.feature.clone(), test: trial.test, p_value, effect });
        }
    }
    look.asked = asked.len();
    let least = asked.iter().map(|asked| asked.p_value).fold(f64::INFINITY, f64::min);
    memory.judged = window_end;
    memory.evidence = (!asked.is_empty()).then(|| evidence_of(least, terms.alpha));
    look.features = memory.firing.keys().map(|(feature, _)| feature.clone()).collect();
    look.features.dedup();
    look.firing = look.features.len() >= terms.features_min.max(1);
    look.listed = listed(asked);
    look
}

/// ln p / ln alpha: 1 where it is set off.
fn evidence_of(p_value: f64, alpha: f64) -> f64 {
    // Adding zero turns a negative zero into the positive one.
    (p_value.max(f64::MIN_POSITIVE).ln() / alpha.ln()).max(0.0) + 0.0
}

/// Those that Benjamini and Hochberg's procedure calls discoveries, the least likely first; the
/// first one in any case.
fn listed(mut asked: Vec<Asked>) -> Vec<Asked> {
    asked.sort_by(|a, b| {
        let by_p = a.p_value.total_cmp(&b.p_value);
        by_p.then_with(|| (&a.feature, a.test).cmp(&(&b.feature, b.test)))
    });
    let of = asked.len() as f64;
    let within =
        |(at, asked): (usize, &Asked)| asked.p_value <= LISTED_LEVEL * (at as f64 + 1.0) / of;
    let last = asked.iter().enumerate().rposition(within);
    asked.truncate(last.map_or(1, |last| last + 1));
    asked
}

/// What a loss is watched under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossTerms {
    /// L0.
    pub null: f64,
    /// How far above the baseline's own bound L0 lies: says how many rows are enough to call calm.
    pub margin: f64,
    /// A: the evidence that it takes.
    pub run_length: f64,
    pub design: f64,
}

/// Takes up a pane's losses.
pub fn look_at_loss(
    memory: &mut VersionMemory,
    evidence: Evidence,
    terms: &LossTerms,
    window_end: Timestamp,
) -> Look {
    let design = terms.design.max(1.0);
    let evidence = Evidence { rows: evidence.rows / design, loss: evidence.loss / design };
    let log = memory.detector.step(evidence, terms.null);
    let needed = terms.run_length.ln();
    let set_off = log >= needed;
    memory.judged = window_end;
    memory.evidence = Some((log / needed).max(0.0));
    if set_off {
        memory.detector = Detector::default();
    }
    let spread = terms.null * (1.0 - terms.null);
    let enough = 2.7 * spread / (terms.margin * terms.margin).max(f64::MIN_POSITIVE);
    let enough = enough.clamp(LOSS_POOL_ROWS.0, LOSS_POOL_ROWS.1);
    let look = |pool: &[f64]| {
        let of = Hits { hits: pool[1], rows: pool[0] };
        (of.rows >= enough).then(|| share::upper_tail(of, terms.null)).flatten()
    };
    look_at_model(memory, Test::Loss, set_off, &[evidence.rows, evidence.loss], look, window_end)
}

/// Takes up a window's AUC by its p-value.
pub fn look_at_ranking(
    memory: &mut VersionMemory,
    p_value: f64,
    alpha: f64,
    window_end: Timestamp,
) -> Look {
    memory.judged = window_end;
    memory.evidence = Some(evidence_of(p_value, alpha));
    // AUCs do not pool: each window that has one is a look.
    let look = |_: &[f64]| Some(p_value);
    look_at_model(memory, Test::Ranking, p_value <= alpha, &[], look, window_end)
}

fn look_at_model(
    memory: &mut VersionMemory,
    test: Test,
    set_off: bool,
    counts: &[f64],
    pool: impl FnOnce(&[f64]) -> Option<f64>,
    window_end: Timestamp,
) -> Look {
    let key = (String::new(), test);
    let mut look = Look { asked: 1, set_off, ..Look::default() };
    let calming = match memory.firing.get_mut(&key) {
        Some(firing) if set_off => {
            firing.again();
            Calming::Firing
        }
        Some(firing) => firing.calm(counts, pool),
        None if set_off => {
            memory.firing.insert(key.clone(), Firing::new(window_end));
            look.began = 1;
            Calming::Firing
        }
        None => Calming::Cleared,
    };
    if calming == Calming::Cleared {
        memory.firing.remove(&key);
    }
    look.firing = memory.firing.contains_key(&key);
    look
}
