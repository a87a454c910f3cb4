//! Metrics of rankings against scikit-learn's and numpy's.
//!
//! `oracle/ranking.json`: queries, what scikit-learn 1.9.1 gives for them
//! (`sklearn_ndcg_tie_averaged`), and what numpy gives for the definitions that stand there.

use serde_json::Value;
use tidemark::engine::metric::query::{Gain, Item, Ranking, mean};

type Metric = fn(&Ranking, usize) -> f64;

#[test]
fn rankings_have_the_metrics_of_scikit_learn_and_numpy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/ranking.json");
    let oracle: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let metrics: [(&str, Metric); 8] = [
        ("ndcg_linear", |ranking, k| ranking.ndcg(k, Gain::Linear)),
        ("ndcg_exp2", |ranking, k| ranking.ndcg(k, Gain::Exponential)),
        ("mrr", Ranking::reciprocal_rank),
        ("map", Ranking::average_precision),
        ("hit_rate", Ranking::hit),
        ("precision", Ranking::precision),
        ("recall", Ranking::recall),
        ("sklearn_ndcg_tie_averaged", Ranking::ndcg_over_ties),
    ];
    let mut compared = 0;
    for case in oracle["cases"].as_array().unwrap() {
        let numbers = |value: &Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
        };
        let query = |query: &Value| {
            let (scores, relevances) = (numbers(&query["score"]), numbers(&query["rel"]));
            let items = scores.into_iter().zip(relevances);
            let items: Vec<Item> =
                items.map(|(score, relevance)| Item { score, relevance }).collect();
            (Ranking::new(&items), query.get("w").and_then(Value::as_f64).unwrap_or(1.0))
        };
        let queries: Vec<(Ranking, f64)> =
            case["queries"].as_array().unwrap().iter().map(query).collect();
        for (k, expected) in case["expected"].as_object().unwrap() {
            let k: usize = k.parse().unwrap();
            for (name, metric) in metrics {
                let Some(expected) = expected.get(name).and_then(Value::as_f64) else { continue };
                let found = mean(queries.iter().map(|(query, w)| (metric(query, k), *w))).unwrap();
                let what = format!("{} {name}@{k}: {expected}, found {found}", case["id"]);
                assert!((found - expected).abs() < 1e-12, "{what}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 100, "{compared} numbers");
}

#[test]
fn a_ranking_of_nothing_has_no_hits_and_no_query_no_mean() {
    let nothing = Ranking::new(&[]);
    assert_eq!(nothing.ndcg(10, Gain::Linear), 0.0);
    assert_eq!(nothing.average_precision(10), 0.0);
    assert_eq!(mean(std::iter::empty()), None);
    let odd = [Item { score: f64::NAN, relevance: 1.0 }, Item { score: 0.0, relevance: f64::NAN }];
    assert_eq!(Ranking::new(&odd).reciprocal_rank(2), 0.5);
}
