//! Which labels a PromQL expression's result has, from what the daemon declares; and what it names
//! that does not exist.

use promql_parser::parser::token::{T_BOTTOMK, T_COUNT_VALUES, T_TOPK};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
    parse,
};
use std::collections::{BTreeMap, BTreeSet};
use tidemark::io::telemetry::{Kind, PROCESS_FAMILIES, families};

pub type Labels = BTreeSet<String>;

/// Metrics by name, with their labels.
pub struct Known(BTreeMap<String, Labels>);

/// What Prometheus itself gives to each series that it scrapes.
const TARGET: [&str; 2] = ["job", "instance"];

/// Grafana puts other values in their places. Those within quotes are text to the parser already.
pub const VARIABLES: [(&str, &str); 2] = [("$__rate_interval", "5m"), ("$__interval", "1m")];

impl Known {
    /// What a scrape of the daemon brings.
    pub fn scraped() -> Self {
        let mut known = Self(BTreeMap::new());
        for family in families() {
            match family.kind {
                Kind::Counter | Kind::Gauge => known.add(family.name, family.labels),
                Kind::Histogram => {
                    let with_le = [family.labels, &["le"]].concat();
                    known.add(&format!("{}_bucket", family.name), &with_le);
                    known.add(&format!("{}_sum", family.name), family.labels);
                    known.add(&format!("{}_count", family.name), family.labels);
                }
            }
        }
        for name in PROCESS_FAMILIES.iter().chain(&["up"]) {
            known.add(name, &[]);
        }
        known
    }

    fn add(&mut self, name: &str, labels: &[&str]) {
        let labels = labels.iter().chain(&TARGET).map(|label| (*label).to_owned()).collect();
        self.0.insert(name.to_owned(), labels);
    }

    /// Adds what a recording rule makes.
    pub fn record(&mut self, name: &str, labels: Labels) {
        assert!(self.0.insert(name.to_owned(), labels).is_none(), "{name} twice");
    }

    /// The labels of an expression's result.
    ///
    /// # Errors
    /// It does not parse, or names what does not exist.
    pub fn labels(&self, expr: &str) -> Result<Labels, String> {
        let mut expr = expr.to_owned();
        for (variable, value) in VARIABLES {
            expr = expr.replace(variable, value);
        }
        let tree = parse(&expr)?;
        Ok(self.of(&tree)?.unwrap_or_default())
    }

    /// `None` of a scalar.
    fn of(&self, expr: &Expr) -> Result<Option<Labels>, String> {
        match expr {
            Expr::VectorSelector(selector) => self.selector(selector).map(Some),
            Expr::MatrixSelector(matrix) => self.selector(&matrix.vs).map(Some),
            Expr::Subquery(subquery) => self.of(&subquery.expr),
            Expr::Paren(paren) => self.of(&paren.expr),
            Expr::Unary(unary) => self.of(&unary.expr),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).map(Some),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => self.call(call),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(None),
            Expr::Extension(_) => Err("an extension of the parser".to_owned()),
        }
    }

    fn selector(&self, selector: &VectorSelector) -> Result<Labels, String> {
        let name = selector.name.as_deref().ok_or("a selector without a name")?;
        let labels = self.0.get(name).ok_or_else(|| format!("there is no metric {name}"))?;
        let matchers = selector.matchers.matchers.iter().map(|matcher| &matcher.name);
        exist(matchers, labels, name)?;
        Ok(labels.clone())
    }

    fn aggregate(&self, aggregate: &AggregateExpr) -> Result<Labels, String> {
        let inner = self.vector(&aggregate.expr)?;
        assert_ne!(aggregate.op.id(), T_COUNT_VALUES, "it makes a label: say so here");
        let named = aggregate.modifier.as_ref().map(|modifier| &modifier.labels().labels);
        exist(named.into_iter().flatten(), &inner, "a grouping")?;
        if [T_TOPK, T_BOTTOMK].contains(&aggregate.op.id()) {
            return Ok(inner);
        }
        Ok(match &aggregate.modifier {
            None => Labels::new(),
            Some(LabelModifier::Include(labels)) => labels.labels.iter().cloned().collect(),
            Some(LabelModifier::Exclude(labels)) => {
                inner.into_iter().filter(|label| !labels.labels.contains(label)).collect()
            }
        })
    }

    fn vector(&self, expr: &Expr) -> Result<Labels, String> {
        self.of(expr)?.ok_or_else(|| format!("{expr} is no vector"))
    }

    fn binary(&self, binary: &BinaryExpr) -> Result<Option<Labels>, String> {
        let (left, right) = match (self.of(&binary.lhs)?, self.of(&binary.rhs)?) {
            (Some(left), Some(right)) => (left, right),
            (one, other) => return Ok(one.or(other)),
        };
        let on = binary.modifier.as_ref().and_then(|modifier| modifier.matching.as_ref());
        let card = binary.modifier.as_ref().map(|modifier| &modifier.card);
        let matched: Labels = match on {
            Some(LabelModifier::Include(labels)) => {
                exist(labels.labels.iter(), &left, "the left side of on")?;
                exist(labels.labels.iter(), &right, "the right side of on")?;
                labels.labels.iter().cloned().collect()
            }
            _ if left == right || binary.op.to_string() == "or" => left.clone(),
            _ => return Err(format!("{left:?} is matched with {right:?}: say `on`")),
        };
        Ok(Some(match card {
            Some(VectorMatchCardinality::ManyToOne(_)) => left,
            Some(VectorMatchCardinality::OneToMany(_)) => right,
            _ if binary.op.is_set_operator() && binary.op.to_string() == "or" => {
                left.intersection(&right).cloned().collect()
            }
            _ if binary.op.is_set_operator() => left,
            _ if matched.len() < left.len() && matched.len() < right.len() => matched,
            // One to one, with a side that `on` names wholly.
            _ => matched,
        }))
    }

    fn call(&self, call: &Call) -> Result<Option<Labels>, String> {
        let mut vector = None;
        for argument in &call.args.args {
            vector = vector.or(self.of(argument)?);
        }
        match call.func.name {
            "time" => Ok(None),
            "vector" => Ok(Some(Labels::new())),
            "absent" => Ok(Some(Labels::from(["job".to_owned()]))),
            "histogram_quantile" => {
                let mut labels = vector.ok_or("histogram_quantile of no vector")?;
                assert!(labels.remove("le"), "{call}: no le");
                Ok(Some(labels))
            }
            _ => Ok(vector),
        }
    }
}

fn exist<'a>(
    names: impl Iterator<Item = &'a String>,
    labels: &Labels,
    of: &str,
) -> Result<(), String> {
    for name in names {
        if !labels.contains(name) {
            return Err(format!("{of} has no label {name}, only {labels:?}"));
        }
    }
    Ok(())
}

#[test]
fn what_does_not_exist_is_noticed() {
    let known = Known::scraped();
    let labels = |expr: &str| {
        let labels = known.labels(expr)?;
        Ok::<_, String>(labels.into_iter().collect::<Vec<_>>().join(" "))
    };
    for (expr, expected) in [
        ("tidemark_ready", "instance job"),
        ("sum(tidemark_ready)", ""),
        ("sum by (job) (rate(tidemark_predictions_total[$__rate_interval]))", "job"),
        ("max without (partition) (tidemark_consumer_lag_records)", "instance job topic"),
        ("topk(3, tidemark_pending_predictions)", "instance job model"),
        ("time() - tidemark_snapshot_timestamp_seconds > 5", "instance job"),
        ("histogram_quantile(0.5, sum by (le) (rate(tidemark_poll_seconds_bucket[5m])))", ""),
        (
            "tidemark_policy_firing and on (model) tidemark_pending_predictions",
            "instance job model policy version",
        ),
    ] {
        assert_eq!(labels(expr).as_deref(), Ok(expected), "{expr}");
    }
    for expr in [
        "tidemark_redy",
        "rate(tidemark_poll_seconds[5m])",
        "tidemark_ready{model=\"x\"}",
        "sum by (model) (tidemark_ready)",
        "sum without (model) (tidemark_ready)",
        "tidemark_policy_firing and on (topic) tidemark_pending_predictions",
        "tidemark_policy_firing * tidemark_pending_predictions",
        "sum(tidemark_ready",
        "",
    ] {
        assert!(labels(expr).is_err(), "{expr}");
    }
}
