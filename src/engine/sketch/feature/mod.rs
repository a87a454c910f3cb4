//! Counts of one feature over a stretch of event time, in the bins of a reference.
//!
//! Every number kept is a whole number, so that any split and any order of the rows give the same
//! bits.

mod counts;
mod grid;
mod layout;

pub use counts::Counts;
pub use layout::FeatureLayout;
pub(crate) use layout::{CategoricalLayout, LayoutBins, NumericLayout};

use crate::engine::event::{
    CLASS_NONE, CategoricalColumn, CellState, ClassCode, FeatureColumn, NumericColumn,
};
use crate::engine::fixed::Fixed;
use serde::{Deserialize, Serialize};

/// A sum of distances in the layout's unit, to 2^-40 of it ...
pub type Distance = Fixed<40>;
/// ... each cut at 2^54 units, so that 2^32 of them fit.
const DISTANCE_MAX: f64 = (1u64 << 54) as f64;

/// Counts of one feature, of a score or of predicted classes. See `FeatureLayout`.
///
/// About 8 bytes a bin in memory once something was counted; serialized one to two bytes a bin with
/// rows in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureSketch {
    /// Numeric: by fine bin of the reference. Categorical: by code of the model's dictionary.
    pub counts: Counts,
    /// Numbers under the reference's range and over it.
    pub below: u64,
    pub above: u64,
    /// How far these lie beyond the range in all.
    pub below_distance: Distance,
    pub above_distance: Distance,
    /// How far the numbers of the first and of the last bin lie above its lower edge in all: these
    /// two may be wide, and much of a Wasserstein distance be in them.
    pub first_distance: Distance,
    pub last_distance: Distance,
    /// Numbers so far beyond the range that their distance was cut.
    pub clipped: u64,
    /// Categories that the model's dictionary does not know.
    pub new: u64,
    pub missing: u64,
    pub null: u64,
    pub invalid: u64,
    pub non_finite: u64,
}

impl FeatureSketch {
    /// Counts the chosen rows of a column. A column of the other kind counts as invalid.
    pub fn fold(&mut self, layout: &FeatureLayout, column: &FeatureColumn, rows: &[u32]) {
        match (&layout.bins, column) {
            (LayoutBins::Numeric(layout), FeatureColumn::Numeric(column)) => {
                self.fold_numeric(layout, column, rows);
            }
            (LayoutBins::Categorical(layout), FeatureColumn::Categorical(column)) => {
                self.fold_categorical(layout, column, rows);
            }
            _ => self.invalid += rows.len() as u64,
        }
    }

    fn fold_numeric(&mut self, layout: &NumericLayout, column: &NumericColumn, rows: &[u32]) {
        // Taken out so that the loop holds the counts and the other fields apart.
        let mut counts = std::mem::take(&mut self.counts);
        let bins = counts.for_bins(layout.reference.len());
        for &row in rows {
            match column.states[row as usize] {
                CellState::Present => self.number(layout, bins, column.values[row as usize]),
                state => self.absent(state),
            }
        }
        self.counts = counts;
    }

    fn fold_categorical(
        &mut self,
        layout: &CategoricalLayout,
        column: &CategoricalColumn,
        rows: &[u32],
    ) {
        let mut counts = std::mem::take(&mut self.counts);
        let bins = counts.for_bins(layout.bin_of_code.len());
        for &row in rows {
            match column.states[row as usize] {
                CellState::Present => match bins.get_mut(column.codes[row as usize] as usize) {
                    Some(count) => *count += 1,
                    None => self.new += 1,
                },
                state => self.absent(state),
            }
        }
        self.counts = counts;
    }

    /// Counts scores or predicted values; NaN means that there was none.
    pub fn fold_numbers(&mut self, layout: &FeatureLayout, values: &[f64], rows: &[u32]) {
        let LayoutBins::Numeric(layout) = &layout.bins else {
            self.invalid += rows.len() as u64;
            return;
        };
        let mut counts = std::mem::take(&mut self.counts);
        let bins = counts.for_bins(layout.reference.len());
        for &row in rows {
            let value = values[row as usize];
            if value.is_nan() {
                self.missing += 1;
            } else {
                self.number(layout, bins, value);
            }
        }
        self.counts = counts;
    }

    /// Counts predicted classes. `CLASS_NONE` means that there was none; a class beyond the
    /// layout's dictionary, as `CLASS_OTHER` is, counts as new.
    pub fn fold_classes(&mut self, layout: &FeatureLayout, classes: &[ClassCode], rows: &[u32]) {
        let LayoutBins::Categorical(layout) = &layout.bins else {
            self.invalid += rows.len() as u64;
            return;
        };
        let mut counts = std::mem::take(&mut self.counts);
        let bins = counts.for_bins(layout.bin_of_code.len());
        for &row in rows {
            match classes[row as usize] {
                CLASS_NONE => self.missing += 1,
                class => match bins.get_mut(usize::from(class)) {
                    Some(count) => *count += 1,
                    None => self.new += 1,
                },
            }
        }
        self.counts = counts;
    }

    #[inline]
    fn number(&mut self, layout: &NumericLayout, bins: &mut [u64], value: f64) {
        let (first, last) = (layout.edges[0], layout.edges[layout.edges.len() - 1]);
        if value >= first && value <= last {
            // Adding zero turns a negative zero into the positive one.
            let bin = layout.grid.bin(&layout.edges, value + 0.0);
            bins[bin] += 1;
            if bin == 0 {
                self.first_distance.plus(&Distance::of((value - first) / layout.unit));
            }
            if bin == bins.len() - 1 {
                let distance = value - layout.edges[bin];
                self.last_distance.plus(&Distance::of(distance / layout.unit));
            }
        } else if value < first {
            self.below += 1;
            let distance = self.beyond(first - value, layout.unit);
            self.below_distance.plus(&distance);
        } else if value > last {
            self.above += 1;
            let distance = self.beyond(value - last, layout.unit);
            self.above_distance.plus(&distance);
        } else {
            self.non_finite += 1;
        }
    }

    #[cold]
    fn beyond(&mut self, distance: f64, unit: f64) -> Distance {
        let units = distance / unit;
        self.clipped += u64::from(units > DISTANCE_MAX);
        Distance::of(units.min(DISTANCE_MAX))
    }

    #[cold]
    fn absent(&mut self, state: CellState) {
        match state {
            CellState::Missing => self.missing += 1,
            CellState::Null => self.null += 1,
            CellState::NonFinite => self.non_finite += 1,
            CellState::New => self.new += 1,
            CellState::Invalid | CellState::Present => self.invalid += 1,
        }
    }

    /// Adds what another stretch of time counted under the same layout.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.below += other.below;
        self.above += other.above;
        self.below_distance.plus(&other.below_distance);
        self.above_distance.plus(&other.above_distance);
        self.first_distance.plus(&other.first_distance);
        self.last_distance.plus(&other.last_distance);
        self.clipped += other.clipped;
        self.new += other.new;
        self.missing += other.missing;
        self.null += other.null;
        self.invalid += other.invalid;
        self.non_finite += other.non_finite;
    }

    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// All rows that were folded, with a value or without.
    pub fn total(&self) -> u64 {
        self.values() + self.missing + self.null + self.invalid + self.non_finite
    }

    /// Rows with a value of the feature's type, in the reference's range or not.
    pub fn values(&self) -> u64 {
        self.counts.as_slice().iter().sum::<u64>() + self.below + self.above + self.new
    }
}

/// Adds sketches feature by feature; an empty list is all zeros.
pub fn merge_features(into: &mut Vec<FeatureSketch>, from: &[FeatureSketch]) {
    if into.len() < from.len() {
        into.resize_with(from.len(), FeatureSketch::default);
    }
    for (into, from) in into.iter_mut().zip(from) {
        into.merge(from);
    }
}
