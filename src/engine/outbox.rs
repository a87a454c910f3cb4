//! The outbox: requests that must reach a webhook at least once, whatever stops in between.
//!
//! A pure state machine; `io::webhook` delivers. Its invariants:
//! - A request is handed out by [`Outbox::due`] only after the checkpoint that holds it is durable
//!   ([`Outbox::confirm`]). So a daemon that dies after sending still knows what it sent.
//! - The id and the body of a request never change, over retries and restarts: the receiver can
//!   tell a repetition from a new request by its id.
//! - A request ends exactly once: as sent, or as given up for a stated reason.
//!
//! Times here are points of the wall clock, passed in.

use super::request::Request;
use super::text::clip;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Requests that wait for delivery; a further one is refused (the policy stays free to ask again).
pub const PENDING_MAX: usize = 1_000;
/// Finished requests that are remembered, the newest; older ones are forgotten.
pub const FINISHED_MAX: usize = 200;
/// Attempts that a request remembers, the newest.
pub const ATTEMPTS_MAX: usize = 16;
/// Webhooks that are counted apart and can be disabled; beyond it the first by name are forgotten.
pub const WEBHOOKS_MAX: usize = 1_000;
/// Attempts handed out by one call of [`Outbox::due`]; the others wait for the next call.
pub const DUE_MAX: usize = 16;
/// Characters of an error that are kept.
const ERROR_CHARS_MAX: usize = 300;
/// An attempt that has not reported back after this long is taken as lost and made again. Longer
/// than any target's timeout.
pub const IN_FLIGHT_MAX: Span = Span::from_mins(6);
/// A server may ask for no longer a wait than this.
const RETRY_AFTER_MAX: Span = Span::from_hours(24);
/// That many answers with `Retry-After` are taken at their word; later the wait is at least
/// `RETRY_AFTER_LATER_MIN`, so that a server that always says one second is not asked 250,000
/// times.
const RETRY_AFTER_TRUSTED: u32 = 10;
const RETRY_AFTER_LATER_MIN: Span = Span::from_mins(5);

/// Waits after the first, second, ... failed attempt, and the last one again after that.
///
/// Source: the example schedule of Standard Webhooks 1.0.0, section "Deliverability and
/// reliability".
pub const SCHEDULE: [Span; 9] = [
    Span::from_secs(5),
    Span::from_mins(5),
    Span::from_mins(30),
    Span::from_hours(2),
    Span::from_hours(5),
    Span::from_hours(10),
    Span::from_hours(14),
    Span::from_hours(20),
    Span::from_hours(24),
];
/// How long after its creation a request is given up, unless configured: the schedule's whole
/// length.
pub const GIVE_UP_AFTER: Span = Span::from_hours(76);

/// One request and what has become of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub request: Request,
    /// Position in the order of creation.
    pub sequence: u64,
    pub created_at: Timestamp,
    pub give_up_at: Timestamp,
    pub state: State,
    /// The newest attempts, oldest first.
    pub attempts: VecDeque<AttemptRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    Pending { attempts: u32, next_attempt_at: Timestamp, last_error: Option<String> },
    Sent { status: u16, at: Timestamp },
    GivenUp { reason: GiveUpReason, at: Timestamp },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GiveUpReason {
    /// It could not be delivered within the webhook's `give_up_after`.
    Deadline,
    /// The endpoint answered 410: it wants nothing any more.
    EndpointGone,
    /// The configuration no longer has this webhook.
    NoSuchWebhook,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    pub at: Timestamp,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    pub error: Option<String>,
}

/// A request to be sent now.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub id: Arc<str>,
    pub webhook: Arc<str>,
    pub body: Arc<str>,
    /// 1 for the first.
    pub number: u32,
}

/// How an attempt ended, as the delivery reports it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The endpoint took it (2xx, or another status that the target declares as success).
    Delivered { status: u16 },
    /// Not taken; to be tried again. `error` holds no secret.
    Failed { status: Option<u16>, error: String, retry_after: Option<Span> },
    /// 410: nothing more may be sent to this endpoint.
    Gone,
}

/// What [`Outbox::record`] made of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    Sent,
    Retry {
        at: Timestamp,
    },
    GivenUp(GiveUpReason),
    /// No such request is waiting; it ended before.
    Unknown,
}

/// What [`Outbox::enqueue`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueued {
    New,
    /// A request with this id waits or ended already; nothing was changed.
    AlreadyThere,
    /// The endpoint had answered 410; the request was given up at once.
    Disabled,
    /// `PENDING_MAX` requests wait; this one was not taken.
    Full,
}

/// How far a checkpoint reaches: every request enqueued before [`Outbox::mark`] was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// Requests of one webhook by how they ended, since ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub delivered: u64,
    pub given_up: u64,
}

/// What goes into the checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Saved {
    sequence: u64,
    pending: BTreeMap<Arc<str>, Entry>,
    finished: VecDeque<Entry>,
    disabled: BTreeMap<Arc<str>, Timestamp>,
    totals: BTreeMap<Arc<str>, Totals>,
}

/// See the module. Serialize it into the checkpoint; what is deserialized counts as durable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outbox {
    saved: Saved,
    durable: u64,
    in_flight: InFlight,
}

/// Attempts that have not reported back, by request, and since when. Not saved.
pub type InFlight = BTreeMap<Arc<str>, Timestamp>;

impl Serialize for Outbox {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.saved.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::deserialize(deserializer)?;
        Ok(Self { durable: saved.sequence, saved, in_flight: BTreeMap::new() })
    }
}

impl Outbox {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a request. It is due at once, but only after it is durable.
    pub fn enqueue(&mut self, request: Request, now: Timestamp, give_up_after: Span) -> Enqueued {
        let id = &request.id;
        if self.get(id).is_some() {
            return Enqueued::AlreadyThere;
        }
        let disabled = self.saved.disabled.contains_key(&request.webhook);
        if !disabled && self.saved.pending.len() >= PENDING_MAX {
            return Enqueued::Full;
        }
        self.saved.sequence += 1;
        let entry = Entry {
            sequence: self.saved.sequence,
            created_at: now,
            give_up_at: now + give_up_after,
            state: State::Pending { attempts: 0, next_attempt_at: now, last_error: None },
            attempts: VecDeque::new(),
            request,
        };
        if disabled {
            self.give_up(entry, GiveUpReason::EndpointGone, now);
            return Enqueued::Disabled;
        }
        self.saved.pending.insert(entry.request.id.clone(), entry);
        Enqueued::New
    }

    /// To be taken when the outbox is serialized, and given to [`Outbox::confirm`] when the
    /// checkpoint with those bytes is durable.
    pub fn mark(&self) -> Mark {
        Mark(self.saved.sequence)
    }

    /// The checkpoint is durable: requests enqueued before the mark may leave.
    pub fn confirm(&mut self, mark: Mark) {
        self.durable = self.durable.max(mark.0.min(self.saved.sequence));
    }

    /// Whether a request waits for a checkpoint: one should be written soon.
    pub fn needs_checkpoint(&self) -> bool {
        self.saved.pending.values().any(|entry| entry.sequence > self.durable)
    }

    /// The attempts to make now, the longest due first, at most [`DUE_MAX`]. Each is in flight
    /// until [`Outbox::record`] hears of it. Requests past their deadline are given up here.
    pub fn due(&mut self, now: Timestamp) -> Vec<Attempt> {
        self.give_up_where(now, GiveUpReason::Deadline, |entry| entry.give_up_at <= now);
        self.in_flight.retain(|_, started_at| now - *started_at < IN_FLIGHT_MAX);
        let mut due: Vec<(Timestamp, u64, Attempt)> = Vec::new();
        for (id, entry) in &self.saved.pending {
            let State::Pending { attempts, next_attempt_at, .. } = entry.state else { continue };
            let durable = entry.sequence <= self.durable;
            if !durable || self.in_flight.contains_key(id) || !is_due(next_attempt_at, now) {
                continue;
            }
            let attempt = Attempt {
                id: id.clone(),
                webhook: entry.request.webhook.clone(),
                body: entry.request.body.clone(),
                number: attempts.saturating_add(1),
            };
            due.push((next_attempt_at, entry.sequence, attempt));
        }
        due.sort_by_key(|(at, sequence, _)| (*at, *sequence));
        due.truncate(DUE_MAX);
        for (_, _, attempt) in &due {
            self.in_flight.insert(attempt.id.clone(), now);
        }
        due.into_iter().map(|(_, _, attempt)| attempt).collect()
    }

    /// When [`Outbox::due`] has something next, if nothing else happens; `None` if nothing waits.
    pub fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.saved.pending.iter().filter(|(_, entry)| entry.sequence <= self.durable);
        waiting
            .filter_map(|(id, entry)| match (&entry.state, self.in_flight.get(id)) {
                (_, Some(&started_at)) => Some(started_at + IN_FLIGHT_MAX),
                (State::Pending { next_attempt_at, .. }, None) => {
                    Some((*next_attempt_at).min(entry.give_up_at))
                }
                _ => None,
            })
            .min()
    }

    /// The attempts under way, for the outbox that goes on in the same process.
    pub fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Waits for attempts that another outbox with these requests has handed out.
    pub fn resume(&mut self, in_flight: InFlight) {
        let known = |(id, _): &(Arc<str>, Timestamp)| self.saved.pending.contains_key(id);
        let known: Vec<_> = in_flight.into_iter().filter(known).collect();
        self.in_flight.extend(known);
    }

    /// Enters how an attempt ended.
    pub fn record(&mut self, id: &str, outcome: Outcome, now: Timestamp) -> Recorded {
        self.in_flight.remove(id);
        let Some(mut entry) = self.saved.pending.remove(id) else { return Recorded::Unknown };
        remember(&mut entry, &outcome, now);
        match outcome {
            Outcome::Delivered { status } => {
                entry.state = State::Sent { status, at: now };
                self.totals_of(&entry.request.webhook.clone()).delivered += 1;
                self.finish(entry);
                Recorded::Sent
            }
            Outcome::Gone => {
                let webhook = entry.request.webhook.clone();
                self.disable(&webhook, now);
                self.give_up(entry, GiveUpReason::EndpointGone, now);
                let reason = GiveUpReason::EndpointGone;
                self.give_up_where(now, reason, |other| other.request.webhook == webhook);
                Recorded::GivenUp(reason)
            }
            Outcome::Failed { error, retry_after, .. } => {
                self.retry_later(entry, error, retry_after, now)
            }
        }
    }

    fn retry_later(
        &mut self,
        mut entry: Entry,
        error: String,
        retry_after: Option<Span>,
        now: Timestamp,
    ) -> Recorded {
        let failed = match entry.state {
            State::Pending { attempts, .. } => attempts.saturating_add(1),
            State::Sent { .. } | State::GivenUp { .. } => return Recorded::Unknown,
        };
        let at = now + delay(&entry.request.id, failed, retry_after);
        entry.state = State::Pending {
            attempts: failed,
            next_attempt_at: at,
            last_error: Some(clip(&error, ERROR_CHARS_MAX)),
        };
        if at >= entry.give_up_at {
            self.give_up(entry, GiveUpReason::Deadline, now);
            return Recorded::GivenUp(GiveUpReason::Deadline);
        }
        self.saved.pending.insert(entry.request.id.clone(), entry);
        Recorded::Retry { at }
    }

    /// Gives up what waits for webhooks that are not declared, and forgets the others' disablement
    /// if they are gone.
    pub fn retain_webhooks(&mut self, declared: &dyn Fn(&str) -> bool, now: Timestamp) {
        let reason = GiveUpReason::NoSuchWebhook;
        self.give_up_where(now, reason, |entry| !declared(&entry.request.webhook));
        self.saved.disabled.retain(|webhook, _| declared(webhook));
    }

    /// Lets a disabled webhook have requests again (its URL was changed). True if it was disabled.
    pub fn enable(&mut self, webhook: &str) -> bool {
        self.saved.disabled.remove(webhook).is_some()
    }

    /// Since when the webhook is disabled by a 410.
    pub fn disabled_since(&self, webhook: &str) -> Option<Timestamp> {
        self.saved.disabled.get(webhook).copied()
    }

    /// The request with this id, if it waits or is remembered.
    pub fn get(&self, id: &str) -> Option<&Entry> {
        let finished = || self.saved.finished.iter().find(|entry| &*entry.request.id == id);
        self.saved.pending.get(id).or_else(finished)
    }

    /// Whether a checkpoint holds the request with this id.
    pub fn is_durable(&self, id: &str) -> bool {
        self.get(id).is_some_and(|entry| entry.sequence <= self.durable)
    }

    /// Requests that wait, in the order of creation.
    pub fn pending(&self) -> Vec<&Entry> {
        let mut pending: Vec<&Entry> = self.saved.pending.values().collect();
        pending.sort_by_key(|entry| entry.sequence);
        pending
    }

    /// Requests that have ended, the oldest first.
    pub fn finished(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.saved.finished.iter()
    }

    /// How many requests of each webhook have been delivered and given up, since ever.
    pub fn totals(&self) -> impl Iterator<Item = (&str, Totals)> {
        self.saved.totals.iter().map(|(webhook, totals)| (&**webhook, *totals))
    }

    fn give_up_where(
        &mut self,
        now: Timestamp,
        reason: GiveUpReason,
        condition: impl Fn(&Entry) -> bool,
    ) {
        let lost: Vec<Arc<str>> = self
            .pending()
            .into_iter()
            .filter(|entry| condition(entry))
            .map(|entry| entry.request.id.clone())
            .collect();
        for id in lost {
            self.in_flight.remove(&id);
            if let Some(entry) = self.saved.pending.remove(&id) {
                self.give_up(entry, reason, now);
            }
        }
    }

    fn give_up(&mut self, mut entry: Entry, reason: GiveUpReason, now: Timestamp) {
        entry.state = State::GivenUp { reason, at: now };
        self.totals_of(&entry.request.webhook.clone()).given_up += 1;
        self.finish(entry);
    }

    fn finish(&mut self, entry: Entry) {
        self.saved.finished.push_back(entry);
        while self.saved.finished.len() > FINISHED_MAX {
            self.saved.finished.pop_front();
        }
    }

    fn disable(&mut self, webhook: &Arc<str>, now: Timestamp) {
        self.saved.disabled.insert(webhook.clone(), now);
        while self.saved.disabled.len() > WEBHOOKS_MAX {
            self.saved.disabled.pop_first();
        }
    }

    fn totals_of(&mut self, webhook: &Arc<str>) -> &mut Totals {
        let totals = &mut self.saved.totals;
        if !totals.contains_key(webhook) && totals.len() >= WEBHOOKS_MAX {
            totals.pop_first();
        }
        totals.entry(webhook.clone()).or_default()
    }
}

/// A wait that is longer than any we ever set means that the clock was put back: due now.
fn is_due(next_attempt_at: Timestamp, now: Timestamp) -> bool {
    next_attempt_at <= now || next_attempt_at - now > Span(RETRY_AFTER_MAX.0 * 2)
}

fn remember(entry: &mut Entry, outcome: &Outcome, now: Timestamp) {
    let (status, error) = match outcome {
        Outcome::Delivered { status } => (Some(*status), None),
        Outcome::Failed { status, error, .. } => (*status, Some(clip(error, ERROR_CHARS_MAX))),
        Outcome::Gone => (Some(410), Some("the endpoint is gone".to_owned())),
    };
    entry.attempts.push_back(AttemptRecord { at: now, status, error });
    while entry.attempts.len() > ATTEMPTS_MAX {
        entry.attempts.pop_front();
    }
}

/// How long to wait after the `failed`-th failure (1 for the first): the schedule's, or what the
/// server asked for, and up to a tenth more. The jitter is a hash of id and count: the same after a
/// restart, different from request to request, and without a source of randomness.
fn delay(id: &str, failed: u32, retry_after: Option<Span>) -> Span {
    let step = (failed.max(1) as usize - 1).min(SCHEDULE.len() - 1);
    let least = if failed > RETRY_AFTER_TRUSTED { RETRY_AFTER_LATER_MIN } else { Span(1_000_000) };
    let wait = match retry_after {
        Some(asked) => asked.clamp(least, RETRY_AFTER_MAX),
        None => SCHEDULE[step],
    };
    let hash = xxh3_64_with_seed(id.as_bytes(), u64::from(failed));
    let tenth = (wait.0 / 10).max(1);
    Span(wait.0 + i64::try_from(hash % tenth.unsigned_abs()).expect("less than an i64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_the_schedule_with_at_most_a_tenth_more() {
        for (failed, least) in SCHEDULE.iter().enumerate() {
            let wait = delay("retrain-1", failed as u32 + 1, None);
            assert!(wait >= *least && wait.0 <= least.0 + least.0 / 10, "{failed}: {wait}");
        }
        assert_eq!(delay("a", 3, None), delay("a", 3, None));
        assert_ne!(delay("a", 3, None), delay("b", 3, None));
        assert!(delay("a", u32::MAX, None) >= SCHEDULE[8]);
        assert!(delay("a", 0, None) >= SCHEDULE[0]);
    }

    #[test]
    fn what_a_server_asks_for_is_honoured_within_bounds() {
        let one = Span::from_secs(1);
        assert!(delay("a", 1, Some(one)) >= one);
        assert!(delay("a", 1, Some(one)) < Span::from_secs(2));
        assert!(delay("a", 1, Some(Span(-5))) >= one);
        assert!(delay("a", 11, Some(one)) >= Span::from_mins(5));
        assert!(delay("a", 1, Some(Span::MAX)) < Span::from_hours(27));
    }
}
