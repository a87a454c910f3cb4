//! Labels that were read before all predictions they could meet.
//!
//! A label waits until the predictions' closing watermark says that none is to come. Only then is
//! its row counted, as the best of what it met: so the count does not depend on which side was read
//! first.

use super::event::{LabelValue, Position};
use super::outcome::LabelOutcome;
use super::table::{Keyed, Queue, Table, sort_by_table};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A label of a topic, with its value as each way of reading it gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitingLabel {
    /// A checkpoint holds it once for all labels of the id.
    #[serde(skip)]
    pub id: u128,
    pub event_time: Timestamp,
    /// Newest event time of its partition just before it.
    pub newest_before: Option<Timestamp>,
    pub position: Position,
    pub values: Values,
    pub outcomes: Outcomes,
}

/// What has come of a label for each of its topic's models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcomes {
    One(LabelOutcome),
    Many(Box<[LabelOutcome]>),
}

impl Outcomes {
    pub fn new(models: usize) -> Self {
        match models {
            1 => Self::One(LabelOutcome::NoPrediction),
            _ => Self::Many(vec![LabelOutcome::NoPrediction; models].into()),
        }
    }

    /// One a model, in the order of the group's models that read the topic.
    pub fn as_slice(&self) -> &[LabelOutcome] {
        match self {
            Self::One(outcome) => std::slice::from_ref(outcome),
            Self::Many(outcomes) => outcomes,
        }
    }

    /// Keeps the better of what is known and what has come now.
    pub fn note(&mut self, model: usize, outcome: LabelOutcome) {
        let known = match self {
            Self::One(known) => Some(known),
            Self::Many(all) => all.get_mut(model),
        };
        if let Some(known) = known {
            *known = outcome.min(*known);
        }
    }

    /// How the row ends: the best for any model.
    pub fn best(&self) -> LabelOutcome {
        self.as_slice().iter().min().copied().unwrap_or(LabelOutcome::NoPrediction)
    }
}

/// One is the rule, and costs no allocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Values {
    One(Option<LabelValue>),
    Many(Box<[Option<LabelValue>]>),
}

/// The waiting labels of one label topic in one shard.
#[derive(Clone, Default)]
pub struct Waiting {
    pub(super) labels: Table<WaitingLabel>,
    queue: Queue,
    /// `None` before there is a checkpoint.
    journal: Option<Journal>,
    scratch: Vec<u64>,
}

/// What the next checkpoint has to tell of waiting labels.
#[derive(Clone, Default)]
struct Journal {
    /// Ids with labels that are new or changed.
    changed: Vec<u128>,
    /// Ids with a label that the last checkpoint has and that is gone. One that came and went in
    /// between, as most do while a backlog is read, is in no checkpoint.
    gone: Vec<u128>,
    /// By partition: labels with an offset below this are in the last checkpoint.
    saved_to: Vec<(i32, i64)>,
}

impl Journal {
    fn gone(&mut self, label: &WaitingLabel) {
        let Position { partition, offset, .. } = label.position;
        if self.saved_to.iter().any(|&(saved, to)| saved == partition && offset < to) {
            self.gone.push(label.id);
        }
    }
}

impl Keyed for WaitingLabel {
    fn id(&self) -> u128 {
        self.id
    }
    fn event_time(&self) -> Timestamp {
        self.event_time
    }
}

impl Values {
    pub fn new(values: impl ExactSizeIterator<Item = Option<LabelValue>>) -> Self {
        let mut values = values;
        match values.len() {
            1 => Self::One(values.next().flatten()),
            _ => Self::Many(values.collect()),
        }
    }

    pub fn get(&self, column: usize) -> Option<LabelValue> {
        match self {
            Self::One(value) => *value,
            Self::Many(values) => values.get(column).copied().flatten(),
        }
    }
}

impl Waiting {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Brings the labels of these ids near.
    pub fn fetch(&self, ids: &[u128]) {
        self.labels.fetch(ids.iter().map(|&id| id as u64));
    }

    pub fn insert(&mut self, label: WaitingLabel) {
        self.note(label.id);
        self.queue.push(label.event_time, label.id);
        self.labels.insert(label);
    }

    fn note(&mut self, id: u128) {
        if let Some(journal) = &mut self.journal {
            journal.changed.push(id);
        }
    }

    /// Ids that a checkpoint has to tell of, each once: all, or those that changed since the one
    /// before. Its partitions have been read up to `read_to`.
    pub(super) fn changed_ids(&mut self, all: bool, read_to: Vec<(i32, i64)>) -> Vec<u128> {
        let mut ids = match self.journal.take().filter(|_| !all) {
            Some(Journal { mut changed, gone, .. }) => {
                sort_by_table(&mut changed);
                changed.retain(|id| self.labels.get(*id).next().is_some());
                changed.extend(gone);
                changed
            }
            None => self.labels.iter().map(Keyed::id).collect(),
        };
        self.saved(read_to);
        sort_by_table(&mut ids);
        ids
    }

    /// A checkpoint has all that is here.
    pub(super) fn saved(&mut self, saved_to: Vec<(i32, i64)>) {
        self.journal = Some(Journal { saved_to, ..Journal::default() });
    }

    /// Offers the waiting labels of an id in log order to a model (its position among the topic's);
    /// `meet` says what came of each.
    pub fn offer(
        &mut self,
        id: u128,
        model: usize,
        mut meet: impl FnMut(&WaitingLabel) -> LabelOutcome,
    ) {
        match self.labels.get(id).take(2).count() {
            0 => return,
            1 => {
                for label in self.labels.get_mut(id) {
                    let outcome = meet(label);
                    label.outcomes.note(model, outcome);
                }
                self.note(id);
                return;
            }
            _ => {}
        }
        let mut positions: Vec<Position> =
            self.labels.get(id).map(|label| label.position).collect();
        positions.sort_unstable();
        for position in positions {
            if let Some(label) = self.labels.get_mut(id).find(|label| label.position == position) {
                let outcome = meet(label);
                label.outcomes.note(model, outcome);
            }
        }
        self.note(id);
    }

    /// Forgets the labels with an event time before the limit, and tells how each ended.
    pub fn advance(&mut self, limit: Timestamp, mut ended: impl FnMut(&Outcomes)) {
        let mut early = Vec::new();
        let mut ids = std::mem::take(&mut self.scratch);
        ids.clear();
        while self.queue.pop(limit, &mut ids) {
            self.labels.fetch(ids.iter().copied());
            for hash in ids.drain(..) {
                for _ in 0..self.labels.due_before(hash, limit, |_| true, &mut early) {
                    let due = |label: &WaitingLabel| label.event_time < limit;
                    let Some(label) = self.labels.take(hash, due) else { break };
                    ended(&label.outcomes);
                    if let Some(journal) = &mut self.journal {
                        journal.gone(&label);
                    }
                }
            }
        }
        self.scratch = ids;
        early.sort_unstable();
        early.dedup();
        for (event_time, hash) in early {
            self.queue.push_short(event_time, hash);
        }
    }

    pub fn forget_id(&mut self, id: u128) {
        while self.labels.take(id as u64, |label| label.id == id).is_some() {}
    }

    pub fn restore(&mut self, label: WaitingLabel) {
        let journal = self.journal.take();
        self.insert(label);
        self.journal = journal;
    }
}
