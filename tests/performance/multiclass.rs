//! Metrics of multiclass models against numbers of other programs.

use super::{Expected, cells_of, check, numbers, oracle, weights};
use serde_json::Value;
use tidemark::engine::event::{CLASS_OTHER, ClassCode};
use tidemark::engine::metric::{Metric, TopK, estimate};
use tidemark::engine::sketch::{
    MulticlassOutcome, Outcome, PerformanceCells, ProbabilityTerms, probability_terms,
};
use tidemark::engine::spec::Task;

pub fn task(classes: usize) -> Task {
    let classes = (0..classes).map(|class| format!("c{class}")).collect();
    Task::Multiclass { classes, top_k: vec![2, 3] }
}

/// The rows of an oracle case, and whether it is weighted.
pub fn rows(case: &Value) -> (Vec<MulticlassOutcome>, bool) {
    let (labels, decisions) = (numbers(&case["y_true"]), numbers(&case["y_pred"]));
    let (weights, weighted) = weights(case, labels.len());
    let row = |i: usize| {
        let label = labels[i] as ClassCode;
        let ProbabilityTerms { log_loss, rank, top, .. } =
            probability_terms(&numbers(&case["y_prob"][i]), label);
        let decision = decisions[i] as ClassCode;
        MulticlassOutcome { decision, label, log_loss, rank, top, weight: weights[i] }
    };
    ((0..labels.len()).map(row).collect(), weighted)
}

fn cells(classes: usize, rows: &[MulticlassOutcome], weighted: bool) -> PerformanceCells {
    let outcomes: Vec<Outcome> = rows.iter().copied().map(Outcome::Multiclass).collect();
    cells_of(&task(classes), weighted, &outcomes)
}

#[test]
fn multiclass_metrics_equal_scikit_learns() {
    let metrics = [
        (Metric::Accuracy, "accuracy"),
        (Metric::BalancedAccuracy, "balanced_accuracy"),
        (Metric::Mcc, "mcc"),
        (Metric::CohenKappa, "cohen_kappa"),
        (Metric::LogLoss, "log_loss"),
        (Metric::TopKAccuracy(TopK::new(2).unwrap()), "top2_accuracy"),
        (Metric::PrecisionMicro, "precision_micro"),
        (Metric::RecallMicro, "recall_micro"),
        (Metric::F1Micro, "f1_micro"),
        (Metric::PrecisionMacro, "precision_macro"),
        (Metric::RecallMacro, "recall_macro"),
        (Metric::F1Macro, "f1_macro"),
        (Metric::PrecisionWeighted, "precision_weighted"),
        (Metric::RecallWeighted, "recall_weighted"),
        (Metric::F1Weighted, "f1_weighted"),
        (Metric::ExpectedCalibrationError, "ece10_toplabel"),
    ];
    let cases = oracle("multiclass");
    assert_eq!(cases.len(), 5);
    for case in &cases {
        let (rows, weighted) = rows(case);
        let cells = cells(case["labels"].as_array().unwrap().len(), &rows, weighted);
        for (metric, key) in metrics {
            let expected = Expected::Number(case["expected"][key].as_f64().unwrap());
            check(case["id"].as_str().unwrap(), metric, &cells, expected);
        }
    }
}

#[test]
fn the_confusion_matrix_equals_scikit_learns() {
    for case in oracle("multiclass") {
        let (rows, weighted) = rows(&case);
        let cells = cells(case["labels"].as_array().unwrap().len(), &rows, weighted);
        let PerformanceCells::Multiclass(cells) = &cells else { panic!("these are multiclass") };
        let mut found: Vec<Vec<f64>> =
            case["expected"]["confusion"].as_array().unwrap().iter().map(numbers).collect();
        for (decision, label, mass) in cells.confusion() {
            let expected = &mut found[usize::from(label)][usize::from(decision)];
            assert!((*expected - mass.w).abs() <= 1e-12 * mass.w, "{}", case["id"]);
            *expected = 0.0;
        }
        assert!(found.iter().flatten().all(|&left| left == 0.0), "{}", case["id"]);
    }
}

#[test]
fn a_row_of_probabilities_gives_loss_rank_and_top_class() {
    let of = |row: &[f64], label| {
        let terms = probability_terms(row, label);
        (terms.rank, terms.top, terms.top_class)
    };
    assert_eq!(of(&[0.2, 0.5, 0.3], 2), (Some(2), Some(0.5), Some(1)));
    // Of equals the higher code ranks first (scikit-learn's top_k_accuracy_score with k = 2 counts
    // label 1 of [0.4, 0.3, 0.3] as a miss and label 2 as a hit), and the first of them is the top.
    assert_eq!(of(&[0.4, 0.3, 0.3], 1), (Some(3), Some(0.4), Some(0)));
    assert_eq!(of(&[0.4, 0.3, 0.3], 2), (Some(2), Some(0.4), Some(0)));
    assert_eq!(of(&[0.5, 0.5], 0), (Some(2), Some(0.5), Some(0)));
    assert_eq!(of(&[0.5, f64::NAN], 0), (None, Some(0.5), Some(0)));
    assert_eq!(of(&[0.5, 0.5], CLASS_OTHER), (None, Some(0.5), Some(0)));
    assert_eq!(of(&[f64::NAN], 0), (None, None, None));
    assert_eq!(of(&[], 0), (None, None, None));
    // -ln(2^-52), as scikit-learn's log_loss of a probability of 0.
    let impossible = probability_terms(&[0.0, 1.0], 0).log_loss.unwrap();
    assert!((impossible - 36.043_653_389_117_15).abs() < 1e-12);
    assert_eq!(probability_terms(&[f64::NAN, 1.0], 0).log_loss, None);
}

#[test]
fn classes_that_the_model_does_not_list_are_one_more_class() {
    let row = |decision, label| MulticlassOutcome {
        decision,
        label,
        log_loss: None,
        rank: None,
        top: None,
        weight: 1.0,
    };
    let rows = [row(0, 0), row(1, CLASS_OTHER), row(CLASS_OTHER, CLASS_OTHER), row(0, 7)];
    let cells = cells(2, &rows, false);
    let value = |metric| estimate(metric, &cells).map(|found| (found.value, found.support));
    assert_eq!(value(Metric::Accuracy), Some((0.5, 4)));
    // Recall of class 0 is 1, of class 1 (never true) 0, of the others 1/3.
    assert_eq!(value(Metric::RecallMacro), Some(((1.0 + 0.0 + 1.0 / 3.0) / 3.0, 4)));
    assert_eq!(value(Metric::BalancedAccuracy), Some(((1.0 + 1.0 / 3.0) / 2.0, 4)));
    assert_eq!(value(Metric::LogLoss), None);
    assert_eq!(value(Metric::TopKAccuracy(TopK::new(2).unwrap())), None);
    assert_eq!(value(Metric::CalibrationError), None);
}

#[test]
fn a_k_that_is_not_counted_has_no_value() {
    let (rows, weighted) = rows(&oracle("multiclass")[0]);
    let cells = cells(3, &rows, weighted);
    assert_eq!(estimate(Metric::TopKAccuracy(TopK::new(5).unwrap()), &cells), None);
    let all = Metric::of_task(&task(3));
    assert!(all.iter().all(|metric| estimate(*metric, &cells).is_some()), "{all:?}");
    assert!(all.contains(&Metric::TopKAccuracy(TopK::new(3).unwrap())));
}
