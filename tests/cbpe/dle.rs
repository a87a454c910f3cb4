//! LightGBM's trees and NannyML's direct loss estimation.

use crate::drift::{categorical_column, numeric_column};
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tidemark::engine::cbpe::Estimates;
use tidemark::engine::dle::{LossModels, LossReference, LossSums, ParseError, Trees};
use tidemark::engine::event::{ModelIndex, PredictionBatch};
use tidemark::engine::metric::Metric;
use tidemark::engine::reference::Profile;
use tidemark::engine::score::Resolution;
use tidemark::engine::sketch::*;
use tidemark::engine::spec::{FeatureKind, FeatureSpec, Task};

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

/// The small model on the rows of a batch, as the stream folds them.
#[test]
fn rows_of_a_batch_get_the_losses_that_the_model_gives_them() {
    let oracle = json("odd.json.gz");
    let case = &oracle["cases"][0];
    let model = case["model"].as_str().unwrap().to_owned();
    let loss = |metric: &str| LossReference {
        metric: metric.into(),
        model: model.clone(),
        deviation: Some(2.0),
    };
    let profile =
        Profile { losses: vec![loss("mae"), loss("mse")], ..crate::cbpe::empty_profile() };
    // The dictionary of the daemon has another order than the model's categories, and more.
    let dictionary: Arc<[String]> =
        ["red", "grey", "blue", "green", "é,x"].map(str::to_owned).into();
    let feature = |name: &str, kind| FeatureSpec { name: name.into(), kind };
    let features = [
        feature("kind", FeatureKind::Categorical { dictionary: Arc::clone(&dictionary) }),
        feature("x", FeatureKind::Numeric),
        feature("zero", FeatureKind::Numeric),
        feature("whole", FeatureKind::Numeric),
    ];
    let models = LossModels::new(&profile, &features).expect("all inputs are known");
    assert!(LossModels::new(&profile, &features[1..]).is_none(), "an input is no feature");
    let rows = case["rows"].as_array().unwrap();
    let number = |at: usize| -> Vec<Option<f64>> { rows.iter().map(|r| r[at].as_f64()).collect() };
    let texts: Vec<Option<String>> =
        rows.iter().map(|row| row[3].as_str().map(str::to_owned)).collect();
    let mut batch = empty_batch();
    batch.scores = number(4).into_iter().map(Option::unwrap).collect();
    batch.features = vec![
        categorical_column(&texts, &dictionary),
        numeric_column(&number(0)),
        numeric_column(&number(1)),
        numeric_column(&number(2)),
    ];
    let mut predicted = PredictedLosses::default();
    let mut losses = Vec::new();
    let mut sum = 0.0;
    for (at, expected) in case["predicted"].as_array().unwrap().iter().enumerate() {
        models.losses(&batch, at, &mut losses);
        let expected = expected.as_f64().unwrap().max(0.0);
        assert!((losses[0] - expected).abs() < 1e-12 && losses[0] == losses[1], "row {at}");
        predicted.add(&losses);
        sum += expected;
    }
    let predictions = rows.len() as u64;
    let sums = LossSums { models: &models, predicted: &predicted, measured: None, predictions };
    let mean = sum / predictions as f64;
    let found = sums.estimated(Metric::Mae).unwrap();
    assert!((found.value - mean).abs() < 1e-9);
    let half = 1.959_963_984_540_054 * 2.0 / (predictions as f64).sqrt();
    assert!((found.interval.unwrap().upper - mean - half).abs() < 1e-9);
    assert_eq!(sums.combined(Metric::Mae).unwrap().value, found.value);
    let root = sums.estimated(Metric::Rmse).unwrap().value;
    assert!((root * root - mean).abs() < 1e-9, "the root of the mean of the mse's model");
    assert!(sums.estimated(Metric::Mape).is_none(), "there is no model of that loss");

    let task = Task::Regression { center: 0.0, scale: 1.0 };
    let mut measured = PerformanceCells::new(&task, false, Resolution::Fine);
    for _ in 0..30 {
        let outcome = RegressionOutcome { prediction: 3.0, label: 1.0, weight: 1.0 };
        measured.add(&Outcome::Regression(outcome), Sign::Add);
    }
    let sums = LossSums { measured: Some(&measured), ..sums };
    let line = sums.combined(Metric::Mae).unwrap();
    assert!((line.value - (30.0 * 2.0 + 30.0 * mean) / 60.0).abs() < 1e-9);
    assert!(sums.graded(Metric::Mae).is_none(), "half of the labels are missing");
    let sums = LossSums { predictions: 30, ..sums };
    assert_eq!(sums.graded(Metric::Mae).map(|(_, measured)| measured), Some(2.0));
    assert!((sums.combined(Metric::Mae).unwrap().value - 2.0).abs() < 1e-9);
}

fn empty_batch() -> PredictionBatch {
    PredictionBatch {
        model: ModelIndex(0),
        partition: 0,
        offsets: Vec::new(),
        rows: Vec::new(),
        record_times: Vec::new(),
        event_times: Vec::new(),
        ids: Vec::new(),
        versions: Default::default(),
        scores: Vec::new(),
        classes: Vec::new(),
        probabilities: Vec::new(),
        weights: Vec::new(),
        features: Vec::new(),
    }
}
