//! How rows leave the join: with an implicit label, or let go when no later record can meet them.
//!
//! Limits are moments of event time; what lies before them goes. The queues know seconds only, so
//! what they give too early is put back.

use super::{Change, First, Join, Labels, Pending, Release};
use crate::engine::table::Queue;
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
        self.take_due(Self::due, false, limit, |join, prediction| {
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
        self.take_due(Self::due, false, limit, |join, row| {
            join.forget(&row);
            released(&row, Release::Unlabelled);
        });
    }

    fn expire_matched(&mut self, limit: Timestamp, released: &mut impl FnMut(&Pending, Release)) {
        self.take_due(Self::settled, true, limit, |join, row| {
            join.forget(&row);
            released(&row, Release::Settled);
        });
    }

    fn due(&mut self) -> &mut Queue {
        &mut self.due
    }

    fn settled(&mut self) -> &mut Queue {
        &mut self.settled
    }

    /// Takes out the rows before a limit, those with a label or those without; whoever gets one
    /// says what becomes of it.
    fn take_due(
        &mut self,
        queue: fn(&mut Self) -> &mut Queue,
        matched: bool,
        limit: Timestamp,
        mut each: impl FnMut(&mut Self, Pending),
    ) {
        let mut early = Vec::new();
        let mut ids = std::mem::take(&mut self.scratch);
        ids.clear();
        while queue(self).pop(limit, &mut ids) {
            self.rows.fetch(ids.iter().copied());
            for hash in ids.drain(..) {
                let ours = |row: &Pending| row.place.labels().is_some() == matched;
                for _ in 0..self.rows.due_before(hash, limit, ours, &mut early) {
                    let due = |row: &Pending| row.event_time < limit && ours(row);
                    let Some((row, _)) = self.take(hash, due) else { break };
                    each(self, row);
                }
            }
        }
        self.scratch = ids;
        // A second that was due only in part, or ids that share their low half, come back later.
        early.sort_unstable();
        early.dedup();
        for (event_time, hash) in early {
            queue(self).push_short(event_time, hash);
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
