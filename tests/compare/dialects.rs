//! The dialects' numbers against what the tools printed for the same rows.

use super::{Case, by_name, cases, close, found};
use serde_json::Value;
use tidemark::compare::dialect::Dialect;
use tidemark::compare::feature::{Feature, Values};
use tidemark::compare::finding::FeatureFindings;

/// The tool's name of a statistic, ours, and how close they must be: relative and absolute.
type Name = (&'static str, &'static str, f64, f64);

/// Numbers that are sums over rows or bins agree to rounding. Square roots of differences that
/// cancel (Jensen-Shannon, Hellinger of nearly equal sides) keep half of the digits: 1e-8. p-values
/// far in the tail keep fewer digits, as both programs work with approximations of special
/// functions; where a tool takes p from 1, what is below 1e-15 is noise.
const EVIDENTLY: [Name; 16] = [
    ("psi", "psi", 1e-10, 1e-13),
    ("kl_div", "kl", 1e-10, 1e-13),
    ("jensenshannon", "js", 1e-10, 2e-8),
    ("hellinger", "hellinger", 1e-10, 3e-8),
    ("ks", "ks", 1e-8, 1e-300),
    ("wasserstein", "wasserstein", 1e-10, 1e-13),
    ("ed", "energy", 1e-10, 1e-13),
    ("anderson", "anderson_darling", 1e-9, 0.0),
    ("cramer_von_mises", "cramer_von_mises", 1e-8, 1e-10),
    ("mannw", "mann_whitney", 1e-8, 1e-300),
    ("t_test", "t_test", 1e-8, 1e-300),
    ("es", "epps_singleton", 1e-6, 1e-290),
    ("chisquare", "chi_square", 1e-8, 1e-290),
    ("z", "z", 1e-10, 1e-14),
    ("g_test", "g", 1e-8, 1e-290),
    ("fisher_exact", "fisher_exact", 1e-8, 1e-300),
];

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) if text == "NaN" => None,
        value => value.as_f64(),
    }
}

#[test]
fn evidently_gives_these_scores_verdicts_and_default_tests() {
    let mut compared = 0;
    let mut faults = Vec::new();
    for (case, feature) in cases() {
        let found = found(Dialect::Evidently, feature);
        let expected = &case.expected["evidently"];
        for (theirs, ours, relative, absolute) in EVIDENTLY {
            let Some(expected) = expected.get(theirs) else { continue };
            let finding = by_name(&found, ours);
            let value = finding.and_then(|finding| finding.value);
            compared += 1;
            // Evidently applies the tests for categories to numbers by default only.
            let Some(score) = expected.get("score").and_then(number) else {
                if value.is_some() {
                    faults.push(format!("{} {theirs}: {expected}, found {value:?}", case.id));
                }
                continue;
            };
            if !value.is_some_and(|value| close(value, score, relative, absolute)) {
                faults.push(format!("{} {theirs}: {score}, found {value:?}", case.id));
            }
            let drifted = expected.get("drifted").and_then(Value::as_bool);
            if drifted.is_some() && finding.and_then(|finding| finding.drifted) != drifted {
                faults.push(format!("{} {theirs}: drifted {drifted:?}", case.id));
            }
            let threshold = expected.get("threshold").and_then(Value::as_f64);
            if threshold.is_some() && finding.and_then(|finding| finding.threshold) != threshold {
                faults.push(format!("{} {theirs}: threshold {threshold:?}", case.id));
            }
        }
        let default = expected["_default"]["name"].as_str().unwrap();
        let ours = EVIDENTLY.iter().find(|name| name.0 == default).unwrap().1;
        let decisive = found.decisive.unwrap();
        if decisive.name() != ours || found.finding(decisive).is_none() {
            faults.push(format!("{}: default {default}, found {decisive:?}", case.id));
        }
    }
    assert!(faults.is_empty(), "{} of {compared}\n{}", faults.len(), faults.join("\n"));
    assert!(compared > 350, "{compared} numbers");
}

#[test]
fn nannyml_gives_these_values() {
    let names = [
        ("jensen_shannon", "js", 1e-9, 1e-8),
        ("hellinger", "hellinger", 1e-9, 1e-8),
        ("kolmogorov_smirnov", "ks", 1e-10, 1e-13),
        ("wasserstein", "wasserstein", 1e-9, 1e-12),
        ("chi2", "chi_square", 1e-10, 1e-13),
        ("l_infinity", "l_infinity", 1e-10, 1e-13),
    ];
    let faults =
        compare_with(Dialect::Nannyml, "nannyml", &names, |_, expected| number(&expected["value"]));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    for (case, feature) in cases().iter().filter(|(case, _)| case.kind == "cat") {
        let p = case.expected["nannyml"]["chi2"]["p"].as_f64().unwrap();
        let found = found(Dialect::Nannyml, feature);
        assert_eq!(by_name(&found, "chi_square").unwrap().drifted, Some(p < 0.05), "{}", case.id);
    }
}

#[test]
fn deequ_gives_the_numbers_of_its_own_tests() {
    // deequ 2.0, src/test/scala/com/amazon/deequ/KLL/KLLDistanceTest.scala
    let case = |current: &[u64], reference: &[u64]| {
        let rows = |counts: &[u64]| {
            let one = |(code, count): (u32, &u64)| std::iter::repeat_n(code, *count as usize);
            (0..).zip(counts).flat_map(one).collect::<Vec<u32>>()
        };
        let categories = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).to_vec();
        let (reference, current) = (rows(reference), rows(current));
        let values = Values::Categorical { categories, reference, current };
        found(Dialect::Deequ, &Feature { name: "x".into(), values })
    };
    let value = |found: &FeatureFindings, name| by_name(found, name).unwrap().value;
    let noise = |n: f64, m: f64| ((n + m) / (n * m)).sqrt();
    let found = case(&[207, 20, 25, 14, 25, 0, 13], &[22, 20, 25, 12, 13, 15]);
    // Theirs with alpha = 0.003; ours with the default constant 1.8 in place of this one.
    let of_alpha = (-(0.0015f64.ln()) / 2.0).sqrt();
    let robust = 0.2726338046550349 + (of_alpha - 1.8) * noise(304.0, 107.0);
    assert!(close(value(&found, "l_infinity").unwrap(), robust, 1e-12, 0.0));
    assert_eq!(found.drifted(), Some(true));
    let found = case(&[10, 20, 25, 10, 5], &[20, 0, 25, 10, 10, 11]);
    assert_eq!(value(&found, "l_infinity"), Some(0.0));
    let p_values: [(&[u64], &[u64], Option<f64>); 6] = [
        (&[207, 20, 25, 14, 25, 0, 13], &[223, 20, 25, 12, 13, 15], Some(3.3640191298478506e-5)),
        (&[207, 20, 25, 14, 25], &[223, 20, 25, 12, 13], Some(0.013227994814265176)),
        (&[30], &[20, 20], Some(4.3204630539861455e-8)),
        (&[10, 20], &[0, 20], None),
        (&[15, 20], &[0, 0, 20, 20], None),
        (&[100, 4, 3], &[100, 4, 3], None),
    ];
    for (current, reference, expected) in p_values {
        let found = value(&case(current, reference), "chi_square");
        let same = match (found, expected) {
            // They take p from 1.
            (Some(found), Some(expected)) => close(found, expected, 1e-9, 1e-15),
            (found, expected) => found == expected,
        };
        assert!(same, "{current:?} {reference:?}: {expected:?}, found {found:?}");
    }
    let numbers = |reference: Vec<f64>, current: Vec<f64>| {
        let values = Values::Numeric { reference, current, whole: false };
        super::found(Dialect::Deequ, &Feature { name: "x".into(), values })
    };
    let found = numbers(vec![1.0, 2.0, 3.0, 4.0], vec![2.0, 3.0, 4.0, 5.0]);
    assert_eq!(value(&found, "l_infinity"), Some(0.0));
    // Beyond the sketch's size: weights are handed on whole, so that ranks still end at the rows.
    let many: Vec<f64> = (0..50_000).map(|at| f64::from(at * 7_919 % 50_000)).collect();
    let shifted = many.iter().map(|value| value + 25_000.0).collect();
    let found = numbers(many, shifted);
    assert!(found.notes.is_empty(), "{found:?}");
    let simple = value(&found, "l_infinity").unwrap() + 1.8 * noise(50_000.0, 50_000.0);
    assert!((simple - 0.5).abs() < 0.01, "{simple}");
}

#[test]
fn tfdv_gives_these_divergences() {
    let names = [
        ("JENSEN_SHANNON_DIVERGENCE", "js", 1e-10, 1e-14),
        ("L_INFTY", "l_infinity", 1e-10, 1e-14),
    ];
    let faults = compare_with(Dialect::Tfdv, "tfdv", &names, |_, expected| number(expected));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn our_exact_statistics_are_scipys() {
    let names = [
        ("ks_2samp_auto", "ks", 1e-10, 1e-13),
        ("energy_distance", "energy", 1e-10, 1e-13),
        ("chi2_contingency", "chi_square", 1e-10, 1e-13),
        ("g_test_contingency", "g", 1e-10, 1e-13),
        ("tvd", "total_variation", 1e-10, 1e-13),
        ("hellinger", "hellinger", 1e-10, 1e-8),
    ];
    let value = |case: &Case, expected: &Value| {
        // Ours are one bin for all categories that the reference lacks.
        let new = case.current.iter().filter(|v| !v.is_null() && !case.reference.contains(v));
        let mut new: Vec<String> = new.map(Value::to_string).collect();
        new.sort_unstable();
        new.dedup();
        let comparable = case.kind == "num" || new.len() <= 1;
        let number = expected.get("stat").or_else(|| expected.get("value")).unwrap_or(expected);
        comparable.then(|| number.as_f64()).flatten()
    };
    let faults = compare_with(Dialect::Tidemark, "scipy", &names, value);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What differs from the numbers of `tool`; `None` from `expected` where it has none.
fn compare_with(
    dialect: Dialect,
    tool: &str,
    names: &[Name],
    expected: impl Fn(&Case, &Value) -> Option<f64>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let mut compared = 0;
    for (case, feature) in cases() {
        let found = found(dialect, feature);
        for &(theirs, ours, relative, absolute) in names {
            let Some(all) = case.expected[tool].get(theirs) else { continue };
            let Some(number) = expected(case, all) else { continue };
            compared += 1;
            let finding = by_name(&found, ours);
            let value = finding.and_then(|finding| finding.value);
            let p_value = finding.and_then(|finding| finding.p_value);
            if let (Some(p), Some(expected)) = (p_value, all.get("p").and_then(Value::as_f64))
                && !close(p, expected, 1e-8, 1e-290)
            {
                faults.push(format!("{} {theirs}: p {expected}, found {p}", case.id));
            }
            if !value.is_some_and(|value| close(value, number, relative, absolute)) {
                faults.push(format!("{} {theirs}: {number}, found {value:?}", case.id));
            }
        }
    }
    assert!(compared >= 50, "{compared} numbers of {tool}");
    faults
}

#[test]
fn deequs_sketch_keeps_what_its_source_keeps() {
    // From oracle/compare/deequ_kll.py: rows of both sides, prime, different values, shift.
    let deequ_sketch: [(u32, u32, u64, u64, u64, f64); 3] = [
        (20_000, 5_000, 7_919, 1_000_003, 200_000, 0.17313950105848458),
        (3_000, 2_000, 7_919, 100, 30, 0.07954592314951403),
        (30_000, 30_000, 104_729, 500, 40, 0.05153950105848466),
    ];
    for (rows, other_rows, prime, different, shift, expected) in deequ_sketch {
        let value = |at: u32| (u64::from(at) * prime % different) as f64;
        let reference = (0..rows).map(value).collect();
        let current = (0..other_rows).map(|at| value(at) + shift as f64).collect();
        let values = Values::Numeric { reference, current, whole: true };
        let found = found(Dialect::Deequ, &Feature { name: "x".into(), values });
        let value = by_name(&found, "l_infinity").unwrap().value.unwrap();
        assert!(close(value, expected, 1e-12, 0.0), "{expected}, found {found:?}");
    }
}
