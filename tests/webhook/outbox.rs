//! The outbox by itself: what leaves, when, and how often.

use std::collections::BTreeSet;
use std::sync::Arc;
use tidemark::engine::outbox::*;
use tidemark::engine::request::{Request, request_id};
use tidemark::engine::time::{Span, Timestamp};

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

pub fn request(webhook: &str, hour: i64) -> Request {
    let window_end = Timestamp::from_secs(hour * 3_600);
    Request {
        id: request_id("accuracy-fell", "income", "v7", window_end),
        webhook: webhook.into(),
        body: format!("{{\"hour\":{hour}}}").into(),
        window_end,
    }
}

/// An outbox whose requests are all durable.
fn durable(requests: impl IntoIterator<Item = Request>) -> Outbox {
    let mut outbox = Outbox::new();
    for request in requests {
        assert_eq!(outbox.enqueue(request, START, GIVE_UP_AFTER), Enqueued::New);
    }
    outbox.confirm(outbox.mark());
    outbox
}

fn failed(status: u16) -> Outcome {
    Outcome::Failed { status: Some(status), error: format!("status {status}"), retry_after: None }
}

#[test]
fn nothing_leaves_before_its_checkpoint_is_durable() {
    let mut outbox = Outbox::new();
    outbox.enqueue(request("trainer", 1), START, GIVE_UP_AFTER);
    let mark = outbox.mark();
    outbox.enqueue(request("trainer", 2), START, GIVE_UP_AFTER);
    assert!(outbox.due(START).is_empty());
    assert_eq!(outbox.next_due(), None);
    assert!(outbox.needs_checkpoint());

    // The checkpoint was written between the two: only the first may leave.
    outbox.confirm(mark);
    let due = outbox.due(START);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].id, request("trainer", 1).id);
    assert!(outbox.needs_checkpoint());
    outbox.confirm(outbox.mark());
    assert!(!outbox.needs_checkpoint());
    assert_eq!(outbox.due(START)[0].id, request("trainer", 2).id);
}

#[test]
fn an_attempt_in_flight_is_not_made_twice_until_it_is_lost() {
    let mut outbox = durable([request("trainer", 1)]);
    assert_eq!(outbox.due(START).len(), 1);
    assert!(outbox.due(START).is_empty());
    assert_eq!(outbox.next_due(), Some(START + IN_FLIGHT_MAX));
    assert_eq!(outbox.due(START + IN_FLIGHT_MAX).len(), 1);
}

#[test]
fn retries_follow_the_schedule_and_end_at_the_deadline() {
    let mut outbox = durable([request("trainer", 1)]);
    let id = request("trainer", 1).id;
    let mut now = START;
    let mut waits = Vec::new();
    loop {
        let due = outbox.due(now);
        assert_eq!(due.len(), 1, "due at {now}");
        assert_eq!(due[0].number as usize, waits.len() + 1);
        match outbox.record(&id, failed(500), now) {
            Recorded::Retry { at } => {
                assert_eq!(outbox.next_due(), Some(at));
                assert!(outbox.due(Timestamp(at.0 - 1)).is_empty());
                waits.push(at - now);
                now = at;
            }
            other => {
                assert_eq!(other, Recorded::GivenUp(GiveUpReason::Deadline));
                break;
            }
        }
    }
    assert_eq!(waits.len(), 8, "{waits:?}");
    assert!(now - START < GIVE_UP_AFTER);
    let entry = outbox.get(&id).unwrap();
    assert_eq!(entry.attempts.len(), 9);
    assert!(matches!(entry.state, State::GivenUp { reason: GiveUpReason::Deadline, .. }));
    assert_eq!(outbox.totals().next(), Some(("trainer", Totals { delivered: 0, given_up: 1 })));
    assert_eq!(outbox.next_due(), None);
}

#[test]
fn a_request_that_is_found_after_its_deadline_is_not_sent() {
    let mut outbox = durable([request("trainer", 1)]);
    assert!(outbox.due(START + GIVE_UP_AFTER).is_empty());
    assert!(outbox.pending().is_empty());
    assert_eq!(outbox.finished().count(), 1);
}

#[test]
fn a_clock_that_was_put_back_does_not_hold_a_request_for_years() {
    let mut outbox = durable([request("trainer", 1)]);
    let id = request("trainer", 1).id;
    outbox.due(START);
    outbox.record(&id, failed(500), START);
    let years_ago = START - Span::from_hours(24 * 1_000);
    assert_eq!(outbox.due(years_ago).len(), 1);
}

#[test]
fn the_same_decision_is_one_request() {
    let mut outbox = durable([request("trainer", 1)]);
    let again = outbox.enqueue(request("trainer", 1), START, GIVE_UP_AFTER);
    assert_eq!(again, Enqueued::AlreadyThere);
    let id = request("trainer", 1).id;
    outbox.due(START);
    outbox.record(&id, Outcome::Delivered { status: 200 }, START);
    let again = outbox.enqueue(request("trainer", 1), START, GIVE_UP_AFTER);
    assert_eq!(again, Enqueued::AlreadyThere);
    assert!(outbox.due(START).is_empty());
    assert_eq!(outbox.record(&id, Outcome::Gone, START), Recorded::Unknown);
    assert_eq!(outbox.totals().next(), Some(("trainer", Totals { delivered: 1, given_up: 0 })));
}

#[test]
fn a_gone_endpoint_gets_nothing_more_until_it_is_enabled() {
    let others = [request("trainer", 1), request("trainer", 2), request("other", 3)];
    let mut outbox = durable(others);
    outbox.due(START);
    let id = request("trainer", 1).id;
    let gone = Recorded::GivenUp(GiveUpReason::EndpointGone);
    assert_eq!(outbox.record(&id, Outcome::Gone, START), gone);
    assert_eq!(outbox.pending().len(), 1, "the other webhook's request stays");
    assert_eq!(outbox.disabled_since("trainer"), Some(START));
    let taken = outbox.enqueue(request("trainer", 4), START, GIVE_UP_AFTER);
    assert_eq!(taken, Enqueued::Disabled);

    let bytes = postcard::to_stdvec(&outbox).unwrap();
    let mut outbox: Outbox = postcard::from_bytes(&bytes).unwrap();
    assert_eq!(outbox.disabled_since("trainer"), Some(START), "a restart does not forget");
    assert!(outbox.enable("trainer"));
    let taken = outbox.enqueue(request("trainer", 5), START, GIVE_UP_AFTER);
    assert_eq!(taken, Enqueued::New);
}

#[test]
fn requests_of_a_removed_webhook_are_given_up() {
    let mut outbox = durable([request("trainer", 1), request("other", 2)]);
    outbox.retain_webhooks(&|name| name == "other", START);
    assert_eq!(outbox.pending().len(), 1);
    let State::GivenUp { reason, .. } = &outbox.finished().next().unwrap().state else {
        panic!("it is given up")
    };
    assert_eq!(*reason, GiveUpReason::NoSuchWebhook);
}

#[test]
fn everything_has_a_maximum() {
    let mut outbox = Outbox::new();
    for hour in 0..PENDING_MAX as i64 {
        let taken = outbox.enqueue(request("trainer", hour), START, GIVE_UP_AFTER);
        assert_eq!(taken, Enqueued::New);
    }
    let more = request("trainer", 999_999);
    assert_eq!(outbox.enqueue(more.clone(), START, GIVE_UP_AFTER), Enqueued::Full);
    outbox.confirm(outbox.mark());
    let mut sent = 0;
    loop {
        let due = outbox.due(START);
        assert!(due.len() <= DUE_MAX);
        if due.is_empty() {
            break;
        }
        for attempt in due {
            outbox.record(&attempt.id, Outcome::Delivered { status: 204 }, START);
            sent += 1;
        }
    }
    assert_eq!(sent, PENDING_MAX);
    assert_eq!(outbox.finished().count(), FINISHED_MAX);
    assert_eq!(outbox.enqueue(more.clone(), START, GIVE_UP_AFTER), Enqueued::New);
    outbox.confirm(outbox.mark());
    let mut now = START;
    for _ in 0..2 * ATTEMPTS_MAX {
        assert_eq!(outbox.due(now).len(), 1);
        let long = "x".repeat(10_000);
        let outcome = Outcome::Failed { status: None, error: long, retry_after: Some(Span::ZERO) };
        let Recorded::Retry { at } = outbox.record(&more.id, outcome, now) else { panic!("retry") };
        now = at;
    }
    let entry = outbox.get(&more.id).unwrap();
    assert_eq!(entry.attempts.len(), ATTEMPTS_MAX);
    assert!(serde_json::to_vec(entry).unwrap().len() < 20_000);
}

/// Everything outside the process: the durable checkpoint, the receiver, and when the process dies.
struct World {
    checkpoint: Option<Vec<u8>>,
    received: Vec<Arc<str>>,
    bodies: BTreeSet<Arc<str>>,
    refusals_left: usize,
    step: usize,
    deaths: BTreeSet<usize>,
    now: Timestamp,
}

struct Died;

impl World {
    /// The process may die here.
    fn step(&mut self) -> Result<(), Died> {
        self.step += 1;
        if self.deaths.contains(&self.step) { Err(Died) } else { Ok(()) }
    }

    fn receive(&mut self, attempt: &Attempt) -> Outcome {
        let saved: Outbox = postcard::from_bytes(self.checkpoint.as_ref().unwrap()).unwrap();
        assert!(saved.get(&attempt.id).is_some(), "sent before the checkpoint was durable");
        self.received.push(attempt.id.clone());
        self.bodies.insert(attempt.body.clone());
        if self.refusals_left > 0 {
            self.refusals_left -= 1;
            return failed(503);
        }
        Outcome::Delivered { status: 202 }
    }

    fn write_checkpoint(&mut self, outbox: &mut Outbox) -> Result<(), Died> {
        let mark = outbox.mark();
        let bytes = postcard::to_stdvec(outbox).unwrap();
        self.step()?;
        self.checkpoint = Some(bytes);
        self.step()?;
        outbox.confirm(mark);
        Ok(())
    }

    /// Sends what the outbox hands out now.
    fn deliver(&mut self, outbox: &mut Outbox) -> Result<(), Died> {
        for attempt in outbox.due(self.now) {
            self.step()?;
            let outcome = self.receive(&attempt);
            self.step()?;
            outbox.record(&attempt.id, outcome, self.now);
            self.step()?;
        }
        Ok(())
    }

    /// One life of the process: restore, decide, and work until everything is delivered.
    fn live(&mut self) -> Result<(), Died> {
        let mut outbox: Outbox = match &self.checkpoint {
            Some(bytes) => postcard::from_bytes(bytes).unwrap(),
            None => Outbox::new(),
        };
        self.step()?;
        // Replaying the logs, the policy comes to the same decision, whether or not it is known.
        outbox.enqueue(request("trainer", 7), self.now, GIVE_UP_AFTER);
        self.step()?;
        while !outbox.pending().is_empty() {
            self.deliver(&mut outbox)?;
            self.write_checkpoint(&mut outbox)?;
            self.now = outbox.next_due().unwrap_or(self.now).max(self.now);
        }
        Ok(())
    }
}

#[test]
fn killed_between_any_two_steps_it_asks_once_and_never_too_early() {
    let lives = |deaths: BTreeSet<usize>| {
        let mut world = World {
            checkpoint: None,
            received: Vec::new(),
            bodies: BTreeSet::new(),
            refusals_left: 2,
            step: 0,
            deaths,
            now: START,
        };
        while world.live().is_err() {}
        world
    };
    let steps = lives(BTreeSet::new()).step;
    assert!(steps > 15, "the story has {steps} steps");
    for first in 1..=steps {
        for second in first..=2 * steps {
            let world = lives(BTreeSet::from([first, second]));
            let ids: BTreeSet<_> = world.received.iter().collect();
            assert_eq!(ids.len(), 1, "killed at {first} and {second}");
            assert_eq!(world.bodies.len(), 1, "killed at {first} and {second}");
            assert!((3..=5).contains(&world.received.len()), "{:?}", world.received);
        }
    }
}

#[test]
fn an_outbox_that_goes_on_elsewhere_waits_for_the_attempts_under_way() {
    let mut outbox = Outbox::new();
    for hour in [1, 2] {
        outbox.enqueue(request("trainer", hour), START, GIVE_UP_AFTER);
        outbox.confirm(outbox.mark());
        if hour == 1 {
            assert_eq!(outbox.due(START).len(), 1);
        }
    }
    let first = request("trainer", 1).id;
    assert!(outbox.is_durable(&first) && !outbox.is_durable("another"));
    outbox.enqueue(request("trainer", 3), START, GIVE_UP_AFTER);
    assert!(!outbox.is_durable(&request("trainer", 3).id));
    let bytes = postcard::to_allocvec(&outbox).unwrap();
    let mut next: Outbox = postcard::from_bytes(&bytes).unwrap();
    let mut in_flight = outbox.in_flight().clone();
    in_flight.insert("gone".into(), START);
    next.resume(in_flight);
    let due: Vec<_> = next.due(START).into_iter().map(|attempt| attempt.id).collect();
    assert_eq!(due.len(), 2);
    assert!(!due.contains(&first), "it is under way");
    assert_eq!(next.record(&first, Outcome::Delivered { status: 200 }, START), Recorded::Sent);
}
