//! Sequential detectors: one value comes after the other, in the order of event time, and at some
//! of them the detector says that the law of the values has changed.
//!
//! For a log that is read again and for a file, where the order of the rows is known; the daemon
//! judges windows instead (`engine::monitor`), whose verdicts do not depend on the order of
//! arrival. Each detector is a state machine of its values alone, and gives the signals of river
//! 0.26.1 (`river.drift`) at the same values with the same settings. After a drift it begins anew.
//!
//! DDM, EDDM and HDDM expect 0 for a right prediction and 1 for an error; the others any number.

mod adwin;
mod cusum;
mod ddm;
mod eddm;
mod hddm_a;
mod hddm_w;
mod kswin;
mod page_hinkley;
mod random;

pub use adwin::{Adwin, AdwinSettings};
pub use cusum::{Cusum, CusumSettings};
pub use ddm::{Ddm, DdmSettings};
pub use eddm::{Eddm, EddmSettings};
pub use hddm_a::{HddmA, HddmASettings};
pub use hddm_w::{HddmW, HddmWSettings};
pub use kswin::{Kswin, KswinSettings, equal_size_p};
pub use page_hinkley::{Direction, PageHinkley, PageHinkleySettings};

/// What a detector says after a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signal {
    /// The law changed; the next value is the first of a new one.
    pub drift: bool,
    /// It may be about to. Only DDM, EDDM and HDDM warn.
    pub warning: bool,
}

impl Signal {
    fn drift(drift: bool) -> Self {
        Self { drift, warning: false }
    }
}

pub trait Detector {
    /// Takes the next value. One that is not finite is passed over: the last signal is repeated
    /// without its drift.
    fn update(&mut self, value: f64) -> Signal;
}

/// A mean that is brought up to date value by value (Welford 1962).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    count: f64,
    mean: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.mean += (value - self.mean) / self.count;
    }
}
