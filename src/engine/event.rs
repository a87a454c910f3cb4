//! What arrives: rows of predictions and of labels in typed columns, and how a row can end.
//!
//! A decoder fills these columns straight from the bytes of a record; the engine never sees a
//! payload. All columns of a batch have the same length, one element a row, in log order.

use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Position of a model in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelIndex(pub u16);

/// Where a row stands in its topic. Rows of one record share the offset and differ in `row`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub partition: i32,
    pub offset: i64,
    pub row: u32,
}

/// What a cell of a feature column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CellState {
    /// A value of the feature's type; for a category, one that the dictionary knows.
    Present,
    /// The field is not in the record.
    Missing,
    /// The field is there and null.
    Null,
    /// A number, but NaN, infinite or beyond what a double holds.
    NonFinite,
    /// A value of another type than the feature's.
    Invalid,
    /// A category that the dictionary does not know.
    New,
}

/// Numbers; `values[i]` means something only where `states[i]` is `Present`.
#[derive(Clone, Debug, Default)]
pub struct NumericColumn {
    pub values: Vec<f64>,
    pub states: Vec<CellState>,
}

/// Categories as positions in the feature's dictionary; meaningful where `Present`.
#[derive(Clone, Debug, Default)]
pub struct CategoricalColumn {
    pub codes: Vec<u32>,
    pub states: Vec<CellState>,
}

#[derive(Clone, Debug)]
pub enum FeatureColumn {
    Numeric(NumericColumn),
    Categorical(CategoricalColumn),
}

impl FeatureColumn {
    pub fn clear(&mut self) {
        match self {
            Self::Numeric(column) => {
                column.values.clear();
                column.states.clear();
            }
            Self::Categorical(column) => {
                column.codes.clear();
                column.states.clear();
            }
        }
    }

    pub fn states(&self) -> &[CellState] {
        match self {
            Self::Numeric(column) => &column.states,
            Self::Categorical(column) => &column.states,
        }
    }
}

/// A column of short texts in one buffer.
#[derive(Clone, Debug, Default)]
pub struct TextColumn {
    bytes: String,
    ends: Vec<u32>,
}

impl TextColumn {
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends
            .push(u32::try_from(self.bytes.len()).expect("a batch holds less than 4 GiB of text"));
    }

    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.bytes[start..self.ends[row] as usize]
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Drops the rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().map_or(0, |&end| end as usize));
    }

    pub fn clear(&mut self) {
        self.truncate(0);
    }
}

/// A class as its position in the model's list of classes.
pub type ClassCode = u16;
/// A class that is not in the model's list (allowed only where the plan says so).
pub const CLASS_OTHER: ClassCode = u16::MAX - 1;
/// No class was given.
pub const CLASS_NONE: ClassCode = u16::MAX;

/// Predictions of one model from one partition, in log order.
#[derive(Clone, Debug)]
pub struct PredictionBatch {
    pub model: ModelIndex,
    pub partition: i32,
    pub offsets: Vec<i64>,
    /// Position within a record that carries several rows; 0 otherwise.
    pub rows: Vec<u32>,
    /// Kafka's timestamp of the record.
    pub record_times: Vec<Timestamp>,
    pub event_times: Vec<Timestamp>,
    /// xxh3-128 of the canonical id.
    pub ids: Vec<u128>,
    pub versions: TextColumn,
    /// Binary: probability of the positive class, NaN if not given. Regression: the predicted
    /// value. Multiclass: not used.
    pub scores: Vec<f64>,
    /// Binary: 1 positive, 0 negative, or `CLASS_NONE` (then the threshold decides). Multiclass:
    /// the predicted class, or `CLASS_NONE` (then the most probable). Regression: not used.
    pub classes: Vec<ClassCode>,
    /// Multiclass only: row-major, one probability a class, NaN where not given.
    pub probabilities: Vec<f64>,
    /// Sampling weight, 1 unless configured.
    pub weights: Vec<f64>,
    /// One column a feature, in the model's order.
    pub features: Vec<FeatureColumn>,
}

impl PredictionBatch {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Labels of one topic from one partition, in log order. Which models they concern is the plan's
/// business; `values` has one column for each way in which those models read the label.
#[derive(Clone, Debug, Default)]
pub struct LabelBatch {
    pub partition: i32,
    pub offsets: Vec<i64>,
    pub rows: Vec<u32>,
    pub record_times: Vec<Timestamp>,
    pub event_times: Vec<Timestamp>,
    pub ids: Vec<u128>,
    pub values: Vec<LabelColumn>,
}

/// A label as one model reads it. A row whose label cannot be read for a model has `None` there.
#[derive(Clone, Debug)]
pub struct LabelColumn {
    pub values: Vec<Option<LabelValue>>,
}

/// Ground truth of one row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum LabelValue {
    /// Binary: 1 positive, 0 negative. Multiclass: the class.
    Class(ClassCode),
    /// Regression.
    Number(f64),
}

impl LabelBatch {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Why a row could not become a prediction or a label. Each is a dead letter's reason and a
/// counter's `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum RefusalReason {
    /// Not well-formed JSON, or not UTF-8.
    Malformed,
    /// Nested deeper than the decoder's maximum.
    TooDeep,
    /// Longer than the decoder's maximum, or more rows than allowed in one record.
    TooLarge,
    /// A field that must be there is not.
    MissingField,
    /// A field is there but null, or of another type than its use needs.
    WrongType,
    /// A time that cannot be read in its unit, or outside years 1 to 9999.
    InvalidTime,
    /// A score outside [0, 1], a weight that is not a positive number, a number that is not finite.
    OutOfRange,
    /// A class that the model's list does not have.
    UnknownClass,
}

impl RefusalReason {
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::TooDeep,
        Self::TooLarge,
        Self::MissingField,
        Self::WrongType,
        Self::InvalidTime,
        Self::OutOfRange,
        Self::UnknownClass,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::InvalidTime => "invalid_time",
            Self::OutOfRange => "out_of_range",
            Self::UnknownClass => "unknown_class",
        }
    }
}
