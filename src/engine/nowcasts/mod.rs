//! What a model's windows were estimated to be before their labels came, and how well the estimates
//! did when they had come.
//!
//! Bounded: the newest windows of each size as in `history`, [`GRADED_MAX`] graded windows of each
//! size, version and metric. Grades of final windows are a function of the logs; what was shown
//! before that at some age depends on when it was read, as Late firings do.

mod grade;
mod maturity;
mod save;

pub use grade::{Basis, GRADED_MAX, GRADED_MIN, Grade, Graded, Trust};
pub use maturity::Maturity;

use super::cbpe::{Estimates, Nowcast, estimable};
use super::counters::delay_bucket;
use super::effect::FiringKind;
use super::estimate::Estimate;
use super::metric::Metric;
use super::spec::ModelSpec;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes in memory of one version of one window at most, for `config::size`.
pub const ROW_BYTES: u64 = 8 * size_of::<Nowcast>() as u64 + 16 * (8 * 16 + 48);

/// A window: position of its kind in the specification, and its end.
type WindowKey = (u16, Timestamp);
type Ends = BTreeMap<Timestamp, BTreeMap<String, Row>>;

/// One version in one window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// In the order of `estimable`.
    pub metrics: Vec<Nowcast>,
    /// What the one line said while labels were missing, by age, the last of each age; empty once
    /// it is graded.
    early: BTreeMap<u8, Vec<Option<f64>>>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Nowcasts {
    /// Windows of each kind that stay.
    limit: usize,
    metrics: &'static [Metric],
    /// By kind of window.
    kinds: Vec<Ends>,
    /// By kind and version; one a metric.
    grades: BTreeMap<(u16, String), Vec<Grade>>,
    /// The kind of window whose labels are all there when it is final, if there is one: from it is
    /// learned how long labels take.
    cohorts: Option<u16>,
    classes: usize,
    /// By version.
    maturity: BTreeMap<String, Maturity>,
    unsaved: BTreeSet<WindowKey>,
    unsaved_grades: BTreeSet<(u16, String)>,
}

/// A window that fires.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    pub index: u16,
    pub end: Timestamp,
    pub version: &'a str,
    pub kind: FiringKind,
    /// How far the labels' closing watermark lies beyond the window's end.
    pub age: Span,
    /// It does not overlap with the one graded before.
    pub disjoint: bool,
}

/// What a firing shows, and what there is to learn from it.
#[derive(Clone, Debug)]
pub struct Found {
    metrics: Vec<Nowcast>,
    graded: Vec<Option<(Estimate, f64)>>,
    labels: Option<Maturity>,
}

impl Nowcasts {
    pub fn new(spec: &ModelSpec) -> Self {
        Self {
            limit: (spec.show.history_windows as usize).max(1),
            metrics: estimable(&spec.task),
            kinds: vec![Ends::new(); spec.windows.len()],
            grades: BTreeMap::new(),
            cohorts: (0..).zip(&spec.windows).find_map(|(index, window)| {
                (window.keep >= spec.join.horizon + spec.join.grace).then_some(index)
            }),
            classes: spec.task.class_count(),
            maturity: BTreeMap::new(),
            unsaved: BTreeSet::new(),
            unsaved_grades: BTreeSet::new(),
        }
    }

    /// The metrics of a row, in order.
    pub fn metrics(&self) -> &'static [Metric] {
        self.metrics
    }

    /// What a firing shows, and what there is to learn from it.
    pub fn prepare(&self, moment: Moment<'_>, estimates: &dyn Estimates) -> Found {
        let learns = moment.kind == FiringKind::Final && moment.disjoint;
        let graded = self.metrics.iter().map(|&metric| estimates.graded(metric));
        let cohorts = learns && self.cohorts == Some(moment.index);
        Found {
            metrics: self.work_out(moment, estimates),
            graded: if learns { graded.collect() } else { Vec::new() },
            labels: estimates
                .delays()
                .filter(|_| cohorts)
                .map(|cells| Maturity::of(self.classes, cells)),
        }
    }

    /// Takes up a firing: keeps its estimates and grades what is final. Returns what is shown.
    pub fn take(&mut self, moment: Moment<'_>, found: Found) -> Vec<(Metric, Nowcast)> {
        let Found { metrics, graded, labels } = found;
        let shown = self.metrics.iter().copied().zip(metrics.iter().copied()).collect();
        let row = self.row(moment.index, moment.end, moment.version);
        let mut early = row.map(|row| row.early.clone()).unwrap_or_default();
        if moment.kind == FiringKind::Final {
            self.grade(moment, &graded, &early);
            if let Some(labels) = labels {
                self.maturity.entry(moment.version.to_owned()).or_default().add(&labels);
            }
            early.clear();
        } else {
            let line = metrics.iter().map(|nowcast| Some(nowcast.combined?.value)).collect();
            early.insert(age_bucket(moment.age), line);
        }
        self.keep(moment, Row { metrics, early });
        shown
    }

    /// The estimates of a window at a moment, in the order of `metrics`.
    pub fn work_out(&self, moment: Moment<'_>, estimates: &dyn Estimates) -> Vec<Nowcast> {
        let age = age_bucket(moment.age);
        let grades = self.grades.get(&(moment.index, moment.version.to_owned()));
        let of_metric = |(at, &metric): (usize, &Metric)| Nowcast {
            estimated: estimates.estimated(metric),
            combined: estimates.combined(metric).map(|line| {
                let grade = grades.and_then(|grades| grades.get(at));
                grade.map_or(line, |grade| grade.with_interval(line, age, metric.range()))
            }),
        };
        self.metrics.iter().enumerate().map(of_metric).collect()
    }

    /// Enters what was expected of the labelled predictions and what they were.
    fn grade(
        &mut self,
        moment: Moment<'_>,
        graded: &[Option<(Estimate, f64)>],
        early: &BTreeMap<u8, Vec<Option<f64>>>,
    ) {
        if graded.iter().all(Option::is_none) {
            return;
        }
        let key = (moment.index, moment.version.to_owned());
        let grades = self.grades.entry(key.clone()).or_default();
        grades.resize(self.metrics.len(), Grade::default());
        for (at, (found, grade)) in graded.iter().zip(grades).enumerate() {
            let Some((expected, measured)) = found else { continue };
            let said = early.iter().filter_map(|(age, line)| Some((*age, (*line.get(at)?)?)));
            grade.take(Graded::new(moment.end, expected, *measured), said);
        }
        self.unsaved_grades.insert(key);
    }

    fn keep(&mut self, moment: Moment<'_>, row: Row) {
        let Some(ends) = self.kinds.get_mut(usize::from(moment.index)) else { return };
        let oldest = ends.keys().next().copied();
        let full = ends.len() >= self.limit && !ends.contains_key(&moment.end);
        if full && oldest.is_some_and(|oldest| moment.end < oldest) {
            return;
        }
        ends.entry(moment.end).or_default().insert(moment.version.to_owned(), row);
        let before = ends.len();
        while ends.len() > self.limit {
            ends.pop_first();
        }
        if ends.len() < before {
            self.forget_gone(moment.index);
        }
        self.unsaved.insert((moment.index, moment.end));
    }

    /// Of versions that no window of a kind shows any more no grades stay.
    fn forget_gone(&mut self, index: u16) {
        let Some(ends) = self.kinds.get(usize::from(index)) else { return };
        let shown = |version: &String| ends.values().any(|rows| rows.contains_key(version));
        let of_kind = self.grades.keys().filter(|(kind, _)| *kind == index);
        let gone: Vec<(u16, String)> =
            of_kind.filter(|(_, version)| !shown(version)).cloned().collect();
        for key in gone {
            self.grades.remove(&key);
            if self.cohorts == Some(index) {
                self.maturity.remove(&key.1);
            }
            self.unsaved_grades.insert(key);
        }
    }

    pub fn row(&self, index: u16, end: Timestamp, version: &str) -> Option<&Row> {
        self.kinds.get(usize::from(index))?.get(&end)?.get(version)
    }

    /// The newest window of a kind in which a version was estimated.
    pub fn newest(&self, index: u16, version: &str) -> Option<(Timestamp, &Row)> {
        let ends = self.kinds.get(usize::from(index))?;
        ends.iter().rev().find_map(|(end, rows)| Some((*end, rows.get(version)?)))
    }

    /// How long the labels of a version take; `None` before a window is final.
    pub fn maturity(&self, version: &str) -> Option<&Maturity> {
        self.maturity.get(version)
    }

    /// How a version's estimates have done in windows of a kind: one a metric, in order.
    pub fn grades(&self, index: u16, version: &str) -> impl Iterator<Item = (Metric, &Grade)> {
        let grades = self.grades.get(&(index, version.to_owned()));
        self.metrics.iter().copied().zip(grades.into_iter().flatten())
    }
}

/// The position of an age among the buckets of label delays.
fn age_bucket(age: Span) -> u8 {
    delay_bucket(age) as u8
}

impl Row {
    pub fn estimated(&self, at: usize) -> Option<&Estimate> {
        self.metrics.get(at)?.estimated.as_ref()
    }

    pub fn combined(&self, at: usize) -> Option<&Estimate> {
        self.metrics.get(at)?.combined.as_ref()
    }
}
