//! The engine under seeded logs, read in any order, crashed and restored at any point, against a
//! batch answer over the whole logs.

mod compare;
mod fault;
mod oracle;
mod run;
mod world;

use fault::Fault;
use oracle::answer;
use run::Run;
use world::World;

/// Seeds of one test run; `SIMULATION_SEEDS` asks for more, `SIMULATION_SEED` for one.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(count),
    }
}

fn check(seed: u64, fault: Fault) -> Result<(), String> {
    let world = World::new(seed);
    let run = Run::new(&world, seed, fault).finish()?;
    if world.confirms { Ok(()) } else { run.compare(&world, &answer(&world)) }
}

#[test]
fn any_order_of_reading_and_any_crash_gives_the_batch_answer() {
    for seed in seeds(2_000) {
        if let Err(difference) = check(seed, Fault::None) {
            panic!("seed {seed}: {difference}");
        }
    }
}

#[test]
fn every_planted_fault_is_caught() {
    for fault in Fault::PLANTED {
        let caught = (0..2_000).find(|seed| check(*seed, fault).is_err());
        assert!(caught.is_some(), "{fault:?} went unnoticed in 2,000 seeds");
    }
}
