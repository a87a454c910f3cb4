//! Pairs a prediction with its label within the label horizon.
//!
//! Invariant: every verdict follows from the logs alone. Whether a label meets a prediction depends
//! on their event times and on the label's own-partition watermark just before it, never on which
//! of the two was read first; rows are let go only when no later record could meet them.

mod expire;
mod place;

use super::event::{ClassCode, LabelValue, Position};
use super::labels::{Contribution, Labels, Seen, contributions};
use super::outcome::LabelOutcome;
use super::slab::Slab;
use super::slice::Codes;
use super::spec::{JoinSpec, TimeSpec};
use super::table::{Keyed, Queue, Table};
use super::time::{Span, Timestamp};
use super::window::Windows;
pub use place::Place;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A prediction that waits for its label, or has one: what metrics and slices need of it, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// A checkpoint holds it once for all rows of the id.
    #[serde(skip)]
    pub id: u128,
    pub codes: Codes,
    pub event_time: Timestamp,
    /// Bits of the score (binary) or the predicted value (regression); a slot of the ranked outputs
    /// (multiclass).
    pub output: u64,
    pub weight: f64,
    /// Position in the shard's list of the model's versions.
    pub version: u16,
    /// The decision: 1 or 0 (binary), the class (multiclass).
    pub class: ClassCode,
    /// Where its labels are; kept so that corrections and duplicates are known.
    pub place: Place,
}

/// The first prediction of an id in each partition, where ids may be spread over several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origins {
    #[serde(skip)]
    pub id: u128,
    pub version: u16,
    /// Event time of the prediction that counts.
    pub event_time: Timestamp,
    pub firsts: Vec<(Timestamp, Position)>,
}

/// A label that looks for predictions.
#[derive(Clone, Copy, Debug)]
pub struct Arriving {
    pub id: u128,
    pub value: LabelValue,
    pub event_time: Timestamp,
    /// Its partition's own watermark just before it.
    pub own: Timestamp,
    pub position: Position,
}

/// What a prediction's cells must take up.
pub struct Change<'a> {
    pub prediction: &'a Pending,
    pub contributions: &'a [Contribution],
    /// The value of the prediction's first label, when this is it.
    pub first: Option<First>,
    /// The value that counts now is another than before.
    pub corrected: bool,
}

/// A prediction's first label.
#[derive(Clone, Copy, Debug)]
pub struct First {
    pub value: LabelValue,
    pub delay: Span,
    pub implicit: bool,
}

/// What became of a prediction that asked to be held.
#[derive(Clone, Debug, PartialEq)]
pub enum Insert {
    Accepted,
    /// The id is taken.
    Duplicate,
    /// The id is taken by a prediction of another partition that stays.
    DuplicateElsewhere,
    /// The id was taken by a later prediction of another partition, which this one replaces.
    Replaces(Pending),
}

/// How a gap between label and prediction is judged.
enum Meeting {
    Meets,
    Beyond,
    No,
}

/// Why a held prediction is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Had its label.
    Settled,
    Unlabelled,
}

/// The predictions of one model in one shard.
#[derive(Clone)]
pub struct Join {
    spec: JoinSpec,
    time: TimeSpec,
    windows: Arc<Windows>,
    /// Ids may be spread over partitions, so the winner is decided by event time.
    spread: bool,
    pub(super) rows: Table<Pending>,
    /// What the rows with a label have met.
    labels: Slab<Labels>,
    /// Rows with a label.
    matched: usize,
    pub(super) origins: Table<Origins>,
    due: Queue,
    settled: Queue,
    /// Rows without a label that have been counted.
    counted: usize,
    /// Ids that changed since the last checkpoint; `None` before there is one.
    pub(super) journal: Option<Vec<u128>>,
    scratch: Vec<u64>,
    changes: Vec<Contribution>,
    deadlines: Vec<Timestamp>,
    /// Labels are missing for another reason than that there are none.
    implicit_held: bool,
}

impl Keyed for Pending {
    fn id(&self) -> u128 {
        self.id
    }
    fn event_time(&self) -> Timestamp {
        self.event_time
    }
}

impl Keyed for Origins {
    fn id(&self) -> u128 {
        self.id
    }
    fn event_time(&self) -> Timestamp {
        self.event_time
    }
}

impl Join {
    pub fn new(spec: JoinSpec, time: TimeSpec, windows: Arc<Windows>, spread: bool) -> Self {
        Self {
            spec,
            time,
            windows,
            spread,
            rows: Table::new(),
            labels: Slab::default(),
            matched: 0,
            origins: Table::new(),
            due: Queue::default(),
            settled: Queue::default(),
            counted: 0,
            journal: None,
            scratch: Vec::new(),
            changes: Vec::new(),
            deadlines: Vec::new(),
            implicit_held: false,
        }
    }

    /// Gives no implicit labels while this is so: predictions expire instead.
    pub fn hold_implicit(&mut self, held: bool) {
        self.implicit_held = held;
    }

    /// Predictions whose row is not counted yet.
    pub fn pending(&self) -> usize {
        self.rows.len() - self.matched - self.counted
    }

    /// Rows held, with or without a label.
    pub fn held(&self) -> usize {
        self.rows.len()
    }

    /// Brings the rows of these ids near.
    pub fn fetch(&self, ids: &[u128]) {
        self.rows.fetch(ids.iter().map(|&id| id as u64));
    }

    /// What a row has met; `None` for one that waits.
    pub(super) fn labels_of(&self, row: &Pending) -> Option<&Labels> {
        self.labels.get(row.place.labels()?)
    }

    /// Takes a prediction in, unless its (version, id) is taken by one close enough in event time.
    ///
    /// Within a partition the first in the log counts; across partitions the one with the smallest
    /// (event time, partition, offset).
    pub fn insert(
        &mut self,
        prediction: Pending,
        position: Position,
        sink: &mut impl FnMut(Change<'_>),
    ) -> Insert {
        match self.holder(&prediction) {
            None => {
                if self.spread {
                    self.origins.insert(Origins {
                        id: prediction.id,
                        version: prediction.version,
                        event_time: prediction.event_time,
                        firsts: vec![(prediction.event_time, position)],
                    });
                }
                self.hold(prediction, None);
                Insert::Accepted
            }
            Some(_) if !self.spread => Insert::Duplicate,
            Some(holder) => self.insert_spread(prediction, position, holder, sink),
        }
    }

    /// The prediction that a new one would duplicate.
    pub fn holder(&self, prediction: &Pending) -> Option<Pending> {
        let taken = |held: &&Pending| {
            held.version == prediction.version
                && (held.event_time.0 - prediction.event_time.0).abs()
                    <= self.spec.corrections_for.0
        };
        self.rows.get(prediction.id).find(taken).copied()
    }

    /// The id is held, perhaps by a prediction of another partition.
    fn insert_spread(
        &mut self,
        prediction: Pending,
        position: Position,
        holder: Pending,
        sink: &mut impl FnMut(Change<'_>),
    ) -> Insert {
        let Some(origins) = self.origins.get_mut(holder.id).find(|origins| {
            origins.version == holder.version && origins.event_time == holder.event_time
        }) else {
            return Insert::Duplicate;
        };
        if origins.firsts.iter().any(|(_, first)| first.partition == position.partition) {
            return Insert::Duplicate;
        }
        let best = origins.firsts.iter().min().copied();
        origins.firsts.push((prediction.event_time, position));
        self.note(holder.id);
        if best < Some((prediction.event_time, position)) {
            return Insert::DuplicateElsewhere;
        }
        if let Some(origins) = self.origins.get_mut(holder.id).find(|origins| {
            origins.version == holder.version && origins.event_time == holder.event_time
        }) {
            origins.event_time = prediction.event_time;
        }
        self.replace(prediction, holder, sink);
        Insert::Replaces(holder)
    }

    /// Puts a prediction in the place of another one, with those of its labels that it meets
    /// itself.
    fn replace(&mut self, prediction: Pending, holder: Pending, sink: &mut impl FnMut(Change<'_>)) {
        let same = |held: &Pending| {
            held.id == holder.id
                && held.version == holder.version
                && held.event_time == holder.event_time
        };
        let Some((old, labels)) = self.take(holder.id as u64, same) else { return };
        let Some(labels) = labels else {
            self.hold(Pending { place: old.place, ..prediction }, None);
            return;
        };
        let prediction = Pending { place: Place::COUNTED, ..prediction };
        self.emit(&old, labels.as_slice(), false, None, false, sink);
        let mut kept: Vec<Seen> = labels
            .as_slice()
            .iter()
            .filter(|seen| {
                let gap = seen.event_time - prediction.event_time;
                seen.position.is_some() && gap <= self.spec.horizon && gap >= -self.spec.lead
            })
            .copied()
            .collect();
        if kept.is_empty() {
            self.hold(prediction, None);
            return;
        }
        // Beside an earlier real label an implicit one never counts, so it does no harm.
        kept.extend(self.implicit(&prediction));
        self.emit(&prediction, &kept, true, None, false, sink);
        let labels = match kept[..] {
            [only] => Labels::One(only),
            _ => Labels::Many(kept),
        };
        self.hold(prediction, Some(labels));
    }

    fn hold(&mut self, mut prediction: Pending, labels: Option<Labels>) {
        self.note(prediction.id);
        match labels {
            None => {
                self.counted += usize::from(prediction.place.is_counted());
                self.due.push(prediction.event_time, prediction.id);
            }
            Some(labels) => {
                self.matched += 1;
                self.settled.push(prediction.event_time, prediction.id);
                prediction.place = prediction.place.with(self.labels.put(labels));
            }
        }
        self.rows.insert(prediction);
    }

    /// Takes out one row whose id has this low half and that fits, with its labels.
    fn take(
        &mut self,
        hash: u64,
        fits: impl Fn(&Pending) -> bool,
    ) -> Option<(Pending, Option<Labels>)> {
        let row = self.rows.take(hash, fits)?;
        let labels = row.place.labels().and_then(|slot| self.labels.take(slot));
        match &labels {
            Some(_) => self.matched -= 1,
            None => self.counted -= usize::from(row.place.is_counted()),
        }
        Some((row, labels))
    }

    fn note(&mut self, id: u128) {
        if let Some(journal) = &mut self.journal {
            journal.push(id);
        }
    }

    /// Lets a label meet every prediction of its id; returns its best outcome here.
    pub fn meet(&mut self, label: &Arriving, sink: &mut impl FnMut(Change<'_>)) -> LabelOutcome {
        // Taken out, so that rows can change while the rest of the join is at work.
        let mut rows = std::mem::replace(&mut self.rows, Table::hollow());
        let mut best = LabelOutcome::NoPrediction;
        let mut changed = false;
        for row in rows.get_mut(label.id) {
            let (outcome, met) = match row.place.labels() {
                Some(slot) => self.correct(row, slot, label, sink),
                None => self.match_first(row, label, sink),
            };
            best = best.min(outcome);
            changed |= met;
        }
        self.rows = rows;
        if changed {
            self.note(label.id);
        }
        best
    }

    /// Lets a label meet a prediction that has none; whether it did.
    fn match_first(
        &mut self,
        row: &mut Pending,
        label: &Arriving,
        sink: &mut impl FnMut(Change<'_>),
    ) -> (LabelOutcome, bool) {
        let seen = seen(label);
        // A label that comes after the implicit one is a correction, also when we have not given
        // the implicit one yet, and must come within the time for corrections.
        let after_implicit =
            self.spec.absent_after.is_some_and(|absent| row.event_time + absent.delay < seen.key);
        if after_implicit && label.own > row.event_time + self.spec.corrections_for {
            return (LabelOutcome::NoPrediction, false);
        }
        match meeting(&self.spec, label, row.event_time) {
            Meeting::Meets => {}
            Meeting::Beyond => return (LabelOutcome::BeyondHorizon, false),
            Meeting::No => return (LabelOutcome::NoPrediction, false),
        }
        let implicit = self.implicit(row).filter(|implicit| implicit.key < seen.key);
        let (labels, outcome, first) = match implicit {
            Some(implicit) => {
                (Labels::Many(vec![implicit, seen]), LabelOutcome::Corrected, implicit)
            }
            None => (Labels::One(seen), LabelOutcome::Matched, seen),
        };
        let first = First {
            value: first.value,
            delay: first.event_time - row.event_time,
            implicit: implicit.is_some(),
        };
        let corrected = first.value != seen.value;
        self.emit(row, labels.as_slice(), true, Some(first), corrected, sink);
        self.settle(row, labels);
        (outcome, true)
    }

    /// A row that waited has its first label.
    fn settle(&mut self, row: &mut Pending, labels: Labels) {
        self.counted -= usize::from(row.place.is_counted());
        self.matched += 1;
        self.settled.push(row.event_time, row.id);
        row.place = row.place.with(self.labels.put(labels));
    }

    /// Lets a label meet a prediction that already has one; whether it did.
    fn correct(
        &mut self,
        prediction: &Pending,
        slot: u32,
        label: &Arriving,
        sink: &mut impl FnMut(Change<'_>),
    ) -> (LabelOutcome, bool) {
        // What has its label is forgotten after the time for corrections.
        if label.own > prediction.event_time + self.spec.corrections_for {
            return (LabelOutcome::NoPrediction, false);
        }
        match meeting(&self.spec, label, prediction.event_time) {
            Meeting::No => return (LabelOutcome::NoPrediction, false),
            Meeting::Beyond => return (LabelOutcome::BeyondHorizon, false),
            Meeting::Meets => {}
        }
        let Some(held) = self.labels.get_mut(slot).filter(|held| !held.contains(label.position))
        else {
            return (LabelOutcome::NoPrediction, false);
        };
        self.windows.deadline_times_into(prediction.event_time, &mut self.deadlines);
        let after = held.with(seen(label), &self.deadlines);
        let before = std::mem::replace(held, after);
        let implicit_only = before.as_slice().iter().all(|seen| seen.position.is_none());
        let differs = held.current() != before.current();
        for (labels, add) in [(&before, false), (&*held, true)] {
            contributions(labels.as_slice(), &self.deadlines, &mut self.changes);
            invert_unless(add, &mut self.changes);
            sink(Change {
                prediction,
                contributions: &self.changes,
                first: None,
                corrected: add && differs,
            });
        }
        let corrects = implicit_only || differs;
        (if corrects { LabelOutcome::Corrected } else { LabelOutcome::Duplicate }, true)
    }

    fn emit(
        &mut self,
        prediction: &Pending,
        labels: &[Seen],
        add: bool,
        first: Option<First>,
        corrected: bool,
        sink: &mut impl FnMut(Change<'_>),
    ) {
        self.windows.deadline_times_into(prediction.event_time, &mut self.deadlines);
        contributions(labels, &self.deadlines, &mut self.changes);
        invert_unless(add, &mut self.changes);
        sink(Change { prediction, contributions: &self.changes, first, corrected });
    }

    /// The label that a prediction gets when none has come, if the plan says so.
    fn implicit(&self, prediction: &Pending) -> Option<Seen> {
        let absent = self.spec.absent_after?;
        let at = prediction.event_time + absent.delay;
        Some(Seen { value: absent.value, event_time: at, key: at, position: None })
    }

    /// Puts back a row read from a checkpoint.
    pub fn restore(&mut self, prediction: Pending, labels: Option<Labels>) {
        let journal = self.journal.take();
        self.hold(prediction, labels);
        self.journal = journal;
    }

    /// Forgets all rows of an id, before a checkpoint's newer ones replace them.
    pub fn forget_id(&mut self, id: u128) {
        while self.take(id as u64, |held| held.id == id).is_some() {}
        while self.origins.take(id as u64, |held| held.id == id).is_some() {}
    }
}

fn meeting(spec: &JoinSpec, label: &Arriving, prediction: Timestamp) -> Meeting {
    let gap = label.event_time - prediction;
    let known_in_time = label.own <= prediction + spec.horizon + spec.grace;
    if !known_in_time || gap < -spec.lead || gap > spec.horizon + spec.grace {
        Meeting::No
    } else if gap > spec.horizon {
        Meeting::Beyond
    } else {
        Meeting::Meets
    }
}

fn seen(label: &Arriving) -> Seen {
    Seen {
        value: label.value,
        event_time: label.event_time,
        key: label.event_time.max(label.own),
        position: Some(label.position),
    }
}

fn invert_unless(add: bool, contributions: &mut [Contribution]) {
    if !add {
        for contribution in contributions {
            contribution.add = !contribution.add;
        }
    }
}
