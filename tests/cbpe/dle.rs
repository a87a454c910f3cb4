//! LightGBM's trees and NannyML's direct loss estimation.

use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tidemark::engine::dle::{ParseError, Trees};

fn text(name: &str) -> String {
    let file = File::open(Path::new("tests/oracle/dle").join(name)).expect("the file is there");
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("it is text");
    text
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).expect("it is JSON")
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    let row = |row: &Value| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    value.as_array().unwrap().iter().map(row).collect()
}

#[test]
fn trees_say_what_lightgbm_says_and_their_mean_is_nannymls_estimate() {
    let oracle = json("car_price.json.gz");
    let rows = rows(&oracle["rows"]);
    assert_eq!(rows.len(), 6_000);
    for metric in ["mae", "mse"] {
        let trees = Trees::parse(&text(&format!("{metric}.txt.gz"))).expect("a model");
        let names: Vec<&str> = trees.inputs().iter().map(|input| &*input.name).collect();
        assert_eq!(serde_json::json!(names), oracle["inputs"]);
        let mut sum = 0.0;
        for (row, expected) in rows.iter().zip(oracle[metric].as_array().unwrap()) {
            let (found, expected) = (trees.predict(row), expected.as_f64().unwrap());
            assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{row:?}");
            sum += found.max(0.0);
        }
        let estimate = sum / rows.len() as f64;
        for which in ["printed", "trained"] {
            let theirs = oracle["metrics"][metric][which].as_f64().unwrap();
            assert!((estimate / theirs - 1.0).abs() < 1e-9, "{metric} {estimate} {theirs}");
        }
        if metric == "mse" {
            let theirs = oracle["metrics"]["rmse"]["printed"].as_f64().unwrap();
            assert!((estimate.sqrt() / theirs - 1.0).abs() < 1e-9);
        }
    }
}

#[test]
fn missing_values_zeros_and_categories_go_where_lightgbm_sends_them() {
    let oracle = json("odd.json.gz");
    for case in oracle["cases"].as_array().unwrap() {
        let trees = Trees::parse(case["model"].as_str().unwrap()).expect("a model");
        let predicted = case["predicted"].as_array().unwrap();
        for (row, expected) in case["rows"].as_array().unwrap().iter().zip(predicted) {
            let value = |(input, value): (&tidemark::engine::dle::Input, &Value)| match value {
                Value::String(text) => input.code(Some(text)),
                Value::Number(number) => number.as_f64().unwrap(),
                _ => f64::NAN,
            };
            let row: Vec<f64> =
                trees.inputs().iter().zip(row.as_array().unwrap()).map(value).collect();
            let (found, expected) = (trees.predict(&row), expected.as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "{row:?} {found} {expected}");
        }
    }
}

#[test]
fn a_text_that_is_cut_or_asks_for_more_is_refused_with_the_reason() {
    let oracle = json("odd.json.gz");
    let whole = oracle["cases"][0]["model"].as_str().unwrap();
    let refused = |text: &str| Trees::parse(text).unwrap_err().to_string();
    assert!(refused("{}").contains("does not begin with `tree`"));
    let cut = &whole[..whole.find("end of trees").unwrap()];
    assert!(refused(cut).contains("cut off"), "{}", refused(cut));
    let several = whole.replace("num_class=1\n", "num_class=3\n");
    assert!(refused(&several).contains("more than one class"));
    let sigmoid = whole.replace("objective=regression", "objective=binary sigmoid:1");
    assert!(refused(&sigmoid).contains("the objective `binary`"));
    let endless = whole.replacen("left_child=1", "left_child=0", 1);
    assert_eq!(
        Trees::parse(&endless),
        Err(ParseError::Tree { tree: 0, what: "node 0: it has no child 0".into() })
    );
    // No cut panics.
    for end in (0..whole.len()).step_by(61).filter(|end| whole.is_char_boundary(*end)) {
        let _ = Trees::parse(&whole[..end]);
    }
}
