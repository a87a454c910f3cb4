//! How large state can become: the formula behind `memory_max`, with its constants in one place.
//!
//! For each model,
//!
//! ```text
//! entry   = (ENTRY + 1) * TABLE / 100 + QUEUE + LABEL, and for multiclass the kept probabilities
//! pending = pending_max * entry
//! cells   = SLICE + scores at arrival + stages * (SUMS + counts by label)
//! panes   = sum over levels: panes * (PANE + cells and expectations of the whole
//!           + slice cells * cells)
//! drift   = panes until the largest window has closed * sum over features of their bins
//! history = sizes of windows * history_windows * versions_max * row, as `engine::history` has it,
//!           and the packed distributions of the newest
//! ```
//!
//! A level is the stretch of ages in which the same windows still need panes: the younger windows
//! need short ones, and where the `keep` of a window ends its panes are merged into longer ones.
//! There is a stage for each moment at which policies judge, and one for later labels.
//!
//! The worst case means that every bin of every slice is hit in every pane and stage, by
//! predictions of one version (others share the traffic), and that a score bin has one decision.

use super::bounds::bounds;
use super::plan::Plan;
use crate::engine::history;
use crate::engine::join::Pending;
use crate::engine::labels::Labels;
use crate::engine::metric::Metric;
use crate::engine::nowcasts;
use crate::engine::outputs::TOP_CLASSES_MAX;
use crate::engine::reference::Distribution;
use crate::engine::score::Resolution;
use crate::engine::spec::{
    FeatureKind, ModelSpec, SliceFeature, SliceSpec, SliceValues, Task, WindowSpec,
};
use crate::engine::time::Span;
use crate::engine::window::{Windows, levels};

/// A pending prediction: hash, time, output, weight, codes of slices.
pub const ENTRY_BYTES: u64 = size_of::<Pending>() as u64;
/// What hash tables take for 100 bytes of entries: between two growths they are 7/16 to 7/8 full.
pub const TABLE_PERCENT: u64 = 160;
/// Its place in the queue that lets it go.
pub const QUEUE_BYTES: u64 = 8;
/// Its label, once it has come, and another place in a queue. (More labels are on the heap.)
pub const LABEL_BYTES: u64 = size_of::<Labels>() as u64 + QUEUE_BYTES;
/// A kept probability of a multiclass prediction, and what all of them take besides.
pub const PROBABILITY_BYTES: u64 = 16;
pub const PROBABILITIES_BYTES: u64 = 40;
/// A pane apart from its cells: times, version, offsets.
pub const PANE_BYTES: u64 = 256;
/// A slice in a pane apart from its cells.
pub const SLICE_BYTES: u64 = 128;
/// A count in a sparse map of cells.
pub const COUNT_BYTES: u64 = 8;
/// A weighted count: rows, sum of weights, sum of their squares.
pub const WEIGHT_BYTES: u64 = 40;
/// Fixed sums of a stage: losses, moments, calibration.
pub const SUMS_BYTES: u64 = 1_024;
/// A score bin's expectations: rows and the sum of their probabilities.
pub const EXPECTED_BIN_BYTES: u64 = 16;
pub const WEIGHTED_EXPECTED_BIN_BYTES: u64 = 64;
/// Sums of expectations by decision and tenth of the probability, delays by class.
pub const EXPECTED_BYTES: u64 = 4_096;
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
    /// Windows for charts.
    pub history_bytes: u64,
    pub pending_entry_bytes: u64,
    pub pending_bytes: u64,
}

impl ModelSize {
    pub fn total_bytes(&self) -> u64 {
        [self.drift_bytes, self.history_bytes, self.pending_bytes]
            .into_iter()
            .fold(self.pane_bytes, u64::saturating_add)
    }
}

/// The greatest stretch that divides every window's size and slide; `None` without windows.
pub fn pane_size(windows: &[WindowSpec]) -> Option<Span> {
    levels(windows).first().map(|level| level.width).filter(|&width| width > Span::ZERO)
}

/// Cells of a slice: the product of its features' values, each with `OTHER` and missing.
pub fn slice_cells(slice: &SliceSpec) -> u64 {
    slice.features.iter().fold(1_u64, |cells, f| cells.saturating_mul(f.code_count().into()))
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
    seen.into_iter().map(SliceFeature::code_bits).sum()
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
fn pane_counts(windows: &[WindowSpec]) -> Vec<u64> {
    let levels = levels(windows);
    let mut from = Span::ZERO;
    let mut counts = Vec::new();
    for (position, level) in levels.iter().enumerate() {
        let next = levels.get(position + 1).map_or(&[][..], |next| &next.windows);
        let done = level.windows.iter().filter(|window| !next.contains(window));
        let until = done.map(|&window| windows[window].size + windows[window].keep).max();
        let until = until.unwrap_or(from).max(from);
        counts.push(u64::try_from((until - from).0 / level.width.0 + 1).unwrap_or(0));
        from = until;
    }
    counts
}

/// Bytes of the cells of the whole model, or of one cell of a slice.
fn cell_bytes(model: &ModelSpec, resolution: Resolution) -> u64 {
    let count = if model.weighted { WEIGHT_BYTES } else { COUNT_BYTES };
    let (arrived, labelled) = match &model.task {
        Task::Binary { .. } => (resolution.bins() as u64, 2 * resolution.bins() as u64),
        Task::Multiclass { classes, .. } => {
            let classes = classes.len() as u64 + 1;
            (0, classes * classes + classes)
        }
        Task::Regression { .. } => match resolution {
            Resolution::Fine => (0, ERROR_BINS),
            Resolution::Coarse => (0, SLICE_ERROR_BINS),
        },
    };
    let stages = Windows::new(model).judgements.len() as u64 + 1;
    SLICE_BYTES + arrived * count + stages * (SUMS_BYTES + labelled * count)
}

/// Bytes of what a pane expects of its predictions, where a profile says how scores come true.
fn expected_bytes(model: &ModelSpec) -> u64 {
    let mut profiles = model.reference.iter().chain(model.version_references.values());
    if !profiles.any(|profile| profile.calibration.is_some() || !profile.losses.is_empty()) {
        return 0;
    }
    match &model.task {
        Task::Binary { .. } => {
            let bin = if model.weighted { WEIGHTED_EXPECTED_BIN_BYTES } else { EXPECTED_BIN_BYTES };
            EXPECTED_BYTES + Resolution::Fine.bins() as u64 * bin
        }
        Task::Multiclass { classes, .. } => {
            let classes = classes.len() as u64 + 1;
            EXPECTED_BYTES + 2 * classes * classes * WEIGHT_BYTES
        }
        Task::Regression { .. } => EXPECTED_BYTES,
    }
}

/// Bytes of a pending prediction.
fn entry_bytes(model: &ModelSpec) -> u64 {
    let probabilities = match &model.task {
        Task::Multiclass { classes, .. } => {
            let kept = classes.len().min(TOP_CLASSES_MAX) as u64;
            PROBABILITIES_BYTES + kept * PROBABILITY_BYTES
        }
        Task::Binary { .. } | Task::Regression { .. } => 0,
    };
    (ENTRY_BYTES + 1) * TABLE_PERCENT / 100 + QUEUE_BYTES + LABEL_BYTES + probabilities
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

/// Bytes of the windows that charts show, if all versions are in all of them.
fn history_bytes(model: &ModelSpec) -> u64 {
    let cells = model.slices.iter().map(slice_cells).fold(0, u64::saturating_add);
    let features = if model.reference.is_some() || !model.version_references.is_empty() {
        model.features.len() as u64 + 2
    } else {
        0
    };
    let row = history::ROW_BYTES
        + Metric::of_task(&model.task).len() as u64 * history::METRIC_BYTES
        + features * history::FEATURE_BYTES
        + if expected_bytes(model) > 0 { nowcasts::ROW_BYTES } else { 0 }
        + cells.min(history::SLICES_MAX as u64) * history::SLICE_BYTES;
    let windows = u64::from(model.show.history_windows.max(1));
    let one = windows.saturating_mul(row).saturating_add(sketch_bytes(model));
    one.saturating_mul(model.windows.len() as u64).saturating_mul(model.versions_max as u64)
}

/// The worst case of a model.
pub fn model_size(model: &ModelSpec) -> ModelSize {
    let slice_cells =
        model.slices.iter().fold(0_u64, |sum, slice| sum.saturating_add(self::slice_cells(slice)));
    let panes: u64 = pane_counts(&model.windows).iter().sum();
    let one = PANE_BYTES
        .saturating_add(cell_bytes(model, Resolution::Fine))
        .saturating_add(expected_bytes(model))
        .saturating_add(slice_cells.saturating_mul(cell_bytes(model, Resolution::Coarse)));
    let largest = model.windows.iter().map(|window| window.size).max().unwrap_or(Span::ZERO);
    let open = largest + model.time.allowed_lateness + model.time.out_of_orderness;
    let open_panes = pane_size(&model.windows).map_or(0, |pane| open.0 / pane.0 + 1);
    let entry = entry_bytes(model);
    ModelSize {
        panes,
        slice_cells,
        pane_bytes: panes.saturating_mul(one),
        drift_bytes: u64::try_from(open_panes).unwrap_or(0).saturating_mul(sketch_bytes(model)),
        history_bytes: history_bytes(model),
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
        "the worst case needs {}, more than memory_max, {}. The most is for the model `{}`: {} for \
         {} panes with {} slice cells each, {} for held predictions. Raise memory_max (at most \
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
