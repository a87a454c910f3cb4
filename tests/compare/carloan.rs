//! NannyML's thresholds and alerts on its car loan data.
//!
//! `oracle/compare/car_loan_*`: three columns of the data set that NannyML publishes (reference,
//! and the first and the eighth 5,000 rows of its analysis period), and what
//! `UnivariateDriftCalculator(treat_as_categorical=["y_pred"], chunk_size=5000)` of 0.13.1 found.

use super::{args, by_name, close, oracle};
use serde_json::Value;
use tidemark::compare::run;

#[test]
fn nannyml_learns_these_thresholds_from_chunks_of_the_reference() {
    let text = std::fs::read_to_string(oracle("car_loan_nannyml.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let mut alerts = 0;
    for (chunk, columns) in expected.as_object().unwrap() {
        let current = oracle(&format!("car_loan_chunk_{chunk}.csv.gz"));
        let more = ["--dialect", "nannyml", "--chunk-size", "5000"];
        let comparison = run(&args(&oracle("car_loan_reference.csv.gz"), &current, &more)).unwrap();
        for (column, methods) in columns.as_object().unwrap() {
            let feature = comparison.features.iter().find(|f| f.name == *column).unwrap();
            for (method, of_method) in methods.as_object().unwrap() {
                let name = match method.as_str() {
                    "jensen_shannon" => "js",
                    "kolmogorov_smirnov" => "ks",
                    "chi2" => "chi_square",
                    other => other,
                };
                let finding = by_name(feature, name).unwrap();
                let what = format!("chunk {chunk} {column} {method}: {of_method}, {finding:?}");
                let near = |a: Option<f64>, b: &Value| match (a, b.as_f64()) {
                    (Some(a), Some(b)) => close(a, b, 1e-9, 1e-12),
                    (a, b) => a == b,
                };
                assert!(near(finding.value, &of_method["value"]), "{what}");
                assert!(near(finding.threshold, &of_method["upper_threshold"]), "{what}");
                assert_eq!(finding.drifted, of_method["alert"].as_bool(), "{what}");
                alerts += u32::from(finding.drifted == Some(true));
            }
        }
    }
    assert_eq!(alerts, 14);
}
