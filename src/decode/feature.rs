//! Cells of features. Whatever stands there, a feature never refuses its row.

use super::field::{Field, Row, canonical, number_of};
use super::read::Value;
use super::scan::Kind;
use super::selector::Selector;
use super::shape::{Place, Shape};
use crate::engine::event::{CategoricalColumn, CellState, FeatureColumn, NumericColumn};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

pub(super) struct FeatureReader {
    /// Where it stands in the payload, as most do.
    place: Option<Place>,
    field: Field,
    /// Categorical: canonical text -> code.
    dictionary: Option<HashMap<Box<str>, u32, FixedState>>,
}

impl FeatureReader {
    pub fn numeric(selector: &Selector, shape: &mut Shape) -> Self {
        let field = Field::new("feature", selector, shape);
        Self { place: field.place(), field, dictionary: None }
    }

    /// A category that the dictionary has twice gets the first of its positions.
    pub fn categorical(selector: &Selector, dictionary: &[String], shape: &mut Shape) -> Self {
        let mut codes = HashMap::with_capacity_and_hasher(dictionary.len(), FixedState::default());
        for (code, text) in dictionary.iter().enumerate() {
            codes.entry(text.as_str().into()).or_insert(code as u32);
        }
        let field = Field::new("feature", selector, shape);
        Self { place: field.place(), field, dictionary: Some(codes) }
    }

    pub fn column(&self) -> FeatureColumn {
        match self.dictionary {
            None => FeatureColumn::Numeric(NumericColumn::default()),
            Some(_) => FeatureColumn::Categorical(CategoricalColumn::default()),
        }
    }

    /// Appends the row's cell to a column that `column` made.
    #[inline]
    pub fn read(&self, row: &Row<'_>, scratch: &mut String, column: &mut FeatureColumn) {
        let (value, untyped) = match self.place {
            Some(place) => (row.document.get(place, row.row), false),
            None => self.field.cell(row),
        };
        match (column, &self.dictionary) {
            (FeatureColumn::Numeric(column), _) => {
                let (state, number) = numeric_cell(value, untyped);
                column.states.push(state);
                column.values.push(number);
            }
            (FeatureColumn::Categorical(column), dictionary) => {
                let found = canonical(value, scratch)
                    .map(|text| dictionary.as_ref().and_then(|codes| codes.get(text).copied()));
                let (state, code) = match found {
                    Some(Some(code)) => (CellState::Present, code),
                    Some(None) => (CellState::New, 0),
                    None => (absent(value.kind), 0),
                };
                column.states.push(state);
                column.codes.push(code);
            }
        }
    }
}

#[inline]
fn numeric_cell(value: Value<'_>, untyped: bool) -> (CellState, f64) {
    match number_of(value, untyped) {
        Some(number) if number.is_finite() => (CellState::Present, number),
        Some(_) => (CellState::NonFinite, 0.0),
        None => (absent(value.kind), 0.0),
    }
}

/// Why a value is no number, or has no canonical text.
fn absent(kind: Kind) -> CellState {
    match kind {
        Kind::Missing => CellState::Missing,
        Kind::Null => CellState::Null,
        Kind::NotFinite | Kind::Number => CellState::NonFinite,
        _ => CellState::Invalid,
    }
}
