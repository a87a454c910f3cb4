//! Questions to the brokers that take a round trip, asked on a thread of their own.
//!
//! Where a partition begins and ends, which offset a time means, which topics exist: the engine
//! must not wait for such an answer, so it sends a job here and finds the answer at a later poll.
//! This thread also closes the consumer, which can take long when the brokers are away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::clock;
use super::kafka::{OutOfRange, StartOffset, TopicPartition};
use super::kafka_context::{Context, is_unreachable};
use super::kafka_settings::describe;
use crate::engine::time::Timestamp;

pub(super) type Client = BaseConsumer<Context>;

/// One request to the brokers takes at most this long.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Between attempts when a request failed at once.
const PAUSE: Duration = Duration::from_millis(200);
/// A leader that was just elected may report an end that is behind what we have read. So long is
/// an offset beyond the end looked at again before it is called lost.
const BEYOND_END_ATTEMPTS: usize = 10;

pub(super) enum Job {
    /// Explicit offsets for an assignment; tried until it succeeds or a newer generation starts.
    Resolve { generation: u64, wanted: Vec<(TopicPartition, StartOffset)> },
    /// Where the logs end now, once.
    Ends { generation: u64, partitions: Vec<TopicPartition> },
    /// How many partitions each topic has, once.
    Counts,
    /// Let go of the consumer; the last message on `done` says that it is closed.
    Close { consumer: Arc<Client>, done: Sender<()> },
}

/// Where an assigned partition is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub at: TopicPartition,
    /// Within what is in the log, unless `out_of_range` tells what was wanted instead.
    pub offset: i64,
    pub log_end: i64,
    pub out_of_range: Option<OutOfRange>,
}

pub(super) enum Answer {
    Resolved {
        generation: u64,
        partitions: Vec<Resolved>,
    },
    /// Each end was read after `asked_at`.
    Ends {
        generation: u64,
        asked_at: Timestamp,
        ends: Vec<(TopicPartition, i64)>,
    },
    /// `None`: no such topic.
    Counts(Vec<Option<i32>>),
    /// A request failed; `unreachable` tells whether because no broker answers.
    Failed {
        what: Asked,
        unreachable: bool,
        /// A partition that was asked for is none of its topic's.
        unknown: bool,
        reason: String,
    },
}

/// Which job an answer was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Resolve,
    Ends,
    Counts,
}

/// The sending half: dropping it ends the thread.
pub(super) struct Lookup {
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    generation: Arc<AtomicU64>,
}

impl Lookup {
    pub fn start(consumer: Arc<Client>, topics: Vec<String>) -> std::io::Result<Self> {
        let (jobs, inbox) = channel();
        let (outbox, answers) = channel();
        let generation = Arc::new(AtomicU64::new(0));
        let worker = Worker { consumer, topics, outbox, generation: Arc::clone(&generation) };
        let thread = std::thread::Builder::new().name("kafka-lookup".into());
        thread.spawn(move || worker.run(&inbox))?;
        Ok(Self { jobs, answers, generation })
    }

    /// A Resolve job of an older generation is given up.
    pub fn supersede(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
    }

    pub fn ask(&self, job: Job) {
        // The thread ends only when this half is dropped, or after Close.
        let _ = self.jobs.send(job);
    }

    pub fn next_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

struct Worker {
    consumer: Arc<Client>,
    topics: Vec<String>,
    outbox: Sender<Answer>,
    generation: Arc<AtomicU64>,
}

impl Worker {
    fn run(self, inbox: &Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            let answer = match job {
                Job::Resolve { generation, wanted } => self.resolve(generation, &wanted),
                Job::Ends { generation, partitions } => Some(self.ends(generation, &partitions)),
                Job::Counts => Some(self.counts()),
                Job::Close { consumer, done } => {
                    drop(consumer);
                    drop(self.consumer);
                    let _ = done.send(());
                    return;
                }
            };
            if let Some(answer) = answer
                && self.outbox.send(answer).is_err()
            {
                return;
            }
        }
    }

    fn superseded(&self, generation: u64) -> bool {
        self.generation.load(Ordering::Acquire) != generation
    }

    /// Tries until all is known. `None`: a newer assignment has come.
    fn resolve(&self, generation: u64, wanted: &[(TopicPartition, StartOffset)]) -> Option<Answer> {
        let mut beyond_end = 0;
        while !self.superseded(generation) {
            match self.resolve_once(wanted) {
                Ok(partitions) => {
                    let lost = |one: &Resolved| one.out_of_range.is_some_and(|it| it.beyond_end());
                    beyond_end += 1;
                    if beyond_end >= BEYOND_END_ATTEMPTS || !partitions.iter().any(lost) {
                        return Some(Answer::Resolved { generation, partitions });
                    }
                }
                Err(error) => {
                    let _ = self.outbox.send(failed(Asked::Resolve, &error));
                    if is_unknown(&error) {
                        let _ = self.outbox.send(self.counts());
                    }
                }
            }
            std::thread::sleep(PAUSE);
        }
        None
    }

    fn resolve_once(
        &self,
        wanted: &[(TopicPartition, StartOffset)],
    ) -> Result<Vec<Resolved>, KafkaError> {
        let all = || wanted.iter().map(|(at, _)| *at);
        let starts = self.offsets(all().map(|at| (at, Offset::Beginning)), false)?;
        let ends = self.offsets(all().map(|at| (at, Offset::End)), false)?;
        let times = wanted.iter().filter_map(|(at, start)| match start {
            // Kafka counts in milliseconds; a record at or after the time is wanted.
            StartOffset::Time(time) => {
                let millis = time.0.div_euclid(1_000) + i64::from(time.0.rem_euclid(1_000) != 0);
                Some((*at, Offset::Offset(millis.max(0))))
            }
            _ => None,
        });
        let at_times = self.offsets(times, true)?;
        let resolved = wanted.iter().map(|&(at, start)| {
            let (log_start, log_end) = (starts[&at], ends[&at]);
            let mut out_of_range = None;
            let offset = match start {
                // Nobody resolves what is not known yet.
                StartOffset::Earliest | StartOffset::NotYet => log_start,
                StartOffset::Latest => log_end,
                StartOffset::Time(_) => at_times.get(&at).copied().unwrap_or(log_end),
                StartOffset::At(wanted) if (log_start..=log_end).contains(&wanted) => wanted,
                StartOffset::At(wanted) => {
                    out_of_range = Some(OutOfRange { at, wanted, log_start, log_end });
                    log_start
                }
            };
            Resolved { at, offset: offset.clamp(log_start, log_end), log_end, out_of_range }
        });
        Ok(resolved.collect())
    }

    fn ends(&self, generation: u64, partitions: &[TopicPartition]) -> Answer {
        let asked_at = clock::now();
        match self.offsets(partitions.iter().map(|&at| (at, Offset::End)), false) {
            Ok(ends) => {
                let ends = partitions.iter().map(|at| (*at, ends[at])).collect();
                Answer::Ends { generation, asked_at, ends }
            }
            Err(error) => failed(Asked::Ends, &error),
        }
    }

    /// One ListOffsets request a broker. A time after the last record has no offset.
    fn offsets(
        &self,
        wanted: impl Iterator<Item = (TopicPartition, Offset)>,
        times: bool,
    ) -> Result<BTreeMap<TopicPartition, i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        let mut asked = Vec::new();
        for (at, offset) in wanted {
            // Each partition is asked for once: duplicates would shift the answers.
            list.add_partition_offset(&self.topics[at.topic], at.partition, offset)?;
            asked.push(at);
        }
        let mut found = BTreeMap::new();
        if asked.is_empty() {
            return Ok(found);
        }
        let list = self.consumer.offsets_for_times(list, REQUEST_TIMEOUT)?;
        if list.count() != asked.len() {
            return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::Fail));
        }
        for (at, element) in asked.into_iter().zip(list.elements()) {
            element.error()?;
            match element.offset() {
                Offset::Offset(offset) => {
                    found.insert(at, offset);
                }
                Offset::End if times => {}
                _ => return Err(KafkaError::OffsetFetch(RDKafkaErrorCode::Fail)),
            }
        }
        Ok(found)
    }

    fn counts(&self) -> Answer {
        let counts = self.topics.iter().map(|topic| partition_count(&self.consumer, topic));
        match counts.collect::<Result<_, _>>() {
            Ok(counts) => Answer::Counts(counts),
            Err(error) => failed(Asked::Counts, &error),
        }
    }
}

/// `None`: there is no such topic (or we may not see it).
pub(super) fn partition_count<C>(
    client: &BaseConsumer<C>,
    topic: &str,
) -> Result<Option<i32>, KafkaError>
where
    C: rdkafka::consumer::ConsumerContext,
{
    let metadata = client.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let count = found.map_or(0, |found| found.partitions().len());
    Ok(i32::try_from(count).ok().filter(|&count| count > 0))
}

/// A partition was asked for that its topic does not have.
fn is_unknown(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownPartition)
}

fn failed(what: Asked, error: &KafkaError) -> Answer {
    let unreachable = error.rdkafka_error_code().is_some_and(is_unreachable);
    let unknown = is_unknown(error);
    Answer::Failed { what, unreachable, unknown, reason: describe(error) }
}
