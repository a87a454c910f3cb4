//! Slices: subsets of the predictions by the values of one feature or a cross of several.
//!
//! A prediction carries bit-packed codes of the features that slices use, so that a label that
//! comes much later still finds its slices without the record.

use super::event::{CellState, FeatureColumn, PredictionBatch};
use super::spec::{ModelSpec, SliceFeature, SliceValues};
use serde::{Deserialize, Serialize};

/// The whole model, or one slice of it: position of the definition and code of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SliceKey(u32);

impl SliceKey {
    /// All predictions of the model version.
    pub const WHOLE: Self = Self(0);
    const VALUE_BITS: u32 = 24;

    fn new(definition: usize, value: u32) -> Self {
        Self(((definition as u32 + 1) << Self::VALUE_BITS) | value)
    }

    pub fn is_whole(self) -> bool {
        self == Self::WHOLE
    }

    /// Position of the slice definition in the model; `None` for the whole model.
    pub fn definition(self) -> Option<usize> {
        (self.0 >> Self::VALUE_BITS).checked_sub(1).map(|definition| definition as usize)
    }

    /// Slices in the order of the configuration and of their values; 0 for the whole model.
    pub fn rank(self) -> u32 {
        self.0
    }

    fn value(self) -> u32 {
        self.0 & ((1 << Self::VALUE_BITS) - 1)
    }
}

/// Bit-packed codes of the features that slices use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Codes(pub u128);

/// Where one feature's code sits.
#[derive(Clone, Debug)]
struct Field {
    feature: SliceFeature,
    /// Sorted (dictionary code, slice code), for categories.
    lookup: Vec<(u32, u32)>,
    shift: u32,
    bits: u32,
}

/// How a model's predictions are sliced, derived once from its specification.
#[derive(Clone, Debug)]
pub struct Slicer {
    fields: Vec<Field>,
    /// For each definition, its fields.
    definitions: Vec<Vec<usize>>,
}

/// Shown for a value without a slice of its own, and for a row without the feature.
pub const OTHER: &str = "OTHER";
pub const MISSING: &str = "MISSING";

impl SliceFeature {
    /// Values with a slice of their own.
    pub fn value_count(&self) -> u32 {
        match &self.values {
            SliceValues::Categories(values) => values.len() as u32,
            SliceValues::Edges(edges) => edges.len() as u32 + 1,
        }
    }

    /// Codes in use: the values, `OTHER`, `MISSING`.
    pub fn code_count(&self) -> u32 {
        self.value_count() + 2
    }

    /// Bits that a code takes.
    pub fn code_bits(&self) -> u32 {
        32 - (self.code_count() - 1).leading_zeros()
    }

    fn code_name(&self, code: u32) -> String {
        let count = self.value_count();
        if code == count {
            return OTHER.to_owned();
        }
        if code > count {
            return MISSING.to_owned();
        }
        let code = code as usize;
        match &self.values {
            SliceValues::Categories(values) => values[code].1.to_string(),
            SliceValues::Edges(edges) => match (code.checked_sub(1), edges.get(code)) {
                (None, Some(upper)) => format!("<{upper}"),
                (Some(below), None) => format!(">={}", edges[below]),
                (Some(below), Some(upper)) => format!("[{},{upper})", edges[below]),
                (None, None) => "all".to_owned(),
            },
        }
    }
}

impl Slicer {
    pub fn new(model: &ModelSpec) -> Self {
        let mut fields: Vec<Field> = Vec::new();
        let mut shift = 0;
        let mut definitions = Vec::new();
        for slice in &model.slices {
            let mut members = Vec::new();
            for feature in &slice.features {
                let known = fields.iter().position(|field| {
                    field.feature.feature == feature.feature
                        && same_values(&field.feature.values, &feature.values)
                });
                members.push(known.unwrap_or_else(|| {
                    let bits = feature.code_bits();
                    fields.push(Field {
                        lookup: lookup(&feature.values),
                        feature: feature.clone(),
                        shift,
                        bits,
                    });
                    shift += bits;
                    fields.len() - 1
                }));
            }
            definitions.push(members);
        }
        assert!(shift <= 128, "the plan bounds the codes of a prediction to 128 bits");
        Self { fields, definitions }
    }

    /// Bits of a prediction's codes.
    pub fn code_bits(&self) -> u32 {
        self.fields.iter().map(|field| field.bits).sum()
    }

    /// The codes of one row.
    pub fn codes(&self, batch: &PredictionBatch, row: usize) -> Codes {
        let mut packed = 0u128;
        for field in &self.fields {
            let code = field.code(&batch.features[field.feature.feature], row);
            packed |= u128::from(code) << field.shift;
        }
        Codes(packed)
    }

    /// The slices that a prediction with these codes belongs to, without the whole model.
    pub fn keys(&self, codes: Codes) -> impl Iterator<Item = SliceKey> + Clone + '_ {
        self.definitions.iter().enumerate().map(move |(definition, members)| {
            let mut value = 0;
            for &member in members {
                let field = &self.fields[member];
                let code = (codes.0 >> field.shift) as u32 & ((1 << field.bits) - 1);
                value = value * field.feature.code_count() + code;
            }
            SliceKey::new(definition, value)
        })
    }

    /// Feature and value of each condition of a slice, e.g. `[("sex", "Male"), ("race", "OTHER")]`;
    /// empty for the whole model.
    pub fn describe(&self, key: SliceKey) -> Vec<(String, String)> {
        let Some(members) = key.definition().and_then(|at| self.definitions.get(at)) else {
            return Vec::new();
        };
        let mut value = key.value();
        let mut conditions = Vec::new();
        for &member in members.iter().rev() {
            let feature = &self.fields[member].feature;
            let code = value % feature.code_count();
            value /= feature.code_count();
            conditions.push((feature.name.to_string(), feature.code_name(code)));
        }
        conditions.reverse();
        conditions
    }
}

impl Field {
    fn code(&self, column: &FeatureColumn, row: usize) -> u32 {
        let count = self.feature.value_count();
        let (other, missing) = (count, count + 1);
        match (column.states()[row], column, &self.feature.values) {
            (CellState::Missing | CellState::Null, ..) => missing,
            (CellState::Present, FeatureColumn::Numeric(column), SliceValues::Edges(edges)) => {
                edges.partition_point(|&edge| edge <= column.values[row]) as u32
            }
            (
                CellState::Present,
                FeatureColumn::Categorical(column),
                SliceValues::Categories(_),
            ) => match self.lookup.binary_search_by_key(&column.codes[row], |&(code, _)| code) {
                Ok(at) => self.lookup[at].1,
                Err(_) => other,
            },
            _ => other,
        }
    }
}

fn lookup(values: &SliceValues) -> Vec<(u32, u32)> {
    let mut lookup: Vec<(u32, u32)> = match values {
        SliceValues::Categories(values) => values.iter().map(|(code, _)| *code).zip(0..).collect(),
        SliceValues::Edges(_) => Vec::new(),
    };
    lookup.sort_unstable();
    lookup
}

fn same_values(one: &SliceValues, other: &SliceValues) -> bool {
    match (one, other) {
        (SliceValues::Categories(one), SliceValues::Categories(other)) => one == other,
        (SliceValues::Edges(one), SliceValues::Edges(other)) => one == other,
        _ => false,
    }
}
