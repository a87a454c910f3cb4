//! NannyML 0.13 (`nannyml/drift/univariate`).
//!
//! The current file is one chunk. The threshold of a statistic is the mean over chunks of the
//! reference, each against the whole reference, plus three standard deviations.

use super::{Findings, Settings};
use crate::compare::exact::divergence::{hellinger, jensen_shannon, l_infinity};
use crate::compare::exact::table::{Power, homogeneity};
use crate::compare::exact::{distance, histogram, sum};
use crate::compare::feature::{Feature, MISSING, Numbers, Values, counts, totals};
use crate::compare::finding::{Alarm, FeatureFindings, Finding, Statistic};

const ALL: [Statistic; 6] = [
    Statistic::Js,
    Statistic::Ks,
    Statistic::Wasserstein,
    Statistic::Hellinger,
    Statistic::ChiSquare,
    Statistic::LInfinity,
];
/// What it computes of numbers.
const NUMERIC: [Statistic; 4] =
    [Statistic::Js, Statistic::Ks, Statistic::Wasserstein, Statistic::Hellinger];
/// Without a size the reference is cut into tenths, and what is left over.
const CHUNKS: usize = 10;
/// It warns under as many reference chunks.
const CHUNKS_MIN: usize = 6;
/// From as many reference rows on it compares histograms of `ESTIMATE_BINS` bins.
const ESTIMATE_ROWS: usize = 10_000;
const ESTIMATE_BINS: usize = 10_000;

pub fn compare(feature: &Feature, settings: &Settings) -> FeatureFindings {
    let mut findings = Findings::new(feature, &ALL, settings);
    match &feature.values {
        Values::Numeric { reference, current, .. } => {
            numeric(&mut findings, reference, current);
        }
        Values::Categorical { categories, reference, current } => {
            categorical(&mut findings, categories.len(), reference, current);
        }
    }
    findings.found.decisive = Some(Statistic::Js);
    findings.found
}

fn chunk_size(rows: usize, settings: &Settings) -> usize {
    settings.chunk_size.unwrap_or(rows / CHUNKS).max(1)
}

fn numeric(findings: &mut Findings, reference: &[f64], current: &[f64]) {
    let of_reference = Numbers::new(reference, true);
    let of_current = Numbers::new(current, true);
    findings.found.rows = (of_reference.len() as u64, of_current.len() as u64);
    if of_reference.is_empty() || of_current.is_empty() {
        return;
    }
    if of_reference.rows.iter().chain(&of_current.rows).any(|value| value.is_infinite()) {
        findings.found.notes.push("it has infinite values, which NannyML refuses".to_owned());
        return;
    }
    let Some(fitted) = Fitted::new(of_reference) else {
        findings.found.notes.push("its bins cannot be told apart".to_owned());
        return;
    };
    let size = chunk_size(reference.len(), findings.settings);
    let chunks: Vec<Numbers> =
        reference.chunks(size).map(|chunk| Numbers::new(chunk, true)).collect();
    warn_of_few(findings, chunks.len());
    for statistic in NUMERIC {
        let of_chunks: Vec<f64> =
            chunks.iter().filter_map(|chunk| fitted.calculate(statistic, chunk)).collect();
        let value = fitted.calculate(statistic, &of_current);
        let limit = (statistic == Statistic::Ks).then_some(1.0);
        put(findings, statistic, value, &of_chunks, limit);
    }
}

fn warn_of_few(findings: &mut Findings, chunks: usize) {
    if chunks < CHUNKS_MIN {
        let note = format!(
            "its thresholds rest on {chunks} reference chunks; NannyML wants {CHUNKS_MIN} or more"
        );
        findings.found.notes.push(note);
    }
}

fn put(
    findings: &mut Findings,
    statistic: Statistic,
    value: Option<f64>,
    of_chunks: &[f64],
    limit: Option<f64>,
) {
    let threshold = (!of_chunks.is_empty()).then(|| {
        let learnt = sum::mean(of_chunks) + sum::std(of_chunks) * 3.0;
        limit.map_or(learnt, |limit| learnt.min(limit))
    });
    findings.distance(statistic, value, Alarm::Above, threshold);
}

/// A numeric reference as it keeps one.
struct Fitted {
    reference: Numbers,
    doane: Vec<f64>,
    doane_shares: Vec<f64>,
    /// From `ESTIMATE_ROWS` rows on: the fine edges and the cumulative shares at their ends.
    fine: Option<(Vec<f64>, Vec<f64>)>,
}

impl Fitted {
    fn new(reference: Numbers) -> Option<Self> {
        let doane = histogram::doane_edges(&reference.rows)?;
        let shares_of = |edges: &[f64]| {
            histogram::shares(&histogram::counts(&reference.sorted, edges), reference.len())
        };
        let doane_shares = shares_of(&doane);
        let mut fine = None;
        if reference.len() >= ESTIMATE_ROWS {
            let (min, max) = histogram::range(&reference.rows)?;
            let edges = histogram::uniform_edges(min, max, ESTIMATE_BINS)?;
            let cumulative = cumulative(0.0, &shares_of(&edges));
            fine = Some((edges, cumulative));
        }
        Some(Self { reference, doane, doane_shares, fine })
    }

    /// `None` of a chunk without values.
    fn calculate(&self, statistic: Statistic, chunk: &Numbers) -> Option<f64> {
        if chunk.is_empty() {
            return None;
        }
        let (r, c) = (&self.reference.sorted, &chunk.sorted);
        Some(match (statistic, &self.fine) {
            (Statistic::Ks, None) => distance::kolmogorov_smirnov(r, c),
            (Statistic::Ks, Some((edges, cumulative))) => estimated_ks(edges, cumulative, chunk),
            (Statistic::Wasserstein, None) => distance::wasserstein(r, c),
            (Statistic::Wasserstein, Some((edges, cumulative))) => {
                estimated_wasserstein(edges, cumulative, chunk)
            }
            _ => {
                let counts = histogram::counts(c, &self.doane);
                let shares = histogram::shares(&counts, chunk.len());
                on_shares(statistic, self.doane_shares.clone(), shares)
            }
        })
    }
}

fn cumulative(start: f64, shares: &[f64]) -> Vec<f64> {
    let mut total = 0.0;
    let add = |share: &f64| {
        total += share;
        start + total
    };
    shares.iter().map(add).collect()
}

/// What lies outside the reference's bins is one more bin, which the reference lacks.
fn on_shares(statistic: Statistic, mut reference: Vec<f64>, mut current: Vec<f64>) -> f64 {
    let left_over = 1.0 - sum::pairwise(&current);
    if left_over > 0.0 {
        reference.push(0.0);
        current.push(left_over);
    }
    match statistic {
        Statistic::Js => (jensen_shannon(&reference, &current) / std::f64::consts::LN_2).sqrt(),
        _ => hellinger(&reference, &current),
    }
}

fn estimated_ks(edges: &[f64], reference: &[f64], chunk: &Numbers) -> f64 {
    let rows = chunk.len();
    let shares = histogram::shares(&histogram::counts(&chunk.sorted, edges), rows);
    let below = chunk.sorted.partition_point(|value| *value < edges[0]) as f64 / rows as f64;
    let current = cumulative(below, &shares);
    reference.iter().zip(current).map(|(r, c)| (r - c).abs()).fold(0.0, f64::max)
}

/// The area over the bins, and exactly beyond them. The mass that it adds to the cumulative shares
/// for values below the range counts one row too many, as in its own source.
fn estimated_wasserstein(edges: &[f64], reference: &[f64], chunk: &Numbers) -> f64 {
    let rows = chunk.len() as f64;
    let (min, max) = (edges[0], edges[edges.len() - 1]);
    let below = &chunk.sorted[..chunk.sorted.partition_point(|value| *value < min)];
    let above = &chunk.sorted[chunk.sorted.partition_point(|value| *value <= max)..];
    let (mut of_below, mut amount_below) = (0.0, 0.0);
    if !below.is_empty() {
        let count = below.len() as f64 + 1.0;
        amount_below = count / rows;
        let distance: f64 = below.iter().map(|value| min - value).sum();
        of_below = distance / count * amount_below;
    }
    let mut of_above = 0.0;
    if !above.is_empty() {
        let count = above.len() as f64 + 1.0;
        let distance: f64 = above.iter().map(|value| value - max).sum();
        of_above = distance / count * (count / rows);
    }
    let shares = histogram::shares(&histogram::counts(&chunk.sorted, edges), chunk.len());
    let current = cumulative(0.0, &shares);
    let width = edges[1] - edges[0];
    let difference = |at: usize| (reference[at] - (current[at] + amount_below)).abs() * width;
    sum::pairwise_by(0, reference.len(), &difference) + of_below + of_above
}

fn categorical(findings: &mut Findings, categories: usize, reference: &[u32], current: &[u32]) {
    let of_current = counts(categories, reference, current);
    findings.found.rows = totals(&of_current);
    if findings.found.rows.0 == 0 || findings.found.rows.1 == 0 {
        return;
    }
    let size = chunk_size(reference.len(), findings.settings);
    let chunks: Vec<Vec<(u64, u64)>> = reference
        .chunks(size)
        .filter(|chunk| chunk.iter().any(|code| *code != MISSING))
        .map(|chunk| counts(categories, reference, chunk))
        .collect();
    warn_of_few(findings, chunks.len());
    for statistic in [Statistic::Js, Statistic::Hellinger, Statistic::LInfinity] {
        let of_chunks: Vec<f64> = chunks.iter().map(|c| of_counts(statistic, c)).collect();
        let value = Some(of_counts(statistic, &of_current));
        put(findings, statistic, value, &of_chunks, None);
    }
    let test = homogeneity(&of_current, Power::PearsonYates);
    // It judges p, against a level that no setting changes, and shows the statistic.
    let finding = Finding {
        value: test.map(|test| test.statistic),
        p_value: test.map(|test| test.p_value),
        threshold: None,
        drifted: test.map(|test| test.p_value < 0.05),
    };
    findings.put(Statistic::ChiSquare, finding);
}

fn of_counts(statistic: Statistic, counts: &[(u64, u64)]) -> f64 {
    let (reference, current) = totals(counts);
    let share = |count: u64, total: u64| count as f64 / total as f64;
    if statistic == Statistic::LInfinity {
        let (p, q) = crate::compare::feature::shares(counts);
        return l_infinity(&p, &q);
    }
    let known: Vec<&(u64, u64)> = counts.iter().filter(|count| count.0 > 0).collect();
    let p = known.iter().map(|count| share(count.0, reference)).collect();
    let q = known.iter().map(|count| share(count.1, current)).collect();
    on_shares(statistic, p, q)
}
