//! Dead letters: records that could not be read, copied as they were to a topic of their own.
//!
//! Key, value, headers and timestamp stay; headers with the names of Kafka Connect's dead letter
//! queue tell where the record came from and why it is here, so that Connect's tools can read them.
//! The stream never waits for a dead letter: beyond a rate, or when the producer's queue is full,
//! it is counted and not written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
};

use super::kafka_context::log_line;
use super::kafka_settings::{KafkaSettings, SettingsError, describe, sanitized};
use crate::decode::record::Record;

/// Written letters wait here until the brokers have them; a letter that does not fit is dropped.
const QUEUE_MESSAGES_MAX: &str = "10000";
const QUEUE_KBYTES_MAX: &str = "16384";
/// A letter that the brokers did not take within this time has failed.
const DELIVERY_TIMEOUT_MS: &str = "60000";
/// A longer explanation is cut.
const MESSAGE_CHARS_MAX: usize = 2_000;
const CONNECTOR_NAME: &str = "tidemark";

/// Where and how much.
#[derive(Clone, Debug)]
pub struct DeadLetterOptions {
    pub topic: String,
    /// Letters a second, over time; at most as many at once.
    pub rate_max: u32,
    /// Tells this process from others: the `task.id` of its letters.
    pub task_id: String,
}

/// A record and why it could not be read.
#[derive(Clone, Copy)]
pub struct DeadLetter<'a> {
    pub topic: &'a str,
    pub record: Record<'a>,
    /// What gave up on it, such as `tidemark::decode::prediction`.
    pub class: &'a str,
    /// The reason's name, such as `missing_field`.
    pub reason: &'a str,
    /// For a person.
    pub message: &'a str,
}

/// What became of letters so far. `pending` ones may still end either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCounts {
    /// The brokers have them.
    pub written: u64,
    /// Beyond the rate.
    pub over_rate: u64,
    /// The producer's queue was full, or it refused the letter.
    pub refused: u64,
    /// Handed to the brokers, who did not take them.
    pub failed: u64,
    pub pending: u64,
}

/// The dead letter topic cannot be written to with these settings.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("cannot start the producer of dead letters: {0}")]
    Client(String),
}

/// The producer of dead letters.
pub struct DeadLetters {
    options: DeadLetterOptions,
    /// Gone when closed.
    producer: Option<Arc<ThreadedProducer<Reports>>>,
    counts: Arc<Counts>,
    bucket: TokenBucket,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    failed: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    over_rate: AtomicU64,
    /// Failing is logged once until it works again.
    failing: AtomicBool,
}

struct Reports {
    counts: Arc<Counts>,
    secrets: Vec<String>,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, &sanitized(message, &self.secrets));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let reason = sanitized(reason, &self.secrets);
        tracing::debug!(%error, reason, "the producer of dead letters reports an error");
    }

    fn stats_raw(&self, _: &[u8]) {}
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.counts.written.fetch_add(1, Ordering::Relaxed);
                self.counts.failing.store(false, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                if !self.counts.failing.swap(true, Ordering::Relaxed) {
                    let error = describe(error);
                    tracing::warn!(error, "dead letters cannot be written; they are counted");
                }
            }
        }
    }
}

impl DeadLetters {
    /// Starts a producer. No broker needs to be there yet.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn new(
        settings: &KafkaSettings,
        options: DeadLetterOptions,
    ) -> Result<Self, DeadLetterError> {
        settings.check()?;
        let counts = Arc::new(Counts::default());
        let context = Reports { counts: Arc::clone(&counts), secrets: settings.secrets() };
        let mut config = settings.producer("tidemark-dead-letters");
        config
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("linger.ms", "50")
            // Letters with one key stay together, as Java's clients would place them.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", QUEUE_MESSAGES_MAX)
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES_MAX)
            .set("message.timeout.ms", DELIVERY_TIMEOUT_MS);
        let producer =
            ThreadedProducer::<_, NoCustomPartitioner>::from_config_and_context(&config, context)
                .map_err(|error| DeadLetterError::Client(describe(&error)))?;
        let bucket = TokenBucket::new(options.rate_max);
        Ok(Self { options, producer: Some(Arc::new(producer)), counts, bucket })
    }

    /// Queues a letter without waiting. False: it will not be written, which is counted.
    pub fn write(&mut self, letter: &DeadLetter<'_>, now: Instant) -> bool {
        if !self.bucket.take(now) {
            self.counts.over_rate.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let Some(producer) = &self.producer else { return false };
        let mut record = BaseRecord::<[u8], [u8], ()>::to(&self.options.topic)
            .headers(headers(letter, &self.options.task_id))
            .timestamp(letter.record.timestamp.0.div_euclid(1_000).max(0));
        record.key = letter.record.key;
        record.payload = letter.record.payload;
        // Counted before it is sent: its report may come first.
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        if let Err((error, _)) = producer.send(record) {
            self.counts.accepted.fetch_sub(1, Ordering::Relaxed);
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(error = describe(&error), "a dead letter was not queued");
            return false;
        }
        true
    }

    pub fn counts(&self) -> DeadLetterCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (written, failed) = (read(&self.counts.written), read(&self.counts.failed));
        DeadLetterCounts {
            written,
            over_rate: read(&self.counts.over_rate),
            refused: read(&self.counts.refused),
            failed,
            pending: read(&self.counts.accepted).saturating_sub(written + failed),
        }
    }

    /// Waits until all letters are written or have failed, and ends the producer. What is left
    /// after `within` counts as failed.
    pub fn close(mut self, within: Duration) -> DeadLetterCounts {
        self.shut(within);
        let mut counts = self.counts();
        counts.failed += std::mem::take(&mut counts.pending);
        counts
    }

    fn shut(&mut self, within: Duration) {
        let Some(producer) = self.producer.take() else { return };
        // Ending a producer can take long when the brokers are away: not on this thread.
        let (done, closed) = channel();
        let thread = std::thread::Builder::new().name("dead-letters-close".into());
        let spawned = thread.spawn(move || {
            if let Err(error) = producer.flush(within) {
                tracing::warn!(error = describe(&error), "dead letters were not all written");
            }
            drop(producer);
            let _ = done.send(());
        });
        if spawned.is_ok() {
            // The flush takes `within` at most, and the end a little more.
            let _ = closed.recv_timeout(within + Duration::from_secs(1));
        }
    }
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        self.shut(Duration::from_secs(1));
    }
}

/// The record's own headers, then Kafka Connect's, all of them UTF-8 text.
fn headers(letter: &DeadLetter<'_>, task_id: &str) -> OwnedHeaders {
    let mut own = Vec::new();
    letter.record.headers.visit(&mut |name, value| own.push((name.to_owned(), value)));
    let mut headers = OwnedHeaders::new_with_capacity(own.len() + 9);
    for (key, value) in &own {
        headers = headers.insert(Header { key, value: value.as_deref() });
    }
    let message: String = letter.message.chars().take(MESSAGE_CHARS_MAX).collect();
    let (partition, offset) =
        (letter.record.partition.to_string(), letter.record.offset.to_string());
    let ours = [
        ("__connect.errors.topic", letter.topic),
        ("__connect.errors.partition", &partition),
        ("__connect.errors.offset", &offset),
        ("__connect.errors.connector.name", CONNECTOR_NAME),
        ("__connect.errors.task.id", task_id),
        // Connect's name for the stage that turns bytes into values.
        ("__connect.errors.stage", "VALUE_CONVERTER"),
        ("__connect.errors.class.name", letter.class),
        ("__connect.errors.exception.class.name", letter.reason),
        ("__connect.errors.exception.message", &message),
    ];
    ours.into_iter()
        .fold(headers, |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}

/// Lets `rate` through a second, and as many at once after a quiet second.
struct TokenBucket {
    rate: f64,
    tokens: f64,
    filled_at: Option<Instant>,
}

impl TokenBucket {
    fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), tokens: f64::from(rate), filled_at: None }
    }

    fn take(&mut self, now: Instant) -> bool {
        let elapsed =
            self.filled_at.map_or(Duration::ZERO, |then| now.saturating_duration_since(then));
        self.tokens = (self.tokens + elapsed.as_secs_f64() * self.rate).min(self.rate);
        self.filled_at = Some(self.filled_at.map_or(now, |then| then.max(now)));
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock::monotonic;

    #[test]
    fn a_rate_is_kept_over_time_and_a_quiet_second_is_all_that_is_saved() {
        let start = monotonic();
        let at = |millis| start + Duration::from_millis(millis);
        let mut bucket = TokenBucket::new(10);
        let mut taken = |now| (0..100).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(at(0)), 10);
        assert_eq!(taken(at(50)), 0);
        assert_eq!(taken(at(100)), 1);
        assert_eq!(taken(at(60_000)), 10);
        assert_eq!(taken(at(59_000)), 0, "a clock that goes back gives nothing");
        assert_eq!(taken(at(60_500)), 5);
    }

    #[test]
    fn a_rate_of_nothing_lets_nothing_through() {
        let mut bucket = TokenBucket::new(0);
        assert!(!bucket.take(monotonic()));
        assert!(!bucket.take(monotonic() + Duration::from_secs(1_000)));
    }
}
