//! The dialects' numbers against what the tools printed for the same rows.

use super::{Case, by_name, cases, close, found};
use serde_json::Value;
use tidemark::compare::dialect::Dialect;

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
    for case in cases() {
        let feature = case.feature();
        let found = found(Dialect::Evidently, &feature);
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
    for case in cases() {
        let Some(p) = case.expected["nannyml"].get("chi2").and_then(|e| e["p"].as_f64()) else {
            continue;
        };
        let found = found(Dialect::Nannyml, &case.feature());
        let finding = by_name(&found, "chi_square").unwrap();
        assert!(close(finding.p_value.unwrap(), p, 1e-8, 1e-290), "{}: {finding:?}", case.id);
        assert_eq!(finding.drifted, Some(p < 0.05), "{}", case.id);
    }
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
    for case in cases().iter().filter(|case| case.kind == "num") {
        let found = found(Dialect::Tidemark, &case.feature());
        let p = case.expected["scipy"]["ks_2samp_auto"]["p"].as_f64().unwrap();
        let finding = by_name(&found, "ks").unwrap();
        assert!(close(finding.p_value.unwrap(), p, 1e-8, 1e-300), "{}: {finding:?}", case.id);
    }
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
    for case in cases() {
        let found = found(dialect, &case.feature());
        for &(theirs, ours, relative, absolute) in names {
            let Some(number) = case.expected[tool].get(theirs) else { continue };
            let Some(number) = expected(&case, number) else { continue };
            compared += 1;
            let value = by_name(&found, ours).and_then(|finding| finding.value);
            if !value.is_some_and(|value| close(value, number, relative, absolute)) {
                faults.push(format!("{} {theirs}: {number}, found {value:?}", case.id));
            }
        }
    }
    assert!(compared >= 60, "{compared} numbers of {tool}");
    faults
}
