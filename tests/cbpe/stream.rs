//! The same estimates from mergeable sums: within the stated bound, and lawful.

use super::*;
use crate::laws::{Random, check_laws};
use tidemark::engine::score::Resolution;
use tidemark::engine::sketch::*;

fn outcome(score: f64, decision: bool, label: bool) -> Outcome {
    Outcome::Binary(BinaryOutcome { score: Some(score), decision, label, weight: 1.0 })
}

#[test]
fn sums_of_car_loan_give_nannymls_numbers() {
    let oracle = oracle("car_loan.json.gz");
    let reference = labelled(&counted(&oracle["reference"]));
    let estimator = estimator(fit(&reference), Components::new(), reference.len() as u64);
    for chunk in oracle["chunks"].as_array().unwrap() {
        let mut cells = estimator.cells(false);
        for (score, positive, _, n) in counted(&chunk["rows"]) {
            let row = estimator.binary(score, positive, 1.0);
            (0..n).for_each(|_| cells.add(&row, Sign::Add));
        }
        for &metric in estimable(&binary_task()) {
            let found = estimated(metric, &estimator, &cells).unwrap();
            let expected = expected(chunk, metric, "value");
            // Each of the 101 scores has a bin of its own, but the bins do not know that.
            assert!((found.value - expected).abs() < 1e-6, "{metric} {found:?} {expected}");
        }
    }
}

#[test]
fn sums_of_adult_stay_within_the_stated_bound() {
    let oracle = oracle("adult.json.gz");
    let (reference, current) = adult();
    let estimator = estimator(fit(&reference), Components::new(), reference.len() as u64);
    let mut from = 0;
    for (chunk, end) in oracle["chunks"].as_array().unwrap().iter().zip(ends(&oracle)) {
        let mut cells = estimator.cells(false);
        for &(score, positive, _) in &current[from..end] {
            cells.add(&estimator.binary(score, positive, 1.0), Sign::Add);
        }
        from = end;
        for &metric in estimable(&binary_task()) {
            let found = estimated(metric, &estimator, &cells).unwrap();
            let expected = chunk[metric.name()].as_f64().unwrap();
            let off = (found.value - expected).abs();
            assert!(off <= found.error_max + 1e-7, "{metric} {found:?} {expected}");
            assert!(found.error_max < 0.002, "{metric} {found:?}: a bound that says something");
        }
    }
}

#[test]
fn the_one_line_goes_from_the_estimate_to_what_is_measured() {
    let (reference, current) = adult();
    let estimator = estimator(fit(&reference), Components::new(), reference.len() as u64);
    let rows = &current[..4_000];
    let mut expected = estimator.cells(false);
    for &(score, positive, _) in rows {
        expected.add(&estimator.binary(score, positive, 1.0), Sign::Add);
    }
    let mut measured = PerformanceCells::new(&binary_task(), false, Resolution::Fine);
    let sums = WindowSums { expected: &expected, measured: None, open: None };
    for &metric in estimable(&binary_task()) {
        let (alone, line) =
            (estimated(metric, &estimator, &expected), combined(metric, &estimator, sums));
        assert_eq!(alone.unwrap().value, line.unwrap().value, "{metric}");
        assert!(graded(metric, &estimator, sums).is_none());
    }
    let mut widths: BTreeMap<Metric, Vec<f64>> = BTreeMap::new();
    for (at, &(score, positive, label)) in rows.iter().enumerate() {
        expected.label(&estimator.binary(score, positive, 1.0), Sign::Add);
        measured.add(&outcome(score, positive, label), Sign::Add);
        if ![999, 3_999].contains(&at) {
            continue;
        }
        let sums = WindowSums { expected: &expected, measured: Some(&measured), open: None };
        for &metric in estimable(&binary_task()) {
            let line = combined(metric, &estimator, sums).unwrap();
            if let Some(interval) = line.interval {
                widths.entry(metric).or_default().push(interval.upper - interval.lower);
            }
            if at == 3_999 {
                let truth = tidemark::engine::metric::estimate(metric, &measured).unwrap();
                let error = line.error_max + truth.error_max + 1e-9;
                assert!((line.value - truth.value).abs() <= error, "{metric}");
                let (expected, found) = graded(metric, &estimator, sums).unwrap();
                assert_eq!(found, truth.value);
                assert!((expected.value - found).abs() < 0.05, "{metric} {expected:?} {found}");
            }
        }
    }
    for (metric, widths) in widths {
        assert!(widths[0] > 0.003 && widths[1] < 1e-6, "{metric} {widths:?}");
    }
}

/// 1,000 worlds in which scores mean what they say: the interval of the one line holds what the
/// window will show in about 95% of them. (Binomial: fewer than 930 or more than 970 of 1,000 has a
/// chance under 1%.)
#[test]
fn the_interval_of_the_one_line_holds_the_final_value_in_95_of_100_worlds() {
    let estimator = estimator(None, Components::new(), 1_000);
    let metrics = [Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::F1, Metric::RocAuc];
    let mut held = [0; 5];
    for seed in 0..1_000 {
        let mut random = Random(seed);
        let rows: Vec<(f64, bool)> = (0..400)
            .map(|_| {
                let score = random.uniform();
                (score, random.uniform() < score)
            })
            .collect();
        let mut expected = estimator.cells(false);
        let mut early = PerformanceCells::new(&binary_task(), false, Resolution::Fine);
        let mut whole = early.clone();
        for (at, &(score, label)) in rows.iter().enumerate() {
            let row = estimator.binary(score, score >= 0.5, 1.0);
            expected.add(&row, Sign::Add);
            whole.add(&outcome(score, score >= 0.5, label), Sign::Add);
            if at % 3 == 0 {
                expected.label(&row, Sign::Add);
                early.add(&outcome(score, score >= 0.5, label), Sign::Add);
            }
        }
        let sums = WindowSums { expected: &expected, measured: Some(&early), open: None };
        for (held, metric) in held.iter_mut().zip(metrics) {
            let interval = combined(metric, &estimator, sums).unwrap().interval.unwrap();
            let last = tidemark::engine::metric::estimate(metric, &whole).unwrap().value;
            *held += i32::from((interval.lower..=interval.upper).contains(&last));
        }
    }
    assert!(held.iter().all(|held| (930..=970).contains(held)), "{held:?}");
}

#[test]
fn sums_of_expectations_keep_the_laws_of_sketches() {
    let mut random = Random(11);
    let estimator = estimator(None, Components::new(), 1_000);
    let mut row = |weight: f64| {
        let score = if random.below(9) == 0 { f64::NAN } else { random.uniform() };
        estimator.binary(score, random.below(2) == 1, weight)
    };
    let rows: Vec<ExpectedRow> = (0..200).map(|_| row(1.0)).collect();
    check_laws(&estimator.cells(false), &rows);
    let rows: Vec<ExpectedRow> = (0..200).map(|i| row(0.1 + f64::from(i % 7))).collect();
    let cells = check_laws(&estimator.cells(true), &rows);
    let mass = cells.all().mass();
    let weights: f64 =
        rows.iter().filter(|row| row.probabilities.is_some()).map(|row| row.weight).sum();
    assert!((mass.w - weights).abs() < 1e-6);
}

#[test]
fn several_classes_are_estimated_as_nannyml_does() {
    let oracle = oracle("multiclass.json.gz");
    let classes = ["a", "b", "c"];
    let table = |name: &str| -> Vec<([f64; 3], u16, usize)> {
        let code = |value: &Value| classes.iter().position(|class| value == class).unwrap();
        let p = |row: &Value, at: usize| row[at].as_f64().unwrap();
        let row =
            |row: &Value| ([p(row, 0), p(row, 1), p(row, 2)], code(&row[3]) as u16, code(&row[4]));
        oracle[name].as_array().unwrap().iter().map(row).collect()
    };
    let reference = table("reference");
    let map = |class: usize| {
        let mut rows: Vec<Labelled> = reference
            .iter()
            .map(|(p, _, label)| Labelled {
                score: p[class],
                positive: *label == class,
                weight: 1.0,
            })
            .collect();
        rows.sort_by(|a, b| a.score.total_cmp(&b.score));
        let map = fit(&rows);
        let theirs = oracle["gates"][classes[class]] == "IsotonicCalibrator";
        assert_eq!(map.is_some(), theirs, "the gate of {}", classes[class]);
        map
    };
    let right = reference.iter().filter(|(_, decision, label)| usize::from(*decision) == *label);
    let calibration = CalibrationReference {
        rows: 4_000,
        classes: classes.map(str::to_owned).to_vec(),
        maps: (0..3).map(map).collect(),
        sampling: components::multiclass(right.count() as u64, 4_000),
    };
    let profile = Profile { calibration: Some(calibration), ..empty_profile() };
    let task = Task::Multiclass { classes: classes.map(str::to_owned).to_vec(), top_k: vec![] };
    let estimator = Estimator::new(&profile, &task).unwrap();
    let names = ["accuracy", "precision", "recall", "f1"];
    for (chunk, rows) in
        oracle["chunks"].as_array().unwrap().iter().zip(table("current").chunks(500))
    {
        let mut cells = estimator.cells(false);
        for (p, decision, _) in rows {
            cells.add(&estimator.multiclass(p, *decision, 1.0), Sign::Add);
        }
        for (metric, name) in estimable(&task).iter().zip(names) {
            let found = estimated(*metric, &estimator, &cells).unwrap();
            let expected = chunk[name].as_f64().unwrap();
            assert!((found.value - expected).abs() < 1e-9, "{metric} {found:?} {expected}");
            if *metric == Metric::Accuracy {
                let error = chunk["accuracy_error"].as_f64().unwrap();
                let half = found.interval.unwrap().upper - found.value;
                assert!((half / 1.959_963_984_540_054 - error).abs() < 1e-9, "{half} {error}");
            }
        }
    }
}

/// Positives' labels come late: by this age one in five of theirs has come, four in five of the
/// others'. The one line allows for that as soon as it is known; without it, it is wrong.
#[test]
fn the_one_line_allows_for_labels_of_one_class_that_come_late() {
    let estimator = estimator(None, Components::new(), 1_000);
    let metrics = [Metric::Accuracy, Metric::Precision, Metric::Recall, Metric::RocAuc];
    let (mut held, mut naive) = ([0; 4], [0; 4]);
    for seed in 0..500 {
        let mut random = Random(seed);
        let mut expected = estimator.cells(false);
        let mut early = PerformanceCells::new(&binary_task(), false, Resolution::Fine);
        let mut whole = early.clone();
        for _ in 0..400 {
            let score = random.uniform();
            let label = random.uniform() < score;
            let row = estimator.binary(score, score >= 0.5, 1.0);
            expected.add(&row, Sign::Add);
            whole.add(&outcome(score, score >= 0.5, label), Sign::Add);
            if random.uniform() < if label { 0.2 } else { 0.8 } {
                expected.label(&row, Sign::Add);
                early.add(&outcome(score, score >= 0.5, label), Sign::Add);
            }
        }
        let open = Open { expected: expected.open(4.0), odds: 4.0 };
        let measured = Some(&early);
        let knowing = WindowSums { expected: &expected, measured, open: Some(&open) };
        let unknowing = WindowSums { expected: &expected, measured, open: None };
        for (at, metric) in metrics.into_iter().enumerate() {
            let last = tidemark::engine::metric::estimate(metric, &whole).unwrap().value;
            let holds = |sums| {
                let interval = combined(metric, &estimator, sums).unwrap().interval.unwrap();
                i32::from((interval.lower..=interval.upper).contains(&last))
            };
            held[at] += holds(knowing);
            naive[at] += holds(unknowing);
        }
    }
    // Of 500: 95% is 475; fewer than 460 has a chance under 1%.
    assert!(held.iter().all(|held| (460..=492).contains(held)), "{held:?}");
    // The errors of accuracy cancel here: as many are missing on one side as on the other.
    assert!(naive[1..].iter().all(|held| *held < 440), "{naive:?}");
}
