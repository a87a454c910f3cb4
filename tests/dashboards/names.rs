//! Panels, variables, rules and runbooks name only metrics, labels and panels that exist.

use super::files::{alerts, dashboards, file, panel_queries, rule_queries, rules, string, text};
use super::labels::{Known, Labels};
use std::collections::BTreeSet;

/// Scraped metrics and those that the recording rules make.
pub fn known() -> Known {
    let mut known = Known::scraped();
    for query in rule_queries() {
        if let Some(record) = &query.record {
            let labels = known.labels(&query.expr);
            known.record(record, labels.unwrap_or_else(|error| panic!("{record}: {error}")));
        }
    }
    known
}

/// Names within some brackets: `{{model}}` or `{{ $labels.model }}`.
fn between<'a>(text: &'a str, open: &str) -> Vec<&'a str> {
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts = text.split(open).skip(1);
    parts.map(|rest| rest.split(|c| !inside(c)).next().unwrap_or_default()).collect()
}

fn has_all(labels: &Labels, names: &[&str], place: &str) {
    for name in names {
        assert!(labels.contains(*name), "{place}: there is no label {name} in {labels:?}");
    }
}

#[test]
fn every_panel_names_metrics_and_labels_that_exist() {
    let known = known();
    let queries = panel_queries();
    assert!(queries.len() > 100, "{}", queries.len());
    for query in queries {
        let labels = known.labels(&query.expr);
        let labels = labels.unwrap_or_else(|error| panic!("{}: {error}", query.place));
        has_all(&labels, &between(&query.legend, "{{"), &query.place);
    }
}

#[test]
fn every_variable_of_a_dashboard_is_a_label_that_exists() {
    let known = known();
    let mut seen = 0;
    for dashboard in dashboards() {
        for variable in dashboard.variables().iter().filter(|one| one["type"] == "query") {
            let name = string(&variable["name"]);
            let query = string(&variable["query"]["query"]);
            let inner = query.strip_prefix("label_values(").and_then(|q| q.strip_suffix(')'));
            let (selector, label) = inner.and_then(|q| q.rsplit_once(", ")).expect(query);
            assert_eq!(label, name, "{query}");
            let labels = known.labels(selector).unwrap_or_else(|e| panic!("{query}: {e}"));
            has_all(&labels, &[label], query);
            assert_eq!(variable["definition"], query);
            seen += 1;
        }
    }
    assert!(seen >= 14, "{seen}");
}

#[test]
fn every_rule_names_metrics_and_labels_that_exist() {
    let known = known();
    for (query, rule) in rule_queries().iter().zip(rules()) {
        let labels = known.labels(&query.expr);
        let mut labels = labels.unwrap_or_else(|error| panic!("{}: {error}", query.place));
        // In `a or b` a label may be of one side only; its template asks for it.
        if query.place == "TidemarkRowsShed" {
            labels.extend(["model".to_owned(), "topic".to_owned()]);
        }
        for annotation in rule["annotations"].as_object().into_iter().flatten() {
            has_all(&labels, &between(string(annotation.1), "$labels."), &query.place);
        }
    }
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let on_disk: BTreeSet<String> = std::fs::read_dir(file("runbooks"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut named = BTreeSet::new();
    for alert in alerts() {
        let name = string(&alert["alert"]);
        let url = string(&alert["annotations"]["runbook_url"]);
        assert_eq!(url, format!("dashboards/runbooks/{name}.md"));
        assert!(named.insert(format!("{name}.md")), "{name} twice");
    }
    assert_eq!(on_disk, named);
}

#[test]
fn runbooks_say_what_it_means_what_to_look_at_and_what_to_do() {
    let known = known();
    let titles: BTreeSet<String> = dashboards()
        .iter()
        .flat_map(|dashboard| dashboard.all())
        .map(|panel| string(&panel["title"]).to_owned())
        .collect();
    for alert in alerts() {
        let name = string(&alert["alert"]);
        let page = text(&file("runbooks").join(format!("{name}.md")));
        assert!(page.starts_with(&format!("# {name}\n")), "{name}");
        let parts = ["\n## What it means\n", "\n## What to look at\n", "\n## What to do\n"];
        let places = parts.map(|part| page.find(part).unwrap_or_else(|| panic!("{name}:{part}")));
        assert!(places.is_sorted() && page.len() < 3_000, "{name}");
        // Panels are named in quotes, in the lines about Grafana.
        for line in page.lines().filter(|line| line.contains("*tidemark / ")) {
            for title in line.split('"').skip(1).step_by(2) {
                assert!(titles.contains(title), "{name}: there is no panel {title:?}");
            }
        }
        for code in page.split('`').skip(1).step_by(2) {
            let metric = code.split_once('{').map_or(code, |(name, _)| name);
            if metric.contains("tidemark_") && !metric.contains(' ') {
                known.labels(code).unwrap_or_else(|error| panic!("{name}: `{code}`: {error}"));
            }
        }
        for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            assert!(file("runbooks").join(link).exists(), "{name}: {link}");
        }
    }
}
