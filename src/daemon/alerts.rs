//! Alerts from outside, between HTTP and the monitors: each is answered when what it asked for is
//! durable.

use super::held::Held;
use crate::engine::effect::Effect;
use crate::engine::monitor::AlertOutcome;
use crate::engine::time::Timestamp;
use crate::io::http::{AlertAnswer, AlertDesk, ToldAlert};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The desk, and the notifications that wait for a checkpoint.
pub struct Alerts {
    desk: AlertDesk,
    waiting: Vec<Waiting>,
}

struct Waiting {
    /// Models and requests.
    requests: Vec<(usize, Arc<str>)>,
    answers: Vec<AlertAnswer>,
    answer: oneshot::Sender<Vec<AlertAnswer>>,
}

impl Alerts {
    pub fn new(desk: AlertDesk) -> Self {
        Self { desk, waiting: Vec::new() }
    }

    /// The desk without those who wait: they are told to come again.
    pub fn into_desk(self) -> AlertDesk {
        self.desk
    }

    /// Takes up what was told. To be called in each round.
    pub fn take(&mut self, held: &mut Held, now: Timestamp, effects: &mut Vec<(usize, Effect)>) {
        if !held.is_settled() {
            // Nobody knows yet whose the models are; who told us waits, or comes again.
            return;
        }
        while let Some(job) = self.desk.take() {
            let mut requests = Vec::new();
            let mut answers = Vec::new();
            for told in &job.alerts {
                let answer = one(held, told, job.policy.as_deref(), now, effects);
                if let Ok((model, outcomes)) = &answer {
                    requests.extend(outcomes.iter().filter_map(|(_, outcome)| match outcome {
                        AlertOutcome::Requested { id } | AlertOutcome::Repeated { id } => {
                            Some((*model, Arc::clone(id)))
                        }
                        _ => None,
                    }));
                }
                answers.push(answer.map(|(_, outcomes)| outcomes));
            }
            self.waiting.push(Waiting { requests, answers, answer: job.answer });
        }
    }

    /// Answers those whose requests are durable.
    pub fn settle(&mut self, held: &Held) {
        let durable = |(model, id): &(usize, Arc<str>)| {
            held.monitors[*model].monitor.state.outbox.is_durable(id)
        };
        let mut at = 0;
        while at < self.waiting.len() {
            let waiting = &self.waiting[at];
            let done = waiting.requests.iter().all(durable);
            if !done && !waiting.answer.is_closed() {
                at += 1;
                continue;
            }
            let Waiting { answers, answer, .. } = self.waiting.remove(at);
            // Whoever told it may have gone; it will be told again.
            let _ = answer.send(answers);
        }
    }
}

/// The model's position, and what its policies made of the alert.
fn one(
    held: &mut Held,
    told: &ToldAlert,
    only: Option<&str>,
    now: Timestamp,
    effects: &mut Vec<(usize, Effect)>,
) -> Result<(usize, Vec<(String, AlertOutcome)>), String> {
    let model = held.plan.models.iter().position(|model| *model.name == *told.model);
    let Some(model) = model else {
        let known: Vec<&str> = held.plan.models.iter().map(|model| &*model.name).collect();
        let known = crate::engine::text::clip(&known.join(", "), 300);
        return Err(format!("there is no model of that name; known: {known}"));
    };
    if !held.monitors[model].owned {
        let why = "another member of the group looks after this model: tell all members, one acts";
        return Err(why.to_owned());
    }
    let spec = Arc::clone(&held.plan.models[model]);
    let monitor = &held.monitors[model].monitor;
    let policies: Vec<usize> = monitor.policies_on_alert(&told.alert.name, only).collect();
    if policies.is_empty() {
        let which = only.map_or(String::new(), |only| format!(" `{only}`"));
        return Err(format!("the model has no policy{which} with this alert as `alertmanager`"));
    }
    let mut outcomes = Vec::new();
    for at in policies {
        let monitor = &mut held.monitors[model].monitor;
        let mut own = Vec::new();
        let outcome = match told.firing {
            true => monitor.alert_fires(at, &told.alert, now, &mut own),
            false => monitor.alert_ends(at, &told.alert),
        };
        if !matches!(outcome, AlertOutcome::Repeated { .. }) {
            held.touch(model);
        }
        held.carry_out(model, own, now, effects);
        outcomes.push((spec.policies[at].name.to_string(), outcome));
    }
    Ok((model, outcomes))
}
