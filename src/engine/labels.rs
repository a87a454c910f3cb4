//! The labels that one prediction has met, and which of them counts.
//!
//! A label's *key* is the moment from which it was known to the stream: the later of its event time
//! and its partition's own watermark just before it. A window judged at a deadline sees exactly the
//! labels whose key is at most the deadline; so the same labels give one value for the display and
//! another for each judgement, and both follow from the logs alone.

use super::event::{LabelValue, Position};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// One label met by a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    pub value: LabelValue,
    pub event_time: Timestamp,
    pub key: Timestamp,
    /// `None` for an implicit label.
    pub position: Option<Position>,
}

/// At least one label. One is the rule, and costs no allocation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Labels {
    One(Seen),
    Many(Vec<Seen>),
}

/// A value that enters (`add`) or leaves the cells of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    pub stage: usize,
    pub value: LabelValue,
    pub add: bool,
}

impl Labels {
    pub fn as_slice(&self) -> &[Seen] {
        match self {
            Self::One(seen) => std::slice::from_ref(seen),
            Self::Many(all) => all,
        }
    }

    /// These labels and one more, without those that can no longer count.
    pub fn with(&self, seen: Seen, deadlines: &[Timestamp]) -> Self {
        let mut all = self.as_slice().to_vec();
        all.push(seen);
        prune(&mut all, deadlines);
        match all[..] {
            [only] => Self::One(only),
            _ => Self::Many(all),
        }
    }

    /// The value that counts when everything is known.
    pub fn current(&self) -> LabelValue {
        winner(self.as_slice(), Timestamp::MAX).expect("there is at least one label").value
    }

    /// Whether this record has been met before (it can be offered twice when a prediction is
    /// replaced by an earlier one from another partition).
    pub fn contains(&self, position: Position) -> bool {
        self.as_slice().iter().any(|seen| seen.position == Some(position))
    }
}

/// What the labels add to each stage, given the ascending deadlines of the prediction's pane. Stage
/// i holds what became known after deadline i-1 and not after deadline i; the last stage the rest.
/// The cells at a deadline are the sum of the stages up to it.
pub fn contributions(labels: &[Seen], deadlines: &[Timestamp], out: &mut Vec<Contribution>) {
    out.clear();
    if let [only] = labels {
        let stage = deadlines.partition_point(|&deadline| deadline < only.key);
        out.push(Contribution { stage, value: only.value, add: true });
        return;
    }
    let mut before: Option<LabelValue> = None;
    for stage in 0..=deadlines.len() {
        let deadline = deadlines.get(stage).copied().unwrap_or(Timestamp::MAX);
        let now = winner(labels, deadline).map(|seen| seen.value);
        if now == before {
            continue;
        }
        if let Some(value) = before {
            out.push(Contribution { stage, value, add: false });
        }
        if let Some(value) = now {
            out.push(Contribution { stage, value, add: true });
        }
        before = now;
    }
}

/// Drops labels that cannot count at any deadline: of each partition and stage only the last in the
/// log can. So a label repeated without end takes bounded room.
pub fn prune(labels: &mut Vec<Seen>, deadlines: &[Timestamp]) {
    let stage = |seen: &Seen| deadlines.partition_point(|&deadline| deadline < seen.key);
    let mut at = 0;
    while at < labels.len() {
        let seen = labels[at];
        let superseded = seen.position.is_some_and(|own| {
            labels.iter().any(|other| {
                stage(other) == stage(&seen)
                    && other.position.is_some_and(|position| {
                        position.partition == own.partition && position > own
                    })
            })
        });
        if superseded {
            labels.remove(at);
        } else {
            at += 1;
        }
    }
}

/// Which label counts among those known at the deadline: of each partition the last in the log, and
/// of those the one with the greatest (event time, partition, offset, row). An implicit one only if
/// there is no other.
fn winner(labels: &[Seen], deadline: Timestamp) -> Option<&Seen> {
    let known = || labels.iter().filter(|seen| seen.key <= deadline);
    let last_of_its_partition = |seen: &Seen| match seen.position {
        None => true,
        Some(own) => !known().any(|other| {
            other
                .position
                .is_some_and(|position| position.partition == own.partition && position > own)
        }),
    };
    known()
        .filter(|seen| last_of_its_partition(seen))
        .max_by_key(|seen| (seen.position.is_some(), seen.event_time, seen.position))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(class: u16, event_time: i64, key: i64, partition: i32, offset: i64) -> Seen {
        Seen {
            value: LabelValue::Class(class),
            event_time: Timestamp(event_time),
            key: Timestamp(key),
            position: Some(Position { partition, offset, row: 0 }),
        }
    }

    fn at(labels: &[Seen], deadlines: &[Timestamp], stage: usize) -> Vec<(LabelValue, i32)> {
        let mut out = Vec::new();
        contributions(labels, deadlines, &mut out);
        let mut sums: Vec<(LabelValue, i32)> = Vec::new();
        for contribution in out.iter().filter(|c| c.stage <= stage) {
            let step = if contribution.add { 1 } else { -1 };
            match sums.iter_mut().find(|(value, _)| *value == contribution.value) {
                Some((_, sum)) => *sum += step,
                None => sums.push((contribution.value, step)),
            }
        }
        sums.retain(|&(_, sum)| sum != 0);
        sums
    }

    #[test]
    fn a_correction_after_the_deadline_leaves_the_judged_value_alone() {
        let labels = [label(1, 10, 10, 0, 1), label(0, 50, 50, 0, 2)];
        let deadlines = [Timestamp(20)];
        assert_eq!(at(&labels, &deadlines, 0), [(LabelValue::Class(1), 1)]);
        assert_eq!(at(&labels, &deadlines, 1), [(LabelValue::Class(0), 1)]);
    }

    #[test]
    fn within_a_partition_the_last_in_the_log_counts_even_with_an_earlier_event_time() {
        let labels = [label(1, 100, 100, 0, 1), label(0, 50, 60, 0, 2)];
        let deadlines = [Timestamp(70), Timestamp(200)];
        assert_eq!(at(&labels, &deadlines, 0), [(LabelValue::Class(0), 1)]);
        assert_eq!(at(&labels, &deadlines, 1), [(LabelValue::Class(0), 1)]);
    }

    #[test]
    fn across_partitions_the_greatest_event_time_counts_in_any_order() {
        let [a, b, c] = [label(1, 10, 10, 0, 1), label(2, 5, 5, 0, 2), label(3, 7, 7, 1, 9)];
        for order in [[a, b, c], [c, a, b], [a, c, b], [b, c, a], [c, b, a], [b, a, c]] {
            assert_eq!(at(&order, &[], 0), [(LabelValue::Class(3), 1)]);
        }
    }

    #[test]
    fn an_implicit_label_counts_only_until_a_real_one_is_known() {
        let implicit = Seen { position: None, ..label(0, 30, 30, 0, 0) };
        let labels = [implicit, label(1, 40, 40, 0, 1)];
        let deadlines = [Timestamp(35), Timestamp(60)];
        assert_eq!(at(&labels, &deadlines, 0), [(LabelValue::Class(0), 1)]);
        assert_eq!(at(&labels, &deadlines, 1), [(LabelValue::Class(1), 1)]);
    }
}
