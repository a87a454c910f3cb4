//! Months of a model without drift, on counts of panes: how many alarm episodes does the budget let
//! through?
//!
//! 100 features, the whole model and five slices of it, windows of 5 minutes, an hour and a day,
//! all disjoint; 200 predictions in 5 minutes; references of 10,000 rows drawn anew each month. For
//! each feature its distribution and the shares of missing, invalid and unknown values; for the
//! model and each slice the accuracy. Every test keeps to the level or run length that `budget`
//! gives it. A test that was set off is taken to be clear again at once, so every window that sets
//! it off is an episode: more than there can be.

use super::world::{binomial, multinomial};
use fastrand::Rng;
use std::collections::HashMap;
use tidemark::engine::alarm::budget::{self, TESTS_OF_FEATURE};
use tidemark::engine::alarm::detector::{Detector, Evidence};
use tidemark::engine::alarm::loss;
use tidemark::engine::alarm::share::{Hits, upper_bound, upper_tail};
use tidemark::engine::alarm::shift::{Order, Terms, compare};
use tidemark::engine::estimate::Estimate;
use tidemark::engine::metric::Metric;
use tidemark::engine::time::Span;

pub const SLICES: usize = 5;
const BINS: usize = 10;
/// Rows of a slice in 5 minutes.
const ROWS: u64 = 40;
const REFERENCE: u64 = 10_000;
const LABELLED: u64 = 10_000;
/// Panes of 5 minutes in each window size.
const SIZES: [usize; 3] = [1, 12, 288];
const MATERIAL: f64 = 0.01;
const MARGIN: f64 = 0.01;
const LOSS_MARGIN: f64 = 0.02;
const ERROR: f64 = 0.15;
const MISSING: f64 = 0.01;

/// Episodes of a month.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Episodes {
    pub shift: u64,
    pub share: u64,
    pub loss: u64,
    pub windows: u64,
}

impl Episodes {
    pub fn all(self) -> u64 {
        self.shift + self.share + self.loss
    }
}

/// Counts of a feature over panes: bins, then missing, then unknown.
type Counts = [u32; BINS + 2];

struct Feature {
    shares: Vec<f64>,
    reference: Vec<u64>,
    missing: Hits,
    /// The true share of values beyond the reference's range.
    beyond: f64,
}

impl Feature {
    fn new(rng: &mut Rng) -> Self {
        let raw: Vec<f64> = (0..BINS).map(|_| 0.5 + rng.f64()).collect();
        let all: f64 = raw.iter().sum();
        let shares: Vec<f64> = raw.iter().map(|share| share / all).collect();
        let reference = multinomial(rng, REFERENCE, &shares);
        // Beyond the extremes of N rows lies a share of about two exponential gaps.
        let gap = |rng: &mut Rng| -(1.0 - rng.f64()).ln() / REFERENCE as f64;
        let beyond = gap(rng) + gap(rng);
        let missing = Hits::new(binomial(rng, REFERENCE, MISSING), REFERENCE);
        Self { shares, reference, missing, beyond }
    }
}

/// What is asked of every window of one size.
struct Level {
    alpha: f64,
    /// Cuts by the bits of what they follow from.
    cuts: HashMap<(u64, u64), f64>,
    /// The least hits that set a share off, by feature (missing), or at the end (nothing known).
    hits: HashMap<(u64, u64), u64>,
}

impl Level {
    fn new(size: usize, features: usize, budget: f64) -> Self {
        let part = budget::part(budget, SIZES.len(), SIZES.len());
        let tests = features * TESTS_OF_FEATURE * (SLICES + 1);
        let alpha = budget::alpha(part, Span::from_mins(5 * size as i64), tests);
        Self { alpha, cuts: HashMap::new(), hits: HashMap::new() }
    }

    fn shift(&mut self, feature: &Feature, counts: &Counts) -> bool {
        let current: Vec<u64> = counts[..BINS].iter().map(|&count| u64::from(count)).collect();
        let terms = Terms { design: 1.0, reference_design: 1.0, material: MATERIAL };
        let Some(found) = compare(&feature.reference, &current, Order::Ordered, &terms) else {
            return false;
        };
        let key = (found.degrees.to_bits(), found.noncentrality.to_bits());
        let alpha = self.alpha;
        let cut = self.cuts.entry(key).or_insert_with(|| found.cut(alpha).expect("a level"));
        found.statistic >= *cut
    }

    fn share(&mut self, reference: Hits, hits: u32, rows: u64) -> bool {
        let alpha = self.alpha;
        let least = *self.hits.entry((reference.hits as u64, rows)).or_insert_with(|| {
            let bound = (upper_bound(reference).expect("rows") + MARGIN).min(1.0);
            let tail = |hits: u64| upper_tail(Hits::new(hits, rows), bound).expect("rows");
            let (mut low, mut high) = (0, rows + 1);
            while low < high {
                let middle = low + (high - low) / 2;
                match middle <= rows && tail(middle) > alpha {
                    true => low = middle + 1,
                    false => high = middle,
                }
            }
            low
        });
        u64::from(hits) >= least
    }
}

/// A month of `panes` with so many features and this budget of episodes a week.
pub fn month(seed: u64, features: usize, panes: usize, budget: f64) -> Episodes {
    let mut rng = Rng::with_seed(seed);
    let mut episodes = Episodes::default();
    let mut levels = SIZES.map(|size| Level::new(size, features, budget));
    for _ in 0..features {
        let feature = Feature::new(&mut rng);
        let table = Table::new(&feature.shares);
        // The whole model is the last one.
        let mut sums = [[[0u32; BINS + 2]; SLICES + 1]; 3];
        for pane in 1..=panes {
            let drawn: Vec<Counts> = (0..SLICES).map(|_| table.draw(&mut rng, &feature)).collect();
            for sums in &mut sums {
                for (slice, counts) in drawn.iter().enumerate() {
                    for (at, count) in counts.iter().enumerate() {
                        sums[slice][at] += count;
                        sums[SLICES][at] += count;
                    }
                }
            }
            for (at, size) in SIZES.iter().enumerate().filter(|(_, size)| pane % **size == 0) {
                for (slice, counts) in sums[at].iter().enumerate() {
                    let slices = if slice == SLICES { SLICES as u64 } else { 1 };
                    let rows = ROWS * slices * *size as u64;
                    let level = &mut levels[at];
                    episodes.shift += u64::from(level.shift(&feature, counts));
                    let missing = level.share(feature.missing, counts[BINS], rows);
                    let known = Hits::new(0, REFERENCE);
                    let unknown = level.share(known, counts[BINS + 1], rows);
                    episodes.share += u64::from(missing) + u64::from(unknown);
                    episodes.windows += 1;
                }
                sums[at] = [[0; BINS + 2]; SLICES + 1];
            }
        }
    }
    episodes.loss += losses(&mut rng, panes, budget);
    episodes
}

/// Alarms about the accuracy of the model and of each slice.
fn losses(rng: &mut Rng, panes: usize, budget: f64) -> u64 {
    let right = LABELLED - binomial(rng, LABELLED, ERROR);
    let baseline = Estimate::exact(right as f64 / LABELLED as f64, None, LABELLED);
    let null = loss::null(Metric::Accuracy, &baseline, LOSS_MARGIN, 1.0).expect("a bound");
    let part = budget::part(budget, SIZES.len(), SIZES.len());
    let mut alarms = 0;
    let mut detectors = [[Detector::default(); SLICES + 1]; 3];
    let mut sums = [[0u64; SLICES + 1]; 3];
    for pane in 1..=panes {
        let drawn: Vec<u64> = (0..SLICES).map(|_| binomial(rng, ROWS, ERROR)).collect();
        for sums in &mut sums {
            sums.iter_mut().zip(&drawn).for_each(|(sum, wrong)| *sum += wrong);
            sums[SLICES] += drawn.iter().sum::<u64>();
        }
        for (at, size) in SIZES.iter().enumerate().filter(|(_, size)| pane % **size == 0) {
            let window = Span::from_mins(5 * *size as i64);
            let needed = budget::run_length(part, window, SLICES + 1).ln();
            for (slice, wrong) in sums[at].iter().enumerate() {
                let slices = if slice == SLICES { SLICES as u64 } else { 1 };
                let rows = (ROWS * slices * *size as u64) as f64;
                let evidence = Evidence { rows, loss: *wrong as f64 };
                let detector = &mut detectors[at][slice];
                if detector.step(evidence, null) >= needed {
                    alarms += 1;
                    *detector = Detector::default();
                }
            }
            sums[at] = [0; SLICES + 1];
        }
    }
    alarms
}

/// Draws single rows by Walker's alias method: forty of them cost less than nine binomials.
struct Table {
    bins: [(f64, u8); BINS],
}

impl Table {
    fn new(shares: &[f64]) -> Self {
        let mut left: Vec<f64> = shares.iter().map(|share| share * BINS as f64).collect();
        let mut bins = [(1.0, 0); BINS];
        for (at, bin) in bins.iter_mut().enumerate() {
            bin.1 = at as u8;
        }
        let mut small: Vec<usize> = (0..BINS).filter(|&at| left[at] < 1.0).collect();
        let mut large: Vec<usize> = (0..BINS).filter(|&at| left[at] >= 1.0).collect();
        while let (Some(low), Some(high)) = (small.pop(), large.last().copied()) {
            bins[low] = (left[low], high as u8);
            left[high] -= 1.0 - left[low];
            if left[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        Self { bins }
    }

    fn draw(&self, rng: &mut Rng, feature: &Feature) -> Counts {
        let mut counts = [0; BINS + 2];
        let missing = binomial(rng, ROWS, MISSING);
        let beyond = binomial(rng, ROWS - missing, feature.beyond);
        counts[BINS] = missing as u32;
        counts[BINS + 1] = beyond as u32;
        for _ in 0..ROWS - missing {
            let at = rng.f64() * BINS as f64;
            let (stays, other) = self.bins[at as usize];
            let bin = if at.fract() < stays { at as usize } else { other as usize };
            counts[bin] += 1;
        }
        counts
    }
}
