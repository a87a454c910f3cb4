//! Has a distribution moved by more than is material?
//!
//! With f the window's shares and q the reference's over k coarse bins, phi^2 = sum (f - q)^2 / q,
//! about PSI. The null is not "no difference at all", which is wrong at a million rows, but
//! phi <= delta. Under it X = (n / d) sum (f - q)^2 / q is at most about noncentral chi-square with
//! k - 1 degrees and noncentrality (n / d) (delta + r)^2, where
//!
//! - d >= 1 is the design effect (Rao & Scott 1981): how much more shares vary between stretches of
//!   time than those of independent rows would;
//! - r = sqrt(d_N chi2(.99; k - 1) / N) is how far the reference of N rows may itself lie from the
//!   truth. It is spent once, as a radius: added to the variance instead, it would be right on the
//!   average over references, and wrong for good with the one that a deployment has.
//!
//! Assumes that rows are independent but for d, and that bins are not chosen by the window: they
//! are merged by the reference and the number of rows alone. The approximation is by moments of
//! bins of at least ten rows; in the far tail it is checked by simulation.

use super::noncentral::{survival, upper_quantile};
use crate::engine::reference::COARSE_BINS_MAX;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::sync::LazyLock;

/// Rows (effective ones) that a bin of the reference must lead to expect.
const EXPECTED_MIN: f64 = 10.0;
/// Categories are put together into at most this many groups.
pub const GROUPS_MAX: usize = 10;
/// Beyond this many effective rows nothing sharper is asked: the test stays valid, and sums finite.
const ROWS_MAX: f64 = 1e8;
/// The confidence with which the reference's radius holds.
const RADIUS_LEVEL: f64 = 0.99;

/// Whether neighbouring bins are alike (numbers) or not (categories).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ordered,
    Unordered,
}

/// What a window is compared under.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Design effect of the window's rows, and of all of the reference's; at least 1.
    pub design: f64,
    pub reference_design: f64,
    /// phi^2 up to which a difference is immaterial.
    pub material: f64,
}

/// How a window compares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// X.
    pub statistic: f64,
    /// k - 1, and the noncentrality under the null's worst case.
    pub degrees: f64,
    pub noncentrality: f64,
    /// phi^2 as estimated: the shares' own less what chance adds, at least 0.
    pub effect: f64,
    /// The window's rows over d.
    pub rows: f64,
}

/// The group of each bin, by the reference alone: numbers keep their bins; categories are dealt
/// out, the most frequent first, each to the group with the fewest rows so far.
pub fn groups(reference: &[u64], order: Order) -> Vec<usize> {
    if order == Order::Ordered || reference.len() <= GROUPS_MAX {
        return (0..reference.len()).collect();
    }
    let mut by_count: Vec<usize> = (0..reference.len()).collect();
    by_count.sort_by_key(|&bin| (std::cmp::Reverse(reference[bin]), bin));
    let mut held = [(0u64, 0usize); GROUPS_MAX];
    let mut group = vec![0; reference.len()];
    for bin in by_count {
        // Of equal ones the group with the fewest categories, then the first.
        let least = (0..GROUPS_MAX).min_by_key(|&at| held[at]).unwrap_or(0);
        held[least] = (held[least].0.saturating_add(reference[bin]), held[least].1 + 1);
        group[bin] = least;
    }
    group
}

/// The counts of each group.
pub fn grouped(counts: impl IntoIterator<Item = u64>, group: &[usize]) -> Vec<u64> {
    let mut sums = vec![0; group.iter().max().map_or(0, |last| last + 1)];
    for (count, &at) in counts.into_iter().zip(group) {
        sums[at] += count;
    }
    sums
}

/// Compares a window's counts with the reference's, group by group. `None` where no two bins can
/// be formed that expect enough rows, or a side has none.
///
/// # Panics
/// If the two do not have as many groups.
pub fn compare(reference: &[u64], current: &[u64], order: Order, terms: &Terms) -> Option<Shift> {
    assert_eq!(reference.len(), current.len(), "both sides are counted in the same groups");
    let total = |counts: &[u64]| counts.iter().map(|&count| count as f64).sum::<f64>();
    let (all, n) = (total(reference), total(current));
    if all <= 0.0 || n <= 0.0 {
        return None;
    }
    let design = terms.design.max(1.0);
    let rows = (n / design).min(ROWS_MAX);
    let bins = merge(reference, current, order, all * EXPECTED_MIN / rows);
    let degrees = bins.len() as f64 - 1.0;
    if degrees < 1.0 {
        return None;
    }
    let distance: f64 = bins
        .iter()
        .map(|(q, f)| {
            let (q, f) = (q / all, f / n);
            (f - q) * (f - q) / q
        })
        .sum();
    let statistic = rows * distance;
    let radius = radius(degrees, all / terms.reference_design.max(1.0))?;
    let reach = terms.material.max(0.0).sqrt() + radius;
    let shift = rows * reach * reach;
    Some(Shift {
        statistic,
        degrees,
        noncentrality: shift,
        effect: (distance - degrees / rows).max(0.0),
        rows,
    })
}

impl Shift {
    /// The chance of an X as great under the null's worst case.
    pub fn p_value(&self) -> f64 {
        survival(self.statistic, self.degrees, self.noncentrality)
    }

    /// The X that is passed with probability `alpha` under the null's worst case. `None` for an
    /// alpha that is no probability.
    pub fn cut(&self, alpha: f64) -> Option<f64> {
        upper_quantile(alpha, self.degrees, self.noncentrality)
    }
}

/// How far (in phi) a reference of this many effective rows may lie from the truth.
pub fn radius(degrees: f64, rows: f64) -> Option<f64> {
    // Degrees are few and whole, and the quantile is dear.
    static QUANTILES: LazyLock<Vec<f64>> = LazyLock::new(|| {
        let quantile = |degrees: u32| match ChiSquared::new(f64::from(degrees)) {
            Ok(law) => law.inverse_cdf(RADIUS_LEVEL),
            Err(_) => f64::NAN,
        };
        (1..=COARSE_BINS_MAX as u32 + 2).map(quantile).collect()
    });
    let quantile = QUANTILES.get((degrees - 1.0) as usize).filter(|_| degrees >= 1.0)?;
    Some((quantile / rows).sqrt())
}

/// Bins (reference, current), each with at least `least` rows of the reference.
fn merge(reference: &[u64], current: &[u64], order: Order, least: f64) -> Vec<(f64, f64)> {
    let mut bins: Vec<(f64, f64)> =
        reference.iter().zip(current).map(|(&q, &f)| (q as f64, f as f64)).collect();
    if order == Order::Unordered {
        // By the reference alone: the least two together, until all are enough.
        bins.sort_by(|a, b| a.0.total_cmp(&b.0));
        while bins.len() > 1 && bins[0].0 < least {
            let (q, f) = bins.remove(0);
            bins[0] = (bins[0].0 + q, bins[0].1 + f);
            let moved = bins[0];
            let place = bins[1..].iter().position(|bin| bin.0 >= moved.0);
            bins.remove(0);
            bins.insert(place.unwrap_or(bins.len()), moved);
        }
        return bins;
    }
    let mut merged: Vec<(f64, f64)> = Vec::new();
    let mut open = (0.0, 0.0);
    for (q, f) in bins {
        open = (open.0 + q, open.1 + f);
        if open.0 >= least {
            merged.push(std::mem::take(&mut open));
        }
    }
    match merged.last_mut() {
        Some(last) => *last = (last.0 + open.0, last.1 + open.1),
        None => merged.push(open),
    }
    merged
}
