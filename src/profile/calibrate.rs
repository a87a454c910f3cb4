//! How scores come true on the profile's labelled rows: what estimates before labels rest on.

use crate::engine::cbpe::{
    CalibrationReference, Isotonic, Judged, KNOTS_MAX, Labelled, Verdict, components, verdict,
};
use crate::engine::sketch::{BinaryOutcome, MulticlassOutcome, Outcome};
use crate::engine::spec::Task;

/// Labelled rows that are kept, 40 MB (and 8 bytes a class); of more, every second, fourth, ...
const ROWS_MAX: usize = 1 << 20;

/// The labelled rows with a score, or an even part of them.
#[derive(Clone, Debug)]
pub(super) struct CalibrationRows {
    rows: Vec<Row>,
    seen: u64,
    every: u64,
}

#[derive(Clone, Debug)]
struct Row {
    said: Said,
    weight: f64,
}

#[derive(Clone, Debug)]
enum Said {
    Binary(Judged),
    /// Probabilities of the classes, and the codes of what was decided and what is true.
    Several {
        probabilities: Box<[f64]>,
        decision: u16,
        label: u16,
    },
}

/// What became of the calibration.
#[derive(Clone, Debug)]
pub(super) enum Fitted {
    /// The data has no score or no label, or the task has no estimates.
    Nothing,
    Refused(String),
    Reference(CalibrationReference),
}

impl Default for CalibrationRows {
    fn default() -> Self {
        Self { rows: Vec::new(), seen: 0, every: 1 }
    }
}

impl CalibrationRows {
    pub(super) fn add(&mut self, outcome: &Outcome, probabilities: Option<&[f64]>) {
        let (said, weight) = match *outcome {
            Outcome::Binary(BinaryOutcome { score: Some(score), decision, label, weight }) => {
                // -0 is 0.
                (Said::Binary(Judged { score: score + 0.0, decision, label }), weight)
            }
            Outcome::Multiclass(MulticlassOutcome { decision, label, weight, .. }) => {
                let Some(known) = probabilities.filter(|p| !p.is_empty()) else { return };
                let probabilities = known.iter().map(|p| p + 0.0).collect();
                (Said::Several { probabilities, decision, label }, weight)
            }
            _ => return,
        };
        if self.seen.is_multiple_of(self.every) {
            self.rows.push(Row { said, weight });
        }
        self.seen += 1;
        if self.rows.len() > ROWS_MAX {
            self.every *= 2;
            let mut at = 0;
            self.rows.retain(|_| {
                at += 1;
                at % 2 == 1
            });
        }
    }

    /// Fits a map for each class, where its scores are better with one.
    pub(super) fn finish(self, task: &Task) -> Fitted {
        if self.rows.is_empty() {
            return Fitted::Nothing;
        }
        let classes = match task {
            Task::Binary { positive_class, .. } => std::slice::from_ref(positive_class),
            Task::Multiclass { classes, .. } => classes,
            Task::Regression { .. } => return Fitted::Nothing,
        };
        let mut maps = Vec::new();
        for (at, class) in classes.iter().enumerate() {
            match fit(self.rows.iter().map(|row| row.labelled(at))) {
                Ok(map) => maps.push(map),
                Err(why) => return Fitted::Refused(format!("class `{class}`: {why}")),
            }
        }
        let judged = self.rows.iter().filter_map(|row| match row.said {
            Said::Binary(judged) => Some(judged),
            Said::Several { .. } => None,
        });
        let right = self.rows.iter().filter(|row| match row.said {
            Said::Several { decision, label, .. } => decision == label,
            Said::Binary(_) => false,
        });
        let rows = self.rows.len() as u64;
        let sampling = match task {
            Task::Binary { .. } => components::binary(&judged.collect::<Vec<_>>()),
            _ => components::multiclass(right.count() as u64, rows),
        };
        let classes = classes.to_vec();
        Fitted::Reference(CalibrationReference { rows, classes, maps, sampling })
    }
}

impl Row {
    /// As a row about one class.
    fn labelled(&self, class: usize) -> Labelled {
        let weight = self.weight;
        match &self.said {
            Said::Binary(Judged { score, label, .. }) => {
                Labelled { score: *score, positive: *label, weight }
            }
            Said::Several { probabilities, label, .. } => Labelled {
                score: probabilities[class],
                positive: usize::from(*label) == class,
                weight,
            },
        }
    }
}

/// The map of one class; `None` where scores are better left as they are.
fn fit(rows: impl Iterator<Item = Labelled>) -> Result<Option<Isotonic>, String> {
    let mut rows: Vec<Labelled> = rows.collect();
    rows.sort_by(|a, b| a.score.total_cmp(&b.score));
    let map = match verdict(&rows).map_err(|refusal| refusal.to_string())? {
        Verdict::Calibrate { .. } => Isotonic::fit(rows.into_iter()),
        Verdict::Leave { .. } | Verdict::Separated => None,
    };
    if map.as_ref().is_some_and(|map| map.knots().len() > KNOTS_MAX) {
        return Err(format!("the map from scores has over {KNOTS_MAX} knots"));
    }
    Ok(map)
}
