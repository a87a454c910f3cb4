//! Small seeded runs of what `cargo bench --bench alarms` does at length.

use super::months::month;
use super::world::{Law, Rows, binomial, multinomial};
use fastrand::Rng;
use tidemark::engine::alarm::detector::{Detector, Evidence};
use tidemark::engine::alarm::shift::{Order, Terms, compare};

#[test]
fn draws_have_the_mean_and_the_variance_of_their_law() {
    let mut rng = Rng::with_seed(1);
    for (n, p) in [(40, 0.01), (50, 0.3), (1_000, 0.9), (100_000, 0.1)] {
        let draws: Vec<f64> = (0..20_000).map(|_| binomial(&mut rng, n, p) as f64).collect();
        let mean = draws.iter().sum::<f64>() / 2e4;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2e4;
        let (of_law, spread) = (n as f64 * p, n as f64 * p * (1.0 - p));
        assert!((mean - of_law).abs() < 4.0 * (spread / 2e4).sqrt(), "{n} {p}: {mean}");
        assert!((variance / spread - 1.0).abs() < 0.05, "{n} {p}: {variance}");
    }
    let counts = multinomial(&mut rng, 1_000_000, &[0.5, 0.25, 0.25]);
    assert_eq!(counts.iter().sum::<u64>(), 1_000_000);
    assert!((counts[0] as f64 / 5e5 - 1.0).abs() < 0.01, "{counts:?}");
}

/// How often windows of so many rows are beyond `alpha`, over several references.
fn rate(rows: Rows, reference: u64, window: u64, alpha: f64) -> f64 {
    let mut rng = Rng::with_seed(reference ^ window);
    let (mut asked, mut alarms) = (0, 0);
    for _ in 0..10 {
        let law = Law::new(&mut rng, rows);
        let known = law.reference(&mut rng, reference);
        let (design, reference_design) = known.designs(rows, window);
        let terms = Terms { design, reference_design, material: 0.01 };
        for _ in 0..100 {
            let counts = law.window(&mut rng, window);
            let found = compare(&known.counts, &counts, Order::Ordered, &terms);
            asked += 1;
            alarms += u64::from(found.is_some_and(|found| found.p_value() <= alpha));
        }
    }
    alarms as f64 / asked as f64
}

#[test]
fn without_drift_alarms_stay_below_their_level_however_rows_come() {
    for rows in [Rows::Independent, Rows::Clustered, Rows::Cycling] {
        for window in [200, 2_000, 20_000] {
            let found = rate(rows, 50_000, window, 0.01);
            // A cycle is no noise: its design effect says how much hours differ on average.
            let allowed = if rows == Rows::Cycling { 0.02 } else { 0.01 };
            assert!(found <= allowed, "{rows:?}, {window} rows: {found}");
        }
    }
}

#[test]
fn a_week_without_drift_or_loss_keeps_within_the_budget() {
    // 0.1 of a month: a budget of 1 a week, and hardly anything of it is used.
    let found = month(3, 10, 864, 1.0);
    assert!(found.windows > 10 * 864, "{found:?}");
    assert!(found.all() <= 1, "{found:?}");
}

#[test]
fn the_detector_runs_as_long_as_it_says_at_the_boundary_and_stops_soon_beyond_it() {
    const NULL: f64 = 0.17;
    let run = |rng: &mut Rng, loss: f64, length: f64| {
        let mut detector = Detector::default();
        for pane in 1..=100_000 {
            let evidence = Evidence { rows: 100.0, loss: binomial(rng, 100, loss) as f64 };
            if detector.step(evidence, NULL) >= length.ln() {
                return pane;
            }
        }
        100_000
    };
    let mut rng = Rng::with_seed(9);
    let mean = |runs: Vec<i32>| runs.iter().sum::<i32>() as f64 / runs.len() as f64;
    let quiet = mean((0..60).map(|_| run(&mut rng, NULL, 100.0)).collect());
    assert!(quiet > 100.0, "{quiet} panes at the boundary");
    let worse = mean((0..60).map(|_| run(&mut rng, NULL + 0.1, 30_000.0)).collect());
    assert!(worse < 10.0, "{worse} panes until ten points more are seen");
}
