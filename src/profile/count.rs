//! The second pass over a column: exact counts in the bins that the first one chose.

use super::cell::Cell;
use super::column::{ColumnScan, Kind};
use super::grid;
use crate::engine::reference::{
    CATEGORY_BYTES_MAX, CategoricalReference, Category, Distribution, FeatureReference,
    NumericReference,
};
use hashbrown::HashMap;

/// Counts of a column as the kind that it was found to be.
#[derive(Clone, Debug)]
pub(super) struct ColumnCount {
    missing: u64,
    null: u64,
    invalid: u64,
    non_finite: u64,
    values: ValueCount,
}

#[derive(Clone, Debug)]
enum ValueCount {
    Numbers(NumberCount),
    Categories(CategoryCount),
}

impl ColumnCount {
    pub(super) fn new(scan: &ColumnScan) -> Self {
        let values = match scan.kind() {
            Kind::Numeric => ValueCount::Numbers(NumberCount::new(scan)),
            Kind::Categorical => ValueCount::Categories(CategoryCount::new(scan)),
        };
        Self { missing: 0, null: 0, invalid: 0, non_finite: 0, values }
    }

    pub(super) fn add(&mut self, cell: Cell) {
        match cell {
            Cell::Missing => self.missing += 1,
            Cell::Null => self.null += 1,
            cell => match &mut self.values {
                ValueCount::Numbers(numbers) => match cell.number() {
                    Some(number) if number.is_finite() => numbers.add(number),
                    Some(_) => self.non_finite += 1,
                    None => self.invalid += 1,
                },
                ValueCount::Categories(categories) => {
                    self.invalid += u64::from(!categories.add(cell));
                }
            },
        }
    }

    /// `None` for numbers whose spread is beyond what a double holds.
    pub(super) fn finish(self, name: &str, categories_max: usize) -> Option<FeatureReference> {
        let distribution = match self.values {
            ValueCount::Numbers(numbers) => Distribution::Numeric(numbers.finish()?),
            ValueCount::Categories(categories) => {
                Distribution::Categorical(categories.finish(categories_max))
            }
        };
        Some(FeatureReference {
            name: name.to_owned(),
            missing: self.missing,
            null: self.null,
            invalid: self.invalid,
            non_finite: self.non_finite,
            distribution,
        })
    }
}

/// A sum that is right to the last bit or nearly so (Knuth's two-sum, the errors summed apart).
#[derive(Clone, Copy, Debug, Default)]
struct CompensatedSum {
    sum: f64,
    error: f64,
}

impl CompensatedSum {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let value_part = sum - self.sum;
        self.error += (self.sum - (sum - value_part)) + (value - value_part);
        self.sum = sum;
    }

    fn total(self) -> f64 {
        self.sum + self.error
    }
}

#[derive(Clone, Debug)]
struct NumberCount {
    edges: Vec<f64>,
    counts: Vec<u64>,
    sums: Vec<CompensatedSum>,
    center: f64,
    squares: CompensatedSum,
    deviations: CompensatedSum,
    min: f64,
    max: f64,
}

impl NumberCount {
    fn new(scan: &ColumnScan) -> Self {
        let edges = grid::edges(scan);
        let bins = edges.len() - 1;
        Self {
            edges,
            counts: vec![0; bins],
            sums: vec![CompensatedSum::default(); bins],
            center: scan.mean,
            squares: CompensatedSum::default(),
            deviations: CompensatedSum::default(),
            min: scan.min,
            max: scan.max,
        }
    }

    fn add(&mut self, number: f64) {
        let at = self.edges.partition_point(|edge| *edge <= number);
        let bin = at.saturating_sub(1).min(self.counts.len() - 1);
        self.counts[bin] += 1;
        self.sums[bin].add(number);
        let deviation = number - self.center;
        self.deviations.add(deviation);
        self.squares.add(deviation * deviation);
    }

    fn finish(self) -> Option<NumericReference> {
        let rows = self.counts.iter().sum::<u64>() as f64;
        let shift = self.deviations.total() / rows;
        let variance = self.squares.total() / rows - shift * shift;
        let constant = self.min == self.max;
        let reference = NumericReference {
            coarse: grid::coarse(&self.counts),
            edges: self.edges,
            sums: self.sums.into_iter().map(CompensatedSum::total).collect(),
            counts: self.counts,
            mean: if constant { self.min } else { self.center + shift },
            std: if constant { 0.0 } else { variance.max(0.0).sqrt() },
            min: self.min,
            max: self.max,
        };
        reference.validate().is_ok().then_some(reference)
    }
}

#[derive(Clone, Debug)]
struct CategoryCount {
    only_numbers: bool,
    counts: HashMap<String, u64, foldhash::fast::FixedState>,
    other: u64,
}

impl CategoryCount {
    fn new(scan: &ColumnScan) -> Self {
        let counts = scan.candidates().into_iter().map(|category| (category, 0)).collect();
        Self { only_numbers: scan.only_numbers(), counts, other: 0 }
    }

    /// Whether the cell has a category.
    fn add(&mut self, cell: Cell) -> bool {
        let Some(category) = cell.category(self.only_numbers) else { return false };
        match self.counts.get_mut(&category) {
            Some(count) if category.len() <= CATEGORY_BYTES_MAX => *count += 1,
            _ => self.other += 1,
        }
        true
    }

    fn finish(self, categories_max: usize) -> CategoricalReference {
        let mut categories: Vec<Category> = self
            .counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(value, count)| Category { value, count })
            .collect();
        categories.sort_unstable_by(|a, b| b.count.cmp(&a.count).then(a.value.cmp(&b.value)));
        let unlisted = categories.split_off(categories.len().min(categories_max));
        let other = self.other + unlisted.iter().map(|category| category.count).sum::<u64>();
        CategoricalReference { categories, other }
    }
}
