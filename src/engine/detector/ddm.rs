//! DDM: the error rate against its least.

use super::{Detector, Mean, Signal};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DdmSettings {
    /// Values before the first signal.
    pub warm_start: f64,
    /// In standard deviations of the least error rate.
    pub warning: f64,
    pub drift: f64,
}

impl Default for DdmSettings {
    fn default() -> Self {
        Self { warm_start: 30.0, warning: 2.0, drift: 3.0 }
    }
}

/// Gama, Medas, Castillo and Rodrigues 2004, as `river.drift.binary.DDM`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ddm {
    settings: DdmSettings,
    signal: Signal,
    rate: Mean,
    /// The error rate and its standard deviation where their sum was least.
    least: Option<(f64, f64)>,
}

impl Ddm {
    pub fn new(settings: DdmSettings) -> Self {
        Self { settings, signal: Signal::default(), rate: Mean::default(), least: None }
    }
}

impl Detector for Ddm {
    fn update(&mut self, value: f64) -> Signal {
        if !value.is_finite() {
            return Signal { drift: false, ..self.signal };
        }
        if self.signal.drift {
            *self = Self::new(self.settings);
        }
        self.rate.add(value);
        let rate = self.rate.mean;
        let spread = (rate * (1.0 - rate) / self.rate.count).max(0.0).sqrt();
        if self.rate.count > self.settings.warm_start {
            let least = match self.least {
                Some((p, s)) if rate + spread > p + s => (p, s),
                _ => (rate, spread),
            };
            self.least = Some(least);
            let beyond = |deviations: f64| rate + spread > least.0 + deviations * least.1;
            let drift = beyond(self.settings.drift);
            self.signal = Signal { drift, warning: !drift && beyond(self.settings.warning) };
        }
        self.signal
    }
}
