//! A shard's state as bytes: whole, or only what changed since the last time.
//!
//! Sections are encoded with postcard. A whole snapshot and the deltas after it, applied in order, give
//! the state back bit for bit. Versioning, checksums and files are the checkpoint's business.

use super::join::{Matched, Origins, Pending};
use super::labels::Labels;
use super::model_shard::{ModelShard, Partial};
use super::outcome::LabelTally;
use super::outputs::Ranked;
use super::pane::{Pane, PaneKey, Released};
use super::counters::{DelayHistogram, VersionCounters};
use super::outcome::PredictionTally;
use super::shard::{Input, InputKey, Shard};
use super::spec::Task;
use super::table::Keyed;
use super::time::Timestamp;
use super::waiting::WaitingLabel;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A named part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Whole, or what changed since the snapshot before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    Full,
    Delta,
}

/// Why bytes are not a state of this plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("section `{section}` cannot be read: {message}")]
    Unreadable { section: String, message: String },
    #[error("section `{section}` is missing")]
    Missing { section: String },
    #[error("the state is of models [{found}], the configuration has [{expected}]")]
    OtherModels { found: String, expected: String },
}

#[derive(Serialize, Deserialize)]
struct Head {
    models: Vec<String>,
    inputs: Vec<(InputKey, Input)>,
    label_tallies: Vec<LabelTally>,
}

#[derive(Serialize, Deserialize)]
struct ModelHead {
    versions: Vec<String>,
    tally: PredictionTally,
    counters: Vec<VersionCounters>,
    delay: DelayHistogram,
    predictions_closing: Timestamp,
    labels_closing: Timestamp,
    released: Released,
}

/// All rows of one id; what is not listed is no longer held.
#[derive(Serialize, Deserialize)]
struct IdRows {
    id: u128,
    pending: Vec<(Pending, Option<Ranked>)>,
    matched: Vec<(Matched, Option<Ranked>)>,
    origins: Vec<Origins>,
}

#[derive(Serialize, Deserialize)]
struct IdLabels {
    id: u128,
    labels: Vec<WaitingLabel>,
}

impl Shard {
    /// Encodes the state and starts to note what changes from here on.
    pub fn snapshot(&mut self, kind: SnapshotKind) -> Vec<Section> {
        let head = Head {
            models: self.spec.models.iter().map(|m| m.context.spec.name.to_string()).collect(),
            inputs: self.inputs.iter().map(|(key, input)| (*key, input.clone())).collect(),
            label_tallies: self.label_tallies.clone(),
        };
        let mut sections = vec![section("inputs", &head)];
        for (at, model) in self.models.iter_mut().enumerate() {
            sections.push(section(&format!("model/{at}"), &ModelHead::of(&model.partial)));
            sections.push(section(&format!("join/{at}"), &model.rows(kind)));
            sections.push(section(&format!("panes/{at}"), &model.panes(kind)));
        }
        for (at, waiting) in self.waiting.iter_mut().enumerate() {
            let changed = waiting.journal.replace(Vec::new());
            let ids = match (kind, changed) {
                (SnapshotKind::Delta, Some(changed)) => distinct(changed),
                _ => distinct(waiting.labels.iter().map(Keyed::id).collect()),
            };
            let rows: Vec<IdLabels> = ids
                .into_iter()
                .map(|id| {
                    let mut labels: Vec<_> = waiting.labels.get(id).cloned().collect();
                    labels.sort_by_key(|label| label.position);
                    IdLabels { id, labels }
                })
                .collect();
            sections.push(section(&format!("waiting/{at}"), &rows));
        }
        sections
    }

    /// Applies a snapshot: a whole one to a new shard, then the deltas after it.
    pub fn restore(&mut self, sections: &[Section]) -> Result<(), StateError> {
        let head: Head = read(sections, "inputs")?;
        let expected: Vec<&str> = self.spec.models.iter().map(|m| &*m.context.spec.name).collect();
        if head.models != expected {
            return Err(StateError::OtherModels {
                found: head.models.join(", "),
                expected: expected.join(", "),
            });
        }
        self.inputs = head.inputs.into_iter().collect();
        self.label_tallies = head.label_tallies;
        for (at, model) in self.models.iter_mut().enumerate() {
            let head: ModelHead = read(sections, &format!("model/{at}"))?;
            let rows: Vec<IdRows> = read(sections, &format!("join/{at}"))?;
            let panes: Vec<(PaneKey, Option<Pane>)> = read(sections, &format!("panes/{at}"))?;
            head.give(&mut model.partial);
            for (key, pane) in panes {
                model.partial.panes.restore(key, pane);
            }
            for row in rows {
                model.restore_rows(row);
            }
            model.partial.pending = model.join.pending() as u64;
        }
        for (at, waiting) in self.waiting.iter_mut().enumerate() {
            let rows: Vec<IdLabels> = read(sections, &format!("waiting/{at}"))?;
            for row in rows {
                waiting.forget_id(row.id);
                row.labels.into_iter().for_each(|label| waiting.restore(label));
            }
        }
        Ok(())
    }
}

impl ModelHead {
    fn of(partial: &Partial) -> Self {
        Self {
            versions: partial.versions.clone(),
            tally: partial.tally.clone(),
            counters: partial.counters.clone(),
            delay: partial.delay.clone(),
            predictions_closing: partial.predictions_closing,
            labels_closing: partial.labels_closing,
            released: partial.panes.released().clone(),
        }
    }

    fn give(self, partial: &mut Partial) {
        partial.versions = self.versions;
        partial.tally = self.tally;
        partial.counters = self.counters;
        partial.delay = self.delay;
        partial.predictions_closing = self.predictions_closing;
        partial.labels_closing = self.labels_closing;
        partial.panes.restore_released(self.released);
    }
}

impl ModelShard {
    fn rows(&mut self, kind: SnapshotKind) -> Vec<IdRows> {
        let changed = self.join.journal.replace(Vec::new());
        let ids = match (kind, changed) {
            (SnapshotKind::Delta, Some(changed)) => distinct(changed),
            _ => {
                let pending = self.join.pending.iter().map(Keyed::id);
                distinct(pending.chain(self.join.matched.iter().map(Keyed::id)).collect())
            }
        };
        ids.into_iter().map(|id| self.rows_of(id)).collect()
    }

    fn rows_of(&self, id: u128) -> IdRows {
        let multiclass = self.is_multiclass();
        let ranked = |row: &Pending| multiclass.then(|| self.outputs.get(row.output).cloned())?;
        let mut pending: Vec<_> =
            self.join.pending.get(id).map(|row| (*row, ranked(row))).collect();
        pending.sort_by_key(|(row, _)| (row.event_time, row.version));
        let mut matched: Vec<_> = self
            .join
            .matched
            .get(id)
            .map(|row| (row.clone(), ranked(&row.prediction)))
            .collect();
        matched.sort_by_key(|(row, _)| (row.prediction.event_time, row.prediction.version));
        let mut origins: Vec<_> = self.join.origins.get(id).cloned().collect();
        origins.sort_by_key(|row| (row.event_time, row.version));
        IdRows { id, pending, matched, origins }
    }

    fn is_multiclass(&self) -> bool {
        matches!(self.context.spec.task, Task::Multiclass { .. })
    }

    fn restore_rows(&mut self, rows: IdRows) {
        if self.is_multiclass() {
            let held: Vec<u64> = self
                .join
                .pending
                .get(rows.id)
                .map(|row| row.output)
                .chain(self.join.matched.get(rows.id).map(|row| row.prediction.output))
                .collect();
            held.into_iter().for_each(|slot| self.outputs.free(slot));
        }
        self.join.forget_id(rows.id);
        for (mut row, ranked) in rows.pending {
            self.restore_output(&mut row, ranked);
            self.join.restore(row, None);
        }
        for (Matched { mut prediction, labels }, ranked) in rows.matched {
            self.restore_output(&mut prediction, ranked);
            self.join.restore(prediction, Some(Labels::clone(&labels)));
        }
        for origins in rows.origins {
            self.join.origins.insert(origins);
        }
    }

    fn restore_output(&mut self, row: &mut Pending, ranked: Option<Ranked>) {
        if let Some(ranked) = ranked {
            row.output = self.outputs.put(ranked);
        }
    }

    fn panes(&mut self, kind: SnapshotKind) -> Vec<(PaneKey, Option<Pane>)> {
        let panes = &mut self.partial.panes;
        let changed = panes.take_unsaved();
        match kind {
            SnapshotKind::Full => panes.iter().map(|(key, p)| (key, Some(p.clone()))).collect(),
            SnapshotKind::Delta => {
                changed.into_iter().map(|key| (key, panes.get(key).cloned())).collect()
            }
        }
    }
}

fn distinct(mut ids: Vec<u128>) -> Vec<u128> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Encodes one section.
pub fn section<T: Serialize>(name: &str, value: &T) -> Section {
    let bytes = postcard::to_allocvec(value).expect("the state has no type that cannot be encoded");
    Section { name: name.to_owned(), bytes }
}

/// Decodes one section.
pub fn read<T: DeserializeOwned>(sections: &[Section], name: &str) -> Result<T, StateError> {
    let section = sections
        .iter()
        .find(|section| section.name == name)
        .ok_or_else(|| StateError::Missing { section: name.to_owned() })?;
    postcard::from_bytes(&section.bytes).map_err(|error| StateError::Unreadable {
        section: name.to_owned(),
        message: error.to_string(),
    })
}

/// Sections by name, for looking inside.
pub fn names(sections: &[Section]) -> BTreeMap<&str, usize> {
    sections.iter().map(|section| (section.name.as_str(), section.bytes.len())).collect()
}
