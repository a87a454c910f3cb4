//! Our own dialect: the daemon's definitions (`engine::drift`, over the bins that `tidemark
//! profile` would make of the reference), and exact where the daemon has a bound.
//!
//! Thresholds know the number of rows. With phi^2 the sum over k bins of (q - p)^2 / p, the
//! two-sample chi-square statistic of n and N independent rows follows about a noncentral
//! chi-square law with k - 1 degrees of freedom and noncentrality phi^2 nN / (n + N). A feature
//! drifted if its statistic is beyond the quantile that phi^2 = delta leaves with probability
//! alpha / features (Bonferroni): so alpha bounds the chance that any feature is called drifted
//! while none differs by more than delta. The other statistics' thresholds say the same of phi^2 in
//! their own terms: PSI is about phi^2, KL half of it, the squared Hellinger distance and the
//! Jensen-Shannon divergence an eighth. Psi decides: the half row that it adds to each bin keeps it
//! within alpha where bins are nearly empty, which the chi-square statistic is not.
//!
//! For Kolmogorov-Smirnov: the total variation of distributions with phi^2 = delta is at most
//! sqrt(delta) / 2 (Cauchy and Schwarz), to which the noise of the asymptotic two-sample law is
//! added. Wasserstein, energy, L-infinity and total variation have no threshold: none that is both
//! honest and sharp is known to us.

use super::{Findings, Settings};
use crate::compare::exact::divergence::{hellinger, total_variation};
use crate::compare::exact::table::{Power, Test, cramers_v, homogeneity};
use crate::compare::exact::{distance, kolmogorov, sum};
use crate::compare::feature::{Feature, MISSING, Numbers, Values, shares};
use crate::compare::finding::{Alarm, FeatureFindings, Statistic};
use crate::engine::alarm::noncentral;
use crate::engine::drift::{self, Comparison};
use crate::engine::event::{CategoricalColumn, CellState, FeatureColumn, NumericColumn};
use crate::engine::reference::Distribution;
use crate::engine::sketch::feature::{FeatureLayout, FeatureSketch};
use crate::engine::spec::FeatureKind;
use crate::profile::cell::Cell;
use crate::profile::describe;

const ALL: [Statistic; 12] = [
    Statistic::Psi,
    Statistic::Kl,
    Statistic::Js,
    Statistic::Ks,
    Statistic::Wasserstein,
    Statistic::Hellinger,
    Statistic::ChiSquare,
    Statistic::G,
    Statistic::LInfinity,
    Statistic::TotalVariation,
    Statistic::Energy,
    Statistic::CramersV,
];

pub fn compare(feature: &Feature, settings: &Settings) -> FeatureFindings {
    let mut findings = Findings::new(feature, &ALL, settings);
    findings.found.decisive = Some(Statistic::Psi);
    let counted = match &feature.values {
        Values::Numeric { reference, current, .. } => numeric_sketch(reference, current),
        Values::Categorical { categories, reference, current } => {
            categorical_sketch(categories, reference, current)
        }
    };
    let Some((layout, sketch)) = counted else { return findings.found };
    let Some(compared) = Comparison::new(&layout, &sketch) else { return findings.found };
    findings.found.rows = (compared.reference_rows, compared.current_rows);
    let limits = Limits::new(&compared, settings);
    on_bins(&mut findings, &compared, &limits);
    let of_engine = [
        (Statistic::Psi, drift::Statistic::Psi),
        (Statistic::Js, drift::Statistic::Js),
        (Statistic::LInfinity, drift::Statistic::LInfinity),
    ];
    for (statistic, of_engine) in of_engine {
        let value = drift::statistic(of_engine, &layout, &sketch).map(|estimate| estimate.value);
        limits.put(&mut findings, statistic, value);
    }
    if let Values::Numeric { reference, current, .. } = &feature.values {
        let sides = [Numbers::new(reference, false), Numbers::new(current, false)];
        on_numbers(&mut findings, &sides, &limits);
    }
    findings.found
}

/// The limit of every statistic for this many rows and bins.
struct Limits {
    /// In terms of phi^2; `None` where there is only one bin.
    phi2: Option<f64>,
    /// 1/n + 1/N.
    noise: f64,
    degrees: f64,
    shift: f64,
    rows: f64,
    level: f64,
    delta: f64,
}

impl Limits {
    fn new(compared: &Comparison, settings: &Settings) -> Self {
        let (reference, current) = (compared.reference_rows as f64, compared.current_rows as f64);
        let noise = 1.0 / reference + 1.0 / current;
        let used = compared.bins.iter().filter(|bin| bin.0 + bin.1 > 0).count();
        let degrees = (used - 1) as f64;
        let shift = settings.delta / noise;
        let level = settings.alpha / settings.features.max(1) as f64;
        let quantile = noncentral::upper_quantile(level, degrees, shift);
        Self {
            phi2: quantile.map(|quantile| quantile * noise),
            noise,
            degrees,
            shift,
            rows: reference + current,
            level,
            delta: settings.delta,
        }
    }

    fn of(&self, statistic: Statistic) -> Option<f64> {
        let phi2 = self.phi2?;
        Some(match statistic {
            Statistic::Psi => phi2,
            Statistic::Kl => phi2 / 2.0,
            Statistic::Js => (phi2 / 8.0 / std::f64::consts::LN_2).sqrt().min(1.0),
            Statistic::Hellinger => (phi2 / 8.0).sqrt().min(1.0),
            Statistic::ChiSquare | Statistic::G => phi2 / self.noise,
            Statistic::CramersV => (phi2 / self.noise / self.rows).sqrt().min(1.0),
            Statistic::Ks => {
                let noise = ((2.0 / self.level).ln() / 2.0 * self.noise).sqrt();
                (self.delta.sqrt() / 2.0 + noise).min(1.0)
            }
            _ => return None,
        })
    }

    /// A value with its limit; with a single bin on both sides nothing can have drifted.
    fn put(&self, findings: &mut Findings, statistic: Statistic, value: Option<f64>) {
        findings.distance(statistic, value, Alarm::Above, self.of(statistic));
        let p_value = match statistic {
            // Of no material difference.
            Statistic::Psi if self.phi2.is_some() => {
                value.map(|psi| noncentral::survival(psi / self.noise, self.degrees, self.shift))
            }
            _ => None,
        };
        if let Some(finding) = findings.finding_mut(statistic) {
            finding.p_value = p_value;
            if self.phi2.is_none() && finding.threshold.is_none() && value.is_some() {
                finding.drifted = Some(false);
            }
        }
    }

    fn put_test(&self, findings: &mut Findings, statistic: Statistic, test: Option<Test>) {
        self.put(findings, statistic, test.map(|test| test.statistic));
        if let Some(finding) = findings.finding_mut(statistic) {
            finding.p_value = test.map(|test| test.p_value);
        }
    }
}

fn on_bins(findings: &mut Findings, compared: &Comparison, limits: &Limits) {
    let bins = &compared.bins;
    let (p, q) = shares(bins);
    limits.put(findings, Statistic::Kl, Some(kullback_leibler(bins)));
    limits.put(findings, Statistic::Hellinger, Some(hellinger(&p, &q)));
    limits.put(findings, Statistic::TotalVariation, Some(total_variation(&p, &q)));
    limits.put_test(findings, Statistic::ChiSquare, homogeneity(bins, Power::Pearson));
    limits.put_test(findings, Statistic::G, homogeneity(bins, Power::LogLikelihood));
    limits.put(findings, Statistic::CramersV, cramers_v(bins));
}

/// sum of q ln(q / p) after half a row was added to every bin that is not empty on both sides, as
/// for PSI: what is lost by describing the window with the reference's shares.
fn kullback_leibler(bins: &[(u64, u64)]) -> f64 {
    let used = || bins.iter().filter(|bin| bin.0 + bin.1 > 0);
    let half = |side: fn(&(u64, u64)) -> u64| used().map(move |bin| side(bin) as f64 + 0.5);
    let (of_p, of_q) = (half(|bin| bin.0).sum::<f64>(), half(|bin| bin.1).sum::<f64>());
    let term = |(p, q): (f64, f64)| q / of_q * (q / of_q / (p / of_p)).ln();
    half(|bin| bin.0).zip(half(|bin| bin.1)).map(term).sum::<f64>().max(0.0)
}

fn on_numbers(findings: &mut Findings, sides: &[Numbers; 2], limits: &Limits) {
    let [reference, current] = sides;
    let (r, c) = (&reference.sorted[..], &current.sorted[..]);
    let ks = distance::kolmogorov_smirnov(r, c);
    limits.put(findings, Statistic::Ks, Some(ks));
    if let Some(finding) = findings.finding_mut(Statistic::Ks) {
        finding.p_value = Some(kolmogorov::p_value(ks, r.len(), c.len()));
    }
    // In standard deviations of the reference: none without spread.
    let std = sum::std(&reference.rows);
    let normed = (std > 0.0).then(|| distance::wasserstein(r, c) / std);
    limits.put(findings, Statistic::Wasserstein, normed.filter(|value| value.is_finite()));
    let energy = distance::energy(r, c);
    limits.put(findings, Statistic::Energy, Some(energy).filter(|value| value.is_finite()));
}

fn numeric_sketch(reference: &[f64], current: &[f64]) -> Option<(FeatureLayout, FeatureSketch)> {
    let number = |value: &f64| if value.is_nan() { Cell::Missing } else { Cell::Number(*value) };
    let described = describe(true, reference.iter().map(number))?;
    let layout = FeatureLayout::new(&FeatureKind::Numeric, &described)?;
    let state = |value: &f64| match value {
        value if value.is_nan() => CellState::Missing,
        value if value.is_finite() => CellState::Present,
        _ => CellState::NonFinite,
    };
    let column = FeatureColumn::Numeric(NumericColumn {
        values: current.to_vec(),
        states: current.iter().map(state).collect(),
    });
    Some((layout.clone(), folded(&layout, &column, current.len())))
}

fn categorical_sketch(
    categories: &[String],
    reference: &[u32],
    current: &[u32],
) -> Option<(FeatureLayout, FeatureSketch)> {
    let text = |code: &u32| match categories.get(*code as usize) {
        Some(category) => Cell::Text(category),
        None => Cell::Missing,
    };
    let described = describe(false, reference.iter().map(text))?;
    let Distribution::Categorical(_) = described.distribution else { return None };
    let kind = FeatureKind::Categorical { dictionary: categories.to_vec().into() };
    let layout = FeatureLayout::new(&kind, &described)?;
    let state = |code: &u32| if *code == MISSING { CellState::Missing } else { CellState::Present };
    let column = FeatureColumn::Categorical(CategoricalColumn {
        codes: current.iter().map(|code| if *code == MISSING { 0 } else { *code }).collect(),
        states: current.iter().map(state).collect(),
    });
    Some((layout.clone(), folded(&layout, &column, current.len())))
}

fn folded(layout: &FeatureLayout, column: &FeatureColumn, rows: usize) -> FeatureSketch {
    let mut sketch = FeatureSketch::default();
    // Row numbers are 32 bits wide; the reader refuses more rows.
    let rows: Vec<u32> = (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
    sketch.fold(layout, column, &rows);
    sketch
}
