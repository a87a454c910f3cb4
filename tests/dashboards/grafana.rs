//! The dashboards' own shape: the rules of grafana/dashboard-linter (which is not to be had as a
//! package), and some of ours.

use super::files::{Dashboard, dashboards, file, list, string, text, yaml};
use promql_parser::label::MatchOp;
use promql_parser::parser::{Expr, VectorSelector, parse};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

/// Units that are in use here; all are among Grafana's.
const UNITS: [&str; 7] = ["short", "percentunit", "s", "cps", "Bps", "bytes", "reqps"];

fn at<'a>(dashboard: &Dashboard, name: &str, variables: &'a [Value]) -> &'a Value {
    let found = variables.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("{}: no variable {name}", dashboard.name))
}

/// template-datasource, template-job, template-instance.
#[test]
fn each_dashboard_lets_one_choose_datasource_job_and_instance() {
    for dashboard in &dashboards() {
        let variables = dashboard.variables();
        let source = at(dashboard, "datasource", variables);
        assert_eq!(source["type"], "datasource");
        assert_eq!(source["query"], "prometheus");
        assert_eq!(source["label"], "Data source");
        for (name, label) in [("job", "Job"), ("instance", "Instance")] {
            let one = at(dashboard, name, variables);
            assert_eq!(one["datasource"]["uid"], "${datasource}");
            assert_eq!((&one["type"], &one["label"]), (&json!("query"), &json!(label)));
            assert_eq!((&one["multi"], &one["allValue"]), (&json!(true), &json!(".+")));
        }
        at(dashboard, "page", variables);
        let names: BTreeSet<&str> = variables.iter().map(|one| string(&one["name"])).collect();
        assert_eq!(names.len(), variables.len());
        let query = |one: &&Value| one["type"] == "query";
        assert!(variables.iter().filter(query).all(|one| one["refresh"] == 2), "on time change");
    }
    let has =
        |at: usize, name: &str| dashboards()[at].variables().iter().any(|v| v["name"] == name);
    for name in ["model", "version", "window"] {
        assert!(has(0, name) && has(1, name), "{name}");
    }
    assert!(has(0, "slice") && has(1, "feature"));
}

/// panel-datasource, panel-title-description, panel-units; unique ids and titles.
#[test]
fn each_panel_says_what_it_is_and_in_which_unit() {
    let mut uids = BTreeSet::new();
    for dashboard in &dashboards() {
        assert!(uids.insert(string(&dashboard.json["uid"]).to_owned()));
        assert_eq!(dashboard.json["editable"], false);
        assert!(dashboard.json.get("id").is_none(), "Grafana gives it");
        let (mut ids, mut titles) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard.all() {
            let title = string(&panel["title"]);
            let place = format!("{}: {title}", dashboard.name);
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{place}: id twice");
            assert!(!title.is_empty() && titles.insert(title), "{place}: title twice");
            if panel["type"] == "row" {
                continue;
            }
            let description = string(&panel["description"]);
            assert!(description.len() > 15 && description.ends_with(['.', '?']), "{place}");
            let unit = string(&panel["fieldConfig"]["defaults"]["unit"]);
            assert!(UNITS.contains(&unit), "{place}: {unit}");
            let sources = list(&panel["targets"]).iter().chain([panel]);
            assert!(!list(&panel["targets"]).is_empty(), "{place}");
            for one in sources {
                assert_eq!(one["datasource"]["type"], "prometheus", "{place}");
                assert_eq!(one["datasource"]["uid"], "${datasource}", "{place}");
            }
        }
    }
}

#[test]
fn no_panel_lies_upon_another() {
    for dashboard in &dashboards() {
        let mut taken = BTreeSet::new();
        let mut collapsed = BTreeSet::new();
        for panel in dashboard.all() {
            let place = &panel["gridPos"];
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| place[side].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{}: {}", dashboard.name, panel["title"]);
            let is_within = !list(&dashboard.json["panels"]).contains(panel);
            // What a collapsed row holds takes place only when it is opened.
            let cells = if is_within { &mut collapsed } else { &mut taken };
            for (x, y) in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert((x, y)), "{}: {}", dashboard.name, panel["title"]);
            }
            if panel["collapsed"] == true {
                collapsed.clear();
            }
        }
    }
}

pub fn selectors<'a>(expr: &'a Expr, found: &mut Vec<&'a VectorSelector>) {
    match expr {
        Expr::VectorSelector(selector) => found.push(selector),
        Expr::MatrixSelector(matrix) => found.push(&matrix.vs),
        Expr::Aggregate(one) => selectors(&one.expr, found),
        Expr::Unary(one) => selectors(&one.expr, found),
        Expr::Paren(one) => selectors(&one.expr, found),
        Expr::Subquery(one) => selectors(&one.expr, found),
        Expr::Binary(one) => {
            selectors(&one.lhs, found);
            selectors(&one.rhs, found);
        }
        Expr::Call(one) => one.args.args.iter().for_each(|one| selectors(one, found)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// target-job, target-instance, target-rate-interval; counters are seen as rates.
#[test]
fn each_query_can_be_narrowed_to_a_job_and_an_instance_and_follows_the_zoom() {
    for query in super::files::panel_queries() {
        let place = &query.place;
        for (before, after) in query.expr.match_indices('[').map(|(i, _)| query.expr.split_at(i)) {
            assert!(after.starts_with("[$__rate_interval]"), "{place}: {before}");
        }
        let expr = query.expr.replace("$__rate_interval", "5m");
        let tree = parse(&expr).unwrap();
        let mut found = Vec::new();
        selectors(&tree, &mut found);
        assert!(!found.is_empty(), "{place}");
        for selector in found {
            for (name, value) in [("job", "$job"), ("instance", "$instance")] {
                let fits = |m: &&promql_parser::label::Matcher| m.name == name && m.value == value;
                let matcher = selector.matchers.matchers.iter().find(fits);
                let matcher = matcher.unwrap_or_else(|| panic!("{place}: no {name}"));
                assert!(matches!(matcher.op, MatchOp::Re(_)), "{place}");
            }
        }
        assert!(!expr.contains("_total{") || is_rate_or_table(&query.expr), "{place}");
    }
}

/// Totals since the start are fit for a table, not for a graph.
fn is_rate_or_table(expr: &str) -> bool {
    let rated = ["rate(", "increase("].iter().any(|function| expr.contains(function));
    let totals = ["tidemark_policy_decisions_total", "tidemark_outbox_"];
    rated || totals.iter().any(|name| expr.contains(name))
}

#[test]
fn dashboards_lead_to_each_other_and_to_the_page() {
    let all = dashboards();
    for dashboard in &all {
        let links = list(&dashboard.json["links"]);
        let urls: Vec<&str> = links.iter().map(|link| string(&link["url"])).collect();
        for other in all.iter().filter(|other| other.name != dashboard.name) {
            let url = format!("/d/{}", string(&other.json["uid"]));
            let link = links.iter().find(|link| link["url"] == url.as_str());
            let link = link.unwrap_or_else(|| panic!("{}: no {url}", dashboard.name));
            assert_eq!((&link["includeVars"], &link["keepTime"]), (&json!(true), &json!(true)));
        }
        assert!(urls.iter().any(|url| url.starts_with("${page}/#/")), "{urls:?}");
        for panel in dashboard.panels() {
            for link in list(&panel["fieldConfig"]["defaults"]["links"]) {
                // The page's views; `src/page/app.js` has the list.
                let path = string(&link["url"]).strip_prefix("${page}/#/").unwrap();
                let path = path.split('?').next().unwrap();
                let view = path.strip_prefix("models/${model}").unwrap_or(path);
                let views =
                    ["", "/slices", "/drift", "/labels", "/policies", "requests", "pipeline"];
                let feature = "/features/${__field.labels.feature}";
                assert!(views.contains(&view) || view == feature, "{view}");
            }
        }
    }
}

#[test]
fn the_dashboards_are_what_the_script_writes() {
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .arg("-B")
        .arg(file("source/build.py"))
        .arg(scratch.path())
        .output()
        .expect("python3 is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for dashboard in dashboards() {
        let name = format!("{}.json", dashboard.name);
        let same = text(&scratch.path().join(&name)) == text(&file("grafana").join(&name));
        assert!(same, "{name} is old: run python3 dashboards/source/build.py");
    }
}

#[test]
fn provisioning_names_the_datasource_and_the_folder() {
    let folder = file("grafana/provisioning");
    let sources = yaml(&folder.join("datasources/prometheus.yml"));
    assert_eq!(sources["apiVersion"], 1);
    let source = &sources["datasources"][0];
    assert_eq!((&source["type"], &source["isDefault"]), (&json!("prometheus"), &json!(true)));
    assert_eq!(source["uid"], "tidemark-prometheus");
    let providers = yaml(&folder.join("dashboards/tidemark.yml"));
    let provider = &providers["providers"][0];
    assert_eq!((&provider["type"], &provider["allowUiUpdates"]), (&json!("file"), &json!(false)));
    assert_eq!(provider["options"]["path"], "/var/lib/grafana/dashboards");
}
