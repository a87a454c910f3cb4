//! The laws of the sketch, and what enters a statistic and what does not.

use super::{all_rows, categorical_column, close, numeric_reference};
use proptest::prelude::*;
use tidemark::engine::drift::{Statistic, feature_drift, statistic};
use tidemark::engine::estimate::Estimate;
use tidemark::engine::event::{CLASS_NONE, CLASS_OTHER, CellState, FeatureColumn, NumericColumn};
use tidemark::engine::reference::{CategoricalReference, Category, Distribution, FeatureReference};
use tidemark::engine::sketch::feature::{FeatureLayout, FeatureSketch};
use tidemark::engine::spec::{FeatureKind, Task};

fn small_numeric_layout() -> FeatureLayout {
    let edges = [-2.0, -1.0, 0.0, 0.0f64.next_up(), 3.5];
    FeatureLayout::numeric(&numeric_reference(&edges, &[5, 7, 11, 13])).unwrap()
}

fn any_cell() -> impl Strategy<Value = (f64, CellState)> {
    let state = prop_oneof![
        8 => Just(CellState::Present),
        1 => Just(CellState::Missing),
        1 => Just(CellState::Null),
        1 => Just(CellState::NonFinite),
        1 => Just(CellState::Invalid),
    ];
    let value = prop_oneof![
        -4.0..5.0f64,
        Just(0.0),
        Just(-0.0),
        Just(3.5),
        any::<f64>().prop_filter("a decoder lets only finite numbers through", |x| x.is_finite()),
    ];
    (value, state)
}

fn bytes(sketch: &FeatureSketch) -> Vec<u8> {
    serde_json::to_vec(sketch).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn any_split_and_any_order_of_rows_give_the_same_sketch_to_the_bit(
        cells in prop::collection::vec(any_cell(), 0..200),
        at in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let layout = small_numeric_layout();
        let column = FeatureColumn::Numeric(NumericColumn {
            values: cells.iter().map(|cell| cell.0).collect(),
            states: cells.iter().map(|cell| cell.1).collect(),
        });
        let rows = all_rows(&column);
        let mut whole = FeatureSketch::default();
        whole.fold(&layout, &column, &rows);
        prop_assert_eq!(whole.total(), rows.len() as u64);

        let mut shuffled = rows.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        let cut = if rows.is_empty() { 0 } else { at.index(rows.len()) };
        let (mut left, mut right) = (FeatureSketch::default(), FeatureSketch::default());
        left.fold(&layout, &column, &shuffled[..cut]);
        right.fold(&layout, &column, &shuffled[cut..]);
        let mut other_way = right.clone();
        other_way.merge(&left);
        left.merge(&right);
        prop_assert_eq!(bytes(&left), bytes(&other_way));
        let mut empty = FeatureSketch::default();
        prop_assert!(empty.is_empty());
        empty.merge(&left);
        prop_assert_eq!(bytes(&empty), bytes(&left));
        if !rows.is_empty() {
            prop_assert_eq!(bytes(&left), bytes(&whole));
        }
        let read: FeatureSketch = serde_json::from_slice(&bytes(&left)).unwrap();
        prop_assert_eq!(read, left);
        for which in Statistic::ALL {
            if let Some(found) = statistic(which, &layout, &whole) {
                prop_assert!(found.value.is_finite() && found.value >= 0.0 && found.support > 0);
            }
        }
    }

    #[test]
    fn a_number_falls_into_the_bin_whose_edges_hold_it(
        x in prop_oneof![-2.0..=3.5f64, Just(-2.0), Just(-1.0), Just(0.0), Just(3.5)],
    ) {
        let layout = small_numeric_layout();
        let edges = [-2.0, -1.0, 0.0, 0.0f64.next_up(), 3.5];
        let mut sketch = FeatureSketch::default();
        sketch.fold_numbers(&layout, &[x], &[0]);
        let bin = sketch.counts.as_slice().iter().position(|&count| count == 1).unwrap();
        let last = x == 3.5 && bin == 3;
        prop_assert!(edges[bin] <= x && (x < edges[bin + 1] || last));
    }
}

#[test]
fn both_zeros_are_the_same_value() {
    for zero in [0.0, -0.0] {
        let edges = [-1.0, zero, 0.0f64.next_up(), 1.0];
        let layout = FeatureLayout::numeric(&numeric_reference(&edges, &[1, 5, 1])).unwrap();
        let mut sketch = FeatureSketch::default();
        sketch.fold_numbers(&layout, &[0.0, -0.0], &[0, 1]);
        assert_eq!(sketch.counts.as_slice(), [0, 2, 0]);
    }
}

#[test]
fn every_row_is_counted_in_exactly_one_place() {
    let layout = small_numeric_layout();
    let states = [
        CellState::Present,
        CellState::Present,
        CellState::Present,
        CellState::Missing,
        CellState::Null,
        CellState::NonFinite,
        CellState::Invalid,
    ];
    let column = FeatureColumn::Numeric(NumericColumn {
        values: vec![-5.0, 1.0, 13.5, 0.0, 0.0, 0.0, 0.0],
        states: states.to_vec(),
    });
    let mut sketch = FeatureSketch::default();
    sketch.fold(&layout, &column, &[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!((sketch.below, sketch.above), (1, 1));
    assert_eq!((sketch.missing, sketch.null, sketch.non_finite, sketch.invalid), (1, 1, 1, 1));
    assert_eq!((sketch.values(), sketch.total()), (3, 7));
    // Only the chosen rows count.
    let mut chosen = FeatureSketch::default();
    chosen.fold(&layout, &column, &[1, 6]);
    assert_eq!((chosen.values(), chosen.invalid, chosen.total()), (1, 1, 2));
}

fn category(value: &str, count: u64) -> Category {
    Category { value: value.into(), count }
}

fn colours() -> FeatureReference {
    let categories = vec![category("red", 60), category("green", 25), category("blue", 10)];
    FeatureReference {
        name: "colour".into(),
        missing: 3,
        null: 1,
        invalid: 1,
        non_finite: 0,
        distribution: Distribution::Categorical(CategoricalReference { categories, other: 5 }),
    }
}

#[test]
fn shares_of_missing_invalid_and_new_values_are_apart_from_the_statistics() {
    let reference = colours();
    let dictionary: Vec<String> = ["blue", "green", "pink", "red"].map(String::from).to_vec();
    let kind = FeatureKind::Categorical { dictionary: dictionary.clone().into() };
    let layout = FeatureLayout::new(&kind, &reference).unwrap();
    let present = ["red"; 6].into_iter().chain(["green", "green", "pink", "mauve"]);
    let mut values: Vec<Option<String>> = present.map(|value| Some(value.into())).collect();
    values.extend([None, None]);
    let column = categorical_column(&values, &dictionary);
    let mut sketch = FeatureSketch::default();
    sketch.fold(&layout, &column, &all_rows(&column));
    let drift = feature_drift(&reference, &layout, &sketch).unwrap();
    assert_eq!(drift.feature, "colour");
    assert_eq!(drift.current_rows, 12);
    assert_eq!(drift.missing_share, 2.0 / 12.0);
    assert_eq!(drift.invalid_share, 0.0);
    // pink is in the model's dictionary (another version's profile lists it), mauve in none.
    assert_eq!(drift.new_share, Some(0.2));
    assert_eq!(drift.out_of_range_share, None);
    assert_eq!(drift.reference_new_share, Some(0.05));
    assert_eq!(drift.reference_missing_share, Some(4.0 / 105.0));
    let names: Vec<&str> = drift.statistics.iter().map(|(which, _)| which.name()).collect();
    assert_eq!(names, ["psi", "js", "chi_square", "l_infinity"]);
    // The greatest difference of shares: 0.2 of new values against the 0.05 that the reference has.
    let greatest = drift.statistic(Statistic::LInfinity).unwrap();
    assert!(close(greatest.value, 0.15), "{greatest:?}");
    assert_eq!(greatest.support, 10);
    assert_eq!(drift.ranking(), drift.statistic(Statistic::Js).map(|estimate| estimate.value));
}

#[test]
fn a_window_without_rows_has_no_drift_and_one_without_values_has_shares_only() {
    let reference = colours();
    let dictionary: Vec<String> = vec!["red".into()];
    let kind = FeatureKind::Categorical { dictionary: dictionary.clone().into() };
    let layout = FeatureLayout::new(&kind, &reference).unwrap();
    let mut sketch = FeatureSketch::default();
    assert_eq!(feature_drift(&reference, &layout, &sketch), None);
    let column = categorical_column(&[None], &dictionary);
    sketch.fold(&layout, &column, &[0]);
    let drift = feature_drift(&reference, &layout, &sketch).unwrap();
    assert_eq!(drift.statistics, []);
    assert_eq!((drift.missing_share, drift.new_share), (1.0, None));
}

#[test]
fn numbers_beyond_the_range_enter_as_bins_of_their_own_with_their_distance() {
    let edges = [0.0, 1.0, 2.0];
    let mut reference = numeric_reference(&edges, &[50, 50]);
    reference.std = 0.5;
    let layout = FeatureLayout::numeric(&reference).unwrap();
    let mut sketch = FeatureSketch::default();
    sketch.fold_numbers(&layout, &[-1.0, 4.0, 0.5, 1.5], &[0, 1, 2, 3]);
    let found = |which| statistic(which, &layout, &sketch).unwrap();
    // By hand: shares 0, .5, .5, 0 against .25, .25, .25, .25.
    assert!(close(found(Statistic::LInfinity).value, 0.25));
    assert!(close(found(Statistic::Ks).value, 0.25));
    // Tails (1 + 2) / 4; within, two triangles of each .25 * 1 / 2: (0.75 + 0.25) / 0.5.
    assert!(close(found(Statistic::Wasserstein).value, 2.0), "{:?}", found(Statistic::Wasserstein));
    // Too far to be summed: counted, cut and still a number.
    let far = [f64::MAX, -f64::MAX];
    sketch.fold_numbers(&layout, &far, &[0, 1]);
    assert_eq!(sketch.clipped, 2);
    assert!(found_is_finite(&statistic(Statistic::Wasserstein, &layout, &sketch)));
}

fn found_is_finite(estimate: &Option<Estimate>) -> bool {
    estimate.is_some_and(|estimate| estimate.value.is_finite())
}

#[test]
fn values_that_move_within_the_wide_outer_bins_are_seen() {
    let edges = [-100.0, -1.0, 0.0, 0.0f64.next_up(), 1.0, 100.0];
    let mut reference = numeric_reference(&edges, &[10, 0, 80, 0, 10]);
    // Ten rows of -100, eighty of 0 and ten of 1.
    (reference.sums, reference.std) = (vec![-1000.0, 0.0, 0.0, 0.0, 10.0], 2.0);
    let layout = FeatureLayout::numeric(&reference).unwrap();
    let mut sketch = FeatureSketch::default();
    let values: Vec<f64> = [vec![-60.0; 10], vec![0.0; 80], vec![81.0; 10]].concat();
    sketch.fold_numbers(&layout, &values, &(0..100).collect::<Vec<u32>>());
    // A tenth moved by 40, a tenth by 80.
    let found = statistic(Statistic::Wasserstein, &layout, &sketch).unwrap();
    assert!(close(found.value, (4.0 + 8.0) / 2.0), "{found:?}");
}

#[test]
fn predicted_classes_are_counted_by_code_with_none_and_other_apart() {
    let categories = vec![category("1", 30), category("0", 6), category("-1", 4)];
    let reference = CategoricalReference { categories, other: 0 };
    // The task need not name the negative class: all that is not positive is.
    for negative_class in [None, Some("0".to_owned())] {
        let task = Task::Binary { positive_class: "1".into(), negative_class, threshold: 0.5 };
        let layout = FeatureLayout::classes(&reference, &task).unwrap();
        let mut sketch = FeatureSketch::default();
        sketch.fold_classes(&layout, &[1, 0, 1, CLASS_NONE, CLASS_OTHER], &[0, 1, 2, 3, 4]);
        assert_eq!(sketch.counts.as_slice(), [1, 2]);
        assert_eq!((sketch.missing, sketch.new), (1, 1));
        // Shares of "not 1", "1" and new: 1/4, 1/2 and 1/4, in the reference 1/4, 3/4 and 0.
        let found = statistic(Statistic::LInfinity, &layout, &sketch).unwrap();
        assert!(close(found.value, 0.25), "{found:?}");
        let same: Vec<u16> = [vec![1; 3], vec![0]].concat();
        let mut sketch = FeatureSketch::default();
        sketch.fold_classes(&layout, &same, &[0, 1, 2, 3]);
        assert_eq!(statistic(Statistic::Js, &layout, &sketch).unwrap().value, 0.0);
    }
    let classes = ["-1", "0", "1"].map(String::from).to_vec();
    let task = Task::Multiclass { classes, top_k: vec![] };
    let layout = FeatureLayout::classes(&reference, &task).unwrap();
    let mut sketch = FeatureSketch::default();
    sketch.fold_classes(&layout, &[0, 1, 2, 2], &[0, 1, 2, 3]);
    let found = statistic(Statistic::LInfinity, &layout, &sketch).unwrap();
    assert!(close(found.value, 0.25), "{found:?}");
    let task = Task::Regression { center: 0.0, scale: 1.0 };
    assert!(FeatureLayout::classes(&reference, &task).is_none());
}

#[test]
fn a_layout_is_refused_for_a_feature_of_the_other_kind_and_a_wrong_column_counts_as_invalid() {
    let reference = colours();
    assert!(FeatureLayout::new(&FeatureKind::Numeric, &reference).is_none());
    let layout = small_numeric_layout();
    let mut sketch = FeatureSketch::default();
    let column = categorical_column(&[Some("red".into())], &[]);
    sketch.fold(&layout, &column, &[0]);
    assert_eq!((sketch.invalid, sketch.total()), (1, 1));
}

#[test]
fn statistics_are_written_as_they_are_read() {
    for which in Statistic::ALL {
        assert_eq!(which.name().parse(), Ok(which));
        let json = serde_json::to_string(&which).unwrap();
        assert_eq!(json, format!("\"{which}\""));
        assert_eq!(serde_json::from_str::<Statistic>(&json).unwrap(), which);
        assert!(which.help().ends_with('.'));
    }
    let error = "pis".parse::<Statistic>().unwrap_err();
    assert!(error.contains("`pis`") && error.contains("psi, js, ks"), "{error}");
}
