//! Performance: the cells that outcomes leave behind, and the metrics computed from them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod binary;
mod cells;
mod intervals;
mod multiclass;
mod regression;

use serde_json::Value;
use tidemark::engine::estimate::Estimate;
use tidemark::engine::metric::{Metric, estimate};
use tidemark::engine::score::Resolution;
use tidemark::engine::sketch::{Outcome, PerformanceCells, Sign, Sketch};
use tidemark::engine::spec::Task;

/// The cases of one task in tests/oracle/performance.json (its origin is stated there).
fn oracle(task: &str) -> Vec<Value> {
    let text = include_str!("../oracle/performance.json");
    let mut oracle: Value = serde_json::from_str(text).expect("the oracle file is JSON");
    let cases = oracle["cases"].take();
    let Value::Array(cases) = cases else { panic!("cases is a list") };
    cases.into_iter().filter(|case| case["task"] == task).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// The weights of a case, 1 each if it has none, and whether it has.
fn weights(case: &Value, rows: usize) -> (Vec<f64>, bool) {
    match &case["weight"] {
        Value::Null => (vec![1.0; rows], false),
        weights => (numbers(weights), true),
    }
}

fn cells_of(task: &Task, weighted: bool, outcomes: &[Outcome]) -> PerformanceCells {
    let mut cells = PerformanceCells::new(task, weighted, Resolution::Fine);
    for outcome in outcomes {
        cells.add(outcome, Sign::Add);
    }
    cells
}

/// What is expected of a metric.
enum Expected {
    /// To 1e-9, relative.
    Number(f64),
    /// Within the estimate's own `error_max`.
    WithinBound(f64),
    /// The denominator is 0.
    Absent,
}

fn check(case: &str, metric: Metric, cells: &PerformanceCells, expected: Expected) {
    let found = estimate(metric, cells);
    match (expected, found) {
        (Expected::Number(number), Some(Estimate { value, error_max, .. })) => {
            let tolerance = 1e-9 * number.abs() + 1e-15;
            assert!((value - number).abs() <= tolerance, "{case} {metric}: {value} not {number}");
            assert_eq!(error_max, 0.0, "{case} {metric}");
        }
        (Expected::WithinBound(number), Some(Estimate { value, error_max, .. })) => {
            let tolerance = error_max + 1e-12 * number.abs().max(1.0);
            let off = (value - number).abs();
            assert!(off <= tolerance, "{case} {metric}: {value} not {number}, off by {off:e}");
        }
        (Expected::Absent, None) => {}
        (Expected::Absent, Some(found)) => panic!("{case} {metric}: {found:?}, expected none"),
        (_, None) => panic!("{case} {metric}: there is none"),
    }
    if let Some(Estimate { value, interval: Some(interval), .. }) = found {
        let (least, greatest) = metric.range();
        assert!(least <= interval.lower && interval.upper <= greatest, "{case} {metric}");
        assert!(interval.lower <= value && value <= interval.upper, "{case} {metric}");
    }
}
