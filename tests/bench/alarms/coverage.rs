//! How often 95% intervals hold the truth.

use super::in_parallel;
use fastrand::Rng;
use std::fmt::Write;
use tidemark::engine::metric::interval::clopper_pearson;
use tidemark::engine::metric::{Metric, estimate};
use tidemark::engine::score::Resolution;
use tidemark::engine::sketch::{BinaryOutcome, Outcome, PerformanceCells, Sign, Sketch};
use tidemark::engine::spec::Task;

const TRIALS: u64 = 4_000;

/// (share of trials with an interval, share of those that hold the truth)
fn cover(
    metric: Metric,
    truth: f64,
    seed: u64,
    draw: impl Fn(&mut Rng, &mut PerformanceCells) + Sync,
) -> (f64, f64) {
    let task = Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 };
    let found = in_parallel(TRIALS, |trial| {
        let mut rng = Rng::with_seed(seed << 32 ^ trial);
        let mut cells = PerformanceCells::new(&task, false, Resolution::Fine);
        draw(&mut rng, &mut cells);
        let interval = estimate(metric, &cells).and_then(|found| found.interval);
        interval.map(|interval| interval.lower <= truth && truth <= interval.upper)
    });
    let given = found.iter().flatten().count();
    let held = found.iter().flatten().filter(|held| **held).count();
    (given as f64 / TRIALS as f64, held as f64 / given.max(1) as f64)
}

fn add(cells: &mut PerformanceCells, score: f64, decision: bool, label: bool) {
    let outcome = BinaryOutcome { score: Some(score), decision, label, weight: 1.0 };
    cells.add(&Outcome::Binary(outcome), Sign::Add);
}

fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

pub fn write(out: &mut String) {
    let _ = write!(
        out,
        "\n## Coverage of 95% intervals\n\n{TRIALS} samples each. *given*: the share of samples \
        for which there is an interval; where none is honest there is none.\n\n| metric | case | \
        rows | given | covers |\n|---|---|---|---|---|\n"
    );
    let mut seed = 0;
    let row = |out: &mut String, name: &str, case: &str, rows: u64, found: (f64, f64)| {
        let _ = writeln!(out, "| {name} | {case} | {rows} | {:.3} | {:.3} |", found.0, found.1);
    };
    for right in [0.5, 0.85, 0.99] {
        for rows in [20, 100, 1_000] {
            seed += 1;
            let draw = |rng: &mut Rng, cells: &mut PerformanceCells| {
                for _ in 0..rows {
                    let label = rng.bool();
                    add(cells, 0.5, label == (rng.f64() < right), label);
                }
            };
            let found = cover(Metric::Accuracy, right, seed, draw);
            row(out, "accuracy (Wilson)", &format!("{right}"), rows, found);
            let exact = exact(right, rows, seed);
            row(out, "the same, Clopper-Pearson", &format!("{right}"), rows, (1.0, exact));
        }
    }
    for (positives, recall, false_rate) in [(0.05, 0.6, 0.02), (0.05, 0.9, 0.01), (0.3, 0.8, 0.1)] {
        for rows in [50, 500, 5_000] {
            seed += 1;
            let draw = |rng: &mut Rng, cells: &mut PerformanceCells| {
                for _ in 0..rows {
                    let label = rng.f64() < positives;
                    let decision = rng.f64() < if label { recall } else { false_rate };
                    add(cells, 0.5, decision, label);
                }
            };
            let hits = positives * recall;
            let misses = positives * (1.0 - recall) + (1.0 - positives) * false_rate;
            let truth = 2.0 * hits / (2.0 * hits + misses);
            let case = format!("{positives} positive, F1 {truth:.2}");
            row(out, "F1 (Wilson on Jaccard)", &case, rows, cover(Metric::F1, truth, seed, draw));
        }
    }
    for (distance, auc) in [(0.358_3, 0.6), (1.190_2, 0.8), (2.326_2, 0.95), (3.642_8, 0.995)] {
        for rows in [25, 100, 1_000] {
            seed += 1;
            let draw = |rng: &mut Rng, cells: &mut PerformanceCells| {
                for at in 0..2 * rows {
                    let label = at % 2 == 0;
                    let x = normal(rng) + if label { distance } else { 0.0 };
                    let score = 1.0 / (1.0 + (distance / 2.0 - x).exp());
                    add(cells, score, score >= 0.5, label);
                }
            };
            let found = cover(Metric::RocAuc, auc, seed, draw);
            let case = format!("{auc}, as many of each class");
            row(out, "AUC (DeLong, logit)", &case, 2 * rows, found);
        }
    }
    for rows in [50, 500, 5_000] {
        for metric in [Metric::Brier, Metric::LogLoss] {
            seed += 1;
            let draw = |rng: &mut Rng, cells: &mut PerformanceCells| {
                for _ in 0..rows {
                    let score = rng.f64();
                    add(cells, score, score >= 0.5, rng.f64() < score);
                }
            };
            // E p(1 - p) = 1/6; E of the entropy of a uniform p is 1/2.
            let truth = if metric == Metric::Brier { 1.0 / 6.0 } else { 0.5 };
            let name = format!("{metric} (normal)");
            row(out, &name, "uniform probabilities", rows, cover(metric, truth, seed, draw));
        }
    }
    out.push_str(
        "\nDebiased calibration error, MCC, kappa, balanced accuracy, average precision, KS \
        separation, R2, MAPE and the macro averages have none: no method is known to us that \
        covers as it says from these cells.\n",
    );
}

fn exact(right: f64, rows: u64, seed: u64) -> f64 {
    let mut rng = Rng::with_seed(seed);
    let held = (0..TRIALS).filter(|_| {
        let hits = (0..rows).filter(|_| rng.f64() < right).count() as u64;
        clopper_pearson(hits, rows)
            .is_some_and(|found| found.lower <= right && right <= found.upper)
    });
    held.count() as f64 / TRIALS as f64
}
