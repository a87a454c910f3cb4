//! HDDM with weighted averages: McDiarmid's bound on exponentially weighted means.

use super::{Detector, Signal};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HddmWSettings {
    /// The chance of a false drift that each test admits, and of a false warning.
    pub drift: f64,
    pub warning: f64,
    /// The weight of the newest value.
    pub weight: f64,
    /// Whether fewer errors are a drift too.
    pub two_sided: bool,
}

impl Default for HddmWSettings {
    fn default() -> Self {
        Self { drift: 0.001, warning: 0.005, weight: 0.05, two_sided: false }
    }
}

/// Frias-Blanco et al. 2014, the W-test, as `river.drift.binary.HDDMW`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HddmW {
    settings: HddmWSettings,
    signal: Signal,
    all: Weighted,
    rise: Cut,
    fall: Cut,
}

/// A weighted mean and the sum of its squared weights, which the bound needs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Weighted {
    mean: Option<f64>,
    squares: f64,
}

const NOTHING: Weighted = Weighted { mean: None, squares: 1.0 };

impl Weighted {
    fn add(&mut self, value: f64, weight: f64) {
        self.mean = Some(match self.mean {
            None => value,
            Some(mean) => weight * value + (1.0 - weight) * mean,
        });
        self.squares = weight * weight + (1.0 - weight) * (1.0 - weight) * self.squares;
    }
}

/// The values before and after the point from which a change is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    before: Weighted,
    after: Weighted,
    /// The extreme that the bounded mean had there.
    at: f64,
}

fn bound(squares: f64, confidence: f64) -> f64 {
    (squares * (1.0 / confidence).ln() / 2.0).sqrt()
}

impl Cut {
    fn new(at: f64) -> Self {
        Self { before: NOTHING, after: NOTHING, at }
    }

    /// How far the mean moved over the cut beyond what chance explains; `sign` 1 up, -1 down.
    fn moved(&self, sign: f64, confidence: f64) -> bool {
        let (Some(before), Some(after)) = (self.before.mean, self.after.mean) else {
            return false;
        };
        let squares = match sign > 0.0 {
            true => self.before.squares + self.after.squares,
            false => self.after.squares + self.before.squares,
        };
        sign * (after - before) > bound(squares, confidence)
    }
}

impl HddmW {
    pub fn new(settings: HddmWSettings) -> Self {
        Self {
            settings,
            signal: Signal::default(),
            all: NOTHING,
            rise: Cut::new(f64::INFINITY),
            fall: Cut::new(f64::NEG_INFINITY),
        }
    }
}

impl Detector for HddmW {
    fn update(&mut self, value: f64) -> Signal {
        if !value.is_finite() {
            return Signal { drift: false, ..self.signal };
        }
        if self.signal.drift {
            *self = Self::new(self.settings);
        }
        let HddmWSettings { drift, warning, weight, two_sided } = self.settings;
        self.all.add(value, weight);
        let mean = self.all.mean.unwrap_or(value);
        let epsilon = bound(self.all.squares, drift);
        if mean + epsilon < self.rise.at {
            self.rise = Cut { before: self.all, after: NOTHING, at: mean + epsilon };
        } else {
            self.rise.after.add(value, weight);
        }
        if mean - epsilon > self.fall.at {
            self.fall = Cut { before: self.all, after: NOTHING, at: mean - epsilon };
        } else {
            self.fall.after.add(value, weight);
        }
        let rose = self.rise.moved(1.0, drift);
        self.signal = Signal { drift: rose, warning: !rose && self.rise.moved(1.0, warning) };
        if two_sided {
            if self.fall.moved(-1.0, drift) {
                self.signal.drift = true;
            } else if self.fall.moved(-1.0, warning) {
                self.signal.warning = true;
            }
        }
        self.signal
    }
}
