//! Laws, bounds and sums, each against another program.

use super::{assert_close, number, oracle};
use serde_json::Value;
use tidemark::engine::alarm::budget;
use tidemark::engine::alarm::design::effect;
use tidemark::engine::alarm::detector::{Detector, Evidence};
use tidemark::engine::alarm::expect;
use tidemark::engine::alarm::loss::{evidence, level, null};
use tidemark::engine::alarm::noncentral::{survival, upper_quantile};
use tidemark::engine::alarm::ranking;
use tidemark::engine::alarm::share::{self, Hits, upper_bound, upper_tail};
use tidemark::engine::alarm::shift::{GROUPS_MAX, Order, Terms, compare, grouped, groups, radius};
use tidemark::engine::drift::Statistic;
use tidemark::engine::estimate::{Estimate, Interval};
use tidemark::engine::metric::{Metric, estimate};
use tidemark::engine::score::Resolution;
use tidemark::engine::sketch::{BinaryOutcome, Outcome, PerformanceCells, Sign, Sketch};
use tidemark::engine::spec::Task;
use tidemark::engine::time::Span;

fn counts(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
}

#[test]
fn tails_and_quantiles_of_the_noncentral_law_are_scipys() {
    for case in oracle("noncentral") {
        let [degrees, shift, x, expected] = [0, 1, 2, 3].map(|at| number(&case[at]));
        assert_close(survival(x, degrees, shift), expected, 1e-6);
        assert_close(upper_quantile(expected, degrees, shift).unwrap(), x, 1e-7);
    }
    // Far out nothing vanishes or overflows.
    assert_eq!(survival(0.0, 9.0, 5.0), 1.0);
    assert_eq!(survival(1e9, 9.0, 5.0), 0.0);
    assert!((0.4..0.6).contains(&survival(1e7 + 9.0, 9.0, 1e7)));
}

#[test]
fn a_shift_is_judged_as_scipy_judges_it() {
    for case in oracle("drift") {
        let terms = Terms {
            design: number(&case["design"]),
            reference_design: number(&case["reference_design"]),
            material: number(&case["material"]),
        };
        let (reference, current) = (counts(&case["reference"]), counts(&case["current"]));
        let found = compare(&reference, &current, Order::Ordered, &terms).unwrap();
        assert_close(found.statistic, number(&case["statistic"]), 1e-9);
        assert_close(found.p_value(), number(&case["p_value"]), 1e-7);
        assert_close(found.cut(number(&case["alpha"])).unwrap(), number(&case["cut"]), 1e-7);
        let rows = reference.iter().sum::<u64>() as f64 / terms.reference_design;
        let radius = radius(found.degrees, rows).unwrap();
        assert_close(radius, number(&case["radius"]), 1e-9);
    }
}

#[test]
fn bins_are_merged_until_each_expects_ten_rows() {
    let terms = Terms { design: 1.0, reference_design: 1.0, material: 0.01 };
    let reference = [0, 400, 100, 300, 150, 50, 0];
    // 100 rows: expected 0 40 10 30 15 5 0, so 40 10 30 20 in four bins.
    let found = compare(&reference, &[1, 40, 10, 29, 15, 5, 0], Order::Ordered, &terms).unwrap();
    assert_eq!(found.degrees, 3.0);
    // A design effect of 2: 20 5 15 7.5 2.5 are 20, 20 and 10.
    let halved = Terms { design: 2.0, ..terms };
    let found = compare(&reference, &[1, 40, 10, 29, 15, 5, 0], Order::Ordered, &halved).unwrap();
    assert_eq!((found.degrees, found.rows), (2.0, 50.0));
    // Categories: the least ones together, wherever they stand.
    let found = compare(&[40, 5, 45, 5, 5], &[40, 5, 45, 5, 5], Order::Unordered, &terms).unwrap();
    assert_eq!(found.degrees, 2.0);
    assert_eq!(compare(&[10, 10], &[5, 6], Order::Ordered, &terms), None, "too few rows");
    assert_eq!(compare(&[10, 10], &[0, 0], Order::Ordered, &terms), None);
    assert_eq!(compare(&[0, 0], &[50, 60], Order::Ordered, &terms), None);
}

#[test]
fn many_categories_are_dealt_into_groups_of_like_size_by_the_reference_alone() {
    let reference: Vec<u64> = (1..=200).rev().chain([0, 0]).collect();
    let group = groups(&reference, Order::Unordered);
    let sums = grouped(reference.iter().copied(), &group);
    assert_eq!(sums.len(), GROUPS_MAX);
    assert_eq!(sums.iter().sum::<u64>(), 20_100);
    assert!(sums.iter().max().unwrap() - sums.iter().min().unwrap() < 20, "{sums:?}");
    // What the reference lacks is somewhere, so that rows of it count.
    assert_eq!(group.len(), 202);
    assert_eq!(groups(&[5, 4, 0], Order::Unordered), [0, 1, 2]);
}

#[test]
fn shares_are_judged_as_scipy_judges_them() {
    for case in oracle("shares") {
        let whole = |name: &str| case[name].as_u64().unwrap();
        let reference = Hits::new(whole("reference_hits"), whole("reference_rows"));
        assert_close(upper_bound(reference).unwrap(), number(&case["upper"]), 1e-9);
        let current = Hits::new(whole("hits"), whole("rows"));
        let found = share::compare(current, reference, number(&case["margin"])).unwrap();
        assert_close(found.bound, number(&case["bound"]), 1e-9);
        assert_close(found.p_value, number(&case["p_value"]), 1e-7);
    }
    assert_eq!(upper_bound(Hits::new(0, 0)), None);
    assert_eq!(upper_bound(Hits::new(7, 7)), Some(1.0));
    assert_eq!(upper_tail(Hits::new(0, 7), 0.1), Some(1.0));
    assert_eq!(upper_tail(Hits::new(1, 7), 0.0), Some(0.0));
    // Half as informative: the same share, a weaker answer.
    let strong = upper_tail(Hits::new(40, 100), 0.2).unwrap();
    let weak = upper_tail(Hits::new(40, 100).over(2.0), 0.2).unwrap();
    assert!(strong < weak && weak < 0.01, "{strong} {weak}");
}

#[test]
fn evidence_adds_up_as_numpy_adds_it() {
    for case in oracle("detector") {
        let mut detector = Detector::default();
        let panes = case["panes"].as_array().unwrap();
        for (pane, expected) in panes.iter().zip(case["log_evidence"].as_array().unwrap()) {
            let evidence = Evidence { rows: number(&pane[0]), loss: number(&pane[1]) };
            let found = detector.step(evidence, number(&case["null"]));
            assert!((found - number(expected)).abs() < 1e-9, "{found} is not {expected}");
        }
    }
    // A million wrong rows are no overflow, and a million right ones no end.
    let mut detector = Detector::default();
    let all = Evidence { rows: 1e6, loss: 1e6 };
    assert!(detector.step(all, 0.1).is_finite());
    let none = Evidence { rows: 1e6, loss: 0.0 };
    assert!(detector.step(Evidence { rows: 1e7, loss: 0.0 }, 0.1) < 1e7);
    assert!(Detector::default().step(none, 0.1) < 0.0);
}

#[test]
fn the_budget_is_divided_by_what_can_be_asked_in_a_week() {
    let day = Span::from_hours(24);
    assert_close(budget::alpha(0.5, day, 480), 0.5 / 7.0 / 480.0, 1e-12);
    assert_eq!(budget::alpha(1_000.0, day, 1), 0.05);
    assert_close(budget::run_length(0.5, Span::from_hours(1), 8), 168.0 * 8.0 / 0.5, 1e-12);
    assert_eq!(budget::run_length(1e9, day, 1), 20.0);
    assert_eq!((budget::part(1.0, 2, 1), budget::part(1.0, 2, 0)), (0.25, 0.5));
}

fn binary(rows: &[(bool, bool, u32)]) -> PerformanceCells {
    let task = Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 };
    let mut cells = PerformanceCells::new(&task, false, Resolution::Fine);
    for &(decision, label, times) in rows {
        let score = Some(if decision { 0.75 } else { 0.25 });
        let outcome = BinaryOutcome { score, decision, label, weight: 1.0 };
        for _ in 0..times {
            cells.add(&Outcome::Binary(outcome), Sign::Add);
        }
    }
    cells
}

#[test]
fn each_metric_is_a_loss_over_its_own_rows() {
    // tp 40, fp 10, fn 20, tn 130
    let cells =
        binary(&[(true, true, 40), (true, false, 10), (false, true, 20), (false, false, 130)]);
    let of = |metric| evidence(metric, &cells).map(|found| (found.rows, found.loss));
    assert_eq!(of(Metric::Accuracy), Some((200.0, 30.0)));
    assert_eq!(of(Metric::Precision), Some((50.0, 10.0)));
    assert_eq!(of(Metric::Recall), Some((60.0, 20.0)));
    assert_eq!(of(Metric::Specificity), Some((140.0, 10.0)));
    assert_eq!(of(Metric::F1), Some((70.0, 30.0)));
    // (170 * 0.0625 + 30 * 0.5625)
    let (rows, loss) = of(Metric::Brier).unwrap();
    assert_eq!(rows, 200.0);
    assert_close(loss, 27.5, 1e-9);
    assert_eq!((of(Metric::LogLoss), of(Metric::RocAuc), of(Metric::Mcc)), (None, None, None));
    assert_eq!(evidence(Metric::Precision, &binary(&[(false, true, 5)])), None);
}

#[test]
fn the_bound_lies_a_margin_beyond_what_the_baseline_allows() {
    let of = |value, support| Estimate::exact(value, None, support);
    // scipy.stats.beta.ppf(.99, 151, 850): 99% bound of 150 wrong of 1,000
    let upper = 0.178_156_952_705_734_7;
    let found = null(Metric::Accuracy, &of(0.85, 1_000), 0.02, 1.0).unwrap();
    assert_close(found, upper + 0.02, 1e-8);
    assert_close(level(Metric::Accuracy, found), 1.0 - upper - 0.02, 1e-8);
    // F1 of 0.75 is J of 0.6: 60 of 100.
    let f1 = null(Metric::F1, &of(0.75, 100), 0.03, 1.0).unwrap();
    let loss = upper_bound(Hits::new(40, 100)).unwrap();
    let allowed = 2.0 * (1.0 - loss) / (2.0 - loss);
    assert_close(level(Metric::F1, f1), allowed - 0.03, 1e-9);
    // A mean by its interval: 1.96 becomes 2.33 standard errors.
    let interval = Some(Interval { lower: 0.09, upper: 0.11 });
    let brier = Estimate { interval, ..of(0.1, 5_000) };
    assert_close(null(Metric::Brier, &brier, 0.01, 1.0).unwrap(), 0.121_869_339_908_237, 1e-9);
    // Repeating rows say less.
    assert!(null(Metric::Accuracy, &of(0.85, 1_000), 0.02, 3.0).unwrap() > found);
    assert_eq!(null(Metric::Accuracy, &of(0.1, 10), 0.5, 1.0), None, "nothing could pass it");
    assert_eq!(null(Metric::Accuracy, &of(0.9, 0), 0.02, 1.0), None);
    assert_eq!(null(Metric::Mae, &of(0.9, 100), 0.02, 1.0), None);
}

#[test]
fn an_auc_is_judged_on_the_logit_scale_and_only_where_that_is_honest() {
    let mut rows = Vec::new();
    rows.extend([(true, true, 80), (false, true, 20), (true, false, 30), (false, false, 70)]);
    let cells = binary(&rows);
    // Two score levels: AUC = .8 * .7 + .5 * (.8 * .3 + .2 * .7) = .75
    let auc = estimate(Metric::RocAuc, &cells).unwrap();
    assert_close(auc.value, 0.75, 1e-12);
    let bound = ranking::bound(&auc, 0.01, 1.0).unwrap();
    assert!(bound < auc.interval.unwrap().lower, "99% is farther than 97.5%");
    let (p_value, value) = ranking::p_value(&cells, auc.interval.unwrap().upper, 1.0).unwrap();
    assert_close(value, 0.75, 1e-12);
    assert_close(p_value, 0.025, 1e-6);
    let (at_value, _) = ranking::p_value(&cells, 0.75, 1.0).unwrap();
    assert_close(at_value, 0.5, 1e-9);
    let few = binary(&[(true, true, 10), (false, false, 70), (true, false, 10)]);
    assert_eq!(ranking::p_value(&few, 0.9, 1.0), None);
    assert_eq!(ranking::bound(&Estimate::exact(1.0, None, 100), 0.01, 1.0), None);
}

#[test]
fn repeated_rows_show_as_a_design_effect() {
    // Every row twice: twice the variance of independent rows.
    let mut random = fastrand::Rng::with_seed(7);
    let mut block = |times: u32| {
        let mut counts = vec![0; 10];
        (0..100).for_each(|_| counts[random.usize(0..10)] += times);
        counts
    };
    let single: Vec<Vec<u32>> = (0..200).map(|_| block(1)).collect();
    let twice: Vec<Vec<u32>> = (0..200).map(|_| block(2)).collect();
    let (single, twice) = (effect(&single), effect(&twice));
    assert!((1.0..1.15).contains(&single), "{single}");
    assert!((1.9..2.3).contains(&twice), "{twice}");
    assert_eq!(effect(&[vec![5, 5], vec![9, 1]]), 1.0, "two stretches say nothing");
    assert_eq!(effect(&vec![vec![100, 0]; 20]), 1.0, "one value says nothing");
}

#[test]
fn thresholds_of_ones_own_are_told_what_to_expect() {
    let deciles = [1_000; 10];
    // scipy.stats.chi2.sf(.1 / (1 / 100 + 1 / 10_000), 9)
    let psi = expect::drift(Statistic::Psi, 0.1, &deciles, 100.0).unwrap();
    assert_close(psi, 0.358_559_995_753_903_4, 1e-9);
    // scipy.special.kolmogorov(.1 / sqrt(1 / 300 + 1 / 10_000))
    let ks = expect::drift(Statistic::Ks, 0.1, &deciles, 300.0).unwrap();
    assert_close(ks, 0.005_904_174_926_718_962, 1e-6);
    assert_eq!(expect::drift(Statistic::Wasserstein, 0.1, &deciles, 300.0), None);
    assert_eq!(expect::drift(Statistic::Psi, 0.1, &[10], 300.0), Some(0.0));
    assert_close(expect::at_least(1, &[0.5, 0.5]), 0.75, 1e-12);
    assert_close(expect::at_least(2, &[0.5, 0.5, 0.5]), 0.5, 1e-12);
    assert_eq!(expect::at_least(1, &[]), 0.0);
    // scipy.stats.binom.cdf(79, 100, .85): value below .80
    let value = expect::share(0.85, 0.8, true, false, 100).unwrap();
    assert_close(value, 0.066_319_765_818_878_82, 1e-9);
    let above = expect::share(0.15, 0.2, false, false, 100).unwrap();
    assert_close(above, value, 1e-9);
    let sure = expect::share(0.85, 0.8, true, true, 100).unwrap();
    // scipy.stats.binom.cdf(72, 100, .85): with 73 Wilson's upper end is .8077
    assert_close(sure, 0.000_612_920_643_315_641_1, 1e-9);
    assert_eq!(expect::share(0.85, 0.8, true, true, 0), None);
}
