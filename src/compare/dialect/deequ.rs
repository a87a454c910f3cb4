//! deequ 2.0 (`analyzers/Distance.scala`), with the threshold that SageMaker Model Monitor puts on
//! it.

use super::{Findings, Settings, kll_sketch};
use crate::compare::exact::table::{Test, chi_square_survival};
use crate::compare::feature::{Feature, Numbers, Values, counts, totals};
use crate::compare::finding::{Alarm, FeatureFindings, Finding, Statistic};

const ALL: [Statistic; 2] = [Statistic::LInfinity, Statistic::ChiSquare];
/// SageMaker's `comparison_threshold`; deequ itself has none.
const THRESHOLD: f64 = 0.1;
/// c(alpha) of the two-sample Kolmogorov-Smirnov test for alpha of about 0.003.
const C_ALPHA: f64 = 1.8;

pub fn compare(feature: &Feature, settings: &Settings) -> FeatureFindings {
    let mut findings = Findings::new(feature, &ALL, settings);
    match &feature.values {
        Values::Numeric { reference, current, .. } => {
            let sides = [Numbers::new(reference, true), Numbers::new(current, true)];
            findings.found.rows = (sides[0].len() as u64, sides[1].len() as u64);
            let [one, other] = sides.map(|side| kll_sketch::ranks(&side.rows));
            if let Some((simple, n, m)) = kll_sketch::l_infinity(&one, &other) {
                put_l_infinity(&mut findings, simple, n, m);
                if findings.found.rows != (n as u64, m as u64) {
                    let note = "deequ's sketch counts equal values once: its numbers are off where \
                                values repeat";
                    findings.found.notes.push(note.to_owned());
                }
            }
        }
        Values::Categorical { categories, reference, current } => {
            let counts = counts(categories.len(), reference, current);
            findings.found.rows = totals(&counts);
            let (n, m) = findings.found.rows;
            if n > 0 && m > 0 {
                let (n, m) = (n as f64, m as f64);
                let difference = |c: &(u64, u64)| (c.0 as f64 / n - c.1 as f64 / m).abs();
                let simple = counts.iter().map(difference).fold(0.0, f64::max);
                put_l_infinity(&mut findings, simple, n, m);
                let test = chi_square(&counts);
                let p = test.map(|test| test.p_value);
                let threshold = settings.threshold(Statistic::ChiSquare, None);
                let finding = Finding { p_value: p, ..below(p, threshold) };
                findings.put(Statistic::ChiSquare, finding);
            }
        }
    }
    findings.found.decisive = Some(Statistic::LInfinity);
    findings.found
}

fn below(p: Option<f64>, threshold: Option<f64>) -> Finding {
    Finding::distance(p, Alarm::Below, threshold)
}

/// Its robust form: what is left of the distance after the noise of so many rows is taken away.
fn put_l_infinity(findings: &mut Findings, simple: f64, n: f64, m: f64) {
    let robust = (simple - C_ALPHA * ((n + m) / (n * m)).sqrt()).max(0.0);
    findings.distance(Statistic::LInfinity, Some(robust), Alarm::Above, Some(THRESHOLD));
}

/// Its chi-square test: rows of new categories are left out, the reference is scaled to the rest,
/// and small categories are joined, the smallest two at a time. Of several as small the first by
/// name is taken; in its source that depends on a hash map.
fn chi_square(counts: &[(u64, u64)]) -> Option<Test> {
    let reference: u64 = totals(counts).0;
    let known: u64 = counts.iter().filter(|count| count.0 > 0).map(|count| count.1).sum();
    let expected = |count: u64| count as f64 / reference as f64 * known as f64;
    let mut cells: Vec<(f64, f64)> = counts
        .iter()
        .filter(|count| count.0 > 0)
        .map(|count| (expected(count.0), count.1 as f64))
        .collect();
    while cells.len() >= 2 {
        let (least, allowed) = match cells.len() {
            2 => (10.0, 0),
            many => (5.0, (0.2 * many as f64) as usize),
        };
        if cells.iter().filter(|cell| cell.0 < least).count() <= allowed {
            break;
        }
        let removed = cells.remove(smallest(&cells));
        let into = smallest(&cells);
        cells[into].0 += removed.0;
        cells[into].1 += removed.1;
    }
    if cells.len() < 2 {
        return None;
    }
    // Spark scales the expected counts to the observed ones once more.
    let scale = cells.iter().map(|c| c.1).sum::<f64>() / cells.iter().map(|c| c.0).sum::<f64>();
    let term = |(expected, observed): &(f64, f64)| {
        let expected = expected * scale;
        (observed - expected).powi(2) / expected
    };
    let statistic: f64 = cells.iter().map(term).sum();
    let p_value = chi_square_survival(statistic, cells.len() - 1)?;
    (!statistic.is_nan()).then_some(Test { statistic, p_value })
}

fn smallest(cells: &[(f64, f64)]) -> usize {
    let mut at = 0;
    for (other, cell) in cells.iter().enumerate() {
        if cell.0 < cells[at].0 {
            at = other;
        }
    }
    at
}
