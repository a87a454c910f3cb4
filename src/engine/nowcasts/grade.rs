//! How one metric's estimates have done: bias, how often the band held, and whether to trust them.

use crate::engine::estimate::{Estimate, Interval};
use crate::engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Graded windows that count, the newest.
pub const GRADED_MAX: usize = 64;
/// Below this many nothing is said about trust.
pub const GRADED_MIN: usize = 5;
/// From this many on the one line's interval is what its errors have been, not what a model says.
const EMPIRICAL_MIN: usize = 20;
/// A typical error up to this is no lie, however narrow the band is.
const MATERIAL: f64 = 0.01;
/// An average error beyond this is one, if the windows agree on it.
const BIAS_MAX: f64 = 0.05;
/// The band is a 95% one; less often than this by chance, and it is not.
const CHANCE_MIN: f64 = 0.01;

/// One window whose labels have come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    pub end: Timestamp,
    /// What was expected of the labelled predictions, with its band.
    pub expected: f64,
    pub band: Option<Interval>,
    /// What they were.
    pub measured: f64,
}

/// The newest graded windows of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grade {
    /// Oldest first.
    windows: VecDeque<Graded>,
    /// By age: what the final value was more than the one line said at that age, oldest first.
    errors: BTreeMap<u8, VecDeque<f64>>,
}

/// Whether estimates may be believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trust {
    /// So many windows have been graded; it takes [`GRADED_MIN`].
    Ungraded {
        windows: usize,
    },
    Trusted,
    /// The band held in so many windows of so many, and the errors are not small.
    OutsideBand {
        held: usize,
        windows: usize,
        typical: f64,
    },
    /// The windows agree that estimates lie this much below (above, if negative) the truth.
    Biased {
        bias: f64,
    },
}

/// What an interval of the one line rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Variances of what is expected: labels missing at random given the score.
    Model,
    /// The errors of at least 20 graded windows at the same age.
    Graded,
}

impl Graded {
    pub fn new(end: Timestamp, expected: &Estimate, measured: f64) -> Self {
        Self { end, expected: expected.value, band: expected.interval, measured }
    }

    /// Positive if the estimate was too low.
    pub fn error(&self) -> f64 {
        self.measured - self.expected
    }

    fn held(&self) -> Option<bool> {
        self.band.map(|band| (band.lower..=band.upper).contains(&self.measured))
    }
}

impl Grade {
    /// Takes up a window that is final, with what the one line said before, by age.
    pub(super) fn take(&mut self, window: Graded, said: impl Iterator<Item = (u8, f64)>) {
        push(&mut self.windows, window);
        for (age, value) in said {
            push(self.errors.entry(age).or_default(), window.measured - value);
        }
    }

    /// Oldest first.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = &Graded> {
        self.windows.iter()
    }

    /// The mean of measured minus estimated; `None` without graded windows.
    pub fn bias(&self) -> Option<f64> {
        let errors = self.windows.iter().map(Graded::error);
        (!self.windows.is_empty()).then(|| errors.sum::<f64>() / self.windows.len() as f64)
    }

    /// In how many of how many windows the band held the measured value.
    pub fn coverage(&self) -> (usize, usize) {
        let held: Vec<bool> = self.windows.iter().filter_map(Graded::held).collect();
        (held.iter().filter(|held| **held).count(), held.len())
    }

    /// Root of the mean squared error.
    fn typical(&self) -> f64 {
        let squares = self.windows.iter().map(|window| window.error().powi(2)).sum::<f64>();
        (squares / self.windows.len() as f64).sqrt()
    }

    pub fn trust(&self) -> Trust {
        let windows = self.windows.len();
        let (true, Some(bias)) = (windows >= GRADED_MIN, self.bias()) else {
            return Trust::Ungraded { windows };
        };
        let (held, banded) = self.coverage();
        let typical = self.typical();
        let chance = Binomial::new(0.95, banded as u64).map_or(1.0, |of| of.cdf(held as u64));
        if banded >= GRADED_MIN && chance < CHANCE_MIN && typical > MATERIAL {
            return Trust::OutsideBand { held, windows: banded, typical };
        }
        let spread =
            (typical * typical - bias * bias).max(0.0).sqrt() / (windows as f64 - 1.0).sqrt();
        if bias.abs() > BIAS_MAX && bias.abs() > 3.0 * spread {
            return Trust::Biased { bias };
        }
        Trust::Trusted
    }

    /// What the one line's interval at an age rests on.
    pub fn basis(&self, age: u8) -> Basis {
        match self.errors.get(&age) {
            Some(errors) if errors.len() >= EMPIRICAL_MIN => Basis::Graded,
            _ => Basis::Model,
        }
    }

    /// The one line with the interval that its errors at this age have earned, if enough are known:
    /// between order statistics of the errors that leave out at most 2.5% on either side. With 20
    /// windows those are the least and the greatest, which hold 90%; with 39, 95%.
    pub(super) fn with_interval(&self, line: Estimate, age: u8, range: (f64, f64)) -> Estimate {
        if self.basis(age) == Basis::Model {
            return line;
        }
        let Some(errors) = self.errors.get(&age) else { return line };
        let mut sorted: Vec<f64> = errors.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let cut = (0.025 * (sorted.len() + 1) as f64) as usize;
        let at = cut.max(1) - 1;
        let ends = |error: f64| (line.value + error).clamp(range.0, range.1);
        let (lower, upper) = (ends(sorted[at]), ends(sorted[sorted.len() - 1 - at]));
        Estimate { interval: Some(Interval { lower, upper }), ..line }
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    queue.push_back(item);
    while queue.len() > GRADED_MAX {
        queue.pop_front();
    }
}

impl Trust {
    /// `None` while nothing can be said.
    pub fn verdict(self) -> Option<bool> {
        match self {
            Self::Ungraded { .. } => None,
            Self::Trusted => Some(true),
            Self::OutsideBand { .. } | Self::Biased { .. } => Some(false),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ungraded { windows } => {
                write!(f, "{windows} of the {GRADED_MIN} windows that it takes are graded")
            }
            Self::Trusted => f.write_str("the graded windows bear the estimates out"),
            Self::OutsideBand { held, windows, typical } => write!(
                f,
                "the 95% band held the measured value in {held} of {windows} windows; the typical \
                 error is {typical:.3}"
            ),
            Self::Biased { bias } => {
                let side = if *bias > 0.0 { "too low" } else { "too high" };
                write!(f, "estimates are {side} by {:.3} on average", bias.abs())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graded(errors: &[f64], half: f64) -> Grade {
        let mut grade = Grade::default();
        for (at, error) in (0..).zip(errors) {
            let band = Some(Interval { lower: 0.8 - half, upper: 0.8 + half });
            let window = Graded { end: Timestamp(at), expected: 0.8, band, measured: 0.8 + error };
            grade.take(window, [(3, 0.8)].into_iter());
        }
        grade
    }

    #[test]
    fn nothing_is_said_before_five_windows_are_graded() {
        assert_eq!(graded(&[0.3; 4], 0.01).trust(), Trust::Ungraded { windows: 4 });
        assert_eq!(Grade::default().trust().verdict(), None);
        assert_eq!(Grade::default().bias(), None);
    }

    #[test]
    fn an_estimate_that_leaves_its_band_too_often_is_not_trusted_and_says_so() {
        let lying = graded(&[-0.1, -0.12, -0.09, -0.11, -0.1, -0.1], 0.02);
        assert_eq!(lying.trust().verdict(), Some(false));
        assert_eq!(lying.coverage(), (0, 6));
        assert!((lying.bias().unwrap() + 0.103_333).abs() < 1e-6);
        let text = lying.trust().to_string();
        assert!(text.contains("0 of 6 windows") && text.contains("0.104"), "{text}");
    }

    #[test]
    fn a_trifle_outside_a_narrow_band_is_no_lie() {
        assert_eq!(graded(&[0.004; 30], 0.001).trust(), Trust::Trusted);
        assert_eq!(graded(&[0.02, -0.02, 0.01, -0.01, 0.0, 0.015], 0.03).trust(), Trust::Trusted);
    }

    #[test]
    fn a_constant_error_within_a_wide_band_is_a_bias() {
        let biased = graded(&[-0.08, -0.07, -0.09, -0.08, -0.08], 0.2);
        assert!(matches!(biased.trust(), Trust::Biased { bias } if (bias + 0.08).abs() < 1e-9));
        assert!(biased.trust().to_string().contains("too high by 0.080"));
    }

    #[test]
    fn from_twenty_windows_on_the_interval_is_what_errors_have_been() {
        let line = Estimate::exact(0.9, Some(Interval { lower: 0.89, upper: 0.91 }), 100);
        let errors: Vec<f64> = (0..19).map(|i| f64::from(i) / 100.0 - 0.05).collect();
        let grade = graded(&errors, 0.1);
        assert_eq!(grade.basis(3), Basis::Model);
        assert_eq!(grade.with_interval(line, 3, (0.0, 1.0)), line);
        let errors: Vec<f64> = (0..20).map(|i| f64::from(i) / 100.0 - 0.05).collect();
        let grade = graded(&errors, 0.1);
        assert_eq!((grade.basis(3), grade.basis(4)), (Basis::Graded, Basis::Model));
        let interval = grade.with_interval(line, 3, (0.0, 1.0)).interval.unwrap();
        assert!((interval.lower - 0.85).abs() < 1e-12 && interval.upper == 1.0);
    }

    #[test]
    fn only_the_newest_windows_count() {
        let mut errors = vec![0.3; 10];
        errors.extend([0.0; GRADED_MAX]);
        let grade = graded(&errors, 0.05);
        assert_eq!(grade.windows().len(), GRADED_MAX);
        assert_eq!((grade.bias(), grade.trust()), (Some(0.0), Trust::Trusted));
    }
}
