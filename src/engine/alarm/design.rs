//! Design effects: how many rows of a window are as informative as one independent row.
//!
//! Sessions, batches and retries repeat themselves, and days differ. Over B stretches of time of
//! equal length, the counts n_bi of k cells vary by d times as much as independent rows would: d =
//! X^2 / ((B - 1)(k - 1)) with X^2 = sum (n_bi - n_b p_i)^2 / (n_b p_i) (Rao & Scott 1981, first
//! order). Taken is the 95% upper bound, X^2 over the law's 5% quantile, and at least 1: a d that
//! is too small by a half makes a thousand false alarms of one.
//!
//! Rows that repeat each other have the same d over short stretches as over long ones. Where d
//! grows with the length, whole stretches differ (night and day), and a live window with more rows
//! than a stretch of the reference had differs by more in terms of its own noise: that part of d is
//! taken to grow with the rows.
//!
//! Assumes that stretches are alike but for that, and that what lies within one repeats in live
//! windows of its length. A difference between stretches that a thin reference does not show (3
//! rows an hour, of 10,000 live) is not seen.

use crate::engine::time::Span;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::BTreeMap;

/// Stretches below which no effect is estimated.
pub const BLOCKS_MIN: usize = 8;
/// Mean rows of a stretch and cell below which cells are put together.
const EXPECTED_MIN: f64 = 5.0;
const LEVEL: f64 = 0.05;
/// An effect that grew by less than this factor from one length to the next did not grow: both are
/// estimates.
const GROWN_MIN: f64 = 1.25;

/// What `tidemark profile --time` found, for stretches of several lengths.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Design {
    /// Shortest first.
    pub scales: Vec<Scale>,
}

/// Design effects between stretches of one length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    pub seconds: u64,
    /// Stretches with rows, and their rows on average.
    pub blocks: u64,
    pub rows: f64,
    /// By feature; `score` and `predicted_class` are in `outputs` under these names.
    pub features: BTreeMap<String, Effects>,
    pub outputs: BTreeMap<String, Effects>,
    /// Of being wrong; 1 for a regression or without labels.
    pub errors: f64,
}

/// Of one feature.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    /// Its distribution.
    pub values: f64,
    /// Being missing or null.
    pub missing: f64,
    /// Being of another type, or not finite.
    pub invalid: f64,
}

impl Scale {
    /// Of a feature, or of an output.
    pub fn of(&self, name: &str, is_output: bool) -> Effects {
        let all = if is_output { &self.outputs } else { &self.features };
        all.get(name).copied().unwrap_or_default()
    }
}

impl Effects {
    /// Each of the three, found in the same way.
    pub fn each(find: impl Fn(fn(&Effects) -> f64) -> f64) -> Self {
        Self {
            values: find(|of| of.values),
            missing: find(|of| of.missing),
            invalid: find(|of| of.invalid),
        }
    }
}

impl Default for Effects {
    fn default() -> Self {
        Self { values: 1.0, missing: 1.0, invalid: 1.0 }
    }
}

impl Design {
    /// The effect in a window of so many rows: that of the longest stretches not longer than it, or
    /// of the shortest there are, and what follows from how it grew up to them.
    pub fn in_window(&self, window: Span, rows: f64, of: impl Fn(&Scale) -> f64) -> f64 {
        let fits = |scale: &Scale| scale.seconds as f64 <= window.as_secs_f64();
        let at = self.scales.iter().rposition(fits).unwrap_or(0);
        let Some(scale) = self.scales.get(at) else { return 1.0 };
        let effect = of(scale);
        let Some(before) = at.checked_sub(1).map(|at| &self.scales[at]) else { return effect };
        let (grown, more) = (effect - of(before), scale.rows - before.rows);
        if effect < GROWN_MIN * of(before) || more <= 0.0 {
            return effect;
        }
        effect + grown / more * (rows - scale.rows).max(0.0)
    }

    /// The effect in the whole reference: that of the longest stretches.
    pub fn in_reference(&self, of: impl Fn(&Scale) -> f64) -> f64 {
        self.scales.last().map_or(1.0, of)
    }

    /// What contradicts itself, as `field: what is wrong`.
    pub fn validate(&self) -> Result<(), String> {
        if self.scales.windows(2).any(|pair| pair[0].seconds >= pair[1].seconds) {
            return Err("design.scales: not ascending".into());
        }
        let effects = self.scales.iter().flat_map(|scale| {
            let all = scale.features.values().chain(scale.outputs.values());
            all.flat_map(|of| [of.values, of.missing, of.invalid]).chain([scale.errors])
        });
        let bad = |effect: f64| !effect.is_finite() || effect < 1.0;
        if self.scales.iter().any(|scale| !(scale.rows >= 0.0 && scale.rows.is_finite())) {
            return Err("design.scales: rows are not a number from 0 on".into());
        }
        if effects.into_iter().any(bad) {
            return Err("design.scales: an effect is not a number from 1 on".into());
        }
        Ok(())
    }
}

/// The design effect of counts by stretch and cell; every stretch has as many cells. 1 where it
/// cannot be told: too few stretches, rows or cells.
pub fn effect(blocks: &[Vec<u32>]) -> f64 {
    let total = |counts: &[u32]| counts.iter().map(|&count| f64::from(count)).sum::<f64>();
    let used: Vec<(&Vec<u32>, f64)> =
        blocks.iter().map(|block| (block, total(block))).filter(|(_, rows)| *rows > 0.0).collect();
    let cells = used.first().map_or(0, |(block, _)| block.len());
    if used.len() < BLOCKS_MIN || cells < 2 {
        return 1.0;
    }
    let mut sums = vec![0.0; cells];
    for (block, _) in &used {
        block.iter().zip(&mut sums).for_each(|(&count, sum)| *sum += f64::from(count));
    }
    let all: f64 = sums.iter().sum();
    let merged = merged(&sums, used.len() as f64 * EXPECTED_MIN);
    let kept = merged.iter().max().map_or(0, |last| last + 1);
    if kept < 2 {
        return 1.0;
    }
    let mut shares = vec![0.0; kept];
    sums.iter().zip(&merged).for_each(|(sum, &at)| shares[at] += sum / all);
    let mut squares = 0.0;
    for (block, rows) in &used {
        let mut counts = vec![0.0; kept];
        block.iter().zip(&merged).for_each(|(&count, &at)| counts[at] += f64::from(count));
        squares += counts
            .iter()
            .zip(&shares)
            .map(|(count, share)| (count - rows * share).powi(2) / (rows * share))
            .sum::<f64>();
    }
    let degrees = (used.len() - 1) as f64 * (kept - 1) as f64;
    match ChiSquared::new(degrees) {
        Ok(law) => (squares / law.inverse_cdf(LEVEL)).max(1.0),
        Err(_) => 1.0,
    }
}

/// The position of each cell after neighbours were put together until each has `least` rows.
fn merged(sums: &[f64], least: f64) -> Vec<usize> {
    let mut at = 0;
    let mut open = 0.0;
    let mut positions = Vec::with_capacity(sums.len());
    for sum in sums {
        open += sum;
        positions.push(at);
        if open >= least {
            (at, open) = (at + 1, 0.0);
        }
    }
    // What is left over joins the last one that is enough.
    if open < least && at > 0 {
        positions.iter_mut().filter(|position| **position == at).for_each(|p| *p = at - 1);
    }
    positions
}
