//! Estimates and grades in a checkpoint: whole, or only the windows and grades that changed.

use super::{Grade, Maturity, Nowcasts, Row, WindowKey};
use crate::engine::state::{Part, Section, SectionName, SnapshotKind, StateError, read, section};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Room is left for sections before it.
const SECTION: SectionName = Part::Monitor.at(24);

/// A window with its rows by version, or that it has none.
type Saved<R> = (WindowKey, Option<R>);
/// A kind of window and a version, with the grades of its metrics, or that they are gone.
type SavedGrades<K, G> = (K, Option<G>);

#[derive(Serialize)]
struct Saving<'a> {
    windows: Vec<Saved<&'a BTreeMap<String, Row>>>,
    grades: Vec<SavedGrades<&'a (u16, String), &'a Vec<Grade>>>,
    maturity: &'a BTreeMap<String, Maturity>,
}

#[derive(Deserialize)]
struct Restoring {
    windows: Vec<Saved<BTreeMap<String, Row>>>,
    grades: Vec<SavedGrades<(u16, String), Vec<Grade>>>,
    maturity: BTreeMap<String, Maturity>,
}

impl Nowcasts {
    /// Encodes all, or what changed, and starts to note what changes from here on.
    pub fn save(&mut self, kind: SnapshotKind) -> Section {
        let unsaved = std::mem::take(&mut self.unsaved);
        let unsaved_grades = std::mem::take(&mut self.unsaved_grades);
        let (windows, grades): (BTreeSet<WindowKey>, BTreeSet<(u16, String)>) = match kind {
            SnapshotKind::Full => {
                let ends = (0..).zip(&self.kinds);
                let keys = ends.flat_map(|(index, ends)| ends.keys().map(move |end| (index, *end)));
                (keys.collect(), self.grades.keys().cloned().collect())
            }
            SnapshotKind::Delta => (unsaved, unsaved_grades),
        };
        let rows = |(index, end): WindowKey| {
            ((index, end), self.kinds.get(usize::from(index)).and_then(|ends| ends.get(&end)))
        };
        let saving = Saving {
            windows: windows.into_iter().map(rows).collect(),
            grades: grades.iter().map(|key| (key, self.grades.get(key))).collect(),
            maturity: &self.maturity,
        };
        section(SECTION, &saving)
    }

    /// Applies what `save` encoded: a whole one first, then the deltas after it. A checkpoint from
    /// before there were estimates has none.
    pub fn restore(&mut self, sections: &[Section]) -> Result<(), StateError> {
        if !sections.iter().any(|section| section.id == SECTION) {
            return Ok(());
        }
        let saved: Restoring = read(sections, SECTION)?;
        let metrics = self.metrics.len();
        for ((index, end), rows) in saved.windows {
            let Some(ends) = self.kinds.get_mut(usize::from(index)) else { continue };
            // Rows of another task do not fit.
            let fits = |rows: &BTreeMap<String, Row>| {
                rows.values().all(|row| row.metrics.len() == metrics)
            };
            match rows.filter(fits) {
                Some(rows) => ends.insert(end, rows),
                None => ends.remove(&end),
            };
            while ends.len() > self.limit {
                ends.pop_first();
            }
        }
        self.maturity = saved.maturity;
        for (key, grades) in saved.grades {
            match grades.filter(|grades| grades.len() == metrics) {
                Some(grades) => self.grades.insert(key, grades),
                None => self.grades.remove(&key),
            };
        }
        Ok(())
    }
}
