//! How well the score orders positives before negatives, from score bins.
//!
//! Within a bin the order is not known: the value takes it as random, and `error_max` is how far
//! the exact value can be, whatever the order is, ties included.

use super::interval::Z;
use crate::engine::estimate::{Estimate, Interval};
use crate::engine::sketch::{BinaryCells, Mass};

/// Positives and negatives of one score bin.
#[derive(Clone, Copy)]
struct Bin {
    positives: Mass,
    negatives: Mass,
}

/// The bins by ascending score, and all positives and negatives.
fn bins(cells: &BinaryCells) -> (Vec<Bin>, Mass, Mass) {
    let bins: Vec<Bin> = cells
        .bins()
        .iter()
        .map(|bin| Bin { positives: bin.label(true), negatives: bin.label(false) })
        .collect();
    let positives = bins.iter().map(|bin| bin.positives).sum();
    let negatives = bins.iter().map(|bin| bin.negatives).sum();
    (bins, positives, negatives)
}

/// Rows of each class (effective ones, with weights) below which there is no interval.
const CLASS_ROWS_MIN: f64 = 20.0;
/// Below this product of 1 - AUC and the smaller class's rows there is none either. Simulated
/// (normal scores, AUC .6 to .999, 20 + 20 to 1,000 + 1,000 rows, 2,000 trials each): with this
/// rule an interval was given and missed in at most 6.7% of the trials; without it in up to 21%.
const MISORDERED_MIN: f64 = 1.0;

/// The chance that a positive scores above a negative, equal scores counting half. `None` without
/// positives or without negatives.
///
/// `error_max` is half the sum over bins of p n / (P N): the share of pairs in one bin, which count
/// half each. The interval is DeLong's (1988) on the logit scale; there is none with fewer than 20
/// rows of a class, or so near 1 that it would not be honest.
pub(super) fn roc_auc(cells: &BinaryCells) -> Option<Estimate> {
    let (bins, positives, negatives) = bins(cells);
    if !(positives.is_some() && negatives.is_some()) {
        return None;
    }
    let (mut below, mut ordered, mut shared) = (0.0, 0.0, 0.0);
    for bin in &bins {
        ordered += bin.positives.w * (below + bin.negatives.w / 2.0);
        shared += bin.positives.w * bin.negatives.w;
        below += bin.negatives.w;
    }
    let pairs = positives.w * negatives.w;
    let value = (ordered / pairs).clamp(0.0, 1.0);
    Some(Estimate {
        value,
        interval: delong(&bins, positives, negatives, value).map(interval),
        support: (positives + negatives).support(),
        error_max: shared / pairs / 2.0,
    })
}

/// An AUC on the logit scale with its standard error there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitAuc {
    pub auc: f64,
    pub logit: f64,
    pub error: f64,
}

/// The AUC with DeLong's standard error on the logit scale; `None` where no honest one is known.
pub(super) fn logit_auc(cells: &BinaryCells) -> Option<LogitAuc> {
    let auc = roc_auc(cells)?.value;
    let (bins, positives, negatives) = bins(cells);
    delong(&bins, positives, negatives, auc)
}

fn interval(of: LogitAuc) -> Interval {
    let expit = |x: f64| 1.0 / (1.0 + (-x).exp());
    let half = Z * of.error;
    Interval { lower: expit(of.logit - half), upper: expit(of.logit + half) }
}

/// DeLong's variance: that of the mean over positives of the share of negatives below, and over
/// negatives of the share of positives above.
fn delong(bins: &[Bin], positives: Mass, negatives: Mass, auc: f64) -> Option<LogitAuc> {
    let (p, n) = (positives.effective(), negatives.effective());
    let smaller = p.min(n);
    let near_an_end = auc.min(1.0 - auc) * smaller < MISORDERED_MIN;
    if smaller < CLASS_ROWS_MIN || near_an_end {
        return None;
    }
    let (mut below, mut above) = (0.0, positives.w);
    let (mut of_positives, mut of_negatives) = (0.0, 0.0);
    for bin in bins {
        above -= bin.positives.w;
        let share_below = (below + bin.negatives.w / 2.0) / negatives.w - auc;
        let share_above = (above + bin.positives.w / 2.0) / positives.w - auc;
        of_positives += bin.positives.w2 * share_below * share_below;
        of_negatives += bin.negatives.w2 * share_above * share_above;
        below += bin.negatives.w;
    }
    let variance = of_positives / (positives.w * positives.w) * p / (p - 1.0)
        + of_negatives / (negatives.w * negatives.w) * n / (n - 1.0);
    (variance > 0.0).then(|| LogitAuc {
        auc,
        logit: (auc / (1.0 - auc)).ln(),
        error: variance.sqrt() / (auc * (1.0 - auc)),
    })
}

/// The greatest difference between the cumulative shares of positives and of negatives over the
/// score: the Kolmogorov-Smirnov statistic of the two. `None` without positives or without
/// negatives. No interval.
///
/// Looked for at the bins' ends; `error_max` is how much greater it can be between them, whatever
/// the order within a bin is.
pub(super) fn ks_separation(cells: &BinaryCells) -> Option<Estimate> {
    let (bins, positives, negatives) = bins(cells);
    if !(positives.is_some() && negatives.is_some()) {
        return None;
    }
    let (mut p, mut n) = (0.0f64, 0.0f64);
    let (mut at_ends, mut at_most) = (0.0f64, 0.0f64);
    for bin in &bins {
        let (next_p, next_n) =
            (p + bin.positives.w / positives.w, n + bin.negatives.w / negatives.w);
        at_most = at_most.max(next_p - n).max(next_n - p);
        (p, n) = (next_p, next_n);
        at_ends = at_ends.max((p - n).abs());
    }
    Some(Estimate {
        value: at_ends.min(1.0),
        interval: None,
        support: (positives + negatives).support(),
        error_max: (at_most.min(1.0) - at_ends).max(0.0),
    })
}

/// Precision at each positive's score, averaged over the positives (scikit-learn's definition: the
/// step rule, without interpolation). `None` without positives.
///
/// Within a bin positives and negatives are taken as shuffled. `error_max` is the distance to the
/// farther of two extremes: all negatives first and the positives one by one; all positives first
/// and with the same score. No interval.
pub(super) fn average_precision(cells: &BinaryCells) -> Option<Estimate> {
    let (bins, positives, negatives) = bins(cells);
    if !positives.is_some() {
        return None;
    }
    let mut ahead = Ahead { positives: 0.0, negatives: 0.0 };
    let (mut value, mut worst, mut best) = (0.0, 0.0, 0.0);
    for bin in bins.iter().rev() {
        if bin.positives.is_some() {
            let p = bin.positives.w;
            value += ahead.shuffled(bin);
            worst += ahead.negatives_first(bin);
            best += p * (ahead.positives + p) / (ahead.positives + ahead.negatives + p);
        }
        ahead.positives += bin.positives.w;
        ahead.negatives += bin.negatives.w;
    }
    let (value, worst, best) = (value / positives.w, worst / positives.w, best / positives.w);
    Some(Estimate {
        value: value.clamp(0.0, 1.0),
        interval: None,
        support: (positives + negatives).support(),
        error_max: (best - value).max(value - worst).max(0.0),
    })
}

/// Up to this many positives of a bin are summed one by one, which is also the most accurate.
const DIRECT_MAX: i64 = 16;

/// The rows that score above a bin, by weight.
#[derive(Clone, Copy)]
struct Ahead {
    positives: f64,
    negatives: f64,
}

impl Ahead {
    /// Sum of the precisions at the bin's positives if they are shuffled with its negatives: before
    /// the i-th of k positives stand on average i / (k + 1) of the negatives. Weights are taken as
    /// alike within the bin.
    fn shuffled(self, bin: &Bin) -> f64 {
        let rows = bin.positives.n;
        let weight = bin.positives.w / rows as f64;
        let step = 1.0 + bin.negatives.w / weight / (rows as f64 + 1.0);
        let before = (self.positives + self.negatives) / weight;
        weight * ratios(self.positives / weight, before, step, rows)
    }

    /// The least possible sum: all of the bin's negatives first, then its positives one by one.
    fn negatives_first(self, bin: &Bin) -> f64 {
        let Mass { n: rows, w, w2 } = bin.positives;
        let before = self.positives + self.negatives + bin.negatives.w;
        if rows == 1 || (w == rows as f64 && w2 == rows as f64) {
            let weight = w / rows as f64;
            weight * ratios(self.positives / weight, before / weight, 1.0, rows)
        } else if before > 0.0 {
            // Unequal weights: less than any order gives, the limit of ever smaller steps.
            let misses = before - self.positives;
            (w - misses * (w / before).ln_1p()).max(0.0)
        } else {
            w
        }
    }
}

/// Sum over i = 1 ..= `rows` of (hits + i) / (before + step * i).
///
/// The first ones are added up; the others by the midpoint form of Euler and Maclaurin's formula:
/// the integral between half-integers, less 1/24 of the first derivative and plus 7/5760 of the
/// third.
pub(in crate::engine) fn ratios(hits: f64, before: f64, step: f64, rows: i64) -> f64 {
    let ratio = |i: i64| (hits + i as f64) / (before + step * i as f64);
    let direct: f64 = (1..=rows.min(DIRECT_MAX)).map(ratio).sum();
    if rows <= DIRECT_MAX {
        return direct;
    }
    // (hits + x) / (before + step x) = (1 - misses / (a + x)) / step
    let a = before / step;
    let misses = a - hits;
    let (from, to) = (a + DIRECT_MAX as f64 + 0.5, a + rows as f64 + 0.5);
    let integral = (to - from) - misses * ((to - from) / from).ln_1p();
    let first = |x: f64| misses / (x * x);
    let third = |x: f64| 6.0 * misses / (x * x * x * x);
    let corrections = (first(from) - first(to)) / 24.0 + 7.0 / 5760.0 * (third(to) - third(from));
    direct + (integral + corrections) / step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortcut_of_the_sum_equals_the_sum() {
        for (hits, before, step, rows) in [
            (0.0, 0.0, 1.0, 65),
            (3.0, 70.5, 1.7, 1_000),
            (1e4, 1e6, 3.0, 400),
            (0.0, 1e5, 1.0, 90),
            (1e3, 1e3, 1.0, 100_000),
        ] {
            let ratio = |i: i64| (hits + i as f64) / (before + step * i as f64);
            let sum: f64 = (1..=rows).map(ratio).sum();
            let found = ratios(hits, before, step, rows);
            assert!((found - sum).abs() < 1e-10 * sum, "{found} {sum}");
        }
    }
}
