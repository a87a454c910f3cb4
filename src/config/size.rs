//! How large state can become: the formula behind `memory_max`, with its constants in one place.
//!
//! For each model,
//!
//! ```text
//! pending = pending_max * (ENTRY + OUTPUT + code bits / 8) * TABLE / 100
//! panes   = sum over levels: panes of the level * (PANE + (1 + slice cells) * cells)
//! drift   = panes until the largest window has closed * sum over features of their bins
//! ```
//!
//! A level is the stretch of ages in which the same windows still need panes: the younger windows
//! need short ones, and where the `keep` of a window ends its panes are merged into longer ones.
//! The worst case means that every bin of every slice is hit in every pane, by predictions of one
//! version (others share the same traffic), and that a score bin has one decision.

use super::bounds::bounds;
use super::plan::Plan;
use crate::engine::reference::Distribution;
use crate::engine::spec::{
    FeatureKind, ModelSpec, SliceFeature, SliceSpec, SliceValues, Task, WindowSpec,
};
use crate::engine::time::Span;

/// Fixed part of a pending prediction: hash, times, weight, flags.
pub const ENTRY_BYTES: u64 = 48;
/// The task's output of a pending prediction.
pub const OUTPUT_BYTES: u64 = 8;
/// What hash tables take for 100 bytes of entries: between two growths they are 7/16 to 7/8 full.
pub const TABLE_PERCENT: u64 = 160;
/// A pane apart from its cells: times, version, maps.
pub const PANE_BYTES: u64 = 256;
/// A count in a sparse map of cells.
pub const COUNT_BYTES: u64 = 8;
/// A weighted count: rows, sum of weights, sum of their squares.
pub const WEIGHT_BYTES: u64 = 40;
/// Fixed sums of one slice cell: losses, moments, calibration.
pub const SUMS_BYTES: u64 = 1_024;
/// Score bins of the whole model and of a slice.
pub const SCORE_BINS: u64 = 2_048;
pub const SLICE_SCORE_BINS: u64 = 256;
/// Bins of absolute errors of the whole model and of a slice (regression).
pub const ERROR_BINS: u64 = 1_024;
pub const SLICE_ERROR_BINS: u64 = 256;

/// The worst case of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSize {
    /// Panes of all levels.
    pub panes: u64,
    /// Cells of all slices, without the whole model.
    pub slice_cells: u64,
    pub pane_bytes: u64,
    pub drift_bytes: u64,
    pub pending_entry_bytes: u64,
    pub pending_bytes: u64,
}

impl ModelSize {
    pub fn total_bytes(&self) -> u64 {
        self.pane_bytes.saturating_add(self.drift_bytes).saturating_add(self.pending_bytes)
    }
}

/// The greatest stretch that divides every window's size and slide; `None` without windows.
pub fn pane_size(windows: &[WindowSpec]) -> Option<Span> {
    let divisor = windows.iter().flat_map(|w| [w.size.0, w.every.0]).fold(0, gcd);
    (divisor > 0).then_some(Span(divisor))
}

fn gcd(mut left: i64, mut right: i64) -> i64 {
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

/// Values with a slice of their own.
pub fn value_count(feature: &SliceFeature) -> u64 {
    match &feature.values {
        SliceValues::Categories(values) => values.len() as u64,
        SliceValues::Edges(edges) => edges.len() as u64 + 1,
    }
}

/// Cells of a slice: the product of its features' values, each with `OTHER` and missing.
pub fn slice_cells(slice: &SliceSpec) -> u64 {
    slice.features.iter().fold(1_u64, |cells, f| cells.saturating_mul(value_count(f) + 2))
}

/// Bits of a pending prediction for the codes of the features that slices use; a feature that two
/// slices cut alike is kept once.
pub fn code_bits(slices: &[SliceSpec]) -> u32 {
    let mut seen: Vec<&SliceFeature> = Vec::new();
    for feature in slices.iter().flat_map(|slice| &slice.features) {
        if !seen.iter().any(|other| same_codes(other, feature)) {
            seen.push(feature);
        }
    }
    seen.into_iter().map(|feature| u64::BITS - (value_count(feature) + 1).leading_zeros()).sum()
}

fn same_codes(left: &SliceFeature, right: &SliceFeature) -> bool {
    left.feature == right.feature
        && match (&left.values, &right.values) {
            (SliceValues::Categories(left), SliceValues::Categories(right)) => left == right,
            (SliceValues::Edges(left), SliceValues::Edges(right)) => left == right,
            _ => false,
        }
}

/// Panes of each level, youngest first.
fn levels(model: &ModelSpec) -> Vec<u64> {
    let mut windows: Vec<WindowSpec> = model.windows.clone();
    windows.sort_by_key(|window| window.keep + window.size);
    let mut from = Span::ZERO;
    let mut levels = Vec::new();
    for (position, window) in windows.iter().enumerate() {
        let until = window.keep + window.size;
        let Some(pane) = pane_size(&windows[position..]) else { continue };
        let stretch = (until - from).0.max(0);
        levels.push(u64::try_from(stretch / pane.0 + 1).unwrap_or(0));
        from = until;
    }
    levels
}

/// Bytes of the cells of the whole model, or of one cell of a slice.
fn cell_bytes(model: &ModelSpec, whole: bool) -> u64 {
    let count = if model.weighted { WEIGHT_BYTES } else { COUNT_BYTES };
    let counts = match &model.task {
        // For each bin: predictions, and labels of both classes.
        Task::Binary { .. } => 3 * if whole { SCORE_BINS } else { SLICE_SCORE_BINS },
        Task::Multiclass { classes, .. } => {
            let classes = classes.len() as u64 + 1;
            classes * classes + classes
        }
        Task::Regression { .. } => {
            if whole {
                ERROR_BINS
            } else {
                SLICE_ERROR_BINS
            }
        }
    };
    SUMS_BYTES + counts * count
}

/// Bytes of the feature sketches of one pane.
fn sketch_bytes(model: &ModelSpec) -> u64 {
    let Some(profile) = model.reference.as_ref().or(model.version_references.values().next())
    else {
        return 0;
    };
    let bins = |name: &str, kind: &FeatureKind| {
        let feature = profile.features.iter().find(|feature| feature.name == name);
        match (feature.map(|feature| &feature.distribution), kind) {
            (Some(Distribution::Numeric(numeric)), _) => numeric.counts.len() as u64,
            (Some(Distribution::Categorical(_)), FeatureKind::Categorical { dictionary }) => {
                dictionary.len() as u64
            }
            _ => 0,
        }
    };
    const ENDS_AND_SHARES: u64 = 12;
    let features = model.features.iter().map(|f| bins(&f.name, &f.kind) + ENDS_AND_SHARES);
    let score = profile.score.as_ref().map_or(0, |score| score.counts.len() as u64);
    (features.sum::<u64>() + score) * COUNT_BYTES
}

/// The worst case of a model.
pub fn model_size(model: &ModelSpec) -> ModelSize {
    let slice_cells =
        model.slices.iter().fold(0_u64, |sum, slice| sum.saturating_add(self::slice_cells(slice)));
    let panes: u64 = levels(model).iter().sum();
    let one = PANE_BYTES
        .saturating_add(cell_bytes(model, true))
        .saturating_add(slice_cells.saturating_mul(cell_bytes(model, false)));
    let largest = model.windows.iter().map(|window| window.size).max().unwrap_or(Span::ZERO);
    let open = largest + model.time.allowed_lateness + model.time.out_of_orderness;
    let open_panes = pane_size(&model.windows).map_or(0, |pane| open.0 / pane.0 + 1);
    let entry = ENTRY_BYTES + OUTPUT_BYTES + u64::from(code_bits(&model.slices).div_ceil(8));
    let entry = entry * TABLE_PERCENT / 100;
    ModelSize {
        panes,
        slice_cells,
        pane_bytes: panes.saturating_mul(one),
        drift_bytes: u64::try_from(open_panes).unwrap_or(0).saturating_mul(sketch_bytes(model)),
        pending_entry_bytes: entry,
        pending_bytes: model.join.pending_max.saturating_mul(entry),
    }
}

/// What is wrong with the size of a plan: path and message.
pub fn refuse(plan: &Plan) -> Option<(String, String)> {
    let sizes: Vec<ModelSize> = plan.models.iter().map(|model| model_size(model)).collect();
    let total = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(size.total_bytes()));
    if total <= plan.state.memory_max_bytes {
        return None;
    }
    let (model, size) =
        plan.models.iter().zip(&sizes).max_by_key(|(_, size)| size.total_bytes())?;
    let greatest = bounds("state.memory_max").map_or("", |(_, greatest)| greatest);
    let message = format!(
        "the worst case needs {}, more than memory_max, {}. The most is for the model `{}`: {} for {} \
         panes with {} slice cells each, {} for pending predictions. Raise memory_max (at most \
         {greatest}), let small windows go early (`keep`), cut slices or `labels.pending_max`",
        show_bytes(total),
        show_bytes(plan.state.memory_max_bytes),
        model.name,
        show_bytes(size.pane_bytes),
        size.panes,
        size.slice_cells,
        show_bytes(size.pending_bytes),
    );
    Some(("state.memory_max".to_owned(), message))
}

/// `1.5 GiB`
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}
