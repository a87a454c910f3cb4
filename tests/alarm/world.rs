//! Draws of counts, not rows: multinomials by binomials, so that a million rows cost ten draws.

use fastrand::Rng;
use tidemark::engine::alarm::design::{Design, Effects, Scale, effect};
use tidemark::engine::time::Span;

/// How many of `n` succeed, each with probability `p`. By inversion for few, by rejection for many
/// (Hoermann 1993, "The generation of binomial random variates", algorithm BTRD without its
/// squeezes).
pub fn binomial(rng: &mut Rng, n: u64, p: f64) -> u64 {
    if p > 0.5 {
        return n - binomial(rng, n, 1.0 - p);
    }
    if n == 0 || p <= 0.0 {
        return 0;
    }
    let mean = n as f64 * p;
    if mean < 10.0 {
        return inverted(rng, n, p);
    }
    let spread = (mean * (1.0 - p)).sqrt();
    let b = 1.15 + 2.53 * spread;
    let a = -0.0873 + 0.0248 * b + 0.01 * p;
    let c = mean + 0.5;
    let alpha = (2.83 + 5.1 / b) * spread;
    let mode = ((n as f64 + 1.0) * p).floor();
    let log_odds = (p / (1.0 - p)).ln();
    let at_mode = ln_factorial(mode) + ln_factorial(n as f64 - mode);
    loop {
        let u = rng.f64() - 0.5;
        let v = rng.f64();
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + c).floor();
        if k < 0.0 || k > n as f64 {
            continue;
        }
        let bound = at_mode - ln_factorial(k) - ln_factorial(n as f64 - k) + (k - mode) * log_odds;
        if (v * alpha / (a / (us * us) + b)).ln() <= bound {
            return k as u64;
        }
    }
}

fn inverted(rng: &mut Rng, n: u64, p: f64) -> u64 {
    let (ratio, mut u) = (p / (1.0 - p), rng.f64());
    let mut chance = (n as f64 * (1.0 - p).ln()).exp();
    let mut k = 0;
    while u > chance && k < n {
        u -= chance;
        k += 1;
        chance *= ratio * (n - k + 1) as f64 / k as f64;
    }
    k
}

fn ln_factorial(k: f64) -> f64 {
    // Stirling's series; small ones from a table.
    const SMALL: [f64; 10] = [
        0.0,
        0.0,
        std::f64::consts::LN_2,
        1.791_759_469_228_055,
        3.178_053_830_347_945_8,
        4.787_491_742_782_046,
        6.579_251_212_010_101,
        8.525_161_361_065_415,
        10.604_602_902_745_25,
        12.801_827_480_081_469,
    ];
    if k < 10.0 {
        return SMALL[k as usize];
    }
    (k + 0.5) * k.ln() - k + 0.918_938_533_204_672_8 + 1.0 / (12.0 * k) - 1.0 / (360.0 * k.powi(3))
}

/// Counts of `n` rows by shares that add up to 1.
pub fn multinomial(rng: &mut Rng, n: u64, shares: &[f64]) -> Vec<u64> {
    let (mut left, mut rest) = (n, 1.0);
    let mut counts = Vec::with_capacity(shares.len());
    for (at, share) in shares.iter().enumerate() {
        let last = at + 1 == shares.len();
        let count = match last {
            true => left,
            false => binomial(rng, left, (share / rest).clamp(0.0, 1.0)),
        };
        counts.push(count);
        left -= count;
        rest -= share;
    }
    counts
}

/// How rows come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    Independent,
    /// Every row four times.
    Clustered,
    /// Shares swing by a third over the day; a window is an hour.
    Cycling,
}

const REPEATED: u64 = 4;
/// Days that a reference reaches over.
const DAYS: u64 = 14;
/// Stretches of 15 minutes in an hour.
const QUARTERS: u64 = 4;

/// A law of one feature, over ten bins.
#[derive(Clone, Debug)]
pub struct Law {
    pub rows: Rows,
    pub shares: Vec<f64>,
    /// Where in the day each bin has its peak.
    phases: Vec<f64>,
}

/// What a profile would hold of it.
#[derive(Clone, Debug)]
pub struct Reference {
    pub counts: Vec<u64>,
    pub design: Design,
}

impl Law {
    pub fn new(rng: &mut Rng, rows: Rows) -> Self {
        // Bins of a profile hold about a tenth each.
        let raw: Vec<f64> = (0..10).map(|_| 0.8 + 0.4 * rng.f64()).collect();
        let all: f64 = raw.iter().sum();
        Self {
            rows,
            shares: raw.iter().map(|share| share / all).collect(),
            phases: (0..10).map(|_| rng.f64()).collect(),
        }
    }

    fn at(&self, hour: u64) -> Vec<f64> {
        if self.rows != Rows::Cycling {
            return self.shares.clone();
        }
        let day = (hour % 24) as f64 / 24.0;
        let raw: Vec<f64> = self
            .shares
            .iter()
            .zip(&self.phases)
            .map(|(share, phase)| {
                share * (1.0 + 0.33 * (std::f64::consts::TAU * (day + phase)).sin())
            })
            .collect();
        let all: f64 = raw.iter().sum();
        raw.iter().map(|share| share / all).collect()
    }

    pub fn window(&self, rng: &mut Rng, rows: u64) -> Vec<u64> {
        let shares = self.at(rng.u64(0..24));
        self.draw(rng, rows, &shares)
    }

    fn draw(&self, rng: &mut Rng, rows: u64, shares: &[f64]) -> Vec<u64> {
        match self.rows {
            Rows::Clustered => {
                let counts = multinomial(rng, rows / REPEATED, shares);
                counts.into_iter().map(|count| count * REPEATED).collect()
            }
            Rows::Independent | Rows::Cycling => multinomial(rng, rows, shares),
        }
    }

    /// `rows` of two weeks, and their design effects as `tidemark profile --time` finds them.
    pub fn reference(&self, rng: &mut Rng, rows: u64) -> Reference {
        let mut quarters: Vec<Vec<u32>> = Vec::new();
        let hours = DAYS * 24;
        let mut left = rows / if self.rows == Rows::Clustered { REPEATED } else { 1 };
        for quarter in 0..hours * QUARTERS {
            let share = 1.0 / (hours * QUARTERS - quarter) as f64;
            let here = binomial(rng, left, share);
            left -= here;
            let units = if self.rows == Rows::Clustered { here * REPEATED } else { here };
            let counts = self.draw(rng, units, &self.at(quarter / QUARTERS));
            quarters.push(counts.into_iter().map(|count| count as u32).collect());
        }
        let mut scales = Vec::new();
        for (seconds, length) in [(900, 1), (3_600, QUARTERS), (86_400, 24 * QUARTERS)] {
            let blocks: Vec<Vec<u32>> = quarters.chunks(length as usize).map(sum).collect();
            let used = blocks.iter().filter(|block| block.iter().any(|count| *count > 0)).count();
            let values = effect(&blocks);
            scales.push(Scale {
                seconds,
                blocks: used as u64,
                rows: rows as f64 / used as f64,
                features: [("x".to_owned(), Effects { values, ..Effects::default() })].into(),
                outputs: Default::default(),
                errors: 1.0,
            });
        }
        let counts = sum(&quarters).into_iter().map(u64::from).collect();
        Reference { counts, design: Design { scales } }
    }
}

impl Reference {
    /// The design effects of a window of an hour (`Cycling`) or a day, and of the reference.
    pub fn designs(&self, rows: Rows, window: u64) -> (f64, f64) {
        let hours = if rows == Rows::Cycling { 1 } else { 24 };
        let of = |scale: &Scale| scale.of("x", false).values;
        let design = self.design.in_window(Span::from_hours(hours), window as f64, of);
        (design, self.design.in_reference(of))
    }
}

fn sum(blocks: &[Vec<u32>]) -> Vec<u32> {
    let mut sums = vec![0; 10];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, count)| *sum += count);
    }
    sums
}
