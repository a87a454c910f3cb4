//! ADWIN: a window that shrinks when its two ends have different means.

use super::{Detector, Signal};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdwinSettings {
    /// The confidence of a cut: the smaller, the fewer drifts.
    pub delta: f64,
    /// Values between two looks for a cut.
    pub clock: u64,
    /// Buckets of each size before two are joined.
    pub buckets_max: usize,
    /// Values on either side of a cut at least.
    pub side_min: f64,
    /// Values in the window before the first cut.
    pub grace: f64,
}

impl Default for AdwinSettings {
    fn default() -> Self {
        Self { delta: 0.002, clock: 32, buckets_max: 5, side_min: 5.0, grace: 10.0 }
    }
}

/// Sums over 2^row values: their total and their squared deviations from their mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bucket {
    total: f64,
    squares: f64,
}

/// Bifet and Gavalda 2007 (ADWIN2) with the bound on the variance, as `river.drift.ADWIN`.
/// Memory grows with the logarithm of the window: `buckets_max` + 1 buckets a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Adwin {
    settings: AdwinSettings,
    drifted: bool,
    /// Of each size, the smallest first; in each the oldest bucket first.
    rows: Vec<VecDeque<Bucket>>,
    width: f64,
    total: f64,
    squares: f64,
    ticks: u64,
}

/// Squared deviations that two parts have beyond those within each: size and mean of both.
fn between(n: f64, mean: f64, m: f64, other: f64) -> f64 {
    n * m * (mean - other) * (mean - other) / (n + m)
}

impl Adwin {
    pub fn new(settings: AdwinSettings) -> Self {
        Self {
            settings,
            drifted: false,
            rows: vec![VecDeque::new()],
            width: 0.0,
            total: 0.0,
            squares: 0.0,
            ticks: 0,
        }
    }

    /// Values in the window.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// The mean of the window; `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.width > 0.0).then(|| self.total / self.width)
    }

    fn insert(&mut self, value: f64) {
        self.rows[0].push_back(Bucket { total: value, squares: 0.0 });
        self.width += 1.0;
        if self.width > 1.0 {
            let before = self.width - 1.0;
            let deviation = value - self.total / before;
            self.squares += before * deviation * deviation / self.width;
        }
        self.total += value;
        let mut row = 0;
        while row < self.rows.len() && self.rows[row].len() > self.settings.buckets_max {
            let oldest = (self.rows[row].pop_front(), self.rows[row].pop_front());
            let (Some(one), Some(other)) = oldest else { break };
            if row + 1 == self.rows.len() {
                self.rows.push(VecDeque::new());
            }
            let size = size(row);
            let apart = between(size, one.total / size, size, other.total / size);
            self.rows[row + 1].push_back(Bucket {
                total: one.total + other.total,
                squares: one.squares + other.squares + apart,
            });
            row += 1;
        }
    }

    /// Takes the oldest bucket away.
    fn forget_oldest(&mut self) {
        let row = self.rows.len() - 1;
        let Some(oldest) = self.rows[row].pop_front() else { return };
        let size = size(row);
        self.width -= size;
        self.total -= oldest.total;
        if self.width > 0.0 {
            let apart = between(size, oldest.total / size, self.width, self.total / self.width);
            self.squares -= oldest.squares + apart;
        }
        if self.rows[row].is_empty() && row > 0 {
            self.rows.pop();
        }
    }

    /// Whether the window, cut at some bucket, has two means.
    fn has_cut(&self) -> bool {
        let (mut n, mut m) = (0.0, self.width);
        let (mut old, mut new) = (0.0, self.total);
        for (row, buckets) in self.rows.iter().enumerate().rev() {
            for bucket in buckets {
                n += size(row);
                m -= size(row);
                old += bucket.total;
                new -= bucket.total;
                let enough = n >= self.settings.side_min && m >= self.settings.side_min;
                if enough && self.differ(n, m, old / n - new / m) {
                    return true;
                }
            }
        }
        false
    }

    fn differ(&self, n: f64, m: f64, difference: f64) -> bool {
        let delta = (2.0 * self.width.ln() / self.settings.delta).ln();
        let side_min = self.settings.side_min;
        let rows = 1.0 / (n - side_min + 1.0) + 1.0 / (m - side_min + 1.0);
        let variance = self.squares / self.width;
        let epsilon = (2.0 * rows * variance * delta).sqrt() + 2.0 / 3.0 * delta * rows;
        difference.abs() > epsilon
    }
}

fn size(row: usize) -> f64 {
    2f64.powi(row as i32)
}

impl Detector for Adwin {
    fn update(&mut self, value: f64) -> Signal {
        if !value.is_finite() {
            return Signal::default();
        }
        if self.drifted {
            *self = Self::new(self.settings);
        }
        self.insert(value);
        self.ticks += 1;
        let looks = self.settings.clock.max(1);
        if self.ticks.is_multiple_of(looks) && self.width > self.settings.grace {
            while self.width > 0.0 && self.has_cut() {
                self.drifted = true;
                self.forget_oldest();
            }
        }
        Signal::drift(self.drifted)
    }
}
