//! A comparison for a person, and for a program.

use super::Comparison;
use super::finding::{FeatureFindings, Finding, Statistic};
use crate::profile::cell::printable;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::fmt::{self, Display};

/// Characters of a column's name that the table shows.
const NAME_CHARS_MAX: usize = 32;
/// Columns that are left out and named.
const LEFT_OUT_SHOWN: usize = 20;

impl Comparison {
    /// See `tidemark compare --help` for the shape of `features`.
    pub fn to_json(&self) -> Value {
        let side = |file: &str, rows: u64| json!({ "file": file, "rows": rows });
        let mut features = Map::new();
        let mut verdicts = Map::new();
        for feature in &self.features {
            let of = |(statistic, finding): &(Statistic, Option<Finding>)| {
                (statistic.name().to_owned(), json!(finding))
            };
            features.insert(feature.name.clone(), feature.statistics.iter().map(of).collect());
            let verdict = json!({
                "kind": feature.kind,
                "statistic": feature.decisive.map(Statistic::name),
                "drifted": feature.drifted(),
                "rows": { "reference": feature.rows.0, "current": feature.rows.1 },
                "notes": feature.notes,
            });
            verdicts.insert(feature.name.clone(), verdict);
        }
        let left_out: Map<String, Value> =
            self.left_out.iter().map(|(name, why)| (name.clone(), json!(why))).collect();
        json!({
            "dialect": self.dialect.name(),
            "reference": side(&self.reference, self.rows.0),
            "current": side(&self.current, self.rows.1),
            "drifted": self.drifted().map(|feature| &feature.name).collect::<Vec<_>>(),
            "features": features,
            "verdicts": verdicts,
            "left_out": left_out,
            "not_computed": self.dialect.left_out(),
        })
    }

    /// The table; only the deciding statistics if `summary`.
    pub fn table(&self, summary: bool) -> Table<'_> {
        Table { comparison: self, summary }
    }
}

/// A table that a person can read.
pub struct Table<'a> {
    comparison: &'a Comparison,
    summary: bool,
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.comparison;
        writeln!(
            f,
            "{} ({} rows) against {} ({} rows), dialect {}",
            printable(&c.current, 60),
            c.rows.1,
            printable(&c.reference, 60),
            c.rows.0,
            c.dialect.name()
        )?;
        let judged = c.features.iter().filter(|feature| feature.drifted().is_some()).count();
        let drifted = c.drifted().count();
        match (c.features.len(), judged) {
            (0, _) => writeln!(f, "no column is in both files")?,
            (all, 0) => writeln!(f, "{all} features; no verdicts without --threshold")?,
            (all, judged) if all == judged => writeln!(f, "{drifted} of {all} features drifted")?,
            (all, judged) => {
                writeln!(f, "{drifted} of {judged} features drifted, {} not judged", all - judged)?
            }
        }
        let mut order: Vec<&FeatureFindings> = c.features.iter().collect();
        order.sort_by(|a, b| by_verdict_and_effect(a, b));
        let names = order.iter().map(|feature| shown_name(&feature.name).chars().count());
        let width = names.max().unwrap_or(0).max("feature".len());
        if !order.is_empty() {
            writeln!(
                f,
                "\n{:width$}  {:18} {:>11} {:>11} {:>11}  verdict",
                "feature", "statistic", "value", "p-value", "threshold"
            )?;
        }
        for feature in order {
            self.feature(f, feature, width)?;
        }
        left_out(f, c)
    }
}

impl Table<'_> {
    fn feature(
        &self,
        f: &mut fmt::Formatter<'_>,
        feature: &FeatureFindings,
        width: usize,
    ) -> fmt::Result {
        let mut name = shown_name(&feature.name);
        let decides = |which: Statistic| feature.decisive == Some(which);
        // What decides comes first.
        let mut rows: Vec<_> = feature
            .statistics
            .iter()
            .filter(|(which, _)| decides(*which) || !self.summary)
            .filter_map(|(which, finding)| Some((*which, (*finding)?)))
            .collect();
        rows.sort_by_key(|(which, _)| !decides(*which));
        if rows.is_empty() {
            writeln!(f, "{name:width$}  no value on one side, or none that this dialect measures")?;
        }
        for (which, finding) in rows {
            let star = if decides(which) { " *" } else { "" };
            let statistic = format!("{}{star}", which.name());
            let verdict = match finding.drifted {
                Some(true) => "DRIFT",
                Some(false) => "ok",
                None => "-",
            };
            let [value, p, threshold] =
                [finding.value, finding.p_value, finding.threshold].map(number);
            writeln!(
                f,
                "{name:width$}  {statistic:18} {value:>11} {p:>11} {threshold:>11}  {verdict}"
            )?;
            name.clear();
        }
        for note in &feature.notes {
            writeln!(f, "{:width$}  note: {note}", "")?;
        }
        Ok(())
    }
}

fn left_out(f: &mut fmt::Formatter<'_>, c: &Comparison) -> fmt::Result {
    if !c.left_out.is_empty() {
        writeln!(f, "\nnot compared:")?;
    }
    for (name, why) in c.left_out.iter().take(LEFT_OUT_SHOWN) {
        writeln!(f, "  {}: {why}", shown_name(name))?;
    }
    if c.left_out.len() > LEFT_OUT_SHOWN {
        writeln!(f, "  and {} more", c.left_out.len() - LEFT_OUT_SHOWN)?;
    }
    Ok(())
}

fn shown_name(name: &str) -> String {
    printable(name, NAME_CHARS_MAX)
}

/// What drifted first, the greatest effect first; then what is not judged; then the rest.
fn by_verdict_and_effect(a: &FeatureFindings, b: &FeatureFindings) -> Ordering {
    let verdict = |feature: &FeatureFindings| match feature.drifted() {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    };
    verdict(a)
        .cmp(&verdict(b))
        .then_with(|| effect(b).total_cmp(&effect(a)))
        .then_with(|| a.name.cmp(&b.name))
}

/// A distance from 0 to 1 that numbers and categories share.
fn effect(feature: &FeatureFindings) -> f64 {
    let of = |statistic| feature.finding(statistic)?.value;
    of(Statistic::Js).or_else(|| of(Statistic::LInfinity)).unwrap_or(0.0)
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if !(1e-4..1e6).contains(&value.abs()) => format!("{value:.3e}"),
        Some(value) => format!("{value:.6}"),
    }
}
