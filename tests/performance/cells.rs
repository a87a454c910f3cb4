//! The laws of the cells, and the score bins under them.

use super::{binary, multiclass, oracle, regression};
use crate::laws::{Random, check_laws};
use tidemark::engine::metric::{Metric, estimate};
use tidemark::engine::score::{
    COARSE_BINS, FINE_BINS, Resolution, coarse_bin, coarse_edges, fine_bin, fine_edges,
};
use tidemark::engine::sketch::{
    BinaryCells, MulticlassCells, Outcome, PerformanceCells, RegressionCells, ScoreCells,
    ScoredPrediction, Sign, Sketch,
};

#[test]
fn binary_cells_keep_the_laws() {
    for case in oracle("binary") {
        let (rows, _) = binary::rows(&case);
        for resolution in [Resolution::Fine, Resolution::Coarse] {
            for weighted in [false, true] {
                check_laws(&BinaryCells::new(weighted, resolution), &rows);
            }
        }
    }
}

#[test]
fn multiclass_cells_keep_the_laws() {
    for case in oracle("multiclass") {
        let (rows, _) = multiclass::rows(&case);
        for weighted in [false, true] {
            check_laws(&MulticlassCells::new(5, &[1, 2], weighted), &rows);
        }
    }
}

#[test]
fn regression_cells_keep_the_laws() {
    for case in oracle("regression") {
        let (rows, _) = regression::rows(&case);
        for weighted in [false, true] {
            for resolution in [Resolution::Fine, Resolution::Coarse] {
                check_laws(&RegressionCells::new(37.3, 8.0, weighted, resolution), &rows);
            }
        }
    }
}

#[test]
fn score_cells_keep_the_laws() {
    let mut random = Random(11);
    let mut row = || ScoredPrediction {
        score: (random.below(10) > 0).then(|| random.uniform()),
        decision: random.below(2) == 1,
        weight: random.uniform() * 3.0,
    };
    let rows: Vec<ScoredPrediction> = (0..500).map(|_| row()).collect();
    for weighted in [false, true] {
        for resolution in [Resolution::Fine, Resolution::Coarse] {
            let cells = check_laws(&ScoreCells::new(weighted, resolution), &rows);
            assert_eq!(cells.rows().n, 500);
            let unscored = rows.iter().filter(|row| row.score.is_none()).count();
            let counted = cells.bins().into_iter().filter(|(bin, ..)| bin.is_none());
            assert_eq!(counted.map(|(_, _, mass)| mass.n).sum::<i64>(), unscored as i64);
        }
    }
}

#[test]
fn cells_of_slices_add_up_to_the_cells_of_the_whole() {
    let (rows, weighted) = binary::rows(&oracle("binary")[7]);
    let new = || PerformanceCells::new(&binary::task(), weighted, Resolution::Coarse);
    let (mut whole, mut even, mut odd) = (new(), new(), new());
    for (i, row) in rows.iter().enumerate() {
        let terms = whole.terms(&Outcome::Binary(*row));
        whole.add_terms(&terms, Sign::Add);
        let slice = if i % 2 == 0 { &mut even } else { &mut odd };
        slice.add_terms(&terms, Sign::Add);
    }
    even.merge(&odd);
    assert_eq!(even, whole);
}

#[test]
fn coarse_bins_change_roc_auc_by_no_more_than_their_bound() {
    let (rows, weighted) = binary::rows(&oracle("binary")[7]);
    let found = |resolution| {
        let mut cells = PerformanceCells::new(&binary::task(), weighted, resolution);
        for row in &rows {
            cells.add(&Outcome::Binary(*row), Sign::Add);
        }
        let found = |metric| estimate(metric, &cells).unwrap();
        [found(Metric::RocAuc), found(Metric::AveragePrecision)]
    };
    for (fine, coarse) in found(Resolution::Fine).into_iter().zip(found(Resolution::Coarse)) {
        assert!(fine.error_max < coarse.error_max);
        assert!((fine.value - coarse.value).abs() <= fine.error_max + coarse.error_max);
    }
}

#[test]
#[should_panic(expected = "made alike")]
fn cells_of_different_resolutions_do_not_merge() {
    BinaryCells::new(false, Resolution::Fine).merge(&BinaryCells::new(false, Resolution::Coarse));
}

#[test]
fn score_bins_are_monotone_and_hold_what_their_edges_say() {
    let mut scores: Vec<f64> =
        vec![0.0, 5e-324, 0.5, 1.0, 0.5_f64.next_down(), 1.0_f64.next_down()];
    let mut random = Random(3);
    for _ in 0..20_000 {
        let small = 2.0_f64.powf(-60.0 * random.uniform());
        scores.extend([random.uniform(), small, 1.0 - small]);
    }
    for bin in 0..FINE_BINS as u16 {
        let (lower, upper) = fine_edges(bin);
        for edge in [lower, upper] {
            scores.extend([edge.next_down().max(0.0), edge, edge.next_up().min(1.0)]);
        }
    }
    scores.sort_by(f64::total_cmp);
    let mut previous = 0;
    for p in scores {
        let bin = fine_bin(p);
        assert!(bin >= previous && usize::from(bin) < FINE_BINS, "{p}: {bin} after {previous}");
        previous = bin;
        let (lower, upper) = fine_edges(bin);
        let inside = if p < 0.5 { lower <= p && p < upper } else { lower <= p && p <= upper };
        assert!(inside, "{p} in bin {bin} [{lower}, {upper}]");
    }
    assert_eq!(usize::from(previous) + 1, FINE_BINS);
}

#[test]
fn score_bins_cover_the_scores_without_gaps_and_coarse_ones_are_unions_of_fine_ones() {
    let mut end = 0.0;
    for bin in 0..FINE_BINS as u16 {
        let (lower, upper) = fine_edges(bin);
        assert!(lower == end && upper > lower, "bin {bin}");
        assert!(upper - lower <= 2.0_f64.powi(-10), "bin {bin} is too wide");
        end = upper;
        let (coarse_lower, coarse_upper) = coarse_edges(coarse_bin(bin));
        assert!(coarse_lower <= lower && upper <= coarse_upper, "bin {bin}");
    }
    assert_eq!(end, 1.0);
    let mut end = 0.0;
    for bin in 0..COARSE_BINS {
        let (lower, upper) = coarse_edges(bin as u8);
        assert!(lower == end && upper > lower, "coarse bin {bin}");
        end = upper;
    }
    assert_eq!(end, 1.0);
}

#[test]
fn every_octave_down_to_one_in_four_thousand_is_cut_finely() {
    for exponent in 1..12 {
        let (from, to) = (0.5_f64.powi(exponent + 1), 0.5_f64.powi(exponent).next_down());
        let bins = fine_bin(to) - fine_bin(from) + 1;
        assert!(bins >= 32, "[{from}, {to}] has {bins} bins");
        let mirrored = fine_bin(1.0 - from) - fine_bin(1.0 - to) + 1;
        // 1 - `to` may round to the octave's end, which lies one bin further.
        assert!(mirrored >= bins);
    }
    assert!(fine_bin(1e-9) > fine_bin(1e-10) && fine_bin(1e-10) > fine_bin(1e-11));
}
