//! What alarms from a budget do, by simulation: writes `src/engine/alarm/SIMULATION.md`.
//!
//! `cargo bench --bench alarms`; `-- --months 20` for a shorter one, which writes nothing. Every
//! number follows from the seeds alone.

#[path = "alarms/coverage.rs"]
mod coverage;
#[path = "../alarm/months.rs"]
mod months;
#[path = "alarms/rates.rs"]
mod rates;
#[path = "alarms/sequential.rs"]
mod sequential;
#[path = "../alarm/world.rs"]
mod world;

use months::{Episodes, month};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

const MONTHS: u64 = 200;
const FEATURES: usize = 100;
/// Panes of 5 minutes in 30 days.
const PANES: usize = 288 * 30;
const WEEKS: f64 = 30.0 / 7.0;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let asked = arguments.iter().position(|argument| argument == "--months");
    let asked = asked.and_then(|at| arguments.get(at + 1)?.parse::<u64>().ok());
    let mut out = String::from(include_str!("alarms/head.md"));
    rates::write(&mut out);
    eprintln!("{out}\nrates are done");
    sequential::write(&mut out);
    eprintln!("delays are done");
    coverage::write(&mut out);
    eprintln!("{out}\ncoverage is done");
    write_months(&mut out, asked.unwrap_or(MONTHS));
    println!("{out}");
    if asked.is_none() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/alarm/SIMULATION.md");
        std::fs::write(path, &out).expect("the sources can be written");
    }
}

/// Results for seeds 0 to `count`, in their order, by two threads.
pub fn in_parallel<T: Send>(count: u64, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(0);
    let mut found: Vec<(u64, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut found = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= count {
                    return found;
                }
                found.push((seed, run(seed)));
            }
        };
        let workers = [scope.spawn(worker), scope.spawn(worker)];
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    found.sort_by_key(|(seed, _)| *seed);
    found.into_iter().map(|(_, found)| found).collect()
}

fn write_months(out: &mut String, months: u64) {
    let all = in_parallel(months, |seed| {
        let found = month(seed, FEATURES, PANES, 1.0);
        if seed % 20 == 19 {
            eprintln!("{} months", seed + 1);
        }
        found
    });
    let sum = all.iter().fold(Episodes::default(), |sum, month| Episodes {
        shift: sum.shift + month.shift,
        share: sum.share + month.share,
        loss: sum.loss + month.loss,
        windows: sum.windows + month.windows,
    });
    let weeks = months as f64 * WEEKS;
    let worst = all.iter().map(|month| month.all()).max().unwrap_or(0);
    let row = |name: &str, count: u64, budget: f64| {
        let upper = poisson_upper(count) / weeks;
        format!("| {name} | {count} | {:.4} | {upper:.4} | {budget} |\n", count as f64 / weeks)
    };
    let _ = write!(
        out,
        "\n## Months without drift\n\n{months} months of 30 days: {FEATURES} features, the whole \
        model and {} slices, windows of 5 minutes, an hour and a day; {} windows of a feature in \
        all. Budget: 1 episode a week, half for drift, half for performance.\n\n| tests | episodes \
        | a week | 95% upper bound | budget |\n|---|---|---|---|---|\n",
        months::SLICES,
        sum.windows
    );
    out.push_str(&row("distributions", sum.shift, 0.5));
    out.push_str(&row("missing and unknown values", sum.share, 0.5));
    out.push_str(&row("accuracy", sum.loss, 0.5));
    out.push_str(&row("all", sum.all(), 1.0));
    let _ = writeln!(
        out,
        "\nThe worst month had {worst}. Without drift much less than the budget is used: the tests \
         allow for a material difference and for the reference's own error, and neither is there."
    );
}

/// The 95% upper bound of a Poisson mean after so many events.
fn poisson_upper(count: u64) -> f64 {
    use statrs::distribution::{ChiSquared, ContinuousCDF};
    let law = ChiSquared::new(2.0 * count as f64 + 2.0).expect("positive degrees");
    law.inverse_cdf(0.95) / 2.0
}
