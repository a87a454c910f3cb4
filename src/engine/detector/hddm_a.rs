//! HDDM with averages: Hoeffding's bound on the difference of two means.

use super::{Detector, Mean, Signal};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HddmASettings {
    /// The chance of a false drift that each test admits, and of a false warning.
    pub drift: f64,
    pub warning: f64,
    /// Whether fewer errors are a drift too.
    pub two_sided: bool,
}

impl Default for HddmASettings {
    fn default() -> Self {
        Self { drift: 0.001, warning: 0.005, two_sided: false }
    }
}

/// Frias-Blanco et al. 2014, the A-test, as `river.drift.binary.HDDMA`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HddmA {
    settings: HddmASettings,
    signal: Signal,
    all: Mean,
    /// The values up to where the mean was surely least, and greatest.
    least: Mean,
    greatest: Mean,
}

impl HddmA {
    pub fn new(settings: HddmASettings) -> Self {
        let [all, least, greatest] = [Mean::default(); 3];
        Self { settings, signal: Signal::default(), all, least, greatest }
    }

    fn bound(&self, mean: &Mean) -> f64 {
        (1.0 / (2.0 * mean.count) * (1.0 / self.settings.drift).ln()).sqrt()
    }

    /// Whether the mean since `cut` lies further off than chance explains; `sign` 1 above, -1
    /// below.
    fn moved(&self, cut: &Mean, sign: f64, confidence: f64) -> bool {
        if cut.count == self.all.count {
            return false;
        }
        let share = (self.all.count - cut.count) / cut.count * (1.0 / self.all.count);
        let epsilon = (share / 2.0 * (2.0 / confidence).ln()).sqrt();
        sign * (self.all.mean - cut.mean) >= epsilon
    }
}

impl Detector for HddmA {
    fn update(&mut self, value: f64) -> Signal {
        if !value.is_finite() {
            return Signal { drift: false, ..self.signal };
        }
        if self.signal.drift {
            *self = Self::new(self.settings);
        }
        self.all.add(value);
        if self.least.count == 0.0 {
            (self.least, self.greatest) = (self.all, self.all);
        }
        let epsilon = self.bound(&self.all);
        if self.least.mean + self.bound(&self.least) >= self.all.mean + epsilon {
            self.least = self.all;
        }
        if self.greatest.mean - self.bound(&self.greatest) <= self.all.mean - epsilon {
            self.greatest = self.all;
        }
        let HddmASettings { drift, warning, two_sided } = self.settings;
        let rose = self.moved(&self.least, 1.0, drift);
        self.signal =
            Signal { drift: rose, warning: !rose && self.moved(&self.least, 1.0, warning) };
        if two_sided {
            if self.moved(&self.greatest, -1.0, drift) {
                self.signal.drift = true;
            } else if self.moved(&self.greatest, -1.0, warning) {
                self.signal.warning = true;
            }
        }
        self.signal
    }
}
