//! Metrics of binary models against numbers of other programs.

use super::{Expected, cells_of, check, numbers, oracle, weights};
use serde_json::Value;
use tidemark::engine::metric::{Metric, estimate};
use tidemark::engine::sketch::{BinaryOutcome, Outcome, PerformanceCells};
use tidemark::engine::spec::Task;

pub fn task() -> Task {
    Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 }
}

/// The rows of an oracle case, and whether it is weighted.
pub fn rows(case: &Value) -> (Vec<BinaryOutcome>, bool) {
    let (labels, scores) = (numbers(&case["y_true"]), numbers(&case["y_prob"]));
    let threshold = case["threshold"].as_f64().unwrap();
    let (weights, weighted) = weights(case, labels.len());
    let row = |i: usize| BinaryOutcome {
        score: Some(scores[i]),
        decision: scores[i] >= threshold,
        label: labels[i] == 1.0,
        weight: weights[i],
    };
    ((0..labels.len()).map(row).collect(), weighted)
}

fn cells(rows: &[BinaryOutcome], weighted: bool) -> PerformanceCells {
    let outcomes: Vec<Outcome> = rows.iter().copied().map(Outcome::Binary).collect();
    cells_of(&task(), weighted, &outcomes)
}

/// scikit-learn gives 0 (or only the other class's value) where a denominator is 0; here there is
/// no value then.
fn undefined(metric: Metric, rows: &[BinaryOutcome]) -> bool {
    let any = |is: fn(&BinaryOutcome) -> bool| rows.iter().any(is);
    let labels = (any(|row| row.label), any(|row| !row.label));
    let decisions = (any(|row| row.decision), any(|row| !row.decision));
    match metric {
        Metric::Precision => !decisions.0,
        Metric::Recall | Metric::AveragePrecision => !labels.0,
        Metric::Specificity => !labels.1,
        Metric::F1 | Metric::F2 | Metric::Jaccard => !labels.0 && !decisions.0,
        Metric::BalancedAccuracy | Metric::RocAuc | Metric::KsSeparation => labels != (true, true),
        Metric::Mcc => labels != (true, true) || decisions != (true, true),
        Metric::CohenKappa => labels != (true, true) && labels == decisions,
        _ => false,
    }
}

#[test]
fn binary_metrics_equal_scikit_learns() {
    let metrics = [
        (Metric::Accuracy, "accuracy"),
        (Metric::BalancedAccuracy, "balanced_accuracy"),
        (Metric::Precision, "precision"),
        (Metric::Recall, "recall"),
        (Metric::Specificity, "specificity"),
        (Metric::F1, "f1"),
        (Metric::F2, "fbeta2"),
        (Metric::Jaccard, "jaccard"),
        (Metric::Mcc, "mcc"),
        (Metric::CohenKappa, "cohen_kappa"),
        (Metric::RocAuc, "roc_auc"),
        (Metric::AveragePrecision, "average_precision"),
        (Metric::KsSeparation, "ks_separation"),
        (Metric::LogLoss, "log_loss"),
        (Metric::Brier, "brier"),
        (Metric::ExpectedCalibrationError, "ece10"),
        (Metric::MaximumCalibrationError, "mce10"),
    ];
    let cases = oracle("binary");
    assert_eq!(cases.len(), 15);
    for case in &cases {
        let (rows, weighted) = rows(case);
        let cells = cells(&rows, weighted);
        for (metric, key) in metrics {
            let expected = &case["expected"][key];
            let expected = match expected.as_f64() {
                _ if undefined(metric, &rows) => Expected::Absent,
                Some(number)
                    if matches!(
                        metric,
                        Metric::RocAuc | Metric::AveragePrecision | Metric::KsSeparation
                    ) =>
                {
                    Expected::WithinBound(number)
                }
                Some(number) => Expected::Number(number),
                None => panic!("{}: {key} is {expected}", case["id"]),
            };
            check(case["id"].as_str().unwrap(), metric, &cells, expected);
        }
    }
}

#[test]
fn confusion_counts_and_support_equal_scikit_learns() {
    for case in oracle("binary") {
        let (rows, weighted) = rows(&case);
        let all = cells(&rows, weighted);
        let PerformanceCells::Binary(binary) = &all else { panic!("these are binary cells") };
        let expected = numbers(&case["expected"]["confusion_tn_fp_fn_tp"]);
        let cell = |decision, label| binary.confusion(decision, label).w;
        let found = [cell(false, false), cell(true, false), cell(false, true), cell(true, true)];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-12 * expected, "{}: {found}", case["id"]);
            assert!(weighted || found == expected);
        }
        let positives = rows.iter().filter(|row| row.label).count() as u64;
        let support = |metric| estimate(metric, &all).map_or(0, |found| found.support);
        assert_eq!(support(Metric::Recall), positives);
        assert_eq!(support(Metric::Accuracy), rows.len() as u64);
        assert_eq!(all.rows(), rows.len() as u64);
    }
}

#[test]
fn the_bounds_of_roc_auc_and_average_precision_are_small_with_fine_bins() {
    let cases = oracle("binary");
    let case = cases.iter().find(|case| case["id"] == "bin_n5000").unwrap();
    let (rows, weighted) = rows(case);
    let cells = cells(&rows, weighted);
    let auc = estimate(Metric::RocAuc, &cells).unwrap();
    assert!(auc.error_max < 5e-4, "{auc:?}");
    let precision = estimate(Metric::AveragePrecision, &cells).unwrap();
    assert!(precision.error_max < 5e-3, "{precision:?}");
}

#[test]
fn rows_without_a_score_count_for_decisions_only() {
    let scored = BinaryOutcome { score: Some(0.9), decision: true, label: true, weight: 1.0 };
    let unscored = BinaryOutcome { score: None, decision: false, label: true, weight: 1.0 };
    let not_a_number = BinaryOutcome { score: Some(f64::NAN), ..unscored };
    let cells = cells(&[scored, unscored, not_a_number], false);
    let found = |metric| estimate(metric, &cells).map(|found| (found.value, found.support));
    assert_eq!(found(Metric::Accuracy), Some((1.0 / 3.0, 3)));
    assert_eq!(found(Metric::LogLoss), Some((-(0.9_f64.ln()), 1)));
    assert_eq!(found(Metric::AveragePrecision), Some((1.0, 1)));
}

#[test]
fn no_rows_have_no_metric() {
    let cells = cells(&[], false);
    for metric in Metric::ALL {
        assert_eq!(estimate(metric, &cells), None, "{metric}");
    }
}

#[test]
fn calibration_error_is_zero_where_noise_explains_the_difference_and_not_where_it_does_not() {
    // 1,000 rows at 0.45 of which 460 came true: the noise's standard deviation is 16 rows.
    let row = |i, score| BinaryOutcome {
        score: Some(score),
        decision: false,
        label: i < 460,
        weight: 1.0,
    };
    let within: Vec<_> = (0..1000).map(|i| row(i, 0.45)).collect();
    let value = |rows: &[_], metric| estimate(metric, &cells(rows, false)).unwrap().value;
    assert_eq!(value(&within, Metric::CalibrationError), 0.0);
    assert!((value(&within, Metric::ExpectedCalibrationError) - 0.01).abs() < 1e-12);
    // The same rows at 0.2. sqrt(0.26^2 - 0.46 * 0.54 / 999), with Python's fractions.
    let beyond: Vec<_> = (0..1000).map(|i| row(i, 0.2)).collect();
    assert!((value(&beyond, Metric::CalibrationError) - 0.259_521_389_005_514_1).abs() < 1e-9);
}
