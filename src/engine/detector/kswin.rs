//! KSWIN: the newest values of a window against a sample of its older ones.

use super::random::PythonRandom;
use super::{Detector, Signal};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KswinSettings {
    /// A drift is seen where p is at most this. Many tests are made: 0.005 sees drift in noise.
    pub alpha: f64,
    /// Values in the window, and how many of the newest are compared; at most half of them.
    pub window: usize,
    pub newest: usize,
    /// The older values that they are compared with are drawn as `random.Random(seed)` does.
    pub seed: u32,
}

impl Default for KswinSettings {
    fn default() -> Self {
        Self { alpha: 0.005, window: 100, newest: 30, seed: 42 }
    }
}

/// A statistic up to this is no drift, whatever its p.
const STATISTIC_MIN: f64 = 0.1;

/// Raab, Heusinger and Schleif 2020, as `river.drift.KSWIN` with a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Kswin {
    settings: KswinSettings,
    drifted: bool,
    window: VecDeque<f64>,
    random: PythonRandom,
}

impl Kswin {
    /// `newest` is cut to half of the window.
    pub fn new(mut settings: KswinSettings) -> Self {
        settings.newest = settings.newest.min(settings.window / 2);
        let random = PythonRandom::new(settings.seed);
        Self { settings, drifted: false, window: VecDeque::new(), random }
    }
}

impl Detector for Kswin {
    fn update(&mut self, value: f64) -> Signal {
        let KswinSettings { alpha, window, newest, seed } = self.settings;
        if !value.is_finite() || newest == 0 {
            return Signal::default();
        }
        if self.drifted {
            self.drifted = false;
            self.window.clear();
            self.random = PythonRandom::new(seed);
        }
        self.window.push_back(value);
        if self.window.len() > window {
            self.window.pop_front();
        }
        if self.window.len() < window {
            return Signal::default();
        }
        let older = (window - newest) as u32;
        let drawn = self.random.sample(older, newest);
        let mut old: Vec<f64> = drawn.iter().map(|at| self.window[*at as usize]).collect();
        let mut new: Vec<f64> = self.window.iter().skip(window - newest).copied().collect();
        let steps = greatest_steps(&mut old, &mut new);
        let statistic = f64::from(steps) / newest as f64;
        let p = equal_size_p(newest as f64, f64::from(steps));
        self.drifted = p <= alpha && statistic > STATISTIC_MIN;
        Signal::drift(self.drifted)
    }
}

/// The greatest difference of the two samples' counts of values up to a value.
fn greatest_steps(one: &mut [f64], other: &mut [f64]) -> u32 {
    one.sort_unstable_by(f64::total_cmp);
    other.sort_unstable_by(f64::total_cmp);
    let upto = |sorted: &[f64], value: f64| sorted.partition_point(|v| *v <= value) as u32;
    let values = one.iter().chain(other.iter());
    values.map(|value| upto(one, *value).abs_diff(upto(other, *value))).max().unwrap_or(0)
}

/// P(D >= h / n) of the two-sided Kolmogorov-Smirnov statistic of two samples of `n` values each:
/// the share of the paths from (0, 0) to (n, n) that touch a diagonal `h` away (Hodges 1958), as
/// `scipy.stats.ks_2samp` counts them.
pub fn equal_size_p(n: f64, h: f64) -> f64 {
    if h < 1.0 {
        return 1.0;
    }
    let mut p = 0.0;
    let mut k = (n / h).floor();
    while k >= 0.0 {
        let mut ratio = 1.0;
        let mut j = 0.0;
        while j < h {
            ratio *= (n - k * h - j) / (n + k * h + j + 1.0);
            j += 1.0;
        }
        p = ratio * (1.0 - p);
        k -= 1.0;
    }
    (2.0 * p).clamp(0.0, 1.0)
}
