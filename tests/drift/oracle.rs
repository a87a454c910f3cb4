//! Drift statistics against other programs' numbers.
//!
//! The cases in `oracle/drift/` and their origin: see `prepare.py` there.

use super::{all_rows, categorical_column, close, numeric_column, numeric_reference};
use crate::profile::Cli;
use clap::Parser;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use tidemark::engine::drift::{Statistic, chi_square_test, feature_drift, statistic};
use tidemark::engine::reference::{Distribution, FeatureReference};
use tidemark::engine::sketch::feature::{FeatureLayout, FeatureSketch};
use tidemark::engine::spec::FeatureKind;

#[derive(Deserialize)]
struct Case {
    kind: String,
    reference: Vec<(Option<Value>, u64)>,
    current: Vec<(Option<Value>, u64)>,
    expected: serde_json::Value,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Value {
    Number(f64),
    Text(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

fn oracle() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/drift")
}

fn cases(kind: &str) -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(oracle()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "json") && name != "binned" {
            let case: Case = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
            if case.kind == kind {
                cases.insert(name, case);
            }
        }
    }
    assert!(cases.len() >= 15, "{} cases of kind {kind}", cases.len());
    cases
}

/// The reference that `tidemark profile` makes of the case's reference rows.
fn reference(case: &Case) -> FeatureReference {
    let mut csv = String::from("row,x\n");
    for (value, count) in &case.reference {
        for _ in 0..*count {
            let text = value.as_ref().map(Value::text).unwrap_or_default();
            writeln!(csv, "1,{text}").unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, output) = (folder.path().join("x.csv"), folder.path().join("x.json"));
    std::fs::write(&data, csv).unwrap();
    let args = Cli::parse_from([
        "profile".as_ref(),
        data.as_os_str(),
        "-o".as_ref(),
        output.as_os_str(),
        "--ignore".as_ref(),
        "row".as_ref(),
    ]);
    let report = tidemark::profile::run(args.args, &mut |_| {}).unwrap();
    report.profile.features[0].clone()
}

fn repeated<T: Clone>(
    pairs: &[(Option<Value>, u64)],
    read: impl Fn(&Value) -> T,
) -> Vec<Option<T>> {
    let one = |(value, count): &(Option<Value>, u64)| {
        std::iter::repeat_n(value.as_ref().map(&read), *count as usize).collect::<Vec<_>>()
    };
    pairs.iter().flat_map(one).collect()
}

/// The layout of the case's reference, and the sketch of its current rows.
fn sketched(case: &Case, reference: &FeatureReference) -> (FeatureLayout, FeatureSketch) {
    let (layout, column) = match &reference.distribution {
        Distribution::Numeric(_) => {
            let number = |value: &Value| value.text().parse::<f64>().unwrap();
            let layout = FeatureLayout::new(&FeatureKind::Numeric, reference).unwrap();
            (layout, numeric_column(&repeated(&case.current, number)))
        }
        Distribution::Categorical(categories) => {
            // Another order than the profile's: codes and bins must not be taken for each other.
            let mut dictionary: Vec<String> =
                categories.categories.iter().map(|c| c.value.clone()).collect();
            dictionary.sort();
            let column = categorical_column(&repeated(&case.current, Value::text), &dictionary);
            let kind = FeatureKind::Categorical { dictionary: dictionary.into() };
            (FeatureLayout::new(&kind, reference).unwrap(), column)
        }
    };
    let mut sketch = FeatureSketch::default();
    sketch.fold(&layout, &column, &all_rows(&column));
    (layout, sketch)
}

#[test]
fn the_ks_statistic_is_scipys_or_within_its_stated_error() {
    let mut exact = 0;
    for (name, case) in cases("num") {
        let reference = reference(&case);
        let (layout, sketch) = sketched(&case, &reference);
        let found = statistic(Statistic::Ks, &layout, &sketch).unwrap();
        for source in ["scipy_ks", "nannyml_ks"] {
            let Some(expected) = case.expected[source].as_f64() else { continue };
            assert!(
                found.value <= expected + 1e-12
                    && expected <= found.value + found.error_max + 1e-12,
                "{name}: {source} {expected}, found {found:?}"
            );
        }
        assert!(found.error_max < 0.02, "{name}: {found:?}");
        exact += usize::from(found.error_max == 0.0);
    }
    assert!(exact >= 8, "{exact} exact cases");
}

#[test]
fn the_wasserstein_distance_is_scipys_and_evidentlys_or_within_its_stated_error() {
    let mut exact = 0;
    for (name, case) in cases("num") {
        let reference = reference(&case);
        let (layout, sketch) = sketched(&case, &reference);
        let found = statistic(Statistic::Wasserstein, &layout, &sketch);
        if name.starts_with("num_const_same") || name.starts_with("num_const_diff") {
            // The others divide by 0.001 where the reference has no spread; here there is no
            // number.
            assert_eq!(found, None, "{name}");
            continue;
        }
        let found = found.unwrap();
        for source in ["scipy_wasserstein_over_std", "evidently_wasserstein"] {
            let expected = case.expected[source].as_f64().unwrap();
            let off = (found.value - expected).abs();
            assert!(
                off <= found.error_max + 1e-9 * expected.max(1.0),
                "{name}: {source} {expected}, found {found:?}"
            );
            // In practice it is far closer than the bound.
            assert!(off <= 0.015 + 0.01 * expected, "{name}: {source} {expected}, found {found:?}");
        }
        exact += usize::from(found.error_max == 0.0);
    }
    assert!(exact >= 5, "{exact} exact cases");
}

#[test]
fn categorical_statistics_are_those_of_scipy_and_nannyml() {
    let mut with_several_new = 0;
    for (name, case) in cases("cat") {
        let reference = reference(&case);
        let (layout, sketch) = sketched(&case, &reference);
        let found = |which| statistic(which, &layout, &sketch).unwrap();
        let test = chi_square_test(&layout, &sketch).unwrap();
        let expected = &case.expected["other_bin"];
        for (which, key) in [
            (Statistic::Psi, "psi"),
            (Statistic::Js, "js"),
            (Statistic::LInfinity, "l_infinity"),
            (Statistic::ChiSquare, "chi_square"),
        ] {
            let expected = expected[key].as_f64().unwrap();
            let found = found(which);
            assert!(close(found.value, expected), "{name} {key}: {expected}, found {found:?}");
            assert_eq!(found.error_max, 0.0);
        }
        assert!(close(test.p_value, expected["p_value"].as_f64().unwrap()), "{name}: {test:?}");
        assert_eq!(test.degrees as f64, expected["degrees"].as_f64().unwrap(), "{name}");
        let known = |pairs: &[(Option<Value>, u64)]| {
            pairs.iter().filter_map(|(value, _)| Some(value.as_ref()?.text())).collect::<Vec<_>>()
        };
        let (before, now) = (known(&case.reference), known(&case.current));
        if now.iter().filter(|value| !before.contains(value)).count() > 1 {
            // The others tell several new categories apart; here they are one bin.
            with_several_new += 1;
            continue;
        }
        for (which, key) in [
            (Statistic::Js, "scipy_js"),
            (Statistic::Js, "nannyml_js"),
            (Statistic::LInfinity, "scipy_l_infinity"),
            (Statistic::LInfinity, "nannyml_l_infinity"),
            (Statistic::ChiSquare, "scipy_chi_square"),
        ] {
            let Some(expected) = case.expected[key].as_f64() else { continue };
            let found = found(which);
            assert!(close(found.value, expected), "{name} {key}: {expected}, found {found:?}");
        }
        if let Some(expected) = case.expected["scipy_p_value"].as_f64() {
            assert!(close(test.p_value, expected), "{name}: {test:?}");
        }
        assert_eq!(statistic(Statistic::Ks, &layout, &sketch), None);
        assert_eq!(statistic(Statistic::Wasserstein, &layout, &sketch), None);
    }
    assert!(with_several_new >= 2);
}

#[derive(Deserialize)]
struct Binned {
    edges: Vec<f64>,
    reference: Vec<u64>,
    current: Vec<u64>,
    expected: BTreeMap<String, f64>,
}

#[test]
fn statistics_over_numeric_bins_are_those_of_numpy_and_scipy() {
    let text = std::fs::read_to_string(oracle().join("binned.json")).unwrap();
    let cases: BTreeMap<String, Binned> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() >= 6);
    for (name, case) in cases {
        let bins = case.edges.len() - 1;
        let reference = numeric_reference(&case.edges, &case.reference[1..=bins]);
        let layout = FeatureLayout::numeric(&reference).unwrap();
        let mut values = vec![case.edges[0] - 0.5; case.current[0] as usize];
        for bin in 0..bins {
            let middle = (case.edges[bin] + case.edges[bin + 1]) / 2.0;
            values.extend(std::iter::repeat_n(middle, case.current[bin + 1] as usize));
        }
        values.resize(values.len() + case.current[bins + 1] as usize, case.edges[bins] + 0.5);
        let column = numeric_column(&values.into_iter().map(Some).collect::<Vec<_>>());
        let mut sketch = FeatureSketch::default();
        sketch.fold(&layout, &column, &all_rows(&column));
        for which in [Statistic::Psi, Statistic::Js, Statistic::LInfinity, Statistic::ChiSquare] {
            let expected = case.expected[which.name()];
            let found = statistic(which, &layout, &sketch).unwrap().value;
            assert!(close(found, expected), "{name} {which}: {expected}, found {found}");
        }
        let test = chi_square_test(&layout, &sketch).unwrap();
        assert!(close(test.p_value, case.expected["p_value"]), "{name}: {test:?}");
    }
}

#[test]
fn data_against_itself_has_no_drift_whatever_the_statistic() {
    for (name, case) in cases("num").into_iter().chain(cases("cat")) {
        let reference = reference(&case);
        let same = Case { current: case.reference.clone(), ..case };
        let (layout, sketch) = sketched(&same, &reference);
        assert_eq!(sketch.below + sketch.above + sketch.new, 0, "{name}");
        let drift = feature_drift(&reference, &layout, &sketch).unwrap();
        for (which, found) in &drift.statistics {
            assert!(found.value.abs() < 1e-9, "{name} {which}: {found:?}");
        }
    }
}
