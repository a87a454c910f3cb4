//! The thread that plays the world: sends records, runs the demo's clock, and is the trainer.
//!
//! The clock waits for the daemon: on a busy machine the story takes longer, but stays the same.

use super::DemoError;
use super::news::{News, Progress};
use super::story::Beat;
use super::stream::{Outgoing, RECORDS_PER_SECOND, Stream, Topic, millis};
use crate::engine::time::{Span, Timestamp};
use crate::io::clock;
use crate::io::webhook::{Received, Receiver};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

pub const PREDICTIONS: &str = "census.predictions";
pub const LABELS: &str = "census.labels";
/// Between two looks at the clock.
const STEP: Duration = Duration::from_millis(10);
/// A longer gap (a stopped process, a sleeping laptop) passes as this.
const STEP_MAX: Duration = Duration::from_millis(250);
/// The clock waits while the daemon is behind by what comes in so many seconds of the audience's.
const AHEAD_SECONDS: f64 = 0.75;
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// The demo's clock: event time that runs `speed` times as fast as the audience's, up to now.
#[derive(Clone, Debug)]
pub struct Pace {
    pub begins_at: Timestamp,
    pub speed: u32,
    /// How long the demo goes on; without, until it is told to stop.
    pub length: Option<Duration>,
    passed: Duration,
}

impl Pace {
    pub fn new(begins_at: Timestamp, speed: u32, length: Option<Duration>) -> Self {
        Self { begins_at, speed, length, passed: Duration::ZERO }
    }

    /// So much of the audience's time has passed, and it is `now` there.
    fn pass(&mut self, gap: Duration) {
        self.passed += gap.min(STEP_MAX);
    }

    fn event_time(&self, now: Timestamp) -> Timestamp {
        let passed = self.passed.as_micros().saturating_mul(u128::from(self.speed));
        let passed = Span::from_micros(i64::try_from(passed).unwrap_or(Span::MAX.0));
        (self.begins_at + passed).min(now)
    }

    fn is_over(&self) -> bool {
        self.length.is_some_and(|length| self.passed >= length)
    }

    /// Records that may be on their way.
    fn ahead_max(&self) -> u64 {
        (RECORDS_PER_SECOND * f64::from(self.speed) * AHEAD_SECONDS) as u64 + 100
    }
}

/// What the thread has.
pub struct Feed {
    producer: BaseProducer,
    stream: Stream,
    pace: Pace,
    trainer: Arc<Receiver>,
    /// The newest request that the trainer has looked at.
    looked_at: Option<String>,
    news: SyncSender<News>,
    progress: Arc<Progress>,
    /// Whether the daemon says how far it has read; else the clock waits for nobody.
    followed: bool,
    sent: u64,
}

impl Feed {
    /// # Errors
    /// The producer could not be started.
    pub fn new(
        bootstrap: &str,
        stream: Stream,
        pace: Pace,
        trainer: Arc<Receiver>,
        news: SyncSender<News>,
        progress: Arc<Progress>,
    ) -> Result<Self, DemoError> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            // As Java's producers do it, so that a prediction and its label have the same
            // partition.
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .create()?;
        Ok(Self {
            producer,
            stream,
            pace,
            trainer,
            looked_at: None,
            news,
            progress,
            followed: true,
            sent: 0,
        })
    }

    /// For a daemon that does not say how far it has read.
    pub fn unfollowed(self) -> Self {
        Self { followed: false, ..self }
    }

    /// Plays until the length is over, or until it is told to stop. Returns how many records were
    /// sent.
    ///
    /// # Errors
    /// The broker does not take records.
    pub fn run(mut self) -> Result<u64, DemoError> {
        let mut looked = clock::monotonic();
        let mut beats = Vec::new();
        while !self.progress.is_stopped() && !self.pace.is_over() {
            let now = clock::monotonic();
            let ahead = self.sent.saturating_sub(self.progress.read());
            if !self.followed || ahead <= self.pace.ahead_max() {
                self.pace.pass(now.duration_since(looked));
            }
            looked = now;
            let until = self.pace.event_time(clock::now());
            self.train(until);
            while let Some(record) = self.stream.next(until, &mut beats) {
                for (at, beat) in beats.drain(..) {
                    self.tell(News::Beat { at, beat });
                }
                self.send(&record, now)?;
            }
            self.progress.set_event_time(until);
            self.producer.poll(Duration::ZERO);
            std::thread::sleep(STEP);
        }
        if !self.progress.is_stopped() {
            self.producer.flush(FLUSH_WITHIN)?;
        }
        Ok(self.sent)
    }

    fn send(&mut self, record: &Outgoing, since: Instant) -> Result<(), DemoError> {
        let topic = match record.topic {
            Topic::Predictions => PREDICTIONS,
            Topic::Labels => LABELS,
        };
        loop {
            let base = BaseRecord::to(topic)
                .key(&record.key)
                .payload(&record.payload)
                .timestamp(millis(record.event_time));
            match self.producer.send(base) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _))
                    if !self.progress.is_stopped()
                        && clock::monotonic().duration_since(since) < FLUSH_WITHIN * 10 =>
                {
                    self.producer.poll(STEP);
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// The trainer: reads new requests, whose signature the receiver has verified, and makes a
    /// version.
    fn train(&mut self, at: Timestamp) {
        let received = self.trainer.received();
        let known = self.looked_at.as_deref();
        let new = received.iter().position(|one| Some(one.id.as_str()) == known);
        for request in &received[new.map_or(0, |position| position + 1)..] {
            self.tell(News::Asked { id: request.id.clone(), bytes: request.body.len() });
            let Some(version) = version_of(request) else { continue };
            if let Some(beat) = self.stream.story.requested(&version, at) {
                self.tell(News::Beat { at, beat });
            }
        }
        self.looked_at = received.last().map(|newest| newest.id.clone());
    }

    fn tell(&self, news: News) {
        // It fails when nobody listens any more; then there is nobody to tell.
        let _ = self.news.send(news);
    }
}

/// The version that a request is about.
fn version_of(request: &Received) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(&request.body).ok()?;
    Some(body.get("data")?.get("version")?.as_str()?.to_owned())
}

impl Beat {
    /// For a person.
    pub fn text(&self, serving: &str) -> String {
        match self {
            Self::Turned { rising: true } => format!(
                "married people begin to earn more and to work longer (made up); {serving} does \
                 not know"
            ),
            Self::Turned { rising: false } => format!(
                "married people's incomes and hours fall back (made up); {serving} does not know"
            ),
            Self::Training { version } => format!("the trainer begins to make {version}"),
            Self::Live { version } => format!("{version} is live"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_gap_does_not_make_the_demo_jump_and_its_clock_never_passes_ours() {
        let length = Some(Duration::from_secs(1));
        let mut pace = Pace::new(Timestamp::from_secs(1_000), 60, length);
        let now = Timestamp::from_secs(1_020);
        pace.pass(Duration::from_millis(100));
        assert_eq!(pace.event_time(now), Timestamp::from_secs(1_006));
        pace.pass(Duration::from_secs(3_600));
        assert_eq!(pace.event_time(now), now);
        assert_eq!(pace.event_time(Timestamp::MAX), Timestamp::from_secs(1_021));
        assert!(!pace.is_over());
        (0..3).for_each(|_| pace.pass(Duration::from_secs(1)));
        assert!(pace.is_over());
    }
}
