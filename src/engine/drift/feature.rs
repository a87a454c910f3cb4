//! All drift numbers of one feature over one window.

use super::{Comparison, Statistic};
use crate::engine::estimate::Estimate;
use crate::engine::reference::FeatureReference;
use crate::engine::sketch::feature::{FeatureLayout, FeatureSketch, LayoutBins};
use serde::{Deserialize, Serialize};

/// How one feature of a window differs from the reference. Shares are `None` without rows to divide
/// by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    pub feature: String,
    /// In the order of `Statistic::ALL`, those that are defined.
    pub statistics: Vec<(Statistic, Estimate)>,
    /// Of all rows: without the field, or with null.
    pub missing_share: f64,
    /// Of all rows: of another type, or not finite.
    pub invalid_share: f64,
    /// Of the rows with a number: outside the reference's range. `None` for categories.
    pub out_of_range_share: Option<f64>,
    /// Of the rows with a category: not listed in the reference. `None` for numbers.
    pub new_share: Option<f64>,
    /// The same shares of the reference itself (it has nothing out of range).
    pub reference_missing_share: Option<f64>,
    pub reference_invalid_share: Option<f64>,
    /// What the reference holds beyond its listed categories.
    pub reference_new_share: Option<f64>,
    /// All rows of the window.
    pub current_rows: u64,
}

impl FeatureDrift {
    pub fn statistic(&self, statistic: Statistic) -> Option<Estimate> {
        self.statistics.iter().find(|(which, _)| *which == statistic).map(|(_, value)| *value)
    }

    /// By what features are ranked, the greatest first: the value of `Statistic::RANKING`.
    pub fn ranking(&self) -> Option<f64> {
        self.statistic(Statistic::RANKING).map(|estimate| estimate.value)
    }
}

/// All statistics and shares of one feature; `None` for a window without rows.
///
/// `layout` must have been made from `reference`, and `current` been counted by `layout`.
pub fn feature_drift(
    reference: &FeatureReference,
    layout: &FeatureLayout,
    current: &FeatureSketch,
) -> Option<FeatureDrift> {
    let rows = current.total();
    let values = current.values();
    let comparison = Comparison::new(layout, current);
    let with_value = |statistic| {
        let estimate = comparison.as_ref()?.statistic(statistic)?;
        Some((statistic, estimate))
    };
    let (out_of_range, new, reference_new) = match &layout.bins {
        LayoutBins::Numeric(_) => (share(current.below + current.above, values), None, None),
        LayoutBins::Categorical(categorical) => {
            let unlisted = categorical.reference.len() - 1;
            let codes = categorical.bin_of_code.iter().zip(current.counts.as_slice());
            let new: u64 =
                codes.filter(|(bin, _)| **bin as usize == unlisted).map(|(_, count)| count).sum();
            let reference_new = share(categorical.reference[unlisted], layout.reference_rows());
            (None, share(new + current.new, values), reference_new)
        }
    };
    Some(FeatureDrift {
        feature: reference.name.clone(),
        statistics: Statistic::ALL.into_iter().filter_map(with_value).collect(),
        missing_share: share(current.missing + current.null, rows)?,
        invalid_share: share(current.invalid + current.non_finite, rows)?,
        out_of_range_share: out_of_range,
        new_share: new,
        reference_missing_share: share(reference.missing + reference.null, reference.rows()),
        reference_invalid_share: share(reference.invalid + reference.non_finite, reference.rows()),
        reference_new_share: reference_new,
        current_rows: rows,
    })
}

fn share(count: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| count as f64 / of as f64)
}
