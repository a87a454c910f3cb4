//! The shipped files, read: dashboards with their queries, rules with their expressions.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file below `dashboards/`.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards").join(name)
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub const DASHBOARDS: [&str; 3] = ["model", "drift", "daemon"];

pub struct Dashboard {
    pub name: &'static str,
    pub json: Value,
}

pub fn dashboards() -> Vec<Dashboard> {
    let read = |name| {
        let path = file("grafana").join(format!("{name}.json"));
        Dashboard { name, json: serde_json::from_str(&text(&path)).unwrap() }
    };
    DASHBOARDS.map(read).into()
}

impl Dashboard {
    /// Rows too; those within a collapsed row as well.
    pub fn all(&self) -> Vec<&Value> {
        let top = self.json["panels"].as_array().unwrap();
        top.iter().flat_map(|one| std::iter::once(one).chain(list(&one["panels"]))).collect()
    }

    /// Without rows.
    pub fn panels(&self) -> Vec<&Value> {
        self.all().into_iter().filter(|panel| panel["type"] != "row").collect()
    }

    pub fn variables(&self) -> &[Value] {
        list(&self.json["templating"]["list"])
    }
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// An expression and where it stands.
#[derive(Clone, Debug)]
pub struct Query {
    pub place: String,
    pub expr: String,
    /// Text in which `{{label}}` stands for a label of the result.
    pub legend: String,
    /// Of a recording rule: the name of what it makes.
    pub record: Option<String>,
    pub is_alert: bool,
}

impl Query {
    fn new(place: String, expr: &Value, legend: &str) -> Self {
        let (expr, legend) = (string(expr).to_owned(), legend.to_owned());
        Self { place, expr, legend, record: None, is_alert: false }
    }
}

/// Every query of panels and annotations.
pub fn panel_queries() -> Vec<Query> {
    let mut all = Vec::new();
    for dashboard in &dashboards() {
        for panel in dashboard.panels() {
            for target in list(&panel["targets"]) {
                let (title, id) = (string(&panel["title"]), string(&target["refId"]));
                let place = format!("{}.json: {title}: {id}", dashboard.name);
                let legend = string(&target["legendFormat"]);
                all.push(Query::new(place, &target["expr"], legend));
            }
        }
        for one in list(&dashboard.json["annotations"]["list"]) {
            let place = format!("{}.json: annotation {}", dashboard.name, string(&one["name"]));
            all.push(Query::new(place, &one["expr"], string(&one["titleFormat"])));
        }
    }
    all
}

pub const RULE_FILES: [&str; 2] = ["recording", "alerts"];

pub fn rule_file(name: &str) -> PathBuf {
    file("prometheus").join(format!("{name}.yml"))
}

/// The rules of both files as they are written.
pub fn rules() -> Vec<Value> {
    let mut all = Vec::new();
    for name in RULE_FILES {
        for group in list(&yaml(&rule_file(name))["groups"]) {
            all.extend(list(&group["rules"]).iter().cloned());
        }
    }
    all
}

pub fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

/// The expressions of recording rules, and then of alerts.
pub fn rule_queries() -> Vec<Query> {
    let query = |rule: &Value| {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).expect("a name");
        let record = rule["record"].as_str().map(str::to_owned);
        let is_alert = record.is_none();
        Query { record, is_alert, ..Query::new(name.to_owned(), &rule["expr"], "") }
    };
    rules().iter().map(query).collect()
}
