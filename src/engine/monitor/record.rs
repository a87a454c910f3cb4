//! What history keeps of firings and judgements.

use super::Monitor;
use crate::engine::effect::Firing;
use crate::engine::history::{Mark, MarkKind, Step, headline, rank_slices};
use crate::engine::model_shard::Partial;
use crate::engine::outbox::{Attempt, Outcome, Recorded};
use crate::engine::spec::PolicySpec;
use crate::engine::sum::{self, Range};
use crate::engine::text::clip;
use crate::engine::time::Timestamp;
use std::sync::Arc;

/// Characters of a sentence in a mark.
const TEXT_CHARS_MAX: usize = 300;

impl Monitor {
    /// Takes a firing into history, with the slices where they are wanted.
    pub(super) fn record(&mut self, shards: &[&Partial], index: u16, firing: &Firing) {
        if !self.history.fired(index, firing) || self.context.spec.slices.is_empty() {
            return;
        }
        let spec = self.context.windows.specs[usize::from(index)];
        let origin = self.context.windows.origin;
        let step = Step { size: spec.size, every: spec.every, origin };
        let (metric, _) = headline(&self.context.spec);
        let key = (index, firing.end);
        for version in firing.versions.iter().map(|version| version.version.as_str()) {
            if self.history.wants_slices(key, step, version) {
                let range = Range { version, start: firing.start, end: firing.end };
                let ranked = rank_slices(metric, &sum::slices_for(metric, shards, range));
                self.history.sliced(key, version, &ranked);
            }
        }
    }

    /// Marks versions that a window shows for the first time, where their panes begin.
    pub(super) fn note_versions(&mut self, shards: &[&Partial], firing: &Firing, now: Timestamp) {
        for version in firing.versions.iter().map(|version| version.version.as_str()) {
            if self.history.knows_version(version) {
                continue;
            }
            let first = shards.iter().filter_map(|shard| {
                let at = shard.version_index(version)?;
                let mut panes = shard.panes.range(firing.start, firing.end);
                let (key, _) = panes.find(|(_, pane)| pane.version(at).is_some())?;
                Some(key.start)
            });
            let first = first.min().unwrap_or(firing.start);
            self.history.saw_version(version, first, now);
        }
    }

    pub(super) fn mark(
        &mut self,
        kind: MarkKind,
        policy: &PolicySpec,
        range: Range<'_>,
        now: Timestamp,
        reason: &str,
    ) {
        self.history.mark(Mark {
            at: range.end,
            kind,
            version: range.version.to_owned(),
            policy: Some(policy.name.clone()),
            happened_at: now,
            text: clip(reason, TEXT_CHARS_MAX),
        });
    }

    /// The attempts to make now, and whether a request was given up for its age.
    pub fn due(&mut self, now: Timestamp) -> (Vec<Attempt>, bool) {
        let waiting = self.state.outbox.pending().len();
        let attempts = self.state.outbox.due(now);
        let lost = waiting - self.state.outbox.pending().len();
        let ended: Vec<Arc<str>> =
            self.state.outbox.finished().rev().take(lost).map(|e| e.request.id.clone()).collect();
        for id in ended.iter().rev() {
            self.mark_end(id, MarkKind::GivenUp, now);
        }
        (attempts, lost > 0)
    }

    /// Enters how an attempt to deliver a request ended, and marks it if it was the last one.
    pub fn delivered(&mut self, id: &str, outcome: Outcome, now: Timestamp) -> Recorded {
        let recorded = self.state.outbox.record(id, outcome, now);
        match recorded {
            Recorded::Sent => self.mark_end(id, MarkKind::Delivered, now),
            Recorded::GivenUp(_) => self.mark_end(id, MarkKind::GivenUp, now),
            Recorded::Retry { .. } | Recorded::Unknown => {}
        }
        recorded
    }

    fn mark_end(&mut self, id: &str, kind: MarkKind, now: Timestamp) {
        // Its own mark says which version and policy it is about.
        let Some(entry) = self.state.outbox.get(id) else { return };
        let (at, webhook) = (entry.request.window_end, entry.request.webhook.clone());
        let asked = self.history.marks().rev().find(|mark| {
            mark.kind == MarkKind::Request
                && mark.at == at
                && mark.policy.as_ref().is_some_and(|policy| {
                    let model = &self.context.spec.name;
                    *crate::engine::request::request_id(policy, model, &mark.version, at) == *id
                })
        });
        let (version, policy) =
            asked.map_or((String::new(), None), |mark| (mark.version.clone(), mark.policy.clone()));
        let text = match kind {
            MarkKind::Delivered => format!("webhook {webhook} took the request"),
            _ => format!("webhook {webhook} did not take the request"),
        };
        self.history.mark(Mark { at, kind, version, policy, happened_at: now, text });
    }
}
