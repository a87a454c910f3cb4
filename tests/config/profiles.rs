//! Reference profiles made in memory, by file name; the files themselves do not exist.

use std::collections::BTreeMap;
use std::path::Path;
use tidemark::engine::estimate::Estimate;
use tidemark::engine::reference::{
    CategoricalReference, Category, Distribution, FeatureReference, NumericReference, Profile,
};

/// What the configurations of these tests may name as a profile.
pub fn read(path: &Path) -> Result<Profile, String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        "income.json" | "income-v7.json" | "example.json" => Ok(income()),
        "income-v8.json" | "example-v8.json" => {
            let mut profile = income();
            profile.content_hash = "sha256:8".to_owned();
            let Distribution::Categorical(sex) = &mut profile.features[1].distribution else {
                panic!("sex is categorical")
            };
            sex.categories.push(Category { value: "Other".to_owned(), count: 1 });
            Ok(profile)
        }
        "conflict.json" => {
            let mut profile = income();
            profile.features[0] = categorical("age", &["young", "old"]);
            Ok(profile)
        }
        "other-model.json" => Ok(Profile { model: Some("churn".to_owned()), ..income() }),
        "negative.json" => Ok(Profile { positive_class: Some("0".to_owned()), ..income() }),
        "regression.json" => Ok(Profile {
            task: Some("regression".to_owned()),
            positive_class: None,
            classes: Vec::new(),
            label_values: Some(numeric_values(1_000.0, 300.0)),
            ..income()
        }),
        "no-labels.json" => Ok(Profile { baseline: BTreeMap::new(), ..income() }),
        _ => Err("no such file; make it with `tidemark profile`".to_owned()),
    }
}

fn numeric_values(mean: f64, std: f64) -> NumericReference {
    NumericReference {
        edges: vec![mean - std, mean, mean + std],
        counts: vec![50, 50],
        sums: vec![50.0 * (mean - std / 2.0), 50.0 * (mean + std / 2.0)],
        coarse: vec![0, 1],
        mean,
        std,
        min: mean - std,
        max: mean + std,
    }
}

fn feature(name: &str, distribution: Distribution) -> FeatureReference {
    let name = name.to_owned();
    FeatureReference { name, missing: 0, null: 0, invalid: 0, non_finite: 0, distribution }
}

/// Counts fall from 100 on.
fn categorical(name: &str, values: &[&str]) -> FeatureReference {
    let categories = values
        .iter()
        .zip((1..=100).rev())
        .map(|(value, count)| Category { value: (*value).to_owned(), count })
        .collect();
    let distribution = Distribution::Categorical(CategoricalReference { categories, other: 0 });
    feature(name, distribution)
}

fn income() -> Profile {
    let accuracy = Estimate { value: 0.86, interval: None, support: 1_000, error_max: 0.0 };
    let marital = ["Married", "Never-married", "Divorced", "Widowed", "Separated"];
    let races = ["White", "Black", "Asian-Pac-Islander", "Amer-Indian-Eskimo", "Other"];
    Profile {
        format: "tidemark/profile".to_owned(),
        version: 1,
        model: None,
        task: Some("binary".to_owned()),
        rows: 1_000,
        sources: vec!["adult.csv".to_owned()],
        trained_on: false,
        classes: vec!["0".to_owned(), "1".to_owned()],
        positive_class: Some("1".to_owned()),
        features: vec![
            feature("age", Distribution::Numeric(numeric_values(38.0, 13.0))),
            categorical("sex", &["Male", "Female"]),
            categorical("race", &races),
            categorical("marital-status", &marital),
        ],
        score: Some(numeric_values(0.24, 0.2)),
        predicted_classes: None,
        label_classes: None,
        label_values: None,
        baseline: BTreeMap::from([("accuracy".to_owned(), accuracy)]),
        design: None,
        calibration: None,
        losses: Vec::new(),
        content_hash: "sha256:7".to_owned(),
    }
}
