//! TensorFlow Data Validation 1.16: statistics of each file as of one data frame, then
//! `anomalies/metrics.cc`. It has no thresholds of its own: give them with `--threshold`.

use super::tfdv_histogram::{aligned, standard};
use super::{Findings, Settings};
use crate::compare::exact::divergence::l_infinity;
use crate::compare::feature::{Feature, Numbers, Values, counts, totals};
use crate::compare::finding::{Alarm, FeatureFindings, Statistic};

const ALL: [Statistic; 2] = [Statistic::Js, Statistic::LInfinity];
/// Its statistics list as many categories of a column, the most frequent ones.
const CATEGORIES_MAX: usize = 1_000;

pub fn compare(feature: &Feature, settings: &Settings) -> FeatureFindings {
    let mut findings = Findings::new(feature, &ALL, settings);
    match &feature.values {
        Values::Numeric { reference, current, .. } => {
            let sides = [Numbers::new(reference, true), Numbers::new(current, true)];
            findings.found.rows = (sides[0].len() as u64, sides[1].len() as u64);
            let histogram = |side: &Numbers| standard(&side.rows).filter(|_| !side.is_empty());
            if let (Some(one), Some(other)) = (histogram(&sides[0]), histogram(&sides[1])) {
                let (p, q) = aligned(&one, &other);
                findings.distance(Statistic::Js, divergence(&p, &q), Alarm::Above, None);
            }
            findings.found.decisive = Some(Statistic::Js);
        }
        Values::Categorical { categories, reference, current } => {
            let counts = counts(categories.len(), reference, current);
            findings.found.rows = totals(&counts);
            if findings.found.rows.0 > 0 && findings.found.rows.1 > 0 {
                let p = listed(counts.iter().map(|count| count.0));
                let q = listed(counts.iter().map(|count| count.1));
                if counts.len() > CATEGORIES_MAX {
                    let note = format!("of each side its {CATEGORIES_MAX} most frequent values");
                    findings.found.notes.push(note);
                }
                findings.distance(Statistic::Js, divergence(&p, &q), Alarm::Above, None);
                let of = |side: &[f64]| {
                    let total: f64 = side.iter().sum();
                    side.iter().map(|count| count / total).collect::<Vec<f64>>()
                };
                let l_infinity = l_infinity(&of(&p), &of(&q));
                findings.distance(Statistic::LInfinity, Some(l_infinity), Alarm::Above, None);
            }
            findings.found.decisive = Some(Statistic::LInfinity);
        }
    }
    findings.found
}

/// The counts of the most frequent categories, 0 for the others. Of two as frequent the greater
/// name is taken: the counts are in the order of the names.
fn listed(counts: impl Iterator<Item = u64>) -> Vec<f64> {
    let counts: Vec<u64> = counts.collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_unstable_by_key(|at| std::cmp::Reverse((counts[*at], *at)));
    let mut listed = vec![0.0; counts.len()];
    for at in order.into_iter().take(CATEGORIES_MAX) {
        listed[at] = counts[at] as f64;
    }
    listed
}

/// The Jensen-Shannon *divergence* in base 2, at most 1. `None` where a side has no mass.
fn divergence(p: &[f64], q: &[f64]) -> Option<f64> {
    let (of_p, of_q) = (p.iter().sum::<f64>(), q.iter().sum::<f64>());
    if of_p <= 0.0 || of_q <= 0.0 {
        return None;
    }
    let part = |share: f64, middle: f64| match share > 0.0 && middle > 0.0 {
        true => share * (share / middle).log2(),
        false => 0.0,
    };
    let term = |(p, q): (&f64, &f64)| {
        let (p, q) = (p / of_p, q / of_q);
        part(p, (p + q) / 2.0) + part(q, (p + q) / 2.0)
    };
    Some((p.iter().zip(q).map(term).sum::<f64>() / 2.0).min(1.0))
}
