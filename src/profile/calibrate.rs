//! How scores come true on the profile's labelled rows: what estimates before labels rest on.

use crate::engine::cbpe::{
    CalibrationReference, Isotonic, Judged, KNOTS_MAX, Labelled, Verdict, components, verdict,
};
use crate::engine::sketch::{BinaryOutcome, Outcome};
use crate::engine::spec::Task;

/// Labelled rows that are kept, 25 MB; of more, every second, fourth, ... one.
const ROWS_MAX: usize = 1 << 20;

/// The labelled rows with a score, or an even part of them.
#[derive(Clone, Debug)]
pub(super) struct CalibrationRows {
    rows: Vec<Row>,
    seen: u64,
    every: u64,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    judged: Judged,
    weight: f64,
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
    pub(super) fn add(&mut self, outcome: &Outcome) {
        let Outcome::Binary(BinaryOutcome { score: Some(score), decision, label, weight }) =
            *outcome
        else {
            return;
        };
        if self.seen.is_multiple_of(self.every) {
            self.rows.push(Row { judged: Judged { score, decision, label }, weight });
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

    /// Fits the map, if the scores are better with one.
    pub(super) fn finish(mut self, task: &Task, trained_on: bool) -> Fitted {
        let Task::Binary { positive_class, .. } = task else { return Fitted::Nothing };
        if self.rows.is_empty() {
            return Fitted::Nothing;
        }
        if trained_on {
            return Fitted::Refused("the model was trained on these rows".into());
        }
        self.rows.sort_by(|a, b| a.judged.score.total_cmp(&b.judged.score));
        let labelled = |row: &Row| Labelled {
            // -0 is 0.
            score: row.judged.score + 0.0,
            positive: row.judged.label,
            weight: row.weight,
        };
        let labelled: Vec<Labelled> = self.rows.iter().map(labelled).collect();
        let map = match verdict(&labelled) {
            Err(refusal) => return Fitted::Refused(refusal.to_string()),
            Ok(Verdict::Calibrate { .. }) => Isotonic::fit(labelled.into_iter()),
            Ok(Verdict::Leave { .. } | Verdict::Separated) => None,
        };
        if map.as_ref().is_some_and(|map| map.knots().len() > KNOTS_MAX) {
            return Fitted::Refused(format!("the map from scores has over {KNOTS_MAX} knots"));
        }
        let judged: Vec<Judged> = self.rows.iter().map(|row| row.judged).collect();
        Fitted::Reference(CalibrationReference {
            rows: judged.len() as u64,
            classes: vec![positive_class.clone()],
            maps: vec![map],
            sampling: components::binary(&judged),
        })
    }
}
