//! A feature's distribution in the reference and in the newest window, side by side.

use super::ModelView;
use super::drift::Column;
use crate::engine::reference;
use crate::engine::sketch::feature::{
    CategoricalLayout, FeatureLayout, FeatureSketch, LayoutBins, NumericLayout,
};
use crate::engine::sum::FeatureSum;
use crate::io::http::api::dto::{Bin, Distribution, ValueShare, name};
use std::collections::BTreeMap;

/// Categories that are listed, the most frequent on either side.
const VALUES_MAX: usize = 30;
const QUANTILES: [(&str, f64); 5] =
    [("0.05", 0.05), ("0.25", 0.25), ("0.5", 0.5), ("0.75", 0.75), ("0.95", 0.95)];

/// Rows of one side, by bin.
struct Side {
    rows: u64,
    missing: u64,
    /// Numeric: below, the fine bins, above. Categorical: the listed ones, then all others.
    counts: Vec<u64>,
}

impl ModelView<'_> {
    /// (reference, current) of a column; `None` where there is no reference or no window yet.
    pub(super) fn distributions(
        &self,
        index: usize,
        version: &str,
        column: Column,
    ) -> (Option<Distribution>, Option<Distribution>) {
        let (layout, _) = self.context().layouts.of(version);
        let Some(profile) = &layout.profile else { return (None, None) };
        let of_layout = match column {
            Column::Feature(at) => layout.features.get(at).and_then(Option::as_ref),
            Column::Score => layout.score.as_ref(),
            Column::Class => layout.classes.as_ref(),
        };
        let Some(of_layout) = of_layout else { return (None, None) };
        let sum = self.kept().current(index, version).map(|(_, sum)| sum);
        let current = sum.as_ref().and_then(|sum| sketch(sum, column));
        let known = match column {
            Column::Feature(at) => {
                let name = &*self.spec.features[at].name;
                profile.features.iter().find(|feature| *feature.name == *name)
            }
            Column::Score | Column::Class => None,
        };
        let absent = known.map_or(0, |f| f.missing + f.null + f.invalid + f.non_finite);
        let shown = self.held.plan.http.show_values;
        match &of_layout.bins {
            LayoutBins::Numeric(bins) => {
                let of_reference = numeric_reference(bins, absent);
                let of_current = current.map(|sketch| numeric_current(bins, sketch));
                let mut reference = numbers(bins, &of_reference, shown);
                let numeric = known.map(|f| &f.distribution).and_then(|d| match d {
                    reference::Distribution::Numeric(numeric) => Some(numeric),
                    reference::Distribution::Categorical(_) => None,
                });
                let numeric =
                    numeric.or(profile.score.as_ref().filter(|_| column == Column::Score));
                if let Some(numeric) = numeric.filter(|_| shown) {
                    reference.min = Some(numeric.min);
                    reference.max = Some(numeric.max);
                    reference.mean = Some(numeric.mean);
                }
                (Some(reference), of_current.map(|side| numbers(bins, &side, shown)))
            }
            LayoutBins::Categorical(bins) => {
                let of_reference = categorical_reference(bins, absent);
                let of_current = current.map(|sketch| categorical_current(bins, sketch));
                let order = order(&of_reference, of_current.as_ref());
                let names = self.category_names(column, of_layout, profile, known);
                // Classes are declared; values of features may be personal data.
                let shown = shown || column == Column::Class;
                let label = |bin: usize| match names.get(bin) {
                    Some(known) if shown => name(known),
                    _ => format!("#{}", bin + 1),
                };
                let side = |side: &Side| categories(side, &order, &label);
                (Some(side(&of_reference)), of_current.as_ref().map(side))
            }
        }
    }

    /// The listed categories' texts, by bin.
    fn category_names(
        &self,
        column: Column,
        layout: &FeatureLayout,
        profile: &reference::Profile,
        known: Option<&reference::FeatureReference>,
    ) -> Vec<String> {
        let task = &self.spec.task;
        let binary = task.class_count() == 2 && task.name() == "binary";
        if column == Column::Class && binary {
            return (0..layout.bins() as u16)
                .map(|code| task.class_name(code).to_owned())
                .collect();
        }
        let categorical = match (column, known.map(|feature| &feature.distribution)) {
            (Column::Class, _) => profile.predicted_classes.as_ref(),
            (_, Some(reference::Distribution::Categorical(categorical))) => Some(categorical),
            _ => None,
        };
        let categories = categorical.into_iter().flat_map(|listed| &listed.categories);
        categories.map(|category| category.value.clone()).collect()
    }
}

fn sketch(sum: &FeatureSum, column: Column) -> Option<&FeatureSketch> {
    let sketch = match column {
        Column::Feature(at) => sum.features.get(at)?,
        Column::Score => &sum.score,
        Column::Class => &sum.classes,
    };
    Some(sketch).filter(|sketch| !sketch.is_empty())
}

fn absent(sketch: &FeatureSketch) -> u64 {
    sketch.missing + sketch.null + sketch.invalid + sketch.non_finite
}

fn numeric_reference(bins: &NumericLayout, missing: u64) -> Side {
    let inner = bins.reference.iter().copied();
    let counts: Vec<u64> = std::iter::once(0).chain(inner).chain([0]).collect();
    Side { rows: counts.iter().sum::<u64>() + missing, missing, counts }
}

fn numeric_current(bins: &NumericLayout, sketch: &FeatureSketch) -> Side {
    let counts = sketch.counts.as_slice();
    let inner = (0..bins.reference.len()).map(|bin| counts.get(bin).copied().unwrap_or(0));
    let counts = std::iter::once(sketch.below).chain(inner).chain([sketch.above]).collect();
    Side { rows: sketch.total(), missing: absent(sketch), counts }
}

fn categorical_reference(bins: &CategoricalLayout, missing: u64) -> Side {
    let rows = bins.reference.iter().sum::<u64>() + missing;
    Side { rows, missing, counts: bins.reference.clone() }
}

fn categorical_current(bins: &CategoricalLayout, sketch: &FeatureSketch) -> Side {
    let mut counts = vec![0; bins.reference.len()];
    for (&bin, &count) in bins.bin_of_code.iter().zip(sketch.counts.as_slice()) {
        counts[bin as usize] += count;
    }
    if let Some(other) = counts.last_mut() {
        *other += sketch.new;
    }
    Side { rows: sketch.total(), missing: absent(sketch), counts }
}

/// Coarse bins with the two open ends, and quantiles from the fine ones.
fn numbers(bins: &NumericLayout, side: &Side, shown: bool) -> Distribution {
    let values: u64 = side.counts.iter().sum();
    let share = |count: u64| if values == 0 { 0.0 } else { count as f64 / values as f64 };
    let last = side.counts.len() - 1;
    let bin = |lower: Option<f64>, upper: Option<f64>, count: u64| Bin {
        lower: lower.filter(|_| shown),
        upper: upper.filter(|_| shown),
        share: share(count),
    };
    let mut list = vec![bin(None, bins.edges.first().copied(), side.counts[0])];
    for pair in bins.coarse.windows(2) {
        // The fine bins stand one further on, after what lies below.
        let count = side.counts[pair[0] + 1..=pair[1]].iter().sum();
        list.push(bin(Some(bins.edges[pair[0]]), Some(bins.edges[pair[1]]), count));
    }
    list.push(bin(bins.edges.last().copied(), None, side.counts[last]));
    let quantile = |(text, share): (&str, f64)| {
        quantile(bins, &side.counts, share).map(|value| (text.to_owned(), value))
    };
    let quantiles: BTreeMap<String, f64> = QUANTILES.into_iter().filter_map(quantile).collect();
    Distribution {
        count: side.rows,
        missing: side.missing,
        bins: Some(list),
        quantiles: Some(quantiles).filter(|_| shown && values > 0),
        ..Distribution::default()
    }
}

/// A quantile, interpolated within its fine bin; `None` where it lies out of the reference's range.
fn quantile(bins: &NumericLayout, counts: &[u64], share: f64) -> Option<f64> {
    let values: u64 = counts.iter().sum();
    let wanted = share * values as f64;
    let mut below = 0.0;
    for (at, &count) in counts.iter().enumerate() {
        let count = count as f64;
        if count > 0.0 && below + count >= wanted {
            let lower = bins.edges.get(at.checked_sub(1)?)?;
            let upper = bins.edges.get(at)?;
            return Some(lower + (upper - lower) * ((wanted - below) / count));
        }
        below += count;
    }
    None
}

/// The listed bins to show, the most frequent on either side first.
fn order(reference: &Side, current: Option<&Side>) -> Vec<usize> {
    let listed = reference.counts.len().saturating_sub(1);
    let share = |side: &Side, bin: usize| {
        let values: u64 = side.counts.iter().sum();
        if values == 0 { 0.0 } else { side.counts[bin] as f64 / values as f64 }
    };
    let most =
        |bin: usize| share(reference, bin).max(current.map_or(0.0, |current| share(current, bin)));
    let mut order: Vec<usize> = (0..listed).collect();
    order.sort_by(|&a, &b| most(b).total_cmp(&most(a)).then(a.cmp(&b)));
    order.truncate(VALUES_MAX);
    order
}

fn categories(side: &Side, order: &[usize], label: &impl Fn(usize) -> String) -> Distribution {
    let values: u64 = side.counts.iter().sum();
    let share = |count: u64| if values == 0 { 0.0 } else { count as f64 / values as f64 };
    let listed: u64 = order.iter().map(|&bin| side.counts[bin]).sum();
    Distribution {
        count: side.rows,
        missing: side.missing,
        values: Some(
            order
                .iter()
                .map(|&bin| ValueShare { value: label(bin), share: share(side.counts[bin]) })
                .collect(),
        ),
        other_share: Some(share(values - listed)),
        ..Distribution::default()
    }
}
