//! History in a checkpoint: whole, or only the windows, distributions and marks that changed.
//!
//! What is held follows from what came in by the same bound, so a delta does not say what went.

use super::{Current, Ends, History, MARKS_MAX, Mark, Row};
use crate::engine::state::{Part, Section, SnapshotKind, StateError, read, section};
use crate::engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A window by its kind and end: its rows by version, or that it has none.
type Saved<R> = ((u16, Timestamp), Option<R>);

/// The part of a checkpoint, borrowed.
#[derive(Serialize)]
pub struct SavedHistory<'a> {
    windows: Vec<Saved<&'a BTreeMap<String, Row>>>,
    current: Vec<((u16, &'a str), &'a Current)>,
    versions: &'a BTreeMap<String, Timestamp>,
    /// Marks ever, and the newest of them.
    marked: u64,
    marks: Vec<&'a Mark>,
}

/// The same, read back.
#[derive(Deserialize)]
pub struct Restoring {
    windows: Vec<Saved<BTreeMap<String, Row>>>,
    current: Vec<((u16, String), Current)>,
    versions: BTreeMap<String, Timestamp>,
    marked: u64,
    marks: Vec<Mark>,
}

impl History {
    /// Whether anything changed since the last `save`.
    pub fn is_unsaved(&self) -> bool {
        !self.unsaved.is_empty()
            || !self.unsaved_current.is_empty()
            || self.marked != self.saved_marks
    }

    /// Encodes all, or what changed, and starts to note what changes from here on.
    pub fn save(&mut self, kind: SnapshotKind) -> Section {
        let unsaved = std::mem::take(&mut self.unsaved);
        let unsaved_current = std::mem::take(&mut self.unsaved_current);
        let whole = kind == SnapshotKind::Full;
        let windows = if whole {
            let of_kind = |(index, ends): (u16, &'_ Ends)| {
                ends.keys().map(move |end| (index, *end)).collect::<Vec<_>>()
            };
            (0..).zip(&self.kinds).flat_map(of_kind).collect()
        } else {
            unsaved.into_iter().collect::<Vec<_>>()
        };
        let rows = |(index, end): (u16, Timestamp)| {
            ((index, end), self.kinds.get(usize::from(index)).and_then(|ends| ends.get(&end)))
        };
        let new_marks =
            if whole { self.marks.len() } else { (self.marked - self.saved_marks) as usize };
        let saved = SavedHistory {
            windows: windows.into_iter().map(rows).collect(),
            current: self
                .current
                .iter()
                .filter(|(key, _)| whole || unsaved_current.contains(*key))
                .map(|((index, version), current)| ((*index, version.as_str()), current))
                .collect(),
            versions: &self.versions,
            marked: self.marked,
            marks: self.marks.iter().skip(self.marks.len().saturating_sub(new_marks)).collect(),
        };
        let section = section(Part::Monitor.at(2), &saved);
        self.saved_marks = self.marked;
        section
    }

    /// Applies what `save` encoded: a whole one first, then the deltas after it. A checkpoint from
    /// before there was history has none.
    pub fn restore(&mut self, sections: &[Section]) -> Result<(), StateError> {
        let at = Part::Monitor.at(2);
        if !sections.iter().any(|section| section.id == at) {
            return Ok(());
        }
        let saved: Restoring = read(sections, at)?;
        for ((index, end), rows) in saved.windows {
            let Some(ends) = self.kinds.get_mut(usize::from(index)) else { continue };
            // Rows of another configuration do not fit.
            let fits = |rows: &BTreeMap<String, Row>| {
                rows.values().all(|row| {
                    row.metrics.len() == self.metrics.len()
                        && (row.features.is_empty() || row.features.len() == self.features)
                })
            };
            match rows.filter(fits) {
                Some(rows) => ends.insert(end, rows),
                None => ends.remove(&end),
            };
            while ends.len() > self.limit {
                ends.pop_first();
            }
        }
        self.current.extend(saved.current);
        self.forget_gone();
        self.versions = saved.versions;
        self.marked = saved.marked;
        self.saved_marks = saved.marked;
        self.marks.extend(saved.marks);
        while self.marks.len() > MARKS_MAX {
            self.marks.pop_front();
        }
        Ok(())
    }
}
