//! EDDM: the distance between errors against its greatest.

use super::{Detector, Mean, Signal};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EddmSettings {
    /// Values, and errors, before the first signal.
    pub warm_start: u64,
    /// Shares of the greatest distance: of a warning, and of a drift, which is not greater.
    pub warning: f64,
    pub drift: f64,
}

impl Default for EddmSettings {
    fn default() -> Self {
        Self { warm_start: 30, warning: 0.95, drift: 0.9 }
    }
}

/// Baena-Garcia et al. 2006, as `river.drift.binary.EDDM`. It signals at errors only, and often:
/// the distance varies greatly where errors are independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eddm {
    settings: EddmSettings,
    signal: Signal,
    count: u64,
    errors: u64,
    last_error: u64,
    distance: Mean,
    /// Of the distances: the sum of squared deviations from their mean.
    squares: f64,
    /// The greatest mean plus two standard deviations.
    greatest: f64,
}

impl Eddm {
    pub fn new(settings: EddmSettings) -> Self {
        Self {
            settings,
            signal: Signal::default(),
            count: 0,
            errors: 0,
            last_error: 0,
            distance: Mean::default(),
            squares: 0.0,
            greatest: -1.0,
        }
    }

    fn error(&mut self) {
        self.errors += 1;
        let distance = (self.count - self.last_error) as f64;
        let before = self.distance.mean;
        self.distance.add(distance);
        self.squares += (distance - before) * (distance - self.distance.mean);
        self.last_error = self.count;
        if self.count <= self.settings.warm_start {
            return;
        }
        let freedom = self.distance.count - 1.0;
        let variance = if freedom > 0.0 { self.squares / freedom } else { 0.0 };
        let now = self.distance.mean + 2.0 * variance.sqrt();
        if now > self.greatest {
            self.greatest = now;
        } else if self.errors > self.settings.warm_start {
            let level = now / self.greatest;
            if level < self.settings.drift {
                self.signal.drift = true;
            } else {
                self.signal.warning = level < self.settings.warning;
            }
        }
    }
}

impl Detector for Eddm {
    fn update(&mut self, value: f64) -> Signal {
        if !value.is_finite() {
            return Signal { drift: false, ..self.signal };
        }
        if self.signal.drift {
            *self = Self::new(self.settings);
        }
        self.count += 1;
        if value == 1.0 {
            self.error();
        }
        self.signal
    }
}
