//! What the engine must know of a validated configuration: the engine's half of a Plan.
//!
//! Everything here is resolved and checked: durations divide each other, names are unique, slices
//! refer to features that exist. `config` builds it; nothing in the engine parses or validates.

use super::alarm::watch::DriftTerms;
use super::drift::Statistic;
use super::event::{ClassCode, LabelValue};
use super::metric::Metric;
use super::reference::Profile;
use super::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One declared model.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    pub name: Arc<str>,
    pub task: Task,
    /// Predictions carry a sampling weight.
    pub weighted: bool,
    pub features: Vec<FeatureSpec>,
    pub slices: Vec<SliceSpec>,
    pub time: TimeSpec,
    pub join: JoinSpec,
    /// Smallest size first.
    pub windows: Vec<WindowSpec>,
    pub reference: Option<Arc<Profile>>,
    /// Profiles of single versions; others inherit `reference`.
    pub version_references: BTreeMap<String, Arc<Profile>>,
    pub show: ShowSpec,
    pub policies: Vec<PolicySpec>,
    /// Versions beyond this many count as `OTHER`.
    pub versions_max: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    Binary {
        /// Canonical text of the positive class.
        positive_class: String,
        /// Canonical text of the other class; `None`: any other value is negative.
        negative_class: Option<String>,
        /// A prediction without a class is positive iff its score is at least this.
        threshold: f64,
    },
    Multiclass {
        /// Canonical texts; position is the `ClassCode`. At most 64.
        classes: Vec<String>,
        /// The k of top-k accuracy, ascending; empty for none.
        top_k: Vec<u16>,
    },
    Regression {
        /// Labels and predictions are counted as (x - center) / scale, in fixed point.
        center: f64,
        /// A power of two near the labels' standard deviation.
        scale: f64,
    },
}

#[derive(Clone, Debug)]
pub struct FeatureSpec {
    pub name: Arc<str>,
    pub kind: FeatureKind,
}

#[derive(Clone, Debug)]
pub enum FeatureKind {
    Numeric,
    /// Canonical texts; a cell's code is the position here. The union over all profiles of the
    /// model.
    Categorical {
        dictionary: Arc<[String]>,
    },
}

/// A slice definition: one feature, or a cross of several.
#[derive(Clone, Debug)]
pub struct SliceSpec {
    pub features: Vec<SliceFeature>,
}

/// A feature that slices predictions, and the values that get a slice of their own. Codes: position
/// in the list of values, then one for `OTHER`, then one for missing.
#[derive(Clone, Debug)]
pub struct SliceFeature {
    /// Position in `ModelSpec::features`.
    pub feature: usize,
    pub name: Arc<str>,
    pub values: SliceValues,
}

#[derive(Clone, Debug)]
pub enum SliceValues {
    /// Dictionary code of each value that has a slice of its own, with its text.
    Categories(Vec<(u32, Arc<str>)>),
    /// Numeric: value i is `[edges[i-1], edges[i])`; the first is open below, the last above.
    Edges(Vec<f64>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpec {
    /// How far behind the newest event of its partition a record may normally be.
    pub out_of_orderness: Span,
    /// How far behind its partition's own watermark a prediction may be before it is late.
    pub allowed_lateness: Span,
    /// A partition whose end was confirmed this long ago holds nobody back.
    pub idle_after: Span,
    /// How far an event time may lie beyond its record's Kafka timestamp.
    pub future_tolerance: Span,
    /// Windows are aligned to this point (start of a local day; the epoch for UTC).
    pub origin: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JoinSpec {
    /// How long after its prediction a label still counts.
    pub horizon: Span,
    /// How much earlier than its prediction a label may be.
    pub lead: Span,
    /// How far a label's partition may have advanced beyond the horizon when the label is read.
    pub grace: Span,
    /// How long after its prediction a matched label can still be corrected; at most horizon +
    /// grace.
    pub corrections_for: Span,
    pub silent_after: Option<Span>,
    pub absent_after: Option<AbsentLabel>,
    /// Pending predictions and waiting labels beyond this many are shed.
    pub pending_max: u64,
    /// Rows with an earlier event time are counted as before start.
    pub start: Option<Timestamp>,
}

/// No label by then means this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AbsentLabel {
    pub delay: Span,
    pub value: LabelValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSpec {
    pub size: Span,
    /// Equal to `size` for a tumbling window; divides it otherwise.
    pub every: Span,
    /// How long after its end late labels still revise it; then its Final fires.
    pub keep: Span,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShowSpec {
    /// A gauge shows the newest window with at least this label coverage ...
    pub coverage_min: f64,
    /// ... and this many labelled predictions.
    pub support_min: u64,
    /// A changed window fires Late at most this often.
    pub revise_every: Span,
    /// How many of the newest closed windows of each size fire again when labels change them.
    pub history_windows: u32,
    /// Series of a version that has not predicted for this long disappear.
    pub version_gone_after: Span,
}

#[derive(Clone, Debug)]
pub struct PolicySpec {
    pub name: Arc<str>,
    pub condition: Condition,
    /// Size of the disjoint windows that are judged; one of the model's window sizes.
    pub window: Span,
    /// How many judged windows in a row must be bad.
    pub for_windows: u32,
    pub action: Action,
}

#[derive(Clone, Debug)]
pub enum Condition {
    Performance {
        metric: Metric,
        bound: Bound,
        /// Which end of the interval is compared; `Sure` by default.
        compare: Compare,
        /// How long after its end a window is judged.
        label_age: Span,
        min_labels: u64,
    },
    Drift {
        /// Positions in `ModelSpec::features`; empty for all.
        features: Vec<usize>,
        statistic: Statistic,
        above: f64,
        /// How many features must be above.
        features_min: usize,
        min_predictions: u64,
    },
    /// Worse than the baseline, at a rate of false alarms that the model's budget sets.
    PerformanceAlarm(PerformanceAlarm),
    /// Moved from the reference, at such a rate.
    DriftAlarm(DriftAlarm),
    /// Somebody else's alert of this name fires. No window is judged.
    Alert { alert: Arc<str> },
}

impl Condition {
    /// Its part of the model's budget of false alarms; `None`: the bound is the user's own.
    pub fn episodes_a_week(&self) -> Option<f64> {
        match self {
            Self::PerformanceAlarm(alarm) => Some(alarm.episodes_a_week),
            Self::DriftAlarm(alarm) => Some(alarm.episodes_a_week),
            Self::Performance { .. } | Self::Drift { .. } | Self::Alert { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct PerformanceAlarm {
    pub metric: Metric,
    /// How much worse than the baseline's 99% bound is no news, in the metric's own terms.
    pub margin: f64,
    /// How long after its end a window is judged.
    pub label_age: Span,
    /// Its part of the budget.
    pub episodes_a_week: f64,
    /// What that means: the level of a test asked of every window (AUC) ...
    pub alpha: f64,
    /// ... and the evidence that it takes (a loss), which is the panes between false alarms.
    pub run_length: f64,
}

#[derive(Clone, Debug)]
pub struct DriftAlarm {
    /// Positions in `ModelSpec::features`; empty for all, and the model's outputs with them.
    pub features: Vec<usize>,
    pub terms: DriftTerms,
    /// Its part of the budget.
    pub episodes_a_week: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Below(Level),
    Above(Level),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    Value(f64),
    /// The baseline in the version's profile minus this.
    BaselineMinus(f64),
    /// The baseline in the version's profile plus this.
    BaselinePlus(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The whole interval lies beyond the bound.
    Sure,
    /// The value itself does.
    Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Alert,
    Retrain {
        /// Name of a declared webhook.
        webhook: Arc<str>,
        /// Least distance between the window ends of two requests.
        cooldown: Span,
        /// A judgement that fell due longer ago than this asks for nothing.
        act_within: Span,
    },
}

impl Task {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Binary { .. } => "binary",
            Self::Multiclass { .. } => "multiclass",
            Self::Regression { .. } => "regression",
        }
    }

    /// How many classes have a code of their own.
    pub fn class_count(&self) -> usize {
        match self {
            Self::Binary { .. } => 2,
            Self::Multiclass { classes, .. } => classes.len(),
            Self::Regression { .. } => 0,
        }
    }

    /// The class's text, as given in the configuration or the profile.
    pub fn class_name(&self, code: ClassCode) -> &str {
        match self {
            Self::Binary { positive_class, .. } if code == 1 => positive_class,
            Self::Binary { negative_class, .. } => negative_class.as_deref().unwrap_or("other"),
            Self::Multiclass { classes, .. } => {
                classes.get(code as usize).map_or("OTHER", String::as_str)
            }
            Self::Regression { .. } => "",
        }
    }
}
