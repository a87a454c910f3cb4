//! Performance before labels: confidence-based estimates (CBPE, as NannyML 0.13 defines it).
//!
//! A calibrated probability says how likely a decision is right; summed over predictions it says
//! how many are. [`Isotonic`] maps are fitted on held-out rows with labels when the profile is
//! made, and kept in it. What this assumes: that scores mean the same as they did there. It is
//! blind to a change of P(label | score), which is why each estimate is graded when labels come.

mod batch;
mod estimates;
mod gate;
mod isotonic;
mod order;
mod sampling;

pub use batch::{BatchRow, batch};
pub use estimates::{
    EVERY_ESTIMABLE, Estimates, Nowcast, Open, WindowSums, combined, estimable, estimated, graded,
};
pub use gate::{CLASS_ROWS_MIN, Refusal, Verdict, verdict};
pub use isotonic::{Calibration, Isotonic, KNOTS_MAX, Labelled};
pub use sampling::{Component, Components, Judged};
pub mod components {
    //! Sampling errors of the metrics of a task.
    pub use super::sampling::{binary, multiclass};
}

use super::event::ClassCode;
use super::outputs::TOP_CLASSES_MAX;
use super::reference::Profile;
use super::score::fine_bin;
use super::sketch::{ExpectedCells, ExpectedRow, Probabilities};
use super::spec::Task;
use serde::{Deserialize, Serialize};

/// What a profile knows about how scores come true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationReference {
    /// Held-out rows with score and label that it was fitted on.
    pub rows: u64,
    /// Multiclass: the class of each map. Binary: the positive class alone.
    pub classes: Vec<String>,
    /// One a class. Absent where scores are better left as they are.
    pub maps: Vec<Option<Isotonic>>,
    /// By metric: its sampling error.
    pub sampling: Components,
}

/// Makes predictions ready to be summed; one a profile.
#[derive(Clone, Debug)]
pub struct Estimator {
    /// One a class in the task's order; binary: of the positive class.
    calibrations: Vec<Calibration>,
    multiclass: bool,
    components: Components,
}

impl CalibrationReference {
    /// What contradicts itself, as `field: what is wrong`.
    pub fn validate(&self) -> Result<(), String> {
        if self.classes.is_empty() || self.maps.len() != self.classes.len() {
            return Err("maps: expected one a class".into());
        }
        for (map, class) in self.maps.iter().zip(&self.classes) {
            let checked = map.as_ref().map_or(Ok(()), Isotonic::validate);
            checked.map_err(|what| format!("maps (`{class}`): {what}"))?;
        }
        let wrong = |c: &Component| {
            !(c.deviation.is_finite() && c.deviation >= 0.0 && c.share > 0.0 && c.share <= 1.0)
        };
        if let Some((name, _)) = self.sampling.iter().find(|(_, component)| wrong(component)) {
            return Err(format!("sampling.{name}: not a deviation and a share"));
        }
        Ok(())
    }
}

impl Estimator {
    /// `None` if the profile has no calibration for this task: one of another positive class, or
    /// without one of the classes, or with more classes than are kept of a prediction.
    pub fn new(profile: &Profile, task: &Task) -> Option<Self> {
        let reference = profile.calibration.as_ref()?;
        let map_of = |class: &String| {
            let at = reference.classes.iter().position(|known| known == class)?;
            Some(Calibration::new(reference.maps.get(at)?.clone()))
        };
        let components = reference.sampling.clone();
        match task {
            Task::Binary { positive_class, .. } => {
                let calibrations = vec![map_of(positive_class)?];
                Some(Self { calibrations, multiclass: false, components })
            }
            Task::Multiclass { classes, .. } if classes.len() <= TOP_CLASSES_MAX => {
                let calibrations = classes.iter().map(map_of).collect::<Option<Vec<_>>>()?;
                Some(Self { calibrations, multiclass: true, components })
            }
            Task::Multiclass { .. } | Task::Regression { .. } => None,
        }
    }

    /// Cells for the rows that this makes.
    pub fn cells(&self, weighted: bool) -> ExpectedCells {
        ExpectedCells::new(self.multiclass.then_some(self.calibrations.len()), weighted)
    }

    pub fn components(&self) -> &Components {
        &self.components
    }

    /// Of the positive class, or of the class at this position.
    pub fn calibration(&self, class: usize) -> Option<&Calibration> {
        self.calibrations.get(class)
    }

    /// A binary prediction; `score` NaN if the model gave none.
    pub fn binary(&self, score: f64, positive: bool, weight: f64) -> ExpectedRow {
        let known = !score.is_nan();
        ExpectedRow {
            decision: usize::from(positive),
            bin: known.then(|| fine_bin(score)),
            probabilities: known.then(|| Probabilities::One(self.calibrations[0].at(score))),
            weight,
        }
    }

    /// A multiclass prediction with its row of probabilities, in the task's order: each class is
    /// calibrated by itself, then the row is made to add up to 1 (evenly if nothing is left of it).
    pub fn multiclass(&self, row: &[f64], decision: ClassCode, weight: f64) -> ExpectedRow {
        let classes = self.calibrations.len();
        let known = row.len() == classes && !row.iter().any(|p| p.is_nan());
        let probabilities = known.then(|| {
            let calibrated = row.iter().zip(&self.calibrations).map(|(p, map)| map.at(*p));
            let mut calibrated: Vec<f64> = calibrated.collect();
            let sum: f64 = calibrated.iter().sum();
            for p in &mut calibrated {
                *p = if sum == 0.0 { 1.0 / classes as f64 } else { *p / sum };
            }
            Probabilities::Each(calibrated)
        });
        let decision = usize::from(decision).min(classes);
        ExpectedRow { decision, bin: None, probabilities, weight }
    }
}
