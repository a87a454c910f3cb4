//! A shard's state as bytes: whole, or only what changed since the last time.
//!
//! Sections are encoded with postcard. A whole snapshot and the deltas after it, applied in order,
//! give the state back bit for bit. Versioning, checksums and files are the checkpoint's business.

use super::counters::{DelayHistogram, VersionCounters};
use super::join::{Origins, Pending};
use super::labels::Labels;
use super::model_shard::{ModelShard, Partial};
use super::outcome::LabelTally;
use super::outcome::PredictionTally;
use super::outputs::Ranked;
use super::pane::{Pane, PaneKey, Released, SavedExpected, VersionPane};
use super::shard::{Input, InputKey, Shard, Side};
use super::sketch::{ExpectedCells, PredictedLosses};
use super::spec::Task;
use super::table::{Keyed, sort_by_table};
use super::time::Timestamp;
use super::waiting::{Waiting, WaitingLabel};
use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub id: SectionName,
    pub bytes: Vec<u8>,
}

/// What a section holds, and of which model or label topic of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SectionName {
    pub part: Part,
    pub index: u16,
}

/// The numbers are those of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Part {
    /// Offsets, watermarks, tallies.
    Inputs = 0,
    /// A model's versions, tallies, counters.
    Model = 1,
    /// A model's predictions.
    Join = 2,
    Panes = 3,
    /// A label topic's waiting labels.
    Waiting = 4,
    /// A monitor's memory, with the outbox.
    Monitor = 5,
    /// What a model's predictions in its panes are expected to turn out as. Absent in checkpoints
    /// of before there were estimates.
    Expected = 6,
}

impl Part {
    /// The one section of this kind, or the first of several.
    pub const fn at(self, index: usize) -> SectionName {
        SectionName { part: self, index: index as u16 }
    }
}

impl SectionName {
    /// As the file format numbers it.
    pub fn number(self) -> u32 {
        (self.part as u32) << 16 | u32::from(self.index)
    }

    /// `None` for a number that this version does not know.
    pub fn from_number(number: u32) -> Option<Self> {
        let part = match number >> 16 {
            0 => Part::Inputs,
            1 => Part::Model,
            2 => Part::Join,
            3 => Part::Panes,
            4 => Part::Waiting,
            5 => Part::Monitor,
            6 => Part::Expected,
            _ => return None,
        };
        Some(Self { part, index: number as u16 })
    }
}

impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Inputs => return f.write_str("inputs"),
            Part::Model => "model",
            Part::Join => "join",
            Part::Panes => "panes",
            Part::Waiting => "waiting",
            Part::Monitor => return f.write_str("monitor"),
            Part::Expected => "expected",
        };
        write!(f, "{part}/{}", self.index)
    }
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
pub(super) struct Head {
    pub models: Vec<String>,
    pub inputs: Vec<(InputKey, Input)>,
    pub label_tallies: Vec<LabelTally>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ModelHead {
    pub versions: Vec<String>,
    pub tally: PredictionTally,
    label_tally: LabelTally,
    counters: Vec<VersionCounters>,
    delay: DelayHistogram,
    pub predictions_closing: Timestamp,
    pub labels_closing: Timestamp,
    released: Released,
}

/// All rows of one id, which they do not repeat; what is not listed is no longer held.
#[derive(Deserialize)]
pub(super) struct IdRows {
    pub id: IdBytes,
    pub pending: Vec<(Pending, Option<Ranked>)>,
    pub matched: Vec<((Pending, Labels), Option<Ranked>)>,
    origins: Vec<Origins>,
}

#[derive(Deserialize)]
pub(super) struct IdLabels {
    pub id: IdBytes,
    pub labels: Vec<WaitingLabel>,
}

/// An id as it is: a hash as a number of variable length would be longer.
pub(super) type IdBytes = [u8; 16];

/// Writes `IdRows` one after the other, without a copy of them all.
struct RowsOf<'a> {
    model: &'a ModelShard,
    ids: Vec<u128>,
}

/// Writes `IdLabels` likewise.
struct LabelsOf<'a> {
    waiting: &'a Waiting,
    ids: Vec<u128>,
}

impl Shard {
    /// Encodes the state and starts to note what changes from here on.
    pub fn snapshot(&mut self, kind: SnapshotKind) -> Vec<Section> {
        let head = Head {
            models: self.spec.models.iter().map(|m| m.context.spec.name.to_string()).collect(),
            inputs: self.inputs.iter().map(|(key, input)| (*key, input.clone())).collect(),
            label_tallies: self.label_tallies.clone(),
        };
        let mut sections = vec![section(Part::Inputs.at(0), &head)];
        for (at, model) in self.models.iter_mut().enumerate() {
            sections.push(section(Part::Model.at(at), &ModelHead::of(&model.partial)));
            sections.push(section(Part::Join.at(at), &model.changed_rows(kind)));
            let panes = model.panes(kind);
            sections.push(section(Part::Panes.at(at), &panes));
            let expected = expected(&panes);
            if !expected.is_empty() {
                sections.push(section(Part::Expected.at(at), &expected));
            }
        }
        for (at, waiting) in self.waiting.iter_mut().enumerate() {
            let ids = waiting.changed_ids(kind == SnapshotKind::Full, read_to(&self.inputs, at));
            sections.push(section(Part::Waiting.at(at), &LabelsOf { waiting, ids }));
        }
        sections
    }

    /// Applies a snapshot: a whole one to a new shard, then the deltas after it.
    pub fn restore(&mut self, sections: &[Section]) -> Result<(), StateError> {
        self.restore_partials(sections)?;
        for (at, model) in self.models.iter_mut().enumerate() {
            let rows: Vec<IdRows> = read(sections, Part::Join.at(at))?;
            for row in rows {
                model.restore_rows(row);
            }
            // What changes from here on is what the next delta has to tell.
            model.join.journal = Some(Vec::new());
            model.partial.pending = model.join.pending() as u64;
        }
        for (at, waiting) in self.waiting.iter_mut().enumerate() {
            let rows: Vec<IdLabels> = read(sections, Part::Waiting.at(at))?;
            for row in rows {
                let id = u128::from_le_bytes(row.id);
                waiting.forget_id(id);
                for label in row.labels {
                    waiting.restore(WaitingLabel { id, ..label });
                }
            }
            waiting.saved(read_to(&self.inputs, at));
        }
        Ok(())
    }

    /// The same without the rows that are held: what a monitor needs of a shard that another
    /// process looks after. Such a shard takes no records.
    pub fn restore_partials(&mut self, sections: &[Section]) -> Result<(), StateError> {
        let head: Head = read(sections, Part::Inputs.at(0))?;
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
            let head: ModelHead = read(sections, Part::Model.at(at))?;
            let panes: Vec<(PaneKey, Option<Pane>)> = read(sections, Part::Panes.at(at))?;
            head.give(&mut model.partial);
            for (key, pane) in panes {
                model.partial.panes.restore(key, pane);
            }
            let at = Part::Expected.at(at);
            if sections.iter().any(|section| section.id == at) {
                let expected: Vec<(PaneKey, Vec<SavedExpected>)> = read(sections, at)?;
                for (key, cells) in expected {
                    model.partial.panes.restore_expected(key, cells);
                }
            }
        }
        Ok(())
    }
}

type Expected<'a> = (u16, &'a Option<Box<ExpectedCells>>, &'a Option<Box<PredictedLosses>>);

/// The expectations of these panes, by version.
fn expected(panes: &[(PaneKey, Option<Pane>)]) -> Vec<(PaneKey, Vec<Expected<'_>>)> {
    let mut all = Vec::new();
    for (key, pane) in panes {
        let versions: &[(u16, VersionPane)] = pane.as_ref().map_or(&[], |pane| &pane.versions);
        let held = versions.iter().filter(|(_, p)| p.expected.is_some() || p.losses.is_some());
        let held: Vec<_> = held.map(|(at, p)| (*at, &p.expected, &p.losses)).collect();
        if !held.is_empty() {
            all.push((*key, held));
        }
    }
    all
}

impl ModelHead {
    fn of(partial: &Partial) -> Self {
        Self {
            versions: partial.versions.clone(),
            tally: partial.tally.clone(),
            label_tally: partial.label_tally.clone(),
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
        partial.label_tally = self.label_tally;
        partial.counters = self.counters;
        partial.delay = self.delay;
        partial.predictions_closing = self.predictions_closing;
        partial.labels_closing = self.labels_closing;
        partial.panes.restore_released(self.released);
    }
}

impl ModelShard {
    fn changed_rows(&mut self, kind: SnapshotKind) -> RowsOf<'_> {
        let changed = self.join.journal.replace(Vec::new());
        let mut ids = match (kind, changed) {
            (SnapshotKind::Delta, Some(changed)) => changed,
            _ => self.join.rows.iter().map(Keyed::id).collect(),
        };
        sort_by_table(&mut ids);
        RowsOf { model: self, ids }
    }

    fn is_multiclass(&self) -> bool {
        matches!(self.context.spec.task, Task::Multiclass { .. })
    }

    fn restore_rows(&mut self, rows: IdRows) {
        let id = u128::from_le_bytes(rows.id);
        if self.is_multiclass() {
            for row in self.join.rows.get(id) {
                self.outputs.free(row.output);
            }
        }
        self.join.forget_id(id);
        for (mut row, ranked) in rows.pending {
            row.id = id;
            self.restore_output(&mut row, ranked);
            self.join.restore(row, None);
        }
        for ((mut prediction, labels), ranked) in rows.matched {
            prediction.id = id;
            self.restore_output(&mut prediction, ranked);
            self.join.restore(prediction, Some(labels));
        }
        for origins in rows.origins {
            self.join.origins.insert(Origins { id, ..origins });
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

impl Serialize for RowsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (join, multiclass) = (&self.model.join, self.model.is_multiclass());
        let ranked =
            |row: &Pending| multiclass.then(|| self.model.outputs.get(row.output)).flatten();
        let (mut pending, mut matched, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        let mut all = serializer.serialize_seq(Some(self.ids.len()))?;
        for &id in &self.ids {
            pending.clear();
            matched.clear();
            for row in join.rows.get(id) {
                match join.labels_of(row) {
                    None => pending.push((row, ranked(row))),
                    Some(labels) => matched.push(((row, labels), ranked(row))),
                }
            }
            pending.sort_by_key(|(row, _)| (row.event_time, row.version));
            matched.sort_by_key(|((row, _), _)| (row.event_time, row.version));
            origins.clear();
            origins.extend(join.origins.get(id));
            origins.sort_by_key(|row| (row.event_time, row.version));
            all.serialize_element(&(id.to_le_bytes(), &pending, &matched, &origins))?;
        }
        all.end()
    }
}

impl Serialize for LabelsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut labels = Vec::new();
        let mut all = serializer.serialize_seq(Some(self.ids.len()))?;
        for &id in &self.ids {
            labels.clear();
            labels.extend(self.waiting.labels.get(id));
            labels.sort_by_key(|label| label.position);
            all.serialize_element(&(id.to_le_bytes(), &labels))?;
        }
        all.end()
    }
}

/// The first offset not read of each partition of a label topic.
fn read_to(inputs: &BTreeMap<InputKey, Input>, topic: usize) -> Vec<(i32, i64)> {
    inputs
        .iter()
        .filter(|(key, _)| key.side == Side::Labels && usize::from(key.topic) == topic)
        .filter_map(|(key, input)| Some((key.partition, input.next_offset?)))
        .collect()
}

/// Encodes one section.
pub fn section<T: Serialize>(id: SectionName, value: &T) -> Section {
    let bytes = postcard::to_allocvec(value).expect("the state has no type that cannot be encoded");
    Section { id, bytes }
}

/// Decodes one section.
pub fn read<T: DeserializeOwned>(sections: &[Section], id: SectionName) -> Result<T, StateError> {
    let section = sections
        .iter()
        .find(|section| section.id == id)
        .ok_or_else(|| StateError::Missing { section: id.to_string() })?;
    postcard::from_bytes(&section.bytes).map_err(|error| StateError::Unreadable {
        section: id.to_string(),
        message: error.to_string(),
    })
}
