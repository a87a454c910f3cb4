//! Estimates before labels, against what NannyML printed.

mod dle;
mod stream;

use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use tidemark::engine::cbpe::*;
use tidemark::engine::metric::Metric;
use tidemark::engine::reference::Profile;
use tidemark::engine::spec::Task;

pub fn oracle(name: &str) -> Value {
    let path = Path::new("tests/oracle/cbpe").join(name);
    let file = GzDecoder::new(File::open(path).expect("the file is there"));
    serde_json::from_reader(file).expect("it is JSON")
}

/// One row of `car_loan`: score, decision, label (if known), how many.
pub fn counted(rows: &Value) -> Vec<(f64, bool, Option<bool>, usize)> {
    let number = |value: &Value| value.as_f64().unwrap();
    let label = |value: &Value| (number(value) >= 0.0).then(|| number(value) == 1.0);
    let row = |row: &Value| {
        (number(&row[0]), number(&row[1]) == 1.0, label(&row[2]), number(&row[3]) as usize)
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

fn labelled(rows: &[(f64, bool, Option<bool>, usize)]) -> Vec<Labelled> {
    let row = |&(score, _, label, n): &(f64, bool, Option<bool>, usize)| {
        let positive = label.expect("the reference is labelled");
        std::iter::repeat_n(Labelled { score, positive, weight: 1.0 }, n)
    };
    rows.iter().flat_map(row).collect()
}

/// Fits as `tidemark profile` does. The rows ascend by score.
pub fn fit(rows: &[Labelled]) -> Option<Isotonic> {
    match verdict(rows).unwrap() {
        Verdict::Calibrate { .. } => Isotonic::fit(rows.iter().copied()),
        Verdict::Leave { .. } | Verdict::Separated => None,
    }
}

pub fn binary_task() -> Task {
    Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 }
}

pub fn estimator(map: Option<Isotonic>, sampling: Components, rows: u64) -> Estimator {
    let calibration =
        CalibrationReference { rows, classes: vec!["1".into()], maps: vec![map], sampling };
    assert_eq!(calibration.validate(), Ok(()));
    let profile = Profile { calibration: Some(calibration), ..empty_profile() };
    Estimator::new(&profile, &binary_task()).expect("the profile has a calibration")
}

pub fn empty_profile() -> Profile {
    Profile {
        format: "tidemark/profile".into(),
        version: 1,
        model: None,
        task: None,
        rows: 0,
        sources: Vec::new(),
        trained_on: false,
        classes: Vec::new(),
        positive_class: None,
        features: Vec::new(),
        score: None,
        predicted_classes: None,
        label_classes: None,
        label_values: None,
        baseline: BTreeMap::new(),
        calibration: None,
        losses: Vec::new(),
        design: None,
        content_hash: String::new(),
    }
}

fn expected(chunk: &Value, metric: Metric, field: &str) -> f64 {
    chunk["metrics"][metric.name()][field].as_f64().unwrap()
}

#[test]
fn the_gate_and_the_map_are_scikit_learns() {
    let unit = oracle("unit.json.gz");
    let numbers = |name: &str| -> Vec<f64> {
        unit[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let (scores, labels) = (numbers("ref_score"), numbers("ref_y"));
    let mut rows: Vec<Labelled> = scores
        .iter()
        .zip(&labels)
        .map(|(&score, &label)| Labelled { score, positive: label == 1.0, weight: 1.0 })
        .collect();
    rows.sort_by(|a, b| a.score.total_cmp(&b.score));
    assert_eq!(unit["needs_calibration"], true);
    let map = fit(&rows).expect("the scores need it");
    let knots: Vec<(f64, f64)> = map.knots().collect();
    let found = numbers("isotonic_X_thresholds").into_iter().zip(numbers("isotonic_y_thresholds"));
    for (ours, theirs) in knots.iter().zip(found) {
        assert!((ours.0 - theirs.0).abs() < 1e-12 && (ours.1 - theirs.1).abs() < 1e-12);
    }
    assert_eq!(knots.len(), numbers("isotonic_X_thresholds").len());
    let calibration = Calibration::new(Some(map));
    let current = numbers("cur_score");
    for (score, calibrated) in current.iter().zip(numbers("calibrated")) {
        assert!((calibration.at(*score) - calibrated).abs() < 1e-12, "{score}");
    }
    let rows: Vec<BatchRow> =
        current.iter().map(|&score| BatchRow { score, positive: score >= 0.5 }).collect();
    let (raw, calibrated) = (batch(&rows, &Calibration::new(None)), batch(&rows, &calibration));
    for (metric, value) in &calibrated {
        let expected = unit[metric.name()].as_f64().unwrap();
        assert!((value - expected).abs() < 1e-8, "{metric} {value} {expected}");
    }
    assert_eq!(calibrated.len(), 7);
    for metric in [Metric::RocAuc, Metric::F1, Metric::Accuracy] {
        let expected = unit["uncalibrated"][metric.name()].as_f64().unwrap();
        assert!((raw[&metric] - expected).abs() < 1e-8, "{metric}");
    }
}

#[test]
fn car_loan_is_estimated_as_nannyml_does_chunk_by_chunk() {
    let oracle = oracle("car_loan.json.gz");
    let reference = labelled(&counted(&oracle["reference"]));
    let map = fit(&reference);
    assert!(map.is_some(), "NannyML calibrates it");
    let calibration = Calibration::new(map);
    for chunk in oracle["chunks"].as_array().unwrap() {
        let rows: Vec<BatchRow> = counted(&chunk["rows"])
            .into_iter()
            .flat_map(|(score, positive, _, n)| {
                std::iter::repeat_n(BatchRow { score, positive }, n)
            })
            .collect();
        assert_eq!(rows.len(), 5_000);
        for (metric, value) in batch(&rows, &calibration) {
            let expected = expected(chunk, metric, "value");
            assert!((value - expected).abs() < 1e-6, "{metric} {value} {expected}");
        }
    }
}

/// Average precision is left out: NannyML draws 50 resamples for its sampling error. The one of
/// AUROC is near only: NannyML ranks tied scores in the order that its sort leaves them in, and
/// here 50,000 rows share 101 scores.
#[test]
fn sampling_errors_and_bands_are_nannymls() {
    let oracle = oracle("car_loan.json.gz");
    let rows: Vec<Judged> = counted(&oracle["reference"])
        .into_iter()
        .flat_map(|(score, decision, label, n)| {
            std::iter::repeat_n(Judged { score, decision, label: label.unwrap() }, n)
        })
        .collect();
    let components = components::binary(&rows);
    let chunk = &oracle["chunks"][3];
    for metric in [
        Metric::Accuracy,
        Metric::Precision,
        Metric::Recall,
        Metric::Specificity,
        Metric::F1,
        Metric::RocAuc,
    ] {
        let error = components[metric.name()].error(5_000.0).unwrap();
        let theirs = expected(chunk, metric, "sampling_error");
        let tolerance = if metric == Metric::RocAuc { 0.03 } else { 1e-9 };
        assert!((error / theirs - 1.0).abs() < tolerance, "{metric} {error} {theirs}");
        let (value, upper) = (
            expected(chunk, metric, "value"),
            expected(chunk, metric, "upper_confidence_boundary"),
        );
        assert!(((value + 3.0 * theirs).min(1.0) - upper).abs() < 1e-9, "{metric}");
    }
    assert!(!components.contains_key("average_precision"));
}

/// Adult's scores are continuous: no bins could give these numbers exactly, rows do.
#[test]
fn adults_continuous_scores_are_exact_in_batch() {
    let oracle = oracle("adult.json.gz");
    let (reference, current) = adult();
    let map = fit(&reference);
    assert_eq!(map.is_some(), oracle["needs_calibration"].as_bool().unwrap());
    let calibration = Calibration::new(map);
    let mut from = 0;
    for (chunk, end) in oracle["chunks"].as_array().unwrap().iter().zip(ends(&oracle)) {
        let rows: Vec<BatchRow> = current[from..end]
            .iter()
            .map(|&(score, positive, _)| BatchRow { score, positive })
            .collect();
        for (metric, value) in batch(&rows, &calibration) {
            let expected = chunk[metric.name()].as_f64().unwrap();
            assert!((value - expected).abs() < 1e-7, "{metric} {value} {expected}");
        }
        from = end;
    }
}

pub fn ends(oracle: &Value) -> Vec<usize> {
    let ends = oracle["ends"].as_array().unwrap().iter();
    ends.map(|end| end.as_u64().unwrap() as usize + 1).collect()
}

/// Adult: the reference's labelled scores, ascending, and (score, decision, label) of the current
/// rows in their order.
pub fn adult() -> (Vec<Labelled>, Vec<(f64, bool, bool)>) {
    use std::io::{BufRead, BufReader};
    let file = File::open("tests/data/adult_scored.csv.gz").expect("the file is there");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let (mut reference, mut current) = (Vec::new(), Vec::new());
    for line in lines.skip(1) {
        let line = line.unwrap();
        let mut cells = line.rsplit(',');
        let split = cells.next().unwrap().to_owned();
        let positive = cells.next().unwrap() == "1";
        let score: f64 = cells.next().unwrap().parse().unwrap();
        let label = cells.next().unwrap() == "1";
        if split == "reference" {
            reference.push(Labelled { score, positive: label, weight: 1.0 });
        } else {
            current.push((score, positive, label));
        }
    }
    reference.sort_by(|a, b| a.score.total_cmp(&b.score));
    (reference, current)
}

#[test]
fn too_few_rows_of_a_class_give_no_calibration() {
    let row = |i: u32| Labelled { score: f64::from(i) / 100.0, positive: i >= 90, weight: 1.0 };
    let rows: Vec<Labelled> = (0..100).map(row).collect();
    let refusal = verdict(&rows).unwrap_err();
    assert!(refusal.to_string().contains("10 labelled rows are of the class"), "{refusal}");
}

#[test]
fn scores_that_separate_the_classes_are_left_alone() {
    let row = |i: u32| Labelled { score: f64::from(i) / 1000.0, positive: i >= 500, weight: 1.0 };
    let rows: Vec<Labelled> = (0..1000).map(row).collect();
    assert_eq!(verdict(&rows), Ok(Verdict::Separated));
}
