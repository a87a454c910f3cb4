//! The one-sided cumulative sum of Page 1954.

use super::{Detector, Mean, Signal};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CusumSettings {
    /// Values before the first drift.
    pub values_min: f64,
    /// What a value may lie above the mean without being summed up.
    pub delta: f64,
    /// How great the sum may become.
    pub threshold: f64,
}

impl Default for CusumSettings {
    fn default() -> Self {
        Self { values_min: 30.0, delta: 0.005, threshold: 50.0 }
    }
}

/// s = max(0, s + x - mean - delta), drift where s > threshold; the mean is that of all values
/// since the last drift, this one among them. As Frouros' CUSUM; river has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cusum {
    settings: CusumSettings,
    mean: Mean,
    sum: f64,
    drifted: bool,
}

impl Cusum {
    pub fn new(settings: CusumSettings) -> Self {
        Self { settings, mean: Mean::default(), sum: 0.0, drifted: false }
    }
}

impl Detector for Cusum {
    fn update(&mut self, value: f64) -> Signal {
        if !value.is_finite() {
            return Signal::default();
        }
        if self.drifted {
            *self = Self::new(self.settings);
        }
        self.mean.add(value);
        self.sum = (self.sum + value - self.mean.mean - self.settings.delta).max(0.0);
        let enough = self.mean.count >= self.settings.values_min;
        self.drifted = enough && self.sum > self.settings.threshold;
        Signal::drift(self.drifted)
    }
}
