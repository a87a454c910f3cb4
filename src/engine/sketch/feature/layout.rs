//! How a feature's values fall into the bins of a reference: worked out once, used for every row.

use super::grid::Grid;
use crate::engine::reference::{
    CategoricalReference, Category, Distribution, FeatureReference, NumericReference,
};
use crate::engine::spec::{FeatureKind, Task};
use std::collections::HashMap;

/// The bins of one feature and the reference's counts in them.
///
/// A sketch counts by this layout and must be read with the same one.
#[derive(Clone, Debug)]
pub struct FeatureLayout {
    pub(crate) bins: LayoutBins,
}

#[derive(Clone, Debug)]
pub(crate) enum LayoutBins {
    Numeric(NumericLayout),
    Categorical(CategoricalLayout),
}

#[derive(Clone, Debug)]
pub(crate) struct NumericLayout {
    /// At least two, ascending.
    pub edges: Vec<f64>,
    /// The reference's rows, one count a bin.
    pub reference: Vec<u64>,
    /// All reference rows of the bin have its lower edge as their value.
    pub at_lower_edge: Vec<bool>,
    /// The reference's values repeat, so live ones are expected to be the same ones.
    pub discrete: bool,
    /// Where in its bin the mean of the reference's rows lies: 0 lower edge, 1 upper. None: no
    /// rows.
    pub mean_within: Vec<Option<f64>>,
    /// First fine bin of each coarse bin, then the number of fine bins.
    pub coarse: Vec<usize>,
    /// The reference's standard deviation.
    pub std: f64,
    /// A power of two near `std`: distances beyond the range are summed in this unit.
    pub unit: f64,
    pub(super) grid: Grid,
}

#[derive(Clone, Debug)]
pub(crate) struct CategoricalLayout {
    /// Dictionary code -> position in `reference`.
    pub bin_of_code: Vec<u32>,
    /// The reference's rows of each listed category, then those of all others.
    pub reference: Vec<u64>,
}

impl FeatureLayout {
    /// `None` where the plan's kind is not the reference's, or the reference is not a valid one.
    pub fn new(kind: &FeatureKind, reference: &FeatureReference) -> Option<Self> {
        match (kind, &reference.distribution) {
            (FeatureKind::Numeric, Distribution::Numeric(numbers)) => Self::numeric(numbers),
            (FeatureKind::Categorical { dictionary }, Distribution::Categorical(categories)) => {
                Self::categorical(categories, dictionary)
            }
            _ => None,
        }
    }

    /// For a numeric feature, a score or a predicted value.
    pub fn numeric(reference: &NumericReference) -> Option<Self> {
        reference.validate().ok()?;
        // Adding zero turns a negative zero into the positive one, which the grid asks for.
        let edges: Vec<f64> = reference.edges.iter().map(|edge| edge + 0.0).collect();
        let grid = Grid::new(&edges, &reference.counts);
        let mut coarse: Vec<usize> = reference.coarse.iter().map(|&bin| bin.into()).collect();
        coarse.push(reference.counts.len());
        let counts = &reference.counts;
        let at_lower_edge: Vec<bool> =
            (0..counts.len()).map(|i| at_lower_edge(reference, i)).collect();
        let at_edge = counts.iter().zip(&at_lower_edge).filter(|(count, at)| **count > 0 && **at);
        let (values, rows) =
            at_edge.fold((0, 0u64), |(values, rows), (count, _)| (values + 1, rows + count));
        let bins = LayoutBins::Numeric(NumericLayout {
            at_lower_edge,
            mean_within: (0..counts.len()).map(|i| mean_within(reference, i)).collect(),
            discrete: rows / 2 >= values,
            edges,
            reference: counts.clone(),
            coarse,
            std: reference.std,
            unit: power_of_two_near(reference.std),
            grid,
        });
        Some(Self { bins })
    }

    /// For a categorical feature. `dictionary`: the model's values, a cell's code being the
    /// position.
    pub fn categorical(reference: &CategoricalReference, dictionary: &[String]) -> Option<Self> {
        reference.validate().ok()?;
        let listed: HashMap<&str, u32> =
            (0u32..).zip(&reference.categories).map(|(i, c)| (c.value.as_str(), i)).collect();
        let other = listed.len() as u32;
        let bin_of = |value: &String| listed.get(value.as_str()).copied().unwrap_or(other);
        let mut counts: Vec<u64> = reference.categories.iter().map(|c| c.count).collect();
        counts.push(reference.other);
        let bins = LayoutBins::Categorical(CategoricalLayout {
            bin_of_code: dictionary.iter().map(bin_of).collect(),
            reference: counts,
        });
        Some(Self { bins })
    }

    /// For predicted classes (or true ones), by their codes in `task`.
    ///
    /// Binary: whatever is not positive is one class, as it is live, also where the task does not
    /// name the negative class. `None` for regression.
    pub fn classes(reference: &CategoricalReference, task: &Task) -> Option<Self> {
        let dictionary: Vec<String> = match task {
            Task::Regression { .. } => return None,
            Task::Multiclass { classes, .. } => classes.clone(),
            Task::Binary { positive_class, .. } => {
                let positive = |category: &&Category| category.value == *positive_class;
                let count = reference.categories.iter().find(positive).map_or(0, |c| c.count);
                let negative = reference.rows() - count;
                let bins = CategoricalLayout {
                    bin_of_code: vec![0, 1],
                    reference: vec![negative, count, 0],
                };
                return Some(Self { bins: LayoutBins::Categorical(bins) });
            }
        };
        Self::categorical(reference, &dictionary)
    }

    /// How many counts a sketch of this layout has.
    pub fn bins(&self) -> usize {
        match &self.bins {
            LayoutBins::Numeric(numeric) => numeric.reference.len(),
            LayoutBins::Categorical(categorical) => categorical.bin_of_code.len(),
        }
    }

    /// The reference's rows by coarse bin, or by category and `other`.
    pub fn coarse_reference(&self) -> Vec<u64> {
        match &self.bins {
            LayoutBins::Numeric(numeric) => {
                let bins = numeric.coarse.windows(2);
                bins.map(|pair| numeric.reference[pair[0]..pair[1]].iter().sum()).collect()
            }
            LayoutBins::Categorical(categorical) => categorical.reference.clone(),
        }
    }

    /// The reference's rows that had a value.
    pub fn reference_rows(&self) -> u64 {
        match &self.bins {
            LayoutBins::Numeric(numeric) => numeric.reference.iter().sum(),
            LayoutBins::Categorical(categorical) => categorical.reference.iter().sum(),
        }
    }
}

/// Values are never below the lower edge, so their sum is count * edge only if all are at the edge.
/// The profile's sums are right to the last bit, as this product is.
fn at_lower_edge(reference: &NumericReference, bin: usize) -> bool {
    let edge = reference.edges[bin];
    reference.edges[bin + 1] == edge.next_up()
        || reference.sums[bin] == edge * reference.counts[bin] as f64
}

fn mean_within(reference: &NumericReference, bin: usize) -> Option<f64> {
    let (lower, upper) = (reference.edges[bin], reference.edges[bin + 1]);
    if reference.counts[bin] > 0 && at_lower_edge(reference, bin) {
        return Some(0.0);
    }
    let mean = reference.sums[bin] / reference.counts[bin] as f64;
    let within = (mean - lower) / (upper - lower);
    within.is_finite().then(|| within.clamp(0.0, 1.0))
}

/// 1 where there is no spread.
fn power_of_two_near(std: f64) -> f64 {
    if std.is_normal() { std.log2().round().clamp(-1000.0, 1000.0).exp2() } else { 1.0 }
}
