//! Drift statistics: how far a window's distribution lies from the reference.
//!
//! What enters, the same for all of them:
//! - Rows without a value (missing, null, invalid, not finite) are left out; they have shares of
//!   their own.
//! - Numbers out of the reference's range are two bins of their own, below and above, in which the
//!   reference has no row.
//! - Categories that the reference does not list are one bin, against the reference's `other`.
//! - A side without any value has no statistic: `None`.
//!
//! To add one: a file with its formula, a variant of `Statistic`, a match arm in
//! `Comparison::statistic`.

mod chi_square;
mod feature;
mod jensen_shannon;
mod kolmogorov_smirnov;
mod l_infinity;
mod psi;
mod wasserstein;

pub use chi_square::ChiSquareTest;
pub use feature::{FeatureDrift, feature_drift};

use super::estimate::Estimate;
use super::sketch::feature::{FeatureLayout, FeatureSketch, LayoutBins, NumericLayout};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A drift statistic, named as users write it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    Psi,
    Js,
    Ks,
    Wasserstein,
    ChiSquare,
    LInfinity,
}

impl Statistic {
    pub const ALL: [Self; 6] =
        [Self::Psi, Self::Js, Self::Ks, Self::Wasserstein, Self::ChiSquare, Self::LInfinity];

    /// By which features of both kinds are ranked: it has the same meaning and bounds (0 to 1) for
    /// numbers and for categories and does not grow with the number of rows.
    pub const RANKING: Self = Self::Js;

    pub fn name(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::Js => "js",
            Self::Ks => "ks",
            Self::Wasserstein => "wasserstein",
            Self::ChiSquare => "chi_square",
            Self::LInfinity => "l_infinity",
        }
    }

    /// One sentence for a person who reads a graph.
    pub fn help(self) -> &'static str {
        match self {
            Self::Psi => "Population stability index over about 10 bins, 0.5 added to each count.",
            Self::Js => "Jensen-Shannon distance, base 2: 0 for equal, 1 for disjoint.",
            Self::Ks => "Greatest difference between the cumulative shares, from 0 to 1.",
            Self::Wasserstein => {
                "Mean distance that values moved, in standard deviations of the reference."
            }
            Self::ChiSquare => {
                "Two-sample chi-square statistic over about 10 bins; grows with rows."
            }
            Self::LInfinity => "Greatest difference between the shares of one bin, from 0 to 1.",
        }
    }

    /// Whether it is defined for numbers only.
    pub fn numeric_only(self) -> bool {
        matches!(self, Self::Ks | Self::Wasserstein)
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Statistic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|statistic| statistic.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{text}` is not a drift statistic; expected one of {names}")
        })
    }
}

/// One statistic of a window against the reference that `layout` was made from; `None` where either
/// side has no value, or the statistic is not defined for the feature's kind.
///
/// `support` is the window's rows with a value. `error_max` is how far the exact statistic of the
/// rows themselves may lie from it; the statistics over coarse bins are defined on these bins,
/// hence 0.
pub fn statistic(
    statistic: Statistic,
    layout: &FeatureLayout,
    current: &FeatureSketch,
) -> Option<Estimate> {
    Comparison::new(layout, current)?.statistic(statistic)
}

/// The two-sample chi-square test of a window against its reference.
pub fn chi_square_test(layout: &FeatureLayout, current: &FeatureSketch) -> Option<ChiSquareTest> {
    Some(chi_square::test(&Comparison::new(layout, current)?))
}

/// Both sides in the same bins; each side has at least one row.
pub(crate) struct Comparison<'a> {
    pub layout: &'a FeatureLayout,
    pub current: &'a FeatureSketch,
    /// Coarse bins with the two ends, or categories with `other`: (reference, current).
    pub bins: Vec<(u64, u64)>,
    pub reference_rows: u64,
    pub current_rows: u64,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(layout: &'a FeatureLayout, current: &'a FeatureSketch) -> Option<Self> {
        let bins = match &layout.bins {
            LayoutBins::Numeric(numeric) => numeric_bins(numeric, current),
            LayoutBins::Categorical(categorical) => {
                let mut bins: Vec<(u64, u64)> =
                    categorical.reference.iter().map(|&count| (count, 0)).collect();
                for (&bin, &count) in categorical.bin_of_code.iter().zip(current.counts.as_slice())
                {
                    bins[bin as usize].1 += count;
                }
                let other = bins.len() - 1;
                bins[other].1 += current.new;
                bins
            }
        };
        let reference_rows = bins.iter().map(|bin| bin.0).sum();
        let current_rows = bins.iter().map(|bin| bin.1).sum();
        let both = reference_rows > 0 && current_rows > 0;
        both.then_some(Self { layout, current, bins, reference_rows, current_rows })
    }

    fn statistic(&self, statistic: Statistic) -> Option<Estimate> {
        let on_bins = |value: f64| Some(Estimate::exact(value, None, self.current_rows));
        match statistic {
            Statistic::Psi => on_bins(psi::psi(self)),
            Statistic::Js => on_bins(jensen_shannon::distance(self)),
            Statistic::Ks => kolmogorov_smirnov::statistic(self),
            Statistic::Wasserstein => wasserstein::normed(self),
            Statistic::ChiSquare => on_bins(chi_square::test(self).statistic),
            Statistic::LInfinity => on_bins(l_infinity::distance(self)),
        }
    }

    /// The shares of each bin on both sides.
    fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let (reference, current) = (self.reference_rows as f64, self.current_rows as f64);
        self.bins.iter().map(move |bin| (bin.0 as f64 / reference, bin.1 as f64 / current))
    }

    /// The fine bins of a numeric feature.
    fn fine(&self) -> Option<Fine<'_>> {
        let LayoutBins::Numeric(layout) = &self.layout.bins else { return None };
        Some(Fine { layout, comparison: self })
    }
}

fn numeric_bins(layout: &NumericLayout, current: &FeatureSketch) -> Vec<(u64, u64)> {
    let counts = current.counts.as_slice();
    let mut bins = vec![(0, current.below)];
    for pair in layout.coarse.windows(2) {
        let reference = layout.reference[pair[0]..pair[1]].iter().sum();
        bins.push((
            reference,
            counts.get(pair[0]..pair[1]).map_or(0, |counts| counts.iter().sum()),
        ));
    }
    bins.push((0, current.above));
    bins
}

/// A numeric feature on its fine grid.
struct Fine<'a> {
    layout: &'a NumericLayout,
    comparison: &'a Comparison<'a>,
}

/// Cumulative shares at both ends of a fine bin.
struct FineBin {
    index: usize,
    width: f64,
    reference: (f64, f64),
    current: (f64, f64),
    /// All reference rows of the bin lie at its lower edge.
    at_lower_edge: bool,
    /// The bin is a single value.
    point: bool,
}

impl Fine<'_> {
    /// Calls `visit` for each fine bin from the lowest on.
    fn for_each(&self, mut visit: impl FnMut(&FineBin)) {
        let (rows, current) = (self.comparison, self.comparison.current);
        let counts = current.counts.as_slice();
        let mut reference_below = 0u64;
        let mut current_below = current.below;
        let share = |count: u64, of: u64| count as f64 / of as f64;
        for (i, &reference) in self.layout.reference.iter().enumerate() {
            let count = counts.get(i).copied().unwrap_or(0);
            let (lower, upper) = (self.layout.edges[i], self.layout.edges[i + 1]);
            visit(&FineBin {
                index: i,
                width: upper - lower,
                reference: (
                    share(reference_below, rows.reference_rows),
                    share(reference_below + reference, rows.reference_rows),
                ),
                current: (
                    share(current_below, rows.current_rows),
                    share(current_below + count, rows.current_rows),
                ),
                at_lower_edge: self.layout.at_lower_edge[i],
                point: upper == lower.next_up(),
            });
            reference_below += reference;
            current_below += count;
        }
    }
}
