//! False-alarm rates against fixed thresholds, and power.

use super::in_parallel;
use super::world::{Law, Reference, Rows, multinomial};
use fastrand::Rng;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::fmt::Write;
use tidemark::engine::alarm::budget::{self, TESTS_OF_FEATURE};
use tidemark::engine::alarm::shift::{Order, Shift, Terms, compare};
use tidemark::engine::time::Span;

const MATERIAL: f64 = 0.01;
const REFERENCES: [u64; 3] = [1_000, 10_000, 100_000];
const WINDOWS: [u64; 4] = [100, 1_000, 10_000, 100_000];
const RULES: [&str; 7] = [
    "budget",
    "PSI > 0.1",
    "PSI > 0.25",
    "JS >= 0.1",
    "PSI > chi2/n",
    "chi2 p < 0.05",
    "L-inf > 0.1",
];

/// Which rules a window sets off.
fn rules(known: &Reference, window: &[u64], terms: &Terms, alpha: f64) -> [bool; RULES.len()] {
    let shift = compare(&known.counts, window, Order::Ordered, terms);
    let total = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
    let (all, n) = (total(&known.counts), total(window));
    let pairs = || known.counts.iter().zip(window);
    let share = |count: u64, of: f64| (count as f64 / of).max(1e-4);
    let (mut psi, mut js, mut chi, mut greatest) = (0.0, 0.0, 0.0, 0.0f64);
    for (&q, &f) in pairs() {
        let (a, b) = (share(q, all), share(f, n));
        psi += (b - a) * (b / a).ln();
        let (p, r) = (q as f64 / all, f as f64 / n);
        let half = (p + r) / 2.0;
        let term = |x: f64| if x > 0.0 { x * (x / half).ln() } else { 0.0 };
        js += (term(p) + term(r)) / 2.0;
        let pooled = (q + f) as f64 / (all + n);
        if pooled > 0.0 {
            chi += (q as f64 - pooled * all).powi(2) / (pooled * all);
            chi += (f as f64 - pooled * n).powi(2) / (pooled * n);
        }
        greatest = greatest.max((p - r).abs());
    }
    // chi2.isf(.05, 9)
    const CUT: f64 = 16.918_977_604_620_45;
    [
        shift.is_some_and(|shift| sets_off(&shift, alpha)),
        psi > 0.1,
        psi > 0.25,
        js.sqrt() >= 0.1,
        psi > CUT / n,
        chi > CUT,
        greatest > 0.1,
    ]
}

/// Without the sum over hundreds of terms where the answer is plain.
fn sets_off(shift: &Shift, alpha: f64) -> bool {
    shift.statistic > shift.noncentrality + shift.degrees && shift.p_value() <= alpha
}

/// The level that a window of a day gets, or an hour's if rows cycle, of one version.
fn level(rows: Rows, features: usize) -> f64 {
    let window = Span::from_hours(if rows == Rows::Cycling { 1 } else { 24 });
    budget::alpha(0.5, window, features * TESTS_OF_FEATURE)
}

/// By rule: the share of windows that any of the features sets off, for each of many references.
fn rates(rows: Rows, all: u64, n: u64, features: usize) -> Vec<[f64; RULES.len()]> {
    let (references, windows) = if features == 1 { (200, 300) } else { (40, 50) };
    let alpha = level(rows, features);
    in_parallel(references, |seed| {
        let mut rng = Rng::with_seed(seed ^ all << 20 ^ n << 1 ^ features as u64);
        let known: Vec<(Law, Reference)> = (0..features)
            .map(|_| {
                let law = Law::new(&mut rng, rows);
                let reference = law.reference(&mut rng, all);
                (law, reference)
            })
            .collect();
        let mut counts = [0u32; RULES.len()];
        for _ in 0..windows {
            let mut any = [false; RULES.len()];
            for (law, reference) in &known {
                let (design, reference_design) = reference.designs(rows, n);
                let terms = Terms { design, reference_design, material: MATERIAL };
                let window = law.window(&mut rng, n);
                let found = rules(reference, &window, &terms, alpha);
                any.iter_mut().zip(found).for_each(|(any, found)| *any |= found);
            }
            counts.iter_mut().zip(any).for_each(|(count, any)| *count += u32::from(any));
        }
        counts.map(|count| f64::from(count) / f64::from(windows))
    })
}

pub fn write(out: &mut String) {
    out.push_str(
        "\n## False alarms without drift\n\nThe share of windows that are called drifted: mean / \
        90th percentile / worst over references. Of 100 features: windows in which any is. \
        *budget*: half an episode a week, the level of one version's windows of a day (an hour \
        where rows cycle).\n",
    );
    for rows in [Rows::Independent, Rows::Clustered, Rows::Cycling] {
        for features in [1, 100] {
            let alpha = level(rows, features);
            let s = if features == 1 { "" } else { "s" };
            let _ = write!(
                out,
                "\n### {rows:?} rows, {features} feature{s}\n\nBudget: at most {:.2e} of \
                windows.\n\n| reference | window |",
                alpha * (features * TESTS_OF_FEATURE) as f64
            );
            RULES.iter().for_each(|rule| out.push_str(&format!(" {rule} |")));
            out.push_str("\n|---|---|");
            out.push_str(&"---|".repeat(RULES.len()));
            out.push('\n');
            for all in REFERENCES {
                for n in WINDOWS {
                    let found = rates(rows, all, n, features);
                    let _ = write!(out, "| {all} | {n} |");
                    for rule in 0..RULES.len() {
                        let mut of: Vec<f64> = found.iter().map(|rates| rates[rule]).collect();
                        of.sort_by(f64::total_cmp);
                        let mean = of.iter().sum::<f64>() / of.len() as f64;
                        let (p90, worst) = (of[of.len() * 9 / 10], of[of.len() - 1]);
                        let _ =
                            write!(out, " {} / {} / {} |", short(mean), short(p90), short(worst));
                    }
                    out.push('\n');
                }
            }
            eprintln!("{rows:?}, {features}");
        }
    }
    boundary(out);
    power(out);
}

fn short(share: f64) -> String {
    match share {
        0.0 => "0".to_owned(),
        share if share >= 0.9995 => "1".to_owned(),
        share if share >= 0.01 => format!("{share:.2}").trim_start_matches('0').to_owned(),
        share => format!("{share:.4}").trim_start_matches('0').to_owned(),
    }
}

/// Shares with this phi^2 from equal ones: half of the bins gain what the others lose.
fn moved(phi2: f64) -> Vec<f64> {
    (0..10).map(|at| 0.1 * (1.0 + phi2.sqrt() * if at < 5 { 1.0 } else { -1.0 })).collect()
}

/// The level is kept where the difference is just immaterial, and the reference as wrong as it may
/// be.
fn boundary(out: &mut String) {
    out.push_str(
        "\n## At the boundary\n\nWindows whose law lies exactly at phi = delta (phi^2 = .01) from \
        a reference that is the truth, with the radius of one of 10,000,000 rows (next to none): \
        the share beyond the level, 2,000,000 windows each. This is what the approximation of the \
        far tail costs.\n\n| window | level .01 | .001 | .0001 | .00001 \
        |\n|---|---|---|---|---|\n",
    );
    const ALPHAS: [f64; 4] = [1e-2, 1e-3, 1e-4, 1e-5];
    for n in [120, 300, 1_000, 10_000, 100_000] {
        let reference = vec![1_000_000u64; 10];
        let terms = Terms { design: 1.0, reference_design: 1.0, material: MATERIAL };
        let counts = in_parallel(100, |seed| {
            let mut rng = Rng::with_seed(seed + n * 1_000);
            let shares = moved(MATERIAL);
            let mut cuts: Option<[f64; 4]> = None;
            let mut beyond = [0u64; 4];
            for _ in 0..20_000 {
                let window = multinomial(&mut rng, n, &shares);
                let Some(found) = compare(&reference, &window, Order::Ordered, &terms) else {
                    continue;
                };
                let cuts =
                    cuts.get_or_insert_with(|| ALPHAS.map(|alpha| found.cut(alpha).unwrap_or(0.0)));
                for (count, cut) in beyond.iter_mut().zip(cuts.iter()) {
                    *count += u64::from(found.statistic >= *cut);
                }
            }
            beyond
        });
        let _ = write!(out, "| {n} |");
        for at in 0..4 {
            let beyond: u64 = counts.iter().map(|counts| counts[at]).sum();
            let _ = write!(out, " {:.6} |", beyond as f64 / 2e6);
        }
        out.push('\n');
    }
}

fn power(out: &mut String) {
    let alpha = level(Rows::Independent, 100);
    let _ = write!(
        out,
        "\n## Power\n\nThe share of windows in which a shift of one feature among 100 is seen \
        (level {alpha:.1e}, reference of 10,000 independent rows, 2,000 windows over 40 \
        references), by phi^2 (about the PSI).\n\n| window | .02 | .05 | .1 | .2 | .4 | 1 \
        |\n|---|---|---|---|---|---|---|\n"
    );
    for n in [100, 300, 1_000, 3_000, 10_000, 100_000] {
        let _ = write!(out, "| {n} |");
        for phi2 in [0.02, 0.05, 0.1, 0.2, 0.4, 0.999] {
            let seen = in_parallel(40, |seed| {
                let mut rng = Rng::with_seed(seed + n);
                let counts = multinomial(&mut rng, 10_000, &[0.1; 10]);
                let terms = Terms { design: 1.0, reference_design: 1.0, material: MATERIAL };
                let window = |_| {
                    let window = multinomial(&mut rng, n, &moved(phi2));
                    let found = compare(&counts, &window, Order::Ordered, &terms);
                    u64::from(found.is_some_and(|found| sets_off(&found, alpha)))
                };
                (0..50).map(window).sum::<u64>()
            });
            let _ = write!(out, " {} |", short(seen.iter().sum::<u64>() as f64 / 2_000.0));
        }
        out.push('\n');
    }
    // Keeps the law that the rule of Scouter rests on in sight of its constant.
    let law = ChiSquared::new(9.0).expect("positive degrees");
    assert!((law.sf(16.918_977_604_620_45) - 0.05).abs() < 1e-9);
}
