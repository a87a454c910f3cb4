//! What estimates cost a prediction when it arrives and when its label comes, in nanoseconds,
//! beside what its score bins and its outcome cost: `cargo bench --bench expected`.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../laws.rs"]
#[allow(dead_code)]
mod laws;

use laws::Random;
use std::hint::black_box;
use std::time::Instant;
use tidemark::engine::cbpe::{CalibrationReference, Estimator, Isotonic, Labelled};
use tidemark::engine::reference::Profile;
use tidemark::engine::score::Resolution;
use tidemark::engine::sketch::*;
use tidemark::engine::spec::Task;

const ROWS: usize = 200_000;
const ROUNDS: usize = 5;

fn estimator(random: &mut Random) -> Estimator {
    let mut rows: Vec<Labelled> = (0..50_000)
        .map(|_| {
            let score = random.uniform();
            Labelled { score, positive: random.uniform() < score * score, weight: 1.0 }
        })
        .collect();
    rows.sort_by(|a, b| a.score.total_cmp(&b.score));
    let map = Isotonic::fit(rows.into_iter()).unwrap();
    println!("{} knots", map.knots().len());
    let calibration = CalibrationReference {
        rows: 50_000,
        classes: vec!["1".into()],
        maps: vec![Some(map)],
        sampling: Default::default(),
    };
    let profile = serde_json::json!({
        "format": "tidemark/profile", "version": 1, "model": null, "task": null, "rows": 0,
        "sources": [], "classes": [], "positive_class": null, "features": [], "score": null,
        "predicted_classes": null, "label_classes": null, "label_values": null, "baseline": {},
        "calibration": calibration, "content_hash": "",
    });
    let profile: Profile = serde_json::from_value(profile).unwrap();
    let task = Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 };
    Estimator::new(&profile, &task).unwrap()
}

/// The best of some rounds.
fn nanos(scores: &[f64], mut each: impl FnMut(f64)) -> f64 {
    let round = |_| {
        let start = Instant::now();
        scores.iter().for_each(|score| each(*score));
        start.elapsed().as_nanos() as f64 / scores.len() as f64
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn main() {
    let mut random = Random(0x5eed);
    let estimator = estimator(&mut random);
    let scores: Vec<f64> = (0..ROWS).map(|_| random.uniform()).collect();
    let calibration = estimator.calibration(0).unwrap();
    let calibrate = nanos(&scores, |score| {
        black_box(calibration.at(black_box(score)));
    });
    let mut cells = estimator.cells(false);
    let arrive = nanos(&scores, |score| {
        cells.add(&estimator.binary(black_box(score), score >= 0.5, 1.0), Sign::Add);
    });
    let settle = nanos(&scores, |score| {
        cells.label(&estimator.binary(black_box(score), score >= 0.5, 1.0), Sign::Add);
    });
    let mut bins = ScoreCells::new(false, Resolution::Fine);
    let binned = nanos(&scores, |score| {
        let decision = score >= 0.5;
        let row = ScoredPrediction { score: Some(black_box(score)), decision, weight: 1.0 };
        bins.add(&row, Sign::Add);
    });
    let mut outcomes = BinaryCells::new(false, Resolution::Fine);
    let outcome = nanos(&scores, |score| {
        let (decision, label) = (score >= 0.5, score >= 0.4);
        let row = BinaryOutcome { score: Some(black_box(score)), decision, label, weight: 1.0 };
        outcomes.add(&row, Sign::Add);
    });
    black_box((&cells, &bins, &outcomes));
    println!("nanoseconds a prediction:");
    println!("  calibrating a score            {calibrate:6.1}");
    println!("  expectations, when it arrives  {arrive:6.1}");
    println!("  expectations, at its label     {settle:6.1}");
    println!("  its score bin, for comparison  {binned:6.1}");
    println!("  its outcome, for comparison    {outcome:6.1}");
}
