//! Intervals: equal to what other programs compute, and covering as often as they say.

use super::{binary, oracle, regression};
use crate::laws::Random;
use tidemark::engine::estimate::{Estimate, Interval};
use tidemark::engine::metric::interval::{clopper_pearson, median_ranks, wilson};
use tidemark::engine::metric::{Method, Metric, estimate};
use tidemark::engine::score::Resolution;
use tidemark::engine::sketch::{
    BinaryOutcome, Outcome, PerformanceCells, RegressionOutcome, Sign, Sketch,
};
use tidemark::engine::spec::Task;

fn assert_close(found: Option<Interval>, lower: f64, upper: f64, relative: f64) {
    let found = found.expect("there is an interval");
    for (found, expected) in [(found.lower, lower), (found.upper, upper)] {
        let off = (found - expected).abs();
        assert!(off <= relative * expected.abs(), "{found} not {expected}");
    }
}

#[test]
fn proportion_intervals_equal_statsmodels() {
    // statsmodels 0.15.0, proportion_confint(hits, rows, method="wilson" and "beta").
    let cases = [
        (0, 10, (0.0, 0.277_532_799_862_889_26), (0.0, 0.308_497_107_818_760_83)),
        (
            1,
            10,
            (0.017_876_213_095_072_924, 0.404_150_026_795_238_54),
            (0.002_528_578_544_461_785, 0.445_016_117_028_195_3),
        ),
        (
            5,
            10,
            (0.236_593_090_512_563_94, 0.763_406_909_487_436_1),
            (0.187_086_028_447_398_55, 0.812_913_971_552_601_5),
        ),
        (10, 10, (0.722_467_200_137_110_7, 1.0), (0.691_502_892_181_239_2, 1.0)),
        (
            87,
            100,
            (0.790_196_485_599_235_6, 0.922_428_325_727_594_9),
            (0.787_959_322_912_550_2, 0.928_926_953_814_570_5),
        ),
        (
            1,
            1000,
            (0.000_176_546_370_626_077_65, 0.005_642_558_597_957_937),
            (2.531_748_749_129_404e-5, 0.005_558_924_279_826_673),
        ),
        (
            8512,
            10_000,
            (0.844_089_835_624_492_5, 0.858_040_443_919_944_2),
            (0.844_072_481_711_546_5, 0.858_122_325_298_436_1),
        ),
    ];
    for (hits, rows, (lower, upper), (exact_lower, exact_upper)) in cases {
        assert_close(wilson(hits as f64 / rows as f64, rows as f64), lower, upper, 1e-12);
        assert_close(clopper_pearson(hits, rows), exact_lower, exact_upper, 1e-9);
    }
    assert_eq!(wilson(0.5, 0.0), None);
    assert_eq!(clopper_pearson(0, 0), None);
}

#[test]
fn the_ranks_around_a_median_equal_scipys_binomial_quantile() {
    // scipy 1.17.1, binom.ppf(0.025, n, 0.5).
    for (n, rank) in [(6, 1), (7, 1), (20, 6), (50, 18), (100, 40), (999, 469)] {
        assert_eq!(median_ranks(n), Some((rank, n + 1 - rank)));
    }
    assert_eq!(median_ranks(5), None);
    // Beyond, never inside the exact ranks (469 and 4,902).
    assert_eq!(median_ranks(1000), Some((469, 532)));
    assert_eq!(median_ranks(10_000), Some((4902, 5099)));
}

#[test]
fn the_interval_of_roc_auc_is_delongs_on_the_logit_scale() {
    let cases = oracle("binary");
    let case = cases.iter().find(|case| case["id"] == "bin_n200_ties").unwrap();
    let (rows, weighted) = binary::rows(case);
    let cells = of_rows(rows.into_iter(), weighted);
    let auc = estimate(Metric::RocAuc, &cells).unwrap();
    // numpy 2.4.6, DeLong's variance from the matrix of all 53 x 147 pairs. Each score has a bin of
    // its own, so the bins lose nothing.
    assert!((auc.value - 0.845_013_477_088_948_8).abs() < 1e-12);
    assert_close(auc.interval, 0.779_939_227_606_277_4, 0.893_472_897_760_623_8, 1e-9);
}

#[test]
fn intervals_of_mean_errors_equal_scipys() {
    let cases = oracle("regression");
    let of_case = |id: &str| {
        let case = cases.iter().find(|case| case["id"] == id).unwrap();
        let (rows, weighted) = regression::rows(case);
        let task = Task::Regression { center: 40.0, scale: 16.0 };
        let outcomes: Vec<Outcome> = rows.into_iter().map(Outcome::Regression).collect();
        super::cells_of(&task, weighted, &outcomes)
    };
    let cells = of_case("reg_n300");
    let interval = |metric| estimate(metric, &cells).unwrap().interval;
    // scipy 1.17.1, norm.interval(0.95, mean, sem) of |error|, error^2 and error.
    assert_close(interval(Metric::Mae), 4.460_085_706_257_689, 5.375_694_960_408_977, 1e-9);
    let (lower, upper) = (33.533_238_087_726_79, 47.464_167_193_139_886);
    assert_close(interval(Metric::Mse), lower, upper, 1e-9);
    assert_close(interval(Metric::Rmse), lower.sqrt(), upper.sqrt(), 1e-9);
    assert_close(interval(Metric::Bias), -2.015_196_514_818_107, -0.603_402_818_515_226_1, 1e-9);
    // scipy 1.17.1, quantile_test(p=0.5).confidence_interval(0.95); here to the bins' outer edges.
    let (lower, upper) = (3.194_500_000_000_001_4, 4.516_599_999_999_997);
    assert_close(interval(Metric::MedianAbsoluteError), lower, upper, 1.0 / 64.0);
    let found = interval(Metric::MedianAbsoluteError).unwrap();
    assert!(found.lower <= lower && upper <= found.upper);
    assert_eq!(interval(Metric::Mape), None);
    assert_eq!(interval(Metric::R2), None);

    // statsmodels 0.15.0, WLS on a constant with cov_type="HC0": 0.3382203952084889, times
    // sqrt(n / (n - 1)) with n = (sum w)^2 / sum w^2 = 146.1684.
    let mae = estimate(Metric::Mae, &of_case("reg_n300_w")).unwrap();
    let half = 1.959_963_984_540_054 * 0.339_383_320_218_343_44;
    assert_close(mae.interval, mae.value - half, mae.value + half, 1e-9);
}

#[test]
fn a_weighted_proportion_has_the_interval_of_its_effective_number_of_rows() {
    let row = |weight, label| BinaryOutcome { score: None, decision: true, label, weight };
    let rows = (0..100).map(|i| row(if i % 2 == 0 { 1.0 } else { 3.0 }, i % 4 < 2));
    // (sum w)^2 / sum w^2 = 200^2 / 500.
    let found = estimate(Metric::Precision, &of_rows(rows, true)).unwrap();
    assert_eq!((found.value, found.interval, found.support), (0.5, wilson(0.5, 80.0), 100));
    // Weights that are all alike count for nothing.
    let plain = of_rows((0..100).map(|i| row(1.0, i % 3 == 0)), false);
    let alike = of_rows((0..100).map(|i| row(0.25, i % 3 == 0)), true);
    for metric in [Metric::Accuracy, Metric::Precision, Metric::F1] {
        assert_eq!(estimate(metric, &plain), estimate(metric, &alike), "{metric}");
    }
}

#[test]
fn too_few_rows_have_no_interval() {
    let rows = |each: usize| {
        let row = move |i: usize| BinaryOutcome {
            score: Some((i as f64 * 0.37).fract()),
            decision: i.is_multiple_of(3),
            label: i.is_multiple_of(2),
            weight: 1.0,
        };
        of_rows((0..2 * each).map(row), false)
    };
    let interval = |metric, cells: &_| estimate(metric, cells).unwrap().interval;
    assert_eq!(interval(Metric::RocAuc, &rows(19)), None);
    assert!(interval(Metric::RocAuc, &rows(20)).is_some());
    assert_eq!(interval(Metric::LogLoss, &rows(9)), None);
    assert!(interval(Metric::LogLoss, &rows(10)).is_some());
    // A score that separates the classes leaves nothing to measure the distance from 1 with.
    let perfect = (0..2000).map(|i| BinaryOutcome {
        score: Some(f64::from(i) / 2000.0),
        decision: i >= 1000,
        label: i >= 1000,
        weight: 1.0,
    });
    let nearly = perfect.clone().map(|row| BinaryOutcome {
        score: row.score.map(|score| if score == 0.25 { 0.502 } else { score }),
        ..row
    });
    let (perfect, nearly) = (of_rows(perfect, false), of_rows(nearly, false));
    assert_eq!(interval(Metric::RocAuc, &perfect), None);
    let auc = estimate(Metric::RocAuc, &nearly).unwrap();
    assert!(auc.value < 1.0 && auc.value > 0.999_99 && auc.interval.is_none(), "{auc:?}");
    assert!(interval(Metric::Accuracy, &perfect).is_some());
}

#[test]
fn wilson_intervals_cover_95_percent_on_average() {
    let mut random = Random(20_260_101);
    let mut covered = Vec::new();
    for truth in [0.02, 0.1, 0.25, 0.5, 0.8, 0.95] {
        covered.push(coverage(600, truth, || {
            let label = |random: &mut Random| random.uniform() < truth;
            let row = |random: &mut Random| BinaryOutcome {
                score: None,
                decision: true,
                label: label(random),
                weight: 1.0,
            };
            let cells = of_rows((0..80).map(|_| row(&mut random)), false);
            estimate(Metric::Precision, &cells)
        }));
    }
    let mean = covered.iter().sum::<f64>() / covered.len() as f64;
    assert!((0.935..=0.975).contains(&mean), "{covered:?}");
    assert!(covered.iter().all(|&share| share >= 0.85), "{covered:?}");
}

#[test]
fn f1_intervals_cover_95_percent_with_few_positives() {
    let mut random = Random(20_260_102);
    // 50 rows with 5% positives, 70% of which are found, and 2% of the others.
    let (positives, recall, fall_out) = (0.05, 0.7, 0.02);
    let (hit, miss, false_alarm) =
        (positives * recall, positives * (1.0 - recall), (1.0 - positives) * fall_out);
    let truth = 2.0 * hit / (2.0 * hit + miss + false_alarm);
    let share = coverage(2000, truth, || {
        let row = |random: &mut Random| {
            let label = random.uniform() < positives;
            let decision = random.uniform() < if label { recall } else { fall_out };
            BinaryOutcome { score: None, decision, label, weight: 1.0 }
        };
        let cells = of_rows((0..50).map(|_| row(&mut random)), false);
        estimate(Metric::F1, &cells)
    });
    assert!((0.93..=0.99).contains(&share), "{share}");
}

#[test]
fn roc_auc_intervals_cover_95_percent_with_25_rows_a_class() {
    let mut random = Random(20_260_103);
    // Normal scores one standard deviation apart, squeezed into [0, 1]: AUC is Phi(1 / sqrt 2).
    let truth = 0.760_249_938_906_524;
    let share = coverage(2000, truth, || {
        let row = |i: usize, random: &mut Random| {
            let label = i.is_multiple_of(2);
            let score = random.normal() + f64::from(u8::from(label));
            let score = Some(1.0 / (1.0 + (-score).exp()));
            BinaryOutcome { score, decision: label, label, weight: 1.0 }
        };
        let cells = of_rows((0..50).map(|i| row(i, &mut random)), false);
        estimate(Metric::RocAuc, &cells)
    });
    assert!((0.935..=0.975).contains(&share), "{share}");
}

#[test]
fn a_metric_says_that_it_has_no_interval_exactly_where_it_never_has_one() {
    let binary = of_rows(
        (0..400).map(|i| BinaryOutcome {
            score: Some((f64::from(i) * 0.37).fract()),
            decision: i % 3 == 0,
            label: i % 2 == 0,
            weight: 1.0,
        }),
        false,
    );
    let task = Task::Regression { center: 0.0, scale: 1.0 };
    let outcomes: Vec<Outcome> = (0..400)
        .map(|i| (f64::from(i), f64::from(i) + (f64::from(i) * 0.37).fract()))
        .map(|(label, prediction)| RegressionOutcome { prediction, label, weight: 1.0 })
        .map(Outcome::Regression)
        .collect();
    let regression = super::cells_of(&task, false, &outcomes);
    for (cells, task) in [(binary, binary::task()), (regression, task)] {
        for metric in Metric::of_task(&task) {
            let found = estimate(metric, &cells).unwrap();
            let says = matches!(metric.interval_method(), Method::By(_));
            assert_eq!(found.interval.is_some(), says, "{metric}: {found:?}");
        }
    }
    for metric in Metric::ALL {
        let text = metric.interval_method().text();
        assert!(text.ends_with('.') && text.len() > 30, "{metric}: {text}");
    }
}

/// The share of `trials` whose interval holds the truth, among those that have one.
fn coverage(trials: usize, truth: f64, mut trial: impl FnMut() -> Option<Estimate>) -> f64 {
    let intervals: Vec<Interval> =
        (0..trials).filter_map(|_| trial().and_then(|found| found.interval)).collect();
    assert!(intervals.len() * 10 > trials * 8, "most trials have an interval");
    let holds = |interval: &&Interval| interval.lower <= truth && truth <= interval.upper;
    intervals.iter().filter(holds).count() as f64 / intervals.len() as f64
}

fn of_rows(rows: impl Iterator<Item = BinaryOutcome>, weighted: bool) -> PerformanceCells {
    let mut cells = PerformanceCells::new(&binary::task(), weighted, Resolution::Fine);
    for row in rows {
        cells.add(&Outcome::Binary(row), Sign::Add);
    }
    cells
}
