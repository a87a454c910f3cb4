//! What a person reads after a profile was made.

use super::args::ProfileArgs;
use super::cell::printable;
use crate::engine::cbpe::CalibrationReference;
use crate::engine::reference::{
    CategoricalReference, Distribution, FeatureReference, NumericReference, Profile,
};
use std::fmt;
use std::path::PathBuf;

/// Below this many rows, bins of a tenth hold too few for a quiet comparison.
const ROWS_ENOUGH: u64 = 1_000;
/// Names that rarely belong to a feature.
const NOT_FEATURES: [&str; 13] = [
    "id",
    "label",
    "prediction",
    "prediction_id",
    "probability",
    "score",
    "split",
    "target",
    "time",
    "timestamp",
    "y",
    "y_pred",
    "y_true",
];
/// Warnings of one kind that are printed one by one; the others are counted.
const NAMES_SHOWN: usize = 10;

/// The profile as it was written, and what the person should know of it.
#[derive(Clone, Debug)]
pub struct Report {
    pub profile: Profile,
    /// One sentence each; safe to print.
    pub warnings: Vec<String>,
    pub output: PathBuf,
}

/// What could not enter the profile.
pub(super) struct LeftOut {
    /// Columns, each with the reason.
    pub columns: Vec<(String, &'static str)>,
    /// Why there is no calibration, where one was possible.
    pub calibration: Option<String>,
    /// Labelled rows without a prediction that the baseline could use.
    pub rows: u64,
}

/// What is doubtful about the data.
pub(super) fn warnings(args: &ProfileArgs, profile: &Profile, left_out: &LeftOut) -> Vec<String> {
    let mut warnings = Vec::new();
    if args.trained_on {
        warnings.push(
            "the model was trained on this data: its baseline is better than what to expect, and \
             alerts against it will be too eager; use held-out data where possible"
                .into(),
        );
        if profile.calibration.is_some() {
            warnings.push(
                "estimates before labels are too good for the same reason; how far off they are \
                 shows when they are graded"
                    .into(),
            );
        }
    }
    if profile.rows < ROWS_ENOUGH {
        let rows = profile.rows;
        warnings.push(format!("only {rows} rows; drift is quieter from about {ROWS_ENOUGH} on"));
    }
    if profile.baseline.is_empty() {
        warnings.push(
            "no baseline: it needs --label and --score or --prediction; policies with \
             baseline_minus or baseline_plus cannot use this profile"
                .into(),
        );
    }
    if left_out.rows > 0 {
        warnings.push(format!(
            "{} labelled rows are not in the baseline: their prediction, score, label or weight is \
             missing or of another type",
            left_out.rows
        ));
    }
    if let Some(why) = &left_out.calibration {
        warnings.push(format!("no estimates before labels: {why}"));
    }
    for (name, why) in &left_out.columns {
        warnings.push(format!("column `{}` is left out: {why}", printable(name, 60)));
    }
    type Test = fn(&FeatureReference, &Profile) -> bool;
    let kinds: [(&str, Test); 5] = [
        ("have no value at all", |f, _| f.distribution.rows() == 0),
        ("have one value only", |f, _| is_constant(f)),
        ("hold values of another type, counted as invalid", |f, _| f.invalid > 0),
        ("look like ids or times (hardly a value occurs twice); see --ignore", looks_like_ids),
        (
            "have names that features rarely have; see --label, --score, --prediction, --ignore",
            |f, _| NOT_FEATURES.contains(&f.name.to_lowercase().as_str()),
        ),
    ];
    for (what, test) in kinds {
        let found = profile.features.iter().filter(|feature| test(feature, profile));
        let names: Vec<String> =
            found.map(|feature| format!("`{}`", printable(&feature.name, 60))).collect();
        if !names.is_empty() {
            let more = match names.len().saturating_sub(NAMES_SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let shown = names[..names.len().min(NAMES_SHOWN)].join(", ");
            warnings.push(format!("features that {what}: {shown}{more}"));
        }
    }
    warnings
}

fn is_constant(feature: &FeatureReference) -> bool {
    match &feature.distribution {
        Distribution::Numeric(numbers) => numbers.min == numbers.max,
        Distribution::Categorical(categories) => {
            categories.categories.len() == 1 && categories.other == 0
        }
    }
}

fn looks_like_ids(feature: &FeatureReference, profile: &Profile) -> bool {
    match &feature.distribution {
        Distribution::Numeric(_) => false,
        Distribution::Categorical(found) => {
            let once = found.categories.first().is_some_and(|category| category.count <= 2);
            profile.rows >= 100 && once && found.rows() * 2 > profile.rows
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = &self.profile;
        writeln!(f, "{}: {} rows", self.output.display(), profile.rows)?;
        let of = |what: &Option<String>| printable(what.as_deref().unwrap_or("none given"), 60);
        writeln!(f, "model {}, task {}", of(&profile.model), of(&profile.task))?;
        if !profile.classes.is_empty() {
            let classes: Vec<String> =
                profile.classes.iter().take(20).map(|class| printable(class, 30)).collect();
            let positive = profile.positive_class.as_ref();
            let positive = positive
                .map_or(String::new(), |class| format!("; positive: {}", printable(class, 30)));
            writeln!(f, "classes {}{positive}", classes.join(", "))?;
        }
        writeln!(f)?;
        write_table(f, &feature_rows(profile))?;
        if !profile.baseline.is_empty() {
            writeln!(f, "\nbaseline")?;
            let row = |(name, estimate): (&String, &crate::engine::estimate::Estimate)| {
                let interval = estimate.interval.map_or(String::new(), |interval| {
                    format!("{} to {}", number(interval.lower), number(interval.upper))
                });
                let support = format!("{} rows", estimate.support);
                [format!("  {name}"), number(estimate.value), interval, support]
            };
            write_table(f, &profile.baseline.iter().map(row).collect::<Vec<_>>())?;
        }
        if let Some(line) = profile.calibration.as_ref().map(calibration_line) {
            writeln!(f, "\n{line}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "\nwarning: {warning}")?;
        }
        writeln!(f, "\n{}", profile.content_hash)
    }
}

/// What estimates before labels rest on.
fn calibration_line(calibration: &CalibrationReference) -> String {
    let rows = calibration.rows;
    let fitted = calibration.maps.iter().flatten();
    let knots: usize = fitted.map(|map| map.knots().len()).sum();
    match knots {
        0 => format!("estimates before labels: {rows} rows, scores as they are"),
        _ => format!("estimates before labels: {rows} rows, calibrated by {knots} knots"),
    }
}

fn feature_rows(profile: &Profile) -> Vec<[String; 5]> {
    let header = ["feature", "kind", "missing", "values", "range"].map(String::from);
    let mut rows = vec![header];
    for feature in &profile.features {
        let absent = feature.missing + feature.null + feature.invalid + feature.non_finite;
        let missing = match absent {
            0 => "-".into(),
            absent => percent(absent, profile.rows),
        };
        let (kind, values, range) = describe(&feature.distribution);
        rows.push([printable(&feature.name, 40), kind.into(), missing, values, range]);
    }
    let others = [
        ("(score)", profile.score.as_ref().map(describe_numbers)),
        ("(predicted class)", profile.predicted_classes.as_ref().map(describe_categories)),
        ("(label)", profile.label_classes.as_ref().map(describe_categories)),
        ("(label)", profile.label_values.as_ref().map(describe_numbers)),
    ];
    for (name, described) in others {
        if let Some((kind, values, range)) = described {
            rows.push([name.into(), kind.into(), "-".into(), values, range]);
        }
    }
    rows
}

fn describe(distribution: &Distribution) -> (&'static str, String, String) {
    match distribution {
        Distribution::Numeric(numbers) => describe_numbers(numbers),
        Distribution::Categorical(categories) => describe_categories(categories),
    }
}

fn describe_numbers(numbers: &NumericReference) -> (&'static str, String, String) {
    let filled = numbers.counts.iter().filter(|&&count| count > 0).count();
    let bins = format!("{filled} bins");
    ("numeric", bins, format!("{} .. {}", number(numbers.min), number(numbers.max)))
}

fn describe_categories(found: &CategoricalReference) -> (&'static str, String, String) {
    let more = if found.other > 0 { "+" } else { "" };
    let count = format!("{}{more} categories", found.categories.len());
    let most = found.categories.first().map_or(String::from("-"), |category| {
        let share = percent(category.count, found.rows());
        format!("{} {share}", printable(&category.value, 30))
    });
    ("categorical", count, most)
}

fn percent(count: u64, of: u64) -> String {
    format!("{:.1}%", 100.0 * count as f64 / of as f64)
}

/// Six significant digits at most.
fn number(value: f64) -> String {
    if value == 0.0 || (1e-4..1e15).contains(&value.abs()) {
        let digits = 5 - value.abs().log10().floor().clamp(-4.0, 5.0) as i32;
        let text = format!("{value:.*}", if value == 0.0 { 0 } else { digits.max(0) as usize });
        return match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        };
    }
    format!("{value:.5e}")
}

/// Columns aligned on the left, two spaces between them. Widths are in characters.
fn write_table<const N: usize>(f: &mut fmt::Formatter<'_>, rows: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_six_digits_at_most() {
        let shown = [0.0, 1.0, 0.123456789, 12345.678, 1e9, 1.5e-7, -0.5, 99999.96].map(number);
        let expected =
            ["0", "1", "0.123457", "12345.7", "1000000000", "1.50000e-7", "-0.5", "100000"];
        assert_eq!(shown, expected);
    }
}
