//! How long labels take, by what they say: learned from windows that are final.
//!
//! What it is for: predictions without a label are not like the others if labels of one class come
//! sooner. A positive is still open at age a with the chance 1 - s G(a | positive), where s is the
//! share of predictions that are ever labelled; so is a negative; Bayes' rule with the ratio of the
//! two turns the calibrated probability of an open prediction into what it is worth now.
//!
//! Assumed: delays stay as they were in the windows seen; within a class they do not depend on the
//! score; predictions that never get a label are as those that do.

use crate::engine::counters::DELAY_BUCKETS;
use crate::engine::sketch::ExpectedCells;
use crate::engine::time::Span;
use serde::{Deserialize, Serialize};

const BUCKETS: usize = DELAY_BUCKETS.len() + 1;
/// Labels of each class below which nothing is learned.
const LABELS_MIN: u64 = 50;
/// Beyond so many predictions the older ones count half, and half again.
const PREDICTIONS_MAX: u64 = 1 << 24;

/// See the module. Of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Maturity {
    /// First labels of each class by the bucket of their delay.
    delays: Vec<[u64; BUCKETS]>,
    predictions: u64,
}

impl Maturity {
    /// Of one window.
    pub(super) fn of(classes: usize, cells: &ExpectedCells) -> Self {
        let mut delays = vec![[0; BUCKETS]; classes];
        for (class, counts) in delays.iter_mut().enumerate() {
            for (count, seen) in counts.iter_mut().zip(cells.delays(class)) {
                *count = (*seen).max(0) as u64;
            }
        }
        let (scored, unscored) = cells.rows();
        Self { delays, predictions: scored + unscored }
    }

    /// Takes up another window.
    pub(super) fn add(&mut self, other: &Self) {
        self.delays.resize(self.delays.len().max(other.delays.len()), [0; BUCKETS]);
        for (mine, theirs) in self.delays.iter_mut().flatten().zip(other.delays.iter().flatten()) {
            *mine += theirs;
        }
        self.predictions += other.predictions;
        if self.predictions > PREDICTIONS_MAX {
            self.predictions /= 2;
            self.delays.iter_mut().flatten().for_each(|count| *count /= 2);
        }
    }

    /// First labels of a class.
    pub fn labels(&self, class: usize) -> u64 {
        self.delays.get(class).map_or(0, |counts| counts.iter().sum())
    }

    pub fn classes(&self) -> usize {
        self.delays.len()
    }

    /// Share of the predictions that ever got a label; `None` without predictions.
    pub fn labelled_share(&self) -> Option<f64> {
        let labels: u64 = (0..self.classes()).map(|class| self.labels(class)).sum();
        (self.predictions > 0).then(|| (labels as f64 / self.predictions as f64).min(1.0))
    }

    /// Share of a class's labels that come within an age: straight lines between the bounds of the
    /// buckets, none after the horizon. `None` below 50 labels.
    pub fn share(&self, class: usize, age: Span, horizon: Span) -> Option<f64> {
        let labels = self.labels(class);
        if labels < LABELS_MIN {
            return None;
        }
        let (age, horizon) = (age.as_secs_f64(), horizon.as_secs_f64());
        let mut known = 0.0;
        let mut from = 0.0f64;
        for (at, count) in self.delays[class].iter().enumerate() {
            let to = DELAY_BUCKETS.get(at).copied().unwrap_or(f64::INFINITY).min(horizon);
            let part = if age >= to { 1.0 } else { ((age - from) / (to - from)).max(0.0) };
            known += *count as f64 * part;
            from = to;
        }
        Some((known / labels as f64).clamp(0.0, 1.0))
    }

    /// Binary: how much likelier a positive than a negative of an age has no label yet. 1 until
    /// enough is known of both.
    pub fn odds(&self, age: Span, horizon: Span) -> f64 {
        let open = |class: usize| Some((self.share(class, age, horizon)?, self.labels(class)));
        let (Some((positive, some)), Some((negative, others)), Some(ever)) =
            (open(1), open(0), self.labelled_share())
        else {
            return 1.0;
        };
        // A share of 0 has been seen in so many cases only.
        let least = 0.5 / (some.min(others) + 1) as f64;
        (1.0 - ever * positive).max(least) / (1.0 - ever * negative).max(least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(positives: [u64; 3], negatives: [u64; 3], predictions: u64) -> Maturity {
        let mut delays = vec![[0; BUCKETS]; 2];
        delays[1][..3].copy_from_slice(&positives);
        delays[0][..3].copy_from_slice(&negatives);
        Maturity { delays, predictions }
    }

    #[test]
    fn labels_come_along_straight_lines_between_the_bounds() {
        // Bounds are 1 s, 10 s and 60 s.
        let maturity = learned([100, 100, 0], [50, 0, 150], 400);
        let share = |class, seconds| {
            maturity.share(class, Span::from_secs(seconds), Span::from_mins(1)).unwrap()
        };
        assert_eq!((share(1, 0), share(1, 1), share(1, 10), share(1, 99)), (0.0, 0.5, 1.0, 1.0));
        assert!((share(0, 35) - (0.25 + 0.75 * 0.5)).abs() < 1e-12);
        assert_eq!(maturity.labelled_share(), Some(1.0));
    }

    #[test]
    fn a_class_whose_labels_come_late_is_likelier_among_those_without_one() {
        let maturity = learned([0, 0, 200], [200, 0, 0], 500);
        let odds = |seconds| maturity.odds(Span::from_secs(seconds), Span::from_mins(1));
        // Four of five are ever labelled: one in five of the negatives is open, and all positives.
        assert!((odds(5) - 5.0).abs() < 1e-12, "{}", odds(5));
        assert_eq!(odds(0), 1.0);
        // All that will come has come: what is left says nothing.
        assert_eq!(odds(60), 1.0);
        assert_eq!(
            learned([0, 0, 49], [200, 0, 0], 500).odds(Span::from_secs(5), Span::from_mins(1)),
            1.0
        );
    }
}
