//! The Page-Hinkley test of a changed mean.

use super::{Detector, Mean, Signal};

/// Which changes of the mean count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageHinkleySettings {
    /// Values before the first drift.
    pub values_min: f64,
    /// What the mean may move without being summed up.
    pub delta: f64,
    /// How far the sum may come from its extreme.
    pub threshold: f64,
    /// How much of the sum is kept at each value.
    pub forgetting: f64,
    pub direction: Direction,
}

impl Default for PageHinkleySettings {
    fn default() -> Self {
        Self {
            values_min: 30.0,
            delta: 0.005,
            threshold: 50.0,
            forgetting: 1.0 - 0.0001,
            direction: Direction::Both,
        }
    }
}

/// Page 1954, with Hinkley's running mean and a forgetting factor, as
/// `river.drift.PageHinkley`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageHinkley {
    settings: PageHinkleySettings,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct State {
    drifted: bool,
    mean: Mean,
    increase: f64,
    decrease: f64,
    least_increase: f64,
    most_decrease: f64,
}

const START: State = State {
    drifted: false,
    mean: Mean { count: 0.0, mean: 0.0 },
    increase: 0.0,
    decrease: 0.0,
    least_increase: f64::INFINITY,
    most_decrease: -1.0,
};

impl PageHinkley {
    pub fn new(settings: PageHinkleySettings) -> Self {
        Self { settings, state: START }
    }
}

impl Detector for PageHinkley {
    fn update(&mut self, value: f64) -> Signal {
        if !value.is_finite() {
            return Signal::default();
        }
        if self.state.drifted {
            self.state = START;
        }
        let PageHinkleySettings { values_min, delta, threshold, forgetting, direction } =
            self.settings;
        let state = &mut self.state;
        state.mean.add(value);
        let deviation = value - state.mean.mean;
        state.increase = forgetting * state.increase + deviation - delta;
        state.decrease = forgetting * state.decrease + deviation + delta;
        state.least_increase = state.least_increase.min(state.increase);
        state.most_decrease = state.most_decrease.max(state.decrease);
        if state.mean.count >= values_min {
            let up = state.increase - state.least_increase > threshold;
            let down = state.most_decrease - state.decrease > threshold;
            state.drifted = match direction {
                Direction::Up => up,
                Direction::Down => down,
                Direction::Both => up || down,
            };
        }
        Signal::drift(state.drifted)
    }
}
