//! Every query of every panel and rule has a result on data made for it: also those that show
//! nothing in a story where all goes well, or that are about another kind of model.

use super::files::{Query, panel_queries, rule_file, rule_queries};
use super::grafana::selectors;
use super::labels::Known;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{VectorSelector, parse};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What the dashboards' variables stand for.
pub const CHOICES: [(&str, &str); 8] = [
    ("$job", "tidemark"),
    ("$instance", ".+"),
    ("$model", "census"),
    ("$version", ".+"),
    ("$window", "5m"),
    ("$slice", ".+"),
    ("$feature", ".+"),
    ("$__rate_interval", "5m"),
];

pub fn chosen(expr: &str, rate_interval: &str) -> String {
    let mut expr = expr.replace("$__rate_interval", rate_interval);
    for (variable, value) in CHOICES {
        expr = expr.replace(variable, value);
    }
    expr
}

/// A value of the label that fits the matcher.
fn fitting(matcher: &Matcher) -> String {
    match &matcher.op {
        MatchOp::Equal => matcher.value.clone(),
        MatchOp::Re(_) if matcher.value == ".+" => "x".to_owned(),
        MatchOp::Re(_) => matcher.value.split('|').next().expect("a first one").to_owned(),
        MatchOp::NotEqual | MatchOp::NotRe(_) => "another".to_owned(),
    }
}

/// A series that the selector selects, with every label of the metric.
fn series(selector: &VectorSelector, known: &Known) -> String {
    let name = selector.name.as_deref().expect("a name");
    let mut labels: BTreeMap<String, String> = known
        .labels(name)
        .expect("it exists")
        .into_iter()
        .map(|label| {
            let value = match label.as_str() {
                "job" => "tidemark",
                "model" => "census",
                "window" => "5m",
                "le" => "+Inf",
                _ => "x",
            };
            (label, value.to_owned())
        })
        .collect();
    for matcher in &selector.matchers.matchers {
        labels.insert(matcher.name.clone(), fitting(matcher));
    }
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn all_series(exprs: &[String], known: &Known) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for expr in exprs {
        let tree = parse(expr).unwrap_or_else(|error| panic!("{expr}: {error}"));
        let mut found = Vec::new();
        selectors(&tree, &mut found);
        all.extend(found.into_iter().map(|selector| series(selector, known)));
    }
    all
}

#[test]
fn every_query_of_a_panel_can_have_a_result() {
    let known = super::names::known();
    let scraped = Known::scraped();
    let queries = panel_queries();
    let exprs: Vec<String> = queries.iter().map(|query| chosen(&query.expr, "5m")).collect();
    let recording: Vec<String> =
        rule_queries().into_iter().filter(|rule| !rule.is_alert).map(|rule| rule.expr).collect();
    let is_scraped = |series: &String| scraped.labels(series).is_ok();
    let series = all_series(&[exprs.clone(), recording].concat(), &known);
    // Growing, so that rates are above 0; a version is new when its info was not there before.
    let input: Vec<Value> = series
        .iter()
        .filter(|series| is_scraped(series))
        .map(|series| {
            let grows = if series.contains("model_info") { "_x9 1x9" } else { "1+2000x40" };
            json!({ "series": series, "values": grows })
        })
        .collect();
    let has_some = |expr: &String| {
        // promtool compares values; what matters here is that there are some.
        let sample = json!({ "labels": "{}", "value": 1 });
        let expr = format!("count({expr}) > bool 0");
        json!({ "expr": expr, "eval_time": "12m", "exp_samples": [sample] })
    };
    let tests: Vec<Value> = exprs.iter().map(has_some).collect();
    let file = json!({
        "rule_files": [rule_file("recording")],
        "evaluation_interval": "1m",
        "tests": [{ "interval": "1m", "input_series": input, "promql_expr_test": tests }],
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tests.yml");
    std::fs::write(&path, file.to_string()).unwrap();
    let output = Command::new("promtool").args(["test", "rules"]).arg(&path).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}\n{}", places(&queries));
}

fn places(queries: &[Query]) -> String {
    let lines = queries.iter().map(|query| format!("{}: {}", query.place, query.expr));
    lines.collect::<Vec<_>>().join("\n")
}
