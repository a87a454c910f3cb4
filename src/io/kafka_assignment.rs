//! Which partitions the source reads, and from where.
//!
//! Whatever changes the assignment goes one way: what is read is given up, the handler is asked
//! where to start, the brokers are asked what that means, and only then is anything read. So no
//! record is handed out twice, or from an offset that nobody has seen.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::kafka::{
    KafkaSettings, KafkaSource, Membership, OutOfRange, Resume, SourceError, SourceEvent,
    SourceHandler, StartOffset, TopicPartition,
};
use super::kafka_context::{Context, Rebalance};
use super::kafka_lookup::{Client, Job, Lookup, Resolved};
use super::kafka_partitions::Partition;
use super::kafka_queue::PartitionQueue;
use super::kafka_settings::describe;

/// How often topics are looked for while one is missing or nobody answers, and otherwise.
pub(super) const COUNTS_EVERY_MISSING: Duration = Duration::from_secs(2);
pub(super) const COUNTS_EVERY: Duration = Duration::from_secs(30);

/// A handler that could not say where to start is asked again after this.
const RESOLVE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl KafkaSource {
    /// Asks a handler again that could not say where to start.
    pub(super) fn resolve_again(&mut self, handler: &mut dyn SourceHandler) {
        if self.resolve_again_at.is_some_and(|due| clock::monotonic() >= due) {
            let partitions = std::mem::take(&mut self.resolving);
            self.resolve(partitions, handler);
        }
    }

    pub(super) fn take_rebalances(&mut self, handler: &mut dyn SourceHandler) {
        for rebalance in self.consumer().context().take_rebalances() {
            match rebalance {
                Rebalance::Assign(list) => {
                    let known = |(topic, partition): (String, i32)| {
                        let topic = self.topics.iter().position(|known| *known == topic)?;
                        Some(TopicPartition { topic, partition })
                    };
                    let partitions = list.into_iter().filter_map(known).collect();
                    self.resolve(partitions, handler);
                }
                Rebalance::Revoke => {
                    let lost = self.consumer().assignment_lost();
                    self.revoke(lost, handler);
                    if let Err(error) = self.consumer().unassign() {
                        self.note_error(&describe(&error));
                    }
                }
            }
        }
    }

    /// Asks the handler where to start, and the brokers what that means.
    pub(super) fn resolve(
        &mut self,
        partitions: Vec<TopicPartition>,
        handler: &mut dyn SourceHandler,
    ) {
        self.generation += 1;
        self.lookup.supersede(self.generation);
        self.resolve_again_at = None;
        self.status.assigned = false;
        if partitions.is_empty() {
            // More members than partitions: nothing to read, which is fine.
            self.assign(&[], handler);
            return;
        }
        let mut wanted: Vec<_> =
            partitions.iter().map(|&at| (at, handler.start_offset(at))).collect();
        wanted.sort_unstable_by_key(|(at, _)| *at);
        self.resolving = partitions;
        if wanted.iter().any(|(_, start)| *start == StartOffset::NotYet) {
            self.resolve_again_at = Some(clock::monotonic() + RESOLVE_AGAIN_AFTER);
            return;
        }
        self.lookup.ask(Job::Resolve { generation: self.generation, wanted });
    }

    /// Reads `partitions` from where the handler says now. Nothing is handed out until then, so
    /// that no record comes twice.
    pub(super) fn start_over(
        &mut self,
        partitions: Vec<TopicPartition>,
        handler: &mut dyn SourceHandler,
    ) {
        self.revoke(false, handler);
        if let Err(error) = self.consumer().assign(&TopicPartitionList::new()) {
            self.note_error(&describe(&error));
        }
        self.resolve(partitions, handler);
    }

    pub(super) fn revoke(&mut self, lost: bool, handler: &mut dyn SourceHandler) {
        self.generation += 1;
        self.lookup.supersede(self.generation);
        self.resolving.clear();
        self.resolve_again_at = None;
        self.status.assigned = false;
        let partitions: Vec<_> = self.partitions.iter().map(|(at, _)| at).collect();
        self.partitions.clear();
        if !partitions.is_empty() {
            tracing::info!(partitions = partitions.len(), lost, "kafka took partitions away");
            handler.event(SourceEvent::Revoked { partitions: &partitions, lost });
        }
    }

    pub(super) fn assign(&mut self, resolved: &[Resolved], handler: &mut dyn SourceHandler) {
        let mut list = TopicPartitionList::new();
        let mut offsets = Vec::with_capacity(resolved.len());
        for one in resolved {
            let mut offset = one.offset;
            if let Some(lost) = one.out_of_range {
                let resume = handler.out_of_range(lost);
                offset = if resume == Resume::LogEnd { lost.log_end } else { lost.log_start };
                let OutOfRange { at, wanted, log_start, log_end } = lost;
                let (topic, partition) = (&self.topics[at.topic], at.partition);
                tracing::error!(
                    topic,
                    partition,
                    wanted,
                    log_start,
                    log_end,
                    resumed_at = offset,
                    "records are gone from the log: the offset to continue from is not in it"
                );
            }
            let topic = &self.topics[one.at.topic];
            let added = list.add_partition_offset(topic, one.at.partition, Offset::Offset(offset));
            added.expect("a resolved offset is not negative");
            offsets.push((one.at, offset));
        }
        self.resolving.clear();
        // Queues before the assignment, so that nothing flows elsewhere; and again after it, for
        // librdkafka cuts a partition off when it gets to giving it up, which may be later than
        // a new assignment.
        let consumer = self.consumer();
        let queue =
            |one: &Resolved| PartitionQueue::new(consumer, &self.topics[one.at.topic], one.at);
        self.queues = resolved.iter().filter_map(queue).collect();
        if let Err(error) = self.consumer().assign(&list) {
            // librdkafka refuses only when it is closing or has failed for good.
            let message = describe(&error);
            handler.event(SourceEvent::Fatal { message });
            return;
        }
        self.partitions.clear();
        for (one, &(at, offset)) in resolved.iter().zip(&offsets) {
            self.partitions.insert(at, Partition::new(offset, one.log_end));
        }
        self.queues.iter().for_each(PartitionQueue::take_over);
        self.status.assigned = true;
        self.log_ends_due = clock::monotonic();
        tracing::info!(partitions = offsets.len(), "reading partitions");
        handler.event(SourceEvent::Assigned(&offsets));
    }

    pub(super) fn take_counts(
        &mut self,
        counts: Vec<Option<i32>>,
        handler: &mut dyn SourceHandler,
    ) {
        let missing: Vec<usize> =
            (0..counts.len()).filter(|&topic| counts[topic].is_none()).collect();
        if missing != self.status.missing {
            for &topic in &missing {
                let topic = &self.topics[topic];
                tracing::warn!(topic, "the topic does not exist (yet), or we may not read it");
            }
            for &topic in self.status.missing.iter().filter(|topic| !missing.contains(topic)) {
                tracing::info!(topic = self.topics[topic], "the topic is there now");
            }
        }
        let pause = if missing.is_empty() { COUNTS_EVERY } else { COUNTS_EVERY_MISSING };
        self.counts_due = clock::monotonic() + pause;
        if std::mem::take(&mut self.doubted) {
            self.leave_out_unknown(&counts, handler);
        }
        let appeared = self.status.missing.iter().any(|topic| !missing.contains(topic));
        let grown = missing.is_empty() && counts != self.status.partition_counts;
        self.status.missing = missing;
        self.status.partition_counts = counts;
        if grown && self.options.membership == Membership::All {
            self.start_over(self.all_partitions(), handler);
        }
        if appeared {
            // librdkafka would notice at its next refresh of all metadata.
            self.rejoin();
        }
    }

    /// Kafka gives a static member that comes back what it had, also of a topic that was made anew
    /// with fewer partitions. Goes on with those that are there.
    fn leave_out_unknown(&mut self, counts: &[Option<i32>], handler: &mut dyn SourceHandler) {
        let is_there =
            |at: &TopicPartition| counts[at.topic].is_none_or(|count| at.partition < count);
        if !self.resolving.iter().all(is_there) {
            let there: Vec<_> = self.resolving.iter().copied().filter(is_there).collect();
            tracing::warn!(
                given = self.resolving.len(),
                there = there.len(),
                "kafka gave us partitions that are not there"
            );
            self.resolve(there, handler);
        }
    }

    /// Asks the group for a new assignment.
    pub fn rejoin(&mut self) {
        if self.options.membership == Membership::Group {
            let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
            if let Err(error) = self.consumer().subscribe(&names) {
                self.note_error(&describe(&error));
            }
        }
    }

    pub(super) fn all_partitions(&self) -> Vec<TopicPartition> {
        let counts = self.status.partition_counts.iter().enumerate();
        counts
            .flat_map(|(topic, count)| {
                (0..count.unwrap_or(0)).map(move |partition| TopicPartition { topic, partition })
            })
            .collect()
    }

    /// Gives up the consumer and starts another one, from where the handler is.
    pub fn recreate(&mut self, handler: &mut dyn SourceHandler) {
        self.revoke(false, handler);
        let started = start_consumer(&self.settings, &self.topics, self.options.membership);
        match started {
            Ok((consumer, lookup)) => {
                self.queues.clear();
                let old = self.consumer.replace(consumer).expect("it is not closed");
                let old_lookup = std::mem::replace(&mut self.lookup, lookup);
                self.lookup.supersede(self.generation);
                let (done, _) = channel();
                old.context().close();
                old_lookup.ask(Job::Close { consumer: old, done });
            }
            Err(error) => {
                handler.event(SourceEvent::Fatal { message: error.to_string() });
                return;
            }
        }
        self.status.recreated += 1;
        self.log_ends_asked = false;
        self.counts_asked = false;
        self.counts_due = clock::monotonic();
        self.status.partition_counts.fill(None);
    }
}

pub(super) fn start_consumer(
    settings: &KafkaSettings,
    topics: &[String],
    membership: Membership,
) -> Result<(Arc<Client>, Lookup), SourceError> {
    let context = Context::new(settings.secrets());
    let consumer = Client::from_config_and_context(&settings.consumer(), context)
        .map_err(|error| SourceError::Client(describe(&error)))?;
    let consumer = Arc::new(consumer);
    if membership == Membership::Group {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| SourceError::Client(describe(&error)))?;
    }
    let lookup = Lookup::start(Arc::clone(&consumer), topics.to_vec())?;
    Ok((consumer, lookup))
}
