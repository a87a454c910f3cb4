//! How rows leave the join: with an implicit label, or let go when no later record can meet them.
//!
//! Limits are moments of event time; what lies before them goes. The queues know seconds only, so
//! what they give too early is put back.

use super::{Change, First, Join, Labels, Matched, Pending, Release};
use crate::engine::time::Timestamp;

impl Join {
    /// Gives implicit labels and lets go of what no later record can meet.
    ///
    /// `predictions` and `labels` are the closing watermarks of the two inputs.
    pub fn advance(
        &mut self,
        predictions: Timestamp,
        labels: Timestamp,
        sink: &mut impl FnMut(Change<'_>),
        released: &mut impl FnMut(&Pending, Release),
    ) {
        if let Some(absent) = self.spec.absent_after.filter(|_| !self.implicit_held) {
            self.settle_absent(labels - absent.delay, sink);
        } else {
            let limit = self.expiry_limit(predictions, labels);
            self.expire_pending(limit, released);
        }
        let limit = (labels - self.spec.corrections_for).min(self.duplicates_limit(predictions));
        self.expire_matched(limit, released);
    }

    /// Lets unlabelled predictions go although the labels stand still: by the predictions' own
    /// time, and only up to where it is known that there are no labels.
    pub fn expire_silent(
        &mut self,
        predictions: Timestamp,
        silent_to: Timestamp,
        released: &mut impl FnMut(&Pending, Release),
    ) {
        let limit = self.expiry_limit(predictions, silent_to.min(predictions));
        self.expire_pending(limit, released);
    }

    /// Predictions before this can meet no later label.
    fn expiry_limit(&self, predictions: Timestamp, labels: Timestamp) -> Timestamp {
        let hold = self.spec.horizon + self.spec.grace;
        (labels - hold).min(self.duplicates_limit(predictions))
    }

    /// Predictions before this can have no later duplicate.
    fn duplicates_limit(&self, predictions: Timestamp) -> Timestamp {
        predictions - self.spec.corrections_for - self.time.allowed_lateness
    }

    fn settle_absent(&mut self, limit: Timestamp, sink: &mut impl FnMut(Change<'_>)) {
        self.take_due(limit, |join, prediction| {
            let Some(implicit) = join.implicit(&prediction) else { return };
            let first = First {
                value: implicit.value,
                delay: implicit.event_time - prediction.event_time,
                implicit: true,
            };
            join.emit(&prediction, &[implicit], true, Some(first), false, sink);
            join.hold(prediction, Some(Labels::One(implicit)));
        });
    }

    fn expire_pending(&mut self, limit: Timestamp, released: &mut impl FnMut(&Pending, Release)) {
        self.take_due(limit, |join, row| {
            join.forget(&row);
            released(&row, Release::Unlabelled);
        });
    }

    /// Takes out the pending rows before a limit; whoever gets one says what becomes of it.
    fn take_due(&mut self, limit: Timestamp, mut each: impl FnMut(&mut Self, Pending)) {
        let mut early = Vec::new();
        while self.pop_due(limit) {
            let ids = std::mem::take(&mut self.scratch);
            self.pending.fetch(ids.iter().copied());
            for &hash in &ids {
                for _ in 0..self.pending.due_before(hash, limit, &mut early) {
                    let due = |held: &Pending| held.event_time < limit;
                    let Some(row) = self.take_pending(hash, due) else { break };
                    each(self, row);
                }
            }
            self.scratch = ids;
        }
        self.push_again(early);
    }

    fn pop_due(&mut self, limit: Timestamp) -> bool {
        self.scratch.clear();
        self.due.pop(limit, &mut self.scratch)
    }

    /// A second that was due only in part, or ids that share their low half, come back later.
    fn push_again(&mut self, mut early: Vec<(Timestamp, u64)>) {
        early.sort_unstable();
        early.dedup();
        for (event_time, hash) in early {
            self.due.push_short(event_time, hash);
        }
    }

    fn expire_matched(&mut self, limit: Timestamp, released: &mut impl FnMut(&Pending, Release)) {
        let mut early = Vec::new();
        let mut ids = std::mem::take(&mut self.scratch);
        ids.clear();
        while self.settled.pop(limit, &mut ids) {
            self.matched.fetch(ids.iter().copied());
            for hash in ids.drain(..) {
                for _ in 0..self.matched.due_before(hash, limit, &mut early) {
                    let due = |held: &Matched| held.prediction.event_time < limit;
                    let Some(row) = self.matched.take(hash, due) else { break };
                    self.forget(&row.prediction);
                    released(&row.prediction, Release::Settled);
                }
            }
        }
        self.scratch = ids;
        early.sort_unstable();
        early.dedup();
        for (event_time, hash) in early {
            self.settled.push_short(event_time, hash);
        }
    }

    fn forget(&mut self, row: &Pending) {
        self.note(row.id);
        if self.spread {
            self.origins.take(row.id as u64, |origins| {
                origins.id == row.id
                    && origins.version == row.version
                    && origins.event_time == row.event_time
            });
        }
    }
}
