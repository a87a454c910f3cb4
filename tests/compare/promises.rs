//! What our own verdicts promise: no more false alarms than alpha, and drift that matters is found.

use super::{by_name, close};
use crate::laws::Random;
use tidemark::compare::dialect::{Dialect, Settings, compare};
use tidemark::compare::feature::{Feature, Values};
use tidemark::engine::alarm::noncentral::{survival, upper_quantile};

fn numbers(reference: Vec<f64>, current: Vec<f64>) -> Feature {
    Feature { name: "x".into(), values: Values::Numeric { reference, current, whole: false } }
}

fn normals(random: &mut Random, rows: usize, shift: f64) -> Vec<f64> {
    (0..rows).map(|_| random.normal() + shift).collect()
}

#[test]
fn without_drift_no_more_than_alpha_of_the_comparisons_say_drift() {
    let settings = Settings { alpha: 0.05, delta: 0.0, ..Settings::default() };
    let mut random = Random(6);
    let trials = 200;
    for (reference, current) in [(400, 100), (200, 400)] {
        let mut alarms = 0;
        for _ in 0..trials {
            let r = normals(&mut random, reference, 0.0);
            let c = normals(&mut random, current, 0.0);
            let found = compare(Dialect::Tidemark, &numbers(r, c), &settings);
            alarms += u32::from(found.drifted() == Some(true));
        }
        // 10 are expected with the least favourable law; 22 is four standard deviations more.
        assert!(alarms <= 22, "{alarms} of {trials} at {reference} and {current} rows");
    }
}

#[test]
fn a_difference_that_matters_is_found_and_a_trifle_is_not_however_many_rows_show_it() {
    let mut random = Random(7);
    let reference = normals(&mut random, 20_000, 0.0);
    // A shift of 0.05 standard deviations is a PSI of 0.0025: certain at 20,000 rows, not material.
    let trifle = numbers(reference.clone(), normals(&mut random, 20_000, 0.05));
    let trifle = compare(Dialect::Tidemark, &trifle, &Settings::default());
    assert_eq!(trifle.drifted(), Some(false));
    assert!(by_name(&trifle, "ks").unwrap().p_value.unwrap() < 1e-3);
    let shift = numbers(reference, normals(&mut random, 1_000, 0.5));
    let found = compare(Dialect::Tidemark, &shift, &Settings::default());
    assert_eq!(found.drifted(), Some(true));
    for statistic in ["kl", "js", "ks", "hellinger", "chi_square", "g", "cramers_v"] {
        assert_eq!(by_name(&found, statistic).unwrap().drifted, Some(true), "{statistic}");
    }
    // More features, a sharper level for each.
    let more = Settings { features: 1_000, ..Settings::default() };
    let threshold = |settings| {
        by_name(&compare(Dialect::Tidemark, &shift, settings), "psi").unwrap().threshold.unwrap()
    };
    assert!(threshold(&more) > threshold(&Settings::default()));
}

#[test]
fn the_noncentral_chi_square_law_is_scipys() {
    // scipy.stats.ncx2.sf(x, degrees, shift), scipy 1.17.1
    let cases = [
        (5.0, 9.0, 0.5, 0.8569372763048857),
        (30.0, 9.0, 5.0, 0.016233659110095524),
        (120.0, 11.0, 60.0, 0.003816687960018727),
        (700.0, 9.0, 500.0, 4.2027282921250287e-05),
        (0.5, 1.0, 0.2, 0.5216575066217463),
        (80.0, 9.0, 5.0, 1.9900243834449167e-09),
    ];
    for (x, degrees, shift, expected) in cases {
        let found = survival(x, degrees, shift);
        assert!(close(found, expected, 1e-9, 1e-300), "{x} {degrees} {shift}: {found}");
        let back = upper_quantile(expected, degrees, shift).unwrap();
        assert!(close(back, x, 1e-7, 0.0), "{back} is not {x}");
    }
    assert_eq!(upper_quantile(0.5, 0.0, 1.0), None);
    assert_eq!(upper_quantile(1.0, 3.0, 1.0), None);
}
