//! Metrics of regression models against numbers of other programs.

use super::{Expected, cells_of, check, numbers, oracle, weights};
use serde_json::Value;
use tidemark::engine::metric::{Metric, estimate};
use tidemark::engine::sketch::{Outcome, PerformanceCells, RegressionOutcome};
use tidemark::engine::spec::Task;

/// The rows of an oracle case, and whether it is weighted.
pub fn rows(case: &Value) -> (Vec<RegressionOutcome>, bool) {
    let (labels, predictions) = (numbers(&case["y_true"]), numbers(&case["y_pred"]));
    let (weights, weighted) = weights(case, labels.len());
    let row = |i: usize| RegressionOutcome {
        prediction: predictions[i],
        label: labels[i],
        weight: weights[i],
    };
    ((0..labels.len()).map(row).collect(), weighted)
}

fn cells(rows: &[RegressionOutcome], weighted: bool, center: f64, scale: f64) -> PerformanceCells {
    let outcomes: Vec<Outcome> = rows.iter().copied().map(Outcome::Regression).collect();
    cells_of(&Task::Regression { center, scale }, weighted, &outcomes)
}

/// R2 has no value where the labels do not vary; scikit-learn gives 0 or 1.
fn constant(rows: &[RegressionOutcome]) -> bool {
    rows.iter().all(|row| row.label == rows[0].label)
}

#[test]
fn regression_metrics_equal_scikit_learns() {
    let metrics = [
        (Metric::Mae, "mae"),
        (Metric::Mse, "mse"),
        (Metric::Rmse, "rmse"),
        (Metric::R2, "r2"),
        (Metric::Mape, "mape"),
        (Metric::Smape, "smape"),
        (Metric::Bias, "bias_mean_error"),
        (Metric::MedianAbsoluteError, "median_ae"),
    ];
    let cases = oracle("regression");
    assert_eq!(cases.len(), 12);
    for case in &cases {
        let (rows, weighted) = rows(case);
        // The plan's centre is near the labels' mean; around 0 an offset of 1e9 would eat R2.
        let offset = case["id"] == "reg_offset";
        let (center, scale) = if offset { (1e9, 1.0) } else { (40.0, 16.0) };
        let cells = cells(&rows, weighted, center, scale);
        assert_eq!(cells.clipped(), 0, "{}", case["id"]);
        for (metric, key) in metrics {
            let expected = case["expected"][key].as_f64();
            let expected = match metric {
                Metric::R2 if constant(&rows) => Expected::Absent,
                Metric::MedianAbsoluteError => Expected::WithinBound(expected.unwrap()),
                _ => Expected::Number(expected.unwrap()),
            };
            check(case["id"].as_str().unwrap(), metric, &cells, expected);
        }
        let median = estimate(Metric::MedianAbsoluteError, &cells).unwrap();
        assert!(median.error_max <= median.value / 128.0, "{}: {median:?}", case["id"]);
    }
}

#[test]
fn r2_is_absent_rather_than_wrong_where_the_centre_is_too_far_away() {
    let cases = oracle("regression");
    let case = cases.iter().find(|case| case["id"] == "reg_offset").unwrap();
    let (rows, weighted) = rows(case);
    let far = cells(&rows, weighted, 0.0, 1.0);
    assert_eq!(estimate(Metric::R2, &far), None);
    // Nor nearer by: here a square is rounded to 1/64, and the variance is 0.08.
    let near: Vec<_> = (0..1000)
        .map(|i| {
            let label = 1e7 + 0.1 * f64::from(i % 10);
            RegressionOutcome { prediction: label + 0.01, label, weight: 1.0 }
        })
        .collect();
    assert_eq!(estimate(Metric::R2, &cells(&near, false, 0.0, 1.0)), None);
    // sse / sst = 1e-4 / 0.0825
    let found = estimate(Metric::R2, &cells(&near, false, 1e7, 1.0)).unwrap();
    assert!((found.value - (1.0 - 1e-4 / 0.0825)).abs() < 1e-6);
    let expected = case["expected"]["mae"].as_f64().unwrap();
    check("reg_offset around 0", Metric::Mae, &far, Expected::Number(expected));
}

#[test]
fn numbers_of_any_size_are_clipped_and_counted_but_never_overflow() {
    let huge = [f64::MAX, -f64::MAX, 1e300, -1e12, 0.0, 5e-324, f64::NAN, f64::INFINITY];
    let pairs = huge.iter().flat_map(|&x| huge.iter().map(move |&y| (x, y)));
    let rows: Vec<RegressionOutcome> = pairs
        .map(|(prediction, label)| RegressionOutcome { prediction, label, weight: 1e30 })
        .collect();
    for weighted in [false, true] {
        for scale in [1.0, f64::MIN_POSITIVE, 0.0, f64::NAN] {
            let cells = cells(&rows, weighted, 0.0, scale);
            assert!(cells.clipped() > 0);
            assert_eq!(cells.rows(), rows.len() as u64);
            for metric in Metric::ALL {
                if let Some(found) = estimate(metric, &cells) {
                    assert!(found.value.is_finite(), "{metric} {found:?}");
                    let lossy = !matches!(metric, Metric::MedianAbsoluteError);
                    assert!(!lossy || found.interval.is_none(), "{metric} {found:?}");
                }
            }
        }
    }
}

#[test]
fn an_outlier_clips_only_the_square_that_its_interval_needs() {
    let row = |error: f64| RegressionOutcome { prediction: error, label: 0.0, weight: 1.0 };
    let mut rows: Vec<_> = (0..50).map(|i| row(f64::from(i))).collect();
    // Its square is within the limit of 2^74, its fourth power (6.25e22) is not.
    rows.push(row(5e5));
    let found = estimate(Metric::Mse, &cells(&rows, false, 0.0, 1.0)).unwrap();
    // The sum of the squares of 0 to 49 is 40,425.
    assert!((found.value - (2.5e11 + 40_425.0) / 51.0).abs() < 1e-3);
    assert_eq!(found.interval, None);
}
