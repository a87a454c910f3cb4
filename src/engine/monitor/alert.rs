//! Policies that ask for a retraining when somebody else's alert fires.
//!
//! Unlike a judgement this is no function of the logs: it happens by our clock. An alert is told
//! again and again while it fires; its request has an id made of what stays the same, so that all
//! of them are one request, also after a crash.

use super::Monitor;
use crate::engine::effect::{Effect, Judged};
use crate::engine::outbox::PENDING_MAX;
use crate::engine::policy::Decision;
use crate::engine::request::{AlertEvidence, Evidence, JsonTime, WindowEvidence, alert_request_id};
use crate::engine::spec::{Action, Condition, PolicySpec};
use crate::engine::time::{Span, Timestamp};
use std::sync::Arc;

/// An alert that somebody else found, about one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAlert {
    pub name: String,
    /// Tells this alert from others of its name.
    pub fingerprint: String,
    pub starts_at: Timestamp,
    /// Of the model; empty: the alert does not say.
    pub version: String,
    /// One or two sentences for a person.
    pub summary: String,
}

/// What a policy made of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertOutcome {
    Requested {
        id: Arc<str>,
    },
    /// The request was made before, and waits or has ended.
    Repeated {
        id: Arc<str>,
    },
    Held(Decision),
    /// Too many requests wait already; it may be tried again.
    Full,
    Resolved,
}

impl Monitor {
    /// The policies that wait for an alert of this name; `only`: the one with this name.
    pub fn policies_on_alert<'a>(
        &'a self,
        alert: &'a str,
        only: Option<&'a str>,
    ) -> impl Iterator<Item = usize> + 'a {
        let fits = move |policy: &PolicySpec| {
            let on = matches!(&policy.condition, Condition::Alert { alert: on } if &**on == alert);
            on && only.is_none_or(|only| *policy.name == *only)
        };
        let policies = self.context.spec.policies.iter().enumerate();
        policies.filter(move |(_, policy)| fits(policy)).map(|(at, _)| at)
    }

    /// The alert fires, or goes on firing. `at` is a policy of [`Self::policies_on_alert`].
    pub fn alert_fires(
        &mut self,
        at: usize,
        alert: &ExternalAlert,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> AlertOutcome {
        let policy = self.context.spec.policies[at].clone();
        let model = Arc::clone(&self.context.spec.name);
        let ExternalAlert { name, fingerprint, starts_at, version, summary } = alert;
        let id = alert_request_id(&policy.name, &model, version, fingerprint, *starts_at);
        if self.state.outbox.get(&id).is_some() {
            return AlertOutcome::Repeated { id };
        }
        if self.state.outbox.pending().len() >= PENDING_MAX {
            return AlertOutcome::Full;
        }
        let decision = self.state.policies[at].decide_alert(&policy, version, *starts_at, now);
        let mut reason = format!("alert {name} is firing since {starts_at}");
        if !summary.is_empty() {
            reason = format!("{reason}: {summary}");
        }
        effects.push(Effect::Judged(Judged {
            policy: Arc::clone(&policy.name),
            version: version.clone(),
            window_end: *starts_at,
            decision,
            reason: reason.clone(),
        }));
        let (Decision::Retrain, Action::Retrain { webhook, .. }) = (decision, &policy.action)
        else {
            return AlertOutcome::Held(decision);
        };
        let (layout, _) = self.context.layouts.of(version);
        let since = JsonTime(*starts_at);
        let evidence = Evidence {
            model: model.to_string(),
            version: version.clone(),
            task: self.context.spec.task.name().to_owned(),
            policy: policy.name.to_string(),
            reason,
            window: WindowEvidence {
                start: since,
                end: since,
                size_seconds: Span::ZERO.as_secs_f64(),
                bad_in_a_row: 0,
            },
            reference: layout.profile.as_ref().map(|profile| profile.content_hash.clone()),
            alert: Some(AlertEvidence {
                name: name.clone(),
                fingerprint: fingerprint.clone(),
                starts_at: since,
            }),
            ..Evidence::default()
        };
        let request = evidence.into_request_with(Arc::clone(&id), Arc::clone(webhook), now);
        effects.push(Effect::Request { request });
        AlertOutcome::Requested { id }
    }

    /// The alert is over.
    pub fn alert_ends(&mut self, at: usize, alert: &ExternalAlert) -> AlertOutcome {
        self.state.policies[at].resolve_alert(&alert.version);
        AlertOutcome::Resolved
    }
}
