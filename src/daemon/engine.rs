//! The engine's thread: polls, applies, advances, checkpoints, answers scrapes. The only place that
//! carries out an `Effect`.

use super::DaemonError;
use super::alerts::Alerts;
use super::api::View;
use super::held::Held;
use super::level::Levels;
use super::parts::Parts;
use super::publish::{Scene, snapshot};
use super::reload::ReloadJob;
use crate::config::Plan;
use crate::engine::effect::{Effect, Judged};
use crate::engine::outbox::{Attempt, InFlight, Outcome};
use crate::engine::policy::Decision;
use crate::engine::time::Timestamp;
use crate::io::clock;
use crate::io::http::api::ApiDesk;
use crate::io::http::{Heartbeat, Readiness};
use crate::io::kafka::KafkaSource;
use crate::io::telemetry::{
    BATCH_SECONDS, CONSUMER_CONNECTED, CONSUMER_REBALANCES, CONSUMER_RECREATIONS, Counter, Gauge,
    Histogram, POLL_SECONDS, READY, SnapshotDesk, Telemetry,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Watches what the engine does: the demo's terminal, tests.
pub trait Observer: Send {
    /// A window fired, a policy judged, a request was made.
    fn effect(&mut self, model: &str, effect: &Effect);
    /// About ten times a second, with everything that is known.
    fn tick(&mut self, held: &mut Held);
}

/// Nobody watches.
pub struct NoObserver;

impl Observer for NoObserver {
    fn effect(&mut self, _: &str, _: &Effect) {}
    fn tick(&mut self, _: &mut Held) {}
}

/// The ends of the channels that connect the engine's thread with the tasks.
pub struct Channels {
    pub snapshots: SnapshotDesk,
    pub api: ApiDesk,
    pub readiness: watch::Sender<Readiness>,
    pub heartbeat: Heartbeat,
    pub outcomes: mpsc::Receiver<(Arc<str>, Outcome)>,
    pub reloads: mpsc::Receiver<ReloadJob>,
    pub alerts: Alerts,
    pub stop: Arc<AtomicBool>,
}

/// How an engine ended.
pub enum Ended {
    /// It was told to, or could not go on.
    Stopped(Result<(), DaemonError>),
    /// Everything is durable and closed: another may go on with these.
    Drained(Box<Drained>),
}

pub struct Drained {
    pub channels: Channels,
    pub observer: Box<dyn Observer>,
    pub job: ReloadJob,
    pub old: Arc<Plan>,
    /// Deliveries under way, by model.
    pub in_flight: BTreeMap<Arc<str>, InFlight>,
}

pub struct Engine {
    source: KafkaSource,
    held: Held,
    attempts: mpsc::Sender<Attempt>,
    channels: Channels,
    observer: Box<dyn Observer>,
    meters: Meters,
    levels: Levels,
    /// When a checkpoint was last begun, and how long this thread had to work for it.
    checkpointed_at: Instant,
    checkpoint_took: Duration,
    /// The last round took as many records as it may.
    behind: bool,
    ticked_at: Instant,
    recreated: u64,
}

struct Meters {
    poll_seconds: Histogram,
    rebalances: Counter,
    batch_seconds: Histogram,
    connected: Gauge,
    ready: Gauge,
    recreations: Counter,
}

/// Records that one round takes at most, so that scrapes and checkpoints get their turn.
const ROUND_RECORDS: usize = 4_096;
/// How long a round waits for records.
const ROUND_WAIT: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(100);
/// At the stop: for the last checkpoint, for leaving the group, for the last dead letters.
const SAVE_WITHIN: Duration = Duration::from_secs(20);
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// While a backlog is read, checkpoints that nothing waits for take at most one part in so many of
/// this thread's time.
const CHECKPOINT_SHARE: u32 = 20;
/// A checkpoint that failed is tried again after this, and then after twice as long each time, up
/// to the most. What changed meanwhile goes with it, whole.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

impl Engine {
    pub fn new(
        parts: Parts,
        channels: Channels,
        observer: Box<dyn Observer>,
        telemetry: &Telemetry,
    ) -> Self {
        let now = clock::monotonic();
        let Parts { source, held, attempts } = parts;
        Self {
            source,
            held,
            attempts,
            channels,
            observer,
            meters: Meters {
                poll_seconds: telemetry.histogram(&POLL_SECONDS, &[]),
                rebalances: telemetry.counter(&CONSUMER_REBALANCES, &[]),
                batch_seconds: telemetry.histogram(&BATCH_SECONDS, &[]),
                connected: telemetry.gauge(&CONSUMER_CONNECTED, &[]),
                ready: telemetry.gauge(&READY, &[]),
                recreations: telemetry.counter(&CONSUMER_RECREATIONS, &[]),
            },
            levels: Levels::default(),
            checkpointed_at: now,
            checkpoint_took: Duration::ZERO,
            behind: false,
            ticked_at: now,
            recreated: 0,
        }
    }

    /// Runs until it is told to stop or to make room for another plan, or cannot go on. Then the
    /// state up to the last checkpoint is safe.
    pub fn run(mut self) -> Ended {
        while !self.channels.stop.load(Ordering::Relaxed) && self.held.fatal.is_none() {
            self.round();
            if let Ok(job) = self.channels.reloads.try_recv() {
                if self.drain() {
                    return Ended::Drained(Box::new(self.hand_over(job)));
                }
                let why = "the checkpoint before the reload did not become durable in time";
                let _ = job.answer.send(Err(why.to_owned()));
            }
        }
        Ended::Stopped(self.stop())
    }

    /// Makes everything durable. False if that could not be done.
    fn drain(&mut self) -> bool {
        self.show(Readiness::NotReady("reloading".to_owned()));
        self.held.flush();
        let saved = self.held.fatal.is_none() && self.held.save_within(SAVE_WITHIN);
        self.channels.alerts.settle(&self.held);
        saved
    }

    fn hand_over(mut self, job: ReloadJob) -> Drained {
        let outbox = |model: usize| &self.held.monitors[model].monitor.state.outbox;
        let models = self.held.plan.models.iter().enumerate();
        let in_flight =
            models.map(|(at, spec)| (Arc::clone(&spec.name), outbox(at).in_flight().clone()));
        let in_flight = in_flight.collect();
        self.close();
        let Self { held, mut channels, observer, .. } = self;
        // Who waits still knows models by positions that may change.
        channels.alerts = Alerts::new(channels.alerts.into_desk());
        Drained { channels, observer, job, old: held.plan, in_flight }
    }

    /// Leaves Kafka.
    fn close(&mut self) {
        if !self.source.shut(CLOSE_WITHIN) {
            tracing::warn!("the kafka consumer did not close in time");
        }
        if let Some(dead_letters) = self.held.intake.dead_letters.take() {
            dead_letters.close(CLOSE_WITHIN);
        }
    }

    fn round(&mut self) {
        let polled_at = clock::monotonic();
        let waits = self.levels.next(&self.source, &self.held, polled_at);
        self.source.hold_back(&waits);
        let records = self.source.poll(ROUND_WAIT, ROUND_RECORDS, &mut self.held);
        self.behind = records >= ROUND_RECORDS / 2;
        let started_at = clock::monotonic();
        self.meters.poll_seconds.observe(started_at.duration_since(polled_at).as_secs_f64());
        self.held.flush();
        if self.held.fatal.is_some() {
            return;
        }
        let now = clock::now();
        self.held.expect(&self.source.status().partition_counts);
        self.held.settle_ownership();
        if self.held.fatal.is_some() {
            return;
        }
        if self.held.replaced.should_rejoin(started_at) {
            self.source.rejoin();
        }
        let mut effects = Vec::new();
        self.held.advance(now, &mut effects);
        self.channels.alerts.take(&mut self.held, now, &mut effects);
        for (model, effect) in effects {
            self.execute(model, &effect);
        }
        if records > 0 {
            let seconds = clock::monotonic().duration_since(started_at).as_secs_f64();
            self.meters.batch_seconds.observe(seconds);
        }
        self.take_outcomes(now);
        self.deliver(now);
        self.keep();
        self.channels.alerts.settle(&self.held);
        let (held, source) = (&mut self.held, &self.source);
        self.channels.snapshots.serve(|| snapshot(&mut Scene { held, source, now }));
        let view = View { held: &self.held, source: &self.source, now };
        self.channels.api.serve(clock::monotonic, |query| view.answer(query));
        if started_at.duration_since(self.ticked_at) >= TICK {
            self.ticked_at = started_at;
            self.tick();
        }
    }

    fn execute(&mut self, model: usize, effect: &Effect) {
        let name = Arc::clone(&self.held.plan.models[model].name);
        match effect {
            Effect::Fired(firing) => tracing::debug!(
                model = &*name,
                firing = firing.kind.name(),
                size = %firing.size,
                end = %firing.end,
                revision = firing.revision,
                "window"
            ),
            Effect::Judged(judged) => log_judged(&name, judged),
            Effect::Request { request } => tracing::info!(
                model = &*name,
                webhook = &*request.webhook,
                id = &*request.id,
                window_end = %request.window_end,
                "retraining requested; it leaves when its checkpoint is durable"
            ),
        }
        self.observer.effect(&name, effect);
    }

    /// Hands out the attempts that are due: only requests whose checkpoint is durable are.
    fn deliver(&mut self, now: Timestamp) {
        for model in 0..self.held.monitors.len() {
            if !self.held.monitors[model].owned {
                continue;
            }
            let monitor = &mut self.held.monitors[model].monitor;
            if monitor.state.outbox.next_due().is_none_or(|due| due > now) {
                continue;
            }
            // What was given up just now must not be tried again after a restart.
            let (attempts, given_up) = monitor.due(now);
            for attempt in attempts {
                let id = Arc::clone(&attempt.id);
                if self.attempts.try_send(attempt).is_err() {
                    let error = "too many deliveries at once".to_owned();
                    let busy = Outcome::Failed { status: None, error, retry_after: None };
                    monitor.delivered(&id, busy, now);
                }
            }
            if given_up {
                self.held.touch(model);
            }
        }
    }

    fn take_outcomes(&mut self, now: Timestamp) {
        while let Ok((id, outcome)) = self.channels.outcomes.try_recv() {
            let owner = (0..self.held.monitors.len())
                .find(|&model| self.held.monitors[model].monitor.state.outbox.get(&id).is_some());
            let Some(model) = owner else { continue };
            self.held.monitors[model].monitor.delivered(&id, outcome, now);
            self.held.touch(model);
        }
    }

    /// Takes up finished checkpoints and begins new ones.
    fn keep(&mut self) {
        if let Some(report) = self.held.keeper.report() {
            let offsets = self.held.take_report(report);
            self.source.commit(&offsets);
        }
        let now = clock::monotonic();
        let since = now.duration_since(self.checkpointed_at);
        let every = Duration::from_micros(self.held.plan.state.checkpoint_every.0.unsigned_abs());
        let pause = retry_pause(self.held.failed_rounds);
        let spaced = if self.behind { self.checkpoint_took * CHECKPOINT_SHARE } else { pause };
        let every = every.max(spaced).max(pause);
        let due = since >= every || (self.held.forced && since >= pause);
        if due && self.held.is_dirty() && !self.held.keeper.writing {
            self.checkpointed_at = now;
            self.held.checkpoint();
            self.checkpoint_took = clock::monotonic().duration_since(now);
        }
    }

    fn tick(&mut self) {
        self.channels.heartbeat.beat();
        self.show(self.readiness());
        let status = self.source.status();
        self.meters.connected.set(f64::from(u8::from(status.connected == Some(true))));
        self.meters.recreations.add(status.recreated - self.recreated);
        self.recreated = status.recreated;
        self.meters.rebalances.add(std::mem::take(&mut self.held.rebalances));
        self.held.intake.count_letters();
        self.observer.tick(&mut self.held);
    }

    fn show(&self, readiness: Readiness) {
        self.meters.ready.set(f64::from(u8::from(readiness.is_ready())));
        self.channels.readiness.send_if_modified(|shown| {
            let differs = *shown != readiness;
            if differs {
                match &readiness {
                    Readiness::Ready => tracing::info!("ready"),
                    Readiness::ReadyBut(note) => tracing::info!(note, "ready"),
                    Readiness::NotReady(reason) => tracing::warn!(reason, "not ready"),
                }
                *shown = readiness;
            }
            differs
        });
    }

    fn readiness(&self) -> Readiness {
        let not_ready = |reason: String| Readiness::NotReady(reason);
        let status = self.source.status();
        let topics = self.source.topics();
        if let Some(&topic) = status.missing.first() {
            return not_ready(format!("topic {} does not exist", topics[topic]));
        }
        if let Some(fault) = &self.held.store_fault {
            return not_ready(fault.clone());
        }
        match status.connected {
            None => return not_ready("connecting to kafka".to_owned()),
            Some(false) => return not_ready("no kafka broker can be reached".to_owned()),
            Some(true) => {}
        }
        if let Some(reason) = self.uneven(&status.partition_counts) {
            return not_ready(reason);
        }
        if let Some(reason) = self.held.mismatched() {
            return not_ready(reason);
        }
        if !status.assigned {
            return not_ready("waiting for the assignment of partitions".to_owned());
        }
        if let Some(fault) = self.held.fleet.faults.values().next() {
            return not_ready(format!("the state of another member cannot be followed: {fault}"));
        }
        match self.held.replaced.sentence() {
            Some(sentence) => Readiness::ReadyBut(sentence),
            None => Readiness::Ready,
        }
    }

    /// Topics of a group must have the same number of partitions, unless one shard holds them all.
    fn uneven(&self, counts: &[Option<i32>]) -> Option<String> {
        let topics = self.held.intake.topics();
        for (group, spec) in self.held.groups.iter().enumerate() {
            let mut known = topics
                .iter()
                .zip(counts)
                .filter(|(topic, _)| topic.group == group)
                .filter_map(|(topic, count)| Some((&*topic.name, (*count)?)));
            let Some((first, expected)) = known.next() else { continue };
            if let Some((other, count)) = known.find(|(_, count)| *count != expected)
                && !spec.spread
            {
                return Some(format!(
                    "topics {first} ({expected} partitions) and {other} ({count}) are not \
                     co-partitioned; set kafka.co_partitioned: false to read them in one process"
                ));
            }
        }
        None
    }

    fn stop(mut self) -> Result<(), DaemonError> {
        self.show(Readiness::NotReady("stopping".to_owned()));
        let fatal = self.held.fatal.clone();
        let saved = fatal.is_some() || self.held.save_within(SAVE_WITHIN);
        if !saved {
            tracing::error!("the last checkpoint did not become durable in time");
        }
        self.observer.tick(&mut self.held);
        self.close();
        match fatal {
            Some(reason) => Err(DaemonError::Fatal(reason)),
            None if !saved => Err(DaemonError::NotSaved),
            None => Ok(()),
        }
    }
}

/// After so many rounds of checkpoints that failed in a row.
fn retry_pause(failed: u32) -> Duration {
    match failed {
        0 => Duration::ZERO,
        failed => RETRY_AFTER.saturating_mul(1 << (failed - 1).min(8)).min(RETRY_AFTER_MAX),
    }
}

fn log_judged(model: &str, judged: &Judged) {
    let Judged { policy, version, window_end, decision, reason } = judged;
    let (policy, why) = (&**policy, decision.reason());
    match decision {
        Decision::Hold(_) => {
            tracing::debug!(model, policy, version, %window_end, why, reason, "hold");
        }
        Decision::Alert => tracing::warn!(model, policy, version, %window_end, reason, "alert"),
        Decision::Retrain => {
            tracing::warn!(model, policy, version, %window_end, reason, "retraining is due");
        }
    }
}
