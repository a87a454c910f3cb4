//! Alarms from a budget: the mathematics against scipy, and what it does over many windows.

mod laws;
mod memory;
mod months;
mod simulated;
mod world;

use serde_json::Value;

/// What scipy printed (`tests/oracle/alarm/alarm.py`).
fn oracle(part: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../oracle/alarm/alarm.json")).unwrap();
    all[part].as_array().unwrap().clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn assert_close(found: f64, expected: f64, relative: f64) {
    let off = (found - expected).abs();
    assert!(off <= relative * expected.abs(), "{found} is not {expected}");
}
