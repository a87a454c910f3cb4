//! Has a loss in [0, 1] risen above what the baseline allows? Over panes without an end.
//!
//! The null: the expected loss of each row, given the past, is at most L0. For a pane of n rows
//! with losses that add up to S
//!
//! ```text
//! e = (1 + lambda (1 - L0))^S (1 - lambda L0)^(n - S),   0 <= lambda < 1 / L0
//! ```
//!
//! has expectation at most 1 under it, for 0/1 losses at once, for others since a^l b^(1 - l) <=
//! l a + (1 - l) b for l in [0, 1]: the same formula, and sharper than Hoeffding's
//! exp(lambda (S - n L0) - n lambda^2 / 8).
//!
//! Shiryaev and Roberts: M_t = e_t (1 + M_(t-1)). M_t - t is a supermartingale under the null, so
//! that the first t with M_t >= A comes after at least A panes on average (Shin, Ramdas & Rinaldo,
//! "E-detectors"). The same holds for the mean of several M: here one for each of `RATES` rates, so
//! that nothing has to be known about the size of a rise, and nothing is chosen by looking. Each
//! pane enters once; that the panes' losses depend on each other is allowed for, as long as the
//! null holds given the past.

use serde::{Deserialize, Serialize};

/// How many rates: lambda = 2^-1 / L0 to 2^-RATES / L0.
pub const RATES: usize = 8;

/// The sums, one a rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    /// ln(1 + M).
    logs: [f64; RATES],
}

impl Default for Detector {
    fn default() -> Self {
        Self { logs: [0.0; RATES] }
    }
}

/// What a pane adds: rows (or as many as are informative) and the sum of their losses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    pub rows: f64,
    pub loss: f64,
}

/// ln of a pane's e-value. `share` = lambda L0, in [0, 1).
pub fn log_e_value(evidence: Evidence, null: f64, share: f64) -> f64 {
    let Evidence { rows, loss } = evidence;
    let rate = share / null;
    loss * (rate * (1.0 - null)).ln_1p() + (rows - loss) * (-share).ln_1p()
}

impl Detector {
    /// Takes up a pane; the logarithm of the evidence after it. `null` in (0, 1).
    pub fn step(&mut self, evidence: Evidence, null: f64) -> f64 {
        let mut evidences = [0.0; RATES];
        for (at, log) in self.logs.iter_mut().enumerate() {
            let share = 0.5f64.powi(at as i32 + 1);
            let m = log_e_value(evidence, null, share) + *log;
            evidences[at] = m;
            *log = log_1p_exp(m);
        }
        log_mean_exp(&evidences)
    }
}

/// ln(1 + e^x), without overflow.
fn log_1p_exp(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

fn log_mean_exp(logs: &[f64; RATES]) -> f64 {
    let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logs.iter().map(|log| (log - greatest).exp()).sum();
    greatest + (sum / RATES as f64).ln()
}
