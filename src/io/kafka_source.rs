//! The source itself: one consumer, drained by [`KafkaSource::poll`]. See `kafka.rs` for its rules.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::kafka::{
    KafkaSettings, Membership, PartitionStatus, SourceError, SourceEvent, SourceHandler,
    SourceOptions, SourceStatus, TopicPartition,
};
use super::kafka_assignment::{COUNTS_EVERY, COUNTS_EVERY_MISSING, start_consumer};
use super::kafka_lookup::{Answer, Asked, Client, Job, Lookup, partition_count};
use super::kafka_partitions::Partitions;
use super::kafka_queue::PartitionQueue;
use super::kafka_settings::describe;
use crate::engine::time::Timestamp;

/// While nothing happens, `poll` looks so often for records and for answers.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// When records have run out the log ends are asked for, at most this often.
const LOG_ENDS_GAP: Duration = Duration::from_millis(50);
/// Errors that librdkafka gets over by itself are logged at most this often.
const ERROR_LOG_EVERY: Duration = Duration::from_secs(10);
/// How long a source that is merely dropped is waited for.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// A consumer that stalls again and again is made anew at most this rarely.
const STALLED_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Reads topics of one Kafka cluster. See the module's head.
pub struct KafkaSource {
    pub(super) settings: KafkaSettings,
    pub(super) topics: Vec<String>,
    pub(super) options: SourceOptions,
    /// Gone when the source is closed.
    pub(super) consumer: Option<Arc<Client>>,
    pub(super) lookup: Lookup,
    pub(super) partitions: Partitions,
    /// One a partition, of this consumer.
    pub(super) queues: Vec<PartitionQueue>,
    /// Whose turn it is to be first.
    pub(super) turn: usize,
    /// Counts assignments, so that a late answer is not taken for this one's.
    pub(super) generation: u64,
    /// A Resolve job is under way for this assignment.
    pub(super) resolving: Vec<TopicPartition>,
    /// The handler could not say where these start, and is asked again then.
    pub(super) resolve_again_at: Option<Instant>,
    /// We were given a partition that is none: what the topics have decides, once it is known.
    pub(super) doubted: bool,
    pub(super) log_ends_asked: bool,
    pub(super) log_ends_due: Instant,
    pub(super) counts_asked: bool,
    pub(super) counts_due: Instant,
    /// Records ran out since the log ends were last asked for.
    pub(super) end_signalled: bool,
    /// Records were handed out since.
    pub(super) shown: bool,
    /// A poll has found nothing queued since the log ends were last asked for.
    pub(super) drained: bool,
    pub(super) stalled_after: Duration,
    pub(super) error_log_due: Option<Instant>,
    /// When Kafka last fenced us as a static member, and whether a new consumer is due for it.
    pub(super) fenced_at: Option<Instant>,
    pub(super) fenced: bool,
    pub(super) status: SourceStatus,
}

impl KafkaSource {
    /// Starts a consumer. No broker needs to be there yet.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn new(
        settings: KafkaSettings,
        topics: Vec<String>,
        options: SourceOptions,
    ) -> Result<Self, SourceError> {
        settings.check()?;
        let (consumer, lookup) = start_consumer(&settings, &topics, options.membership)?;
        let now = clock::monotonic();
        let status =
            SourceStatus { partition_counts: vec![None; topics.len()], ..SourceStatus::default() };
        Ok(Self {
            settings,
            partitions: Partitions::new(topics.len()),
            queues: Vec::new(),
            turn: 0,
            topics,
            options,
            consumer: Some(consumer),
            lookup,
            generation: 0,
            resolving: Vec::new(),
            resolve_again_at: None,
            doubted: false,
            log_ends_asked: false,
            log_ends_due: now,
            counts_asked: false,
            counts_due: now,
            end_signalled: false,
            shown: false,
            drained: false,
            stalled_after: options.stalled_after,
            error_log_due: None,
            fenced_at: None,
            fenced: false,
            status,
        })
    }

    pub(super) fn consumer(&self) -> &Arc<Client> {
        self.consumer.as_ref().expect("only closing takes it, and closing is the end")
    }

    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    pub fn status(&self) -> &SourceStatus {
        &self.status
    }

    /// The partitions that are being read, in order.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionStatus> + '_ {
        self.partitions.iter().map(|(at, partition)| partition.status(at))
    }

    /// Waits up to `timeout` for records, and hands out up to `max` of them with everything else
    /// that has happened. Returns how many records there were.
    ///
    /// Must be called again within `max.poll.interval.ms`, or Kafka gives the partitions to
    /// somebody else.
    pub fn poll(
        &mut self,
        timeout: Duration,
        max: usize,
        handler: &mut dyn SourceHandler,
    ) -> usize {
        self.take_answers(handler);
        self.resolve_again(handler);
        self.ask_what_is_due();
        let until = clock::monotonic() + timeout;
        let mut wait = Duration::ZERO;
        let mut count = 0;
        while count == 0 && !self.fenced {
            count += self.poll_client(wait, max, handler);
            count += self.drain_queues(max.saturating_sub(count), handler);
            let answered = self.resolving.is_empty() && !self.log_ends_asked && !self.counts_asked;
            let left = until.saturating_duration_since(clock::monotonic());
            if left.is_zero() || (!answered && wait > Duration::ZERO) {
                break;
            }
            wait = left.min(LOOK_EVERY);
        }
        if std::mem::take(&mut self.fenced) {
            self.recreate(handler);
        }
        self.take_rebalances(handler);
        self.take_notes();
        count
    }

    fn take_answers(&mut self, handler: &mut dyn SourceHandler) {
        while let Some(answer) = self.lookup.next_answer() {
            match answer {
                Answer::Resolved { generation, partitions } => {
                    self.note_connected();
                    if generation == self.generation {
                        self.assign(&partitions, handler);
                    }
                }
                Answer::Ends { generation, asked_at, ends } => {
                    self.note_connected();
                    self.log_ends_asked = false;
                    if generation == self.generation {
                        self.take_log_ends(asked_at, &ends, handler);
                    }
                }
                Answer::Counts(counts) => {
                    self.note_connected();
                    self.counts_asked = false;
                    self.take_counts(counts, handler);
                }
                Answer::Failed { what, unreachable, unknown, reason } => {
                    match what {
                        // What the topics have comes next, see `Worker::resolve`.
                        Asked::Resolve => self.doubted |= unknown,
                        Asked::Ends => self.log_ends_asked = false,
                        Asked::Counts => {
                            self.counts_asked = false;
                            self.counts_due = clock::monotonic() + COUNTS_EVERY_MISSING;
                        }
                    }
                    if unreachable {
                        self.note_unreachable(&reason);
                    } else {
                        self.note_error(&reason);
                    }
                }
            }
        }
    }

    fn take_log_ends(
        &mut self,
        asked_at: Timestamp,
        ends: &[(TopicPartition, i64)],
        handler: &mut dyn SourceHandler,
    ) {
        for element in self.consumer().position().iter().flat_map(TopicPartitionList::elements) {
            let Some(topic) = self.topics.iter().position(|topic| topic == element.topic()) else {
                continue;
            };
            let at = TopicPartition { topic, partition: element.partition() };
            let state = self.partitions.get_mut(at);
            if let (Some(state), Offset::Offset(position)) = (state, element.offset()) {
                state.set_position(position);
            }
        }
        let now = clock::monotonic();
        let drained = std::mem::take(&mut self.drained);
        let mut stalled = 0;
        for &(at, log_end) in ends {
            let Some(state) = self.partitions.get_mut(at) else { continue };
            state.log_end = log_end;
            if state.is_at_end() {
                let offset = state.position();
                state.confirmed_at = Some(asked_at);
                handler.event(SourceEvent::EndReached { at, offset, confirmed_at: asked_at });
            }
            if drained && !state.held && !state.is_at_end() {
                // It may have been cut off, see `assign`.
                self.queues
                    .iter()
                    .filter(|queue| queue.at == at)
                    .for_each(PartitionQueue::take_over);
            }
            stalled += usize::from(state.is_stalled(drained, now, self.stalled_after));
        }
        if self.partitions.iter().all(|(_, state)| state.is_at_end()) {
            self.stalled_after = self.options.stalled_after;
        }
        if stalled > 0 {
            tracing::error!(partitions = stalled, "the kafka consumer has stalled, starting anew");
            self.stalled_after = (self.stalled_after * 2).min(STALLED_AFTER_MAX);
            self.recreate(handler);
        }
    }

    fn ask_what_is_due(&mut self) {
        let now = clock::monotonic();
        let soon = self.end_signalled
            && now + self.options.log_ends_every >= self.log_ends_due + LOG_ENDS_GAP;
        if !self.log_ends_asked && self.status.assigned && (soon || now >= self.log_ends_due) {
            let partitions: Vec<_> = self.partitions.iter().map(|(at, _)| at).collect();
            if !partitions.is_empty() {
                self.lookup.ask(Job::Ends { generation: self.generation, partitions });
                self.log_ends_asked = true;
            }
            self.end_signalled = false;
            self.log_ends_due = now + self.options.log_ends_every;
        }
        if !self.counts_asked && now >= self.counts_due {
            self.lookup.ask(Job::Counts);
            self.counts_asked = true;
            self.counts_due = now + COUNTS_EVERY;
        }
    }

    /// What the callbacks noted, once a poll.
    fn take_notes(&mut self) {
        let context = Arc::clone(self.consumer().context());
        self.status.commit_failures += context.take_commit_failures();
        if let Some(error) = context.take_error() {
            self.note_error(&error);
        }
        if context.take_all_brokers_down() {
            // It may be one of several addresses only: the answer to a question decides.
            self.counts_due = clock::monotonic();
        }
    }

    /// One line for a change of state, not one an attempt.
    fn note_unreachable(&mut self, what: &str) {
        let reason = self.consumer().context().take_connection_failure();
        let reason = reason.unwrap_or_else(|| what.to_owned());
        if self.status.connected != Some(false) {
            tracing::warn!(reason, "kafka cannot be reached, retrying");
        }
        self.status.connected = Some(false);
        self.status.last_error = Some(reason);
    }

    fn note_connected(&mut self) {
        if self.status.connected != Some(true) {
            tracing::info!("kafka answers");
            self.status.connected = Some(true);
            self.status.last_error = None;
        }
    }

    pub(super) fn note_error(&mut self, error: &str) {
        let now = clock::monotonic();
        if self.error_log_due.is_none_or(|due| now >= due) {
            tracing::warn!(error, "kafka reports an error, retrying");
            self.error_log_due = Some(now + ERROR_LOG_EVERY);
        }
        self.status.last_error = Some(error.to_owned());
    }

    /// Tells Kafka how far the last durable checkpoint reaches, for lag tools: nothing is ever read
    /// from there. Does not wait; what fails is counted in the status.
    pub fn commit(&mut self, offsets: &[(TopicPartition, i64)]) {
        if self.options.membership != Membership::Group || offsets.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for &(at, offset) in offsets {
            let offset = Offset::Offset(offset.max(0));
            let added = list.add_partition_offset(&self.topics[at.topic], at.partition, offset);
            added.expect("an offset that is not negative");
        }
        if let Err(error) = self.consumer().commit(&list, CommitMode::Async) {
            self.status.commit_failures += 1;
            tracing::debug!(%error, "kafka did not take the offsets of a checkpoint");
        }
    }

    /// Hands out no records of these partitions until [`Self::resume`]. Those that are not assigned
    /// are ignored; an assignment starts unpaused.
    pub fn pause(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, true);
    }

    pub fn resume(&mut self, partitions: &[TopicPartition]) {
        self.set_paused(partitions, false);
    }

    /// Lets these partitions wait, and all others go on: no records of them are handed out. Unlike
    /// a pause it costs nothing, and may change at every poll.
    pub fn hold_back(&mut self, partitions: &[TopicPartition]) {
        for (at, state) in self.partitions.iter_mut() {
            state.held = partitions.contains(&at);
        }
    }

    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) {
        let mut list = TopicPartitionList::new();
        for &at in partitions {
            if let Some(state) = self.partitions.get_mut(at).filter(|state| state.paused != paused)
            {
                state.set_paused(paused);
                list.add_partition(&self.topics[at.topic], at.partition);
            }
        }
        if list.count() > 0 {
            let done =
                if paused { self.consumer().pause(&list) } else { self.consumer().resume(&list) };
            if let Err(error) = done {
                self.note_error(&describe(&error));
            }
        }
    }

    /// Looks now, rather than at the next round, whether topics have appeared or grown.
    pub fn check_topics(&mut self) {
        self.counts_due = clock::monotonic();
    }

    /// Stops as a stall would look like: for tests of the watchdog.
    #[doc(hidden)]
    pub fn stall(&self) {
        if let Ok(assignment) = self.consumer().assignment() {
            let _ = self.consumer().pause(&assignment);
        }
    }

    /// Leaves the group and ends the consumer. False if that took longer than `within`; then it
    /// goes on by itself, and ends with the process at the latest.
    pub fn close(mut self, within: Duration) -> bool {
        self.shut(within)
    }

    /// As [`Self::close`], for one that is dropped later and not used any more.
    pub fn shut(&mut self, within: Duration) -> bool {
        let Some(consumer) = self.consumer.take() else { return true };
        consumer.context().close();
        self.queues.clear();
        self.lookup.supersede(u64::MAX);
        let (done, closed) = channel();
        // Ending a consumer can take long when the brokers are away, so the thread does it.
        self.lookup.ask(Job::Close { consumer, done });
        closed.recv_timeout(within).is_ok()
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.shut(CLOSE_WITHIN);
    }
}

/// How many partitions each topic has; `None`: there is no such topic. Waits for the brokers.
///
/// # Errors
/// Settings that cannot be used; no answer.
pub fn partition_counts(
    settings: &KafkaSettings,
    topics: &[String],
    within: Duration,
) -> Result<Vec<Option<i32>>, SourceError> {
    settings.check()?;
    let client: BaseConsumer = BaseConsumer::from_config(&settings.consumer())
        .map_err(|error| SourceError::Client(describe(&error)))?;
    let deadline = clock::monotonic() + within;
    loop {
        let counts = topics.iter().map(|topic| partition_count(&client, topic));
        match counts.collect::<Result<_, _>>() {
            Ok(counts) => return Ok(counts),
            Err(error) if clock::monotonic() >= deadline => {
                return Err(SourceError::Unavailable(describe(&error)));
            }
            Err(_) => {}
        }
    }
}
