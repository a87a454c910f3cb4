//! Drift statistics and the sketch behind them.

mod oracle;
mod sketch;

use tidemark::engine::event::{CategoricalColumn, CellState, FeatureColumn, NumericColumn};
use tidemark::engine::reference::NumericReference;

pub fn numeric_column(values: &[Option<f64>]) -> FeatureColumn {
    let state = |value: &Option<f64>| match value {
        Some(_) => CellState::Present,
        None => CellState::Missing,
    };
    FeatureColumn::Numeric(NumericColumn {
        values: values.iter().map(|value| value.unwrap_or(f64::NAN)).collect(),
        states: values.iter().map(state).collect(),
    })
}

pub fn categorical_column(values: &[Option<String>], dictionary: &[String]) -> FeatureColumn {
    let mut column = CategoricalColumn::default();
    for value in values {
        let known = value.as_ref().map(|value| dictionary.iter().position(|d| d == value));
        let (code, state) = match known {
            None => (0, CellState::Missing),
            Some(None) => (0, CellState::New),
            Some(Some(code)) => (code as u32, CellState::Present),
        };
        column.codes.push(code);
        column.states.push(state);
    }
    FeatureColumn::Categorical(column)
}

pub fn all_rows(column: &FeatureColumn) -> Vec<u32> {
    (0..column.states().len() as u32).collect()
}

pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1.0)
}

/// A reference with the given bins, coarse ones equal to the fine ones, values in their middles.
pub fn numeric_reference(edges: &[f64], counts: &[u64]) -> NumericReference {
    let middle = |(&n, edge): (&u64, &[f64])| n as f64 * (edge[0] + edge[1]) / 2.0;
    NumericReference {
        edges: edges.to_vec(),
        counts: counts.to_vec(),
        sums: counts.iter().zip(edges.windows(2)).map(middle).collect(),
        coarse: (0..counts.len() as u16).collect(),
        mean: edges[0],
        std: 1.0,
        min: edges[0],
        max: edges[edges.len() - 1],
    }
}
