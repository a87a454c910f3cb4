//! Evidently 0.7 (`src/evidently/legacy/calculations/stattests`).

use super::{Findings, Settings};
use crate::compare::exact::divergence::{
    hellinger_of_coefficient, jensen_shannon, kullback_leibler, psi,
};
use crate::compare::exact::histogram::{self, Extent};
use crate::compare::exact::table::{fisher, g_of_fit, goodness_of_fit, two_shares};
use crate::compare::exact::{
    anderson, cramer_von_mises, distance, epps_singleton, kolmogorov, ranks, sum, two_means,
};
use crate::compare::feature::{Feature, Numbers, Values, counts, shares, totals};
use crate::compare::finding::Alarm::{Above, AtLeast, AtMost, Below};
use crate::compare::finding::{FeatureFindings, Statistic};

/// What it knows of numbers and of categories, and what it applies to numbers of few values.
const ALL: [Statistic; 16] = [
    Statistic::Psi,
    Statistic::Kl,
    Statistic::Js,
    Statistic::Ks,
    Statistic::Wasserstein,
    Statistic::Hellinger,
    Statistic::ChiSquare,
    Statistic::G,
    Statistic::Z,
    Statistic::FisherExact,
    Statistic::Energy,
    Statistic::AndersonDarling,
    Statistic::CramerVonMises,
    Statistic::MannWhitney,
    Statistic::TTest,
    Statistic::EppsSingleton,
];

/// From more reference rows on it measures distances instead of testing.
const TESTED_ROWS_MAX: usize = 1_000;
/// Numbers with more different values in the reference are binned.
const SINGLE_VALUES_MAX: usize = 20;

pub fn compare(feature: &Feature, settings: &Settings) -> FeatureFindings {
    let mut findings = Findings::new(feature, &ALL, settings);
    match &feature.values {
        Values::Numeric { reference, current, whole } => {
            let sides = [Numbers::new(reference, false), Numbers::new(current, false)];
            if sides.iter().all(|side| !side.is_empty()) {
                numeric(&mut findings, &sides, *whole);
            }
        }
        Values::Categorical { categories, reference, current } => {
            let counts = counts(categories.len(), reference, current);
            let missing = reference.len() + current.len();
            let (of_reference, of_current) = totals(&counts);
            findings.found.rows = (of_reference, of_current);
            if of_reference > 0 && of_current > 0 {
                let none_missing = missing as u64 == of_reference + of_current;
                categorical(&mut findings, &counts, none_missing);
            }
        }
    }
    findings.found
}

fn categorical(findings: &mut Findings, counts: &[(u64, u64)], none_missing: bool) {
    let used: Vec<(u64, u64)> = counts.iter().copied().filter(|c| c.0 + c.1 > 0).collect();
    on_shares(findings, &used);
    let (p, q) = shares(&used);
    let coefficient = p.iter().zip(&q).map(|(p, q)| (p * q).sqrt()).sum();
    let hellinger = hellinger_of_coefficient(coefficient);
    findings.distance(Statistic::Hellinger, Some(hellinger), AtLeast, Some(0.1));
    findings.p_score(Statistic::ChiSquare, chi_square(&used), Below, 0.05);
    let g = g_of_fit(&used).map(|test| test.p_value);
    findings.p_score(Statistic::G, g, Below, 0.1);
    findings.p_score(Statistic::Z, Some(z(&used)), Below, 0.05);
    let rows = totals(&used);
    let in_one = |side: fn(&(u64, u64)) -> u64| used.iter().filter(|c| side(c) > 0).count();
    // It refuses missing values, sides of different length and more than two categories on a side.
    let fisher_applies = none_missing
        && rows.0 == rows.1
        && used.len() <= 2
        && in_one(|c| c.0) <= 2
        && in_one(|c| c.1) <= 2;
    if fisher_applies {
        let second = used.get(1).copied().unwrap_or((0, 0));
        let p = fisher(second.1, used[0].1, second.0, used[0].0);
        findings.p_score(Statistic::FisherExact, Some(p), Below, 0.1);
    }
    findings.found.decisive = Some(match (rows.0 as usize <= TESTED_ROWS_MAX, used.len()) {
        (true, 0..=2) => Statistic::Z,
        (true, _) => Statistic::ChiSquare,
        (false, _) => Statistic::Js,
    });
}

fn numeric(findings: &mut Findings, sides: &[Numbers; 2], whole: bool) {
    let [reference, current] = sides;
    findings.found.rows = (reference.len() as u64, current.len() as u64);
    let (r, c) = (&reference.sorted[..], &current.sorted[..]);
    let runs = ranks::runs(r, c);
    let different = runs.iter().filter(|run| run.0 > 0).count();
    let bins = match different > SINGLE_VALUES_MAX {
        true => binned(sides, whole),
        false => Some(runs.clone()),
    };
    match bins {
        Some(bins) => on_shares(findings, &bins),
        None => findings.found.notes.push("its bins cannot be told apart".to_owned()),
    }
    let hellinger = hellinger_on_unique_values(sides, runs.len(), whole);
    findings.distance(Statistic::Hellinger, hellinger, AtLeast, Some(0.1));
    let d = distance::kolmogorov_smirnov(r, c);
    let ks = kolmogorov::p_value(d, r.len(), c.len());
    findings.p_score(Statistic::Ks, Some(ks), AtMost, 0.05);
    let wasserstein = distance::wasserstein(r, c) / sum::std(&reference.rows).max(0.001);
    findings.distance(Statistic::Wasserstein, Some(wasserstein), AtLeast, Some(0.1));
    findings.distance(Statistic::Energy, Some(distance::energy(r, c)), Above, Some(0.1));
    let p = |test: Option<crate::compare::exact::table::Test>| test.map(|test| test.p_value);
    findings.p_score(Statistic::AndersonDarling, p(anderson::test(r, c)), Below, 0.1);
    findings.p_score(Statistic::CramerVonMises, p(cramer_von_mises::test(r, c)), AtMost, 0.1);
    findings.p_score(Statistic::MannWhitney, Some(ranks::mann_whitney_less(r, c)), Below, 0.05);
    let t = two_means::p_value(&reference.rows, &current.rows);
    findings.p_score(Statistic::TTest, t, Below, 0.05);
    findings.p_score(Statistic::EppsSingleton, p(epps_singleton::test(r, c)), Below, 0.05);
    let tested = reference.len() <= TESTED_ROWS_MAX;
    findings.found.decisive = Some(match (tested, runs.len()) {
        (true, 0..=2) => Statistic::Z,
        (true, 3..=5) => Statistic::ChiSquare,
        (true, _) => Statistic::Ks,
        (false, 0..=5) => Statistic::Js,
        (false, _) => Statistic::Wasserstein,
    });
    // Tests for categories, which it applies to numbers of few values only by default.
    match findings.found.decisive {
        Some(Statistic::Z) => findings.p_score(Statistic::Z, Some(z(&runs)), Below, 0.05),
        Some(Statistic::ChiSquare) => {
            findings.p_score(Statistic::ChiSquare, chi_square(&runs), Below, 0.05);
        }
        _ => {}
    }
}

/// Sturges' bins over both sides together.
fn binned(sides: &[Numbers; 2], whole: bool) -> Option<Vec<(u64, u64)>> {
    let [reference, current] = sides;
    let extent = pooled(sides, reference.len() + current.len(), whole);
    let edges = histogram::sturges_edges(extent)?;
    let of = |side: &Numbers| histogram::counts(&side.sorted, &edges);
    Some(of(reference).into_iter().zip(of(current)).collect())
}

fn pooled(sides: &[Numbers; 2], count: usize, whole: bool) -> Extent {
    let first = sides.iter().filter_map(|side| side.sorted.first()).copied();
    let last = sides.iter().filter_map(|side| side.sorted.last()).copied();
    let (min, max) = (first.fold(f64::INFINITY, f64::min), last.fold(f64::NEG_INFINITY, f64::max));
    Extent { min, max, count, whole }
}

/// Psi, Kullback-Leibler and Jensen-Shannon: the first two with its fill of empty bins.
fn on_shares(findings: &mut Findings, counts: &[(u64, u64)]) {
    let (mut p, mut q) = shares(counts);
    let js = jensen_shannon(&p, &q).sqrt();
    findings.distance(Statistic::Js, Some(js), AtLeast, Some(0.1));
    fill_empty(&mut p);
    fill_empty(&mut q);
    findings.distance(Statistic::Psi, Some(psi(&p, &q)), AtLeast, Some(0.1));
    findings.distance(Statistic::Kl, Some(kullback_leibler(&p, &q)), AtLeast, Some(0.1));
}

/// 0.0001, or a millionth of the least share that is not 0 if that is no greater.
fn fill_empty(shares: &mut [f64]) {
    let least = shares.iter().copied().filter(|p| *p > 0.0).fold(f64::INFINITY, f64::min);
    let fill = if least <= 0.0001 { least / 1e6 } else { 0.0001 };
    shares.iter_mut().filter(|p| **p == 0.0).for_each(|p| *p = fill);
}

/// On Sturges' bins of the *different* values of both sides, as densities.
fn hellinger_on_unique_values(sides: &[Numbers; 2], different: usize, whole: bool) -> Option<f64> {
    let edges = histogram::sturges_edges(pooled(sides, different, whole))?;
    let bins = edges.len() - 1;
    let width = (edges[bins] - edges[0]) / bins as f64;
    let density = |side: &Numbers| {
        let counts = histogram::counts(&side.sorted, &edges);
        let total: u64 = counts.iter().sum();
        let of =
            |(at, count): (usize, &u64)| *count as f64 / (edges[at + 1] - edges[at]) / total as f64;
        counts.iter().enumerate().map(of).collect::<Vec<f64>>()
    };
    let (p, q) = (density(&sides[0]), density(&sides[1]));
    let coefficient = p.iter().zip(&q).map(|(p, q)| (p * q).sqrt() * width).sum();
    Some(hellinger_of_coefficient(coefficient))
}

fn chi_square(counts: &[(u64, u64)]) -> Option<f64> {
    goodness_of_fit(counts).map(|test| test.p_value)
}

/// The first category against all others; 1 where there is only one.
fn z(counts: &[(u64, u64)]) -> f64 {
    if counts.len() < 2 {
        return 1.0;
    }
    let rows = totals(counts);
    two_shares((rows.0 - counts[0].0, rows.1 - counts[0].1), rows)
}
